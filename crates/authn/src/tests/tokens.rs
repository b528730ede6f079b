//! Tokens that are accepted, and what becomes of them.

use jsonwebtoken::{EncodingKey, Header};
use portcullis_core::{PrincipalKind, Reason, Timestamp};
use portcullis_oidc::{Algorithm, KeyKind};
use serde_json::json;

use super::fixture::*;
use crate::mint::{SigningKey, mint_jwt};

#[test]
fn a_good_token_makes_a_principal() {
    let (gateway, route) = gateway_with(json!({}));
    let token = RSA.mint(None, &claims()).unwrap();
    let principal = gateway.ask(&route, &Request::bearer(&token)).unwrap();
    assert_eq!(principal.kind, PrincipalKind::User);
    assert_eq!(principal.id, "alice");
    assert_eq!(principal.issuer.as_deref(), Some(ISSUER));
    assert_eq!(principal.method, "main");
    assert_eq!(principal.roles, ["clerk"]);
    assert_eq!(principal.scopes, ["read", "write"]);
    assert_eq!(principal.claims["exp"], json!(NOW + 300));
    assert_eq!(principal.expires, Some(Timestamp::from_secs(NOW + 330)), "with the leeway");
}

#[test]
fn every_algorithm_verifies_what_it_signed() {
    for algorithm in Algorithm::ALL {
        let secret = "s".repeat(64);
        let (signer, keys, file) = if algorithm.key_kind() == KeyKind::Secret {
            let signer = SigningKey::from_secret(secret.as_bytes(), algorithm).unwrap();
            (signer, json!({ "secret": secret }), String::new())
        } else {
            let signer = SigningKey::generate(algorithm).unwrap();
            let pem = signer.public_pem().unwrap();
            (signer, json!({ "pem": "key.pem" }), pem)
        };
        let method = method_with(json!({ "algorithms": [algorithm.name()], "keys": keys }));
        let gateway = Gateway::new(json!({ "jwt": [method] }), &[("key.pem", &file)]);
        let route = gateway.route(json!({ "methods": ["main"] }));

        let token = signer.mint(Some("any"), &claims()).unwrap();
        assert_eq!(gateway.ask(&route, &Request::bearer(&token)).unwrap().id, "alice", "{algorithm:?}");

        let (message, _) = token.rsplit_once('.').unwrap();
        let other = signer.mint(Some("any"), &claims_with(json!({ "sub": "mallory" }))).unwrap();
        let (_, foreign) = other.rsplit_once('.').unwrap();
        let forged = gateway.ask(&route, &Request::bearer(&format!("{message}.{foreign}"))).unwrap_err();
        assert_eq!(forged.cause, Some("signature"), "{algorithm:?}");
    }
}

/// Another library signs, so that signer and verifier cannot be wrong in the same way.
#[test]
fn tokens_of_another_implementation_verify() {
    for algorithm in
        [Algorithm::Rs256, Algorithm::Ps512, Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa]
    {
        let signer = SigningKey::generate(algorithm).unwrap();
        let private = signer.private_pem().unwrap();
        let private = private.expose().as_bytes();
        let key = match algorithm.key_kind() {
            KeyKind::Rsa => EncodingKey::from_rsa_pem(private),
            KeyKind::Ed25519 => EncodingKey::from_ed_pem(private),
            _ => EncodingKey::from_ec_pem(private),
        };
        let header = Header::new(algorithm.name().parse().unwrap());
        let token = jsonwebtoken::encode(&header, &claims(), &key.unwrap()).unwrap();

        let method = method_with(json!({ "algorithms": [algorithm.name()], "keys": { "pem": "key.pem" } }));
        let gateway = Gateway::new(json!({ "jwt": [method] }), &[("key.pem", &signer.public_pem().unwrap())]);
        let route = gateway.route(json!({ "methods": ["main"] }));
        assert_eq!(gateway.ask(&route, &Request::bearer(&token)).unwrap().id, "alice", "{algorithm:?}");
    }
}

#[test]
fn keys_survive_the_way_through_pem() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es384, Algorithm::Es512, Algorithm::EdDsa] {
        let original = SigningKey::generate(algorithm).unwrap();
        let private = original.private_pem().unwrap();
        let copy = SigningKey::from_pem(private.expose(), algorithm).unwrap();
        assert_eq!(copy.public_pem(), original.public_pem());
        assert!(mint_jwt(private.expose(), algorithm, Some("k"), &claims()).is_ok());
        assert!(mint_jwt(private.expose(), Algorithm::Hs256, None, &claims()).is_err());
        assert!(!format!("{original:?} {private:?}").contains("PRIVATE"));
    }
}

