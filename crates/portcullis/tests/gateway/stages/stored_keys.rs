//! API keys in the database, over SQLite and PostgreSQL: made and changed by the command line while the gateway runs.

use std::path::Path;
use std::time::Instant;

use portcullis_testkit::PATIENCE;
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::{Gateway, Setup};
use portcullis_testkit::raw;
use serde_json::{Value, json};

use super::refusal;
use crate::common::{Config, plain, setup};
use crate::databases::on_both;
use crate::lifecycle::{Printed, run};

const METHOD: &str = "{ name: partners, stored: { pepper: \"0123456789abcdef0123456789abcdef\" } }";

fn config(upstream: &Upstream, database: &str) -> Config {
    plain(&upstream.url())
        .section("store", format!("{{ database: \"{database}\" }}"))
        .section("authentication", format!("{{ api_keys: [{METHOD}] }}"))
        .policy("authenticate", "{ mode: enforce, methods: [partners] }")
        .policy("forward", "{ identity: { X-Caller: subject, X-Scopes: scopes, X-Owner: \"claim:owner\" } }")
        .routes(&[
            "{ name: orders, path: /orders }",
            "{ name: all, path: \"/{*rest}\" }",
            "{ name: write, path: /write, policy: { authenticate: { methods: [partners], scopes: { all: [write] } } } }",
        ])
}

fn keys_in(folder: &Path, arguments: &[&str]) -> Printed {
    run(folder, &[&["keys"], arguments, &["--config", "gateway.yaml"]].concat())
}

fn keys(gateway: &Gateway, arguments: &[&str]) -> Printed {
    let printed = keys_in(gateway.folder(), arguments);
    assert_eq!(printed.code, 0, "{arguments:?}: {}", printed.stderr);
    printed
}

fn made(gateway: &Gateway, arguments: &[&str]) -> String {
    keys(gateway, arguments).stdout.trim().to_owned()
}

fn started(upstream: &Upstream, database: &str) -> Gateway {
    let config = config(upstream, database);
    let setup: Setup = setup().file("gateway.yaml", config.text());
    config.start_in(setup)
}

fn ask(gateway: &Gateway, path: &str, key: &str) -> (u16, String) {
    let answer = raw::get(gateway.address("public"), path, &format!("X-API-Key: {key}\r\n"));
    if answer.status == 200 { (200, String::new()) } else { refusal(&answer) }
}

/// Asks until the answer has this status: other processes see a change within a moment.
fn becomes(gateway: &Gateway, path: &str, key: &str, status: u16) {
    let begun = Instant::now();
    while ask(gateway, path, key).0 != status {
        assert!(begun.elapsed() < PATIENCE, "it never becomes {status}");
    }
}

#[test]
fn a_key_is_made_used_rotated_withdrawn_and_forgotten() {
    on_both(|database| {
        let upstream = Upstream::start();
        let gateway = started(&upstream, database);
        let create = ["create", "acme", "--owner", "Acme Ltd", "--scope", "read", "--role", "partner"];
        let first = made(&gateway, &create);
        assert!(first.starts_with("pcl_acme_"), "{first}");
        assert_eq!(ask(&gateway, "/orders", &first), (200, String::new()));
        let seen = upstream.only_request();
        assert_eq!(seen.header("x-caller").as_deref(), Some("acme"));
        assert_eq!(seen.header("x-owner").as_deref(), Some("Acme Ltd"));
        assert_eq!(seen.header("x-scopes").as_deref(), Some("read"));
        assert_eq!(ask(&gateway, "/write", &first), (403, "insufficient_scope".to_owned()));

        let second = made(&gateway, &["rotate", "acme"]);
        becomes(&gateway, "/orders", &second, 200);
        assert_eq!(ask(&gateway, "/orders", &first).0, 200, "both hold for a while");
        let third = made(&gateway, &["rotate", "acme", "--overlap", "0s"]);
        becomes(&gateway, "/orders", &third, 200);
        assert_eq!(ask(&gateway, "/orders", &second), (401, "invalid_key".to_owned()));

        keys(&gateway, &["disable", "acme"]);
        becomes(&gateway, "/orders", &third, 401);
        keys(&gateway, &["enable", "acme"]);
        becomes(&gateway, "/orders", &third, 200);
        keys(&gateway, &["delete", "acme"]);
        becomes(&gateway, "/orders", &third, 401);
        let again = keys_in(gateway.folder(), &["delete", "acme"]);
        assert_eq!(again.code, 1);
        assert!(again.stderr.contains("there is no key `acme`"), "{}", again.stderr);
    });
}

