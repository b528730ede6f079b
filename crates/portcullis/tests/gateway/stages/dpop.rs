//! Tokens that are bound to a key of their holder, who proves with each request that it has it (RFC 9449).

use std::sync::LazyLock;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_authn::mint::SigningKey;
use portcullis_core::{Clock as _, SystemClock};
use portcullis_oidc::{Algorithm, ShownKey};
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::h2;
use portcullis_testkit::raw::{self, Response};
use serde_json::{Value, json};

use super::{challenges, refusal};
use crate::common::{Config, plain};
use crate::credentials::{EC, authenticated, claims_with, folder, jwk, section};

/// The key of a client, and that of somebody else.
static CLIENT: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::Es256).unwrap());
static OTHER: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::Es256).unwrap());

const HOST: &str = "api.example.com";

fn public(key: &SigningKey) -> Value {
    let mut key = jwk(key, "k");
    key.as_object_mut().unwrap().remove("kid");
    key
}

/// A token that is bound to the key of the client.
fn bound_token() -> String {
    let thumbprint = ShownKey::parse(public(&CLIENT)).unwrap().thumbprint;
    EC.mint(None, &claims_with("ann", json!({ "cnf": { "jkt": thumbprint } }))).unwrap()
}

fn proof_by(key: &SigningKey, header: &Value, token: &str, changes: &Value) -> String {
    let hash = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, token.as_bytes()));
    let mut claims = json!({
        "jti": format!("{:x}", rand_id()), "htm": "GET", "htu": format!("http://{HOST}/orders"),
        "iat": SystemClock.now().as_secs(), "ath": hash,
    });
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        members.insert(name.clone(), value.clone());
    }
    members.retain(|_, value| !value.is_null());
    key.sign(header.to_string().as_bytes(), claims.to_string().as_bytes()).unwrap()
}

fn rand_id() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

fn header() -> Value {
    json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": public(&CLIENT) })
}

fn proof(token: &str, changes: &Value) -> String {
    proof_by(&CLIENT, &header(), token, changes)
}

fn lines(token: &str, proof: &str) -> String {
    format!("Authorization: DPoP {token}\r\nDPoP: {proof}\r\n")
}

fn config(upstream: &Upstream, dpop: &str) -> Config {
    let with_dpop =
        section().trim_end().strip_suffix('}').unwrap().to_owned() + &format!(", dpop: {dpop} }}");
    authenticated(plain(&upstream.url()), "staff").section("authentication", with_dpop)
}

fn started(upstream: &Upstream, dpop: &str) -> Gateway {
    config(upstream, dpop).start_in(folder())
}

fn ask(gateway: &Gateway, target: &str, lines: &str) -> Response {
    raw::get(gateway.address("public"), target, lines)
}

#[test]
fn a_proof_is_taken_once() {
    let upstream = Upstream::start();
    let gateway = started(&upstream, "{}");
    let token = bound_token();
    let first = lines(&token, &proof(&token, &json!({})));
    assert_eq!(ask(&gateway, "/orders", &first).status, 200);
    let again = ask(&gateway, "/orders", &first);
    assert_eq!(refusal(&again), (401, "invalid_dpop_proof".to_owned()));
    let expected =
        "DPoP realm=\"shop\", error=\"invalid_dpop_proof\", algs=\"ES256 ES384 ES512 EdDSA PS256 RS256\"";
    assert_eq!(challenges(&again), [expected, "Bearer realm=\"shop\""]);
    let second = lines(&token, &proof(&token, &json!({})));
    assert_eq!(
        ask(&gateway, "/orders", &second).status,
        200,
        "the token is remembered, and its proof is new"
    );

    gateway.hang_up();
    let _ = gateway.wait_for_event("reloaded", 0);
    assert_eq!(ask(&gateway, "/orders", &first).status, 401, "nor after a reload");
    let records = gateway.stop_and_audit();
    let causes: Vec<_> = records.iter().map(|record| record["credential_fault"].as_str()).collect();
    assert_eq!(causes, [None, Some("proof_replayed"), None, Some("proof_replayed")]);
}

