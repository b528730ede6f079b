use std::sync::Arc;

use portcullis_core::{Challenge, Reason};
use serde_json::json;

use super::fixture::*;
use crate::Authenticate;

fn gateway() -> (Gateway, Authenticate) {
    let (gateway, _) = gateway_of(json!({
        "realm": "Example API",
        "jwt": [method_with(json!({})), method_with(json!({ "name": "second", "issuer": "https://b.example.com" }))],
        "api_keys": [{ "name": "keys" }],
    }));
    let route = gateway.route(json!({ "methods": ["main", "second", "keys"] }));
    (gateway, route)
}

fn challenges(reason: Reason, challenge: Option<Challenge>) -> Vec<String> {
    let (gateway, route) = gateway();
    let mut notes = Request::to("/").notes();
    notes.challenge = challenge.map(Arc::new);
    let values = gateway.authentication.challenges(&route, reason, &notes);
    values.iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

fn asks_for(acr_values: &[&str], max_age: Option<u64>, scopes: &[&str]) -> Option<Challenge> {
    let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    Some(Challenge { acr_values: owned(acr_values), max_age, scopes: owned(scopes), message: None })
}

#[test]
fn each_kind_of_credential_is_named_once() {
    let api_key = r#"ApiKey realm="Example API", header="x-api-key""#;
    for (reason, challenge, bearer, keys) in [
        (Reason::CredentialMissing, None, r#"Bearer realm="Example API""#, api_key.to_owned()),
        (
            Reason::InvalidToken,
            None,
            r#"Bearer realm="Example API", error="invalid_token", error_description="The token is not valid.""#,
            api_key.to_owned(),
        ),
        (
            Reason::ExpiredToken,
            None,
            r#"Bearer realm="Example API", error="invalid_token", error_description="The token has expired.""#,
            api_key.to_owned(),
        ),
        (
            Reason::InvalidKey,
            None,
            r#"Bearer realm="Example API""#,
            format!(r#"{api_key}, error="invalid_key""#),
        ),
        (
            Reason::InsufficientScope,
            asks_for(&[], None, &["read", "write"]),
            r#"Bearer realm="Example API", error="insufficient_scope", scope="read write""#,
            api_key.to_owned(),
        ),
        (
            Reason::StepUpRequired,
            asks_for(&["mfa", "hw\"k\\\r\n"], Some(60), &[]),
            r#"Bearer realm="Example API", error="insufficient_user_authentication", error_description="A stronger authentication is needed.", acr_values="mfa hwk", max_age="60""#,
            api_key.to_owned(),
        ),
    ] {
        assert_eq!(challenges(reason, challenge), [bearer.to_owned(), keys], "{reason:?}");
    }
}

#[test]
fn other_answers_have_none() {
    for &reason in Reason::ALL {
        let expected = reason.status() == 401 || reason == Reason::InsufficientScope;
        assert_eq!(!challenges(reason, None).is_empty(), expected, "{reason:?}");
    }
}
