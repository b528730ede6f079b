//! The gateway's own answers: problem documents (RFC 9457), hardened like any answer, under one request id.

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Connection, Response};
use serde_json::{Value, json};

use super::{Tls, has};
use crate::common::{Config, dead_address, plain};
use crate::credentials::{authenticated, bearer, folder};

fn config(upstream: &Upstream) -> Config {
    authenticated(plain(&upstream.url()), "staff, anonymous")
        .section("authorization", "{ policies: [policies.cedar] }")
        .section("limits", "[{ name: never, key: [global], rate: 1/d }]")
        .section("protocol", "{ request_line: 256B, header_count: 20, body_timeout: 200ms }")
        .policy("response", "{ mode: enforce }")
        .policy("forward", "{ body: 16B, retries: 0, timeouts: { first_byte: 200ms } }")
        .routes(&[
            "{ name: staff, path: /staff, policy: { authenticate: { methods: [staff] } } }",
            "{ name: forbidden, path: /forbidden, policy: { authorize: { mode: enforce } } }",
            "{ name: limited, path: /limited, policy: { limit: { mode: enforce, apply: [never] } } }",
            "{ name: read, path: /read, methods: [GET] }",
            "{ name: reflect, path: /reflect }",
            "{ name: close, path: /close }",
            "{ name: slow, path: /slow-head }",
        ])
}

fn start(config: &Config) -> Gateway {
    config.start_in(folder().file("policies.cedar", "forbid (principal, action, resource);"))
}

fn request(method: &str, target: &str, lines: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: api.example.com\r\n{lines}\r\n")
}

