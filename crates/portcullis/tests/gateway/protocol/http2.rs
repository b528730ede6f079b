//! HTTP/2: a stream that breaks the rules ends alone, and a connection that wears the gateway out ends as a whole.

use portcullis_testkit::echo::{self, Upstream};
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::h2raw::{self, Connection, Ending, code, flag, frame, kind};
use portcullis_testkit::{hpack, raw};

use crate::common::plain;

type Fields<'f> = Vec<(&'f str, &'f [u8])>;

fn post<'f>(more: &[(&'f str, &'f [u8])]) -> Fields<'f> {
    let head: [(&str, &[u8]); 4] =
        [(":method", b"POST"), (":scheme", b"http"), (":authority", b"gate.test"), (":path", b"/bad")];
    [&head, more].concat()
}

fn is_whole(seen: &echo::Seen) -> bool {
    matches!(seen.ending, echo::Ending::Complete | echo::Ending::Abandoned)
}

/// While one stream waits for its answer, `break_rules` does so on stream 3. That stream ends with PROTOCOL_ERROR; the
/// first gets its answer, and so does a later one.
fn only_this_stream_fails(what: &str, break_rules: impl FnOnce(&mut Connection)) {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let mut connection = Connection::open(gateway.address("public"));
    connection.send_get(1, "/slow-head");
    upstream.wait_for(|requests| (!requests.is_empty()).then_some(()));
    break_rules(&mut connection);
    assert_eq!(connection.ending(3), Ending::Reset(code::PROTOCOL_ERROR), "{what}");
    upstream.release();
    assert_eq!(connection.ending(1), Ending::Response { status: 200, body: b"at last".to_vec() }, "{what}");
    let later = connection.send_get(5, "/status/200").ending(5);
    assert!(matches!(later, Ending::Response { status: 200, .. }), "{what}: {later:?}");
    let bad = upstream.wait_for(|requests| {
        let bad: Vec<_> = requests.iter().filter(|seen| seen.target == "/bad").cloned().collect();
        bad.iter().all(|seen| seen.ending != echo::Ending::Reading).then_some(bad)
    });
    assert!(!bad.iter().any(is_whole), "{what}: {bad:#?}");
}

#[test]
fn less_data_than_the_length_says() {
    only_this_stream_fails("less", |connection| {
        connection.send_headers(3, &post(&[("content-length", b"5")]), false).send_data(3, b"abc", true);
    });
    only_this_stream_fails("nothing", |connection| {
        connection.send_headers(3, &post(&[("content-length", b"5")]), true);
    });
}

#[test]
fn more_data_than_the_length_says() {
    only_this_stream_fails("more", |connection| {
        connection.send_headers(3, &post(&[("content-length", b"5")]), false).send_data(3, b"abcdef", true);
    });
    only_this_stream_fails("more in a second frame", |connection| {
        connection.send_headers(3, &post(&[("content-length", b"5")]), false);
        // In one write: what came alone would be a whole body, and might be on its way before the rest is there.
        let first = frame(kind::DATA, 0, 3, b"abcde");
        let second = frame(kind::DATA, flag::END_STREAM, 3, b"GET /admin HTTP/1.1\r\n\r\n");
        connection.send(&[first, second].concat());
    });
}

#[test]
fn transfer_encoding() {
    only_this_stream_fails("chunked", |connection| {
        connection.send_headers(3, &post(&[("transfer-encoding", b"chunked")]), false);
        connection.send_data(3, b"0\r\n\r\nGET /admin HTTP/1.1\r\nHost: gate.test\r\n\r\n", true);
    });
}

/// Here the whole connection ends, for the reader of HTTP/2 cannot go on behind a value that it did not keep: the table
/// of field compression belongs to the connection (RFC 7541 section 2.2).
#[test]
fn line_breaks_and_nul_in_a_value() {
    for value in [b"a\r\nx-injected: 1".as_slice(), b"a\nb", b"a\rb", b"a\0b"] {
        let upstream = Upstream::start();
        let gateway = plain(&upstream.url()).start();
        let mut connection = Connection::open(gateway.address("public"));
        let ending = connection.send_headers(1, &post(&[("x-value", value)]), true).ending(1);
        assert_eq!(ending, Ending::GoAway(code::PROTOCOL_ERROR), "{}", String::from_utf8_lossy(value));
        upstream.assert_no_contact();
    }
}

