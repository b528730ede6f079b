//! Tokens that say nothing by themselves: whom the gateway asks about them, how often, and what it does without an answer.

use std::sync::{Arc, Mutex};

use portcullis_oidc::Algorithm;
use portcullis_oidc::mint::SigningKey;
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::provider::Provider;
use portcullis_testkit::raw::{self, Connection};
use serde_json::{Value, json};

use super::{challenges, refusal};
use crate::common::{plain, setup};

/// An issuer that answers what the test tells it to, or nothing.
struct Issuer {
    upstream: Upstream,
    answer: Arc<Mutex<Option<Value>>>,
}

impl Issuer {
    fn answering(answer: Value) -> Self {
        let answer = Arc::new(Mutex::new(Some(answer)));
        let given = Arc::clone(&answer);
        let upstream = Upstream::scripted(move |_| {
            let answer = given.lock().unwrap().clone()?.to_string();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
            Some(format!("{head}Content-Length: {}\r\n\r\n{answer}", answer.len()).into_bytes())
        });
        Self { upstream, answer }
    }

    fn answers(&self, answer: Option<Value>) {
        *self.answer.lock().unwrap() = answer;
    }

    /// A gateway that asks at `/introspect`.
    fn gateway(&self, service: &Upstream, keys: &str) -> Gateway {
        let url = self.upstream.url();
        let section = format!(
            "{{ realm: shop, introspection: [{{ name: opaque, issuer: \"{url}\", endpoint: \"{url}/introspect\", \
             audiences: [shop], {keys} }}] }}"
        );
        plain(&service.url())
            .section("authentication", section)
            .policy("authenticate", "{ mode: enforce, methods: [opaque], scopes: { any: [read, write] } }")
            .policy("forward", "{ identity: { X-Caller: subject, X-Roles: roles, X-Scopes: scopes } }")
            .start()
    }
}

const SECRET: &str = "client: { id: gate, secret: \"s3cret/+\" }";

fn active() -> Value {
    json!({ "active": true, "sub": "ann", "aud": ["shop"], "scope": "read", "realm_access": { "roles": ["clerk"] } })
}

fn with(changes: Value) -> Value {
    let mut answer = active();
    for (name, value) in changes.as_object().unwrap().clone() {
        answer[name] = value;
    }
    answer
}

fn ask(gateway: &Gateway, token: &str) -> (u16, String) {
    let answer = raw::get(gateway.address("public"), "/", &format!("Authorization: Bearer {token}\r\n"));
    (answer.status, if answer.status == 200 { String::new() } else { answer.code() })
}

#[test]
fn the_issuer_is_asked_once_and_the_service_learns_who_it_is() {
    let (service, issuer) = (Upstream::start(), Issuer::answering(active()));
    let gateway = issuer.gateway(&service, &format!("roles_claim: realm_access.roles, {SECRET}"));
    for _ in 0..3 {
        assert_eq!(ask(&gateway, "opaque-1~+/="), (200, String::new()));
    }
    let seen = &service.requests()[0];
    assert_eq!(seen.header("x-caller").as_deref(), Some("ann"));
    assert_eq!(seen.header("x-roles").as_deref(), Some("clerk"));
    assert_eq!(seen.header("x-scopes").as_deref(), Some("read"));
    let question = issuer.upstream.only_request();
    assert_eq!((question.method.as_str(), question.target.as_str()), ("POST", "/introspect"));
    // RFC 6749 section 2.3.1: form-encoded, then base64.
    assert_eq!(question.header("authorization").as_deref(), Some("Basic Z2F0ZTpzM2NyZXQlMkYlMkI="));
    let body = String::from_utf8(question.body.clone()).unwrap();
    assert_eq!(body, "token=opaque-1%7E%2B%2F%3D&token_type_hint=access_token");
    let records = gateway.stop_and_audit();
    assert_eq!((&records[0]["principal.id"], &records[0]["principal.kind"]), (&json!("ann"), &json!("user")));
    assert!(!records[0].to_string().contains("opaque-1"));
}

