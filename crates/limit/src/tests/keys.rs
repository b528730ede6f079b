//! Who shares a bucket with whom.

use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_core::PrincipalKind;
use serde_json::json;

use super::*;

/// Whether `b` finds the bucket that `a` has emptied.
fn share(key: serde_json::Value, a: &Subject<'_>, b: &Subject<'_>) -> bool {
    share_with(json!({ "name": "a", "key": key, "rate": "1/d" }), a, b)
}

fn share_with(limit: serde_json::Value, a: &Subject<'_>, b: &Subject<'_>) -> bool {
    let limits = compile(json!([limit]));
    assert!(passes(&limits, a, NOW));
    !passes(&limits, b, NOW)
}

fn user(id: &str, issuer: Option<&str>, method: &str) -> Principal {
    let issuer = issuer.map(str::to_owned);
    Principal { issuer, ..Principal::new(PrincipalKind::User, id, method) }
}

fn api_key(id: &str, method: &str) -> Principal {
    Principal::new(PrincipalKind::ApiKey, id, method)
}

#[test]
fn ipv6_addresses_are_grouped_by_64_bits() {
    let a = subject("2001:db8:1:2::1");
    assert!(share(json!(["address"]), &a, &subject("2001:db8:1:2:ffff::9")));
    assert!(!share(json!(["address"]), &a, &subject("2001:db8:1:3::1")));
}

#[test]
fn the_prefix_is_what_the_configuration_says() {
    let limit = |prefix: u8| json!({ "name": "a", "key": ["address"], "rate": "1/d", "ipv6_prefix": prefix });
    let a = subject("2001:db8:1:2::1");
    assert!(share_with(limit(48), &a, &subject("2001:db8:1:3::1")));
    assert!(!share_with(limit(48), &a, &subject("2001:db8:2:2::1")));
    assert!(!share_with(limit(128), &a, &subject("2001:db8:1:2::2")));
    assert!(share_with(limit(1), &a, &subject("::1")));
}

#[test]
fn ipv4_addresses_stand_alone_however_they_are_written() {
    let a = subject("192.0.2.1");
    assert!(share(json!(["address"]), &a, &subject("::ffff:192.0.2.1")));
    assert!(!share(json!(["address"]), &a, &subject("192.0.2.2")));
    assert!(!share(json!(["address"]), &subject("::ffff:192.0.2.1"), &subject("::ffff:192.0.2.2")));
}

#[test]
fn a_principal_is_its_identity_and_not_its_credential() {
    let key = json!(["principal"]);
    let a = user("ada", Some("https://a"), "tokens");
    assert!(share(key.clone(), &of(&a), &of(&user("ada", Some("https://a"), "other"))));
    assert!(!share(key.clone(), &of(&a), &of(&user("bob", Some("https://a"), "tokens"))));
    assert!(!share(key.clone(), &of(&a), &of(&user("ada", Some("https://b"), "tokens"))));
    assert!(!share(key.clone(), &of(&a), &of(&user("ada", None, "https://a"))));
    assert!(!share(key.clone(), &of(&user("x", None, "m")), &of(&api_key("x", "m"))));
    assert!(!share(key, &of(&api_key("x", "m")), &of(&api_key("x", "n"))));
}

#[test]
fn the_anonymous_are_told_apart_by_address() {
    let anonymous = Principal::anonymous();
    let a = of(&anonymous);
    assert!(share(json!(["principal"]), &a, &subject("192.0.2.1")));
    assert!(!share(json!(["principal"]), &a, &Subject { address: subject("192.0.2.2").address, ..a }));
    let known = user("anonymous", None, "anonymous");
    assert!(!share(json!(["principal"]), &a, &of(&known)));
}

#[test]
fn an_api_key_limit_is_for_api_keys_only() {
    let limits = compile(json!([{ "name": "a", "key": ["api_key"], "rate": "1/d" }]));
    let ada = user("ada", None, "tokens");
    for other in [subject("192.0.2.1"), of(&ada), of(&Principal::anonymous())] {
        for _ in 0..3 {
            let (outcome, states) = ask(&limits, &other, NOW);
            assert_eq!((outcome, states.len()), (Ok(()), 0));
        }
    }
    let key = api_key("k1", "keys");
    assert_eq!(drain(&limits, &of(&key), NOW), 1);
}

#[test]
fn route_service_and_their_combinations() {
    let a = subject("192.0.2.1");
    let elsewhere = subject("192.0.2.9");
    let other_route = Subject { route: "carts", ..a };
    let other_service = Subject { service: "bank", ..a };
    assert!(share(json!(["route"]), &a, &elsewhere));
    assert!(!share(json!(["route"]), &a, &other_route));
    assert!(share(json!(["service"]), &a, &other_route));
    assert!(!share(json!(["service"]), &a, &other_service));
    assert!(!share(json!(["address", "route"]), &a, &elsewhere));
    assert!(!share(json!(["address", "route"]), &a, &other_route));
    assert!(share(json!(["address", "route"]), &a, &other_service));
    let everything_else = Subject { route: "x", service: "y", ..elsewhere };
    assert!(share(json!(["global"]), &a, &everything_else));
}

