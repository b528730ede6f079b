//! What a route takes: methods in order, anonymous callers, scopes.

use std::sync::Arc;

use portcullis_core::{PrincipalKind, Reason};
use portcullis_oidc::Algorithm;
use serde_json::{Value, json};

use super::fixture::*;
use crate::api_key::generate;
use crate::mint::SigningKey;

const OTHER_ISSUER: &str = "https://other.example.com";

/// Two issuers and a list with one key.
fn gateway() -> (Gateway, String) {
    let made = generate("robot").unwrap();
    let other = method_with(json!({
        "name": "other", "issuer": OTHER_ISSUER, "algorithms": ["ES256"], "keys": { "pem": "ec.pem" },
    }));
    let keys = json!({ "name": "keys", "keys": [{ "id": "robot", "hash": made.hash, "scopes": ["read"] }] });
    let (gateway, _) = gateway_of(json!({ "jwt": [method_with(json!({})), other], "api_keys": [keys] }));
    (gateway, made.key.expose().to_owned())
}

fn token() -> String {
    RSA.mint(None, &claims()).unwrap()
}

fn reason(gateway: &Gateway, route: Value, request: &Request) -> Reason {
    gateway.ask(&gateway.route(route), request).unwrap_err().reason()
}

#[test]
fn nobody_is_let_in_unless_anonymous_is_written() {
    let (gateway, _) = gateway();
    let bare = Request::to("/");
    assert_eq!(reason(&gateway, json!({ "methods": ["main"] }), &bare), Reason::CredentialMissing);
    let open = gateway.route(json!({ "methods": ["main", "anonymous"] }));
    let anonymous = gateway.ask(&open, &bare).unwrap();
    assert_eq!(anonymous.kind, PrincipalKind::Anonymous);
    assert!(Arc::ptr_eq(&anonymous, gateway.authentication.anonymous()));
    assert!(open.allows_anonymous());
}

#[test]
fn a_wrong_credential_is_not_none() {
    let (gateway, key) = gateway();
    let open = || json!({ "methods": ["main", "keys", "anonymous"] });
    for (request, expected) in [
        (Request::bearer("nonsense"), Reason::InvalidToken),
        (Request::bearer(""), Reason::InvalidToken),
        (Request::to("/").header("authorization", b"Bearer"), Reason::InvalidToken),
        (Request::to("/").header("authorization", b""), Reason::InvalidToken),
        (Request::to("/").header("authorization", b"Basic YTpi"), Reason::InvalidToken),
        (Request::to("/").header("authorization", b"DPoP x.y.z"), Reason::InvalidToken),
        (Request::to("/").header("x-api-key", b""), Reason::InvalidKey),
        (Request::to("/").header("x-api-key", b"wrong"), Reason::InvalidKey),
        (Request::bearer("nonsense").header("x-api-key", key.as_bytes()), Reason::InvalidToken),
    ] {
        assert_eq!(reason(&gateway, open(), &request), expected, "{:?}", request.head().headers);
    }
}

#[test]
fn two_authorization_headers_are_ambiguous() {
    let (gateway, _) = gateway();
    let token = token();
    for second in [format!("Bearer {token}"), "Bearer x".to_owned(), "Basic x".to_owned()] {
        let request = Request::bearer(&token).header("authorization", second.as_bytes());
        assert_eq!(reason(&gateway, json!({ "methods": ["main"] }), &request), Reason::AmbiguousCredential);
    }
}

