//! Every key of `protocol`: what is within it passes, what is beyond it does not.

use std::time::Instant;

use portcullis_testkit::PATIENCE;
use portcullis_testkit::ca::Authority;
use portcullis_testkit::echo::{Ending as Seen, Upstream};
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::h2raw::{self, Ending, code, flag, kind};
use portcullis_testkit::hpack;
use portcullis_testkit::raw::{self, Connection, Response};

use crate::common::{plain, setup};

fn limited(protocol: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).section("protocol", protocol).start();
    (upstream, gateway)
}

/// Sends a request whose answer closes the connection.
fn refused(gateway: &Gateway, request: &str) -> (u16, String) {
    let mut connection = Connection::open(gateway.address("public"));
    let response: Response = connection.send(request).response();
    connection.assert_closed();
    (response.status, response.code())
}

fn refusal(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

fn get_with(gateway: &Gateway, target: &str, lines: &str) -> (u16, String) {
    refused(gateway, &format!("GET {target} HTTP/1.1\r\nHost: api.example.com\r\n{lines}\r\n"))
}

/// The status of the answer to a GET over HTTP/2.
fn over_http2(gateway: &Gateway, path: &str, more: &[(&str, &str)]) -> u16 {
    let fields = [h2raw::request_fields("GET", path).as_slice(), more].concat();
    status(&h2raw::Connection::open(gateway.address("public")).send_headers(1, &fields, true).ending(1))
}

fn status(ending: &Ending) -> u16 {
    match ending {
        Ending::Response { status, .. } => *status,
        other => panic!("no response but {other:?}"),
    }
}

#[test]
fn request_line() {
    let (upstream, gateway) = limited("{ request_line: 100B }");
    // `GET ` and ` HTTP/1.1` take 13 bytes.
    let within = format!("/{}", "a".repeat(86));
    assert_eq!(raw::get(gateway.address("public"), &within, "").status, 200);
    assert_eq!(over_http2(&gateway, &within, &[]), 200);
    upstream.forget();
    let beyond = format!("{within}a");
    assert_eq!(get_with(&gateway, &beyond, ""), refusal(414, "target_too_long"));
    assert_eq!(over_http2(&gateway, &beyond, &[]), 414);
    upstream.assert_no_contact();
}

#[test]
fn header_count() {
    let (upstream, gateway) = limited("{ header_count: 5 }");
    assert_eq!(raw::get(gateway.address("public"), "/", &"X: 1\r\n".repeat(4)).status, 200);
    assert_eq!(over_http2(&gateway, "/", &[("x", "1"); 5]), 200);
    upstream.forget();
    assert_eq!(get_with(&gateway, "/", &"X: 1\r\n".repeat(5)), refusal(431, "headers_too_large"));
    assert_eq!(over_http2(&gateway, "/", &[("x", "1"); 6]), 431);
    upstream.assert_no_contact();
}

/// hyper has a limit of its own, of a hundred fields, which a higher one of ours must raise.
#[test]
fn header_count_above_a_hundred() {
    let (_upstream, gateway) = limited("{ header_count: 300 }");
    assert_eq!(raw::get(gateway.address("public"), "/", &"X: 1\r\n".repeat(299)).status, 200);
    assert_eq!(over_http2(&gateway, "/", &[("x", "1"); 300]), 200);
}

#[test]
fn header_size() {
    let (upstream, gateway) = limited("{ header_size: 300B }");
    let within = "v".repeat(300 - "x-long: ".len());
    assert_eq!(raw::get(gateway.address("public"), "/", &format!("x-long: {within}\r\n")).status, 200);
    assert_eq!(over_http2(&gateway, "/", &[("x-long", &within)]), 200);
    upstream.forget();
    let beyond = "v".repeat(300);
    assert_eq!(get_with(&gateway, "/", &format!("x-long: {beyond}\r\n")), refusal(431, "headers_too_large"));
    assert_eq!(over_http2(&gateway, "/", &[("x-long", &beyond)]), 431);
    upstream.assert_no_contact();
}

#[test]
fn header_total() {
    let (upstream, gateway) = limited("{ header_total: 1KiB }");
    let part = "v".repeat(200);
    let lines = |count: usize| format!("X: {part}\r\n").repeat(count);
    assert_eq!(raw::get(gateway.address("public"), "/", &lines(4)).status, 200);
    // In HTTP/2 a field counts 32 bytes more than it is long (RFC 9113 section 6.5.2), pseudo-header fields included.
    assert_eq!(over_http2(&gateway, "/", &[("x", part.as_str()); 3]), 200);
    upstream.forget();
    assert_eq!(get_with(&gateway, "/", &lines(5)), refusal(431, "headers_too_large"));
    assert_eq!(over_http2(&gateway, "/", &[("x", part.as_str()); 5]), 431);
    upstream.assert_no_contact();
}

#[test]
fn body() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url())
        .section("protocol", "{ body: 10B }")
        .policy("forward", "{ body: 10B }")
        .start();
    let counted = "POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: ";
    let chunked = "POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    for within in [format!("{counted}10\r\n\r\n0123456789"), format!("{chunked}a\r\n0123456789\r\n0\r\n\r\n")]
    {
        assert_eq!(raw::request(gateway.address("public"), within).status, 200);
    }
    upstream.forget();
    let too_large = refusal(413, "body_too_large");
    assert_eq!(refused(&gateway, &format!("{counted}11\r\n\r\n0123456789a")), too_large);
    upstream.assert_no_contact();
    assert_eq!(refused(&gateway, &format!("{chunked}5\r\n01234\r\n6\r\n56789a\r\n0\r\n\r\n")), too_large);
    assert_eq!(posted_over_http2(&gateway, Some("11")), 413);
    assert_eq!(posted_over_http2(&gateway, None), 413);
    assert!(upstream.requests().iter().all(|seen| seen.ending != Seen::Complete));
}

