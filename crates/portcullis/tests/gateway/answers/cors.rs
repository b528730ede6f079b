//! Which other origins browsers may call from.

use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Response};

use super::{has, service};
use crate::common::{dead_address, plain};
use crate::credentials::{authenticated, folder};

const CORS: &str = "{ mode: enforce, cors: { origins: [\"https://app.example.com\", \"https://*.partner.test\"], \
    methods: [GET, PUT], request_headers: [X-Custom], exposed_headers: [X-Total], credentials: true, max_age: 2m } }";

fn preflight(gateway: &Gateway, origin: &str, method: &str) -> Response {
    let request = format!(
        "OPTIONS /orders HTTP/1.1\r\nHost: api.example.com\r\nOrigin: {origin}\r\n\
         Access-Control-Request-Method: {method}\r\n\r\n"
    );
    raw::request(gateway.address("public"), request)
}

fn from(gateway: &Gateway, origin: &str) -> Response {
    raw::get(gateway.address("public"), "/orders", &format!("Origin: {origin}\r\n"))
}

/// A preflight carries no credential, so the gateway answers it before it asks for one.
#[test]
fn preflights_are_answered_without_the_service_and_without_a_credential() {
    let upstream = service("", "hello");
    let gateway = authenticated(plain(&upstream.url()), "staff").policy("response", CORS).start_in(folder());
    for origin in ["https://app.example.com", "https://eu.partner.test"] {
        let response = preflight(&gateway, origin, "PUT");
        assert_eq!(response.status, 204);
        for (name, value) in [
            ("access-control-allow-origin", origin),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "GET, PUT"),
            ("access-control-allow-headers", "X-Custom"),
            ("access-control-max-age", "120"),
        ] {
            assert_eq!(response.header(name).as_deref(), Some(value), "{name} for {origin}");
        }
        assert!(response.values("vary").concat().to_ascii_lowercase().contains("origin"));
    }
    for origin in [
        "https://evil.test",
        "http://app.example.com",
        "https://a.b.partner.test",
        "https://partner.test",
        "null",
    ] {
        let response = preflight(&gateway, origin, "PUT");
        assert!(!has(&response, "access-control-allow-origin"), "{origin}");
    }
    upstream.assert_no_contact();
    let audit = gateway.stop_and_audit();
    assert_eq!(audit.len(), 7);
    assert!(audit.iter().all(|line| line["route"] == "all" && line["http.request.method"] == "OPTIONS"));
}

#[test]
fn answers_name_the_origin_that_may_read_them() {
    let upstream =
        service("Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: DELETE\r\n", "hello");
    let gateway = plain(&upstream.url()).policy("response", CORS).start();
    let response = from(&gateway, "https://app.example.com");
    assert_eq!(response.header("access-control-allow-origin").as_deref(), Some("https://app.example.com"));
    assert_eq!(response.header("access-control-allow-credentials").as_deref(), Some("true"));
    assert_eq!(response.header("access-control-expose-headers").as_deref(), Some("X-Total"));
    assert!(!has(&response, "access-control-allow-methods"), "what the service says is replaced");
    let response = from(&gateway, "https://evil.test");
    assert_eq!((response.status, response.header("access-control-allow-origin")), (200, None));
    let lines = "Origin: https://app.example.com\r\nOrigin: https://evil.test\r\n";
    let twice = raw::get(gateway.address("public"), "/orders", lines);
    assert!(!has(&twice, "access-control-allow-origin"), "two origins are none");
}

/// Without this a browser shows its script nothing of an error, not even the status.
#[test]
fn error_answers_can_be_read_by_the_origin_too() {
    let upstream = service("", "");
    let (gone, origin) = (format!("http://{}", dead_address()), "https://app.example.com");
    let refusing = authenticated(plain(&upstream.url()), "staff").policy("response", CORS).start_in(folder());
    let broken = plain(&gone).policy("response", CORS).policy("forward", "{ retries: 0 }").start();
    for (gateway, status) in [(&refusing, 401), (&broken, 502)] {
        let response = from(gateway, origin);
        assert_eq!(response.status, status);
        assert_eq!(response.header("access-control-allow-origin").as_deref(), Some(origin), "{status}");
    }
}

#[test]
fn without_origins_cors_is_the_services_own() {
    let upstream = service("Access-Control-Allow-Origin: https://own.test\r\n", "hello");
    let gateway = plain(&upstream.url()).policy("response", "{ mode: enforce }").start();
    let response = from(&gateway, "https://own.test");
    assert_eq!(response.header("access-control-allow-origin").as_deref(), Some("https://own.test"));
    assert_eq!(preflight(&gateway, "https://own.test", "GET").status, 200);
    assert_eq!(upstream.requests().len(), 2, "the service answers preflights itself");
}
