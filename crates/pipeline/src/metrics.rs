//! Counters, and their text for Prometheus.
//!
//! Recording a request is a handful of relaxed additions to places found by index; names meet numbers
//! only when the text is made. A reload makes new [`Metrics`] that share the counters of every route and
//! target of the same name with the old ones: nothing restarts at zero, and requests that finish under
//! the old configuration still count.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use portcullis_core::{Decision, Denial, Judgement, Notes, Reason, RouteId, StageId, Verdict};

/// Everything that is counted. Shared by all threads.
#[derive(Debug, Default)]
pub struct Metrics {
    /// By route id.
    routes: Vec<Arc<RouteSeries>>,
    /// Requests that matched no route.
    unrouted: Arc<RouteSeries>,
    /// By target id.
    targets: Vec<Arc<TargetSeries>>,
    process: Arc<ProcessSeries>,
}

/// The place of a target in the list that was given to [`Metrics::with_targets`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TargetId(pub u32);

/// How an attempt to forward a request to a target ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpstreamOutcome {
    /// It answered, with anything but a 5xx.
    Answered,
    /// It answered 5xx.
    ServerError,
    /// It took no connection.
    Unreachable,
    /// It broke the connection off, or spoke no HTTP.
    Broken,
    /// It did not answer in time.
    TimedOut,
    /// The client went away first.
    Abandoned,
}

impl UpstreamOutcome {
    /// Every outcome.
    pub const ALL: [Self; 6] =
        [Self::Answered, Self::ServerError, Self::Unreachable, Self::Broken, Self::TimedOut, Self::Abandoned];

    /// The value of the label `outcome`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::ServerError => "server_error",
            Self::Unreachable => "unreachable",
            Self::Broken => "broken",
            Self::TimedOut => "timed_out",
            Self::Abandoned => "abandoned",
        }
    }
}

impl Metrics {
    /// Metrics for `routes`, given as (route, service) in the order of their ids. What `previous` counted
    /// for the whole process and for routes of the same names goes on.
    #[must_use]
    pub fn with_routes(routes: &[(&str, &str)], previous: Option<&Self>) -> Self {
        let older = previous.map_or(&[][..], |previous| &previous.routes);
        let mut metrics = Self {
            routes: Vec::with_capacity(routes.len()),
            unrouted: previous.map(|previous| Arc::clone(&previous.unrouted)).unwrap_or_default(),
            targets: Vec::new(),
            process: previous.map(|previous| Arc::clone(&previous.process)).unwrap_or_default(),
        };
        for &(route, service) in routes {
            let is_same = |series: &&Arc<RouteSeries>| series.route == route && series.service == service;
            let known = metrics.routes.iter().chain(older).find(is_same).cloned();
            metrics.routes.push(known.unwrap_or_else(|| Arc::new(RouteSeries::new(route, service))));
        }
        metrics
    }

    /// Adds the targets of the services, given as (service, target) in the order of their ids. What
    /// `previous` counted for targets of the same names goes on. A target is healthy until said otherwise.
    #[must_use]
    pub fn with_targets(mut self, targets: &[(&str, &str)], previous: Option<&Self>) -> Self {
        let older = previous.map_or(&[][..], |previous| &previous.targets);
        for &(service, target) in targets {
            let is_same = |series: &&Arc<TargetSeries>| series.service == service && series.target == target;
            let known = self.targets.iter().chain(older).find(is_same).cloned();
            self.targets.push(known.unwrap_or_else(|| Arc::new(TargetSeries::new(service, target))));
        }
        self
    }

    /// Counts one finished request. `denial` is what it was answered with, if not by the service;
    /// `status` is that of the answer.
    pub fn record(&self, notes: &Notes, denial: Option<Denial>, status: u16, took: Duration) {
        let series = self.route(notes.route);
        series.count_request(status, Judgement::of(notes, denial).decision);
        series.duration.observe(took);
        if let Some(denial) = denial {
            series.denials.count(denial);
        }
        for (stage, verdict) in notes.verdicts() {
            if let Verdict::Shadowed(reason) = verdict {
                series.shadow_denials.count(Denial::new(stage, reason));
            }
        }
    }

