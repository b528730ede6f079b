//! Answers of the service are scanned too.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use portcullis_testkit::echo::Upstream;
use serde_json::json;

use super::super::refusal;
use super::{get, post, rule_ids, scanning};

const RULES: &str = r#"
SecResponseBodyAccess On
SecResponseBodyLimit 1000
SecRule RESPONSE_STATUS "@streq 418" "id:300,phase:3,deny,log,msg:'A teapot'"
SecRule RESPONSE_BODY "@contains stack trace" "id:301,phase:4,deny,log,msg:'A leak'"
"#;

#[test]
fn an_answer_that_must_not_be_seen_is_refused() {
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, RULES, "");
    assert_eq!(refusal(&get(&gateway, "/status/418", "")), (403, "response_blocked".to_owned()));
    let leak = post(&gateway, "application/json", r#"{"error":"stack trace: at line 1"}"#);
    assert_eq!(refusal(&leak), (403, "response_blocked".to_owned()));
    assert!(!leak.text().contains("line 1"));
    assert_eq!(post(&gateway, "application/json", r#"{"all":"well"}"#).text(), r#"{"all":"well"}"#);
    assert_eq!(
        post(&gateway, "image/png", "stack trace").text(),
        "stack trace",
        "only texts are looked into"
    );
    let records = gateway.stop_and_audit();
    let told: Vec<_> = records.iter().map(|it| (it["decision"].clone(), rule_ids(it))).collect();
    assert_eq!(
        told,
        [
            (json!("deny"), vec![300]),
            (json!("deny"), vec![301]),
            (json!("allow"), vec![]),
            (json!("allow"), vec![])
        ]
    );
    assert_eq!((&records[1]["stage"], &records[1]["stages"]["scan"]), (&json!("scan"), &json!("deny")));
}

#[test]
fn no_rule_turns_a_shadow_into_a_refusal() {
    let upstream = Upstream::start();
    let rules = "SecAction \"id:1,phase:1,pass,nolog,ctl:ruleEngine=On\"\nSecRule ARGS \"@contains evil\" \"id:2,phase:1,deny\"\n";
    assert_eq!(get(&scanning(&upstream, rules, ""), "/?a=evil", "").status, 403);
    let shadow = scanning(&upstream, rules, ", mode: shadow");
    assert_eq!(get(&shadow, "/?a=evil", "").status, 200);
    let record = shadow.stop_and_audit().remove(0);
    assert_eq!(record["shadow_reasons"], json!({ "scan": "attack_detected" }));
}

#[test]
fn shadow_lets_answers_pass_and_records_them() {
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, RULES, ", mode: shadow");
    assert_eq!(post(&gateway, "text/plain", "a stack trace").text(), "a stack trace");
    let record = gateway.stop_and_audit().remove(0);
    assert_eq!(record["shadow_reasons"], json!({ "scan": "response_blocked" }));
}

/// Of an answer beyond the limit the beginning is scanned, or it is refused: as the rules say.
#[test]
fn of_a_long_answer_the_beginning_is_scanned() {
    let upstream = Upstream::start();
    let (lead, leak) = ("x".repeat(990), "stack trace");
    for (action, late) in [("ProcessPartial", 200), ("Reject", 500)] {
        let rules = format!("{RULES}\nSecResponseBodyLimitAction {action}\n");
        let gateway = scanning(&upstream, &rules, "");
        let early = post(&gateway, "text/plain", &format!("{leak}{lead}{lead}"));
        assert!(early.status >= 400, "{action}");
        let body = format!("{lead}{lead}{leak}{lead}");
        let answer = post(&gateway, "text/plain", &body);
        assert_eq!(answer.status, late, "{action}");
        if late == 200 {
            assert_eq!(answer.text(), body, "it arrives whole");
        }
        let answer = get(&gateway, "/big/300000", "");
        assert_eq!((answer.status, answer.body.len()), (200, 300_000), "no text");
    }
}

/// Several answers over the same connections arrive as they were sent, trailers and all.
#[test]
fn what_was_held_back_arrives_in_order() {
    let upstream = Upstream::start();
    let gateway =
        scanning(&upstream, &format!("{RULES}\nSecResponseBodyMimeType text/plain application/grpc\n"), "");
    for _ in 0..3 {
        assert_eq!(get(&gateway, "/chunked", "").text(), "one two three");
        assert_eq!(post(&gateway, "text/plain", "four").text(), "four");
    }
    let trailers = get(&gateway, "/trailers", "TE: trailers\r\n");
    let status = trailers.trailers.iter().find(|(name, _)| name == "grpc-status");
    assert_eq!(status.map(|(_, value)| value.as_slice()), Some(b"0".as_slice()));
}

#[test]
fn the_service_is_asked_for_what_can_be_read() {
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, RULES, "");
    assert_eq!(get(&gateway, "/a", "Accept-Encoding: gzip\r\nRange: bytes=0-1\r\n").status, 200);
    let seen = upstream.only_request();
    assert_eq!(seen.header("accept-encoding").as_deref(), Some("identity, *;q=0"));
    assert_eq!(seen.header("range"), None);
}

/// A service that sends this with these codings, whatever it was asked for.
fn compressing(codings: &str, body: Vec<u8>) -> Upstream {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-encoding: {codings}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    Upstream::scripted(move |_| Some([head.as_bytes(), &body].concat()))
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// The rules see what the client will see, however the service sends it.
#[test]
fn a_compressed_answer_is_decoded_for_the_rules() {
    let long = [b"stack trace".as_slice(), &[b' '; 5000]].concat();
    for (codings, body, status, code) in [
        ("gzip", gzip(b"a stack trace"), 403, "response_blocked"),
        ("gzip", gzip(&long), 403, "response_blocked"),
        ("gzip, gzip", gzip(&gzip(b"a stack trace")), 403, "response_blocked"),
        ("br", b"a stack trace".to_vec(), 502, "unreadable_answer"),
        ("gzip", b"a stack trace".to_vec(), 502, "unreadable_answer"),
    ] {
        let upstream = compressing(codings, body);
        let gateway = scanning(&upstream, RULES, "");
        assert_eq!(refusal(&get(&gateway, "/", "")), (status, code.to_owned()), "{codings}");
        let shadow = scanning(&upstream, RULES, ", mode: shadow");
        assert_eq!(get(&shadow, "/", "").status, 200, "{codings}");
        let record = shadow.stop_and_audit().remove(0);
        assert_eq!(record["shadow_reasons"], json!({ "scan": code }), "{codings}");
    }
    let harmless = gzip(b"all is well");
    let upstream = compressing("gzip", harmless.clone());
    let gateway = scanning(&upstream, RULES, "");
    assert_eq!(get(&gateway, "/", "").body, harmless, "it arrives as it came");
}
