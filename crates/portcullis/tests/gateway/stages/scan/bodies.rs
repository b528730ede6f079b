//! Bodies that are held back: within limits, and only where rules want them.

use portcullis_testkit::echo::{Ending, Upstream};
use portcullis_testkit::raw::{self, Connection};
use serde_json::json;

use super::super::refusal;
use super::{RULES, config, get, post, scanning};
use crate::common::setup;

#[test]
fn nothing_of_a_request_is_sent_before_all_of_it_was_seen() {
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, RULES, "");
    let mut client = Connection::open(gateway.address("public"));
    client.send("POST /reflect HTTP/1.1\r\nHost: a\r\nContent-Length: 21\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\na=union");
    upstream.assert_no_contact();
    client.send("+select+1&b=cd");
    assert_eq!(client.response().status, 403);
    upstream.assert_no_contact();
}

#[test]
fn rules_that_want_no_body_let_it_stream() {
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, &format!("{RULES}\nSecRequestBodyAccess Off\n"), "");
    let mut client = Connection::open(gateway.address("public"));
    client.send("POST /reflect HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\none");
    upstream.wait_for(|requests| {
        let [seen] = requests.as_slice() else { return None };
        (seen.body == b"one" && seen.ending == Ending::Reading).then_some(())
    });
    assert_eq!(client.send("two").response().text(), "onetwo");
}

#[test]
fn a_body_beyond_the_routes_limit_is_refused() {
    let upstream = Upstream::start();
    let gateway =
        config(&upstream, "").policy("forward", "{ body: 1KiB }").start_in(setup().file("rules.conf", RULES));
    assert_eq!(post(&gateway, "text/plain", &"x".repeat(1024)).status, 200);
    upstream.forget();
    assert_eq!(refusal(&post(&gateway, "text/plain", &"x".repeat(1025))), (413, "body_too_large".to_owned()));
    let chunk = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n{}",
        "x".repeat(0x800)
    );
    assert_eq!(refusal(&raw::request(gateway.address("public"), chunk)), (413, "body_too_large".to_owned()));
    upstream.assert_no_contact();
}

/// The rules may have a limit of their own.
#[test]
fn a_body_beyond_the_limit_of_the_rules_is_refused() {
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, &format!("{RULES}\nSecRequestBodyLimit 100\n"), "");
    assert_eq!(post(&gateway, "text/plain", &"x".repeat(100)).status, 200);
    assert_eq!(refusal(&post(&gateway, "text/plain", &"x".repeat(101))), (413, "body_too_large".to_owned()));
}

#[test]
fn all_bodies_together_have_their_room() {
    let upstream = Upstream::start();
    let gateway = config(&upstream, "")
        .section("protocol", "{ buffered_bodies: 64KiB }")
        .policy("forward", "{ body: 64KiB }")
        .start_in(setup().file("rules.conf", RULES));
    let half = "x".repeat(40 << 10);
    let head = format!("POST /reflect HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", half.len() + 1);
    // Which of the two comes too late depends on the moment, unless one is gone before the other is there: then again.
    let refused = (0..50).find_map(|_| {
        let mut waiting = Connection::open(gateway.address("public"));
        waiting.send(&head).send(&half);
        let other = raw::post(gateway.address("public"), "/reflect", "", &half);
        let _ = waiting.try_send(b"x");
        let mut answers = [waiting.response(), other];
        answers.sort_by_key(|answer| answer.status);
        (answers[1].status != 200).then_some(answers)
    });
    let [served, refused] = refused.expect("one that is refused");
    assert_eq!((served.status, refusal(&refused)), (200, (503, "overloaded".to_owned())));
    assert_eq!(raw::post(gateway.address("public"), "/reflect", "", &half).status, 200, "room is given back");
}

/// A body that is scanned elsewhere, and one connection after the other.
#[test]
fn a_large_body_does_not_hold_others_up() {
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, RULES, "");
    let text = "ordinary words, nothing else. ".repeat(10_000);
    let body = json!({ "text": text }).to_string();
    let answer = post(&gateway, "application/json", &body);
    assert_eq!((answer.status, answer.body.len()), (200, body.len()));
    let body = json!({ "text": text, "last": "union select" }).to_string();
    assert_eq!(post(&gateway, "application/json", &body).status, 403);
    assert_eq!(get(&gateway, "/a", "").status, 200);
}

/// A connection that leaves HTTP is scanned by its head.
#[test]
fn an_upgrade_is_scanned_by_its_head() {
    let upstream = Upstream::start();
    let gateway = scanning(&upstream, RULES, "");
    let head = |query: &str| {
        format!("GET /switch{query} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    };
    assert_eq!(raw::request(gateway.address("public"), head("?a=union%20select")).status, 403);
    upstream.assert_no_contact();
    let mut client = Connection::open(gateway.address("public"));
    assert_eq!(client.send(head("")).interim().status, 101);
    client.send("union select");
    assert_eq!(client.read_exactly(12), b"union select");
}
