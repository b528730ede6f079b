//! Connections that change their protocol.

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::Connection;

use crate::common::plain;

fn upgrade(path: &str, protocol: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: {protocol}\r\n")
}

fn connect(gateway: &Gateway) -> Connection {
    Connection::open(gateway.address("public"))
}

#[test]
fn a_websocket_is_opened_and_every_byte_passes_both_ways() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let mut client = connect(&gateway);
    // RFC 6455 section 1.3. The first frame comes with the head.
    client.send(format!(
        "{}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\x01first",
        upgrade("/switch", "websocket")
    ));
    let answer = client.response();
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("upgrade").as_deref(), Some("websocket"));
    assert_eq!(
        answer.header("connection").map(|value| value.to_ascii_lowercase()).as_deref(),
        Some("upgrade")
    );
    assert_eq!(answer.header("sec-websocket-accept").as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(client.read_exactly(6), b"\x01first");
    // What would be refused in HTTP is nobody's business any more.
    for text in ["GET / HTTP/1.1\r\n\r\n", "\0\r\n\n", &"x".repeat(100_000)] {
        client.send(text);
        assert_eq!(client.read_exactly(text.len()), text.as_bytes());
    }
    let seen = upstream.only_request();
    assert_eq!(seen.header("upgrade").as_deref(), Some("websocket"));
    assert_eq!(seen.header("connection").as_deref(), Some("upgrade"));
    assert_eq!(seen.header("sec-websocket-version").as_deref(), Some("13"));
    client.finish_sending().assert_closed();
}

#[test]
fn the_record_of_an_upgraded_connection_is_written_at_its_end() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let mut client = connect(&gateway);
    assert_eq!(client.send(upgrade("/switch", "websocket") + "\r\n").response().status, 101);
    client.send("hello").read_exactly(5);
    client.finish_sending().assert_closed();
    let records = gateway.stop_and_audit();
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0]["http.response.status_code"], 101, "{}", records[0]);
    assert_eq!(records[0]["decision"], "allow", "{}", records[0]);
    assert_eq!(records[0]["http.response.body.size"], 5, "{}", records[0]);
}

#[test]
fn other_protocols_are_changed_to_only_if_the_route_allows_them() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).policy("forward", "{ upgrades: [Chat] }").start();
    let mut client = connect(&gateway);
    assert_eq!(client.send(upgrade("/switch", "chat") + "\r\n").response().status, 101);
    client.send("hello");
    assert_eq!(client.read_exactly(5), b"hello");
    upstream.forget();

    for protocol in ["websocket", "h2c", "chat, h2c"] {
        let mut client = connect(&gateway);
        let answer = client.send(upgrade("/plain", protocol) + "\r\n").response();
        assert_eq!(answer.status, 200, "{protocol}: the request is served without the upgrade");
        let seen = upstream.only_request();
        assert!(!seen.has("upgrade") && !seen.has("connection"), "{protocol}: {seen:?}");
        assert_eq!(
            client.send("GET /big/3 HTTP/1.1\r\nHost: a\r\n\r\n").response().text(),
            "xxx",
            "{protocol}"
        );
        upstream.forget();
    }
}

#[test]
fn a_service_may_decline_and_the_connection_goes_on() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let mut client = connect(&gateway);
    for (path, status) in [("/status/200", 200), ("/status/426", 426), ("/status/204", 204)] {
        let answer = client.send(upgrade(path, "websocket") + "\r\n").response();
        assert_eq!(answer.status, status);
        assert!(upstream.only_request().has("upgrade"));
        upstream.forget();
    }
    // Requests that came behind one that asked for an upgrade are requests, if it was declined.
    client.send(upgrade("/big/1", "websocket") + "\r\nGET /big/2 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().text(), "x");
    assert_eq!(client.response().text(), "xx");
    let positions: Vec<usize> = upstream.requests().iter().map(|seen| seen.position).collect();
    assert_eq!(positions, [3, 4]);
}

#[test]
fn a_refused_request_does_not_change_the_protocol() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).policy("authorize", "{ mode: enforce }").start();
    let mut client = connect(&gateway);
    let behind = "GET /behind HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(upgrade("/switch", "websocket") + "\r\n" + behind);
    assert_eq!(client.response().status, 403);
    assert_eq!(client.response().status, 403, "what came behind it is judged as well");
    upstream.assert_no_contact();
}

#[test]
fn a_service_that_changes_protocols_unasked_is_not_followed() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    for request in ["GET /switch HTTP/1.1\r\nHost: a\r\n".to_owned(), upgrade("/switch", "other")] {
        let mut client = connect(&gateway);
        let answer = client.send(request + "\r\n").response();
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_failed"));
        // The connection to the service, which speaks something else by now, is not used again.
        upstream.forget();
        assert_eq!(client.send("GET /big/3 HTTP/1.1\r\nHost: a\r\n\r\n").response().text(), "xxx");
        assert_eq!(upstream.only_request().position, 0);
        upstream.forget();
    }
}

#[test]
fn upgrade_without_connection_means_nothing() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(connect(&gateway).send(request).response().status, 200);
    assert!(!upstream.only_request().has("upgrade"));
}

#[test]
fn either_side_may_end_a_changed_connection() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let mut client = connect(&gateway);
    assert_eq!(client.send(upgrade("/switch", "websocket") + "\r\n").response().status, 101);
    client.send("last words");
    assert_eq!(client.read_exactly(10), b"last words");
    drop(upstream);
    client.assert_closed();
}
