//! API keys: where they are read, which are refused, what they may.

use portcullis_authn::api_key::{self, GeneratedKey};
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Response};
use serde_json::json;

use super::{challenges, refusal};
use crate::common::{plain, setup};
use crate::credentials::{authenticated, folder, partner};

/// A gateway that takes the key of the partner, in the header or the query, and tells the service who it is.
fn gateway(upstream: &Upstream) -> Gateway {
    authenticated(plain(&upstream.url()), "partners")
        .policy("forward", "{ identity: { X-Caller: subject, X-Caller-Kind: kind } }")
        .start_in(folder())
}

fn header(key: &str) -> String {
    format!("X-API-Key: {key}\r\n")
}

fn assert_invalid(answer: &Response, what: &str) {
    assert_eq!(refusal(answer), (401, "invalid_key".to_owned()), "{what}");
    assert_eq!(
        challenges(answer),
        ["ApiKey realm=\"shop\", header=\"x-api-key\", error=\"invalid_key\""],
        "{what}"
    );
}

#[test]
fn a_key_is_read_from_its_header() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream);
    assert_eq!(raw::get(gateway.address("public"), "/orders", &header(partner())).status, 200);
    let seen = upstream.only_request();
    assert_eq!(seen.header("x-caller").as_deref(), Some("acme"));
    assert_eq!(seen.header("x-caller-kind").as_deref(), Some("api_key"));
    let record = &gateway.stop_and_audit()[0];
    assert_eq!(record["principal.kind"], "api_key");
    assert_eq!(record["principal.id"], "acme");
    assert_eq!(record["principal.method"], "partners");
    assert_eq!(record.get("principal.issuer"), None);
}

#[test]
fn a_request_without_a_key_is_told_where_to_put_one() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream);
    let answer = raw::get(gateway.address("public"), "/", "");
    assert_eq!(refusal(&answer), (401, "credential_missing".to_owned()));
    assert_eq!(challenges(&answer), ["ApiKey realm=\"shop\", header=\"x-api-key\""]);
    upstream.assert_no_contact();
}

#[test]
fn a_key_is_not_read_from_the_query_unless_the_configuration_says_so() {
    let upstream = Upstream::start();
    let key = api_key::generate("acme").unwrap();
    let section = format!("{{ api_keys: [{{ name: partners, keys: [{}] }}] }}", entry("acme", &key, ""));
    let gateway = plain(&upstream.url())
        .section("authentication", section)
        .policy("authenticate", "{ methods: [partners] }")
        .start();
    for name in ["api_key", "x-api-key", "X-API-Key", "key"] {
        let answer = raw::get(gateway.address("public"), &format!("/?{name}={}", key.key.expose()), "");
        assert_eq!(refusal(&answer), (401, "credential_missing".to_owned()), "{name}");
    }
    upstream.assert_no_contact();
}

/// Services write URLs into their logs, so a key in the query goes no further than the gateway.
#[test]
fn a_key_in_the_query_reaches_neither_the_service_nor_the_record() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream);
    for (query, rest) in [
        (format!("?api_key={}", partner()), ""),
        (format!("?page=2&api%5fkey={}&sort=%6eame", partner()), "?page=2&sort=%6eame"),
    ] {
        assert_eq!(raw::get(gateway.address("public"), &format!("/orders{query}"), "").status, 200);
        let seen = upstream.only_request();
        assert_eq!(seen.target, format!("/orders{rest}"));
        assert_eq!(seen.header("x-caller").as_deref(), Some("acme"));
        assert!(!String::from_utf8_lossy(&seen.wire).contains(partner()));
        upstream.forget();
    }
    let records = gateway.stop_and_audit();
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|record| record["url.path"] == "/orders"));
    assert!(!json!(records).to_string().contains("pcl_"));
}

/// One in 64 keys could also be one without a checksum, of a longer id: mistyped, it is unknown instead.
fn unmistakable(id: &str) -> GeneratedKey {
    let is_plain = |key: &GeneratedKey| key.key.expose().bytes().rev().nth(43) != Some(b'_');
    std::iter::repeat_with(|| api_key::generate(id).unwrap()).find(is_plain).unwrap()
}

