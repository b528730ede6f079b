//! Keys that a provider publishes, and changes.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::Response;
use portcullis_core::{Clock, ManualClock, Reason, Timestamp};
use portcullis_oidc::{Algorithm, Fetch, FetchError, Sending};
use serde_json::{Value, json};

use super::fixture::*;
use crate::mint::SigningKey;
use crate::{Authenticate, Need, Refusal};

/// A provider that publishes whatever it is told to.
#[derive(Default)]
struct Provider {
    keys: Mutex<Vec<Value>>,
    is_down: Mutex<bool>,
    fetches: AtomicUsize,
}

impl Provider {
    fn publishes(&self, keys: &[Value]) {
        *self.keys.lock().unwrap() = keys.to_vec();
    }
}

impl Fetch for Provider {
    fn send(&self, _: http::Request<Bytes>) -> Sending<'_> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        let answer = if *self.is_down.lock().unwrap() {
            Err(FetchError::TimedOut)
        } else {
            Ok(Response::new(Bytes::from(json!({ "keys": *self.keys.lock().unwrap() }).to_string())))
        };
        Box::pin(async move { answer })
    }
}

fn jwk(key: &SigningKey, kid: &str) -> Value {
    let pem = key.public_pem().unwrap();
    let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(der).unwrap();
    // SubjectPublicKeyInfo of a P-256 key ends with the two coordinates.
    let (x, y) = der[der.len() - 64..].split_at(32);
    let encode = |bytes| URL_SAFE_NO_PAD.encode(bytes);
    json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": encode(x), "y": encode(y) })
}

fn configuration() -> Value {
    let keys = json!({ "jwks_url": "https://login.example.com/keys" });
    json!({ "jwt": [method_with(json!({ "algorithms": ["ES256"], "keys": keys }))] })
}

fn bearer(key: &SigningKey, kid: &str, clock: &ManualClock) -> Request {
    let claims = claims_with(json!({ "exp": NOW + 100_000 }));
    Request::bearer(&key.mint(Some(kid), &claims).unwrap()).at(clock.now())
}

/// As the driver does it: refresh what is needed, ask once more.
async fn ask(
    gateway: &Gateway,
    route: &Authenticate,
    request: &Request,
    provider: &Provider,
) -> Result<String, (Reason, Option<&'static str>)> {
    let mut outcome = gateway.ask(route, request);
    if let Err(Refused { refusal: Refusal::Needs(Need::Keys(source)), .. }) = &outcome {
        let _ = source.refresh(provider, request.head().now).await;
        outcome = gateway.ask(route, request);
        assert!(
            !matches!(&outcome, Err(Refused { refusal: Refusal::Needs(_), .. })),
            "the second answer never asks again"
        );
    }
    outcome.map(|principal| principal.id.clone()).map_err(|refused| (refused.reason(), refused.cause))
}

fn setup() -> (Gateway, Authenticate, Provider, ManualClock) {
    let (gateway, route) = gateway_of(configuration());
    (gateway, route, Provider::default(), ManualClock::at(Timestamp::from_secs(NOW)))
}

#[tokio::test]
async fn keys_are_fetched_when_they_are_needed() {
    let (gateway, route, provider, clock) = setup();
    provider.publishes(&[jwk(&EC, "a")]);
    assert!(!gateway.authentication.is_ready(clock.now()));
    assert_eq!(ask(&gateway, &route, &bearer(&EC, "a", &clock), &provider).await.as_deref(), Ok("alice"));
    assert!(gateway.authentication.is_ready(clock.now()));
    assert_eq!(gateway.authentication.key_sources().len(), 1);
}

