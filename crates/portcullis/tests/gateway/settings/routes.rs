//! What of a service can be reached, and by which name it is known.

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Response};

use crate::common::plain;

const ROUTES: [&str; 8] = [
    "{ name: orders, path: \"/orders/{id}\", methods: [GET, PUT] }",
    "{ name: order-list, path: /orders, methods: [GET] }",
    "{ name: new-orders, path: /orders, methods: [POST], headers: { X-Version: \"2\" } }",
    "{ name: old-orders, path: /orders, methods: [POST], headers: { X-Version: \"1\" } }",
    "{ name: files, path: \"/files/{*path}\" }",
    "{ name: one-host, path: /who, hosts: [admin.example.com] }",
    "{ name: many-hosts, path: /who, hosts: [\"*.shops.example.com\", example.org] }",
    "{ name: any-host, path: /anyone }",
];

fn ask(gateway: &Gateway, method: &str, target: &str, host: &str, lines: &str) -> Response {
    let head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
    raw::request(gateway.address("public"), head)
}

#[test]
fn a_route_is_chosen_by_path_method_host_and_header() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).routes(&ROUTES).start();
    let mut expected = Vec::new();
    for (method, target, host, lines, route) in [
        ("GET", "/orders/42", "a", "", "orders"),
        ("PUT", "/orders/a%20b", "a", "", "orders"),
        ("GET", "/orders", "a", "", "order-list"),
        ("POST", "/orders", "a", "X-Version: 2\r\n", "new-orders"),
        ("POST", "/orders", "a", "x-version: 1\r\n", "old-orders"),
        ("GET", "/files/a/b/c", "a", "", "files"),
        ("GET", "/who", "admin.example.com", "", "one-host"),
        ("GET", "/who", "ADMIN.example.com:8443", "", "one-host"),
        ("GET", "/who", "north.shops.example.com", "", "many-hosts"),
        ("GET", "/who", "a.b.shops.example.com", "", "many-hosts"),
        ("GET", "/who", "example.org", "", "many-hosts"),
        ("DELETE", "/anyone", "whoever", "", "any-host"),
    ] {
        assert_eq!(ask(&gateway, method, target, host, lines).status, 200, "{method} {target} of {host}");
        expected.push(route);
    }
    let records = gateway.stop_and_audit();
    let routes: Vec<_> = records.iter().map(|record| record["route"].as_str().unwrap()).collect();
    assert_eq!(routes, expected);
    assert!(records.iter().all(|record| record["service"] == "shop"));
}

/// OWASP API9: what is not written down is not there; API5: nor is a method that is not.
#[test]
fn what_no_route_names_is_not_there() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).routes(&ROUTES).start();
    for (method, target, host, lines, status) in [
        ("GET", "/", "a", "", 404),
        ("GET", "/orders/42/lines", "a", "", 404),
        ("GET", "/Orders/42", "a", "", 404),
        ("GET", "/who", "other.example.com", "", 404),
        ("GET", "/who", "shops.example.com", "", 404),
        ("GET", "/who", "admin.example.com.evil.test", "", 404),
        ("DELETE", "/orders/42", "a", "", 405),
        ("PATCH", "/orders", "a", "", 405),
    ] {
        let answer = ask(&gateway, method, target, host, lines);
        assert_eq!(answer.status, status, "{method} {target} of {host} {lines}");
    }
    // A field that comes twice has two readings, and two routes would do.
    for lines in ["", "X-Version: 3\r\n", "X-Version: 1, 2\r\n", "X-Version: 2\r\nX-Version: 1\r\n"] {
        assert_eq!(ask(&gateway, "POST", "/orders", "a", lines).status, 405, "{lines:?}");
    }
    upstream.assert_no_contact();
    let answer = ask(&gateway, "DELETE", "/orders/42", "a", "");
    assert_eq!(answer.header("allow").as_deref(), Some("GET, HEAD, PUT"));
}
