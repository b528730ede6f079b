//! Counters, and their text for Prometheus.
//!
//! Recording a request is a handful of relaxed additions to places found by index; names meet numbers
//! only when the text is made. A reload makes new [`Metrics`] that share the counters of every route and
//! target of the same name with the old ones: nothing restarts at zero, and requests that finish under
//! the old configuration still count.

mod page;
mod series;
#[cfg(test)]
mod tests;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_core::{Denial, Judgement, Notes, RouteId, Timestamp, Verdict};

use page::Page;
use portcullis_store::redis::{Outcome, Redis};
use series::{ProcessSeries, RouteSeries, StoreSeries, TargetSeries};

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
    certificates: Mutex<Vec<ServedCertificate>>,
}

/// A certificate that is shown to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedCertificate {
    /// The listener that shows it.
    pub listener: String,
    /// Its file.
    pub file: String,
    /// When it ends.
    pub not_after: Timestamp,
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
            certificates: Mutex::default(),
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

    /// Counts an attempt to fetch a key set that failed.
    pub fn key_set_failed(&self) {
        self.process.key_set_failures.add(1);
    }

    /// Says how many key sets there are of which no keys can be used.
    pub fn key_sets_missing(&self, count: usize) {
        self.process.key_sets_missing.0.store(count as u64, Ordering::Relaxed);
    }

    /// Says which generation of the configuration is in force.
    pub fn config_generation(&self, generation: u64) {
        self.process.config_generation.0.store(generation, Ordering::Relaxed);
    }

    /// Takes over what is known of the shared store.
    pub fn store(&self, store: &Redis) {
        let series = self.process.store.get_or_init(StoreSeries::default);
        for (count, outcome) in series.calls.iter().zip(Outcome::ALL) {
            count.raise_to(store.calls(outcome));
        }
        series.losses.raise_to(store.losses());
        let micros = u64::try_from(store.call_time().as_micros()).unwrap_or(u64::MAX);
        series.micros.raise_to(micros);
        series.is_up.store(store.is_up(), Ordering::Relaxed);
    }

    /// Counts a threshold of a quota, in percent, that somebody reached.
    pub fn quota_reached(&self, quota: &str, percent: u16) {
        let mut reached = self.process.quotas_reached.lock().unwrap_or_else(PoisonError::into_inner);
        *reached.entry((quota.to_owned(), percent)).or_default() += 1;
    }

    /// Counts a configuration that was not taken at a reload.
    pub fn config_reload_failed(&self) {
        self.process.config_reload_failures.add(1);
    }

    /// Says which certificates are shown to clients.
    pub fn served_certificates(&self, certificates: Vec<ServedCertificate>) {
        *self.certificates.lock().unwrap_or_else(PoisonError::into_inner) = certificates;
    }

    /// Everything in the Prometheus text format 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        let mut page = Page::default();
        page.routes(&self.shown_routes());
        page.targets(&distinct(&self.targets));
        page.certificates(&self.certificates.lock().unwrap_or_else(PoisonError::into_inner));
        page.process(&self.process);
        page.into_text()
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
