//! Header fields by which a service might believe a client: none of them passes, in whatever spelling, place or
//! number it comes.

use portcullis_testkit::echo::{Seen, Upstream};
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::h2raw::{self, Ending, flag, kind};
use portcullis_testkit::{hpack, raw};

use crate::common::{Config, plain};

/// What only the gateway says, with two names that the configuration gives to it.
const OWNED: [&str; 17] = [
    "Forwarded",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Proto",
    "X-Forwarded-Server",
    "X-Real-IP",
    "X-Client-IP",
    "True-Client-IP",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Forwarded-Client-Cert",
    "X-Request-ID",
    "X-Auth-Subject",
    "X-Auth-Roles",
];

/// What a client says in those fields, so that it can be searched for.
const PLANTED: &str = "planted-by-the-client";

fn config(upstream: &Upstream) -> Config {
    plain(&upstream.url())
        .policy("forward", "{ identity: { X-Auth-Subject: subject, X-Auth-Roles: roles } }")
        .section("authentication", "{ api_keys: [{ name: keys, keys: [] }] }")
        .routes(&[
            "{ name: off, path: \"/off\" }",
            "{ name: anonymous, path: \"/anonymous\", policy: { authenticate: { mode: enforce, methods: [anonymous] } } }",
            "{ name: shadow, path: \"/shadow\", policy: { authenticate: { mode: shadow, methods: [keys] } } }",
        ])
}

/// A name as it is, in one case, with all or some of its hyphens as underscores.
fn spellings(name: &str) -> Vec<String> {
    let mut spellings = vec![name.to_owned(), name.to_ascii_lowercase(), name.to_ascii_uppercase()];
    let swapped = name
        .chars()
        .map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    spellings.push(swapped);
    spellings.push(name.replace('-', "_"));
    spellings.push(name.replace('-', "_").to_ascii_uppercase());
    spellings.push(name.replacen('-', "_", 1));
    if let Some((start, end)) = name.rsplit_once('-') {
        spellings.push(format!("{start}_{end}"));
    }
    spellings
}

fn assert_nothing_planted(seen: &Seen, sent: &str) {
    let wire = String::from_utf8_lossy(&seen.wire);
    assert!(!wire.contains(PLANTED), "{sent} reached the service:\n{wire}");
    for (name, value) in seen.headers.iter().chain(&seen.trailers) {
        assert!(!String::from_utf8_lossy(value).contains(PLANTED), "{sent} reached the service as {name}");
    }
}

/// Wherever nobody is asked for a credential, the fields are removed all the same.
#[test]
fn fields_of_the_gateway_are_removed_in_every_spelling() {
    let upstream = Upstream::start();
    let gateway = config(&upstream).start();
    for path in ["/off", "/anonymous", "/shadow"] {
        for spelling in OWNED.iter().flat_map(|name| spellings(name)) {
            for lines in [
                format!("{spelling}: {PLANTED}\r\n"),
                format!("{spelling}: {PLANTED}\r\n{spelling}: {PLANTED}\r\n"),
                format!("Connection: keep-alive, X-Else\r\n{spelling}: {PLANTED}\r\nX-Else: {PLANTED}\r\n"),
            ] {
                assert_eq!(raw::get(gateway.address("public"), path, &lines).status, 200, "{lines}");
                assert_nothing_planted(&upstream.only_request(), &lines);
                upstream.forget();
            }
        }
    }
}

#[test]
fn fields_of_the_gateway_are_removed_from_http2() {
    let upstream = Upstream::start();
    let gateway = config(&upstream).start();
    let spellings = OWNED.iter().flat_map(|name| spellings(&name.to_ascii_lowercase()));
    for name in spellings.filter(|name| !name.contains(|c: char| c.is_ascii_uppercase())) {
        let mut connection = h2raw::Connection::open(gateway.address("public"));
        let mut fields = h2raw::request_fields("GET", "/off");
        let mut with_planted: Vec<(&str, &str)> = std::mem::take(&mut fields);
        with_planted.push((&name, PLANTED));
        let ending = connection.send_headers(1, &with_planted, true).ending(1);
        assert!(matches!(ending, Ending::Response { status: 200, .. }), "{name}: {ending:?}");
        assert_nothing_planted(&upstream.only_request(), &name);
        upstream.forget();
    }
}

