//! Quotas over SQLite and PostgreSQL: what clients see, what operators do, and what is left when a gateway is killed.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use portcullis_authn::api_key::{self, GeneratedKey};
use portcullis_testkit::PATIENCE;
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::postgres;
use portcullis_testkit::raw::{self, Connection, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::refusal;
use crate::common::{BINARY, Config, plain, setup};
use crate::operators::{OPERATORS, ops, viewer};

/// Runs a test over SQLite and, if there is a server, over PostgreSQL.
fn on_both(test: impl Fn(&str)) {
    let folder = TempDir::new().unwrap();
    test(&format!("sqlite://{}/state.db", folder.path().display()));
    if let Some(url) = postgres::database() {
        test(&url);
    }
}

fn config(upstream: &Upstream, database: &str, quota: &str) -> Config {
    plain(&upstream.url())
        .section("store", format!("{{ database: \"{database}\" }}"))
        .section("quotas", format!("[{{ name: yearly, period: year, {quota} }}]"))
        .policy("quota", "{ mode: enforce, apply: [yearly] }")
}

/// Starts a gateway whose folder has its configuration, for the command line.
fn started(config: &Config) -> Gateway {
    config.start_in(setup().file("gateway.yaml", config.text()))
}

fn get(gateway: &Gateway) -> Response {
    raw::get(gateway.address("public"), "/", "")
}

fn command(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(BINARY)
        .arg("quota")
        .args(arguments)
        .args(["--config", "gateway.yaml", "--format", "json"])
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn quota(gateway: &Gateway, arguments: &[&str]) -> Value {
    let (code, stdout, stderr) = command(gateway.folder(), arguments);
    assert_eq!(code, 0, "{arguments:?}: {stderr}");
    serde_json::from_str(&stdout).unwrap()
}

fn used(gateway: &Gateway) -> u64 {
    quota(gateway, &["show", "yearly", "all"])["used"].as_u64().unwrap()
}

#[test]
fn a_quota_that_is_used_up_is_refused_until_its_period_ends() {
    on_both(|database| {
        let upstream = Upstream::start();
        let gateway = started(&config(&upstream, database, "key: [address], limit: 2"));
        let (first, second, third) = (get(&gateway), get(&gateway), get(&gateway));
        let left = |answer: &Response| answer.header("ratelimit").unwrap();
        assert!(left(&first).starts_with("\"yearly\";r=1;t="), "{}", left(&first));
        let policy = first.header("ratelimit-policy").unwrap();
        let days = |days: u64| format!("\"yearly\";q=2;w={}", days * 24 * 3600);
        assert!(policy == days(365) || policy == days(366), "{policy}");
        assert_eq!((first.status, second.status), (200, 200));
        assert_eq!(refusal(&third), (429, "quota_exceeded".to_owned()));
        assert!(left(&third).starts_with("\"yearly\";r=0;t="), "{}", left(&third));
        assert!(third.text().contains("#quota-exceeded"), "{}", third.text());
        assert_eq!(third.json()["violated-policies"], json!(["yearly"]));
        let wait: u64 = third.header("retry-after").unwrap().parse().unwrap();
        let end = quota(&gateway, &["show", "yearly"])["end"].as_str().unwrap().to_owned();
        let end = humantime::parse_rfc3339(&end).unwrap();
        let rest = end.duration_since(std::time::SystemTime::now()).unwrap().as_secs();
        assert!(wait.abs_diff(rest) <= 60, "{wait} {rest}");
        assert!(end > std::time::SystemTime::now());
        assert_eq!(upstream.requests().len(), 2);
        let records = gateway.stop_and_audit();
        let refused = &records[2];
        assert_eq!((&refused["stage"], &refused["reason_code"]), (&json!("quota"), &json!("quota_exceeded")));
        assert_eq!(refused["limits"][0]["exceeded"], true);
    });
}

#[test]
fn the_command_line_shows_resets_refunds_and_consumes() {
    on_both(|database| {
        let upstream = Upstream::start();
        let gateway = started(&config(&upstream, database, "key: [global], limit: 3"));
        let (code, _, stderr) = command(gateway.folder(), &["show", "yearly", "all"]);
        assert_eq!(code, 1);
        assert!(stderr.contains("nothing of `yearly` is used by `all`"), "{stderr}");
        let statuses = || [0; 4].map(|_| get(&gateway).status);
        assert_eq!(statuses(), [200, 200, 200, 429]);
        let shown = quota(&gateway, &["show"]);
        let expected = ("yearly", "all", 3, 3);
        let fields = ["quota", "holder"].map(|name| shown[name].as_str().unwrap());
        let numbers = ["used", "allowance"].map(|name| shown[name].as_u64().unwrap());
        assert_eq!((fields[0], fields[1], numbers[0], numbers[1]), expected);
        assert_eq!(quota(&gateway, &["refund", "yearly", "all", "--amount", "2"])["used"], 1);
        assert_eq!(statuses(), [200, 200, 429, 429]);
        assert_eq!(quota(&gateway, &["reset", "yearly", "all"])["used"], 0);
        assert_eq!(quota(&gateway, &["consume", "yearly", "all", "--amount", "1"])["used"], 1);
        assert_eq!(statuses(), [200, 200, 429, 429]);
        let (code, _, stderr) = command(gateway.folder(), &["reset", "monthly", "all"]);
        assert!(code == 1 && stderr.contains("there is no quota `monthly`"), "{stderr}");
    });
}

/// Of two gateways one is killed while both are busy. What passed was counted, once each, and whoever is started again goes on where
/// they were; counted and not forwarded is at most what was under way.
#[test]
fn a_killed_gateway_loses_no_request_and_counts_none_twice() {
    const LIMIT: usize = 400;
    const CLIENTS: usize = 8;
    on_both(|database| {
        let upstream = Upstream::start();
        let config = config(&upstream, database, &format!("key: [global], limit: {LIMIT}"));
        let (mut first, second) = (started(&config), started(&config));
        let addresses = [first.address("public"), second.address("public")];
        let (begun, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (begun, answered) = (&begun, &answered);
                scope.spawn(move || {
                    let mut connection = Connection::open(addresses[client % 2]);
                    loop {
                        begun.fetch_add(1, Ordering::SeqCst);
                        match connection.try_exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n") {
                            Ok(answer) if answer.status == 200 => answered.fetch_add(1, Ordering::SeqCst),
                            Ok(answer) => {
                                assert_eq!(refusal(&answer), (429, "quota_exceeded".to_owned()));
                                return;
                            }
                            Err(_) => return,
                        };
                    }
                });
            }
            let _ = upstream.wait_for_requests(LIMIT / 4);
            first.kill();
        });
        // Those of the second have used up the rest.
        let forwarded = upstream.requests().len();
        assert_eq!(used(&second), LIMIT as u64);
        assert!(forwarded <= LIMIT && answered.load(Ordering::SeqCst) <= forwarded);
        assert!(forwarded + CLIENTS / 2 >= LIMIT, "{forwarded} of {LIMIT} were forwarded");
        assert!(begun.load(Ordering::SeqCst) >= LIMIT);
        let again = started(&config);
        assert_eq!(get(&again).status, 429);
        assert_eq!(quota(&again, &["refund", "yearly", "all", "--amount", "3"])["used"], LIMIT as u64 - 3);
        let statuses = [&again, &second, &again, &second].map(|gateway| get(gateway).status);
        assert_eq!(statuses, [200, 200, 200, 429]);
        assert_eq!(upstream.requests().len(), forwarded + 3);
    });
}