#[test]
fn line_breaks_and_spaces_in_a_name_and_in_pseudo_fields() {
    for (name, value) in [
        ("x-a\r\nx-b", b"1".as_slice()),
        ("x a", b"1"),
        ("x:a", b"1"),
        ("", b"1"),
        (":path", b"/bad HTTP/1.1\r\nHost: evil.test\r\n\r\nGET /admin"),
        (":method", b"GET /admin HTTP/1.1\r\n\r\nGET"),
        (":authority", b"gate.test\r\nx-injected: 1"),
        (":authority", b"gate.test@evil.test"),
        (":scheme", b"http\r\nx-injected: 1"),
    ] {
        let upstream = Upstream::start();
        let gateway = plain(&upstream.url()).start();
        let mut connection = Connection::open(gateway.address("public"));
        let mut fields = post(&[]);
        match fields.iter_mut().find(|(have, _)| *have == name) {
            Some(field) => field.1 = value,
            None => fields.push((name, value)),
        }
        let ending = connection.send_headers(1, &fields, true).ending(1);
        let is_refused = matches!(
            ending,
            Ending::Response { status: 400, .. }
                | Ending::Reset(code::PROTOCOL_ERROR)
                | Ending::GoAway(code::PROTOCOL_ERROR)
        );
        assert!(is_refused, "{name:?}: {ending:?}");
        upstream.assert_no_contact();
    }
}

/// CVE-2023-44487: each pair costs the client 70 bytes.
#[test]
fn ten_thousand_resets_end_the_connection_and_nobody_else_notices() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let mut bystander = raw::Connection::open(gateway.address("public"));
    let mut connection = Connection::open(gateway.address("public"));
    let head = hpack::encode(&h2raw::request_fields("GET", "/attack"));
    let mut flood = Vec::new();
    for stream in (1..20_001).step_by(2) {
        flood.extend(h2raw::frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &head));
        flood.extend(h2raw::frame(kind::RST_STREAM, 0, stream, &code::CANCEL.to_be_bytes()));
    }
    for part in flood.chunks(flood.len() / 20) {
        connection.send(part);
        bystander.send("GET /bystander HTTP/1.1\r\nHost: gate.test\r\n\r\n");
        assert_eq!(bystander.response().status, 200);
    }
    assert_eq!(connection.go_away(), Some(code::ENHANCE_YOUR_CALM));
    let attacks = upstream.requests().iter().filter(|seen| seen.target == "/attack").count();
    // A hundred resets are allowed by default, and a hundred streams at once.
    assert!(attacks <= 200, "{attacks} of 10000 reached the service");
}

/// A client that waits until each request is on its way to the service before it gives it up.
#[test]
fn resets_of_requests_under_way_count_too() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).section("protocol", "{ http2: { resets: 10 } }").start();
    let mut connection = Connection::open(gateway.address("public"));
    for (count, stream) in (1..=11).zip((1..).step_by(2)) {
        connection.send_get(stream, "/slow-head");
        upstream.wait_for(|requests| (requests.len() >= count).then_some(()));
        connection.send_reset(stream, code::CANCEL);
    }
    assert_eq!(connection.go_away(), Some(code::ENHANCE_YOUR_CALM));
    assert_eq!(upstream.requests().len(), 11);
}

/// Made by the client's fault, such as a length that the data does not keep, resets of our own count as well
/// (CVE-2025-8671).
#[test]
fn resets_that_the_client_provokes_count_too() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).section("protocol", "{ http2: { resets: 10 } }").start();
    let mut connection = Connection::open(gateway.address("public"));
    for stream in (1..2_001).step_by(2) {
        connection.send_headers(stream, &post(&[("content-length", b"5")]), true);
    }
    assert_eq!(connection.go_away(), Some(code::ENHANCE_YOUR_CALM));
    assert!(!upstream.requests().iter().any(is_whole));
}