/// Each check of RFC 9449 section 4.3, by a proof that is right but for one thing.
#[test]
fn a_proof_for_anything_else_is_refused() {
    let upstream = Upstream::start();
    let gateway = started(&upstream, "{ algorithms: [ES256] }");
    let token = bound_token();
    let with = |changes: Value| lines(&token, &proof(&token, &changes));
    let headed = |changes: Value| {
        let mut header = header();
        header.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        lines(&token, &proof_by(&CLIENT, &header, &token, &json!({})))
    };
    let good = proof(&token, &json!({}));
    let now = SystemClock.now().as_secs();
    let mut private = public(&CLIENT);
    private["d"] = "AA".into();
    let mut others = header();
    others["jwk"] = public(&OTHER);
    let cases = [
        (format!("Authorization: DPoP {token}\r\n"), "proof_missing"),
        (format!("{}DPoP: {}\r\n", lines(&token, &good), proof(&token, &json!({}))), "proof_repeated"),
        (lines(&token, "a.b"), "proof_malformed"),
        (lines(&token, &format!("{good}.x")), "proof_malformed"),
        (headed(json!({ "typ": "JWT" })), "proof_type"),
        (headed(json!({ "typ": null })), "proof_type"),
        (headed(json!({ "crit": ["x"] })), "proof_malformed"),
        (headed(json!({ "alg": "none" })), "proof_algorithm"),
        (headed(json!({ "alg": "HS256" })), "proof_algorithm"),
        (headed(json!({ "alg": "ES384" })), "proof_algorithm"),
        (headed(json!({ "jwk": null })), "proof_key"),
        (headed(json!({ "jwk": private })), "proof_key"),
        (headed(json!({ "jwk": { "kty": "oct", "k": "AAAA" } })), "proof_key"),
        (headed(json!({ "jwk": public(&OTHER) })), "proof_signature"),
        (lines(&token, &proof_by(&OTHER, &others, &token, &json!({}))), "bound_to_another"),
        (with(json!({ "jti": null })), "proof_malformed"),
        (with(json!({ "jti": "" })), "proof_malformed"),
        (with(json!({ "htm": null })), "proof_malformed"),
        (with(json!({ "htm": "POST" })), "proof_method"),
        (with(json!({ "htm": "get" })), "proof_method"),
        (with(json!({ "htu": "/orders" })), "proof_url"),
        (with(json!({ "htu": format!("https://{HOST}/orders") })), "proof_url"),
        (with(json!({ "htu": format!("http://{HOST}:8080/orders") })), "proof_url"),
        (with(json!({ "htu": "http://other.example.com/orders" })), "proof_url"),
        (with(json!({ "htu": format!("http://{HOST}@evil.test/orders") })), "proof_url"),
        (with(json!({ "htu": format!("http://x@{HOST}/orders") })), "proof_url"),
        (with(json!({ "htu": format!("http://{HOST}/orders/1") })), "proof_url"),
        (with(json!({ "iat": now - 61 })), "proof_time"),
        (with(json!({ "iat": now + 3600 })), "proof_time"),
        (with(json!({ "iat": "now" })), "proof_malformed"),
        (with(json!({ "ath": null })), "proof_token"),
        (lines(&token, &proof("another", &json!({}))), "proof_token"),
    ];
    for (index, (lines, cause)) in cases.iter().enumerate() {
        let answer = ask(&gateway, "/orders", lines);
        let code = if *cause == "bound_to_another" { "invalid_token" } else { "invalid_dpop_proof" };
        assert_eq!(refusal(&answer), (401, code.to_owned()), "{index}: {cause}");
    }
    upstream.assert_no_contact();
    assert_eq!(ask(&gateway, "/orders", &lines(&token, &good)).status, 200, "nothing of this used it up");
    let records = gateway.stop_and_audit();
    let causes: Vec<&str> = records.iter().filter_map(|record| record["credential_fault"].as_str()).collect();
    assert_eq!(causes, cases.iter().map(|(_, cause)| *cause).collect::<Vec<_>>());
}

/// RFC 9449 section 4.3: the query is no part of it, and spelling makes no difference.
#[test]
fn a_url_is_the_same_in_every_spelling() {
    let upstream = Upstream::start();
    let gateway = started(&upstream, "{}");
    let token = bound_token();
    for (target, url) in [
        ("/orders?page=2", "http://api.example.com/orders"),
        ("/orders?page=2", "http://api.example.com/orders?page=3"),
        ("/orders", "HTTP://API.example.COM:80/orders"),
        ("/orders/%41", "http://api.example.com/orders/A"),
        ("/orders/A", "http://api.example.com/x/../orders/%41"),
    ] {
        let proof = proof(&token, &json!({ "htu": url }));
        assert_eq!(ask(&gateway, target, &lines(&token, &proof)).status, 200, "{target} {url}");
    }
}

/// The port is that which the client asked for, whatever the protocol calls it.
#[test]
fn a_port_is_part_of_it() {
    let upstream = Upstream::start();
    let gateway = started(&upstream, "{}");
    let token = bound_token();
    let at = |url: &str| proof(&token, &json!({ "htu": url }));
    let old = |proof: &str| {
        let lines = lines(&token, proof);
        let request = format!("GET /orders HTTP/1.1\r\nHost: api.example.com:8443\r\n{lines}\r\n");
        raw::request(gateway.address("public"), request).status
    };
    let client = h2::Client::open(gateway.address("public"));
    let new = |proof: &str| {
        let authorization = format!("DPoP {token}");
        let fields = [("authorization", authorization.as_str()), ("dpop", proof)];
        client.request("GET", "http://api.example.com:8443/orders", &fields).status
    };
    for ask in [&old as &dyn Fn(&str) -> u16, &new] {
        assert_eq!(ask(&at("http://api.example.com:8443/orders")), 200);
        assert_eq!(ask(&at("http://api.example.com/orders")), 401);
    }
}

