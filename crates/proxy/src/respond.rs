//! The one place where a denial becomes an answer.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER, SET_COOKIE,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use portcullis_core::{Challenge, Denial, Head, Notes, Reason, RequestId, StageId};
use portcullis_harden::Exchange;
use portcullis_limit::fields;
use portcullis_pipeline::Snapshot;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The problem document of RFC 9457 for a denial, with the header fields that go with it.
pub(crate) fn refusal(
    snapshot: &Snapshot,
    denial: Denial,
    notes: &Notes,
    head: Option<&Head<'_>>,
) -> Response<Bytes> {
    let reason = denial.reason;
    let body = problem(reason, notes);
    let mut response = Response::new(Bytes::new());
    let answer = notes.answer_to(reason);
    *response.status_mut() = notes.status_of(reason);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.insert(X_REQUEST_ID, request_id_value(notes.request_id));
    let closes = reason.closes_connection() || answer.is_some_and(|answer| answer.closes);
    if closes && head.is_none_or(|head| head.version < http::Version::HTTP_2) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(location) = answer.and_then(|answer| answer.location.as_deref()) {
        insert(headers, LOCATION, location);
    }
    if let Some(redirect) = notes.redirect_for(reason) {
        insert(headers, LOCATION, &redirect.location);
        insert(headers, SET_COOKIE, redirect.cookie.expose());
        insert(headers, CACHE_CONTROL, "no-store");
    }
    add_reason_fields(snapshot, reason, notes, head, headers);
    *response.body_mut() = body;
    response
}

/// The fields that tell a client what the limits are, on allowed and refused requests alike.
pub(crate) fn add_limit_fields(snapshot: &Snapshot, notes: &Notes, headers: &mut HeaderMap) {
    if notes.limits.is_empty() {
        return;
    }
    let mut text = String::with_capacity(64);
    fields::write_policy(&notes.limits, &mut text);
    insert(headers, HeaderName::from_static("ratelimit-policy"), &text);
    text.clear();
    fields::write_rate_limit(&notes.limits, &mut text);
    insert(headers, HeaderName::from_static("ratelimit"), &text);
    text.clear();
    fields::write_warning(&notes.limits, &mut text);
    if !text.is_empty() {
        insert(headers, HeaderName::from_static("quota-warning"), &text);
    }
    if let Some(told) = snapshot.legacy_limit_fields.numbers(&notes.limits, notes.received) {
        for (name, number) in [
            ("x-ratelimit-limit", told.limit),
            ("x-ratelimit-remaining", told.remaining),
            ("x-ratelimit-reset", told.reset),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(number));
        }
    }
}

/// The request's name as a header value.
pub(crate) fn request_id_value(id: RequestId) -> HeaderValue {
    HeaderValue::from_bytes(&id.hex()).unwrap_or(HeaderValue::from_static(""))
}

/// The bytes of an answer to something that never became a request: written when hyper has given up.
pub(crate) fn raw_refusal(snapshot: &Snapshot, reason: Reason, id: RequestId, secure: bool) -> Vec<u8> {
    let notes = Notes::new(id, portcullis_core::Timestamp(0));
    let mut response = refusal(snapshot, Denial::new(StageId::Protocol, reason), &notes, None);
    let exchange = Exchange { secure, authenticated: false, origin: None, status: response.status() };
    snapshot.unrouted.apply(&exchange, response.headers_mut());
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    let status = response.status();
    let phrase = status.canonical_reason().unwrap_or("Error");
    let mut bytes = format!("HTTP/1.1 {} {phrase}\r\n", status.as_u16()).into_bytes();
    for (name, value) in response.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(response.body());
    bytes
}

fn problem(reason: Reason, notes: &Notes) -> Bytes {
    let status = notes.status_of(reason);
    let title = status.canonical_reason().unwrap_or("Error");
    // Every text here is ours and needs no escaping, except what policies' authors wrote.
    let mut text = String::with_capacity(256);
    let _ = write!(
        text,
        "{{\"type\":\"{}\",\"title\":\"{title}\",\"status\":{},\"detail\":\"{}\",\"code\":\"{}\",\"request_id\":\"{}\"",
        reason.problem_type(),
        status.as_u16(),
        reason.detail(),
        reason.code(),
        notes.request_id,
    );
    if matches!(reason, Reason::RateLimited | Reason::QuotaExceeded) {
        let names: Vec<&str> = notes
            .limits
            .iter()
            .filter(|limit| limit.exceeded && !limit.watches)
            .map(|limit| &*limit.name)
            .collect();
        let _ = write!(text, ",\"violated-policies\":{}", serde_json::json!(names));
    }
    if let (Reason::TooManyAtOnce, Some(name)) = (reason, notes.full.as_deref()) {
        let _ = write!(text, ",\"violated-policies\":{}", serde_json::json!([name]));
    }
    if let Some(challenge) = notes.challenge.as_deref() {
        write_challenge(challenge, &mut text);
    }
    text.push('}');
    Bytes::from(text)
}

/// What the caller would have to bring.
fn write_challenge(challenge: &Challenge, text: &mut String) {
    if !challenge.acr_values.is_empty() {
        let _ = write!(text, ",\"acr_values\":{}", serde_json::json!(challenge.acr_values));
    }
    if let Some(max_age) = challenge.max_age {
        let _ = write!(text, ",\"max_age\":{max_age}");
    }
    if !challenge.scopes.is_empty() {
        let _ = write!(text, ",\"scopes\":{}", serde_json::json!(challenge.scopes));
    }
    if let Some(message) = &challenge.message {
        let _ = write!(text, ",\"message\":{}", serde_json::json!(message));
    }
}

/// A nonce for the next proof of possession (RFC 9449 section 9).
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

fn add_reason_fields(
    snapshot: &Snapshot,
    reason: Reason,
    notes: &Notes,
    head: Option<&Head<'_>>,
    headers: &mut HeaderMap,
) {
    add_limit_fields(snapshot, notes, headers);
    let route = notes.route.and_then(|id| snapshot.route(id));
    match reason.status() {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            if let Some(route) = route {
                if let Some(nonce) = snapshot.authentication.dpop_nonce(reason, notes.received) {
                    insert(headers, DPOP_NONCE, &nonce);
                }
                for challenge in snapshot.authentication.challenges(&route.authenticate, reason, notes) {
                    headers.append(WWW_AUTHENTICATE, challenge);
                }
            }
        }
        StatusCode::TOO_MANY_REQUESTS => {
            headers.insert(RETRY_AFTER, HeaderValue::from(fields::retry_after(&notes.limits).unwrap_or(1)));
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            let allowed = head.map(|head| snapshot.router.allowed_methods(head)).unwrap_or_default();
            let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
            insert(headers, ALLOW, &names.join(", "));
        }
        _ => {}
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use portcullis_core::Timestamp;

    use super::*;

    #[test]
    fn problem_documents_are_json_for_every_reason() {
        for &reason in Reason::ALL {
            let mut notes = Notes::new(RequestId(7), Timestamp(0));
            notes.challenge = Some(Arc::new(Challenge {
                acr_values: vec!["a\"b".into()],
                max_age: Some(5),
                scopes: vec!["s".into()],
                message: Some("say \"please\"".into()),
            }));
            let document: serde_json::Value = serde_json::from_slice(&problem(reason, &notes)).unwrap();
            assert_eq!(document["code"], reason.code());
            assert_eq!(document["status"], reason.status().as_u16());
            assert_eq!(document["request_id"], format!("{:032x}", 7));
        }
    }
}
