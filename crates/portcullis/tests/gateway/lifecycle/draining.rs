//! SIGTERM and SIGINT: what is under way finishes, nothing new begins, and it does not take for ever.

use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use portcullis_testkit::PATIENCE;
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::h2;
use portcullis_testkit::raw::{self, Connection};
use serde_json::json;

use crate::common::plain;

/// Waits until nobody listens there any more.
fn wait_until_refused(address: SocketAddr) {
    let begun = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(begun.elapsed() < PATIENCE, "{address} still takes connections");
    }
}

fn wait_for_target(upstream: &Upstream, target: &str) {
    upstream.wait_for(|requests| requests.iter().any(|seen| seen.target == target).then_some(()));
}

fn held(gateway: &Gateway, upstream: &Upstream, path: &str) -> Connection {
    let mut client = Connection::open(gateway.address("public"));
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    wait_for_target(upstream, path);
    client
}

#[test]
fn requests_under_way_finish_and_new_connections_are_refused() {
    let upstream = Upstream::start();
    let mut gateway = plain(&upstream.url()).section("workers", "2").start();
    let mut waiting = held(&gateway, &upstream, "/slow-head");
    let mut reading = held(&gateway, &upstream, "/hang-body");
    assert_eq!(reading.interim().status, 200);
    let client = h2::Client::open(gateway.address("public"));
    let mut stream = client.start("GET", "/slow-head?h2", &[]);
    stream.finish();
    wait_for_target(&upstream, "/slow-head?h2");
    let mut idle = Connection::open(gateway.address("public"));
    assert_eq!(idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").response().status, 200);

    gateway.terminate();
    let _ = gateway.wait_for_event("draining", 0);
    idle.assert_closed();
    wait_until_refused(gateway.address("public"));
    let operator = gateway.address("admin");
    let readiness = raw::get(operator, "/readyz", "");
    assert_eq!(readiness.status, 503, "nothing more should be sent here");
    assert_eq!(readiness.json(), json!({ "status": "draining", "config_generation": 1 }));
    assert_eq!(raw::get(operator, "/healthz", "").status, 200);

    upstream.release();
    let answer = waiting.response();
    assert_eq!((answer.status, answer.text().as_str(), answer.complete), (200, "at last", true));
    waiting.assert_closed();
    assert_eq!(reading.read_exactly(10), b"1234567890");
    assert_eq!(stream.response().text(), "at last");
    assert!(gateway.ended().success());
    let _ = gateway.wait_for_event("stopped", 0);
    assert_eq!(gateway.audit().len(), 4, "every request is on the record");
}

#[test]
fn a_request_body_that_is_still_coming_may_come() {
    let upstream = Upstream::start();
    let mut gateway = plain(&upstream.url()).start();
    let mut client = Connection::open(gateway.address("public"));
    client.send("POST /reflect HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\none");
    upstream.wait_for(|requests| (requests.first()?.body == b"one").then_some(()));
    gateway.terminate();
    let _ = gateway.wait_for_event("draining", 0);
    assert_eq!(client.send("two").response().text(), "onetwo");
    assert!(gateway.ended().success());
}

#[test]
fn draining_is_bounded() {
    let upstream = Upstream::start();
    let mut gateway = plain(&upstream.url()).section("drain_timeout", "150ms").start();
    let mut waiting = held(&gateway, &upstream, "/slow-head");
    let mut reading = held(&gateway, &upstream, "/hang-body");
    assert_eq!(reading.interim().status, 200);
    let mut tunnel = Connection::open(gateway.address("public"));
    tunnel.send("GET /switch HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(tunnel.response().status, 101);

    gateway.terminate();
    assert!(gateway.ended().success(), "what is cut off is no failure of the gateway");
    waiting.assert_closed();
    assert_eq!(reading.read_to_end(), b"12345");
    tunnel.assert_closed();
    assert_eq!(gateway.audit().len(), 3, "requests that were cut off are on the record as well");
}

#[test]
fn an_idle_gateway_ends_at_once_by_either_signal() {
    for signal in [Gateway::terminate, Gateway::interrupt] {
        let upstream = Upstream::start();
        // Longer than any test waits.
        let mut gateway = plain(&upstream.url()).section("drain_timeout", "1h").start();
        let mut idle = Connection::open(gateway.address("public"));
        assert_eq!(idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").response().status, 200);
        signal(&gateway);
        idle.assert_closed();
        assert!(gateway.ended().success());
    }
}

#[test]
fn a_client_that_has_not_said_anything_holds_nobody_up() {
    let upstream = Upstream::start();
    let mut gateway = plain(&upstream.url()).section("drain_timeout", "1h").start();
    let mut silent = Connection::open(gateway.address("public"));
    // The gateway has the connection: another that was opened later is answered.
    assert_eq!(raw::get(gateway.address("public"), "/", "").status, 200);
    gateway.terminate();
    silent.assert_closed();
    assert!(gateway.ended().success());
}

/// The time that counts is that of the configuration in force when the gateway is told to stop.
#[test]
fn the_time_to_drain_can_be_reloaded() {
    let upstream = Upstream::start();
    let patient = plain(&upstream.url()).section("drain_timeout", "1h");
    let mut gateway = patient.start();
    let mut waiting = held(&gateway, &upstream, "/slow-head");
    gateway.rewrite(&plain(&upstream.url()).section("drain_timeout", "100ms").text());
    gateway.hang_up();
    let _ = gateway.wait_for_event("reloaded", 0);
    gateway.terminate();
    assert!(gateway.ended().success());
    waiting.assert_closed();
}
