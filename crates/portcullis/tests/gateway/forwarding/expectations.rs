//! `Expect: 100-continue`: the client is asked for its body only once its head was admitted.

use portcullis_testkit::echo::{Ending, Upstream};
use portcullis_testkit::raw::Connection;

use crate::common::{Config, plain};

const HEAD: &str = "POST /reflect HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";

#[test]
fn an_admitted_head_is_answered_100_and_the_expectation_goes_no_further() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let mut client = Connection::open(gateway.address("public"));
    for _ in 0..2 {
        assert_eq!(client.send(HEAD).interim().status, 100);
        let answer = client.send("body").response();
        assert_eq!((answer.status, answer.text().as_str()), (200, "body"));
        let seen = upstream.only_request();
        assert_eq!((seen.has("expect"), seen.ending), (false, Ending::Complete));
        upstream.forget();
    }
}

#[test]
fn a_client_that_does_not_wait_is_served_too() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let answer = Connection::open(gateway.address("public")).send(format!("{HEAD}body")).response();
    assert_eq!((answer.status, answer.text().as_str()), (200, "body"));
}

/// Checks that the first thing that comes is the refusal, not 100.
fn refused_at_once(config: &Config, upstream: &Upstream, head: &str, status: u16) {
    let gateway = config.start();
    let mut client = Connection::open(gateway.address("public"));
    client.send(head);
    let text = String::from_utf8(client.read_exactly(12)).unwrap();
    assert_eq!(text, format!("HTTP/1.1 {status}"), "for {head:?}");
    upstream.assert_no_contact();
}

#[test]
fn a_refused_head_is_answered_without_100() {
    let upstream = Upstream::start();
    let plain = plain(&upstream.url());
    let keys = "{ api_keys: [{ name: partners, keys: [] }] }";
    let anybody = plain.clone().section("authentication", keys);
    refused_at_once(&anybody.clone().policy("authenticate", "{ methods: [partners] }"), &upstream, HEAD, 401);
    refused_at_once(&plain.clone().policy("authorize", "{ mode: enforce }"), &upstream, HEAD, 403);
    refused_at_once(&plain.clone().routes(&["{ name: only, path: /only }"]), &upstream, HEAD, 404);
    let large = HEAD.replace("Content-Length: 4", "Content-Length: 2000");
    refused_at_once(&plain.policy("forward", "{ body: 1KiB }"), &upstream, &large, 413);
}

#[test]
fn other_expectations_cannot_be_met() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    for expectation in ["a-miracle", "100-continue, a-miracle", ""] {
        let head = HEAD.replace("Expect: 100-continue", &format!("Expect: {expectation}"));
        let answer = Connection::open(gateway.address("public")).send(format!("{head}body")).response();
        assert_eq!((answer.status, answer.code().as_str()), (417, "expectation_failed"), "{expectation:?}");
    }
    upstream.assert_no_contact();
}

#[test]
fn two_expectations_are_not_one() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let head = HEAD.replace("\r\n\r\n", "\r\nExpect: a-miracle\r\n\r\n");
    let answer = Connection::open(gateway.address("public")).send(format!("{head}body")).response();
    assert_eq!(answer.status, 417);
    upstream.assert_no_contact();
}
