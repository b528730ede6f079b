//! Several gateways on one Redis: what they allow together, and what holds while the store is killed, paused, cut off or slow.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use portcullis_testkit::PATIENCE;
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Response};
use portcullis_testkit::redis::{Cluster, Redis, Watchful};
use portcullis_testkit::relay::Relay;
use serde_json::json;

use super::refusal;
use crate::common::{Config, plain};

/// A gateway that counts by this limit, together with others.
fn sharing(upstream: &Upstream, redis: &str, limit: &str) -> Config {
    plain(&upstream.url())
        .section("store", format!("{{ redis: {{ {redis} }} }}"))
        .section("limits", format!("[{{ name: fleet, key: [global], {limit} }}]"))
        .policy("limit", "{ mode: enforce, apply: [fleet] }")
}

fn at(address: SocketAddr) -> String {
    format!("url: \"redis://{address}\", timeout: 50ms")
}

fn get(gateway: &Gateway) -> Response {
    raw::get(gateway.address("public"), "/", "")
}

/// How many of the answers are these.
fn count(answers: &[Response], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

/// So many requests at the same time, spread over the gateways.
fn at_once(gateways: &[Gateway], requests: usize) -> Vec<Response> {
    let start = Barrier::new(requests);
    thread::scope(|scope| {
        let asking: Vec<_> = (0..requests)
            .zip(gateways.iter().cycle())
            .map(|(_, gateway)| {
                let start = &start;
                let ask = move || {
                    let mut client = raw::Connection::open(gateway.address("public"));
                    start.wait();
                    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
                    client.response()
                };
                thread::Builder::new().stack_size(128 << 10).spawn_scoped(scope, ask).unwrap()
            })
            .collect();
        asking.into_iter().map(|asking| asking.join().unwrap()).collect()
    })
}

/// Asks until the answer has this status; gives it.
fn until(gateway: &Gateway, status: u16) -> Response {
    let begun = Instant::now();
    loop {
        let answer = get(gateway);
        if answer.status == status {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "{status} never comes, but {}", answer.status);
        thread::yield_now();
    }
}

/// Scenario: a limit of 100, two gateways, a thousand requests at once.
#[test]
fn gateways_together_allow_what_one_would() {
    let (upstream, redis) = (Upstream::start(), Redis::start());
    for mode in ["exact", "leased, batch: 1"] {
        let limit = format!("rate: 100/d, shared: {{ mode: {mode} }}");
        let settings = format!("url: \"{}\", timeout: 5s, prefix: \"{}:\"", redis.url(), mode.len());
        let config =
            sharing(&upstream, &settings, &limit).section("protocol", "{ connections_per_address: 2000 }");
        let gateways = [config.start(), config.start()];
        let answers = at_once(&gateways, 1_000);
        let admitted = count(&answers, 200);
        if mode == "exact" {
            assert_eq!((admitted, count(&answers, 429)), (100, 900));
        } else {
            assert!((98..=100).contains(&admitted), "{admitted}: all but what two gateways may hold");
        }
        for answer in answers.iter().filter(|answer| answer.status == 429) {
            let state = answer.header("ratelimit").unwrap();
            let wait = state.rsplit_once(";t=").unwrap().1;
            assert_eq!(answer.header("retry-after").as_deref(), Some(wait));
        }
        upstream.forget();
    }
}

#[test]
fn a_lost_store_denies_until_it_is_back() {
    let (upstream, mut redis) = (Upstream::start(), Redis::start());
    let gateway =
        sharing(&upstream, &at(redis.address()), "rate: 100000/d, shared: { outage: deny }").start();
    assert_eq!(get(&gateway).status, 200);
    redis.kill();
    upstream.forget();
    for _ in 0..50 {
        let answer = get(&gateway);
        assert_eq!(refusal(&answer), (503, "limits_unavailable".to_owned()));
        let kind = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";
        assert_eq!(answer.json()["type"], kind);
        assert!(answer.header("retry-after").is_some());
    }
    upstream.assert_no_contact();
    redis.restart();
    let restarted = Instant::now();
    until(&gateway, 200);
    assert!(restarted.elapsed() < Duration::from_secs(2), "{:?}", restarted.elapsed());
    let metrics = raw::get(gateway.address("admin"), "/metrics", "").text();
    assert!(metrics.contains("portcullis_store_losses_total 1\n"), "{metrics}");
    assert!(metrics.contains("portcullis_store_up 1\n"), "{metrics}");
    for event in ["store_lost", "store_back"] {
        assert!(gateway.stderr().contains(event), "{}", gateway.stderr());
    }
}

/// Each gateway allows its part; what it allowed is counted once the store is back, though that has forgotten everything.
#[test]
fn a_killed_store_leaves_each_gateway_its_part_and_no_burst_after_it() {
    let (upstream, mut redis) = (Upstream::start(), Redis::start());
    let config = sharing(&upstream, &at(redis.address()), "rate: 40/d, shared: { outage: local, nodes: 2 }");
    let gateways = [config.start(), config.start()];
    for gateway in &gateways {
        (0..10).for_each(|_| assert_eq!(get(gateway).status, 200));
    }
    redis.kill();
    let admitted: Vec<usize> = gateways
        .iter()
        .map(|gateway| {
            let answers: Vec<Response> = (0..40).map(|_| get(gateway)).collect();
            assert_eq!(count(&answers, 200) + count(&answers, 429), 40);
            count(&answers, 200)
        })
        .collect();
    assert_eq!(admitted, [20, 20]);
    redis.restart();
    for gateway in &gateways {
        // The answer that counts in the store says so: the whole limit is its quota again.
        let begun = Instant::now();
        let is_up =
            || raw::get(gateway.address("admin"), "/metrics", "").text().contains("portcullis_store_up 1\n");
        while !is_up() {
            assert!(begun.elapsed() < PATIENCE, "the store is never found again");
        }
    }
    let after: Vec<Response> = gateways.iter().map(get).collect();
    // The first to ask tells of its twenty and finds twenty left; the second tells of its own, and nothing is left.
    let statuses: Vec<u16> = after.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 429]);
    let more: Vec<Response> = gateways.iter().map(get).collect();
    assert_eq!(count(&more, 429), 2);
}