/// In HTTP/1 such a trailer is refused: services that merge trailers into the head would decide by it.
#[test]
fn fields_of_the_gateway_do_not_pass_as_trailers() {
    let upstream = Upstream::start();
    let gateway = config(&upstream).start();
    for name in OWNED.iter().flat_map(|name| spellings(name)) {
        let head = "POST /off HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Auth-Subject\r\n\r\n";
        let request = format!("{head}5\r\nhello\r\n0\r\n{name}: {PLANTED}\r\n\r\n");
        let response = raw::request(gateway.address("public"), request);
        assert!(matches!(response.status, 200 | 400), "{name}: {response:?}");
        for seen in upstream.requests() {
            assert_nothing_planted(&seen, &name);
        }
        upstream.forget();
    }
}

/// From HTTP/2 to HTTP/2 trailers do pass, without those of the gateway and those that only a head may hold.
#[test]
fn http2_trailers_pass_without_what_no_trailer_may_hold() {
    let upstream = Upstream::start();
    let gateway = config(&upstream).upstream("protocol", "http2").start();
    let head_only =
        ["authorization", "content-length", "host", "cookie", "content-type", "x-forwarded-proto"];
    let owned: Vec<String> = OWNED.iter().map(|name| name.to_ascii_lowercase()).collect();
    for name in owned.iter().map(String::as_str).chain(head_only) {
        let mut connection = h2raw::Connection::open(gateway.address("public"));
        connection.send_headers(1, &h2raw::request_fields("POST", "/off"), false);
        connection.send_data(1, b"hello", false);
        connection.send_headers(1, &[(name, PLANTED), ("x-checksum", "1")], true);
        let ending = connection.ending(1);
        for seen in upstream.requests() {
            assert_nothing_planted(&seen, name);
        }
        match ending {
            Ending::Response { status: 200, .. } => {
                let trailers = upstream.only_request().trailers;
                assert_eq!(trailers, [("x-checksum".to_owned(), b"1".to_vec())], "{name}");
            }
            Ending::Response { status: 400, .. } | Ending::Reset(h2raw::code::PROTOCOL_ERROR) => {}
            other => panic!("{name}: {other:?}"),
        }
        upstream.forget();
    }
}

/// RFC 9110 section 7.6.1: what Connection names goes no further, and nothing may be named that the message needs.
#[test]
fn connection_takes_away_only_what_may_be_missing() {
    let upstream = Upstream::start();
    let gateway = config(&upstream).start();
    for (lines, status, gone) in [
        ("Connection: X-Private\r\nX-Private: 1\r\n", 200, "X-Private"),
        ("Connection: close, x-private\r\nX-PRIVATE: 1\r\n", 200, "X-Private"),
        (
            "Connection: keep-alive\r\nConnection: X-Private\r\nX-Private: 1\r\nX-Private: 2\r\n",
            200,
            "X-Private",
        ),
        ("Connection: X-Auth-Subject\r\n", 200, "Connection"),
        ("Connection: X-Request-ID\r\n", 200, "Connection"),
        ("Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n", 200, "Keep-Alive"),
        ("Proxy-Connection: keep-alive\r\n", 200, "Proxy-Connection"),
        ("Proxy-Authorization: Basic eDp5\r\n", 200, "Proxy-Authorization"),
        ("TE: gzip\r\n", 200, "TE"),
        ("Connection: Authorization\r\nAuthorization: Bearer x\r\n", 400, ""),
        ("Connection: close, Cookie\r\nCookie: a=b\r\n", 400, ""),
        ("Connection: Host\r\n", 400, ""),
        ("Connection: X-Forwarded-For\r\n", 400, ""),
        ("Connection: x_forwarded_proto\r\n", 400, ""),
        ("Connection: Forwarded\r\n", 400, ""),
        ("Connection: Origin\r\n", 400, ""),
        ("Connection: Cache-Control\r\n", 400, ""),
        ("Connection: Content-Type\r\n", 400, ""),
        ("Connection: Content-Length\r\n", 400, ""),
        ("Connection: content_length\r\n", 400, ""),
        ("Connection: Transfer-Encoding\r\n", 400, ""),
        ("Connection: X-Real-IP\r\n", 400, ""),
    ] {
        assert_eq!(raw::get(gateway.address("public"), "/off", lines).status, status, "{lines}");
        if status != 200 {
            upstream.assert_no_contact();
            continue;
        }
        let seen = upstream.only_request();
        assert!(!seen.has(gone), "{lines}: {:?}", seen.headers);
        assert!(seen.header("x-request-id").is_some() && seen.header("x-forwarded-for").is_some(), "{lines}");
        upstream.forget();
    }
}

