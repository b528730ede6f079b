//! The upstream and the raw clients, against each other: what one says it sent, the other says it saw.

use portcullis_testkit::ca::Authority;
use portcullis_testkit::echo::{Ending, Upstream};
use portcullis_testkit::h2raw::{self, code};
use portcullis_testkit::raw::{self, Connection};

#[test]
fn a_request_is_recorded_to_the_byte() {
    let upstream = Upstream::start();
    let sent =
        "POST /a/../b?x=%2f HTTP/1.1\r\nhOsT: one\r\nX-Twice: 1\r\nx-twice:2 \r\nContent-Length: 2\r\n\r\nhi";
    let response = raw::request(upstream.address(), sent);
    assert_eq!(response.status, 200);
    assert_eq!(response.json()["target"], "/a/../b?x=%2f");

    let seen = upstream.only_request();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/a/../b?x=%2f"));
    assert_eq!(seen.headers[0], ("hOsT".to_owned(), b"one".to_vec()));
    assert_eq!(seen.values("x-TWICE"), ["1", "2"]);
    assert_eq!(seen.body, b"hi");
    assert_eq!(String::from_utf8_lossy(&seen.wire), sent);
    assert_eq!(seen.ending, Ending::Complete);
}

#[test]
fn chunks_trailers_and_what_follows_them_are_told_apart() {
    let upstream = Upstream::start();
    let mut connection = Connection::open(upstream.address());
    connection.send_bytewise(
        "POST /reflect HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n",
    );
    connection.send("GET /second HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(connection.response().text(), "abc");
    assert_eq!(connection.response().json()["target"], "/second");
    let requests = upstream.requests();
    assert_eq!(requests[0].trailers, [("T".to_owned(), b"1".to_vec())]);
    assert_eq!((requests[0].position, requests[1].position), (0, 1));
}

#[test]
fn what_is_not_http_is_contact_too() {
    let upstream = Upstream::start();
    upstream.assert_no_contact();
    let mut connection = Connection::open(upstream.address());
    connection.send("G").finish_sending();
    connection.assert_closed();
    assert_eq!(upstream.only_request().ending, Ending::Malformed("the head has no end".to_owned()));

    upstream.forget();
    for (sent, reason) in [
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "field \"Host : a\""),
        ("GET  / HTTP/1.1\r\n\r\n", "request line \"GET  / HTTP/1.1\""),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n", "chunk size \"0x1\""),
    ] {
        upstream.forget();
        Connection::open(upstream.address()).send(sent).assert_closed();
        assert_eq!(upstream.only_request().ending, Ending::Malformed(reason.to_owned()));
    }
}

#[test]
fn a_body_that_does_not_come_is_a_cut_request() {
    let upstream = Upstream::start();
    let mut connection = Connection::open(upstream.address());
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf");
    let reading = upstream.wait_for(|requests| requests.iter().find(|seen| seen.body_length == 4).cloned());
    assert_eq!(reading.ending, Ending::Reading);
    connection.finish_sending().assert_closed();
    assert_eq!(upstream.only_request().ending, Ending::Cut);
}

#[test]
fn answers_follow_the_path() {
    let upstream = Upstream::start();
    let get = |target: &str| raw::get(upstream.address(), target, "");
    assert_eq!(get("/status/418").status, 418);
    assert_eq!(get("/big/70000").body.len(), 70_000);
    assert_eq!(get("/chunked?x").text(), "one two three");
    assert_eq!(get("/headers").values("set-cookie").len(), 3);
    let trailers = get("/trailers").trailers;
    assert_eq!(trailers[0], ("grpc-status".to_owned(), b"0".to_vec()));
    for (target, body) in
        [("/truncate", "12345"), ("/truncate-close", "12345"), ("/truncate-chunked", "12345")]
    {
        let response = get(target);
        assert_eq!((response.text().as_str(), response.complete), (body, false), "{target}");
    }
    Connection::open(upstream.address()).send("GET /close HTTP/1.1\r\n\r\n").assert_closed();
    let head = Connection::open(upstream.address()).send("HEAD /big/9 HTTP/1.1\r\n\r\n").response_to("HEAD");
    assert_eq!((head.header("content-length").as_deref(), head.body.len()), (Some("9"), 0));
}

