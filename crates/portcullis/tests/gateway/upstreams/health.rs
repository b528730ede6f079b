//! Targets that are left alone while they are not well: by their own failures, and by asking them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use portcullis_testkit::PATIENCE;
use portcullis_testkit::echo::{Seen, Upstream};
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Response};

use super::{Puppet, assert_refused, get};
use crate::common::{dead_address, plain, targets};

/// Asks until the breaker's pause is over: the answer that is not 503.
fn get_after_the_pause(gateway: &Gateway, path: &str) -> Response {
    loop {
        let answer = get(gateway, path);
        if answer.status != 503 {
            return answer;
        }
    }
}

#[test]
fn a_target_that_failed_is_left_alone() {
    let target = Puppet::start();
    let gateway = plain(&target.url())
        .upstream("passive_health", "{ failures: 2, open_for: 1h }")
        .policy("forward", "{ retries: 0 }")
        .start();
    for _ in 0..2 {
        std::thread::scope(|scope| {
            let answer = scope.spawn(|| get(&gateway, "/"));
            target.accept().close();
            assert_refused(&answer.join().unwrap(), 502, "upstream_failed");
        });
    }
    for _ in 0..3 {
        assert_refused(&get(&gateway, "/"), 503, "upstream_unavailable");
    }
    assert!(target.is_alone());
}

#[test]
fn answers_in_between_keep_the_breaker_closed() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url())
        .upstream("passive_health", "{ failures: 2, open_for: 1h }")
        .policy("forward", "{ retries: 0 }")
        .start();
    for _ in 0..4 {
        assert_refused(&get(&gateway, "/close"), 502, "upstream_failed");
        assert_eq!(get(&gateway, "/status/500").status, 500, "an error of the service is an answer");
    }
}

#[test]
fn time_limits_count_as_failures() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url())
        .upstream("passive_health", "{ failures: 1, open_for: 1h }")
        .policy("forward", "{ retries: 0, timeouts: { first_byte: 50ms } }")
        .start();
    assert_refused(&get(&gateway, "/slow-head"), 504, "upstream_timeout");
    assert_refused(&get(&gateway, "/"), 503, "upstream_unavailable");
}

#[test]
fn after_a_pause_one_request_tries_the_target_again() {
    let address = dead_address();
    let gateway = plain(&format!("http://{address}"))
        .upstream("passive_health", "{ failures: 2, open_for: 150ms }")
        .policy("forward", "{ retries: 0 }")
        .start();
    for _ in 0..2 {
        assert_refused(&get(&gateway, "/"), 502, "upstream_failed");
    }
    assert_refused(&get(&gateway, "/"), 503, "upstream_unavailable");

    let upstream = Upstream::start_at(address);
    std::thread::scope(|scope| {
        let probe = scope.spawn(|| get_after_the_pause(&gateway, "/slow-head"));
        assert_eq!(upstream.wait_for_requests(1).len(), 1);
        for _ in 0..5 {
            assert_refused(&get(&gateway, "/"), 503, "upstream_unavailable");
        }
        assert_eq!(upstream.requests().len(), 1, "one probe at a time");
        upstream.release();
        assert_eq!(probe.join().unwrap().text(), "at last");
    });
    for _ in 0..3 {
        assert_eq!(get(&gateway, "/").status, 200);
    }
}

#[test]
fn a_probe_that_fails_opens_the_breaker_again() {
    let address = dead_address();
    let gateway = plain(&format!("http://{address}"))
        .upstream("passive_health", "{ failures: 1, open_for: 1s }")
        .policy("forward", "{ retries: 0 }")
        .start();
    assert_refused(&get(&gateway, "/"), 502, "upstream_failed");
    for _ in 0..2 {
        assert_refused(&get_after_the_pause(&gateway, "/"), 502, "upstream_failed");
        assert_refused(&get(&gateway, "/"), 503, "upstream_unavailable");
    }
}

#[test]
fn the_breaker_is_open_for_as_long_as_it_is_told() {
    let gateway = plain(&format!("http://{}", dead_address()))
        .upstream("passive_health", "{ failures: 1, open_for: 100ms }")
        .policy("forward", "{ retries: 0 }")
        .start();
    // With the usual pause these would take longer than any test waits.
    let begun = Instant::now();
    for _ in 0..4 {
        assert_refused(&get_after_the_pause(&gateway, "/"), 502, "upstream_failed");
        assert!(begun.elapsed() < PATIENCE, "the pause is not the configured one");
    }
}