/// The service sees repeated fields as they came: what is judged on the first of them would be void otherwise.
#[test]
fn repeated_fields_pass_in_number_and_order() {
    let upstream = Upstream::start();
    let gateway = config(&upstream).start();
    let lines = "X-Tag: b\r\nAccept: text/html\r\nx-tag: a\r\nX-TAG: b\r\nX_Tag: c\r\nAccept: */*\r\n";
    assert_eq!(raw::get(gateway.address("public"), "/off", lines).status, 200);
    let seen = upstream.only_request();
    assert_eq!(seen.values("X-Tag"), ["b", "a", "b"]);
    assert_eq!(seen.values("X_Tag"), ["c"]);
    assert_eq!(seen.values("Accept"), ["text/html", "*/*"]);
}

/// What is neither text nor a control character passes as the bytes it is.
#[test]
fn values_pass_byte_for_byte() {
    let upstream = Upstream::start();
    let gateway = config(&upstream).start();
    let request =
        b"GET /off HTTP/1.1\r\nHost: gate.test\r\nX-Bytes:\t \x80\xFF\xC3\xA9 \"a\\b\"  \r\nX-Empty:\r\n\r\n";
    assert_eq!(raw::request(gateway.address("public"), request).status, 200);
    let seen = upstream.only_request();
    let value = |wanted: &str| {
        seen.headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.clone())
    };
    assert_eq!(value("x-bytes").as_deref(), Some(b"\x80\xFF\xC3\xA9 \"a\\b\"".as_slice()));
    assert_eq!(value("x-empty").as_deref(), Some(b"".as_slice()));
}

/// The gateway's own words are there exactly once beside everything that a client made up.
#[test]
fn the_gateway_speaks_once() {
    let upstream = Upstream::start();
    let gateway = config(&upstream).start();
    let lines: String = OWNED
        .iter()
        .flat_map(|name| spellings(name))
        .take(60)
        .map(|name| format!("{name}: {PLANTED}\r\n"))
        .collect();
    assert_eq!(told(&gateway, &upstream, &lines), told(&gateway, &upstream, ""));
}

/// Names and values that the service gets, but for those that differ with each request.
fn told(gateway: &Gateway, upstream: &Upstream, lines: &str) -> Vec<(String, Vec<u8>)> {
    assert_eq!(raw::get(gateway.address("public"), "/anonymous", lines).status, 200);
    let seen = upstream.only_request();
    upstream.forget();
    let mut fields: Vec<_> =
        seen.headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    fields.retain(|(name, _)| name != "x-request-id");
    fields.sort();
    fields
}

/// A header block in which `:authority` contradicts `host`, or a pseudo-header comes twice, has two readings.
#[test]
fn http2_heads_with_two_readings_are_refused() {
    let upstream = Upstream::start();
    let gateway = config(&upstream).start();
    let head: [(&str, &str); 4] =
        [(":method", "GET"), (":scheme", "http"), (":authority", "gate.test"), (":path", "/off")];
    for more in [
        ("host", "evil.test"),
        (":path", "/admin"),
        (":authority", "evil.test"),
        (":method", "POST"),
        (":unknown", "x"),
        ("connection", "close"),
        ("keep-alive", "timeout=5"),
        ("upgrade", "websocket"),
        ("proxy-connection", "close"),
        ("te", "gzip"),
        ("X-Upper", "1"),
        ("content-length", "5, 5"),
        ("content-length", "+0"),
    ] {
        let mut fields = head.to_vec();
        fields.push(more);
        let mut connection = h2raw::Connection::open(gateway.address("public"));
        let block = hpack::encode(&fields);
        connection.send_frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, &block);
        let ending = connection.ending(1);
        let is_refused = matches!(
            ending,
            Ending::Response { status: 400, .. }
                | Ending::Reset(h2raw::code::PROTOCOL_ERROR)
                | Ending::GoAway(h2raw::code::PROTOCOL_ERROR)
        );
        assert!(is_refused, "{more:?}: {ending:?}");
        upstream.assert_no_contact();
    }
}