#[test]
fn answers_are_held_until_released() {
    let upstream = Upstream::start();
    let mut slow = Connection::open(upstream.address());
    let mut hanging = Connection::open(upstream.address());
    let mut gone = Connection::open(upstream.address());
    slow.send("GET /slow-head HTTP/1.1\r\nHost: a\r\n\r\n");
    hanging.send("GET /hang-body HTTP/1.1\r\nHost: a\r\n\r\n");
    gone.send("GET /slow-head?gone HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(upstream.wait_for_requests(3).len(), 3);
    drop(gone);
    upstream.wait_for(|requests| requests.iter().find(|seen| seen.ending == Ending::Abandoned).cloned());
    upstream.release();
    assert_eq!(slow.response().text(), "at last");
    assert_eq!(hanging.response().text(), "1234567890");
}

#[test]
fn continue_and_early_answers_come_before_the_body() {
    let upstream = Upstream::start();
    let mut connection = Connection::open(upstream.address());
    connection.send("POST /reflect HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(connection.interim().status, 100);
    connection.send("ok");
    assert_eq!(connection.response().text(), "ok");

    connection.send("POST /early HTTP/1.1\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(connection.response().status, 200);
    connection.send("okGET /after HTTP/1.1\r\n\r\n");
    assert_eq!(connection.response().json()["target"], "/after");
}

#[test]
fn a_switched_connection_echoes() {
    let upstream = Upstream::start();
    let mut connection = Connection::open(upstream.address());
    // The key and its answer are the example of RFC 6455 section 1.3.
    connection.send(
        "GET /switch HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nfirst",
    );
    let response = connection.response();
    assert_eq!(response.status, 101);
    assert_eq!(response.header("sec-websocket-accept").as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    connection.send(b"\x81\x00");
    assert_eq!(connection.read_exactly(7), b"first\x81\x00");
    connection.finish_sending().assert_closed();
}

#[test]
fn a_script_answers_with_any_bytes() {
    let upstream = Upstream::scripted(|seen| {
        (seen.target == "/bad").then(|| b"HTTP/1.1 200 OK\r\nConnection: close\r\nX-Odd\r\n\r\n".to_vec())
    });
    assert_eq!(raw::get(upstream.address(), "/good", "").status, 200);
    let mut connection = Connection::open(upstream.address());
    let bytes = connection.send("GET /bad HTTP/1.1\r\n\r\n").read_to_end();
    assert!(bytes.ends_with(b"X-Odd\r\n\r\n"));
}

#[test]
fn http2_streams_end_each_in_its_own_way() {
    let upstream = Upstream::start();
    let mut connection = h2raw::Connection::open(upstream.address());
    connection.send_get(1, "/big/100000").send_get(3, "/status/403").send_get(5, "/truncate");
    let big = connection.ending(1);
    assert!(matches!(big, h2raw::Ending::Response { status: 200, body } if body.len() == 100_000));
    connection.send_get(7, "/trailers");
    assert_eq!(connection.ending(7), h2raw::Ending::Response { status: 200, body: b"message".to_vec() });

    let fields = h2raw::request_fields("POST", "/reflect");
    connection.send_headers(9, &fields, false).send_data(9, b"abc", true);
    assert_eq!(connection.ending(9), h2raw::Ending::Response { status: 200, body: b"abc".to_vec() });
    let seen = upstream.requests().pop().unwrap();
    assert_eq!((seen.version.as_str(), seen.authority.as_deref()), ("HTTP/2", Some("api.example.com")));
}

#[test]
fn http2_resets_and_go_away_are_told_apart() {
    let upstream = Upstream::start();
    let mut connection = h2raw::Connection::open(upstream.address());
    connection.send_get(1, "/truncate");
    assert!(matches!(connection.ending(1), h2raw::Ending::Reset(error) if error != code::NO_ERROR));
    // A stream of an even number is the server's to open: RFC 9113 section 5.1.1.
    connection.send_get(2, "/");
    assert_eq!(connection.go_away(), Some(code::PROTOCOL_ERROR));
}

#[test]
fn tls_shows_the_authority_s_certificate_and_nobody_else_s_is_trusted() {
    let authority = Authority::new();
    let upstream =
        Upstream::start_tls(authority.server(&["api.example.com"]).server_config(&["h2", "http/1.1"]));
    let config = authority.client_config(None, &["http/1.1"]);
    let mut connection = Connection::open_tls(upstream.address(), "api.example.com", config);
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(connection.response().status, 200);

    let config = authority.client_config(None, &["h2"]);
    let mut connection = h2raw::Connection::open_tls(upstream.address(), "api.example.com", config);
    assert!(matches!(
        connection.send_get(1, "/status/204").ending(1),
        h2raw::Ending::Response { status: 204, .. }
    ));

    let stranger = Authority::new().client_config(None, &[]);
    let mut connection = Connection::open_tls(upstream.address(), "api.example.com", stranger);
    assert!(connection.try_send(b"GET / HTTP/1.1\r\n\r\n").is_err());
}