/// The status of the answer to eleven bytes, with their number said before or not.
fn posted_over_http2(gateway: &Gateway, length: Option<&str>) -> u16 {
    let mut fields = h2raw::request_fields("POST", "/");
    fields.extend(length.map(|length| ("content-length", length)));
    let mut connection = h2raw::Connection::open(gateway.address("public"));
    connection.send_headers(1, &fields, false).send_data(1, b"0123456789a", true);
    status(&connection.ending(1))
}

#[test]
fn connections() {
    let (_upstream, gateway) = limited("{ connections: 2 }");
    assert_third_connection_is_closed(&gateway);
}

#[test]
fn connections_per_address() {
    let (_upstream, gateway) = limited("{ connections_per_address: 2 }");
    assert_third_connection_is_closed(&gateway);
}

fn assert_third_connection_is_closed(gateway: &Gateway) {
    let get = "GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n";
    let [mut first, mut second] = [(); 2].map(|()| Connection::open(gateway.address("public")));
    assert_eq!(first.send(get).response().status, 200);
    assert_eq!(second.send(get).response().status, 200);
    Connection::open(gateway.address("public")).send(get).assert_closed();
    assert_eq!(first.send(get).response().status, 200, "those that were there are served on");
    let metrics = raw::get(gateway.address("admin"), "/metrics", "").text();
    assert!(metrics.lines().any(|line| line == "portcullis_connections_refused_total 1"), "{metrics}");
}

#[test]
fn header_timeout() {
    let (upstream, gateway) = limited("{ header_timeout: 200ms }");
    let mut connection = Connection::open(gateway.address("public"));
    // Not only of the first request.
    assert_eq!(connection.send("GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n").response().status, 200);
    upstream.forget();
    let begin_head = |connection: &mut Connection| {
        let response = connection.send("GET / HTTP/1.1\r\nHost: gate.test\r\n").response();
        assert_eq!((response.status, response.code()), refusal(408, "request_timeout"));
        connection.assert_closed();
    };
    begin_head(&mut connection);
    within_patience(|| begin_head(&mut Connection::open(gateway.address("public"))));
    upstream.assert_no_contact();
}

/// Waits three times for what takes ten seconds by default: longer than any test waits.
fn within_patience(mut wait: impl FnMut()) {
    let begun = Instant::now();
    for _ in 0..3 {
        wait();
        assert!(begun.elapsed() < PATIENCE, "it does not take what the configuration says");
    }
}