#[test]
fn the_parts_of_a_key_cannot_be_shifted_into_one_another() {
    let a = Subject { route: "ab", service: "c", ..subject("192.0.2.1") };
    let b = Subject { route: "a", service: "bc", ..a };
    assert!(!share(json!(["route", "service"]), &a, &b));
}

#[test]
fn two_limits_of_one_key_count_apart() {
    let limits = compile(json!([
        { "name": "second", "key": ["address"], "rate": "2/s" },
        { "name": "day", "key": ["address"], "rate": "3/d" },
    ]));
    let client = subject("192.0.2.1");
    assert_eq!(drain(&limits, &client, NOW), 2);
    assert_eq!(drain(&limits, &client, after(1_000_000_000)), 1);
}

/// Header fields, claims and path parameters; what is not there is a bucket of its own, and not that of an empty value.
#[test]
fn headers_claims_and_parameters_are_counted_apart() {
    let fields = |list: &[(&'static str, &'static str)]| -> HeaderMap {
        list.iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    };
    let (a, b, none, empty) = (
        fields(&[("x-tenant", "a")]),
        fields(&[("x-tenant", "b")]),
        fields(&[]),
        fields(&[("x-tenant", "")]),
    );
    let several = fields(&[("x-tenant", "a"), ("x-tenant", "b")]);
    let with = |headers| Subject { headers: Some(headers), ..subject("192.0.2.1") };
    let key = json!(["header:X-Tenant"]);
    let again = a.clone();
    assert!(share(key.clone(), &with(&a), &with(&again)));
    for (one, other) in [(&a, &b), (&a, &none), (&none, &empty), (&a, &several), (&b, &several)] {
        assert!(!share(key.clone(), &with(one), &with(other)), "{one:?} {other:?}");
    }
    // The values of one field are not taken for those of the next.
    let (left, right) = (
        fields(&[("x-a", "1"), ("x-a", "2"), ("x-b", "3")]),
        fields(&[("x-a", "1"), ("x-b", "2"), ("x-b", "3")]),
    );
    assert!(!share(json!(["header:x-a", "header:x-b"]), &with(&left), &with(&right)));

    let claiming = |claims: serde_json::Value| Principal {
        claims: claims.as_object().unwrap().clone(),
        ..user("ada", None, "tokens")
    };
    let key = json!(["claim:tenant"]);
    let [acme, same, number, text, nothing] = [
        json!({ "tenant": "acme" }),
        json!({ "tenant": "acme", "x": 1 }),
        json!({ "tenant": 1 }),
        json!({ "tenant": "1" }),
        json!({}),
    ]
    .map(claiming);
    assert!(share(key.clone(), &of(&acme), &of(&same)));
    assert!(share(key.clone(), &of(&nothing), &subject("192.0.2.9")));
    for (one, other) in [(&acme, &number), (&number, &text), (&acme, &nothing)] {
        assert!(!share(key.clone(), &of(one), &of(other)), "{one:?} {other:?}");
    }

    let names = ["shop".to_owned(), "order".to_owned()];
    let (first, second) = (["s".into(), "1".into()], ["s".into(), "2".into()]);
    let at = |values| Subject { parameters: (&names, values), ..subject("192.0.2.1") };
    assert!(share(json!(["path:shop"]), &at(&first), &at(&second)));
    assert!(!share(json!(["path:order"]), &at(&first), &at(&second)));
    assert!(!share(json!(["path:order"]), &at(&first), &subject("192.0.2.1")));
}

#[test]
fn whoever_is_exempt_is_not_counted() {
    let exempt = json!({ "addresses": ["10.0.0.0/8"], "principals": ["robot"], "roles": ["operator"] });
    let limits = compile(json!([{ "name": "a", "key": ["global"], "rate": "1/d", "exempt": exempt }]));
    let operator = Principal { roles: vec!["operator".to_owned()], ..user("ann", None, "tokens") };
    let robot = user("robot", None, "tokens");
    let inside = subject("10.1.2.3");
    for exempt in [&inside, &of(&robot), &of(&operator)] {
        for _ in 0..3 {
            let (outcome, states) = ask(&limits, exempt, NOW);
            assert_eq!((outcome, states.len()), (Ok(()), 0));
        }
    }
    assert!(passes(&limits, &subject("192.0.2.1"), NOW));
    assert!(!passes(&limits, &subject("192.0.2.2"), NOW));
    // Nobody is exempt for calling themselves so without a credential.
    let anonymous = Principal { id: "robot".to_owned(), ..Principal::anonymous() };
    assert!(!passes(&limits, &of(&anonymous), NOW));
}
