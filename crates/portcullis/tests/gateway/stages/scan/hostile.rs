//! Bodies that are made to cost: they are refused or scanned within bounds, and the gateway goes on.

use std::io::Write;

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Response};

use super::super::refusal;
use super::{RULES, get, post, scanning};

/// A pattern that other engines need exponential time for.
const WITH_EVIL_PATTERN: &str = r#"
SecRule ARGS "@rx ^(?:a+)+$" "id:200,phase:2,deny,log,t:none"
SecRule ARGS "@rx ^(?:[a-z]+\s?)*!$" "id:201,phase:2,deny,log,t:none"
"#;

fn post_bytes(gateway: &Gateway, lines: &str, body: &[u8]) -> Response {
    let head = format!("POST /reflect HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n{lines}\r\n", body.len());
    raw::request(gateway.address("public"), [head.as_bytes(), body].concat())
}

fn gzip(chunk: &[u8], times: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..times {
        encoder.write_all(chunk).unwrap();
    }
    encoder.finish().unwrap()
}

/// What the gateway used of processor time for something.
fn cost<T>(gateway: &Gateway, work: impl FnOnce() -> T) -> (T, u64) {
    let before = gateway.computed_milliseconds();
    let outcome = work();
    (outcome, gateway.computed_milliseconds() - before)
}

/// Most processor time that one of these bodies may take, in a build without optimisation.
const MOST_MILLISECONDS: u64 = 3_000;

#[test]
fn deep_json_is_refused_within_bounds() {
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, RULES, "");
    let memory = gateway.resident_bytes();
    let mut body = "[".repeat(100_000);
    body.push_str(&"1,".repeat(5 << 20));
    body.truncate((10 << 20) - 100);
    let (answer, milliseconds) = cost(&gateway, || post(&gateway, "application/json", &body));
    assert_eq!(refusal(&answer), (400, "unreadable_body".to_owned()));
    assert!(milliseconds < MOST_MILLISECONDS, "{milliseconds} ms");
    assert!(gateway.resident_bytes() < memory + (120 << 20), "{memory} then {}", gateway.resident_bytes());
    upstream.assert_no_contact();
    assert_eq!(get(&gateway, "/a", "").status, 200, "the gateway goes on");
}

/// Services read the first or the last of two values: both are scanned.
#[test]
fn of_duplicate_keys_every_value_is_scanned() {
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, RULES, "");
    for body in [r#"{"a":"union select","a":"b"}"#, r#"{"a":"b","a":"union select"}"#] {
        let answer = post(&gateway, "application/json", body);
        assert!(matches!(answer.status, 400 | 403), "{body}: {}", answer.status);
    }
    upstream.assert_no_contact();
}

#[test]
fn a_compressed_bomb_is_refused_within_bounds() {
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, RULES, "");
    let memory = gateway.resident_bytes();
    let bomb = gzip(&vec![b'a'; 1 << 20], 64);
    assert!(bomb.len() < 128 << 10);
    let lines = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n";
    let (answer, milliseconds) = cost(&gateway, || post_bytes(&gateway, lines, &bomb));
    assert!(matches!(answer.status, 400 | 413), "{}", answer.status);
    assert!(milliseconds < MOST_MILLISECONDS, "{milliseconds} ms");
    assert!(gateway.resident_bytes() < memory + (120 << 20), "{memory} then {}", gateway.resident_bytes());
    // Rules see what the service will see after decompression.
    let hidden = gzip(br#"{"a":"union select"}"#, 1);
    assert_eq!(refusal(&post_bytes(&gateway, lines, &hidden)), (403, "attack_detected".to_owned()));
    upstream.assert_no_contact();
}

#[test]
fn a_parameter_made_for_backtracking_costs_no_more_than_another() {
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, WITH_EVIL_PATTERN, "");
    let body = format!("a={}X&b={}?", "a".repeat(50_000), "abc ".repeat(10_000));
    let (answer, milliseconds) =
        cost(&gateway, || post(&gateway, "application/x-www-form-urlencoded", &body));
    assert_eq!(answer.status, 200);
    assert!(milliseconds < MOST_MILLISECONDS, "{milliseconds} ms");
}

#[test]
fn what_cannot_be_taken_apart_does_not_pass() {
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, RULES, "");
    let many: String = (0..10_001).map(|number| format!("{number}=1&")).collect();
    for (kind, body) in [
        ("application/json", r#"{"a":"#),
        ("application/json", "{'a':1}"),
        ("text/xml", "<a><b></a>"),
        ("multipart/form-data; boundary=b", "--c\r\nno part\r\n--c--\r\n"),
        ("application/x-www-form-urlencoded", &many),
    ] {
        let answer = post(&gateway, kind, body);
        assert_eq!(refusal(&answer), (400, "unreadable_body".to_owned()), "{kind}");
    }
    assert_eq!(refusal(&post_bytes(&gateway, "Content-Encoding: br\r\n", b"x")).0, 400, "an unknown coding");
    upstream.assert_no_contact();
    assert_eq!(post(&gateway, "application/json", "").status, 200, "no body is no fault");
}