#[test]
fn what_the_issuer_does_not_vouch_for_is_refused_and_that_is_remembered_too() {
    let service = Upstream::start();
    for (answer, cause) in [
        (json!({ "active": false }), "inactive"),
        (with(json!({ "aud": "other" })), "audience"),
        (with(json!({ "aud": null })), "audience"),
        (with(json!({ "iss": "https://elsewhere.test" })), "issuer"),
        (with(json!({ "exp": 1_000_000_000 })), "expired"),
        (with(json!({ "exp": "soon" })), "malformed_time"),
        (with(json!({ "nbf": 9_000_000_000_u64 })), "not_before"),
        (with(json!({ "sub": "" })), "subject"),
        (with(json!({ "cnf": { "jkt": "abc" } })), "sender_constrained"),
        (with(json!({ "cnf": { "x5t#S256": "abc" } })), "bound_to_another"),
    ] {
        let issuer = Issuer::answering(answer);
        let gateway = issuer.gateway(&service, SECRET);
        assert_eq!(ask(&gateway, "t"), (401, "invalid_token".to_owned()), "{cause}");
        assert_eq!(ask(&gateway, "t"), (401, "invalid_token".to_owned()), "{cause}");
        assert_eq!(issuer.upstream.requests().len(), 1, "{cause}");
        let records = gateway.stop_and_audit();
        assert_eq!(records[0]["credential_fault"], cause);
    }
    let issuer = Issuer::answering(with(json!({ "scope": "none" })));
    let gateway = issuer.gateway(&service, SECRET);
    assert_eq!(ask(&gateway, "t"), (403, "insufficient_scope".to_owned()));
    service.assert_no_contact();
}

/// Nobody passes unasked, and nobody waits for an issuer that was found out to be away.
#[test]
fn without_an_answer_the_known_pass_and_others_wait() {
    let (service, issuer) = (Upstream::start(), Issuer::answering(active()));
    let gateway = issuer.gateway(&service, SECRET);
    assert_eq!(ask(&gateway, "known").0, 200);
    issuer.answers(None);
    assert_eq!(ask(&gateway, "unknown"), (503, "keys_unavailable".to_owned()));
    assert_eq!(ask(&gateway, "another"), (503, "keys_unavailable".to_owned()));
    assert_eq!(ask(&gateway, "known").0, 200);
    assert_eq!(issuer.upstream.requests().len(), 2, "nobody was asked about the third");
    issuer.answers(Some(json!("no object")));
    let other = issuer.gateway(&service, SECRET);
    assert_eq!(ask(&other, "t"), (503, "keys_unavailable".to_owned()));
}

#[test]
fn what_cannot_be_a_token_is_worth_no_question() {
    let (service, issuer) = (Upstream::start(), Issuer::answering(active()));
    let gateway = issuer.gateway(&service, SECRET);
    for token in ["a b", "a\"b", "=", "\u{e9}"] {
        assert_eq!(ask(&gateway, token), (401, "invalid_token".to_owned()), "{token}");
    }
    let without = raw::get(gateway.address("public"), "/", "");
    assert_eq!(refusal(&without), (401, "credential_missing".to_owned()));
    assert_eq!(challenges(&without), ["Bearer realm=\"shop\""]);
    issuer.upstream.assert_no_contact();
    service.assert_no_contact();
}

/// Twenty requests at once with a token that nobody knows are one question.
#[test]
fn all_who_need_the_same_answer_share_one_question() {
    let (service, issuer) = (Upstream::start(), Issuer::answering(active()));
    let gateway = issuer.gateway(&service, SECRET);
    let request = "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer same\r\n\r\n";
    let mut connections: Vec<Connection> =
        (0..20).map(|_| Connection::open(gateway.address("public"))).collect();
    for connection in &mut connections {
        connection.send(request);
    }
    for connection in &mut connections {
        assert_eq!(connection.response().status, 200);
    }
    assert_eq!(issuer.upstream.requests().len(), 1);
}

