//! The counters as text for Prometheus.

use std::fmt::Write;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use portcullis_core::Decision;

use super::series::{
    BOUNDS, DenialCounts, ProcessSeries, RouteSeries, STATUS_CLASSES, StoreSeries, TargetSeries,
};
use super::{ServedCertificate, UpstreamOutcome};
use portcullis_store::redis::Outcome;

/// The text under construction.
#[derive(Default)]
pub(super) struct Page(String);

impl Page {
    /// The text, finished.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    pub(super) fn routes(&mut self, routes: &[&RouteSeries]) {
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

    pub(super) fn targets(&mut self, targets: &[&TargetSeries]) {
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

    pub(super) fn certificates(&mut self, certificates: &[ServedCertificate]) {
        if certificates.is_empty() {
            return;
        }
        let name = "portcullis_certificate_not_after_seconds";
        self.family(name, "gauge", "When a certificate that is shown to clients ends, in Unix time.");
        for shown in certificates {
            let labels = [("listener", shown.listener.as_str()), ("certificate", &shown.file)];
            self.sample(name, &labels, shown.not_after.as_secs());
        }
    }

    pub(super) fn process(&mut self, process: &ProcessSeries) {
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
                "portcullis_key_set_failures_total",
                "counter",
                "Failed attempts to fetch a key set.",
                process.key_set_failures.value(),
            ),
            (
                "portcullis_key_sets_missing",
                "gauge",
                "Key sets that are fetched and of which no keys can be used.",
                process.key_sets_missing.value(),
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
        let reached = process.quotas_reached.lock().unwrap_or_else(PoisonError::into_inner);
        if !reached.is_empty() {
            let name = "portcullis_quota_thresholds_total";
            self.family(name, "counter", "How often a threshold of a quota was reached.");
            for ((quota, percent), count) in &*reached {
                self.sample(name, &[("quota", quota.as_str()), ("percent", &percent.to_string())], count);
            }
        }
        drop(reached);
        if let Some(store) = process.store.get() {
            self.store(store);
        }
        self.family("portcullis_build_info", "gauge", "Always 1; the label says which build this is.");
        self.sample("portcullis_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    }

    fn store(&mut self, store: &StoreSeries) {
        let name = "portcullis_store_calls_total";
        self.family(name, "counter", "Calls of the shared store.");
        for (outcome, count) in Outcome::ALL.iter().zip(&store.calls) {
            self.sample(name, &[("outcome", outcome.name())], count.value());
        }
        let name = "portcullis_store_call_seconds_total";
        self.family(name, "counter", "Time that answered calls of the shared store took.");
        let micros = store.micros.value();
        let seconds = format_args!("{}.{:06}", micros / 1_000_000, micros % 1_000_000).to_string();
        self.sample(name, &[], seconds);
        let name = "portcullis_store_losses_total";
        self.family(name, "counter", "How often the shared store was lost.");
        self.sample(name, &[], store.losses.value());
        let name = "portcullis_store_up";
        self.family(name, "gauge", "1 while the shared store is asked, 0 while it is lost.");
        self.sample(name, &[], u8::from(store.is_up.load(Ordering::Relaxed)));
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