#[test]
fn keys_that_are_not_right_are_refused_and_only_the_record_says_why() {
    let upstream = Upstream::start();
    let [good, disabled, expired, future, stranger] =
        ["good", "disabled", "expired", "future", "stranger"].map(unmistakable);
    let keys = [
        entry("good", &good, ""),
        entry("disabled", &disabled, "enabled: false"),
        entry("expired", &expired, "expires: \"2020-01-31T00:00:00Z\""),
        entry("future", &future, "expires: \"9999-12-31T23:59:59Z\", enabled: true"),
    ];
    let section = format!("{{ realm: shop, api_keys: [{{ name: partners, keys: [{}] }}] }}", keys.join(", "));
    let gateway = plain(&upstream.url())
        .section("authentication", section)
        .policy("authenticate", "{ methods: [partners] }")
        .start();
    let ask = |key: &str| raw::get(gateway.address("public"), "/", &header(key));

    // The id of one key with the secret of another.
    let swapped = good.key.expose().replace("_good_", "_future_");
    let another = api_key::generate("good").unwrap();
    let refused = [
        (swapped.as_str(), "wrong_checksum"),
        (another.key.expose(), "wrong_secret"),
        (stranger.key.expose(), "unknown_key"),
        (disabled.key.expose(), "disabled"),
        (expired.key.expose(), "expired"),
        ("pcl_good_", "malformed"),
        ("good", "malformed"),
        ("", "malformed"),
    ];
    for (key, fault) in refused {
        assert_invalid(&ask(key), fault);
    }
    upstream.assert_no_contact();
    assert_eq!(ask(good.key.expose()).status, 200);
    assert_eq!(ask(future.key.expose()).status, 200);

    let records = gateway.stop_and_audit();
    let faults: Vec<_> = records.iter().map(|record| record["credential_fault"].as_str()).collect();
    let expected: Vec<_> = refused.iter().map(|&(_, fault)| Some(fault)).chain([None, None]).collect();
    assert_eq!(faults, expected);
}

#[test]
fn a_key_that_is_sent_twice_is_ambiguous() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream);
    let (key, other) = (partner(), "pcl_other_key");
    let ask = |target: &str, lines: &str| raw::get(gateway.address("public"), target, lines);
    for (target, lines) in [
        ("/".to_owned(), header(key) + &header(other)),
        ("/".to_owned(), header(key) + &header(key)),
        (format!("/?api_key={key}&api_key={other}"), String::new()),
        (format!("/?api_key={key}&api%5Fkey={key}"), String::new()),
        (format!("/?api_key={other}"), header(key)),
    ] {
        assert_eq!(
            refusal(&ask(&target, &lines)),
            (400, "ambiguous_credential".to_owned()),
            "{target} {lines}"
        );
    }
    upstream.assert_no_contact();
    assert_eq!(ask(&format!("/?api_key={key}"), &header(key)).status, 200, "the same in both places is one");
}

#[test]
fn keys_come_from_a_file_under_a_header_of_their_own() {
    let upstream = Upstream::start();
    let key = api_key::generate("filed").unwrap();
    let file = json!([{ "id": "filed", "hash": key.hash, "owner": "Acme", "roles": ["partner"], "scopes": ["read"] }]);
    let gateway = plain(&upstream.url())
        .section(
            "authentication",
            "{ api_keys: [{ name: partners, header: X-Partner, keys_file: keys.json }] }",
        )
        .policy("authenticate", "{ methods: [partners] }")
        .policy(
            "forward",
            "{ identity: { X-Caller: subject, X-Owner: \"claim:owner\", X-Roles: roles, X-Scopes: scopes } }",
        )
        .start_in(setup().file("keys.json", file.to_string()));
    let key = key.key.expose();
    assert_eq!(raw::get(gateway.address("public"), "/", &header(key)).status, 401);
    upstream.assert_no_contact();
    let ours = format!("X-Partner: {key}\r\n");
    assert_eq!(raw::get(gateway.address("public"), "/", &ours).status, 200);
    let seen = upstream.only_request();
    for (name, value) in
        [("x-caller", "filed"), ("x-owner", "Acme"), ("x-roles", "partner"), ("x-scopes", "read")]
    {
        assert_eq!(seen.header(name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn scopes_that_a_key_lacks_are_named() {
    let upstream = Upstream::start();
    let with = |name: &str, scopes: &str| {
        format!("{{ name: {name}, path: /{name}, policy: {{ authenticate: {{ scopes: {scopes} }} }} }}")
    };
    let routes = [
        with("has", "{ all: [read] }"),
        with("one", "{ any: [admin, read] }"),
        with("lacks", "{ all: [read, write, admin] }"),
        with("none", "{ any: [write, admin] }"),
    ];
    let gateway = authenticated(plain(&upstream.url()), "partners")
        .routes(&routes.each_ref().map(String::as_str))
        .start_in(folder());
    let ask = |path: &str| raw::get(gateway.address("public"), path, &header(partner()));
    for (path, scopes) in [("/lacks", json!(["write", "admin"])), ("/none", json!(["write", "admin"]))] {
        let answer = ask(path);
        assert_eq!(refusal(&answer), (403, "insufficient_scope".to_owned()), "{path}");
        assert_eq!(answer.json()["scopes"], scopes, "{path}");
    }
    upstream.assert_no_contact();
    assert_eq!(ask("/has").status, 200);
    assert_eq!(ask("/one").status, 200);
}

/// An entry of the list of keys.
fn entry(id: &str, key: &GeneratedKey, more: &str) -> String {
    let separator = if more.is_empty() { "" } else { ", " };
    format!("{{ id: {id}, hash: \"{}\"{separator}{more} }}", key.hash)
}
