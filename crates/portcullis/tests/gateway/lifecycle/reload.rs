//! SIGHUP and `portcullis reload`: the new configuration all at once, or the old one.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use portcullis_testkit::PATIENCE;
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Connection};
use serde_json::{Value, json};

use super::run;
use crate::common::{Config, plain, setup};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn new_requests_go_by_the_new_configuration_and_old_ones_end_under_the_old() {
    let (old, new) = (Upstream::start(), Upstream::start());
    let gateway = plain(&old.url()).start();
    let mut held = Connection::open(gateway.address("public"));
    held.send("GET /slow-head HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(old.wait_for_requests(1).len(), 1);
    let mut kept = Connection::open(gateway.address("public"));
    assert_eq!(kept.send(GET).response().status, 200);

    gateway.rewrite(&plain(&new.url()).policy("forward", "{ forwarded: none }").text());
    gateway.hang_up();
    assert_eq!(gateway.wait_for_event("reloaded", 0)["generation"], 2);
    // The connection stays, and its next request is judged anew.
    assert_eq!(kept.send(GET).response().status, 200);
    assert!(!new.only_request().has("x-forwarded-for"));
    assert_eq!(old.requests().len(), 2);

    old.release();
    assert_eq!(held.response().text(), "at last");
    assert_eq!(raw::get(gateway.address("admin"), "/healthz", "").json()["config_generation"], 2);
    let records = gateway.stop_and_audit();
    let generations: Vec<&Value> = records.iter().map(|record| &record["config_generation"]).collect();
    assert_eq!(generations, [1, 2, 1], "in the order in which they ended");
}

#[test]
fn a_body_in_the_middle_survives_a_reload() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let mut sending = Connection::open(gateway.address("public"));
    sending.send("POST /reflect HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\none");
    upstream.wait_for(|requests| (requests.first()?.body == b"one").then_some(()));
    // The new configuration takes no body of that size, nor that route.
    let other = plain("http://127.0.0.1:9").routes(&["{ name: other, path: /x }"]);
    gateway.rewrite(&other.policy("forward", "{ body: 1B }").text());
    gateway.hang_up();
    let _ = gateway.wait_for_event("reloaded", 0);
    assert_eq!(sending.send("two").response().text(), "onetwo");
    assert_eq!(sending.send(GET).response().code(), "no_route");
}

#[test]
fn connections_to_the_service_and_counters_outlive_a_reload() {
    let upstream = Upstream::start();
    let config = plain(&upstream.url())
        .section("limits", "[{ name: few, key: [address], rate: 3/h }]")
        .policy("limit", "{ apply: [few] }");
    let gateway = config.start();
    let ask = || raw::get(gateway.address("public"), "/", "").status;
    assert_eq!((ask(), ask()), (200, 200));
    gateway.rewrite(&config.clone().section("drain_timeout", "5s").text());
    gateway.hang_up();
    let _ = gateway.wait_for_event("reloaded", 0);
    assert_eq!((ask(), ask()), (200, 429));
    let positions: Vec<usize> = upstream.requests().iter().map(|seen| seen.position).collect();
    assert_eq!(positions, [0, 1, 2]);
}

/// Requests without a pause, over kept and over new connections.
struct Load {
    is_over: AtomicBool,
    answered: AtomicUsize,
}

/// Ends the load, however that comes.
struct End<'l>(&'l Load);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::SeqCst);
    }
}

impl Load {
    /// Runs `change` under load, and checks that not one request fails.
    fn during(gateway: &Gateway, change: impl FnOnce()) {
        let load = Self { is_over: AtomicBool::new(false), answered: AtomicUsize::new(0) };
        std::thread::scope(|scope| {
            let clients = [true, false].map(|keeps| {
                scope.spawn({
                    let load = &load;
                    move || load.ask(gateway, keeps)
                })
            });
            let end = End(&load);
            load.wait_for_more();
            change();
            load.wait_for_more();
            drop(end);
            for client in clients {
                client.join().expect("no request fails");
            }
        });
    }

