//! Bodies: streaming, chunked, empty, or not there at all.

use portcullis_testkit::echo::{Ending, Upstream};
use portcullis_testkit::h2;
use portcullis_testkit::raw::{self, Connection};

use crate::common::plain;

/// Waits until the service has this much of the body of its only request, which goes on.
fn wait_for_part(upstream: &Upstream, part: &[u8]) {
    upstream.wait_for(|requests| {
        let [seen] = requests.as_slice() else { return None };
        (seen.body == part && seen.ending == Ending::Reading).then_some(())
    });
}

#[test]
fn a_request_body_reaches_the_service_piece_by_piece() {
    for protocol in ["http1", "http2"] {
        let upstream = Upstream::start();
        let gateway = plain(&upstream.url()).upstream("protocol", protocol).start();

        let mut client = Connection::open(gateway.address("public"));
        client.send("POST /reflect HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
        wait_for_part(&upstream, b"one");
        client.send("3\r\ntwo\r\n");
        wait_for_part(&upstream, b"onetwo");
        assert_eq!(client.send("0\r\n\r\n").response().text(), "onetwo", "{protocol}");
        upstream.forget();

        client.send("POST /reflect HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\none");
        wait_for_part(&upstream, b"one");
        assert_eq!(client.send("two").response().text(), "onetwo", "{protocol}");
        upstream.forget();

        let client = h2::Client::open(gateway.address("public"));
        let mut stream = client.start("POST", "/reflect", &[]);
        stream.send("one");
        wait_for_part(&upstream, b"one");
        stream.send("two");
        wait_for_part(&upstream, b"onetwo");
        assert_eq!(stream.response().text(), "onetwo", "{protocol}");
    }
}

#[test]
fn an_answer_reaches_the_client_piece_by_piece() {
    for protocol in ["http1", "http2"] {
        for client_protocol in ["http1", "http2"] {
            let upstream = Upstream::start();
            let gateway = plain(&upstream.url()).upstream("protocol", protocol).start();
            if client_protocol == "http1" {
                let mut client = Connection::open(gateway.address("public"));
                client.send("GET /hang-body HTTP/1.1\r\nHost: a\r\n\r\n");
                assert_eq!(client.interim().header("content-length").as_deref(), Some("10"));
                assert_eq!(client.read_exactly(5), b"12345");
                upstream.release();
                assert_eq!(client.read_exactly(5), b"67890");
            } else {
                let client = h2::Client::open(gateway.address("public"));
                let mut stream = client.start("GET", "/hang-body", &[]);
                stream.finish();
                assert_eq!(stream.head().status, 200);
                assert_eq!(stream.next_piece().as_deref(), Some(&b"12345"[..]));
                upstream.release();
                assert_eq!(stream.next_piece().as_deref(), Some(&b"67890"[..]));
                assert_eq!(stream.next_piece(), None);
            }
        }
    }
}

#[test]
fn an_answer_may_come_before_the_request_is_complete() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let mut client = Connection::open(gateway.address("public"));
    client.send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\none");
    assert_eq!(client.response().status, 200);
}

#[test]
fn chunks_stay_chunks_and_lengths_stay_lengths() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let mut client = Connection::open(gateway.address("public"));

    let chunked = "POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = client.send(format!("{chunked}3;x=\"y\"\r\none\r\n0\r\n\r\n")).response();
    assert_eq!((answer.text().as_str(), answer.complete), ("one two three", true));
    assert_eq!(answer.header("transfer-encoding").as_deref(), Some("chunked"));
    let seen = upstream.only_request();
    assert_eq!(seen.header("transfer-encoding").as_deref(), Some("chunked"));
    assert!(!seen.has("content-length") && seen.body == b"one");
    assert!(!seen.wire.windows(3).any(|part| part == b"x=\""), "extensions of chunks are not passed on");
    upstream.forget();

    let answer =
        client.send("POST /big/70000 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none").response();
    assert_eq!((answer.body.len(), answer.header("content-length").as_deref()), (70_000, Some("70000")));
    let seen = upstream.only_request();
    assert_eq!(seen.values("content-length"), ["3"]);
    assert!(!seen.has("transfer-encoding") && seen.body == b"one");
}

#[test]
fn bodies_of_megabytes_pass_both_ways() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let body = "0123456789abcdef".repeat(3 << 16);
    let head = format!("POST /reflect HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    let answer = Connection::open(gateway.address("public")).send(head + &body).response();
    assert!(answer.complete && answer.body == body.as_bytes());

    let client = h2::Client::open(gateway.address("public"));
    let mut stream = client.start("POST", "/reflect", &[]);
    for piece in body.as_bytes().chunks(100_000) {
        stream.send(std::str::from_utf8(piece).unwrap());
    }
    let answer = stream.response();
    assert!(answer.complete && answer.body == body.as_bytes());
}

