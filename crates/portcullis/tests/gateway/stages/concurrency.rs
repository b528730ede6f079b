//! How many requests may be under way at once, and when a place is free again.

use std::time::Instant;

use portcullis_testkit::PATIENCE;
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Connection};
use serde_json::json;

use super::refusal;
use crate::common::{Config, plain, setup};

const SLOW: &str = "GET /slow-head HTTP/1.1\r\nHost: a\r\n\r\n";

fn narrow(upstream: &Upstream, policy: &str) -> Config {
    plain(&upstream.url())
        .section("concurrency", "[{ name: few, key: [address], most: 2 }]")
        .policy("limit", format!("{{ concurrency: [few]{policy} }}"))
}

fn under_way(gateway: &Gateway, upstream: &Upstream, requests: usize) -> Connection {
    let mut connection = Connection::open(gateway.address("public"));
    connection.send(SLOW);
    assert_eq!(upstream.wait_for_requests(requests).len(), requests);
    connection
}

/// Asks until there is a place: it is free once the gateway has noticed that the other has ended.
fn becomes_free(gateway: &Gateway) {
    let begun = Instant::now();
    while raw::get(gateway.address("public"), "/", "").status != 200 {
        assert!(begun.elapsed() < PATIENCE, "there is no place");
    }
}

#[test]
fn requests_beyond_the_limit_are_told_to_come_again() {
    let upstream = Upstream::start();
    let gateway = narrow(&upstream, "").start();
    let mut first = under_way(&gateway, &upstream, 1);
    let _second = under_way(&gateway, &upstream, 2);
    let answer = raw::get(gateway.address("public"), "/", "");
    assert_eq!(refusal(&answer), (503, "too_many_at_once".to_owned()));
    assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
    assert_eq!(answer.json()["violated-policies"], json!(["few"]));
    assert!(answer.text().contains("temporary-reduced-capacity"));
    assert_eq!(upstream.requests().len(), 2);
    upstream.release();
    assert_eq!(first.response().status, 200);
    becomes_free(&gateway);
    let records = gateway.stop_and_audit();
    let refused = records.iter().find(|record| record["reason_code"] == "too_many_at_once").unwrap();
    assert_eq!((&refused["stage"], &refused["decision"]), (&json!("limit"), &json!("deny")));
}

/// A place is given back however a request ends: by an answer, by a refusal after it, or because the client has gone.
#[test]
fn a_place_is_given_back_however_the_request_ends() {
    let upstream = Upstream::start();
    let gateway = narrow(&upstream, "").start();
    for _ in 0..5 {
        assert_eq!(raw::get(gateway.address("public"), "/", "").status, 200);
        assert!(!raw::get(gateway.address("public"), "/truncate", "").complete);
        assert_eq!(raw::get(gateway.address("public"), "/close", "").status, 502);
    }
    let asked = upstream.requests().len();
    let (first, second) =
        (under_way(&gateway, &upstream, asked + 1), under_way(&gateway, &upstream, asked + 2));
    assert_eq!(raw::get(gateway.address("public"), "/", "").status, 503);
    drop((first, second));
    becomes_free(&gateway);
}

#[test]
fn watched_it_only_records_and_a_reload_forgets_nobody() {
    let upstream = Upstream::start();
    let gateway = narrow(&upstream, ", mode: shadow").start();
    let held = (under_way(&gateway, &upstream, 1), under_way(&gateway, &upstream, 2));
    assert_eq!(raw::get(gateway.address("public"), "/", "").status, 200);
    gateway.rewrite(&narrow(&upstream, "").text());
    gateway.hang_up();
    let _ = gateway.wait_for_event("reloaded", 0);
    assert_eq!(raw::get(gateway.address("public"), "/", "").status, 503);
    upstream.release();
    drop(held);
    becomes_free(&gateway);
    let records = gateway.stop_and_audit();
    assert_eq!(records[0]["shadow_reasons"], json!({ "limit": "too_many_at_once" }));
}

#[test]
fn what_is_named_must_be_there() {
    let upstream = Upstream::start();
    for (section, policy, told) in [
        ("[]", "{ concurrency: [few] }", "define it under `concurrency`"),
        ("[{ name: few, key: [address], most: 2 }]", "{ concurrency: [fews] }", "did you mean `few`?"),
        ("[{ name: few, key: [address], most: 0 }]", "{ concurrency: [few] }", "0 would refuse everything"),
        ("[{ name: few, key: [], most: 1 }]", "{ concurrency: [few] }", "the key is empty"),
        (
            "[{ name: few, key: [route], most: 1, ipv6_prefix: 64 }]",
            "{ concurrency: [few] }",
            "no address that the prefix",
        ),
    ] {
        let config = plain(&upstream.url()).section("concurrency", section).policy("limit", policy);
        let refusal = setup().refuse(&config.text());
        assert!(refusal.stderr.contains(told), "{told}: {}", refusal.stderr);
    }
}