#[test]
fn a_broken_target_costs_the_others_nothing() {
    let upstream = Upstream::start();
    let dead = format!("http://{}", dead_address());
    let gateway = targets(&[&dead, &upstream.url()])
        .upstream("passive_health", "{ failures: 1, open_for: 1h }")
        .policy("forward", "{ retries: 0 }")
        .start();
    let statuses: Vec<u16> = (0..6).map(|_| get(&gateway, "/").status).collect();
    assert_eq!(statuses, [502, 200, 200, 200, 200, 200]);
}

/// A service whose health is the test's to say.
struct Patient {
    upstream: Upstream,
    is_well: Arc<AtomicBool>,
}

impl Patient {
    fn start(is_well: bool) -> Self {
        let is_well = Arc::new(AtomicBool::new(is_well));
        let said = Arc::clone(&is_well);
        let upstream = Upstream::scripted(move |seen| {
            let status =
                if seen.target == "/healthz" && !said.load(Ordering::SeqCst) { "503 No" } else { "200 OK" };
            Some(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes())
        });
        Self { upstream, is_well }
    }

    fn becomes(&self, is_well: bool) {
        self.is_well.store(is_well, Ordering::SeqCst);
        self.upstream.forget();
    }

    /// Waits for so many answers to questions that were asked from now on, all of them taken into account: the
    /// next question comes after that.
    fn wait_for_answers(&self, count: usize) {
        self.upstream.wait_for(|requests| {
            (requests.iter().filter(|seen| seen.target == "/healthz").count() > count).then_some(())
        });
    }

    /// How many requests other than questions it got.
    fn requests(&self) -> usize {
        let is_request = |seen: &&Seen| seen.target != "/healthz";
        self.upstream.requests().iter().filter(is_request).count()
    }
}

const QUESTIONS: &str = "{ path: /healthz, interval: 20ms, unhealthy_after: 2, healthy_after: 2 }";

#[test]
fn a_target_that_says_it_is_not_well_gets_no_requests_until_it_is() {
    let (steady, patient) = (Patient::start(true), Patient::start(true));
    let gateway = targets(&[&steady.upstream.url(), &patient.upstream.url()])
        .upstream("active_health", QUESTIONS)
        .start();
    let ask_four_times = || {
        steady.upstream.forget();
        patient.upstream.forget();
        for _ in 0..4 {
            assert_eq!(get(&gateway, "/").status, 200);
        }
        (steady.requests(), patient.requests())
    };
    assert_eq!(ask_four_times(), (2, 2));
    patient.becomes(false);
    // One question may have been answered already when the mind was changed, so one more than two.
    patient.wait_for_answers(3);
    assert_eq!(ask_four_times(), (4, 0));
    patient.becomes(true);
    patient.wait_for_answers(3);
    assert_eq!(ask_four_times(), (2, 2));
}

#[test]
fn a_service_without_a_well_target_is_unavailable() {
    let patient = Patient::start(false);
    let gateway = plain(&patient.upstream.url()).upstream("active_health", QUESTIONS).start();
    patient.wait_for_answers(2);
    assert_refused(&get(&gateway, "/"), 503, "upstream_unavailable");
    assert_eq!(patient.requests(), 0);
}

#[test]
fn silence_is_not_well() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url())
        .upstream("active_health", "{ path: /slow-head, interval: 20ms, timeout: 50ms, unhealthy_after: 1 }")
        .start();
    // The second question comes after the first was given up.
    assert!(upstream.wait_for_requests(2).len() >= 2);
    assert_refused(&get(&gateway, "/"), 503, "upstream_unavailable");
    // None of them waits for long: with the usual time limit this would take longer than the test does.
    assert!(upstream.wait_for_requests(13).len() >= 13);
    upstream.release();
    while get(&gateway, "/").status == 503 {}
    assert_eq!(get(&gateway, "/").status, 200);
}

/// One bad answer takes the target out, and only so many good ones bring it back.
#[test]
fn a_target_comes_back_after_so_many_good_answers() {
    const HEALTHY_AFTER: usize = 6;
    let patient = Patient::start(false);
    let questions =
        format!("{{ path: /healthz, interval: 20ms, unhealthy_after: 1, healthy_after: {HEALTHY_AFTER} }}");
    let gateway = plain(&patient.upstream.url()).upstream("active_health", questions).start();
    patient.wait_for_answers(1);
    assert_refused(&get(&gateway, "/"), 503, "upstream_unavailable");
    patient.becomes(true);
    while get(&gateway, "/").status == 503 {}
    let seen = patient.upstream.requests();
    let before = seen.iter().take_while(|seen| seen.target == "/healthz").count();
    // One more may have been answered well before these were counted.
    assert!(before + 1 >= HEALTHY_AFTER, "it was asked {before} times");
}

