use std::collections::{BTreeMap, HashMap, HashSet};

use portcullis_core::{Reason, RequestId, StageId, Timestamp};

use super::series::BOUNDS;
use super::*;

type Labels = BTreeMap<String, String>;

/// A page, read strictly: each family announced once and in one piece, each series once.
#[derive(Default)]
struct Read {
    kinds: HashMap<String, String>,
    samples: HashMap<(String, Labels), f64>,
}

fn read(page: &str) -> Read {
    let mut found = Read::default();
    let mut family = String::new();
    assert!(page.ends_with('\n'));
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split_once(' ').expect("a help text").0.to_owned();
            let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE ")).expect("a type");
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, family);
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{kind}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            assert_eq!(found.kinds.insert(family.clone(), kind.to_owned()), None, "{family} twice");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect(line);
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, read_labels(labels.strip_suffix('}').expect(line))),
            None => (series, Labels::new()),
        };
        let suffix = name.strip_prefix(&family).expect(line);
        let allowed: &[&str] =
            if found.kinds[&family] == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(allowed.contains(&suffix), "{line}");
        let old = found.samples.insert((name.to_owned(), labels), value.parse().expect(line));
        assert_eq!(old, None, "{line} twice");
    }
    found
}

fn read_labels(text: &str) -> Labels {
    let mut labels = Labels::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").expect(text);
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next().expect(text) {
                (at, '"') => break at,
                (_, '\\') => match characters.next().expect(text).1 {
                    'n' => value.push('\n'),
                    same @ ('\\' | '"') => value.push(same),
                    other => panic!("\\{other} in {text}"),
                },
                (_, same) => value.push(same),
            }
        };
        assert_eq!(labels.insert(name.to_owned(), value), None, "{name} twice");
        rest = after.split_at(end + 1).1;
        if let Some(next) = rest.strip_prefix(',') {
            rest = next;
        }
    }
    labels
}

impl Read {
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.samples.get(&(name.to_owned(), labels)).copied()
    }
}

fn notes(route: Option<u32>) -> Notes {
    let mut notes = Notes::new(RequestId(1), Timestamp(0));
    notes.route = route.map(RouteId);
    notes
}

const ROUTES: [(&str, &str); 2] = [("orders", "shop"), ("a \"b\"\\\n", "shop")];

fn requests(metrics: &Metrics, route: &str, service: &str, code: &str, decision: &str) -> Option<f64> {
    let labels = [("route", route), ("service", service), ("code", code), ("decision", decision)];
    read(&metrics.render()).value("portcullis_requests_total", &labels)
}

#[test]
fn requests_count_by_route_class_and_decision() {
    let metrics = Metrics::with_routes(&ROUTES, None);
    let denial = Denial::new(StageId::Limit, Reason::RateLimited);
    let failure = Denial::new(StageId::Forward, Reason::UpstreamTimeout);
    metrics.record(&notes(Some(0)), None, 200, Duration::ZERO);
    metrics.record(&notes(Some(0)), None, 204, Duration::ZERO);
    metrics.record(&notes(Some(1)), Some(denial), 429, Duration::ZERO);
    metrics.record(&notes(Some(1)), Some(failure), 504, Duration::ZERO);
    metrics.record(&notes(None), None, 999, Duration::ZERO);
    metrics.record(&notes(Some(77)), None, 302, Duration::ZERO);
    let (strange, service) = ROUTES[1];
    assert_eq!(requests(&metrics, "orders", "shop", "2xx", "allow"), Some(2.0));
    assert_eq!(requests(&metrics, strange, service, "4xx", "deny"), Some(1.0));
    assert_eq!(requests(&metrics, strange, service, "5xx", "error"), Some(1.0));
    assert_eq!(requests(&metrics, "", "", "5xx", "allow"), Some(1.0));
    assert_eq!(requests(&metrics, "", "", "3xx", "allow"), Some(1.0), "a route that is not there");
    let page = read(&metrics.render());
    let labels = [("route", strange), ("stage", "limit"), ("reason", "rate_limited")];
    assert_eq!(page.value("portcullis_denials_total", &labels), Some(1.0));
    assert_eq!(page.value("portcullis_shadow_denials_total", &labels), None);
}

#[test]
fn every_stage_and_reason_has_its_own_place() {
    let metrics = Metrics::with_routes(&ROUTES, None);
    let pairs = || StageId::ALL.into_iter().flat_map(|s| Reason::ALL.iter().map(move |&r| (s, r)));
    for (at, (stage, reason)) in pairs().enumerate() {
        let mut notes = notes(Some(0));
        notes.record(stage, Verdict::Shadowed(reason));
        (0..=at).for_each(|_| metrics.record(&notes, None, 200, Duration::ZERO));
    }
    let page = read(&metrics.render());
    for (at, (stage, reason)) in pairs().enumerate() {
        let labels = [("route", "orders"), ("stage", stage.name()), ("reason", reason.code())];
        assert_eq!(page.value("portcullis_shadow_denials_total", &labels), Some((at + 1) as f64));
    }
}

