//! What is blotted out of bodies.

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::raw::{self, Connection};

use super::{chunked, has, service};
use crate::common::{Config, plain};

const CARD: &str = "4111 1111 1111 1111";
const JSON: &str = "Content-Type: application/json\r\n";
const TEXT: &str = "Content-Type: text/plain\r\n";

fn redacting(upstream: &Upstream, redact: &str) -> Config {
    plain(&upstream.url()).policy("response", format!("{{ mode: enforce, redact: {redact} }}"))
}

fn body(upstream: &Upstream, redact: &str) -> String {
    let gateway = redacting(upstream, redact).start();
    let response = raw::get(gateway.address("public"), "/", "");
    assert_eq!((response.status, response.complete), (200, true));
    response.text()
}

#[test]
fn fields_are_blotted_out_by_path_and_by_name() {
    let upstream = service(
        JSON,
        r#"{"id":7,"customer":{"iban":"DE02","Name":"Ann"},"orders":[{"card":"1"},{"card":["2"]}],"x":{"SSN":9}}"#,
    );
    assert_eq!(
        body(&upstream, "{ fields: [customer.iban, \"orders.*.card\"], names: [ssn] }"),
        r#"{"id":7,"customer":{"iban":"[redacted]","Name":"Ann"},"orders":[{"card":"[redacted]"},{"card":"[redacted]"}],"x":{"SSN":"[redacted]"}}"#
    );
    let masked = body(&upstream, "{ names: [name], mask: \"***\" }");
    assert!(masked.contains(r#""Name":"***""#), "{masked}");
}

#[test]
fn patterns_are_blotted_out_of_json_and_of_text() {
    let secrets = format!("card {CARD} key AKIAIOSFODNN7EXAMPLE order A-1234567");
    let expected = "card [redacted] key [redacted] order [redacted]";
    let redact = "{ patterns: [card_number, aws_key], expressions: [\"A-[0-9]{7}\"] }";
    assert_eq!(body(&service(TEXT, &secrets), redact), expected);
    let json = format!("{{\"text\":\"{secrets}\"}}");
    assert_eq!(body(&service(JSON, &json), redact), format!("{{\"text\":\"{expected}\"}}"));
    assert_eq!(body(&service("", &json), redact), format!("{{\"text\":\"{expected}\"}}"), "no media type");
}

/// The result does not depend on where the service's chunks end.
#[test]
fn a_number_that_is_split_between_chunks_is_found() {
    let (whole, expected) = (format!("paid with {CARD}, thanks"), "paid with [redacted], thanks");
    for at in [11, 14, 15, 20, 28] {
        let (head, tail) = whole.split_at(at);
        let upstream = chunked(TEXT, &[head.as_bytes(), tail.as_bytes()], "");
        assert_eq!(body(&upstream, "{ patterns: [card_number] }"), expected, "{at}");
    }
    let letters: Vec<&[u8]> = whole.as_bytes().chunks(1).collect();
    assert_eq!(body(&chunked(TEXT, &letters, ""), "{ patterns: [card_number] }"), expected);
    let json = format!("{{\"text\":\"{whole}\"}}");
    let letters: Vec<&[u8]> = json.as_bytes().chunks(1).collect();
    let redacted = body(&chunked(JSON, &letters, ""), "{ patterns: [card_number] }");
    assert_eq!(redacted, format!("{{\"text\":\"{expected}\"}}"));
}

#[test]
fn what_is_held_back_comes_before_the_trailers() {
    let text = format!("paid with {CARD}");
    let upstream = chunked(&format!("{TEXT}Trailer: X-Sum\r\n"), &[text.as_bytes()], "X-Sum: 1\r\n");
    let gateway = redacting(&upstream, "{ patterns: [card_number] }").start();
    let response = raw::get(gateway.address("public"), "/", "TE: trailers\r\nConnection: TE\r\n");
    assert!(response.complete);
    assert_eq!(response.text(), "paid with [redacted]");
    assert_eq!(response.trailers, [("x-sum".to_owned(), b"1".to_vec())]);
}

#[test]
fn lengths_and_validators_of_the_unredacted_body_do_not_pass() {
    let fields = format!("{TEXT}ETag: \"abc\"\r\nAccept-Ranges: bytes\r\nContent-Digest: sha-256=:AA==:\r\n");
    let length = CARD.len();
    let upstream = Upstream::scripted(move |seen| {
        let body = if seen.method == "HEAD" { "" } else { CARD };
        Some(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{fields}\r\n{body}").into_bytes())
    });
    let gateway = redacting(&upstream, "{ patterns: [card_number] }").start();
    for method in ["GET", "HEAD"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
        let response = Connection::open(gateway.address("public")).send(request).response_to(method);
        assert_eq!(response.status, 200);
        for name in ["etag", "accept-ranges", "content-digest"] {
            assert!(!has(&response, name), "{name} after {method}");
        }
        let lengths = response.values("content-length");
        assert!(lengths.iter().all(|sent| *sent != length.to_string()), "{method}: {lengths:?}");
    }
}

/// Compressed bytes cannot be read: the service is asked for plain ones, and an answer that is not is refused.
#[test]
fn the_service_is_asked_for_what_can_be_read() {
    let upstream = Upstream::start();
    let gateway = redacting(&upstream, "{ patterns: [card_number] }").start();
    let lines = "Accept-Encoding: gzip, br\r\nRange: bytes=0-3\r\nIf-Range: \"abc\"\r\n";
    assert_eq!(raw::get(gateway.address("public"), "/", lines).status, 200);
    let seen = upstream.only_request();
    assert_eq!(seen.header("accept-encoding").as_deref(), Some("identity, *;q=0"));
    assert!(!seen.has("range") && !seen.has("if-range"));

    for fields in
        ["Content-Encoding: gzip\r\n", "Content-Encoding: identity, br\r\n", "Content-Range: bytes 0-1/9\r\n"]
    {
        let upstream = service(&format!("{TEXT}{fields}"), "\u{1f}opaque");
        let gateway = redacting(&upstream, "{ patterns: [card_number] }").start();
        let response = raw::get(gateway.address("public"), "/", "");
        assert_eq!((response.status, response.code().as_str()), (502, "answer_not_redactable"), "{fields}");
        assert!(!response.text().contains("opaque"));
    }
    let upstream = service(&format!("{TEXT}Content-Encoding: gzip\r\n"), "opaque");
    assert_eq!(body(&upstream, "{ patterns: [] }"), "opaque", "nothing to redact, nothing to refuse");
}

#[test]
fn json_that_is_none_is_broken_off() {
    let upstream = chunked(JSON, &[b"{\"a\":1,", b"oops 4111111111111111"], "");
    let gateway = redacting(&upstream, "{ names: [card] }").start();
    let response = raw::get(gateway.address("public"), "/", "");
    assert!(!response.complete, "never a clean end: {response:?}");
    assert!(!response.text().contains("4111"));
    let audit = gateway.stop_and_audit();
    assert_eq!(
        (&audit[0]["decision"], &audit[0]["reason_code"]),
        (&"error".into(), &"answer_not_redactable".into())
    );
}

#[test]
fn only_the_media_types_that_are_named_are_read() {
    let upstream = service("Content-Type: application/x-custom\r\n", CARD);
    assert_eq!(body(&upstream, "{ patterns: [card_number] }"), CARD);
    let redact = "{ patterns: [card_number], content_types: [application/x-custom] }";
    assert_eq!(body(&upstream, redact), "[redacted]");
    assert_eq!(body(&service(TEXT, CARD), redact), CARD);
}