    /// Counts one attempt to forward a request.
    pub fn upstream(&self, target: TargetId, outcome: UpstreamOutcome) {
        if let Some(count) = self.target(target).and_then(|series| series.outcomes.get(outcome as usize)) {
            count.add(1);
        }
    }

    /// Says whether a target may be asked.
    pub fn upstream_health(&self, target: TargetId, healthy: bool) {
        if let Some(series) = self.target(target) {
            series.unhealthy.store(!healthy, Ordering::Relaxed);
        }
    }

    /// Counts a connection that was taken. Each is followed by one [`Self::connection_closed`].
    pub fn connection_opened(&self) {
        self.process.connections_opened.add(1);
    }

    /// Counts the end of a connection.
    pub fn connection_closed(&self) {
        self.process.connections_closed.add(1);
    }

    /// Counts a connection that was refused because there were too many.
    pub fn connection_refused(&self) {
        self.process.connections_refused.add(1);
    }

    /// Takes over how many audit records were lost and how many writes failed, both since the start.
    pub fn audit_losses(&self, dropped: u64, failures: u64) {
        self.process.audit_dropped.raise_to(dropped);
        self.process.audit_failures.raise_to(failures);
    }

    /// Says which generation of the configuration is in force.
    pub fn config_generation(&self, generation: u64) {
        self.process.config_generation.0.store(generation, Ordering::Relaxed);
    }

    /// Counts a configuration that was not taken at a reload.
    pub fn config_reload_failed(&self) {
        self.process.config_reload_failures.add(1);
    }

    /// Everything in the Prometheus text format 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        let mut page = Page::default();
        page.routes(&self.shown_routes());
        page.targets(&distinct(&self.targets));
        page.process(&self.process);
        page.0
    }

    fn route(&self, route: Option<RouteId>) -> &RouteSeries {
        route.and_then(|route| self.routes.get(route.index())).unwrap_or(&self.unrouted)
    }

    fn target(&self, target: TargetId) -> Option<&TargetSeries> {
        self.targets.get(target.0 as usize).map(Arc::as_ref)
    }

    fn shown_routes(&self) -> Vec<&RouteSeries> {
        std::iter::once(self.unrouted.as_ref()).chain(distinct(&self.routes)).collect()
    }
}

/// Each series once: names that were given twice share one.
fn distinct<T>(series: &[Arc<T>]) -> Vec<&T> {
    let mut seen = std::collections::HashSet::new();
    series.iter().filter(|series| seen.insert(Arc::as_ptr(series))).map(Arc::as_ref).collect()
}

/// A number that is only ever read to be shown, so that no order is needed.
#[derive(Debug, Default)]
struct Count(AtomicU64);