#[test]
fn a_reload_counts_on_and_takes_the_new_limit() {
    on_both(|database| {
        let upstream = Upstream::start();
        let gateway = started(&config(&upstream, database, "key: [global], limit: 1"));
        assert_eq!([0; 2].map(|_| get(&gateway).status), [200, 429]);
        gateway.rewrite(&config(&upstream, database, "key: [global], limit: 2").text());
        gateway.hang_up();
        let _ = gateway.wait_for_event("reloaded", 0);
        assert_eq!([0; 2].map(|_| get(&gateway).status), [200, 429]);
    });
}

/// A threshold is an event, on the record and in the metrics, and answers tell of it.
#[test]
fn thresholds_are_told_to_operators_once_and_to_callers_always() {
    on_both(|database| {
        let upstream = Upstream::start();
        let gateway = started(&config(&upstream, database, "key: [global], limit: 4, warn_at: [50, 100]"));
        let warnings = [0; 5].map(|_| get(&gateway).header("quota-warning").unwrap_or_default());
        let (half, all) = ("\"yearly\";reached=50", "\"yearly\";reached=100");
        assert_eq!(warnings, ["", half, half, all, all]);
        let events: Vec<Value> = (0..2).map(|skip| gateway.wait_for_event("quota_reached", skip)).collect();
        assert_eq!(
            events[0],
            json!({ "event": "quota_reached", "quota": "yearly", "holder": "all", "percent": 50 })
        );
        assert_eq!(events[1]["percent"], 100);
        let metrics = raw::get(gateway.address("admin"), "/metrics", "").text();
        for percent in [50, 100] {
            let line =
                format!("portcullis_quota_thresholds_total{{quota=\"yearly\",percent=\"{percent}\"}} 1\n");
            assert!(metrics.contains(&line), "{metrics}");
        }
        let begun = std::time::Instant::now();
        let recorded = || {
            let changes = gateway.audit().into_iter().filter(|record| record["event.name"] == "change");
            changes.map(|record| record["change.subject"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        while recorded() != ["yearly all 50%", "yearly all 100%"] {
            assert!(begun.elapsed() < PATIENCE, "{:?}", recorded());
        }
    });
}

#[test]
fn a_webhook_hears_of_a_threshold() {
    on_both(|database| {
        let (upstream, receiver) = (Upstream::start(), Upstream::start());
        let hook =
            format!("{{ url: \"{}/hook\", secret: whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX }}", receiver.url());
        let config = config(&upstream, database, "key: [global], limit: 2, warn_at: [50]")
            .section("quota_webhook", hook);
        let gateway = started(&config);
        assert_eq!(get(&gateway).status, 200);
        // Its body may come after its head.
        let (seen, message) = receiver.wait_for(|seen| {
            let first = seen.first()?;
            Some((first.clone(), serde_json::from_slice::<Value>(&first.body).ok()?))
        });
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/hook"));
        assert_eq!(message["data"], json!({ "quota": "yearly", "holder": "all", "percent": 50 }));
        assert!(seen.header("webhook-signature").unwrap().starts_with("v1,"));
    });
}

#[test]
fn operators_look_and_change_by_the_admin_api() {
    on_both(|database| {
        let upstream = Upstream::start();
        let config = config(&upstream, database, "key: [global], limit: 3")
            .section("admin", format!("{{ address: \"127.0.0.1:0\", operators: {} }}", *OPERATORS));
        let gateway = started(&config);
        let (ops, viewer) = (ops(&gateway), viewer(&gateway));
        assert_eq!(viewer.get("/v1/quotas").json(), json!({ "quotas": ["yearly"] }));
        assert_eq!(viewer.get("/v1/quotas/yearly/usage").json(), json!({ "usage": [] }));
        assert_eq!([0; 4].map(|_| get(&gateway).status), [200, 200, 200, 429]);
        let usage = viewer.get("/v1/quotas/yearly/usage").json();
        assert_eq!((&usage["usage"][0]["holder"], &usage["usage"][0]["used"]), (&json!("all"), &json!(3)));
        let all = |amount: u64| json!({ "holder": "all", "amount": amount });
        assert_eq!(ops.post("/v1/quotas/yearly/refund", &all(2)).json()["used"], 1);
        assert_eq!(ops.post("/v1/quotas/yearly/consume", &all(1)).json()["used"], 2);
        assert_eq!([0; 2].map(|_| get(&gateway).status), [200, 429]);
        assert_eq!(ops.post("/v1/quotas/yearly/reset", &json!({ "holder": "all" })).json()["used"], 0);
        assert_eq!(get(&gateway).status, 200);
        let none = json!({ "holder": "none", "amount": 1 });
        for (answer, expected) in [
            (viewer.post("/v1/quotas/yearly/refund", &all(1)), (403, "forbidden")),
            (ops.post("/v1/quotas/monthly/refund", &all(1)), (404, "not_found")),
            (ops.post("/v1/quotas/yearly/refund", &none), (404, "not_found")),
            (ops.post("/v1/quotas/yearly/refund", &all(0)), (400, "invalid")),
            (
                ops.post("/v1/quotas/yearly/consume", &json!({ "holder": "a b", "amount": 1 })),
                (400, "invalid"),
            ),
            (ops.get("/v1/quotas/yearly/refund"), (405, "method_not_allowed")),
            (ops.get("/v1/quotas/monthly/usage"), (404, "not_found")),
        ] {
            assert_eq!(refusal(&answer), (expected.0, expected.1.to_owned()));
        }
    });
}

/// Waits until so much is used: what requests took is settled when they have ended.
fn becomes(gateway: &Gateway, amount: u64) {
    let begun = std::time::Instant::now();
    while used(gateway) != amount {
        assert!(begun.elapsed() < PATIENCE, "{} are used and not {amount}", used(gateway));
    }
}

#[test]
fn bytes_are_counted_when_they_have_passed() {
    on_both(|database| {
        let upstream = Upstream::start();
        let mut gateway = started(&config(&upstream, database, "key: [global], limit: 1000, unit: bytes"));
        let answer = raw::post(gateway.address("public"), "/reflect", "", &"x".repeat(100));
        assert_eq!(answer.status, 200);
        becomes(&gateway, 200);
        // Something is left, so it passes, however long it is.
        assert_eq!(raw::get(gateway.address("public"), "/big/900", "").status, 200);
        becomes(&gateway, 1100);
        assert_eq!(refusal(&get(&gateway)), (429, "quota_exceeded".to_owned()));
        assert_eq!(quota(&gateway, &["refund", "yearly", "all", "--amount", "600"])["used"], 500);
        // The end waits for what is not settled yet.
        assert_eq!(raw::get(gateway.address("public"), "/big/300", "").status, 200);
        assert!(gateway.stop().success());
        assert_eq!(used(&gateway), 800);
    });
}

#[test]
fn a_service_says_what_a_request_cost() {
    on_both(|database| {
        let upstream = Upstream::start();
        let cost = "key: [global], limit: 10, unit: cost, cost: { request: 2, header: X-Cost }";
        let gateway = started(&config(&upstream, database, cost));
        let ask = |path: &str| raw::get(gateway.address("public"), path, "");
        for (path, amount) in [("/cost/5", 5), ("/", 7), ("/cost/0", 7), ("/cost/1", 8), ("/cost/90", 98)] {
            let answer = ask(path);
            assert_eq!((answer.status, answer.header("x-cost")), (200, None), "{path}");
            becomes(&gateway, amount);
        }
        assert_eq!(ask("/cost/0").status, 429);
        assert_eq!(quota(&gateway, &["refund", "yearly", "all", "--amount", "89"])["used"], 9);
        // One is left, and a request takes two ahead.
        assert_eq!(ask("/cost/0").status, 429);
        assert_eq!(quota(&gateway, &["refund", "yearly", "all", "--amount", "1"])["used"], 8);
        assert_eq!(ask("/cost/0").status, 200);
        becomes(&gateway, 8);
        // What no service answered is counted as it was taken ahead.
        assert_eq!(ask("/close").status, 502);
        becomes(&gateway, 10);
    });
}

/// What a limit or another stage refuses takes nothing.
#[test]
fn only_what_the_other_stages_let_pass_is_counted() {
    on_both(|database| {
        let upstream = Upstream::start();
        let gateway = started(
            &config(&upstream, database, "key: [global], limit: 9")
                .section("limits", "[{ name: once, key: [global], rate: 1/d }]")
                .policy("limit", "{ mode: enforce, apply: [once] }"),
        );
        let answers = [0; 3].map(|_| get(&gateway));
        assert_eq!(answers.each_ref().map(|answer| answer.status), [200, 429, 429]);
        assert_eq!(answers[0].header("ratelimit").unwrap().matches(";r=").count(), 2);
        assert_eq!(answers[1].code(), "rate_limited");
        assert_eq!(used(&gateway), 1);
    });
}

#[test]
fn explaining_takes_nothing() {
    on_both(|database| {
        let upstream = Upstream::start();
        let gateway = started(&config(&upstream, database, "key: [global], limit: 2"));
        assert_eq!(get(&gateway).status, 200);
        for _ in 0..3 {
            let output = Command::new(BINARY)
                .args(["explain", "gateway.yaml", "/", "--format", "json"])
                .current_dir(gateway.folder())
                .output()
                .unwrap();
            let story: Value = serde_json::from_slice(&output.stdout).unwrap();
            let stage = story["stages"].as_array().unwrap().iter().find(|stage| stage["stage"] == "quota");
            let stage = stage.unwrap();
            let told = (&stage["verdict"], &stage["seen"]["yearly"]["remaining"]);
            assert_eq!(told, (&json!("pass"), &json!(0)), "{stage}");
        }
        assert_eq!([0; 2].map(|_| get(&gateway).status), [200, 429]);
    });
}

#[test]
fn what_is_named_must_be_there() {
    let upstream = Upstream::start();
    let quota = "[{ name: yearly, period: year, key: [global], limit: 1 }]";
    let database = "{ database: \"sqlite://state.db\" }";
    for (store, quotas, policy, told) in [
        ("{}", quota, "{ apply: [yearly] }", "write `store.database`"),
        (database, "[]", "{ apply: [yearly] }", "define it under `quotas`"),
        (database, quota, "{ apply: [early] }", "did you mean `yearly`?"),
        (database, quota, "{ apply: [yearly, yearly] }", "is named twice"),
        (
            database,
            "[{ name: a, period: fortnight, key: [global], limit: 1 }]",
            "{}",
            "must be the length of a period",
        ),
    ] {
        let config =
            plain(&upstream.url()).section("store", store).section("quotas", quotas).policy("quota", policy);
        let refusal = setup().refuse(&config.text());
        assert!(refusal.stderr.contains(told), "{told}: {}", refusal.stderr);
    }
}

/// The example, as it is published.
#[test]
fn the_example_counts_its_partners_and_everybody_together() {
    let upstream = Upstream::start();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/quotas.yaml");
    let example = std::fs::read_to_string(example).unwrap();
    let [acme, other] = ["acme", "other"].map(|id| api_key::generate(id).unwrap());
    let gateway = setup()
        .variable("ACME_HASH", &acme.hash)
        .variable("OTHER_HASH", &other.hash)
        .variable("LISTEN", "127.0.0.1:0")
        .variable("ADMIN", "127.0.0.1:0")
        .variable("UPSTREAM", upstream.url())
        .file("quotas.yaml", &example)
        .start(&example);
    let ask = |path: &str, key: &GeneratedKey| {
        let key = format!("X-API-Key: {}\r\n", key.key.expose());
        raw::get(gateway.address("public"), path, &key).status
    };
    assert_eq!([0; 4].map(|_| ask("/trial", &acme)), [200, 200, 200, 429]);
    assert_eq!(ask("/trial", &other), 200);
    assert_eq!([0; 4].map(|_| ask("/orders", &acme)), [200; 4]);
    let output = Command::new(BINARY)
        .args(["quota", "show", "--config", "quotas.yaml"])
        .env("ACME_HASH", &acme.hash)
        .env("OTHER_HASH", &other.hash)
        .current_dir(gateway.folder())
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    for expected in [
        ["trial", "method=partners,key=acme", "3", "3"],
        ["trial", "method=partners,key=other", "1", "3"],
        ["billing", "method=partners,key=acme", "4", "100000"],
        ["everybody", "all", "4", "1000000"],
    ] {
        assert!(lines.iter().any(|line| line.starts_with(&expected)), "{expected:?}: {shown}");
    }
}