/// The leeway of 30 seconds is exact to the nanosecond, at both ends. Without a cache, because here time goes
/// backwards.
#[test]
fn times_are_checked_with_the_leeway() {
    let raw = json!({ "jwt": [method_with(json!({}))], "cache": { "max_entries": 0 } });
    let (gateway, route) = gateway_of(raw);
    let just_before = |seconds: u64| Timestamp(Timestamp::from_secs(seconds).0 - 1);
    let on = Timestamp::from_secs;
    for (changes, now, expected) in [
        (json!({ "exp": NOW }), on(NOW - 1), None),
        (json!({ "exp": NOW }), on(NOW + 29), None),
        (json!({ "exp": NOW }), just_before(NOW + 30), None),
        (json!({ "exp": NOW }), on(NOW + 30), Some("expired")),
        (json!({ "exp": NOW as f64 + 0.5 }), on(NOW + 30), None),
        (json!({ "exp": NOW as f64 + 0.5 }), on(NOW + 31), Some("expired")),
        (json!({ "exp": 0 }), on(NOW), Some("expired")),
        (json!({ "exp": u64::MAX }), on(NOW), None),
        (json!({ "exp": -1 }), on(NOW), Some("malformed_time")),
        (json!({ "exp": NOW.to_string() }), on(NOW), Some("malformed_time")),
        (json!({ "exp": null }), on(NOW), Some("no_expiry")),
        (json!({ "nbf": NOW + 30 }), on(NOW), None),
        (json!({ "nbf": NOW + 30 }), just_before(NOW), Some("not_before")),
        (json!({ "nbf": NOW + 31 }), on(NOW), Some("not_before")),
        (json!({ "nbf": "soon" }), on(NOW), Some("malformed_time")),
        (json!({ "nbf": null, "iat": null }), on(NOW), None),
        (json!({ "iat": NOW + 30 }), on(NOW), None),
        (json!({ "iat": NOW + 31 }), on(NOW), Some("issued_in_future")),
        (json!({ "iat": {} }), on(NOW), Some("malformed_time")),
    ] {
        let token = RSA.mint(None, &claims_with(changes.clone())).unwrap();
        let outcome = gateway.ask(&route, &Request::bearer(&token).at(now));
        assert_eq!(
            outcome.as_ref().err().and_then(|refused| refused.cause),
            expected,
            "{changes} at {now:?}"
        );
        let reason = outcome.err().map(|refused| refused.reason());
        let expected = expected
            .map(|cause| if cause == "expired" { Reason::ExpiredToken } else { Reason::InvalidToken });
        assert_eq!(reason, expected, "{changes}");
    }
}

#[test]
fn leeway_types_claims_and_sizes_are_as_configured() {
    for (settings, header, changes, expected) in [
        (json!({ "leeway": "0s" }), json!({}), json!({ "exp": NOW }), Some("expired")),
        (json!({ "leeway": "5m" }), json!({}), json!({ "exp": NOW - 299 }), None),
        (json!({ "types": ["at+jwt"] }), json!({ "typ": "at+jwt" }), json!({}), None),
        (json!({ "types": ["at+jwt"] }), json!({ "typ": "application/AT+JWT" }), json!({}), None),
        (json!({ "types": ["at+jwt"] }), json!({ "typ": "JWT" }), json!({}), Some("type")),
        (json!({ "types": ["at+jwt"] }), json!({}), json!({}), Some("type")),
        (json!({ "required_claims": ["tenant"] }), json!({}), json!({}), Some("required_claim")),
        (json!({ "required_claims": ["tenant"] }), json!({}), json!({ "tenant": "t" }), None),
        (json!({ "required_claims": ["org.id"] }), json!({}), json!({ "org": { "id": 7 } }), None),
        (json!({ "required_claims": ["org.id"] }), json!({}), json!({ "org": {} }), Some("required_claim")),
        (json!({ "max_token": "600B" }), json!({}), json!({ "pad": "x".repeat(300) }), Some("too_long")),
        (json!({ "max_token": "2KiB" }), json!({}), json!({ "pad": "x".repeat(300) }), None),
        (json!({ "audiences": ["a", "orders"] }), json!({}), json!({}), None),
        (json!({ "audiences": ["a", "b"] }), json!({}), json!({}), Some("audience")),
    ] {
        let (gateway, route) = gateway_with(settings.clone());
        let mut full = json!({ "alg": "RS256" });
        full.as_object_mut().unwrap().extend(header.as_object().unwrap().clone());
        let payload = json!(claims_with(changes)).to_string();
        let token = RSA.sign(full.to_string().as_bytes(), payload.as_bytes()).unwrap();
        let outcome = gateway.ask(&route, &Request::bearer(&token));
        assert_eq!(outcome.err().and_then(|refused| refused.cause), expected, "{settings} {full}");
    }
}

#[test]
fn roles_come_from_the_configured_claim() {
    let (gateway, route) = gateway_with(json!({ "roles_claim": "realm_access.roles" }));
    let token = RSA.mint(None, &claims_with(json!({ "realm_access": { "roles": ["a", "b"] } }))).unwrap();
    assert_eq!(gateway.ask(&route, &Request::bearer(&token)).unwrap().roles, ["a", "b"]);
}

#[test]
fn another_header_holds_the_token_alone() {
    let (gateway, route) = gateway_with(json!({ "header": "X-Assertion" }));
    let token = RSA.mint(None, &claims()).unwrap();
    let ask = |request: Request| gateway.ask(&route, &request).map_err(|refused| refused.reason());
    assert!(ask(Request::to("/").header("x-assertion", token.as_bytes())).is_ok());
    let with_scheme = format!("Bearer {token}");
    assert_eq!(
        ask(Request::to("/").header("x-assertion", with_scheme.as_bytes())).unwrap_err(),
        Reason::InvalidToken
    );
    assert_eq!(ask(Request::bearer(&token)).unwrap_err(), Reason::CredentialMissing);
}
