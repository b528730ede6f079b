//! What policies decide, one property of the language or of the gateway at a time.

mod harness;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use harness::{Sample, policies, route, user};
use http::Method;
use portcullis_authz::{Answer, Authorization, ClaimType, Decision, RawAuthorization, RawCache, RouteInfo};
use portcullis_core::{Principal, PrincipalKind, Reason};

fn raw() -> RawAuthorization {
    RawAuthorization {
        context_headers: vec!["x-tenant".to_owned(), "X-Level".to_owned()],
        claims: BTreeMap::from([
            ("tenant".to_owned(), ClaimType::String),
            ("acr".to_owned(), ClaimType::String),
            ("blocked".to_owned(), ClaimType::Bool),
        ]),
        ..RawAuthorization::default()
    }
}

fn routes() -> Vec<RouteInfo> {
    vec![
        route("orders", "shop", &["id"]),
        RouteInfo { action: Some("refund".to_owned()), ..route("refunds", "shop", &["id"]) },
        route("reports", "office", &[]),
    ]
}

fn with(text: &str) -> Authorization {
    policies(&raw(), &routes(), text)
}

fn with_claim(name: &str, value: impl Into<serde_json::Value>) -> Principal {
    let mut principal = user("alice", &[]);
    principal.claims.insert(name.to_owned(), value.into());
    principal
}

fn ids(decision: &Decision) -> Vec<&str> {
    decision.policies().iter().map(AsRef::as_ref).collect()
}

const FORBIDDEN: Answer = Answer::Deny(Reason::Forbidden);
const ERROR: Answer = Answer::Deny(Reason::PolicyError);

#[test]
fn nobody_passes_without_a_permit() {
    let authorization = with("permit(principal, action, resource == Route::\"reports\");");
    let decision = Sample::new().by(user("alice", &[])).ask(&authorization);
    assert_eq!(decision.answer(), &FORBIDDEN);
    assert_eq!(decision.reason(), Some(Reason::Forbidden));
    assert!(decision.policies().is_empty());
    assert_eq!(Sample::new().on(2).ask(&authorization).answer(), &Answer::Allow);
    assert_eq!(Sample::new().on(99).ask(&authorization).answer(), &FORBIDDEN, "a route that does not exist");
}

