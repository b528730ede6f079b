//! An attack is found wherever a request carries it, and what carries none arrives as it was sent.

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::h2;
use portcullis_testkit::raw::{self, Connection};
use serde_json::json;

use super::super::refusal;
use super::{RULES, config, get, post, rule_ids, scanning};
use crate::common::setup;

const ATTACK: &str = "1 union select password";

#[test]
fn an_attack_is_refused_wherever_it_is_carried() {
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, RULES, "");
    let multipart = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1 union select x\r\n--b--\r\n";
    let upload =
        "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"X.PHP\"\r\n\r\nhello\r\n--b--\r\n";
    let answers = [
        ("query", get(&gateway, "/a?id=1%20union%20select%20x", "")),
        ("name of a parameter", get(&gateway, "/a?union%20select=1", "")),
        ("twice encoded", get(&gateway, "/a?id=1%2520union%2520select", "")),
        ("header", get(&gateway, "/a", &format!("X-Note: {ATTACK}\r\n"))),
        ("cookie", get(&gateway, "/a", &format!("Cookie: a=b; c={ATTACK}\r\n"))),
        ("target", get(&gateway, "/a?file=/etc/passwd", "")),
        ("form", post(&gateway, "application/x-www-form-urlencoded", "a=b&c=1+union+select+x")),
        ("json", post(&gateway, "application/json", r#"{"a":[{"b":"1 union\u0020select x"}]}"#)),
        ("json of a kind", post(&gateway, "application/vnd.shop+json; charset=utf-8", r#"["union select"]"#)),
        ("xml", post(&gateway, "text/xml", "<a><b>1 union select x</b></a>")),
        ("multipart", post(&gateway, "multipart/form-data; boundary=b", multipart)),
        ("upload", post(&gateway, "multipart/form-data; boundary=b", upload)),
    ];
    for (what, answer) in &answers {
        assert_eq!(refusal(answer), (403, "attack_detected".to_owned()), "{what}");
        let problem = answer.json();
        assert_eq!(problem["detail"], "The request is not permitted.", "{what}: nothing is revealed");
    }
    let over_http2 = h2::Client::open(gateway.address("public"));
    let answer = over_http2.request("GET", "/a?id=1%20union%20select%20x", &[]);
    assert_eq!((answer.status, answer.code().as_str()), (403, "attack_detected"));
    upstream.assert_no_contact();
    let records = gateway.stop_and_audit();
    assert_eq!(records.len(), answers.len() + 1);
    for record in &records {
        let told = (&record["decision"], &record["stage"], &record["reason_code"], &record["stages"]["scan"]);
        assert_eq!(told, (&json!("deny"), &json!("scan"), &json!("attack_detected"), &json!("deny")));
        assert_eq!(rule_ids(record).len(), 1, "{record}");
        assert_eq!(record["waf.refused_by"], record["waf.rule_ids"][0], "{record}");
    }
    assert!(!json!(records).to_string().contains("password"), "values are masked: {records:#?}");
}

#[test]
fn a_record_says_what_was_matched_and_not_what_was_said() {
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, RULES, "");
    assert_eq!(get(&gateway, "/a?id=1%20union%20select%20hunter2", "").status, 403);
    let record = gateway.stop_and_audit().remove(0);
    assert_eq!(record["waf.rule_ids"], json!([100]));
    assert_eq!(record["waf.score"], 0);
    let found = &record["waf.matches"][0];
    assert_eq!((&found["rule"], &found["target"]), (&json!(100), &json!("ARGS:id")), "{record}");
    let value = found["value"].as_str().unwrap();
    assert!(value.contains('*') && value.len() <= 64 && !value.contains("hunter2"), "{record}");
}

#[test]
fn a_verbatim_record_says_what_was_said_but_for_secrets() {
    let rules = r#"
SecRule ARGS "@rx union \S+ (\S+)" "id:1,phase:2,pass,capture,msg:'SQL %{tx.1}',logdata:'found %{tx.0} in %{MATCHED_VAR_NAME}'"
SecRule ARGS:token "@rx secret" "id:2,phase:2,pass,msg:'A token',logdata:'%{MATCHED_VAR}'"
SecAction "id:3,phase:2,pass,msg:'Always'"
"#;
    let upstream = Upstream::start();
    let told = |matches: &str| {
        let gateway = config(&upstream, "")
            .section("audit", format!("{{ file: audit.jsonl, flush_every: 1ms{matches} }}"))
            .start_in(setup().file("rules.conf", rules));
        assert_eq!(get(&gateway, "/a?id=1%20union%20select%20hunter2&token=my-secret", "").status, 200);
        gateway.stop_and_audit().remove(0)["waf.matches"].clone()
    };
    let verbatim = told(", matches: verbatim");
    let found = json!({
        "rule": 1, "ruleset": "mine", "target": "ARGS:id", "value": "union select hunter2", "message": "SQL hunter2",
        "data": "found union select hunter2 in ARGS:id",
    });
    assert_eq!(verbatim[0], found);
    assert_eq!(
        verbatim[1],
        json!({"rule": 2, "ruleset": "mine", "target": "ARGS:token", "value": "******", "message": "A token"})
    );
    assert_eq!(verbatim[2]["message"], "Always");
    let masked = told("").to_string();
    assert!(!masked.contains("hunter2") && !masked.contains("SQL"), "{masked}");
}

#[test]
fn ordinary_requests_arrive_byte_for_byte() {
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, RULES, "");
    let bodies = [
        ("application/json", r#"{ "order": {"lines": [1, 2.50, "it's O'Neil's"]} , "x":null}"#),
        ("application/x-www-form-urlencoded", "a=b&c=d+e%20f&&g"),
        ("text/plain", "Please select a union representative."),
        ("application/octet-stream", "\u{0}\u{1}\u{2}"),
    ];
    for (kind, body) in bodies {
        let answer = post(&gateway, kind, body);
        assert_eq!((answer.status, answer.text().as_str()), (200, body), "{kind}");
        let seen = upstream.only_request();
        assert_eq!(seen.header("content-length"), Some(body.len().to_string()), "{kind}");
        assert_eq!((seen.header("transfer-encoding"), seen.body.as_slice()), (None, body.as_bytes()));
        upstream.forget();
    }
    let chunked = "POST /reflect HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n";
    assert_eq!(raw::request(gateway.address("public"), chunked).text(), "onetwo");
    let seen = upstream.only_request();
    assert_eq!((seen.header("content-length"), seen.body.as_slice()), (None, b"onetwo".as_slice()));
    upstream.forget();
    assert_eq!(get(&gateway, "/a?q=caf%C3%A9+%26+more", "Cookie: a=b\r\n").status, 200);
    assert_eq!(upstream.only_request().target, "/a?q=caf%C3%A9+%26+more");
    for record in gateway.stop_and_audit() {
        let told = (&record["decision"], &record["stages"]["scan"], record.get("waf.rule_ids"));
        assert_eq!(told, (&json!("allow"), &json!("pass"), None), "{record}");
    }
}

#[test]
fn trailers_follow_what_was_held_back() {
    let upstream = Upstream::start();
    let gateway =
        config(&upstream, "").upstream("protocol", "http2").start_in(setup().file("rules.conf", RULES));
    let client = h2::Client::open(gateway.address("public"));
    let mut stream = client.start("POST", "/reflect", &[]);
    stream.send("one").send("two").finish_with(&[("x-sum", "7")]);
    assert_eq!(stream.response().text(), "onetwo");
    let seen = upstream.only_request();
    assert_eq!((seen.body.as_slice(), seen.header("content-length")), (b"onetwo".as_slice(), None));
    assert_eq!(seen.trailers, [("x-sum".to_owned(), b"7".to_vec())]);
}

/// The rules see a request as the client sent it, with what the gateway takes out of it.
#[test]
fn rules_see_what_the_client_sent() {
    let rules = r#"
SecRule REQUEST_HEADERS:X-Forwarded-For "@streq 192.0.2.1" "id:1,phase:1,pass,log"
SecRule REQUEST_HEADERS:Connection "@contains x-odd" "id:2,phase:1,pass,log"
SecRule REQUEST_URI_RAW "@streq /a/./b?c=%64" "id:3,phase:1,pass,log"
SecRule REQUEST_LINE "@streq GET /a/./b?c=%64 HTTP/1.1" "id:4,phase:1,pass,log"
SecRule REMOTE_ADDR "@ipMatch 127.0.0.1" "id:5,phase:1,pass,log"
SecRule UNIQUE_ID "@rx ^[0-9a-f]{32}$" "id:6,phase:1,pass,log"
SecRule &REMOTE_USER "@eq 0" "id:7,phase:1,pass,log"
SecRule REQUEST_HEADERS:Host "@streq api.example.com" "id:8,phase:1,pass,log"
"#;
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, rules, "");
    let lines = "X-Forwarded-For: 192.0.2.1\r\nConnection: x-odd, keep-alive\r\nX-Odd: 1\r\n";
    assert_eq!(get(&gateway, "/a/./b?c=%64", lines).status, 200);
    let seen = upstream.only_request();
    assert_eq!((seen.target.as_str(), seen.header("x-odd")), ("/a/b?c=%64", None));
    assert_eq!(rule_ids(&gateway.stop_and_audit()[0]), [1, 2, 3, 4, 5, 6, 7, 8]);
}

/// Also what no URI holds, which services get percent-encoded; and each request its own, however they follow each other.
#[test]
fn rules_see_a_target_as_it_was_written() {
    let rules = r#"
SecRule REQUEST_URI_RAW "@streq /<a>|?q=\"x{" "id:1,phase:1,pass,log"
SecRule REQUEST_LINE "@streq GET /<a>|?q=\"x{ HTTP/1.1" "id:2,phase:1,pass,log"
SecRule ARGS:q "@streq \"x{" "id:3,phase:1,pass,log"
SecRule REQUEST_FILENAME "@streq /<a>|" "id:4,phase:1,pass,log"
SecRule REQUEST_URI_RAW "@streq http://api.example.com" "id:5,phase:1,pass,log"
SecRule REQUEST_URI_RAW "@streq /plain" "id:6,phase:1,pass,log"
"#;
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, rules, "");
    let requests = ["/plain", "/<a>|?q=\"x{", "/plain", "http://api.example.com", "/<a>|?q=\"x{", "/plain"]
        .map(|target| format!("GET {target} HTTP/1.1\r\nHost: api.example.com\r\n\r\n"));
    let mut connection = Connection::open(gateway.address("public"));
    connection.send(requests.concat());
    for _ in &requests {
        assert_eq!(connection.response().status, 200);
    }
    let seen: Vec<String> = upstream.requests().into_iter().map(|request| request.target).collect();
    let odd = "/%3Ca%3E%7C?q=%22x%7B";
    assert_eq!(seen, ["/plain", odd, "/plain", "/", odd, "/plain"]);
    let matched: Vec<_> = gateway.stop_and_audit().iter().map(rule_ids).collect();
    let odd = vec![1, 2, 3, 4];
    assert_eq!(matched, [vec![6], odd.clone(), vec![6], vec![5], odd, vec![6]]);
}