/// SIGSTOP leaves connections open and the kernel taking new ones: only time tells. And so does a partition.
#[test]
fn a_store_that_is_paused_or_cut_off_is_a_lost_one() {
    let (upstream, redis) = (Upstream::start(), Redis::start());
    let relay = Relay::to(redis.address());
    let config = |outage: &str| {
        sharing(&upstream, &at(relay.address()), &format!("rate: 30/d, shared: {{ outage: {outage} }}"))
            .start()
    };
    let (denies, allows) = (config("deny"), config("local"));
    assert_eq!((get(&denies).status, get(&allows).status), (200, 200));
    for (lose, find) in [
        (&(|| redis.pause()) as &dyn Fn(), &(|| redis.resume()) as &dyn Fn()),
        (&|| relay.cut(), &|| relay.mend()),
    ] {
        lose();
        let denied: Vec<Response> = (0..20).map(|_| get(&denies)).collect();
        assert_eq!(count(&denied, 503), 20);
        let begun = Instant::now();
        let local: Vec<Response> = (0..40).map(|_| get(&allows)).collect();
        assert!(begun.elapsed() < PATIENCE);
        assert!(count(&local, 200) <= 30 && count(&local, 503) == 0);
        find();
        // It answers again, with what was counted before and in between.
        let begun = Instant::now();
        while get(&denies).status == 503 {
            assert!(begun.elapsed() < PATIENCE, "the store is never found again");
        }
    }
    assert!(relay.most_open() <= 6, "{} connections of two gateways", relay.most_open());
}

