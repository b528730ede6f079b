//! The life of an API key.

use std::sync::Arc;

use portcullis_core::{PrincipalKind, Reason};
use serde_json::{Value, json};

use super::fixture::*;
use crate::Authenticate;
use crate::api_key::{GeneratedKey, generate};

fn record(generated: &GeneratedKey, id: &str, changes: Value) -> Value {
    let mut record = json!({ "id": id, "hash": generated.hash });
    record.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    record
}

fn gateway(keys: Value, changes: Value) -> (Gateway, Authenticate) {
    let mut method = json!({ "name": "keys", "keys": keys });
    method.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let gateway = Gateway::new(json!({ "api_keys": [method] }), &[]);
    let route = gateway.route(json!({ "methods": ["keys"] }));
    (gateway, route)
}

fn with_key(key: &str) -> Request {
    Request::to("/orders").header("x-api-key", key.as_bytes())
}

#[test]
fn a_key_is_made_shown_once_and_accepted() {
    let made = generate("ci-robot").unwrap();
    let key = made.key.expose();
    assert!(key.starts_with("pcl_ci-robot_") && key.len() == "pcl_ci-robot_".len() + 43 + 6);
    assert!(!format!("{made:?}").contains(key));
    assert_ne!(generate("ci-robot").unwrap().hash, made.hash);

    let details = json!({ "owner": "team-a", "roles": ["deploy"], "scopes": ["read"], "expires": "2030-01-01T00:00:00Z" });
    let (gateway, route) = gateway(json!([record(&made, "ci-robot", details)]), json!({}));
    let principal = gateway.ask(&route, &with_key(key)).unwrap();
    assert_eq!(principal.kind, PrincipalKind::ApiKey);
    assert_eq!(principal.id, "ci-robot");
    assert_eq!(principal.method, "keys");
    assert_eq!(
        (&principal.roles[..], &principal.scopes[..]),
        (&["deploy".to_owned()][..], &["read".to_owned()][..])
    );
    assert_eq!(principal.claims["owner"], "team-a");
    assert!(Arc::ptr_eq(&principal, &gateway.ask(&route, &with_key(key)).unwrap()));
}

#[test]
fn wrong_keys_are_refused_alike_and_told_apart_on_the_record() {
    // A secret that begins with `_` can be read as the end of a longer id, and is then told as mistyped.
    let is_plain = |made: &GeneratedKey| !made.key.expose().starts_with("pcl_a_b.c-d__");
    let good = std::iter::repeat_with(|| generate("a_b.c-d").unwrap()).find(is_plain).unwrap();
    let other = generate("a_b.c-d").unwrap();
    let off = generate("off").unwrap();
    let keys = json!([record(&good, "a_b.c-d", json!({})), record(&off, "off", json!({ "enabled": false }))]);
    let (gateway, route) = gateway(keys, json!({}));
    let good = good.key.expose();
    assert!(gateway.ask(&route, &with_key(good)).is_ok());
    let unknown = generate("stranger").unwrap();
    let mistyped = good.replace("a_b.c-d", "stranger");
    for (key, cause) in [
        (other.key.expose(), "wrong_secret"),
        (unknown.key.expose(), "unknown_key"),
        (mistyped.as_str(), "wrong_checksum"),
        (off.key.expose(), "disabled"),
        (&good.to_uppercase(), "malformed"),
        (good.split_at(good.len() - 1).0, "malformed"),
        (good.split_at(good.len() - 6).0, "wrong_secret"),
        (good.split_at(4).1, "malformed"),
        ("", "malformed"),
        ("pcl_", "malformed"),
        ("pcl__", "malformed"),
        (&format!("pcl__{}", "A".repeat(43)), "malformed"),
        // As keys were before they had a checksum.
        (&format!("pcl_x_{}", "A".repeat(43)), "unknown_key"),
        (&format!("pcl_{}_{}", "i".repeat(65), "A".repeat(43)), "malformed"),
        (&format!("pcl_x_{}", "+".repeat(43)), "malformed"),
        (&format!("{good} "), "malformed"),
        (&format!("{good}, {good}"), "malformed"),
        ("\u{e9}", "malformed"),
    ] {
        let refused = gateway.ask(&route, &with_key(key)).unwrap_err();
        assert_eq!((refused.reason(), refused.cause), (Reason::InvalidKey, Some(cause)), "{key}");
    }
}

