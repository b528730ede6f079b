//! Tokens for services, with time in hand.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_core::{ConfigFolder, KeyPath, Principal, PrincipalKind, Problems, Timestamp};
use portcullis_oidc::Algorithm;
use portcullis_oidc::mint::SigningKey;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;

use crate::internal_token::{InternalToken, InternalTokens};

fn tokens(more: Value) -> Arc<InternalTokens> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    std::fs::write(&path, key.private_pem().unwrap().expose()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut raw = json!({ "issuer": "gate", "key": "key.pem" });
    raw.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut problems = Problems::default();
    let raw = serde_json::from_value(raw).unwrap();
    let folder = ConfigFolder::new(folder.path());
    let tokens = InternalTokens::compile(&raw, &folder, &KeyPath::root(), &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    Arc::new(tokens.unwrap())
}

fn token(tokens: &Arc<InternalTokens>, raw: Value) -> InternalToken {
    let mut problems = Problems::default();
    let raw = serde_json::from_value(raw).unwrap();
    let token = InternalToken::compile(&raw, Some(tokens), &KeyPath::root(), &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    token.unwrap()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn ann(expires: Option<u64>) -> Principal {
    let mut ann = Principal::new(PrincipalKind::User, "ann", "staff");
    ann.issuer = Some("https://idp.test".to_owned());
    ann.expires = expires.map(at);
    ann
}

fn issued(token: &InternalToken, principal: &Principal, now: u64) -> String {
    token.issue(principal, at(now)).unwrap().to_str().unwrap().to_owned()
}

fn claims(text: &str) -> Value {
    let payload = text.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[test]
fn a_token_is_used_for_half_its_time() {
    let tokens = tokens(json!({ "lifetime": "60s" }));
    let (token, ann) = (token(&tokens, json!({ "audience": "shop" })), ann(None));
    let first = issued(&token, &ann, 1000);
    assert_eq!((claims(&first)["iat"].clone(), claims(&first)["exp"].clone()), (json!(1000), json!(1060)));
    assert_eq!(issued(&token, &ann, 1029), first);
    let second = issued(&token, &ann, 1030);
    assert_eq!(claims(&second)["exp"], 1090);
    assert_ne!(claims(&second)["jti"], claims(&first)["jti"]);
}

#[test]
fn a_token_ends_with_the_credential() {
    let tokens = tokens(json!({ "lifetime": "60s" }));
    let token = token(&tokens, json!({ "audience": "shop" }));
    let mut late = ann(Some(1020));
    assert_eq!(claims(&issued(&token, &late, 1000))["exp"], 1020);
    assert_eq!(claims(&issued(&token, &late, 1011))["exp"], 1020);
    // Clocks differ, and the gateway is lenient; the token is not.
    late = ann(Some(1050));
    late.leeway = Duration::from_secs(30);
    assert_eq!(claims(&issued(&token, &late, 1000))["exp"], 1020);
    let past = issued(&token, &late, 1030);
    assert_eq!(claims(&past)["exp"], 1020);
    assert_eq!(issued(&token, &late, 1030), past, "and one at its end is no signature a request");
}

#[test]
fn a_token_is_for_one_credential_and_one_audience() {
    let tokens = tokens(json!({}));
    let shop = token(&tokens, json!({ "audience": "shop" }));
    let (ann, again) = (ann(None), ann(None));
    let first = issued(&shop, &ann, 1000);
    assert_ne!(issued(&shop, &again, 1000), first, "the same person, another credential");
    let same = token(&tokens, json!({ "audience": "shop" }));
    assert_eq!(issued(&same, &ann, 1000), first, "another route with the same");
    for other in [
        json!({ "audience": "bills" }),
        json!({ "audience": "shop", "header": "X-Token" }),
        json!({ "audience": "shop", "claims": { "roles": "roles" } }),
    ] {
        assert_ne!(issued(&token(&tokens, other.clone()), &ann, 1000), first, "{other}");
    }
    assert_eq!(issued(&shop, &ann, 1000), first);
}

#[test]
fn what_is_written_into_it() {
    let tokens = tokens(json!({}));
    let claimed =
        json!({ "roles": "roles", "scope": "scopes", "tenant": "claim:org", "mail": "claim:email" });
    let token = token(&tokens, json!({ "audience": "shop", "header": "X-Token", "claims": claimed }));
    let mut ann = ann(None);
    ann.roles = vec!["clerk".to_owned()];
    ann.scopes = vec!["read".to_owned(), "write".to_owned()];
    ann.claims.insert("org".to_owned(), json!({ "id": 7 }));
    let value = token.issue(&ann, at(1000)).unwrap();
    assert!(value.is_sensitive());
    let mut claims = claims(value.to_str().unwrap());
    assert!(claims.as_object_mut().unwrap().remove("jti").is_some());
    assert_eq!(
        claims,
        json!({
            "iss": "gate", "sub": "ann", "aud": "shop", "iat": 1000, "exp": 1060,
            "principal": { "kind": "user", "method": "staff", "issuer": "https://idp.test" },
            "roles": ["clerk"], "scope": "read write", "tenant": { "id": 7 },
        })
    );
}