#[test]
fn a_key_may_be_for_a_place_and_a_time() {
    on_both(|database| {
        let upstream = Upstream::start();
        let gateway = started(&upstream, database);
        let here = made(&gateway, &["create", "here", "--address", "127.0.0.0/8", "--address", "::1"]);
        let there = made(&gateway, &["create", "there", "--address", "192.0.2.1"]);
        let route = made(&gateway, &["create", "route", "--route", "orders"]);
        let over = made(&gateway, &["create", "over", "--expires", "2001-01-01T00:00:00Z"]);
        let soon = made(&gateway, &["create", "soon", "--expires", "90d"]);
        let forbidden = (403, "forbidden".to_owned());
        assert_eq!(ask(&gateway, "/orders", &here).0, 200);
        assert_eq!(ask(&gateway, "/orders", &there), forbidden);
        assert_eq!(ask(&gateway, "/orders", &route).0, 200);
        assert_eq!(ask(&gateway, "/other", &route), forbidden);
        assert_eq!(ask(&gateway, "/orders", &over), (401, "invalid_key".to_owned()));
        assert_eq!(ask(&gateway, "/orders", &soon).0, 200);
        let records = gateway.stop_and_audit();
        let requests = records.iter().filter(|record| record["event.name"] == "request");
        let causes: Vec<_> = requests.map(|record| record["credential_fault"].as_str()).collect();
        let expected =
            [None, Some("key_not_for_address"), None, Some("key_not_for_route"), Some("expired"), None];
        assert_eq!(causes, expected);
        assert!(!records.iter().any(|record| record.to_string().contains(&here)));
    });
}

/// What is listed never holds a secret, and nothing that is stored is one.
#[test]
fn keys_are_listed_and_shown_without_their_secrets() {
    let upstream = Upstream::start();
    let gateway = started(&upstream, "sqlite://state.db");
    let key = made(&gateway, &["create", "acme", "--owner", "Acme", "--scope", "read", "--route", "orders"]);
    let other = keys(&gateway, &["create", "beta", "--format", "json"]).stdout;
    let other: Value = serde_json::from_str(&other).unwrap();
    assert_eq!(other["id"], "beta");
    assert_eq!(ask(&gateway, "/orders", &key).0, 200);
    let shown = keys(&gateway, &["show", "acme", "--format", "json"]).stdout;
    let record: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&record["owner"], &record["scopes"], &record["routes"], &record["enabled"]),
        (&json!("Acme"), &json!(["read"]), &json!(["orders"]), &json!(true))
    );
    let listed = keys(&gateway, &["list"]).stdout;
    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert!(listed.contains("acme") && listed.contains("beta") && listed.contains("enabled"), "{listed}");
    let lines = keys(&gateway, &["list", "--format", "json"]).stdout;
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    let secret = &key["pcl_acme_".len()..];
    for text in [&shown, &listed, &lines] {
        assert!(!text.contains(secret), "{text}");
    }
    // When it was used is written down within a moment.
    let begun = Instant::now();
    while !keys(&gateway, &["show", "acme"]).stdout.contains("last_used") {
        assert!(begun.elapsed() < PATIENCE);
    }
    let files = std::fs::read_dir(gateway.folder()).unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|file| file.is_file()) {
        let bytes = std::fs::read(&file).unwrap();
        let holds = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!holds, "{}", file.display());
    }
}