#[test]
fn health_is_asked_for_in_the_services_own_protocol() {
    let authority = portcullis_testkit::ca::Authority::new();
    for protocol in ["http1", "http2"] {
        let alpn = if protocol == "http2" { "h2" } else { "http/1.1" };
        let identity = authority.server(&["127.0.0.1"]);
        let upstream = Upstream::start_tls(identity.server_config(&[alpn]));
        let gateway = plain(&format!("https://{}", upstream.address()))
            .upstream("tls", format!("{{ ca: \"{}\" }}", authority.certificate().display()))
            .upstream("protocol", protocol)
            .upstream("active_health", QUESTIONS)
            .start();
        let seen = upstream.wait_for_requests(3);
        assert_eq!((seen[0].method.as_str(), seen[0].target.as_str()), ("GET", "/healthz"));
        assert_eq!(seen[0].version, if protocol == "http2" { "HTTP/2" } else { "HTTP/1.1" });
        assert_eq!(get(&gateway, "/").status, 200, "it is well");
    }
}

#[test]
fn metrics_tell_which_targets_are_well() {
    let patient = Patient::start(false);
    let gateway = plain(&patient.upstream.url()).upstream("active_health", QUESTIONS).start();
    patient.wait_for_answers(2);
    let metrics = portcullis_testkit::raw::get(gateway.address("admin"), "/metrics", "").text();
    let line =
        metrics.lines().find(|line| line.starts_with("portcullis_upstream_healthy")).unwrap_or_default();
    assert!(line.ends_with(" 0"), "{line:?} in:\n{metrics}");
}

/// How often an event was told.
fn times(gateway: &Gateway, event: &str) -> usize {
    gateway.stderr().lines().filter(|line| line.contains(&format!("\"event\":\"{event}\""))).count()
}

#[test]
fn operators_are_told_once_that_a_target_is_down_and_once_that_it_is_back() {
    let address = dead_address();
    let gateway = plain(&format!("http://{address}"))
        .upstream("passive_health", "{ failures: 2, open_for: 50ms }")
        .policy("forward", "{ retries: 0 }")
        .start();
    assert_refused(&get(&gateway, "/"), 502, "upstream_failed");
    assert_eq!(times(&gateway, "target_down"), 0, "one failure is none yet");
    for _ in 0..3 {
        assert_refused(&get_after_the_pause(&gateway, "/"), 502, "upstream_failed");
    }
    let event = gateway.wait_for_event("target_down", 0);
    assert_eq!((&event["service"], &event["target"]), (&"shop".into(), &format!("http://{address}").into()));
    assert!(event["cause"].as_str().is_some_and(|cause| cause.contains("refused")), "{event}");

    let _upstream = Upstream::start_at(address);
    assert_eq!(get_after_the_pause(&gateway, "/").status, 200);
    let event = gateway.wait_for_event("target_up", 0);
    assert_eq!((&event["service"], &event["target"]), (&"shop".into(), &format!("http://{address}").into()));
    assert_eq!(get(&gateway, "/").status, 200);
    assert_eq!((times(&gateway, "target_down"), times(&gateway, "target_up")), (1, 1));
}

#[test]
fn operators_are_told_what_a_target_answers_that_is_asked_regularly() {
    let is_well = Arc::new(AtomicBool::new(false));
    let said = Arc::clone(&is_well);
    let upstream = Upstream::scripted(move |_| {
        let status = if said.load(Ordering::SeqCst) { "200 OK" } else { "503 No" };
        Some(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes())
    });
    let rules = "{ path: /healthz, interval: 20ms, timeout: 10s, unhealthy_after: 2, healthy_after: 2 }";
    let gateway = plain(&upstream.url()).upstream("active_health", rules).start();
    let event = gateway.wait_for_event("target_down", 0);
    assert!(event["cause"].as_str().is_some_and(|cause| cause.contains("503")), "{event}");
    let readiness = raw::get(gateway.address("admin"), "/readyz", "");
    assert_eq!(readiness.status, 200, "other services can be served");
    assert_eq!(readiness.json()["services_without_target"], serde_json::json!(["shop"]));
    is_well.store(true, Ordering::SeqCst);
    let _ = gateway.wait_for_event("target_up", 0);
    let readiness = raw::get(gateway.address("admin"), "/readyz", "");
    assert_eq!(readiness.json(), serde_json::json!({ "status": "ready", "config_generation": 1 }));
    assert_eq!((times(&gateway, "target_down"), times(&gateway, "target_up")), (1, 1));
}
