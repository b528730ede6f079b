//! What a cached credential does not outlive, and what it does not get around.

use std::sync::Arc;

use portcullis_core::{Reason, Timestamp};
use serde_json::json;

use super::fixture::*;

#[test]
fn a_token_that_comes_again_is_the_same_principal() {
    let (gateway, route) = gateway_with(json!({}));
    let request = Request::bearer(&RSA.mint(None, &claims()).unwrap());
    let first = gateway.ask(&route, &request).unwrap();
    let second = gateway.ask(&route, &request).unwrap();
    assert!(Arc::ptr_eq(&first, &second));

    let other = Request::bearer(&RSA.mint(None, &claims_with(json!({ "jti": "2" }))).unwrap());
    let other = gateway.ask(&route, &other).unwrap();
    assert_ne!(other.serial, first.serial);
}

#[test]
fn without_entries_every_token_is_verified() {
    let (gateway, route) =
        gateway_of(json!({ "jwt": [method_with(json!({}))], "cache": { "max_entries": 0 } }));
    let request = Request::bearer(&RSA.mint(None, &claims()).unwrap());
    let first = gateway.ask(&route, &request).unwrap();
    let second = gateway.ask(&route, &request).unwrap();
    assert_ne!(first.serial, second.serial);
}

#[test]
fn a_cached_token_expires_to_the_nanosecond() {
    let (gateway, route) = gateway_with(json!({}));
    let token = RSA.mint(None, &claims_with(json!({ "exp": NOW + 10 }))).unwrap();
    let end = Timestamp::from_secs(NOW + 40);
    let first = gateway.ask(&route, &Request::bearer(&token)).unwrap();
    let last = gateway.ask(&route, &Request::bearer(&token).at(Timestamp(end.0 - 1))).unwrap();
    assert!(Arc::ptr_eq(&first, &last));
    let refused = gateway.ask(&route, &Request::bearer(&token).at(end)).unwrap_err();
    assert_eq!(refused.reason(), Reason::ExpiredToken);
}

#[test]
fn a_cached_token_does_not_reach_the_audience_of_another_method() {
    let other = method_with(json!({ "name": "other", "audiences": ["invoices"] }));
    let (gateway, orders) = gateway_of(json!({ "jwt": [method_with(json!({})), other] }));
    let invoices = gateway.route(json!({ "methods": ["other"] }));
    let request = Request::bearer(&RSA.mint(None, &claims()).unwrap());
    for _ in 0..2 {
        assert!(gateway.ask(&orders, &request).is_ok());
        let refused = gateway.ask(&invoices, &request).unwrap_err();
        assert_eq!((refused.reason(), refused.cause), (Reason::InvalidToken, Some("audience")));
    }

    // A token for both is verified by each for itself.
    let both =
        Request::bearer(&RSA.mint(None, &claims_with(json!({ "aud": ["orders", "invoices"] }))).unwrap());
    for _ in 0..2 {
        assert_eq!(gateway.ask(&orders, &both).unwrap().method, "main");
        assert_eq!(gateway.ask(&invoices, &both).unwrap().method, "other");
    }
}

#[test]
fn a_route_asks_for_its_scopes_each_time() {
    let (gateway, open) = gateway_with(json!({}));
    let closed = gateway.route(json!({ "methods": ["main"], "scopes": { "all": ["admin"] } }));
    let request = Request::bearer(&RSA.mint(None, &claims()).unwrap());
    for _ in 0..2 {
        assert!(gateway.ask(&open, &request).is_ok());
        assert_eq!(gateway.ask(&closed, &request).unwrap_err().reason(), Reason::InsufficientScope);
    }
}

#[test]
fn refusals_are_not_remembered() {
    let (gateway, route) = gateway_with(json!({}));
    let token = RSA.mint(None, &claims_with(json!({ "nbf": NOW + 100 }))).unwrap();
    assert!(gateway.ask(&route, &Request::bearer(&token)).is_err());
    assert!(gateway.ask(&route, &Request::bearer(&token).at_seconds(NOW + 100)).is_ok());
}

#[test]
fn a_new_configuration_starts_with_nothing() {
    let raw = json!({ "jwt": [method_with(json!({}))] });
    let (gateway, route) = gateway_of(raw.clone());
    let request = Request::bearer(&RSA.mint(None, &claims()).unwrap());
    let before = gateway.ask(&route, &request).unwrap();
    let gateway = gateway.reload(raw);
    let route = gateway.route(json!({ "methods": ["main"] }));
    assert_ne!(gateway.ask(&route, &request).unwrap().serial, before.serial);
}
