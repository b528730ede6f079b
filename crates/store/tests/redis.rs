//! Links to real servers: what they carry, how they find out that a store is lost, and that it is back.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portcullis_core::{ConfigFolder, KeyPath, Problems};
use portcullis_store::redis::{Link, Outcome, Redis, Script, Told, Unavailable, cmd};
use portcullis_store::{RawStore, Store};
use portcullis_testkit::PATIENCE;
use portcullis_testkit::ca::Authority;
use portcullis_testkit::redis::{Cluster, Redis as Server, Watchful};
use portcullis_testkit::relay::Relay;
use serde_json::{Value, json};

fn store(redis: Value) -> Arc<Redis> {
    let raw: RawStore = serde_json::from_value(json!({ "redis": redis })).unwrap();
    let mut problems = Problems::default();
    let store = Store::compile(&raw, &ConfigFolder::new("."), &KeyPath::root(), &mut problems, None);
    assert!(problems.is_empty(), "{problems:?}");
    store.redis.unwrap()
}

type Heard = Arc<Mutex<Vec<Told>>>;

fn link(redis: &Arc<Redis>) -> (Link, Heard) {
    let heard = Heard::default();
    let ear = Arc::clone(&heard);
    (Link::new(redis, move |told| ear.lock().unwrap().push(told)), heard)
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

fn script() -> Script {
    Script::new("redis.call('INCRBY', KEYS[1], ARGV[1]) return { 1, tonumber(redis.call('GET', KEYS[1])) }")
}

async fn add(link: &Link, script: &Script, more: i64) -> Result<Vec<i64>, Unavailable> {
    link.run(script, &["portcullis:{a}:count"], &[more]).await
}

/// Asks until there is an answer again; how long that took.
async fn until_back(link: &Link) -> Duration {
    let begun = Instant::now();
    while link.call::<String>(&cmd("PING")).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "the store never comes back");
        tokio::task::yield_now().await;
    }
    begun.elapsed()
}

#[test]
fn scripts_run_and_are_loaded_anew_where_they_were_forgotten() {
    let server = Server::start();
    run(async {
        let redis = store(json!({ "url": server.url() }));
        let (link, heard) = link(&redis);
        let script = script();
        assert_eq!(add(&link, &script, 2).await, Ok(vec![1, 2]));
        assert_eq!(add(&link, &script, 3).await, Ok(vec![1, 5]));
        let _ = server.cli(&["SCRIPT", "FLUSH"]);
        assert_eq!(add(&link, &script, 4).await, Ok(vec![1, 9]));
        assert_eq!(redis.calls(Outcome::Answered), 3);
        assert_eq!(
            server.cli(&["CLIENT", "LIST"]).lines().filter(|line| !line.contains("redis-cli")).count(),
            2
        );
        assert!(heard.lock().unwrap().is_empty());
    });
}

#[test]
fn a_database_and_a_prefix_keep_gateways_apart() {
    let server = Server::start();
    run(async {
        let redis = store(json!({ "url": server.url(), "database": 3, "prefix": "blue:" }));
        assert_eq!(redis.prefix(), "blue:");
        assert_eq!(add(&link(&redis).0, &script(), 1).await, Ok(vec![1, 1]));
        assert_eq!(server.cli(&["-n", "3", "DBSIZE"]).trim(), "1");
        assert_eq!(server.cli(&["DBSIZE"]).trim(), "0");
    });
}

/// What a script gets wrong is its own fault and says nothing of the store.
#[test]
fn an_error_of_what_was_asked_loses_nothing() {
    let server = Server::start();
    run(async {
        let redis = store(json!({ "url": server.url() }));
        let (link, _) = link(&redis);
        let _ = server.cli(&["LPUSH", "list", "x"]);
        for _ in 0..10 {
            let mut wrong = cmd("INCR");
            wrong.arg("list");
            assert!(matches!(link.call::<i64>(&wrong).await, Err(Unavailable::Failed(_))));
        }
        assert!(redis.is_up());
    });
}

