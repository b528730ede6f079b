//! Framing that two servers could read differently is refused with the connection; what comes behind it on that
//! connection is never answered.

use portcullis_testkit::echo::{Ending, Upstream};
use portcullis_testkit::raw::Connection;
use serde_json::Value;

use crate::common::plain;

/// What a smuggler hopes to get answered.
const FOLLOWER: &str = "GET /follower HTTP/1.1\r\nHost: gate.test\r\n\r\n";

/// Sends a POST with these fields and this body, and a request behind it. Gives the reason on the record.
fn refused(fields: &str, body: &str) -> String {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let mut connection = Connection::open(gateway.address("public"));
    connection.send(format!("POST / HTTP/1.1\r\nHost: gate.test\r\n{fields}\r\n{body}{FOLLOWER}"));
    let response = connection.response();
    assert_eq!(response.status, 400, "{fields}");
    assert_eq!(response.header("connection").as_deref(), Some("close"));
    connection.assert_closed();
    if fields == CHUNKED {
        // The head was in order and may have been passed on; the request never ends.
        let ended = upstream.wait_for(|requests| {
            requests.iter().all(|seen| seen.ending != Ending::Reading).then(|| requests.clone())
        });
        assert!(ended.iter().all(|seen| seen.target == "/" && seen.ending != Ending::Complete), "{ended:#?}");
    } else {
        upstream.assert_no_contact();
    }
    let records = gateway.stop_and_audit();
    let [record] = records.as_slice() else { panic!("more than one record: {records:#?}") };
    assert_eq!(record.get("http.response.status_code").and_then(Value::as_u64), Some(400));
    let reason = record.get("reason_code").and_then(Value::as_str).expect("a reason");
    assert_eq!(reason, response.code());
    reason.to_owned()
}

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

#[test]
fn content_length_with_transfer_encoding() {
    let chunks = "0\r\n\r\n";
    assert_eq!(refused("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunks), "smuggling");
    assert_eq!(refused("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunks), "smuggling");
}

#[test]
fn a_vertical_tab_after_transfer_encoding() {
    assert_eq!(refused("Transfer-Encoding\x0b: chunked\r\n", "0\r\n\r\n"), "malformed_request");
}

#[test]
fn two_lengths_and_lengths_that_are_no_numbers() {
    for lengths in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
    ] {
        assert_eq!(refused(lengths, "hello"), "smuggling", "{lengths}");
    }
}

#[test]
fn chunk_sizes_that_are_no_hexadecimal_numbers() {
    for chunks in ["0x5\r\nhello\r\n0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n"] {
        assert_eq!(refused(CHUNKED, chunks), "smuggling", "{chunks}");
    }
}

#[test]
fn bare_line_feeds_in_chunks() {
    for chunks in
        ["5\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello\r\n0\n\r\n", "5;a\nhello\r\n0\r\n\r\n"]
    {
        assert_eq!(refused(CHUNKED, chunks), "smuggling", "{chunks}");
    }
}

/// A line feed in the place of the last CRLF, where some parsers end the body and others go on.
#[test]
fn a_bare_line_feed_at_the_end_of_a_body() {
    assert_eq!(refused(CHUNKED, "5\r\nhello\r\n0\r\n\n"), "malformed_request");
}

#[test]
fn nul_and_carriage_return_in_a_value() {
    for value in ["a\0b", "a\rb", "\0", "a\r\r"] {
        assert_eq!(refused(&format!("X-Value: {value}\r\n"), ""), "malformed_request", "{value:?}");
    }
}

/// After a refusal the gateway reads on for a while, so that the client gets to see the answer; a client that neither
/// reads nor leaves does not hold up its end.
#[test]
fn a_refused_client_that_stays_does_not_hold_up_the_end() {
    let upstream = Upstream::start();
    let times = "{ header_timeout: 1h, idle_timeout: 1h }";
    let gateway = plain(&upstream.url()).section("protocol", times).section("drain_timeout", "1h").start();
    let mut staying = Connection::open(gateway.address("public"));
    assert_eq!(staying.send("GET  / HTTP/1.1\r\n\r\n").response().status, 400);
    assert_eq!(gateway.stop_and_audit().len(), 1);
}