/// Refusals with their status, and how to get them once the limit is used up. First those of the reader of
/// HTTP/1, which come before there is a request.
fn provocations() -> (Vec<Provocation>, Vec<Provocation>) {
    let many: String = (0..30).map(|number| format!("X-{number}: 1\r\n")).collect();
    let of_the_reader = vec![
        (
            400,
            "smuggling",
            request("POST", "/reflect", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
        ),
        (400, "malformed_request", "GET / HTTP/1.1\r\nHost : a\r\n\r\n".to_owned()),
        (400, "bad_host", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned()),
        (405, "method_refused", request("TRACE", "/read", "")),
        (414, "target_too_long", request("GET", &format!("/{}", "a".repeat(300)), "")),
        (431, "headers_too_large", request("GET", "/reflect", &many)),
        (501, "unsupported_transfer_coding", request("POST", "/reflect", "Transfer-Encoding: gzip\r\n")),
    ];
    let of_requests = vec![
        (400, "ambiguous_target", request("GET", "/a%2fb", "")),
        (401, "credential_missing", request("GET", "/staff", "")),
        (401, "invalid_token", request("GET", "/staff", "Authorization: Bearer x.y.z\r\n")),
        (403, "forbidden", request("GET", "/forbidden", "")),
        (404, "no_route", request("GET", "/nowhere", "")),
        (405, "method_not_allowed", request("PUT", "/read", "")),
        (408, "request_timeout", request("POST", "/reflect", "Content-Length: 3\r\n")),
        (413, "body_too_large", request("POST", "/reflect", "Content-Length: 17\r\n")),
        (417, "expectation_failed", request("GET", "/reflect", "Expect: a-miracle\r\n")),
        (429, "rate_limited", request("GET", "/limited", "")),
        (502, "upstream_failed", request("GET", "/close", "")),
        (504, "upstream_timeout", request("GET", "/slow-head", "")),
    ];
    (of_the_reader, of_requests)
}

type Provocation = (u16, &'static str, String);

fn assert_is_problem(response: &Response, status: u16, code: &str) {
    assert_eq!((response.status, response.code().as_str()), (status, code), "{}", response.text());
    assert_eq!(response.header("content-type").as_deref(), Some("application/problem+json"), "{code}");
    let problem = response.json();
    assert_eq!(problem["status"], json!(status), "{code}");
    let id = response.header("x-request-id").unwrap();
    assert_eq!(problem["request_id"], json!(id), "{code}");
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    for key in ["type", "title", "detail"] {
        assert!(problem[key].as_str().is_some_and(|text| !text.is_empty()), "{key} of {problem}");
    }
}

#[test]
fn each_refusal_is_a_problem_document_with_the_id_of_its_record() {
    let upstream = Upstream::start();
    let gateway = start(&config(&upstream));
    assert_eq!(raw::get(gateway.address("public"), "/limited", "").status, 200);
    let (of_the_reader, of_requests) = provocations();
    let mut expected = Vec::new();
    for (status, code, bytes) in of_the_reader.into_iter().chain(of_requests) {
        let response = raw::request(gateway.address("public"), bytes);
        assert_is_problem(&response, status, code);
        expected.push((response.header("x-request-id").unwrap(), status, code));
    }
    let audit = gateway.stop_and_audit();
    for (id, status, code) in expected {
        let lines: Vec<&Value> = audit.iter().filter(|line| line["request_id"] == *id).collect();
        assert_eq!(lines.len(), 1, "{code}: one record for each request");
        assert_eq!(lines[0]["http.response.status_code"], json!(status), "{code}");
        assert_eq!(lines[0]["reason_code"], code);
    }
}

#[test]
fn an_unavailable_service_is_503_with_the_time_to_come_back() {
    let gone = format!("http://{}", dead_address());
    let gateway = plain(&gone)
        .upstream("passive_health", "{ failures: 1, open_for: 1h }")
        .policy("forward", "{ retries: 0 }")
        .start();
    assert_is_problem(&raw::get(gateway.address("public"), "/", ""), 502, "upstream_failed");
    let response = raw::get(gateway.address("public"), "/", "");
    assert_is_problem(&response, 503, "upstream_unavailable");
    assert_eq!(response.header("retry-after").as_deref(), Some("1"));
    let problem_type = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";
    assert_eq!(response.json()["type"], problem_type);
}

#[test]
fn error_answers_are_hardened_too() {
    let upstream = Upstream::start();
    let gateway = start(&config(&upstream));
    assert_eq!(raw::get(gateway.address("public"), "/limited", "").status, 200);
    let (of_the_reader, of_requests) = provocations();
    for (status, code, bytes) in of_the_reader.into_iter().chain(of_requests) {
        let response = raw::request(gateway.address("public"), bytes);
        assert_eq!(response.status, status);
        let field = |name: &str| response.header(name);
        assert_eq!(field("x-content-type-options").as_deref(), Some("nosniff"), "{code}");
        assert_eq!(field("content-security-policy").as_deref(), Some("frame-ancestors 'none'"), "{code}");
        assert_eq!((field("strict-transport-security"), field("server")), (None, None), "{code}");
    }
    let forbidden = raw::get(gateway.address("public"), "/forbidden", &bearer("ann"));
    assert_eq!(forbidden.status, 403);
    assert_eq!(forbidden.header("cache-control").as_deref(), Some("no-store"), "it is its caller's own");
}

#[test]
fn error_answers_over_tls_say_strict_transport_security() {
    let (tls, upstream) = (Tls::new(), Upstream::start());
    let gateway = start(&config(&upstream).another_listener(tls.listener()));
    for (target, status) in [
        ("/staff", 401),
        ("/forbidden", 403),
        ("/nowhere", 404),
        ("/a%2fb", 400),
        ("/close", 502),
        ("/slow-head", 504),
    ] {
        let response = tls.get(&gateway, target, "");
        assert_eq!(response.status, status);
        assert!(has(&response, "strict-transport-security"), "{status}");
    }
}

/// RFC 9110 section 9.3.2: a HEAD gets the fields of the answer and no body.
#[test]
fn a_refused_head_has_no_body() {
    let upstream = Upstream::start();
    let gateway = start(&config(&upstream));
    for (target, status) in
        [("/staff", 401), ("/forbidden", 403), ("/nowhere", 404), ("/a%2fb", 400), ("/close", 502)]
    {
        let mut client = Connection::open(gateway.address("public"));
        let response = client.send(request("HEAD", target, "")).response_to("HEAD");
        assert_eq!(response.status, status);
        assert_eq!(response.header("content-type").as_deref(), Some("application/problem+json"));
        // What comes next is the next answer, not the body of this one.
        assert_eq!(client.send(request("GET", "/read", "")).response().status, 200, "after {status}");
    }
}

#[test]
fn answers_of_the_service_carry_the_id_as_well() {
    let upstream = Upstream::start();
    let gateway = start(&config(&upstream));
    let response = raw::get(gateway.address("public"), "/read", "");
    let id = response.header("x-request-id").unwrap();
    assert_eq!(upstream.only_request().header("x-request-id").as_ref(), Some(&id));
    assert_eq!(gateway.stop_and_audit()[0]["request_id"], json!(id));
}