#[test]
fn the_histogram_is_cumulative_and_its_bounds_are_inclusive() {
    let metrics = Metrics::with_routes(&ROUTES, None);
    for nanos in [500_000, 500_001, 1_000_000, 10_000_000_000, 10_000_000_001, 0] {
        metrics.record(&notes(Some(0)), None, 200, Duration::from_nanos(nanos));
    }
    let page = read(&metrics.render());
    let bucket = |le| {
        let labels = [("route", "orders"), ("service", "shop"), ("le", le)];
        page.value("portcullis_request_duration_seconds_bucket", &labels).unwrap()
    };
    assert_eq!(
        (bucket("0.0005"), bucket("0.001"), bucket("5"), bucket("10"), bucket("+Inf")),
        (2.0, 4.0, 4.0, 5.0, 6.0)
    );
    let labels = [("route", "orders"), ("service", "shop")];
    assert_eq!(page.value("portcullis_request_duration_seconds_count", &labels), Some(6.0));
    assert_eq!(page.value("portcullis_request_duration_seconds_sum", &labels), Some(20.002));
    for (micros, text) in BOUNDS {
        assert_eq!(text.parse::<f64>().unwrap() * 1e6, micros as f64, "{text}");
    }
}

#[test]
fn upstreams_connections_and_the_rest() {
    let targets = [("shop", "10.0.0.1:80"), ("shop", "10.0.0.2:80")];
    let metrics = Metrics::with_routes(&ROUTES, None).with_targets(&targets, None);
    metrics.upstream(TargetId(1), UpstreamOutcome::TimedOut);
    metrics.upstream(TargetId(9), UpstreamOutcome::TimedOut);
    metrics.upstream_health(TargetId(1), false);
    (0..3).for_each(|_| metrics.connection_opened());
    metrics.connection_closed();
    metrics.connection_refused();
    metrics.audit_losses(5, 2);
    metrics.audit_losses(4, 1);
    metrics.config_generation(7);
    metrics.config_reload_failed();
    metrics.key_set_failed();
    metrics.key_sets_missing(3);
    let page = read(&metrics.render());
    let second = [("service", "shop"), ("target", "10.0.0.2:80")];
    let outcome = [second[0], second[1], ("outcome", "timed_out")];
    assert_eq!(page.value("portcullis_upstream_requests_total", &outcome), Some(1.0));
    assert_eq!(page.value("portcullis_upstream_healthy", &second), Some(0.0));
    let first = [("service", "shop"), ("target", "10.0.0.1:80")];
    assert_eq!(page.value("portcullis_upstream_healthy", &first), Some(1.0));
    for (name, expected) in [
        ("portcullis_connections", 2.0),
        ("portcullis_connections_total", 3.0),
        ("portcullis_connections_refused_total", 1.0),
        ("portcullis_audit_dropped_total", 5.0),
        ("portcullis_audit_failures_total", 2.0),
        ("portcullis_key_set_failures_total", 1.0),
        ("portcullis_key_sets_missing", 3.0),
        ("portcullis_config_generation", 7.0),
        ("portcullis_config_reload_failures_total", 1.0),
    ] {
        assert_eq!(page.value(name, &[]), Some(expected), "{name}");
    }
    let build = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(page.value("portcullis_build_info", &build), Some(1.0));
}

#[test]
fn a_reload_keeps_what_keeps_its_name_and_old_requests_still_count() {
    let old = Metrics::with_routes(&[("a", "s"), ("gone", "s")], None)
        .with_targets(&[("s", "t1"), ("s", "t2")], None);
    old.record(&notes(Some(0)), None, 200, Duration::ZERO);
    old.record(&notes(Some(1)), None, 200, Duration::ZERO);
    old.upstream_health(TargetId(1), false);
    old.connection_opened();
    let new = Metrics::with_routes(&[("new", "s"), ("a", "s"), ("a", "other")], Some(&old))
        .with_targets(&[("s", "t2")], Some(&old));
    old.record(&notes(Some(0)), None, 200, Duration::ZERO);
    old.record(&notes(None), None, 404, Duration::ZERO);
    new.record(&notes(Some(1)), None, 200, Duration::ZERO);
    assert_eq!(requests(&new, "a", "s", "2xx", "allow"), Some(3.0));
    assert_eq!(requests(&new, "a", "other", "2xx", "allow"), None);
    assert_eq!(requests(&new, "gone", "s", "2xx", "allow"), None);
    assert_eq!(requests(&new, "", "", "4xx", "allow"), Some(1.0));
    let page = read(&new.render());
    assert_eq!(page.value("portcullis_connections", &[]), Some(1.0));
    assert_eq!(page.value("portcullis_upstream_healthy", &[("service", "s"), ("target", "t2")]), Some(0.0));
    assert_eq!(page.value("portcullis_upstream_healthy", &[("service", "s"), ("target", "t1")]), None);
}

#[test]
fn names_given_twice_are_one_series() {
    let metrics =
        Metrics::with_routes(&[("a", "s"), ("a", "s")], None).with_targets(&[("s", "t"), ("s", "t")], None);
    metrics.record(&notes(Some(0)), None, 200, Duration::ZERO);
    metrics.record(&notes(Some(1)), None, 200, Duration::ZERO);
    assert_eq!(requests(&metrics, "a", "s", "2xx", "allow"), Some(2.0));
}

#[test]
fn names_of_outcomes_differ() {
    let names: HashSet<_> = UpstreamOutcome::ALL.iter().map(|outcome| outcome.name()).collect();
    assert_eq!(names.len(), UpstreamOutcome::ALL.len());
    for (at, outcome) in UpstreamOutcome::ALL.iter().enumerate() {
        assert_eq!(*outcome as usize, at);
    }
}
