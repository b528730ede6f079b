//! The operator's listener: health, readiness, metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_authn::mint::SigningKey;
use portcullis_core::{Clock as _, SystemClock};
use portcullis_oidc::Algorithm;
use portcullis_testkit::PATIENCE;
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::raw;
use serde_json::{Value, json};

use crate::common::{plain, setup};

#[test]
fn operators_are_told_how_the_gateway_is() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let operator = gateway.address("admin");
    for (path, status) in [("/healthz", "alive"), ("/readyz", "ready")] {
        let answer = raw::get(operator, path, "");
        assert_eq!(
            (answer.status, answer.json()),
            (200, json!({ "status": status, "config_generation": 1 }))
        );
        assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
    }
    assert_eq!(raw::get(operator, "/", "").status, 404);
    assert_eq!(raw::post(operator, "/metrics", "", "x").status, 405);
    upstream.assert_no_contact();
    assert_eq!(raw::get(gateway.address("public"), "/metrics", "").status, 200);
    assert_eq!(upstream.only_request().target, "/metrics", "clients are not operators");
}

#[test]
fn an_admin_listener_that_is_off_is_not_there() {
    let gateway = plain("http://127.0.0.1:9").section("admin", "{ address: off }").start();
    assert!(!gateway.stderr().contains("\"admin\""), "{}", gateway.stderr());
}

#[test]
fn metrics_count_what_was_decided() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).routes(&["{ name: only, path: /only }"]).start();
    for path in ["/only", "/only", "/other"] {
        let _ = raw::get(gateway.address("public"), path, "");
    }
    let metrics = raw::get(gateway.address("admin"), "/metrics", "");
    assert_eq!(metrics.header("content-type").as_deref(), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = metrics.text();
    let value = |name: &str, labels: &[&str]| {
        let is_it = |line: &&str| line.starts_with(name) && labels.iter().all(|label| line.contains(label));
        text.lines().find(is_it).and_then(|line| line.rsplit(' ').next()).unwrap_or_default().to_owned()
    };
    let only = ["route=\"only\"", "service=\"shop\""];
    assert_eq!(value("portcullis_requests_total{", &[&only[..], &["allow"]].concat()), "2", "{text}");
    assert_eq!(value("portcullis_request_duration_seconds_count{", &only), "2", "{text}");
    assert_eq!(value("portcullis_denials_total{", &["no_route"]), "1", "{text}");
    assert_eq!(value("portcullis_upstream_requests_total{", &["answered"]), "2", "{text}");
    assert_eq!(value("portcullis_config_generation ", &[]), "1", "{text}");
    assert_eq!(value("portcullis_connections_total ", &[]), "3", "{text}");
}

/// The key as a JSON Web Key (RFC 8037): the last 32 bytes of the encoded public key are the key itself.
fn json_web_key(key: &SigningKey) -> Value {
    let pem = key.public_pem().unwrap();
    let text: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let encoded = STANDARD.decode(text).unwrap();
    let point = URL_SAFE_NO_PAD.encode(&encoded[encoded.len() - 32..]);
    json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "one", "x": point })
}

/// An identity provider that publishes a key once it is up.
fn provider(key: &SigningKey) -> (Upstream, Arc<AtomicBool>) {
    let document = json!({ "keys": [json_web_key(key)] }).to_string();
    let is_up = Arc::new(AtomicBool::new(false));
    let said = Arc::clone(&is_up);
    let upstream = Upstream::scripted(move |_| {
        let up = said.load(Ordering::SeqCst);
        let (status, body) = if up { ("200 OK", document.as_str()) } else { ("503 No", "") };
        Some(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
    });
    (upstream, is_up)
}

#[test]
fn a_gateway_is_ready_when_it_has_the_keys_of_its_issuers() {
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let (provider, is_up) = provider(&key);
    let upstream = Upstream::start();
    let jwt = format!(
        "{{ jwt: [{{ name: staff, issuer: \"https://idp.test\", audiences: [shop], algorithms: [EdDSA], \
         keys: {{ jwks_url: \"{}/keys\" }}, refresh: {{ cool_down: 1s }} }}] }}",
        provider.url()
    );
    let gateway = plain(&upstream.url())
        .section("authentication", jwt)
        .policy("authenticate", "{ methods: [staff] }")
        .start();
    let expires = SystemClock.now().as_secs() + 600;
    let claims = json!({ "iss": "https://idp.test", "aud": "shop", "sub": "ann", "exp": expires });
    let token = key.mint(Some("one"), &claims).unwrap();
    let ask = || raw::get(gateway.address("public"), "/", &format!("Authorization: Bearer {token}\r\n"));
    let readiness = || raw::get(gateway.address("admin"), "/readyz", "").status;

    assert_eq!(provider.wait_for_requests(1)[0].target, "/keys");
    assert_eq!(readiness(), 503);
    assert_eq!(raw::get(gateway.address("admin"), "/healthz", "").status, 200);
    let answer = ask();
    assert_eq!((answer.status, answer.code().as_str()), (503, "keys_unavailable"));
    upstream.assert_no_contact();

    is_up.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    while readiness() != 200 {
        assert!(begun.elapsed() < PATIENCE, "the keys are never fetched");
    }
    assert_eq!(ask().status, 200);
}

/// What operators need must be there before clients are served: a gateway that nobody can watch does not start.
#[test]
fn an_admin_listener_that_cannot_be_opened_stops_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = plain("http://127.0.0.1:9").section("admin", format!("{{ address: \"{address}\" }}"));
    let refusal = setup().argument("--pid-file").argument("gateway.pid").refuse(&config.text());
    assert_eq!(refusal.code, Some(1));
    let said = format!("error: the admin listener cannot use {address}");
    assert!(refusal.stderr.contains(&said), "{}", refusal.stderr);
    assert!(!refusal.stderr.contains("listening"), "nobody was served: {}", refusal.stderr);
}
