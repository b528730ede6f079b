//! The caller's token is exchanged for one for the service: who is asked what, how often, and what happens without an answer.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::provider::Provider;
use portcullis_testkit::raw::{self, Connection};
use serde_json::{Value, json};

use super::refusal;
use crate::browser::{Browser, ORIGIN};
use crate::common::{Config, plain};
use crate::credentials::{bearer, bearer_with, folder, section};

/// An issuer that answers what the test tells it to, or nothing.
struct Issuer {
    upstream: Upstream,
    answer: Arc<Mutex<Option<(u16, Value)>>>,
}

impl Issuer {
    fn start() -> Self {
        let answer = Arc::new(Mutex::new(Some((200, given(300)))));
        let told = Arc::clone(&answer);
        let upstream = Upstream::scripted(move |_| {
            let (status, answer) = told.lock().unwrap().clone()?;
            let answer = answer.to_string();
            let head =
                format!("HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nConnection: close\r\n");
            Some(format!("{head}Content-Length: {}\r\n\r\n{answer}", answer.len()).into_bytes())
        });
        Self { upstream, answer }
    }

    fn answers(&self, answer: Option<(u16, Value)>) {
        *self.answer.lock().unwrap() = answer;
    }
}

fn given(seconds: u64) -> Value {
    json!({
        "access_token": "for-orders", "token_type": "Bearer", "expires_in": seconds,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    })
}

fn config(service: &Upstream, url: &str, methods: &str, token: &str) -> Config {
    let exchange = format!(
        "token_exchange: [{{ name: login, issuer: \"{url}\", endpoint: \"{url}/token\", client: {{ id: gate, secret: s }} }}]"
    );
    let section = section();
    let section = format!("{}, {exchange} }}", section.strip_suffix('}').unwrap().trim_end());
    plain(&service.url())
        .section("authentication", section)
        .policy("authenticate", format!("{{ mode: enforce, methods: [{methods}] }}"))
        .policy("forward", format!("{{ exchanged_token: {{ by: login, {token} }} }}"))
}

fn ask(gateway: &Gateway, lines: &str) -> (u16, String) {
    let answer = raw::get(gateway.address("public"), "/", lines);
    if answer.status == 200 { (200, String::new()) } else { refusal(&answer) }
}

const FINE: (u16, String) = (200, String::new());

fn form(body: &[u8]) -> Vec<String> {
    let mut fields: Vec<String> =
        String::from_utf8(body.to_vec()).unwrap().split('&').map(str::to_owned).collect();
    fields.sort();
    fields
}

#[test]
fn the_service_gets_a_token_of_its_own_for_that_of_the_caller() {
    let (service, issuer) = (Upstream::start(), Issuer::start());
    let token = "audience: orders, resource: \"https://orders.test/api\", scopes: [read, write]";
    let gateway = config(&service, &issuer.upstream.url(), "staff, anonymous", token).start_in(folder());
    let shown = bearer("ann");
    assert_eq!((ask(&gateway, &shown), ask(&gateway, &shown), ask(&gateway, "")), (FINE, FINE, FINE));
    let seen = service.requests();
    for request in &seen[..2] {
        assert_eq!(request.values("authorization"), ["Bearer for-orders"]);
    }
    assert!(!seen[2].has("authorization"), "nobody is known");
    let question = issuer.upstream.only_request();
    assert_eq!((question.method.as_str(), question.target.as_str()), ("POST", "/token"));
    assert_eq!(question.header("authorization").as_deref(), Some("Basic Z2F0ZTpz"));
    let text = shown.trim_start_matches("Authorization: Bearer ").trim_end();
    let kind = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";
    let mut expected = vec![
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange".to_owned(),
        format!("subject_token={text}"),
        format!("subject_token_type={kind}"),
        format!("requested_token_type={kind}"),
        "scope=read+write".to_owned(),
        "resource=https%3A%2F%2Forders.test%2Fapi".to_owned(),
        "audience=orders".to_owned(),
    ];
    expected.sort();
    assert_eq!(form(&question.body), expected);
    // Another token of the same person is another question.
    assert_eq!(ask(&gateway, &bearer_with("ann", json!({ "jti": "2" }))), FINE);
    assert_eq!(issuer.upstream.requests().len(), 2);
    let records = json!(gateway.stop_and_audit()).to_string();
    assert!(!records.contains("for-orders") && !records.contains(text));
}