#[test]
fn empty_bodies_are_empty() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let mut client = Connection::open(gateway.address("public"));
    for (fields, framing) in [
        ("", None),
        ("Content-Length: 0\r\n", Some("content-length")),
        ("Transfer-Encoding: chunked\r\n", Some("transfer-encoding")),
    ] {
        let end = if fields.starts_with("Transfer") { "0\r\n\r\n" } else { "" };
        let answer =
            client.send(format!("POST /reflect HTTP/1.1\r\nHost: a\r\n{fields}\r\n{end}")).response();
        assert_eq!((answer.status, answer.header("content-length").as_deref()), (200, Some("0")), "{fields}");
        let seen = upstream.only_request();
        assert_eq!((seen.body_length, seen.ending.clone()), (0, Ending::Complete), "{fields}");
        if let Some(framing) = framing {
            assert!(seen.has(framing), "{framing} in {seen:?}");
        }
        upstream.forget();
    }
    let client = h2::Client::open(gateway.address("public"));
    assert_eq!(client.request("POST", "/reflect", &[]).text(), "");
    assert_eq!(upstream.only_request().ending, Ending::Complete);
}

#[test]
fn the_answer_to_head_has_a_length_and_no_body() {
    let upstream = Upstream::start();
    for protocol in ["http1", "http2"] {
        let gateway = plain(&upstream.url()).upstream("protocol", protocol).start();
        let mut client = Connection::open(gateway.address("public"));
        for _ in 0..2 {
            let answer = client.send("HEAD /big/1234 HTTP/1.1\r\nHost: a\r\n\r\n").response_to("HEAD");
            assert_eq!(
                (answer.status, answer.header("content-length").as_deref()),
                (200, Some("1234")),
                "{protocol}"
            );
            // Had a body come, the next answer would not be one.
            assert_eq!(client.send("GET /big/3 HTTP/1.1\r\nHost: a\r\n\r\n").response().body, b"xxx");
        }
        assert_eq!(upstream.requests()[0].method, "HEAD", "the service is asked with the same method");
        let answer = h2::Client::open(gateway.address("public")).request("HEAD", "/big/1234", &[]);
        assert_eq!(
            (answer.header("content-length").as_deref(), answer.body.len()),
            (Some("1234"), 0),
            "{protocol}"
        );
        upstream.forget();
    }
}

#[test]
fn refusals_of_head_have_no_body_either() {
    let gateway = plain("http://127.0.0.1:9").routes(&["{ name: only, path: /only }"]).start();
    let mut client = Connection::open(gateway.address("public"));
    for (path, status) in [("/other", 404), ("/only", 502), ("/other", 404)] {
        let answer = client.send(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n")).response_to("HEAD");
        assert_eq!(answer.status, status);
    }
    assert_eq!(client.send("GET /other HTTP/1.1\r\nHost: a\r\n\r\n").response().code(), "no_route");
}

#[test]
fn answers_without_content_leave_the_connection_usable() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let mut client = Connection::open(gateway.address("public"));
    for status in [204, 304, 204] {
        let answer = client.send(format!("GET /status/{status} HTTP/1.1\r\nHost: a\r\n\r\n")).response();
        assert_eq!((answer.status, answer.header("transfer-encoding")), (status, None));
        if status == 204 {
            assert_eq!(answer.header("content-length"), None, "RFC 9110 section 8.6");
        }
    }
    assert_eq!(client.send("GET /status/418 HTTP/1.1\r\nHost: a\r\n\r\n").response().text(), "418");
    let positions: Vec<usize> = upstream.requests().iter().map(|seen| seen.position).collect();
    assert_eq!(positions, [0, 1, 2, 3], "one connection to the service served them all");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let mut client = Connection::open(gateway.address("public"));
    client.send(
        "GET /big/1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /reflect HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\
        GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    let bodies: Vec<String> = (0..3).map(|_| client.response().text()).collect();
    assert_eq!(bodies, ["x", "hi", "one two three"]);
}

#[test]
fn a_client_of_http_1_0_is_answered_in_its_own_way() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let mut client = Connection::open(gateway.address("public"));
    client.send("GET /chunked HTTP/1.0\r\nHost: a\r\n\r\n");
    let text = String::from_utf8(client.read_to_end()).unwrap();
    assert!(!text.to_ascii_lowercase().contains("transfer-encoding"), "{text}");
    assert!(text.ends_with("\r\n\r\none two three"), "{text}");
    assert_eq!(upstream.only_request().version, "HTTP/1.1");
}

/// The gateway has a limit for all bodies, also of those that are for no route; a route may have a lower one.
#[test]
fn the_gateway_and_a_route_each_have_their_limit() {
    let upstream = Upstream::start();
    let counted = |length: usize| format!("Content-Length: {length}\r\n\r\n{}", "x".repeat(length));
    let chunked = |length: usize| {
        format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(length))
    };
    for (gateway, route, no_route) in [("10B", 413, 413), ("1MiB", 413, 404)] {
        let gateway = plain(&upstream.url())
            .section("protocol", format!("{{ body: {gateway} }}"))
            .policy("forward", "{ body: 10B }")
            .routes(&["{ name: reflect, path: /reflect }"])
            .start();
        let post = |path: &str, framed: String| {
            let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\n");
            raw::request(gateway.address("public"), format!("{head}{framed}")).status
        };
        assert_eq!([post("/reflect", counted(10)), post("/reflect", chunked(10))], [200, 200]);
        assert_eq!([post("/reflect", counted(11)), post("/reflect", chunked(11))], [route, route]);
        assert_eq!([post("/other", counted(10)), post("/other", counted(11))], [404, no_route]);
    }
}