/// Scenario: the store answers 300 ms late, which is six times what a call may take.
#[test]
fn a_slow_store_holds_no_request_up_longer_than_a_call_may_take() {
    let (upstream, redis) = (Upstream::start(), Redis::start());
    let relay = Relay::to(redis.address());
    let limit = "rate: 100000/d, shared: { outage: local }";
    let gateway = sharing(&upstream, &at(relay.address()), limit).start();
    assert_eq!(get(&gateway).status, 200);
    relay.delay(Duration::from_millis(300));
    let mut took: Vec<Duration> = (0..200)
        .map(|_| {
            let begun = Instant::now();
            assert_eq!(get(&gateway).status, 200);
            begun.elapsed()
        })
        .collect();
    took.sort_unstable();
    assert!(took[197] < Duration::from_millis(300), "{:?}", &took[190..]);
    assert!(relay.most_open() <= 3, "{} connections", relay.most_open());
}

#[test]
fn sentinels_and_clusters_count_too() {
    let upstream = Upstream::start();
    let (mut watchful, cluster) = (Watchful::start(), Cluster::start());
    let nodes =
        |nodes: &[String]| nodes.iter().map(|node| format!("\"{node}\"")).collect::<Vec<_>>().join(", ");
    let sentinel = format!(
        "sentinel: {{ master: {}, nodes: [{}], username: gate, password: sesame }}, timeout: 500ms",
        Watchful::MASTER,
        nodes(&watchful.nodes())
    );
    let clustered = format!("cluster: [{}], timeout: 500ms", nodes(&cluster.addresses()[..1]));
    for redis in [&sentinel, &clustered] {
        let config = sharing(&upstream, redis, "rate: 3/d, shared: {}");
        let gateways = [config.start(), config.start()];
        let statuses: Vec<u16> =
            (0..2).flat_map(|_| gateways.iter().map(|gateway| get(gateway).status)).collect();
        assert_eq!(statuses, [200, 200, 200, 429], "{redis}");
    }
    let afresh = format!("{sentinel}, prefix: \"afresh:\"");
    let gateway = sharing(&upstream, &afresh, "rate: 100000/d, shared: {}").start();
    assert_eq!(get(&gateway).status, 200);
    watchful.master.kill();
    until(&gateway, 200);
}

/// In a cluster the counters of one request stand together even where its limits count by different keys.
#[test]
fn a_cluster_counts_several_keys_of_one_request_in_one_step() {
    let (upstream, cluster) = (Upstream::start(), Cluster::start());
    let gateway = plain(&upstream.url())
        .section("store", format!("{{ redis: {{ cluster: [\"{}\"], timeout: 500ms }} }}", cluster.addresses()[0]))
        .section(
            "limits",
            "[{ name: each, key: [address], rate: 2/d, shared: {} }, { name: all, key: [global], rate: 3/d, shared: {} }]",
        )
        .section("client_address", "{ trusted_proxies: [127.0.0.1] }")
        .policy("limit", "{ mode: enforce, apply: [each, all] }")
        .start();
    let from = |host: u8| {
        let answer =
            raw::get(gateway.address("public"), "/", &format!("X-Forwarded-For: 192.0.2.{host}\r\n"));
        (answer.status, answer.header("ratelimit").unwrap().matches("r=0").count())
    };
    assert_eq!(
        [from(1), from(1), from(1), from(2), from(3)],
        [(200, 0), (200, 1), (429, 1), (200, 1), (429, 1)]
    );
}

/// Explaining reads the counters of the fleet and leaves them as they are.
#[test]
fn explaining_takes_nothing_from_the_fleet() {
    let (upstream, redis) = (Upstream::start(), Redis::start());
    let gateway = sharing(&upstream, &at(redis.address()), "rate: 2/d, shared: {}").start();
    assert_eq!(get(&gateway).status, 200);
    let explain = || {
        let output = std::process::Command::new(crate::common::BINARY)
            .args(["explain", "gateway.yaml", "/", "--format", "json"])
            .current_dir(gateway.folder())
            .output()
            .unwrap();
        let story: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let stages = story["stages"].as_array().unwrap().clone();
        stages.into_iter().find(|stage| stage["stage"] == "limit").unwrap()
    };
    for _ in 0..3 {
        let story = explain();
        assert_eq!(
            (&story["verdict"], &story["seen"]["fleet"]["remaining"]),
            (&json!("pass"), &json!(0)),
            "{story}"
        );
    }
    assert_eq!((get(&gateway).status, get(&gateway).status), (200, 429));
}

