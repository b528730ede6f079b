//! What is counted, and how it is kept.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use portcullis_core::{Decision, Denial, Reason, StageId};
use portcullis_store::redis::Outcome;

use super::UpstreamOutcome;

/// A number that is only ever read to be shown, so that no order is needed.
#[derive(Debug, Default)]
pub(super) struct Count(pub(super) AtomicU64);

impl Count {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn raise_to(&self, total: u64) {
        self.0.fetch_max(total, Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(super) const STATUS_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

#[derive(Debug, Default)]
pub(super) struct RouteSeries {
    pub(super) route: String,
    pub(super) service: String,
    pub(super) requests: [[Count; Decision::COUNT]; STATUS_CLASSES.len()],
    pub(super) duration: Histogram,
    pub(super) denials: DenialCounts,
    pub(super) shadow_denials: DenialCounts,
}

impl RouteSeries {
    pub(super) fn new(route: &str, service: &str) -> Self {
        Self { route: route.to_owned(), service: service.to_owned(), ..Self::default() }
    }

    pub(super) fn count_request(&self, status: u16, decision: Decision) {
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
pub(super) struct DenialCounts(OnceLock<Vec<Count>>);

impl DenialCounts {
    pub(super) fn count(&self, denial: Denial) {
        let table = self.0.get_or_init(|| {
            std::iter::repeat_with(Count::default).take(StageId::COUNT * Reason::ALL.len()).collect()
        });
        if let Some(count) = table.get(denial.stage as usize * Reason::ALL.len() + denial.reason as usize) {
            count.add(1);
        }
    }

    pub(super) fn counted(&self) -> impl Iterator<Item = (StageId, Reason, u64)> {
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
pub(super) const BOUNDS: [(u64, &str); 14] = [
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
pub(super) struct Histogram {
    /// Not cumulative; the last one is beyond every bound.
    pub(super) buckets: [Count; BOUNDS.len() + 1],
    pub(super) sum_micros: Count,
}

impl Histogram {
    pub(super) fn observe(&self, took: Duration) {
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
pub(super) struct TargetSeries {
    pub(super) service: String,
    pub(super) target: String,
    pub(super) outcomes: [Count; UpstreamOutcome::ALL.len()],
    pub(super) unhealthy: AtomicBool,
}

impl TargetSeries {
    pub(super) fn new(service: &str, target: &str) -> Self {
        Self { service: service.to_owned(), target: target.to_owned(), ..Self::default() }
    }
}

/// What is known of the store that several gateways share.
#[derive(Debug, Default)]
pub(super) struct StoreSeries {
    pub(super) calls: [Count; Outcome::ALL.len()],
    pub(super) micros: Count,
    pub(super) losses: Count,
    pub(super) is_up: AtomicBool,
}

#[derive(Debug, Default)]
pub(super) struct ProcessSeries {
    /// Only if there is one.
    pub(super) store: OnceLock<StoreSeries>,
    pub(super) connections_opened: Count,
    pub(super) connections_closed: Count,
    pub(super) connections_refused: Count,
    pub(super) audit_dropped: Count,
    pub(super) audit_failures: Count,
    pub(super) key_set_failures: Count,
    pub(super) key_sets_missing: Count,
    pub(super) config_generation: Count,
    pub(super) config_reload_failures: Count,
    /// By quota and percent; only what was reached.
    pub(super) quotas_reached: Mutex<BTreeMap<(String, u16), u64>>,
}