#[test]
fn anonymous_passes_only_if_a_policy_says_so() {
    let authorization = with(
        "permit(principal is User, action, resource);
         @id(\"public\") permit(principal is Anonymous, action == Action::\"GET\", resource);",
    );
    let decision = Sample::new().ask(&authorization);
    assert_eq!((decision.answer(), ids(&decision)), (&Answer::Allow, vec!["public"]));
    assert_eq!(Sample::new().method(Method::POST).ask(&authorization).answer(), &FORBIDDEN);
    let by_user = Sample::new().by(user("alice", &[])).ask(&authorization);
    assert_eq!((by_user.answer(), ids(&by_user)), (&Answer::Allow, vec!["p.cedar#1"]));
}

#[test]
fn kinds_of_principals_are_not_confused() {
    let authorization = with("permit(principal == ApiKey::\"k\", action, resource);");
    for (kind, expected) in [
        (PrincipalKind::ApiKey, Answer::Allow),
        (PrincipalKind::User, FORBIDDEN),
        (PrincipalKind::Anonymous, FORBIDDEN),
    ] {
        let decision = Sample::new().by(Principal::new(kind, "k", "m")).ask(&authorization);
        assert_eq!(decision.answer(), &expected, "{kind:?}");
    }
}

#[test]
fn a_user_is_known_by_issuer_and_subject() {
    let authorization = with("permit(principal == User::\"https://idp|alice\", action, resource);");
    assert_eq!(Sample::new().by(user("alice", &[])).ask(&authorization).answer(), &Answer::Allow);
    let mut other = user("alice", &[]);
    other.issuer = Some("https://evil".to_owned());
    assert_eq!(Sample::new().by(other).ask(&authorization).answer(), &FORBIDDEN);
    let mut none = user("https://idp|alice", &[]);
    none.issuer = None;
    assert_eq!(Sample::new().by(none).ask(&authorization).answer(), &FORBIDDEN);
}

#[test]
fn roles_services_and_groups_of_actions_hold() {
    let authorization = with(
        "permit(principal in Role::\"clerk\", action in Action::\"read\", resource in Service::\"shop\");",
    );
    let clerk = || Sample::new().by(user("alice", &["clerk", "other"]));
    for (sample, expected) in [
        (clerk(), Answer::Allow),
        (clerk().method(Method::HEAD), Answer::Allow),
        (clerk().method(Method::DELETE), FORBIDDEN),
        (clerk().on(2), FORBIDDEN),
        (Sample::new().by(user("alice", &["other"])), FORBIDDEN),
    ] {
        assert_eq!(sample.ask(&authorization).answer(), &expected, "{sample:?}");
    }
}

#[test]
fn a_route_has_its_own_action_whatever_the_method() {
    let authorization = with("permit(principal, action == Action::\"refund\", resource);");
    assert_eq!(Sample::new().on(1).ask(&authorization).answer(), &Answer::Allow);
    assert_eq!(Sample::new().on(1).method(Method::POST).ask(&authorization).answer(), &Answer::Allow);
    assert_eq!(Sample::new().on(0).ask(&authorization).answer(), &FORBIDDEN);
}

#[test]
fn a_method_nobody_named_writes() {
    let strange = Method::from_bytes(b"STRANGE").unwrap();
    let sample = Sample::new().method(strange);
    let authorization = with("permit(principal, action in Action::\"read\", resource);");
    assert_eq!(sample.ask(&authorization).answer(), &FORBIDDEN);
    let authorization = with("permit(principal, action == Action::\"other\", resource);");
    assert_eq!(sample.ask(&authorization).answer(), &Answer::Allow);
    let authorization = with(
        "permit(principal, action, resource); forbid(principal, action in Action::\"write\", resource);",
    );
    assert_eq!(sample.ask(&authorization).answer(), &FORBIDDEN);
}

#[test]
fn path_parameters_are_the_resource_s() {
    let authorization = with(
        "permit(principal, action, resource) when { resource.path has id && resource.path.id == principal.subject };",
    );
    let sample = |id: &str| Sample::new().by(user("alice", &[])).parameters(&[id]);
    assert_eq!(sample("alice").ask(&authorization).answer(), &Answer::Allow);
    assert_eq!(sample("bob").ask(&authorization).answer(), &FORBIDDEN);
    assert_eq!(sample("x").on(2).ask(&authorization).answer(), &FORBIDDEN, "a route without that parameter");
}

#[test]
fn a_permit_with_audit_flags() {
    let authorization = with("@audit @id(\"a\") @message(\"look\") permit(principal, action, resource);");
    let decision = Sample::new().ask(&authorization);
    assert_eq!((decision.answer(), ids(&decision)), (&Answer::Audit, vec!["a"]));
    assert_eq!(decision.message().map(AsRef::as_ref), Some("look"));
    assert_eq!(decision.reason(), None);
}

const STEP_UP: &str = r#"
    permit(principal, action, resource);
    @id("step-up") @challenge("acr=phr;max_age=300")
    forbid(principal, action, resource) unless { principal.claims has acr && principal.claims.acr == "phr" };
    @id("scope") @challenge("scope=orders:write")
    forbid(principal, action in Action::"write", resource) unless { principal.scopes.contains("orders:write") };
    @id("never") forbid(principal, action == Action::"DELETE", resource);
"#;

#[test]
fn a_challenge_says_what_is_lacking() {
    let authorization = with(STEP_UP);
    let decision = Sample::new().by(with_claim("acr", "pwd")).ask(&authorization);
    assert_eq!(decision.reason(), Some(Reason::StepUpRequired));
    let challenge = decision.challenge().unwrap();
    assert_eq!((challenge.acr_values.as_slice(), challenge.max_age), (&["phr".to_owned()][..], Some(300)));
    assert_eq!(ids(&decision), ["step-up"]);
    assert_eq!(Sample::new().by(with_claim("acr", "phr")).ask(&authorization).answer(), &Answer::Allow);

    let post = Sample::new().by(with_claim("acr", "phr")).method(Method::POST).ask(&authorization);
    assert_eq!(post.reason(), Some(Reason::ChallengeRequired));
    assert_eq!(post.challenge().unwrap().scopes, ["orders:write"]);
}

#[test]
fn challenges_add_up_and_a_plain_forbid_outweighs_them() {
    let authorization = with(STEP_UP);
    let both = Sample::new().method(Method::POST).ask(&authorization);
    assert_eq!((both.reason(), ids(&both)), (Some(Reason::StepUpRequired), vec!["step-up", "scope"]));
    let challenge = both.challenge().unwrap();
    assert_eq!((challenge.acr_values.len(), challenge.scopes.len()), (1, 1));
    let never = Sample::new().method(Method::DELETE).ask(&authorization);
    assert_eq!((never.answer(), ids(&never)), (&FORBIDDEN, vec!["step-up", "scope", "never"]));
}

#[test]
fn acr_values_of_several_challenges_are_those_that_satisfy_all() {
    let acr = |first: &str, second: &str| {
        let text = format!(
            "@challenge(\"acr={first}\") forbid(principal, action, resource);
             @challenge(\"acr={second};max_age=60\") @message(\"m\") forbid(principal, action, resource);"
        );
        Sample::new().ask(&with(&text)).challenge().unwrap().as_ref().clone()
    };
    assert_eq!(acr("a b", "b c").acr_values, ["b"]);
    assert_eq!(acr("a", "b").acr_values, ["a", "b"]);
    assert_eq!((acr("a", "a").max_age, acr("a", "a").message.as_deref()), (Some(60), Some("m")));
}

/// Cedar leaves out a forbid that errs. Here the overflow would let the request pass.
#[test]
fn a_forbid_that_errs_denies() {
    let authorization = with(
        "permit(principal, action, resource);
         @id(\"errs\") forbid(principal, action, resource == Route::\"orders\")
         when { context.headers has \"X-Level\" && 9223372036854775807 + 1 > 0 };",
    );
    assert_eq!(Sample::new().ask(&authorization).answer(), &Answer::Allow);
    let sample = Sample::new().header("x-level", b"1");
    for _ in 0..2 {
        let decision = sample.ask(&authorization);
        assert_eq!((decision.answer(), ids(&decision)), (&ERROR, vec!["errs"]));
    }
    assert_eq!(sample.on(2).ask(&authorization).answer(), &Answer::Allow, "its scope does not match here");
}

#[test]
fn a_permit_that_errs_denies_too() {
    let authorization = with(
        "permit(principal, action, resource);
         permit(principal, action, resource) when { 9223372036854775807 * 2 > 0 };",
    );
    assert_eq!(Sample::new().ask(&authorization).answer(), &ERROR);
}

#[test]
fn time_is_read_anew_each_time() {
    let authorization = with(
        "permit(principal, action, resource) when { context.time < datetime(\"2025-06-15T15:06:41Z\") };",
    );
    let mut sample = Sample::new();
    assert_eq!(sample.ask(&authorization).answer(), &Answer::Allow);
    sample.now = sample.now.plus(Duration::from_millis(999));
    assert_eq!(sample.ask(&authorization).answer(), &Answer::Allow);
    sample.now = sample.now.plus(Duration::from_millis(1));
    assert_eq!(sample.ask(&authorization).answer(), &FORBIDDEN);
}

#[test]
fn each_value_of_a_header_is_its_own_case() {
    let authorization = with(
        "permit(principal, action, resource)
         when { context.headers has \"x-tenant\" && context.headers[\"x-tenant\"] == \"a\" };",
    );
    let with_tenant = |value: &[u8]| Sample::new().header("x-tenant", value);
    for _ in 0..2 {
        assert_eq!(with_tenant(b"a").ask(&authorization).answer(), &Answer::Allow);
        assert_eq!(with_tenant(b"b").ask(&authorization).answer(), &FORBIDDEN);
        assert_eq!(with_tenant(b"").ask(&authorization).answer(), &FORBIDDEN);
        assert_eq!(Sample::new().ask(&authorization).answer(), &FORBIDDEN);
    }
    assert_eq!(with_tenant(b"a").header("x-tenant", b"b").ask(&authorization).answer(), &ERROR, "repeated");
    assert_eq!(with_tenant(b"\xff").ask(&authorization).answer(), &ERROR, "not UTF-8");
}

#[test]
fn one_header_does_not_stand_for_another() {
    let authorization = with(
        "permit(principal, action, resource)
         when { context.headers has \"x-tenant\" && context.headers[\"x-tenant\"] == \"a\" }
         unless { context.headers has \"X-Level\" && context.headers[\"X-Level\"] == \"a\" };",
    );
    assert_eq!(Sample::new().header("x-tenant", b"a").ask(&authorization).answer(), &Answer::Allow);
    assert_eq!(Sample::new().header("x-level", b"a").ask(&authorization).answer(), &FORBIDDEN);
}

#[test]
fn a_malformed_header_matters_only_where_it_is_read() {
    let authorization = with("permit(principal, action, resource);");
    let twice = Sample::new().header("x-tenant", b"a").header("x-tenant", b"b");
    assert_eq!(twice.ask(&authorization).answer(), &Answer::Allow);
}

#[test]
fn a_claim_of_another_type_denies_where_it_is_read() {
    let authorization = with(
        "permit(principal, action, resource);
         forbid(principal, action, resource == Route::\"orders\")
         when { principal.claims has blocked && principal.claims.blocked };",
    );
    let answer = |value: serde_json::Value, route: u32| {
        Sample::new().by(with_claim("blocked", value)).on(route).ask(&authorization).answer().clone()
    };
    assert_eq!(answer(true.into(), 0), FORBIDDEN);
    assert_eq!(answer(false.into(), 0), Answer::Allow);
    assert_eq!(answer(serde_json::Value::Null, 0), Answer::Allow);
    assert_eq!(answer("true".into(), 0), ERROR);
    assert_eq!(answer("true".into(), 2), Answer::Allow);
}

#[test]
fn a_mapped_address_is_the_address() {
    let authorization =
        with("permit(principal, action, resource) unless { context.address.isInRange(ip(\"10.0.0.0/8\")) };");
    for (address, expected) in [
        ("10.1.2.3", FORBIDDEN),
        ("::ffff:10.1.2.3", FORBIDDEN),
        ("192.0.2.1", Answer::Allow),
        ("2001:db8::1", Answer::Allow),
    ] {
        let sample = Sample { client: address.parse::<IpAddr>().unwrap(), ..Sample::new() };
        assert_eq!(sample.ask(&authorization).answer(), &expected, "{address}");
    }
}

#[test]
fn all_of_the_context_can_be_read() {
    let authorization = with(
        "permit(principal, action, resource)
         when { context.secure && context.host == \"api.example.com\" && context.method == \"GET\" && context.path == \"/\" };",
    );
    let sample = Sample::new();
    assert_eq!(sample.ask(&authorization).answer(), &Answer::Allow);
    let others = [
        Sample { secure: false, ..sample.clone() },
        Sample { host: "other".to_owned(), ..sample.clone() },
        sample.clone().method(Method::HEAD),
        Sample {
            target: portcullis_core::Target::parse("/a", &portcullis_core::TargetRules::default()).unwrap(),
            ..sample
        },
    ];
    for other in others {
        assert_eq!(other.ask(&authorization).answer(), &FORBIDDEN, "{other:?}");
    }
}

#[test]
fn two_tokens_of_one_subject_are_two_callers() {
    let authorization = with(
        "permit(principal, action, resource) when { principal.claims has tenant && principal.claims.tenant == \"a\" };",
    );
    for _ in 0..2 {
        assert_eq!(Sample::new().by(with_claim("tenant", "a")).ask(&authorization).answer(), &Answer::Allow);
        assert_eq!(Sample::new().by(with_claim("tenant", "b")).ask(&authorization).answer(), &FORBIDDEN);
    }
}

#[test]
fn nothing_is_remembered_when_nothing_may_be_and_the_answer_is_the_same() {
    let raw = RawAuthorization { cache: RawCache { max_entries: 0 }, ..raw() };
    let authorization = policies(&raw, &routes(), STEP_UP);
    for _ in 0..2 {
        assert_eq!(Sample::new().ask(&authorization).reason(), Some(Reason::StepUpRequired));
    }
}

/// A decision that is had from memory is the very same one.
#[test]
fn as_many_decisions_are_remembered_as_may_be() {
    for (max_entries, is_remembered) in [(0, false), (100, true)] {
        let raw = RawAuthorization { cache: RawCache { max_entries }, ..raw() };
        let authorization = policies(&raw, &routes(), "@id(\"all\") permit(principal, action, resource);");
        let [first, second] = [(); 2].map(|()| Sample::new().ask(&authorization));
        assert_eq!(ids(&first), ["all"]);
        assert_eq!(std::ptr::eq(first.policies(), second.policies()), is_remembered, "{max_entries}");
    }
}