/// What is counted here and what is counted there is taken together or not at all.
#[test]
fn a_refusal_of_the_store_gives_back_what_was_taken_here() {
    let (upstream, redis) = (Upstream::start(), Redis::start());
    let gateway = plain(&upstream.url())
        .section("store", format!("{{ redis: {{ {} }} }}", at(redis.address())))
        .section(
            "limits",
            "[{ name: here, key: [global], rate: 10/d }, { name: there, key: [route], rate: 1/d, shared: {} }]",
        )
        .policy("limit", "{ mode: enforce, apply: [here, there] }")
        .start();
    assert_eq!(get(&gateway).status, 200);
    for _ in 0..5 {
        let answer = get(&gateway);
        assert_eq!(answer.status, 429);
        assert_eq!(answer.json()["violated-policies"], json!(["there"]));
        let state = answer.header("ratelimit").unwrap();
        assert!(state.contains("\"here\";r=9"), "{state}");
    }
}

/// A gateway that takes tokens ahead asks seldom, and never allows more than the limit and a batch for each gateway.
#[test]
fn a_lease_is_used_up_before_the_store_is_asked_again() {
    let (upstream, redis) = (Upstream::start(), Redis::start());
    let config = sharing(&upstream, &at(redis.address()), "rate: 100/d, shared: { mode: leased, batch: 20 }");
    let gateways = [config.start(), config.start()];
    let admitted: usize = gateways
        .iter()
        .map(|gateway| (0..150).map(|_| get(gateway)).filter(|answer| answer.status == 200).count())
        .sum();
    assert!((60..=100).contains(&admitted), "{admitted}");
    let calls = |gateway: &Gateway| {
        let metrics = raw::get(gateway.address("admin"), "/metrics", "").text();
        let line = metrics
            .lines()
            .find(|line| line.starts_with("portcullis_store_calls_total{outcome=\"answered\"}"));
        line.unwrap().rsplit_once(' ').unwrap().1.parse::<u32>().unwrap()
    };
    let asked = calls(&gateways[0]);
    assert!(asked <= 150 - 60, "{asked} calls for 150 requests, most of which were refused");
}

/// The example, as it is published.
#[test]
fn the_example_has_a_limit_of_each_kind() {
    let (upstream, redis) = (Upstream::start(), Redis::start());
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/limits.yaml");
    let gateway = crate::common::setup()
        .variable("LISTEN", "127.0.0.1:0")
        .variable("ADMIN", "127.0.0.1:0")
        .variable("UPSTREAM", upstream.url())
        .variable("REDIS_URL", redis.url())
        .start(&std::fs::read_to_string(example).unwrap());
    let statuses = |path: &str| -> Vec<u16> {
        (0..7).map(|_| raw::get(gateway.address("public"), path, "").status).collect()
    };
    assert_eq!(statuses("/fleet"), [200, 200, 200, 200, 429, 429, 429]);
    assert_eq!(statuses("/bucket"), [200; 7]);
    assert_eq!(statuses("/watched"), [200; 7]);
    // The seven may come on both sides of the end of a minute.
    for path in ["/minute", "/any-minute"] {
        let passed = statuses(path).iter().filter(|status| **status == 200).count();
        assert!((5..=7).contains(&passed), "{path}: {passed}");
    }
    let begun = Instant::now();
    let paced = (0..3).map(|_| raw::get(gateway.address("public"), "/paced", "").status);
    assert_eq!(paced.collect::<Vec<_>>(), [200; 3]);
    assert!(begun.elapsed() >= Duration::from_millis(950), "two of them waited for half a second each");
    let records = gateway.stop_and_audit();
    let watched: Vec<_> = records.iter().filter(|record| record["route"] == "watched").collect();
    assert_eq!((&watched[0]["decision"], &watched[1]["decision"]), (&json!("allow"), &json!("shadow_deny")));
}
