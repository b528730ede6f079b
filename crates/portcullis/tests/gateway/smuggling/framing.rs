//! The corpus of the testkit against the whole gateway: every peculiar request is refused, its connection is
//! closed, and whatever came behind it is never answered.

use portcullis_core::Reason;
use portcullis_testkit::corpus::{self, Case};
use portcullis_testkit::echo::{Ending, Seen, Upstream};
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{Connection, Response};
use serde_json::Value;

use crate::common::plain;

/// What a smuggler hopes to get answered.
const FOLLOWER: &[u8] = b"GET /follower HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n";

#[test]
fn each_case_sent_at_once() {
    check(&corpus::cases(), |connection, bytes| {
        connection.send(bytes);
    });
}

/// A head that comes in pieces must be judged like one that comes whole.
#[test]
fn each_case_sent_byte_by_byte() {
    let cases: Vec<Case> = corpus::cases().into_iter().filter(|case| case.bytes.len() < 1024).collect();
    check(&cases, |connection, bytes| {
        connection.send_bytewise(bytes);
    });
}

fn check(cases: &[Case], send: impl Fn(&mut Connection, &[u8])) {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let mut expected = Vec::new();
    for case in cases {
        upstream.forget();
        let mut connection = Connection::open(gateway.address("public"));
        send(&mut connection, &[case.bytes.as_slice(), FOLLOWER].concat());
        let responses = connection.responses_to_end();
        check_answers(case, &responses);
        check_upstream(case, &upstream);
        expected.extend((0..answered(case)).map(|_| (case.name, "allow".to_owned(), None)));
        expected.extend(case.refusal.map(|code| (case.name, "deny".to_owned(), Some(code.to_owned()))));
    }
    check_record(&expected, gateway);
}

/// How many requests are answered by the service: the follower too, if nothing stands in its way.
fn answered(case: &Case) -> usize {
    case.complete + usize::from(case.refusal.is_none())
}

fn check_answers(case: &Case, responses: &[Response]) {
    let statuses: Vec<u16> = responses.iter().map(|response| response.status).collect();
    let mut expected = vec![200; answered(case)];
    expected.extend(case.refusal.map(status_of));
    assert_eq!(statuses, expected, "{}", case.name);
    if let (Some(code), Some(refusal)) = (case.refusal, responses.last()) {
        assert_eq!(refusal.code(), code, "{}", case.name);
        assert_eq!(refusal.header("connection").as_deref(), Some("close"), "{}", case.name);
    }
}

/// What was refused before its body began reached nobody; what was refused in its body reached nobody whole.
fn check_upstream(case: &Case, upstream: &Upstream) {
    let is_settled = |requests: &Vec<Seen>| requests.iter().all(|seen| seen.ending != Ending::Reading);
    let requests = upstream.wait_for(|requests| is_settled(requests).then(|| requests.clone()));
    let complete = requests.iter().filter(|seen| seen.ending == Ending::Complete).count();
    assert_eq!(complete, answered(case), "{}: {requests:#?}", case.name);
    let has_chunks = case.bytes.windows(9).any(|window| window == b"chunked\r\n");
    if !has_chunks {
        assert_eq!(requests.len(), complete, "{}: {requests:#?}", case.name);
    }
    let has_follower = requests.iter().any(|seen| seen.target == "/follower");
    assert_eq!(has_follower, case.refusal.is_none(), "{}", case.name);
}

fn check_record(expected: &[(&str, String, Option<String>)], gateway: Gateway) {
    let text = |line: &Value, key: &str| line.get(key).and_then(Value::as_str).map(str::to_owned);
    let records = gateway.stop_and_audit();
    for (record, (name, decision, reason)) in records.iter().zip(expected) {
        assert_eq!(text(record, "decision").as_ref(), Some(decision), "{name}: {record}");
        assert_eq!(text(record, "reason_code").as_ref(), reason.as_ref(), "{name}: {record}");
    }
    assert_eq!(records.len(), expected.len());
}

fn status_of(code: &str) -> u16 {
    let reason = Reason::ALL.iter().find(|reason| reason.code() == code).expect("a code of a reason");
    reason.status().as_u16()
}