#[test]
fn a_client_may_prove_who_it_is_in_the_body_or_by_a_key() {
    let (service, issuer) = (Upstream::start(), Issuer::answering(active()));
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let url = issuer.upstream.url();
    for (client, expected) in [
        ("{ id: gate, secret: s, authentication: post }", "&client_id=gate&client_secret=s"),
        ("{ id: gate, private_key: key.pem, algorithm: ES256, key_id: one }", "&client_assertion="),
    ] {
        let section = format!(
            "{{ introspection: [{{ name: opaque, issuer: \"{url}\", endpoint: \"{url}/introspect\", client: {client}, \
             header: X-Token, cache: {{ active: 1m, inactive: 1s, max_entries: 10 }} }}] }}"
        );
        let gateway = plain(&service.url())
            .section("authentication", section)
            .policy("authenticate", "{ mode: enforce, methods: [opaque] }")
            .start_in(setup().file("key.pem", key.private_pem().unwrap().expose()));
        issuer.upstream.forget();
        assert_eq!(raw::get(gateway.address("public"), "/", "X-Token: t\r\n").status, 200);
        let question = issuer.upstream.only_request();
        assert!(!question.has("authorization"));
        let body = String::from_utf8(question.body).unwrap();
        assert!(body.contains(expected), "{body}");
    }
}

#[test]
fn what_cannot_work_is_refused_when_it_is_loaded() {
    for (method, told) in [
        ("issuer: \"http://login.test\", client: { id: a, secret: b }", "keys are fetched by `https` only"),
        ("issuer: \"https://login.test\", client: { id: a }", "write `secret`, or `private_key`"),
        (
            "issuer: \"https://login.test\", client: { id: a, secret: b, key_id: c }",
            "there is no `private_key`",
        ),
        ("issuer: \"https://login.test\", client: { id: a, private_key: none.pem }", "none.pem"),
        (
            "issuer: \"https://login.test\", client: { id: a, secret: b }, cache: { active: 2h }",
            "is not between",
        ),
    ] {
        let config = plain("http://127.0.0.1:9")
            .section("authentication", format!("{{ introspection: [{{ name: opaque, {method} }}] }}"))
            .policy("authenticate", "{ mode: enforce, methods: [opaque] }");
        let refusal = setup().refuse(&config.text());
        assert!(refusal.stderr.contains(told), "{told}: {}", refusal.stderr);
    }
}

/// With a certified provider: found by its issuer, a token that a client got for itself, and one that was withdrawn.
#[test]
fn a_certified_provider_is_found_and_asked() {
    let clients = json!([{
        "client_id": "gate", "client_secret": "a secret of the gateway", "redirect_uris": [],
        "response_types": [], "grant_types": ["client_credentials"],
    }]);
    let Some(provider) = Provider::start(&[("IDP_CLIENTS", clients)]) else { return };
    let service = Upstream::start();
    let section = format!(
        "{{ introspection: [{{ name: opaque, issuer: \"{}\", client: {{ id: gate, secret: \"a secret of the gateway\" }}, \
         cache: {{ active: 1ms }} }}] }}",
        provider.issuer()
    );
    let gateway = plain(&service.url())
        .section("authentication", section)
        .policy("authenticate", "{ mode: enforce, methods: [opaque] }")
        .policy("forward", "{ identity: { X-Caller: subject } }")
        .start();
    // gate:a secret of the gateway, form-encoded
    let basic = "Authorization: Basic Z2F0ZTphK3NlY3JldCtvZit0aGUrZ2F0ZXdheQ==\r\n";
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let post = |path: &str, body: &str| {
        raw::post(provider.address(), path, &format!("{basic}{form}Connection: close\r\n"), body)
    };
    let answer = post("/token", "grant_type=client_credentials").json();
    let token = answer["access_token"].as_str().unwrap().to_owned();
    assert_eq!(ask(&gateway, &token), (200, String::new()));
    assert_eq!(service.only_request().header("x-caller").as_deref(), Some("gate"));
    assert_eq!(ask(&gateway, "made-up"), (401, "invalid_token".to_owned()));
    assert_eq!(post("/token/revocation", &format!("token={token}")).status, 200);
    assert_eq!(ask(&gateway, &token), (401, "invalid_token".to_owned()));
}
