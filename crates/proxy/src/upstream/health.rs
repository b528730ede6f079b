//! Whether a target is well: by its own failures (a circuit breaker) and by asking it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_core::Timestamp;
use portcullis_pipeline::settings::{ActiveHealth, PassiveHealth, TargetAddress};

/// Health of all targets, shared by the workers and kept across reloads.
#[derive(Debug, Default)]
pub(crate) struct HealthBook {
    targets: Mutex<HashMap<(String, TargetAddress), Arc<TargetHealth>>>,
}

impl HealthBook {
    /// The health of one target of one service; well until something else is known.
    pub(crate) fn of(&self, service: &str, address: &TargetAddress) -> Arc<TargetHealth> {
        Arc::clone(self.targets.lock().entry((service.to_owned(), address.clone())).or_default())
    }
}

/// What is known about one target.
#[derive(Debug, Default)]
pub(crate) struct TargetHealth {
    failures_in_a_row: AtomicU32,
    /// Nanoseconds since the epoch until which the breaker is open; 0 when it is closed.
    open_until: AtomicU64,
    probing: AtomicBool,
    found_down: AtomicBool,
    /// Answers to regular questions: positive counts successes in a row, and so on.
    answers: Mutex<Answers>,
}

#[derive(Debug, Default)]
struct Answers {
    good_in_a_row: u32,
    bad_in_a_row: u32,
}

/// Whether a target may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Availability {
    /// Yes.
    Up,
    /// By one request, to see whether it is well again.
    Probe,
    /// No.
    Down,
}

impl TargetHealth {
    pub(crate) fn availability(&self, now: Timestamp) -> Availability {
        if self.found_down.load(Ordering::Relaxed) {
            return Availability::Down;
        }
        match self.open_until.load(Ordering::Acquire) {
            0 => Availability::Up,
            until if now.0 < until => Availability::Down,
            _ => Availability::Probe,
        }
    }

    /// True for the one caller that may try a half-open target.
    pub(crate) fn claim_probe(&self) -> bool {
        self.probing.compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Gives a claimed probe back without an outcome (the request was given up before it told anything).
    pub(crate) fn release_probe(&self) {
        self.probing.store(false, Ordering::Release);
    }

    /// The target answered.
    pub(crate) fn succeeded(&self) {
        if self.failures_in_a_row.load(Ordering::Relaxed) != 0 {
            self.failures_in_a_row.store(0, Ordering::Relaxed);
        }
        if self.open_until.load(Ordering::Relaxed) != 0 {
            self.open_until.store(0, Ordering::Release);
            self.release_probe();
        }
    }

    /// The target refused, broke off or did not answer.
    pub(crate) fn failed(&self, now: Timestamp, rules: &PassiveHealth) {
        let failures = self.failures_in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if failures >= rules.failures {
            self.open_until.store(now.plus(rules.open_for).0, Ordering::Release);
        }
        self.release_probe();
    }

    /// Takes the answer to a regular question into account.
    pub(crate) fn answered(&self, is_well: bool, rules: &ActiveHealth) {
        let mut answers = self.answers.lock();
        if is_well {
            *answers = Answers { good_in_a_row: answers.good_in_a_row.saturating_add(1), bad_in_a_row: 0 };
            if answers.good_in_a_row >= rules.healthy_after {
                self.found_down.store(false, Ordering::Relaxed);
            }
        } else {
            *answers = Answers { good_in_a_row: 0, bad_in_a_row: answers.bad_in_a_row.saturating_add(1) };
            if answers.bad_in_a_row >= rules.unhealthy_after {
                self.found_down.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Whether requests are sent to it now: for metrics.
    pub(crate) fn is_well(&self, now: Timestamp) -> bool {
        self.availability(now) == Availability::Up
    }
}

/// Asks a target regularly, until the task is dropped. `ask` makes one question and says whether the answer
/// was good.
pub(crate) async fn check_actively<F: Future<Output = bool>>(
    health: Arc<TargetHealth>,
    rules: ActiveHealth,
    mut ask: impl FnMut() -> F,
) {
    let mut ticks = tokio::time::interval(rules.interval.max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let is_well = tokio::time::timeout(rules.timeout, ask()).await.unwrap_or(false);
        health.answered(is_well, &rules);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: PassiveHealth = PassiveHealth { failures: 2, open_for: Duration::from_secs(10) };

    #[test]
    fn the_breaker_opens_and_lets_one_probe_through() {
        let health = TargetHealth::default();
        let start = Timestamp::from_secs(100);
        health.failed(start, &RULES);
        assert_eq!(health.availability(start), Availability::Up);
        health.failed(start, &RULES);
        assert_eq!(health.availability(start), Availability::Down);
        let later = start.plus(RULES.open_for);
        assert_eq!(health.availability(later), Availability::Probe);
        assert!(health.claim_probe());
        assert!(!health.claim_probe(), "one probe at a time");
        health.failed(later, &RULES);
        assert_eq!(health.availability(later), Availability::Down);
        let again = later.plus(RULES.open_for);
        assert!(health.claim_probe());
        health.succeeded();
        assert_eq!(health.availability(again), Availability::Up);
    }

    #[test]
    fn regular_questions_take_a_target_out_and_bring_it_back() {
        let rules = ActiveHealth {
            path: "/".into(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            unhealthy_after: 2,
            healthy_after: 2,
        };
        let health = TargetHealth::default();
        let now = Timestamp::from_secs(1);
        for (answer, expected) in
            [(false, true), (false, false), (true, false), (false, false), (true, false), (true, true)]
        {
            health.answered(answer, &rules);
            assert_eq!(health.is_well(now), expected);
        }
    }
}