#[test]
fn without_a_token_for_the_service_it_is_not_asked() {
    let (service, issuer) = (Upstream::start(), Issuer::start());
    for (answer, refused, cause) in [
        (Some((400, json!({ "error": "invalid_grant" }))), (403, "token_refused"), "of the caller"),
        (Some((400, json!({ "error": "invalid_target" }))), (403, "token_refused"), "of the target"),
        (Some((401, json!({ "error": "invalid_client" }))), (503, "token_unavailable"), "of us"),
        (Some((500, json!({}))), (503, "token_unavailable"), "of the issuer"),
        (
            Some((200, json!({ "access_token": "x", "token_type": "N_A" }))),
            (503, "token_unavailable"),
            "type",
        ),
        (Some((200, given(0))), (503, "token_unavailable"), "at its end"),
        (None, (503, "token_unavailable"), "no answer"),
    ] {
        issuer.answers(answer);
        issuer.upstream.forget();
        let gateway =
            config(&service, &issuer.upstream.url(), "staff", "audience: orders").start_in(folder());
        let refused = (refused.0, refused.1.to_owned());
        assert_eq!(ask(&gateway, &bearer("ann")), refused, "{cause}");
        let asked = issuer.upstream.requests().len();
        assert_eq!(ask(&gateway, "Authorization: Bearer forged\r\n").0, 401, "{cause}");
        assert_eq!(issuer.upstream.requests().len(), asked, "{cause}: nothing is exchanged for a forgery");
        let records = gateway.stop_and_audit();
        assert_eq!(
            (&records[0]["stage"], &records[0]["reason_code"]),
            (&json!("forward"), &json!(refused.1)),
            "{cause}"
        );
    }
    service.assert_no_contact();
}

/// Twenty requests at once with a token that was not exchanged yet are one question.
#[test]
fn all_who_need_the_same_token_share_one_question() {
    let (service, issuer) = (Upstream::start(), Issuer::start());
    let gateway = config(&service, &issuer.upstream.url(), "staff", "audience: orders, header: X-Token")
        .start_in(folder());
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{}X-Token: forged\r\n\r\n", bearer("ann"));
    let mut connections: Vec<Connection> =
        (0..20).map(|_| Connection::open(gateway.address("public"))).collect();
    for connection in &mut connections {
        connection.send(&request);
    }
    for connection in &mut connections {
        assert_eq!(connection.response().status, 200);
    }
    assert_eq!(issuer.upstream.requests().len(), 1);
    for seen in service.requests() {
        assert_eq!(seen.values("x-token"), ["for-orders"]);
        assert_eq!(seen.values("authorization").len(), 1, "the caller's own stays");
    }
}

#[test]
fn what_cannot_work_is_refused_when_it_is_loaded() {
    let service = Upstream::start();
    for (methods, token, told) in [
        ("staff", "audience: \"\"", "for which service"),
        ("staff", "resource: orders", "not a URL"),
        ("staff", "audience: a, scopes: [\"a b\"]", "is not a scope"),
        ("staff", "audience: a, header: Cookie", "structure of its own"),
        ("staff", "audience: a, header: X-API-Key", "requests are judged by"),
        ("staff, partners", "audience: a", "brings no token"),
    ] {
        let config = config(&service, "http://127.0.0.1:9", methods, token);
        let refusal = folder().refuse(&config.text());
        assert!(refusal.stderr.contains(told), "{told}: {}", refusal.stderr);
    }
    let known = |forward: &str| {
        config(&service, "http://127.0.0.1:9", "staff", "audience: a").policy("forward", forward)
    };
    for (forward, told) in [
        ("{ exchanged_token: { by: logim, audience: a } }", "did you mean `login`?"),
        ("{ exchanged_token: { by: login, audience: a }, access_token: true }", "another token"),
    ] {
        let refusal = folder().refuse(&known(forward).text());
        assert!(refusal.stderr.contains(told), "{told}: {}", refusal.stderr);
    }
}

/// With a certified provider: found by its issuer, for the token of whoever is logged in.
#[test]
fn a_certified_provider_exchanges() {
    let orders = "https://orders.test/api";
    let Some(provider) = Provider::start(&[("IDP_RESOURCES", json!({ orders: "read write" }))]) else {
        return;
    };
    let service = Upstream::start();
    let us = format!(
        "issuer: \"{}\", client: {{ id: portal, secret: \"a secret of the portal\" }}",
        provider.issuer()
    );
    let login =
        format!("{{ name: web, {us}, origin: \"{ORIGIN}\", secret: \"0123456789abcdef0123456789abcdef\" }}");
    let gateway = plain(&service.url())
        .section("store", "{ database: \"sqlite://state.db\" }")
        .section(
            "authentication",
            format!("{{ login: [{login}], token_exchange: [{{ name: login, {us} }}] }}"),
        )
        .policy("authenticate", "{ mode: enforce, methods: [web] }")
        .policy(
            "forward",
            format!("{{ exchanged_token: {{ by: login, resource: \"{orders}\", scopes: [read] }} }}"),
        )
        .start();
    let client = json!({
        "client_id": "portal", "client_secret": "a secret of the portal",
        "redirect_uris": [format!("{ORIGIN}/.auth/web/callback")],
        "grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange"],
    });
    provider.control("client", &client.to_string());
    let mut browser = Browser::of("ann", &gateway);
    assert_eq!(browser.open("/orders").status, 200);
    let seen = service.only_request().values("authorization");
    assert_eq!(seen.len(), 1);
    let payload = seen[0].strip_prefix("Bearer ").and_then(|token| token.split('.').nth(1)).unwrap();
    let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    assert_eq!(
        (&claims["aud"], &claims["sub"], &claims["scope"]),
        (&json!(orders), &json!("ann"), &json!("read"))
    );
}