#[test]
fn body_timeout() {
    let (upstream, gateway) = limited("{ body_timeout: 200ms }");
    for beginning in [
        "Content-Length: 10\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Trailer: 1\r\n",
        "Content-Length: 10\r\n\r\n",
    ] {
        let answer = refused(&gateway, &format!("POST / HTTP/1.1\r\nHost: gate.test\r\n{beginning}"));
        assert_eq!(answer, refusal(408, "request_timeout"), "{beginning}");
    }
    let mut connection = h2raw::Connection::open(gateway.address("public"));
    connection.send_headers(1, &h2raw::request_fields("POST", "/"), false).send_data(1, b"abc", false);
    assert_eq!(status(&connection.ending(1)), 408);
    assert_eq!(status(&connection.send_get(3, "/status/200").ending(3)), 200, "the connection is in order");
    let requests = upstream.requests();
    assert!(
        requests.iter().all(|seen| seen.method == "GET" || seen.ending != Seen::Complete),
        "{requests:#?}"
    );
}

#[test]
fn idle_timeout() {
    let (_upstream, gateway) = limited("{ idle_timeout: 200ms }");
    Connection::open(gateway.address("public")).assert_closed();
    let mut connection = Connection::open(gateway.address("public"));
    assert_eq!(connection.send("GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n").response().status, 200);
    connection.assert_closed();
    let mut connection = h2raw::Connection::open(gateway.address("public"));
    assert_eq!(status(&connection.send_get(1, "/").ending(1)), 200);
    connection.go_away();
}