#[test]
fn a_killed_store_is_lost_at_once_and_found_again() {
    let mut server = Server::start();
    run(async {
        let redis = store(json!({ "url": server.url(), "timeout": "2s" }));
        let (link, heard) = link(&redis);
        let script = script();
        add(&link, &script, 1).await.unwrap();
        server.kill();
        let begun = Instant::now();
        while redis.is_up() {
            assert!(add(&link, &script, 1).await.is_err());
        }
        // Long before the time limit of a call: that nobody listens is known when it is known.
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        assert_eq!(add(&link, &script, 1).await, Err(Unavailable::Lost));
        assert!(matches!(heard.lock().unwrap()[..], [Told::Lost { .. }]));
        server.restart();
        assert!(until_back(&link).await < Duration::from_secs(2));
        assert_eq!(add(&link, &script, 1).await, Ok(vec![1, 1]));
        assert_eq!(heard.lock().unwrap().len(), 2);
        assert_eq!((redis.losses(), heard.lock().unwrap()[1].clone()), (1, Told::Back));
    });
}

/// The first calls wait for their time limit; the many that follow do not.
#[test]
fn a_paused_store_holds_up_no_more_than_a_few_calls() {
    let server = Server::start();
    run(async {
        let redis = store(json!({ "url": server.url(), "timeout": "50ms" }));
        let (link, heard) = link(&redis);
        let script = script();
        add(&link, &script, 1).await.unwrap();
        server.pause();
        for _ in 0..1_000 {
            assert!(add(&link, &script, 1).await.is_err());
        }
        assert!(!redis.is_up());
        assert_eq!(redis.calls(Outcome::TimedOut), 3);
        assert_eq!(redis.calls(Outcome::Spared), 997);
        let Told::Lost { cause } = heard.lock().unwrap()[0].clone() else { panic!("not lost") };
        assert_eq!(cause, "no answer within 50 ms");
        server.resume();
        until_back(&link).await;
        assert!(redis.is_up());
    });
}

/// As behind a partition: connections stay open and nothing comes. No more of them are opened than one after the other.
#[test]
fn connections_to_a_store_behind_a_cut_do_not_pile_up() {
    let server = Server::start();
    let relay = Relay::to(server.address());
    run(async {
        let redis = store(json!({ "url": format!("redis://{}", relay.address()), "timeout": "20ms" }));
        let (link, _) = link(&redis);
        let script = script();
        add(&link, &script, 1).await.unwrap();
        relay.cut();
        let many = (0..500).map(|_| add(&link, &script, 1));
        for call in many {
            assert!(call.await.is_err());
        }
        assert!(!redis.is_up());
        relay.mend();
        until_back(&link).await;
        assert!(relay.most_open() <= 3, "{} connections", relay.most_open());
    });
}

#[test]
fn a_slow_store_is_a_lost_one() {
    let server = Server::start();
    let relay = Relay::to(server.address());
    run(async {
        let redis = store(json!({ "url": format!("redis://{}", relay.address()), "timeout": "30ms" }));
        let (link, _) = link(&redis);
        let script = script();
        add(&link, &script, 1).await.unwrap();
        relay.delay(Duration::from_millis(300));
        for _ in 0..200 {
            assert!(add(&link, &script, 1).await.is_err());
        }
        assert_eq!((redis.is_up(), redis.calls(Outcome::TimedOut)), (false, 3));
        relay.delay(Duration::ZERO);
        until_back(&link).await;
    });
}

#[test]
fn names_and_passwords_are_shown_to_the_store_and_to_nobody_else() {
    let server = Server::start_with(&["--requirepass", "sesame-1"]);
    let acl = [
        "-a",
        "sesame-1",
        "--no-auth-warning",
        "ACL",
        "SETUSER",
        "gate",
        "on",
        ">sesame-2",
        "~portcullis:*",
        "+@all",
    ];
    assert_eq!(server.cli(&acl).trim(), "OK");
    run(async {
        let in_url = format!("redis://gate:sesame-2@{}", server.address());
        for settings in [
            json!({ "url": in_url }),
            json!({ "url": server.url(), "username": "gate", "password": "sesame-2" }),
            json!({ "url": server.url(), "password": "sesame-1" }),
        ] {
            let redis = store(settings);
            let (link, _) = link(&redis);
            assert!(add(&link, &script(), 1).await.is_ok());
            assert!(!format!("{redis:?} {link:?}").contains("sesame"));
        }
        let wrong = store(json!({ "url": server.url(), "username": "gate", "password": "sesame-3" }));
        let (link, heard) = link(&wrong);
        assert!(add(&link, &script(), 1).await.is_err());
        let Told::Lost { cause } = heard.lock().unwrap()[0].clone() else { panic!("not lost") };
        assert!(!cause.contains("sesame"), "{cause}");
    });
}