#[test]
fn the_first_method_whose_credential_is_present_decides() {
    let (gateway, key) = gateway();
    let both = Request::bearer(&token()).header("x-api-key", key.as_bytes());
    let only_key = Request::to("/").header("x-api-key", key.as_bytes());
    for (methods, request, expected) in [
        (json!(["main", "keys"]), &both, "alice"),
        (json!(["keys", "main"]), &both, "robot"),
        (json!(["main", "keys"]), &only_key, "robot"),
    ] {
        let route = gateway.route(json!({ "methods": methods }));
        assert_eq!(gateway.ask(&route, request).unwrap().id, expected);
    }
    let wrong_key = Request::bearer(&token()).header("x-api-key", b"wrong");
    assert_eq!(reason(&gateway, json!({ "methods": ["keys", "main"] }), &wrong_key), Reason::InvalidKey);
    let not_asked = gateway.route(json!({ "methods": ["main"] }));
    assert_eq!(gateway.ask(&not_asked, &wrong_key).unwrap().id, "alice");
}

#[test]
fn of_several_issuers_the_one_in_the_token_decides() {
    let (gateway, _) = gateway();
    let route = gateway.route(json!({ "methods": ["main", "other"] }));
    let from_other = claims_with(json!({ "iss": OTHER_ISSUER }));
    for _ in 0..2 {
        assert_eq!(gateway.ask(&route, &Request::bearer(&token())).unwrap().method, "main");
        let request = Request::bearer(&EC.mint(None, &from_other).unwrap());
        assert_eq!(gateway.ask(&route, &request).unwrap().method, "other");
    }
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    for (token, cause) in [
        (EC.mint(None, &claims()), "algorithm"),
        (RSA.mint(None, &from_other), "algorithm"),
        (stranger.mint(None, &from_other), "signature"),
        (RSA.mint(None, &claims_with(json!({ "iss": "https://third.example.com" }))), "issuer"),
        (RSA.mint(None, &claims_with(json!({ "iss": null }))), "issuer"),
    ] {
        let refused = gateway.ask(&route, &Request::bearer(&token.unwrap())).unwrap_err();
        assert_eq!(refused.cause, Some(cause));
    }
}

#[test]
fn scopes_are_asked_for() {
    let (gateway, key) = gateway();
    let scoped = |scopes: Value| json!({ "methods": ["main", "keys"], "scopes": scopes });
    let user = Request::bearer(&token());
    for (scopes, missing) in [
        (json!({ "all": ["read", "write"] }), None),
        (json!({ "any": ["admin", "write"] }), None),
        (json!({ "all": ["read"], "any": ["write"] }), None),
        (json!({ "all": ["read", "admin"] }), Some(vec!["admin"])),
        (json!({ "any": ["admin", "audit"] }), Some(vec!["admin", "audit"])),
        (json!({ "all": ["READ"] }), Some(vec!["READ"])),
        (json!({ "all": ["rea"], "any": ["read"] }), Some(vec!["rea"])),
    ] {
        let route = gateway.route(scoped(scopes.clone()));
        let mut notes = user.notes();
        let outcome = gateway.authentication.authenticate(&route, "orders", &user.head(), &mut notes);
        assert_eq!(notes.principal.as_ref().map(|principal| principal.id.as_str()), Some("alice"));
        match missing {
            None => assert!(outcome.is_ok(), "{scopes}"),
            Some(missing) => {
                assert_eq!(outcome.unwrap_err().reason(), Reason::InsufficientScope);
                assert_eq!(notes.challenge.unwrap().scopes, missing, "{scopes}");
            }
        }
    }
    let robot = Request::to("/").header("x-api-key", key.as_bytes());
    assert!(gateway.ask(&gateway.route(scoped(json!({ "all": ["read"] }))), &robot).is_ok());
    assert_eq!(reason(&gateway, scoped(json!({ "all": ["write"] })), &robot), Reason::InsufficientScope);
}

#[test]
fn off_reads_no_credential() {
    let (gateway, _) = gateway();
    let off = gateway.route(json!({ "mode": "off", "methods": ["main"], "scopes": { "all": ["admin"] } }));
    for request in [Request::to("/"), Request::bearer("nonsense"), Request::bearer(&token())] {
        assert_eq!(gateway.ask(&off, &request).unwrap().kind, PrincipalKind::Anonymous);
    }
}