#[tokio::test]
async fn without_keys_the_answer_is_503() {
    let (gateway, route, provider, clock) = setup();
    *provider.is_down.lock().unwrap() = true;
    for _ in 0..3 {
        let refused = ask(&gateway, &route, &bearer(&EC, "a", &clock), &provider).await.unwrap_err();
        assert_eq!(refused, (Reason::KeysUnavailable, Some("keys_unavailable")));
    }
    assert_eq!(provider.fetches.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_rotated_key_is_found_and_unknown_ones_cause_one_fetch() {
    let (gateway, route, provider, clock) = setup();
    provider.publishes(&[jwk(&EC, "a")]);
    ask(&gateway, &route, &bearer(&EC, "a", &clock), &provider).await.unwrap();

    let next = SigningKey::generate(Algorithm::Es256).unwrap();
    provider.publishes(&[jwk(&EC, "a"), jwk(&next, "b")]);
    clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(ask(&gateway, &route, &bearer(&next, "b", &clock), &provider).await.as_deref(), Ok("alice"));
    assert_eq!(provider.fetches.load(Ordering::SeqCst), 2);

    clock.advance(std::time::Duration::from_secs(60));
    for n in 0..100 {
        let forged = bearer(&next, &format!("no such key {n}"), &clock);
        let refused = ask(&gateway, &route, &forged, &provider).await.unwrap_err();
        assert_eq!(refused, (Reason::InvalidToken, Some("unknown_kid")));
    }
    assert_eq!(provider.fetches.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_removed_key_is_refused_although_the_token_is_cached() {
    let (gateway, route, provider, clock) = setup();
    let next = SigningKey::generate(Algorithm::Es256).unwrap();
    provider.publishes(&[jwk(&EC, "a"), jwk(&next, "b")]);
    let source = &gateway.authentication.key_sources()[0];
    source.refresh_if_due(&provider, clock.now()).await.unwrap();
    let (with_a, with_b) = (bearer(&EC, "a", &clock), bearer(&next, "b", &clock));
    let before = gateway.ask(&route, &with_b).unwrap();
    assert!(gateway.ask(&route, &with_a).is_ok());

    provider.publishes(&[jwk(&next, "b")]);
    clock.advance(std::time::Duration::from_secs(300));
    source.refresh_if_due(&provider, clock.now()).await.unwrap();
    let refused = ask(&gateway, &route, &with_a.at(clock.now()), &provider).await.unwrap_err();
    assert_eq!(refused, (Reason::InvalidToken, Some("unknown_kid")));
    let after = gateway.ask(&route, &with_b.at(clock.now())).unwrap();
    assert_ne!(before.serial, after.serial, "verified again with the new set");
}

#[tokio::test]
async fn cached_tokens_end_with_the_keys_behind_them() {
    let (gateway, route, provider, clock) = setup();
    provider.publishes(&[jwk(&EC, "a")]);
    let request = bearer(&EC, "a", &clock);
    ask(&gateway, &route, &request, &provider).await.unwrap();
    *provider.is_down.lock().unwrap() = true;
    clock.advance(std::time::Duration::from_secs(3600));
    let request = request.at(clock.now());
    assert!(gateway.ask(&route, &request).is_ok());
    clock.advance(std::time::Duration::from_secs(1));
    let refused = ask(&gateway, &route, &request.at(clock.now()), &provider).await.unwrap_err();
    assert_eq!(refused.0, Reason::KeysUnavailable);
}

#[tokio::test]
async fn a_reload_keeps_the_keys_of_a_url_that_stays() {
    let (gateway, _, provider, clock) = setup();
    provider.publishes(&[jwk(&EC, "a")]);
    gateway.authentication.key_sources()[0].refresh_if_due(&provider, clock.now()).await.unwrap();

    let gateway = gateway.reload(configuration());
    assert!(gateway.authentication.is_ready(clock.now()));
    let mut changed = configuration();
    changed["jwt"][0]["keys"]["jwks_url"] = "https://login.example.com/other".into();
    let elsewhere = gateway.reload(changed);
    assert!(!elsewhere.authentication.is_ready(clock.now()));
}

#[test]
fn methods_share_the_keys_of_one_url() {
    let mut raw = configuration();
    let mut second = raw["jwt"][0].clone();
    second["name"] = "second".into();
    second["audiences"] = json!(["invoices"]);
    raw["jwt"].as_array_mut().unwrap().push(second);
    let (gateway, _) = gateway_of(raw);
    assert_eq!(gateway.authentication.key_sources().len(), 1);
}