impl Count {
    fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn raise_to(&self, total: u64) {
        self.0.fetch_max(total, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

const STATUS_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

#[derive(Debug, Default)]
struct RouteSeries {
    route: String,
    service: String,
    requests: [[Count; Decision::COUNT]; STATUS_CLASSES.len()],
    duration: Histogram,
    denials: DenialCounts,
    shadow_denials: DenialCounts,
}

impl RouteSeries {
    fn new(route: &str, service: &str) -> Self {
        Self { route: route.to_owned(), service: service.to_owned(), ..Self::default() }
    }

    fn count_request(&self, status: u16, decision: Decision) {
        // A status outside of 100 to 599 has no class of its own; RFC 9110 section 15 treats it as 5xx.
        let class = match status {
            100..=599 => usize::from(status / 100 - 1),
            _ => STATUS_CLASSES.len() - 1,
        };
        if let Some(count) = self.requests.get(class).and_then(|class| class.get(decision as usize)) {
            count.add(1);
        }
    }
}

/// Denials by stage and reason. Most routes never refuse anything, so the table (2 KiB) is made by the
/// first denial.
#[derive(Debug, Default)]
struct DenialCounts(OnceLock<Vec<Count>>);

impl DenialCounts {
    fn count(&self, denial: Denial) {
        let table = self.0.get_or_init(|| {
            std::iter::repeat_with(Count::default).take(StageId::COUNT * Reason::ALL.len()).collect()
        });
        if let Some(count) = table.get(denial.stage as usize * Reason::ALL.len() + denial.reason as usize) {
            count.add(1);
        }
    }

    fn counted(&self) -> impl Iterator<Item = (StageId, Reason, u64)> {
        let places =
            StageId::ALL.into_iter().flat_map(|stage| Reason::ALL.iter().map(move |&reason| (stage, reason)));
        let counts = self.0.get().into_iter().flatten().map(Count::value);
        places
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .map(|((stage, reason), count)| (stage, reason, count))
    }
}

/// Upper bounds in microseconds with their text in seconds.
const BOUNDS: [(u64, &str); 14] = [
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
];

#[derive(Debug, Default)]
struct Histogram {
    /// Not cumulative; the last one is beyond every bound.
    buckets: [Count; BOUNDS.len() + 1],
    sum_micros: Count,
}

impl Histogram {
    fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // Rounded up, so that 500.4 us do not count as at most 500 us.
        let ceiling = u64::try_from(took.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX);
        let at = BOUNDS.partition_point(|&(bound, _)| bound < ceiling);
        if let Some(bucket) = self.buckets.get(at) {
            bucket.add(1);
        }
        self.sum_micros.add(micros);
    }
}

#[derive(Debug, Default)]
struct TargetSeries {
    service: String,
    target: String,
    outcomes: [Count; UpstreamOutcome::ALL.len()],
    unhealthy: AtomicBool,
}

impl TargetSeries {
    fn new(service: &str, target: &str) -> Self {
        Self { service: service.to_owned(), target: target.to_owned(), ..Self::default() }
    }
}

#[derive(Debug, Default)]
struct ProcessSeries {
    connections_opened: Count,
    connections_closed: Count,
    connections_refused: Count,
    audit_dropped: Count,
    audit_failures: Count,
    config_generation: Count,
    config_reload_failures: Count,
}

/// The text under construction.
#[derive(Default)]
struct Page(String);

impl Page {
    fn routes(&mut self, routes: &[&RouteSeries]) {
        self.family("portcullis_requests_total", "counter", "Finished requests.");
        for series in routes {
            for (code, by_decision) in STATUS_CLASSES.iter().zip(&series.requests) {
                for (decision, count) in Decision::ALL.iter().zip(by_decision) {
                    let labels = [
                        ("route", series.route.as_str()),
                        ("service", &series.service),
                        ("code", code),
                        ("decision", decision.name()),
                    ];
                    self.nonzero("portcullis_requests_total", &labels, count.value());
                }
            }
        }
        let help = "From the complete request head to the end of the answer.";
        self.family("portcullis_request_duration_seconds", "histogram", help);
        for series in routes {
            self.histogram(series);
        }
        let help = "Requests that the gateway itself answered, with the stage and the reason.";
        self.denials("portcullis_denials_total", help, routes, |series| &series.denials);
        let help = "Requests that would have been refused by a stage that is in shadow.";
        self.denials("portcullis_shadow_denials_total", help, routes, |series| &series.shadow_denials);
    }

    fn histogram(&mut self, series: &RouteSeries) {
        let labels = [("route", series.route.as_str()), ("service", &series.service), ("le", "")];
        let [route, service, _] = labels;
        let mut count = 0;
        let bounds = BOUNDS.iter().map(|&(_, text)| text).chain(["+Inf"]);
        for (bound, bucket) in bounds.zip(&series.duration.buckets) {
            // Counted up here from one reading of each bucket: the count always equals the last bucket.
            count += bucket.value();
            let labels = [route, service, ("le", bound)];
            self.sample("portcullis_request_duration_seconds_bucket", &labels, count);
        }
        let micros = series.duration.sum_micros.value();
        let seconds = format_args!("{}.{:06}", micros / 1_000_000, micros % 1_000_000).to_string();
        self.sample("portcullis_request_duration_seconds_sum", &[route, service], seconds);
        self.sample("portcullis_request_duration_seconds_count", &[route, service], count);
    }

    fn denials(
        &mut self,
        name: &str,
        help: &str,
        routes: &[&RouteSeries],
        of: fn(&RouteSeries) -> &DenialCounts,
    ) {
        self.family(name, "counter", help);
        for series in routes {
            for (stage, reason, count) in of(series).counted() {
                let labels =
                    [("route", series.route.as_str()), ("stage", stage.name()), ("reason", reason.code())];
                self.sample(name, &labels, count);
            }
        }
    }

    fn targets(&mut self, targets: &[&TargetSeries]) {
        let name = "portcullis_upstream_requests_total";
        self.family(name, "counter", "Attempts to forward a request to a target.");
        for series in targets {
            for (outcome, count) in UpstreamOutcome::ALL.iter().zip(&series.outcomes) {
                let labels = [
                    ("service", series.service.as_str()),
                    ("target", &series.target),
                    ("outcome", outcome.name()),
                ];
                self.nonzero(name, &labels, count.value());
            }
        }
        let name = "portcullis_upstream_healthy";
        self.family(name, "gauge", "1 while the target may be asked, else 0.");
        for series in targets {
            let labels = [("service", series.service.as_str()), ("target", &series.target)];
            self.sample(name, &labels, u8::from(!series.unhealthy.load(Ordering::Relaxed)));
        }
    }

    fn process(&mut self, process: &ProcessSeries) {
        // Closed first: a connection that comes and goes in between must not make the gauge negative.
        let closed = process.connections_closed.value();
        let opened = process.connections_opened.value();
        for (name, kind, help, value) in [
            ("portcullis_connections", "gauge", "Open client connections.", opened.saturating_sub(closed)),
            ("portcullis_connections_total", "counter", "Client connections taken.", opened),
            (
                "portcullis_connections_refused_total",
                "counter",
                "Client connections refused because there were too many.",
                process.connections_refused.value(),
            ),
            (
                "portcullis_audit_dropped_total",
                "counter",
                "Audit records that were lost.",
                process.audit_dropped.value(),
            ),
            (
                "portcullis_audit_failures_total",
                "counter",
                "Failed attempts to write, copy or rotate the audit log.",
                process.audit_failures.value(),
            ),
            (
                "portcullis_config_generation",
                "gauge",
                "The generation of the configuration in force.",
                process.config_generation.value(),
            ),
            (
                "portcullis_config_reload_failures_total",
                "counter",
                "Configurations that were not taken at a reload.",
                process.config_reload_failures.value(),
            ),
        ] {
            self.family(name, kind, help);
            self.sample(name, &[], value);
        }
        self.family("portcullis_build_info", "gauge", "Always 1; the label says which build this is.");
        self.sample("portcullis_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.push(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn nonzero(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        if value > 0 {
            self.sample(name, labels, value);
        }
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            self.0.push(if at == 0 { '{' } else { ',' });
            self.0.push_str(label);
            self.0.push_str("=\"");
            for character in text.chars() {
                match character {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    _ => self.0.push(character),
                }
            }
            self.0.push('"');
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        self.push(format_args!(" {value}\n"));
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing into a string does not fail.
        let _ = self.0.write_fmt(text);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap, HashSet};

    use portcullis_core::{RequestId, Timestamp};

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
        assert_eq!(
            page.value("portcullis_upstream_healthy", &[("service", "s"), ("target", "t2")]),
            Some(0.0)
        );
        assert_eq!(page.value("portcullis_upstream_healthy", &[("service", "s"), ("target", "t1")]), None);
    }

    #[test]
    fn names_given_twice_are_one_series() {
        let metrics = Metrics::with_routes(&[("a", "s"), ("a", "s")], None)
            .with_targets(&[("s", "t"), ("s", "t")], None);
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
}