#[test]
fn the_scheme_belongs_to_bound_tokens() {
    let upstream = Upstream::start();
    let gateway = started(&upstream, "{}");
    let bound = bound_token();
    let unbound = EC.mint(None, &claims_with("ann", json!({}))).unwrap();
    let bearer =
        |token: &str| format!("Authorization: Bearer {token}\r\nDPoP: {}\r\n", proof(token, &json!({})));
    assert_eq!(refusal(&ask(&gateway, "/orders", &bearer(&bound))), (401, "invalid_token".to_owned()));
    assert_eq!(ask(&gateway, "/orders", &bearer(&unbound)).status, 200);
    let answer = ask(&gateway, "/orders", &lines(&unbound, &proof(&unbound, &json!({}))));
    assert_eq!(refusal(&answer), (401, "invalid_token".to_owned()));
    let two = EC.mint(None, &claims_with("ann", json!({ "cnf": { "jkt": "a", "x5t#S256": "b" } }))).unwrap();
    assert_eq!(ask(&gateway, "/orders", &lines(&two, &proof(&two, &json!({})))).status, 401);
    let records = gateway.stop_and_audit();
    let causes: Vec<_> = records.iter().map(|record| record["credential_fault"].as_str()).collect();
    assert_eq!(causes, [Some("sender_constrained"), None, Some("not_bound"), Some("sender_constrained")]);
}

#[test]
fn a_route_may_take_bound_tokens_alone() {
    let upstream = Upstream::start();
    let gateway = config(&upstream, "{}")
        .policy("authenticate", "{ methods: [staff], require_bound_tokens: true }")
        .start_in(folder());
    let (bound, unbound) = (bound_token(), EC.mint(None, &claims_with("ann", json!({}))).unwrap());
    let answer = ask(&gateway, "/orders", &format!("Authorization: Bearer {unbound}\r\n"));
    assert_eq!(refusal(&answer), (401, "invalid_token".to_owned()));
    assert_eq!(ask(&gateway, "/orders", &lines(&bound, &proof(&bound, &json!({})))).status, 200);
}

/// RFC 9449 section 9.
#[test]
fn a_proof_must_hold_a_nonce_where_one_is_asked_for() {
    let upstream = Upstream::start();
    let secret = "0123456789abcdef0123456789abcdef";
    let dpop = format!("{{ nonce: {{ secret: {secret}, lifetime: 2m }} }}");
    let (gateway, other) = (started(&upstream, &dpop), started(&upstream, &dpop));
    let token = bound_token();
    let shown = |nonce: &str| lines(&token, &proof(&token, &json!({ "nonce": nonce })));
    let answer = ask(&gateway, "/orders", &lines(&token, &proof(&token, &json!({}))));
    assert_eq!(refusal(&answer), (401, "use_dpop_nonce".to_owned()));
    assert!(challenges(&answer)[0].contains("error=\"use_dpop_nonce\""), "{:?}", challenges(&answer));
    let nonce = answer.header("dpop-nonce").unwrap();
    assert_eq!(ask(&gateway, "/orders", &shown(&nonce)).status, 200);
    assert_eq!(ask(&gateway, "/orders", &shown(&nonce)).status, 200, "it serves for a while");
    assert_eq!(ask(&other, "/orders", &shown(&nonce)).status, 200, "the whole fleet knows it");
    assert_eq!(refusal(&ask(&gateway, "/orders", &shown("made-up"))), (401, "use_dpop_nonce".to_owned()));
    let alone = started(&upstream, "{ nonce: {} }");
    assert_eq!(refusal(&ask(&alone, "/orders", &shown(&nonce))), (401, "use_dpop_nonce".to_owned()));
}

/// What cannot be remembered cannot be taken: it might pass twice.
#[test]
fn no_more_proofs_are_taken_than_are_remembered() {
    let upstream = Upstream::start();
    let gateway = started(&upstream, "{ remembered: 2, lifetime: 10m }");
    let token = bound_token();
    let statuses: Vec<u16> =
        (0..3).map(|_| ask(&gateway, "/orders", &lines(&token, &proof(&token, &json!({})))).status).collect();
    assert_eq!(statuses, [200, 200, 503]);
}

#[test]
fn without_the_setting_bound_tokens_are_refused() {
    let upstream = Upstream::start();
    let gateway = authenticated(plain(&upstream.url()), "staff").start_in(folder());
    let token = bound_token();
    let answer = ask(&gateway, "/orders", &lines(&token, &proof(&token, &json!({}))));
    assert_eq!(refusal(&answer), (401, "invalid_token".to_owned()));
    assert_eq!(challenges(&answer).len(), 1);
}

#[test]
fn what_would_prove_nothing_is_refused_when_it_is_loaded() {
    let upstream = Upstream::start();
    for (dpop, says) in [
        ("{ algorithms: [HS256] }", "shared secret"),
        ("{ algorithms: [] }", "no proof can be signed"),
        ("{ lifetime: 1h }", "not between 1s and 10m"),
        ("{ remembered: 0 }", "not between 1 and"),
        ("{ nonce: { secret: short } }", "less than 32 bytes"),
        ("{ nonce: { lifetime: 0s } }", "not between 1s and 1day"),
    ] {
        let refused = folder().refuse(&config(&upstream, dpop).text());
        assert!(refused.stderr.contains(says), "{dpop}: {}", refused.stderr);
    }
}