    fn ask(&self, gateway: &Gateway, keeps_its_connection: bool) {
        let mut client = Connection::open(gateway.address("public"));
        while !self.is_over.load(Ordering::SeqCst) {
            if !keeps_its_connection {
                client = Connection::open(gateway.address("public"));
            }
            let answer = client.send(GET).response();
            assert!(answer.status == 200 && answer.complete, "{answer:?}");
            self.answered.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn wait_for_more(&self) {
        let (begun, before) = (Instant::now(), self.answered.load(Ordering::SeqCst));
        while self.answered.load(Ordering::SeqCst) < before + 20 {
            assert!(begun.elapsed() < PATIENCE, "the load has stopped");
            std::thread::yield_now();
        }
    }
}

const PERMIT: &str = "permit (principal, action, resource);\n";

fn with_policies(upstream: &Upstream) -> Config {
    plain(&upstream.url())
        .section("authorization", "{ policies: [policies.cedar] }")
        .policy("authorize", "{ mode: enforce }")
}

/// Has the gateway read its configuration again, and gives the problem for which it refuses, with the event.
fn refused(gateway: &Gateway, earlier: usize) -> (Value, Value) {
    gateway.hang_up();
    let event = gateway.wait_for_event("reload_refused", earlier);
    let problems = event["problems"].as_array().unwrap_or_else(|| panic!("no problems in {event}"));
    assert_eq!(problems.len(), 1, "{event}");
    (problems[0].clone(), event)
}

#[test]
fn what_is_wrong_is_refused_with_its_line_and_not_one_request_fails() {
    let upstream = Upstream::start();
    let config = with_policies(&upstream);
    let gateway = config.start_in(setup().file("policies.cedar", PERMIT));
    Load::during(&gateway, || {
        // A key that does not exist.
        gateway.rewrite(&(config.text() + "drain_timout: 5s\n"));
        let (problem, event) = refused(&gateway, 0);
        assert_eq!(event["generation"], 1, "the old one serves");
        assert_eq!((&problem["file"], &problem["path"]), (&json!("gateway.yaml"), &json!("drain_timout")));
        assert_eq!(problem["line"], config.text().lines().count() + 1);
        assert_eq!(problem["suggestion"], "did you mean `drain_timeout`?");

        // Not even YAML.
        gateway.rewrite("version: 1\nlisteners: [\n");
        let (problem, _) = refused(&gateway, 1);
        assert!(problem["line"].as_u64().is_some_and(|line| line >= 2), "{problem}");

        // A policy that breaks the grammar, and one that breaks the schema.
        gateway.rewrite(&config.text());
        let nobody = "permit (principal, action, resource) when { principal.nme == 1 };";
        for (earlier, wrong) in [(2, "permit (principal, action resource);"), (3, nobody)] {
            gateway.write("policies.cedar", format!("{PERMIT}\n{wrong}\n"));
            let (problem, _) = refused(&gateway, earlier);
            assert_eq!(problem["path"], "authorization.policies[0]");
            let message = problem["message"].as_str().unwrap();
            assert!(message.starts_with("policies.cedar:3:"), "{message}");
        }

        // No file at all.
        std::fs::remove_file(gateway.folder().join("gateway.yaml")).unwrap();
        let (problem, _) = refused(&gateway, 4);
        assert_eq!(problem["line"], Value::Null);

        // And then a sound one.
        gateway.rewrite(&config.clone().section("drain_timeout", "5s").text());
        gateway.write("policies.cedar", format!("{PERMIT}@id(\"more\") {PERMIT}"));
        gateway.hang_up();
        assert_eq!(gateway.wait_for_event("reloaded", 0)["generation"], 2);
    });
    let metrics = raw::get(gateway.address("admin"), "/metrics", "").text();
    assert!(metrics.contains("portcullis_config_reload_failures_total 5\n"), "{metrics}");
    assert!(gateway.stderr().contains("error: unknown key `drain_timout`"), "people are told as well");
}

#[test]
fn many_reloads_under_load_fail_no_request() {
    let (one, other) = (Upstream::start(), Upstream::start());
    let gateway = plain(&one.url()).section("workers", "2").start();
    Load::during(&gateway, || {
        for round in 0..10 {
            let upstream = if round % 2 == 0 { &other } else { &one };
            gateway.rewrite(&plain(&upstream.url()).section("workers", "2").text());
            gateway.hang_up();
            let _ = gateway.wait_for_event("reloaded", round);
        }
    });
    assert!(!one.requests().is_empty());
}

#[test]
fn an_error_of_a_policy_at_run_time_is_403() {
    let upstream = Upstream::start();
    let policies = format!(
        "{PERMIT}@id(\"errs\") forbid (principal, action, resource)\n\
         when {{ context.headers has \"x-level\" && 9223372036854775807 + 1 > 0 }};\n"
    );
    let config = with_policies(&upstream)
        .section("authorization", "{ policies: [policies.cedar], context_headers: [x-level] }");
    let gateway = config.start_in(setup().file("policies.cedar", policies));
    assert_eq!(raw::get(gateway.address("public"), "/", "").status, 200);
    upstream.forget();
    let answer = raw::get(gateway.address("public"), "/", "X-Level: 1\r\n");
    assert_eq!((answer.status, answer.code().as_str()), (403, "policy_error"));
    upstream.assert_no_contact();
    let records = gateway.stop_and_audit();
    assert_eq!(records[1]["reason_code"], "policy_error", "{}", records[1]);
    assert_eq!(records[1]["policies"], json!(["errs"]), "{}", records[1]);
}

#[test]
fn listeners_are_opened_once() {
    let upstream = Upstream::start();
    let config = plain(&upstream.url());
    let gateway = config.start();
    let another = "{ name: another, address: \"127.0.0.1:0\" }";
    for (earlier, changed) in
        [config.clone().another_listener(another), config.section("workers", "2")].iter().enumerate()
    {
        gateway.rewrite(&changed.text());
        gateway.hang_up();
        let event = gateway.wait_for_event("reload_refused", earlier);
        assert!(event["error"].as_str().is_some_and(|error| error.contains("restart")), "{event}");
    }
    assert_eq!(raw::get(gateway.address("public"), "/", "").status, 200);
}

const RELOAD: [&str; 4] = ["reload", "gateway.yaml", "--pid-file", "gateway.pid"];

#[test]
fn the_reload_command_checks_first_and_then_tells_the_gateway() {
    let (old, new) = (Upstream::start(), Upstream::start());
    let gateway = plain(&old.url()).start_in(setup().argument("--pid-file").argument("gateway.pid"));
    gateway.rewrite("version: 1\n");
    let printed = run(gateway.folder(), &RELOAD);
    assert_eq!(printed.code, 1);
    assert!(printed.stderr.contains("the gateway keeps the one it has"), "{}", printed.stderr);

    gateway.rewrite(&plain(&new.url()).text());
    let printed = run(gateway.folder(), &RELOAD);
    assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
    assert_eq!(printed.stdout, "reloaded; this is generation 2\n", "it has taken it by now");
    assert!(!gateway.stderr().contains("reload_refused"), "of the bad one the gateway was not even told");
    assert_eq!(raw::get(gateway.address("public"), "/", "").status, 200);
    assert_eq!((old.requests().len(), new.requests().len()), (0, 1));
}

#[test]
fn the_pid_file_names_the_gateway_while_it_runs() {
    let upstream = Upstream::start();
    let mut gateway = plain(&upstream.url()).start_in(setup().argument("--pid-file").argument("gateway.pid"));
    let pid_file = gateway.folder().join("gateway.pid");
    assert_eq!(std::fs::read_to_string(&pid_file).unwrap(), format!("{}\n", gateway.process_id()));
    assert!(gateway.stop().success());
    assert_eq!(
        std::fs::read_dir(gateway.folder())
            .unwrap()
            .filter(|entry| {
                entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("gateway.pid")
            })
            .count(),
        0,
        "the files go with the process"
    );
    let printed = run(gateway.folder(), &RELOAD);
    assert!(printed.code == 1 && printed.stderr.contains("cannot read `gateway.pid`"), "{printed:?}");
    gateway.write("gateway.pid", "nonsense");
    let printed = run(gateway.folder(), &RELOAD);
    assert!(printed.code == 1 && printed.stderr.contains("holds no process id"), "{printed:?}");
}

/// What the command cannot see, the gateway tells it: here that listeners are opened once, and that the gateway has
/// another environment.
#[test]
fn the_reload_command_says_what_the_gateway_refuses() {
    let upstream = Upstream::start();
    let config = plain(&upstream.url());
    let files = setup().argument("--pid-file").argument("gateway.pid");
    let gateway = config.start_in(files);
    gateway.rewrite(&config.clone().section("workers", "2").text());
    let printed = run(gateway.folder(), &RELOAD);
    assert_eq!((printed.code, printed.stdout.as_str()), (1, ""));
    let said =
        "error: the gateway keeps generation 1: listeners, workers and the admin address cannot change";
    assert!(printed.stderr.contains(said), "{}", printed.stderr);

    let secret = "{ jwt: [{ name: staff, issuer: a, audiences: [b], algorithms: [HS256], \
        keys: { secret: \"${TOKEN_SECRET}\" } }] }";
    gateway.rewrite(&config.clone().section("authentication", secret).text());
    let output = std::process::Command::new(crate::common::BINARY)
        .args(RELOAD)
        .env("TOKEN_SECRET", "0123456789abcdef0123456789abcdef")
        .current_dir(gateway.folder())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("TOKEN_SECRET") && stderr.contains("the gateway keeps generation 1"), "{stderr}");

    gateway.rewrite(&config.text());
    let printed = run(gateway.folder(), &RELOAD);
    assert_eq!((printed.code, printed.stdout.as_str()), (0, "reloaded; this is generation 2\n"));
}

#[test]
fn a_pid_file_that_cannot_be_written_stops_the_start_and_that_of_another_gateway_is_left_alone() {
    let upstream = Upstream::start();
    let refusal =
        setup().argument("--pid-file").argument("nowhere/gateway.pid").refuse(&plain(&upstream.url()).text());
    assert!(
        refusal.code == Some(1) && refusal.stderr.contains("cannot write `nowhere/gateway.pid`"),
        "{refusal:?}"
    );
    assert!(!refusal.stderr.contains("listening"), "nobody was served: {}", refusal.stderr);

    let gateway = plain(&upstream.url()).start_in(setup().argument("--pid-file").argument("gateway.pid"));
    let pid_file = gateway.folder().join("gateway.pid");
    let same = format!("{{ name: public, address: \"{}\" }}", gateway.address("public"));
    let second = setup().argument("--pid-file").argument(pid_file.as_os_str());
    let refusal = second.refuse(&plain(&upstream.url()).listener(same).text());
    assert!(refusal.stderr.contains("the listener `public` cannot use"), "{}", refusal.stderr);
    assert_eq!(std::fs::read_to_string(&pid_file).unwrap(), format!("{}\n", gateway.process_id()));
    assert_eq!(run(gateway.folder(), &RELOAD).code, 0);
}
