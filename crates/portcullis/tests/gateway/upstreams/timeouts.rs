//! Each time limit of an exchange with a service, by its expiry.

use std::net::TcpStream;
use std::time::Instant;

use portcullis_testkit::PATIENCE;
use portcullis_testkit::ca::Authority;
use portcullis_testkit::echo::{Ending, Seen, Upstream};
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::h2;
use portcullis_testkit::raw::Connection;
use socket2::{Domain, Socket, Type};

use super::{Puppet, assert_refused, get, post};
use crate::common::{plain, targets};

fn gateway(upstream: &Upstream, protocol: &str, timeouts: &str) -> Gateway {
    plain(&upstream.url())
        .upstream("protocol", protocol)
        .policy("forward", format!("{{ retries: 0, timeouts: {timeouts} }}"))
        .start()
}

#[test]
fn a_service_that_takes_no_connection_is_a_gateway_timeout() {
    // A listener with a full queue: the system drops what comes until somebody accepts.
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let _filling = TcpStream::connect_timeout(&address, PATIENCE).unwrap();

    let gateway = plain(&format!("http://{address}"))
        .upstream("passive_health", "{ failures: 1000 }")
        .policy("forward", "{ retries: 0, timeouts: { connect: 100ms } }")
        .start();
    assert_refused(&post(&gateway, "/"), 504, "upstream_timeout");
    // With the usual time limit these would take longer than any test waits.
    let begun = Instant::now();
    for _ in 0..11 {
        assert_refused(&get(&gateway, "/"), 504, "upstream_timeout");
        assert!(begun.elapsed() < PATIENCE, "the limit is not the configured one");
    }
}

#[test]
fn a_tls_handshake_that_stalls_is_a_gateway_timeout() {
    // Somebody accepts, in the system's name, and says nothing.
    let silent = Puppet::start();
    let authority = Authority::new();
    let gateway = plain(&format!("https://{}", silent.address()))
        .upstream("tls", format!("{{ ca: \"{}\" }}", authority.certificate().display()))
        .policy("forward", "{ retries: 0, timeouts: { connect: 100ms } }")
        .start();
    assert_refused(&get(&gateway, "/"), 504, "upstream_timeout");
}

#[test]
fn another_target_has_a_time_of_its_own_to_begin_to_answer() {
    let silent = Puppet::start();
    let upstream = Upstream::start();
    let gateway = targets(&[&silent.url(), &upstream.url()])
        .policy("forward", "{ retries: 1, timeouts: { first_byte: 500ms } }")
        .start();
    // Whichever the first choice is, one of the two requests is first asked of the silent one.
    for _ in 0..2 {
        assert_eq!(get(&gateway, "/").status, 200);
    }
}

#[test]
fn a_service_that_does_not_begin_to_answer_is_a_gateway_timeout() {
    for protocol in ["http1", "http2"] {
        let upstream = Upstream::start();
        let gateway = gateway(&upstream, protocol, "{ first_byte: 100ms }");
        assert_refused(&get(&gateway, "/slow-head"), 504, "upstream_timeout");
        assert_refused(&post(&gateway, "/slow-head"), 504, "upstream_timeout");
        // The service sees that nobody waits any more.
        let abandoned = |seen: &Seen| seen.ending == Ending::Abandoned;
        upstream.wait_for(|requests| (requests.len() == 2 && requests.iter().all(abandoned)).then_some(()));
        assert_eq!(get(&gateway, "/").status, 200, "{protocol}");
    }
}

#[test]
fn the_time_for_the_first_byte_begins_when_the_request_is_complete() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, "http1", "{ first_byte: 100ms }");
    let mut slow = Connection::open(gateway.address("public"));
    slow.send("POST /reflect HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\none");
    upstream.wait_for(|requests| requests.iter().any(|seen| seen.body == b"one").then_some(()));
    // Another request waits for the whole limit, and runs into it.
    assert_refused(&get(&gateway, "/slow-head"), 504, "upstream_timeout");
    assert_eq!(slow.send("two").response().text(), "onetwo");
}

#[test]
fn an_answer_that_stalls_breaks_off() {
    for protocol in ["http1", "http2"] {
        let upstream = Upstream::start();
        let gateway = gateway(&upstream, protocol, "{ idle: 100ms }");
        let mut client = Connection::open(gateway.address("public"));
        client.send("GET /hang-body HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = client.response();
        assert_eq!(
            (answer.status, answer.text().as_str(), answer.complete),
            (200, "12345", false),
            "{protocol}"
        );
        let answer = h2::Client::open(gateway.address("public")).request("GET", "/hang-body", &[]);
        assert_eq!((answer.status, answer.complete), (200, false), "{protocol}");
    }
}

#[test]
fn the_whole_exchange_has_a_limit_too() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, "http1", "{ total: 100ms }");
    assert_refused(&get(&gateway, "/slow-head"), 504, "upstream_timeout");
    let mut client = Connection::open(gateway.address("public"));
    client.send("GET /hang-body HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = client.response();
    assert_eq!((answer.status, answer.complete), (200, false));
}

#[test]
fn a_changed_connection_outlives_the_limit() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, "http1", "{ total: 100ms, idle: 100ms, first_byte: 100ms }");
    let mut client = Connection::open(gateway.address("public"));
    client.send("GET /switch HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.response().status, 101);
    // Two others run into the limit meanwhile, one after the other.
    for _ in 0..2 {
        assert_refused(&get(&gateway, "/slow-head"), 504, "upstream_timeout");
    }
    client.send("still here");
    assert_eq!(client.read_exactly(10), b"still here");
}

#[test]
fn a_client_that_pauses_in_its_body_is_told_so() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).section("protocol", "{ body_timeout: 100ms }").start();
    let mut client = Connection::open(gateway.address("public"));
    client.send("POST /reflect HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\none");
    assert_refused(&client.response(), 408, "request_timeout");
    assert_eq!(upstream.wait_for(|requests| requests.first().cloned()).body, b"one");
    upstream.wait_for(|requests| (requests[0].ending == Ending::Cut).then_some(()));
}