/// A request under way is not idle, however long it takes.
#[test]
fn idle_timeout_does_not_end_a_request_under_way() {
    let (upstream, gateway) = limited("{ idle_timeout: 200ms }");
    let mut waiting = Connection::open(gateway.address("public"));
    waiting.send("GET /slow-head HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    let mut waiting_too = h2raw::Connection::open(gateway.address("public"));
    waiting_too.send_get(1, "/slow-head");
    upstream.wait_for(|requests| (requests.len() == 2).then_some(()));
    // A connection that began to be idle later is over: so the time has passed.
    Connection::open(gateway.address("public")).assert_closed();
    upstream.release();
    assert_eq!(waiting.response().status, 200);
    assert_eq!(status(&waiting_too.ending(1)), 200);
}

/// HTTP/2 clients that never send a whole request are not better off than others.
#[test]
fn idle_timeout_ends_http2_connections_without_a_request() {
    let (upstream, gateway) = limited("{ idle_timeout: 200ms }");
    Connection::open(gateway.address("public")).send(&h2raw::PREFACE[..10]).assert_closed();
    h2raw::Connection::open(gateway.address("public")).go_away();
    let mut within_a_head = h2raw::Connection::open(gateway.address("public"));
    within_a_head.send_frame(kind::HEADERS, flag::END_STREAM, 1, &[]).go_away();
    upstream.assert_no_contact();
}

#[test]
fn handshake_timeout() {
    let upstream = Upstream::start();
    let authority = Authority::new();
    let identity = authority.server(&["gate.test"]);
    let tls =
        "{ name: public, address: \"127.0.0.1:0\", tls: { certificate: server.pem, key: server.key.pem } }";
    let files =
        setup().file("server.pem", &identity.certificate_pem).file("server.key.pem", &identity.key_pem);
    let limit = "{ handshake_timeout: 200ms }";
    let gateway = plain(&upstream.url()).listener(tls).section("protocol", limit).start_in(files);
    within_patience(|| Connection::open(gateway.address("public")).assert_closed());
    // The beginning of a handshake record, and no more.
    Connection::open(gateway.address("public")).send(b"\x16\x03\x01\x02\x00\x01").assert_closed();
    let proxy = "{ name: public, address: \"127.0.0.1:0\", proxy_protocol: true }";
    let gateway = plain(&upstream.url()).listener(proxy).section("protocol", limit).start();
    // Half of the signature of a PROXY header.
    Connection::open(gateway.address("public")).send(b"\r\n\r\n\0\r\n").assert_closed();
    upstream.assert_no_contact();
}

#[test]
fn http2_streams() {
    const REFUSED_STREAM: u32 = 0x7;
    let (upstream, gateway) = limited("{ http2: { streams: 2 } }");
    let mut connection = h2raw::Connection::open(gateway.address("public"));
    for stream in [1, 3, 5] {
        connection.send_get(stream, "/slow-head");
    }
    assert_eq!(connection.ending(5), Ending::Reset(REFUSED_STREAM));
    upstream.wait_for(|requests| (requests.len() == 2).then_some(()));
    upstream.release();
    assert_eq!(status(&connection.ending(1)), 200);
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn http2_resets() {
    let (upstream, gateway) = limited("{ http2: { resets: 2 } }");
    let mut connection = h2raw::Connection::open(gateway.address("public"));
    let give_up = |connection: &mut h2raw::Connection, stream| {
        upstream.forget();
        connection.send_get(stream, "/slow-head");
        upstream.wait_for(|requests| (requests.len() == 1).then_some(()));
        connection.send_reset(stream, code::CANCEL);
    };
    give_up(&mut connection, 1);
    give_up(&mut connection, 3);
    assert_eq!(status(&connection.send_get(5, "/status/200").ending(5)), 200, "two are allowed");
    give_up(&mut connection, 7);
    assert_eq!(connection.go_away(), Some(code::ENHANCE_YOUR_CALM));
}

/// Whoever says nothing is not given longer than whoever begins and does not go on.
#[test]
fn header_timeout_holds_before_the_first_byte() {
    let (upstream, gateway) = limited("{ header_timeout: 200ms, idle_timeout: 1h }");
    Connection::open(gateway.address("public")).assert_closed();
    Connection::open(gateway.address("public")).send(&h2raw::PREFACE[..10]).assert_closed();
    h2raw::Connection::open(gateway.address("public")).go_away();
    upstream.assert_no_contact();
}

#[test]
fn header_timeout_holds_over_tls_before_the_first_byte() {
    let upstream = Upstream::start();
    let authority = Authority::new();
    let identity = authority.server(&["gate.test"]);
    let tls =
        "{ name: public, address: \"127.0.0.1:0\", tls: { certificate: server.pem, key: server.key.pem } }";
    let files =
        setup().file("server.pem", &identity.certificate_pem).file("server.key.pem", &identity.key_pem);
    let limit = "{ header_timeout: 200ms, idle_timeout: 1h }";
    let gateway = plain(&upstream.url()).listener(tls).section("protocol", limit).start_in(files);
    for protocol in ["http/1.1", "h2"] {
        let config = authority.client_config(None, &[protocol]);
        Connection::open_tls(gateway.address("public"), "gate.test", config).read_to_end();
    }
    upstream.assert_no_contact();
}

/// A head of HTTP/2 that is never finished, be it the first of its connection or a later one, beside another request.
#[test]
fn header_timeout_holds_within_a_head_of_http2() {
    let (upstream, gateway) = limited("{ header_timeout: 200ms, idle_timeout: 1h }");
    let head = hpack::encode(&h2raw::request_fields("GET", "/never"));
    let (begin, rest) = head.split_at(3);
    let mut first = h2raw::Connection::open(gateway.address("public"));
    first.send_frame(kind::HEADERS, flag::END_STREAM, 1, begin).go_away();

    let mut later = h2raw::Connection::open(gateway.address("public"));
    later.send_get(1, "/slow-head");
    upstream.wait_for(|requests| (requests.len() == 1).then_some(()));
    later.send_frame(kind::HEADERS, flag::END_STREAM, 3, begin);
    later.send_frame(kind::CONTINUATION, 0, 3, rest);
    later.go_away();

    // Half of the frame that would bring the head.
    let mut within_a_frame = h2raw::Connection::open(gateway.address("public"));
    assert_eq!(status(&within_a_frame.send_get(1, "/status/200").ending(1)), 200);
    let frame = h2raw::frame(kind::HEADERS, flag::END_STREAM | flag::END_HEADERS, 3, &head);
    within_a_frame.send(&frame[..12]).go_away();
    assert!(upstream.requests().iter().all(|seen| seen.target != "/never"));
}