#[test]
fn servers_are_verified_and_verify_the_gateway() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let identity = authority.server(&["localhost", "127.0.0.1"]);
    let path = |path: &std::path::Path| path.display().to_string();
    let (ca, certificate, key) =
        (path(&authority.certificate()), path(&identity.certificate), path(&identity.key));
    let tls = ["--tls-ca-cert-file", &ca, "--tls-cert-file", &certificate, "--tls-key-file", &key];
    let server = Server::start_tls(&tls);
    let client = authority.client("gateway.example");
    let (own, own_key) = (path(&client.certificate), path(&client.key));
    run(async {
        let url = format!("rediss://{}", server.address());
        let known = json!({ "ca": ca, "certificate": own, "key": own_key });
        let redis = store(json!({ "url": url, "tls": known, "timeout": "2s" }));
        assert_eq!(add(&link(&redis).0, &script(), 1).await, Ok(vec![1, 1]));
        for tls in [
            json!({ "ca": ca }),
            json!({ "ca": path(&stranger.certificate()), "certificate": own, "key": own_key }),
        ] {
            let redis = store(json!({ "url": url, "tls": tls, "timeout": "2s" }));
            assert!(add(&link(&redis).0, &script(), 1).await.is_err());
        }
    });
}

#[test]
fn a_failover_of_the_master_is_followed() {
    let mut watchful = Watchful::start();
    run(async {
        let stranger = json!({ "master": Watchful::MASTER, "nodes": watchful.nodes(), "password": "open" });
        let stranger = store(json!({ "sentinel": stranger, "timeout": "2s" }));
        assert!(add(&link(&stranger).0, &script(), 1).await.is_err());
        let sentinel = json!({
            "master": Watchful::MASTER, "nodes": watchful.nodes(), "username": "gate", "password": "sesame",
        });
        let redis = store(json!({ "sentinel": sentinel, "timeout": "100ms" }));
        let (link, _) = link(&redis);
        let script = script();
        assert_eq!(add(&link, &script, 1).await, Ok(vec![1, 1]));
        watchful.master.kill();
        let begun = Instant::now();
        while add(&link, &script, 1).await.is_err() {
            assert!(begun.elapsed() < PATIENCE, "no failover");
            tokio::task::yield_now().await;
        }
        assert!(watchful.replica.cli(&["INFO", "replication"]).contains("role:master"));
    });
}

#[test]
fn a_cluster_takes_keys_of_every_slot() {
    let cluster = Cluster::start();
    run(async {
        let redis = store(json!({ "cluster": [cluster.addresses()[0]], "timeout": "500ms" }));
        let (link, _) = link(&redis);
        let script = script();
        for key in 0..30 {
            let answer: Vec<i64> = link.run(&script, &[format!("portcullis:{{{key}}}")], &[7]).await.unwrap();
            assert_eq!(answer, [1, 7]);
        }
        let held = |node: &Server| node.cli(&["DBSIZE"]).trim().parse::<u32>().unwrap();
        let with_keys = cluster.nodes().iter().filter(|node| held(node) > 0).count();
        assert!(with_keys >= 3, "all three masters hold some, and replicas soon: {with_keys}");
    });
}

#[test]
fn settings_that_say_nothing_or_two_things_are_refused() {
    for (redis, place) in [
        (json!({}), "redis"),
        (json!({ "url": "redis://h", "cluster": ["h:1"] }), "redis"),
        (json!({ "url": "http://h" }), "redis.url"),
        (json!({ "url": "redis://h", "timeout": "11s" }), "redis.timeout"),
        (json!({ "url": "redis://h", "prefix": "a{b" }), "redis.prefix"),
        (json!({ "url": "redis://h", "tls": {} }), "redis.tls"),
        (json!({ "url": "rediss://h", "tls": { "certificate": "c" } }), "redis.tls"),
        (json!({ "url": "rediss://h", "tls": { "ca": "nowhere.pem" } }), "redis.tls.ca"),
        (json!({ "cluster": [] }), "redis.cluster"),
        (json!({ "cluster": ["h"] }), "redis.cluster[0]"),
        (json!({ "cluster": ["h:1"], "database": 1 }), "redis.database"),
        (json!({ "sentinel": { "master": "", "nodes": ["h:1"] } }), "redis.sentinel.master"),
    ] {
        let raw: RawStore = serde_json::from_value(json!({ "redis": redis })).unwrap();
        let mut problems = Problems::default();
        let _ = Store::compile(&raw, &ConfigFolder::new("."), &KeyPath::root(), &mut problems, None);
        let places: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(places, [place], "{raw:?}");
    }
}
