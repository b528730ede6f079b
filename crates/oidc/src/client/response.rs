//! What a token endpoint answers.

use std::time::Duration;

use http::{Response, StatusCode};
use portcullis_core::Secret;
use serde_json::{Map, Value};

use super::{Scopes, TokenClientError};
use crate::json;

/// Tokens from a provider.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// The access token.
    pub access: Secret,
    /// For how long it holds, if the provider says it.
    pub lifetime: Option<Duration>,
    /// The refresh token. If a refresh brings none, the one from before still holds.
    pub refresh: Option<Secret>,
    /// The ID token, as yet nobody's word.
    pub id: Option<Secret>,
    /// The scopes, if they are others than were asked for (RFC 6749 section 5.1).
    pub scopes: Option<Scopes>,
}

impl Tokens {
    pub(crate) fn parse(response: &Response<bytes::Bytes>) -> Result<Self, TokenClientError> {
        let members = object(response)?;
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let secret = |name: &str| text(name).filter(|text| !text.is_empty()).map(Secret::new);
        // RFC 6749 section 7.1: a token of an unknown type must not be used.
        if !text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(TokenClientError::BadAnswer("its `token_type` is not `Bearer`"));
        }
        Ok(Self {
            access: secret("access_token").ok_or(TokenClientError::BadAnswer("it has no `access_token`"))?,
            lifetime: members.get("expires_in").and_then(seconds),
            refresh: secret("refresh_token"),
            id: secret("id_token"),
            scopes: text("scope").map(Scopes::parse),
        })
    }
}

/// Some providers write the number as a string.
fn seconds(value: &Value) -> Option<Duration> {
    let seconds = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    Some(Duration::from_secs(seconds))
}

/// The JSON object of a `200`; or the error that the answer is.
pub(crate) fn object(response: &Response<bytes::Bytes>) -> Result<Map<String, Value>, TokenClientError> {
    let body = json::object(response.body());
    if response.status() == StatusCode::OK {
        return body.ok_or(TokenClientError::BadAnswer("it is not a JSON object without repeated members"));
    }
    let error = body.as_ref().and_then(|members| members.get("error")).and_then(Value::as_str);
    match error {
        // RFC 6749 section 5.2: names of errors have no other characters. What else the answer says stays unread, since it
        // may quote what was sent.
        Some(name)
            if name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') =>
        {
            Err(TokenClientError::Refused { status: response.status(), error: name.to_owned() })
        }
        _ => Err(TokenClientError::Status(response.status())),
    }
}