/// Sends a block of fields that never ends (CVE-2024-27316 and its like), `piece` in each frame. Gives the error code
/// with which the gateway closes, and by how much its memory grew.
fn endless_continuation(gateway: &Gateway, piece: &[u8]) -> (Option<u32>, u64) {
    // So that what any connection needs is not counted.
    Connection::open(gateway.address("public")).send_get(1, "/status/200").ending(1);
    let before = gateway.resident_bytes();
    let mut connection = Connection::open(gateway.address("public"));
    let head = hpack::encode(&h2raw::request_fields("GET", "/"));
    connection.send_frame(kind::HEADERS, flag::END_STREAM, 1, &head);
    // Far more than may be taken; the gateway closes long before.
    let frame = h2raw::frame(kind::CONTINUATION, 0, 1, piece);
    for _ in 0..200 {
        connection.send(&frame.repeat(4));
    }
    (connection.go_away(), gateway.resident_bytes().saturating_sub(before))
}

#[test]
fn endless_continuation_ends_the_connection_and_takes_no_memory() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    for length in [16_000, 1_000, 0] {
        let piece = hpack::encode(&[("x-padding", vec![b'v'; length])]);
        let (error, grown) = endless_continuation(&gateway, &piece);
        assert_eq!(error, Some(code::ENHANCE_YOUR_CALM), "values of {length} bytes");
        assert!(grown < 8 << 20, "{grown} bytes for values of {length} bytes");
    }
    let (error, grown) = endless_continuation(&gateway, &[]);
    assert_eq!(error, Some(code::ENHANCE_YOUR_CALM), "empty frames");
    assert!(grown < 8 << 20, "{grown} bytes for empty frames");
    assert!(upstream.requests().iter().all(|seen| seen.target == "/status/200"));
}

/// Fields that are short on the wire and long in memory: references to one long entry of the dynamic table.
#[test]
fn a_header_bomb_is_refused() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    // So that what any connection needs is not counted.
    Connection::open(gateway.address("public")).send_get(1, "/status/200").ending(1);
    upstream.forget();
    let mut connection = Connection::open(gateway.address("public"));
    let mut block = hpack::encode(&h2raw::request_fields("GET", "/"));
    // `x` with 3,900 bytes as a literal with incremental indexing (RFC 7541 section 6.2.1): the length is 127 and what
    // is left of it in groups of seven bits.
    block.extend([0x40, 1, b'x', 0x7F, 0xBD, 0x1D]);
    block.extend(vec![b'v'; 3_900]);
    let before = gateway.resident_bytes();
    connection.send_frame(kind::HEADERS, flag::END_STREAM, 1, &block);
    // 15,000 references to it, the youngest entry of the table: 57 MiB.
    connection.send_frame(kind::CONTINUATION, flag::END_HEADERS, 1, &[0xBE; 15_000]);
    let ending = connection.ending(1);
    let is_refused =
        matches!(ending, Ending::Response { status: 431, .. } | Ending::GoAway(code::ENHANCE_YOUR_CALM));
    assert!(is_refused, "{ending:?}");
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes");
    upstream.assert_no_contact();
}

/// Eighty answers of 1 MiB each that the client asks for with windows that would hold them all, and then does not read:
/// what waits for it is bounded, stream by stream.
#[test]
fn what_a_client_does_not_read_takes_little_memory() {
    let upstream = Upstream::scripted(|_| {
        let length = 1 << 20;
        let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes();
        answer.resize(answer.len() + length, b'x');
        Some(answer)
    });
    let gateway = plain(&upstream.url()).start();
    Connection::open(gateway.address("public")).send_get(1, "/").ending(1);
    upstream.forget();
    let before = gateway.resident_bytes();
    let mut connection = Connection::open(gateway.address("public"));
    // SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113 section 6.5.2), and as much for the connection.
    connection.send_frame(kind::SETTINGS, 0, 0, &[0, 4, 0x7F, 0xFF, 0xFF, 0xFF]);
    connection.send_frame(kind::WINDOW_UPDATE, 0, 0, &0x7FFF_0000_u32.to_be_bytes());
    for stream in (1..161).step_by(2) {
        connection.send_get(stream, "/");
    }
    upstream.wait_for(|requests| (requests.len() == 80).then_some(()));
    // Another client's request passes through the same worker: it has had its turn with all of those.
    Connection::open(gateway.address("public")).send_get(1, "/").ending(1);
    let grown = gateway.resident_bytes().saturating_sub(before);
    // 32 KiB to be sent and one buffer of the service's connection for each, a fourth of what was asked for.
    assert!(grown < 20 << 20, "{grown} bytes");
}