#[test]
fn a_key_ends_at_its_moment() {
    let made = generate("a").unwrap();
    let expires =
        humantime::format_rfc3339(std::time::UNIX_EPOCH + std::time::Duration::from_secs(NOW)).to_string();
    let (gateway, route) = gateway(json!([record(&made, "a", json!({ "expires": expires }))]), json!({}));
    assert!(gateway.ask(&route, &with_key(made.key.expose()).at_seconds(NOW - 1)).is_ok());
    let refused = gateway.ask(&route, &with_key(made.key.expose()).at_seconds(NOW)).unwrap_err();
    assert_eq!((refused.reason(), refused.cause), (Reason::InvalidKey, Some("expired")));
}

#[test]
fn the_query_is_read_only_if_asked_for() {
    let made = generate("a").unwrap();
    let key = made.key.expose();
    let keys = json!([record(&made, "a", json!({}))]);
    let in_query = |target: String| Request::to(&target);
    let (header_only, route) = gateway(keys.clone(), json!({}));
    let refused = header_only.ask(&route, &in_query(format!("/?api_key={key}"))).unwrap_err();
    assert_eq!(refused.reason(), Reason::CredentialMissing);

    let (both, route) = gateway(keys, json!({ "query": "api_key" }));
    assert!(both.ask(&route, &in_query(format!("/?x=1&api_key={key}&y"))).is_ok());
    assert!(both.ask(&route, &in_query(format!("/?%61pi_key={key}"))).is_ok());
    assert!(both.ask(&route, &with_key(key)).is_ok());
    let same = in_query(format!("/?api_key={key}")).header("x-api-key", key.as_bytes());
    assert!(both.ask(&route, &same).is_ok());
}

#[test]
fn two_keys_are_ambiguous() {
    let made = generate("a").unwrap();
    let key = made.key.expose();
    let (gateway, route) = gateway(json!([record(&made, "a", json!({}))]), json!({ "query": "api_key" }));
    for request in [
        with_key(key).header("x-api-key", key.as_bytes()),
        with_key(key).header("x-api-key", b"other"),
        Request::to(&format!("/?api_key={key}&api_key={key}")),
        Request::to(&format!("/?api_key={key}&api_ke%79=other")),
        Request::to(&format!("/?api_key={key}&api_key")),
        Request::to("/?api_key=other").header("x-api-key", key.as_bytes()),
        Request::to("/?api_key").header("x-api-key", key.as_bytes()),
    ] {
        let refused = gateway.ask(&route, &request).unwrap_err();
        assert_eq!(refused.reason(), Reason::AmbiguousCredential);
    }
}

#[test]
fn keys_come_from_a_file_as_well() {
    let (inline, filed) = (generate("a").unwrap(), generate("b").unwrap());
    let file = json!([record(&filed, "b", json!({}))]).to_string();
    let method = json!({ "name": "keys", "header": "X-Key", "keys": [record(&inline, "a", json!({}))], "keys_file": "keys.json" });
    let gateway = Gateway::new(json!({ "api_keys": [method] }), &[("keys.json", &file)]);
    let route = gateway.route(json!({ "methods": ["keys"] }));
    for made in [inline, filed] {
        let request = Request::to("/").header("x-key", made.key.expose().as_bytes());
        assert!(gateway.ask(&route, &request).is_ok());
    }
}

#[test]
fn ids_that_no_key_can_have_are_refused() {
    for id in ["", "a b", "ä", "a/b", &"x".repeat(65)] {
        assert!(generate(id).is_err(), "{id}");
    }
}