#[test]
fn keys_are_imported_with_their_hashes_or_as_they_are() {
    on_both(|database| {
        let upstream = Upstream::start();
        let gateway = started(&upstream, database);
        let new = |id: &str| portcullis_authn::api_key::generate(id).unwrap();
        let (one, two, off) = (new("one"), new("two"), new("off"));
        let list = json!([
            { "id": "one", "hash": one.hash, "owner": "One", "scopes": ["write"] },
            { "id": "two", "key": two.key.expose() },
            { "id": "off", "hash": off.hash, "enabled": false },
        ]);
        gateway.write("keys.json", list.to_string());
        assert!(keys(&gateway, &["import", "keys.json"]).stderr.contains("3 keys imported"));
        assert_eq!(ask(&gateway, "/write", one.key.expose()).0, 200);
        assert_eq!(ask(&gateway, "/orders", two.key.expose()).0, 200);
        assert_eq!(ask(&gateway, "/orders", off.key.expose()).0, 401);
        let twice = keys_in(gateway.folder(), &["import", "keys.json"]);
        assert_eq!(twice.code, 1);
        assert!(twice.stderr.contains("already a key `one`"), "{}", twice.stderr);

        let three = new("three");
        let longer = json!([{ "id": "three", "hash": three.hash }, { "id": "one", "hash": one.hash }]);
        gateway.write("longer.json", longer.to_string());
        assert_eq!(keys_in(gateway.folder(), &["import", "longer.json"]).code, 1);
        assert_eq!(ask(&gateway, "/orders", three.key.expose()).0, 401, "all of them or none");
        let skipped = keys(&gateway, &["import", "longer.json", "--skip-existing"]);
        assert!(skipped.stderr.contains("1 keys imported, 1 were there"), "{}", skipped.stderr);
        becomes(&gateway, "/orders", three.key.expose(), 200);
        assert_eq!(ask(&gateway, "/write", one.key.expose()).0, 200, "it is as it was");
        let mistyped = two.key.expose().replace("pcl_two_", "pcl_two_x");
        gateway.write("bad.json", json!([{ "id": "two", "key": mistyped }]).to_string());
        let bad = keys_in(gateway.folder(), &["import", "bad.json"]);
        assert_eq!(bad.code, 1);
        assert!(bad.stderr.contains("checksum") && !bad.stderr.contains(&mistyped), "{}", bad.stderr);
    });
}

/// What is mistyped or made up is refused without a look at the database.
#[test]
fn a_wrong_checksum_never_reaches_the_database() {
    let upstream = Upstream::start();
    let gateway = started(&upstream, "sqlite://state.db");
    let key = made(&gateway, &["create", "acme"]);
    // Without its table every question would be answered by 503.
    let table = std::process::Command::new("python3")
        .args([
            "-c",
            "import sqlite3; c = sqlite3.connect('state.db'); c.execute('DROP TABLE api_keys'); c.commit()",
        ])
        .current_dir(gateway.folder())
        .status()
        .unwrap();
    assert!(table.success());
    let last = key.chars().last().unwrap();
    let wrong = format!("{}{}", &key[..key.len() - 1], if last == 'A' { 'B' } else { 'A' });
    assert_eq!(ask(&gateway, "/orders", &wrong), (401, "invalid_key".to_owned()));
    assert_eq!(ask(&gateway, "/orders", &key[..key.len() - 6]), (401, "invalid_key".to_owned()));
    assert_eq!(ask(&gateway, "/orders", &key), (503, "keys_unavailable".to_owned()), "never open");
    upstream.assert_no_contact();
}

#[test]
fn explain_knows_stored_keys() {
    let upstream = Upstream::start();
    let gateway = started(&upstream, "sqlite://state.db");
    let key = made(&gateway, &["create", "acme"]);
    for (key, told) in [(key.as_str(), "\"allow\""), (&generate("other"), "unknown_key")] {
        let header = format!("X-API-Key: {key}");
        let arguments = ["explain", "gateway.yaml", "/orders", "--format", "json", "-H", &header];
        let text = run(gateway.folder(), &arguments).stdout;
        assert!(text.contains(told) && !text.contains(key), "{text}");
    }
}

fn generate(id: &str) -> String {
    portcullis_authn::api_key::generate(id).unwrap().key.expose().to_owned()
}

#[test]
fn what_stored_keys_need_is_said() {
    let upstream = Upstream::start();
    for (store, method, told) in [
        ("{}", METHOD, "there is no database to keep them in"),
        (
            "{ database: \"sqlite://a.db\" }",
            "{ name: partners, stored: { pepper: short } }",
            "less than 32 bytes",
        ),
    ] {
        let config = config(&upstream, "sqlite://a.db")
            .section("store", store)
            .section("authentication", format!("{{ api_keys: [{method}] }}"));
        let refusal = setup().refuse(&config.text());
        assert!(refusal.stderr.contains(told), "{told}: {}", refusal.stderr);
    }
    let folder = setup().file("gateway.yaml", plain(&upstream.url()).text());
    let none = keys_in(folder.folder(), &["list"]);
    assert_eq!(none.code, 1);
    assert!(none.stderr.contains("no method keeps keys in the database"), "{}", none.stderr);
    let wrong = keys_in(folder.folder(), &["create", "a", "--expires", "tomorrow"]);
    assert!(wrong.stderr.contains("neither a moment"), "{}", wrong.stderr);
    let usage = keys_in(folder.folder(), &["create"]);
    assert_eq!(usage.code, 2);
}
