//! Whether a target is well: by its own failures (a circuit breaker) and by asking it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_core::Timestamp;
use portcullis_pipeline::settings::{ActiveHealth, PassiveHealth, TargetAddress};

use crate::event::{Event, Reporter};

/// Health of all targets, shared by the workers and kept across reloads.
#[derive(Debug)]
pub(crate) struct HealthBook {
    targets: Mutex<HashMap<(String, TargetAddress), Arc<TargetHealth>>>,
    reporter: Reporter,
}

impl HealthBook {
    /// Nothing is known yet; `reporter` hears when a target goes down or comes back.
    pub(crate) fn new(reporter: Reporter) -> Self {
        Self { targets: Mutex::default(), reporter }
    }

    /// The health of one target of one service; well until something else is known.
    pub(crate) fn of(&self, service: &str, address: &TargetAddress) -> Arc<TargetHealth> {
        let key = (service.to_owned(), address.clone());
        let new = || Arc::new(TargetHealth::new(service, address.as_str(), self.reporter.clone()));
        Arc::clone(self.targets.lock().entry(key).or_insert_with(new))
    }
}

/// What is known about one target.
#[derive(Debug)]
pub(crate) struct TargetHealth {
    service: String,
    target: String,
    reporter: Reporter,
    /// Whether the reporter heard last that it is down.
    is_told_down: AtomicBool,
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
    fn new(service: &str, target: &str, reporter: Reporter) -> Self {
        Self {
            service: service.to_owned(),
            target: target.to_owned(),
            reporter,
            is_told_down: AtomicBool::new(false),
            failures_in_a_row: AtomicU32::new(0),
            open_until: AtomicU64::new(0),
            probing: AtomicBool::new(false),
            found_down: AtomicBool::new(false),
            answers: Mutex::default(),
        }
    }

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
            self.tell("");
        }
    }

    /// The target refused, broke off or did not answer: `cause` says which.
    pub(crate) fn failed(&self, now: Timestamp, rules: &PassiveHealth, cause: &str) {
        let failures = self.failures_in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if failures >= rules.failures {
            self.open_until.store(now.plus(rules.open_for).0, Ordering::Release);
            self.tell(cause);
        }
        self.release_probe();
    }

    /// Takes the answer to a regular question into account: good, or what was wrong with it.
    pub(crate) fn answered(&self, answer: &Result<(), String>, rules: &ActiveHealth) {
        let mut answers = self.answers.lock();
        if answer.is_ok() {
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
        drop(answers);
        self.tell(answer.as_ref().err().map_or("", String::as_str));
    }

    /// Tells the reporter, if it heard something else last.
    fn tell(&self, cause: &str) {
        let is_down = self.found_down.load(Ordering::Relaxed) || self.open_until.load(Ordering::Acquire) != 0;
        if self.is_told_down.swap(is_down, Ordering::AcqRel) == is_down {
            return;
        }
        let (service, target) = (self.service.clone(), self.target.clone());
        self.reporter.tell(if is_down {
            Event::TargetDown { service, target, cause: cause.to_owned() }
        } else {
            Event::TargetUp { service, target }
        });
    }

    /// Whether requests are sent to it now: for metrics.
    pub(crate) fn is_well(&self, now: Timestamp) -> bool {
        self.availability(now) == Availability::Up
    }
}

/// Asks a target regularly, until the task is dropped. `ask` makes one question and says what was wrong with the answer.
pub(crate) async fn check_actively<F: Future<Output = Result<(), String>>>(
    health: Arc<TargetHealth>,
    rules: ActiveHealth,
    mut ask: impl FnMut() -> F,
) {
    let mut ticks = tokio::time::interval(rules.interval.max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let answer = tokio::time::timeout(rules.timeout, ask()).await;
        health.answered(&answer.unwrap_or_else(|_| Err("it did not answer in time".to_owned())), &rules);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: PassiveHealth = PassiveHealth { failures: 2, open_for: Duration::from_secs(10) };

    fn health() -> TargetHealth {
        TargetHealth::new("shop", "http://10.0.0.1:80", Reporter::new(drop))
    }

    #[test]
    fn the_breaker_opens_and_lets_one_probe_through() {
        let health = health();
        let start = Timestamp::from_secs(100);
        health.failed(start, &RULES, "refused");
        assert_eq!(health.availability(start), Availability::Up);
        health.failed(start, &RULES, "refused");
        assert_eq!(health.availability(start), Availability::Down);
        let later = start.plus(RULES.open_for);
        assert_eq!(health.availability(later), Availability::Probe);
        assert!(health.claim_probe());
        assert!(!health.claim_probe(), "one probe at a time");
        health.failed(later, &RULES, "refused");
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
        let health = health();
        let now = Timestamp::from_secs(1);
        for (answer, expected) in
            [(false, true), (false, false), (true, false), (false, false), (true, false), (true, true)]
        {
            health.answered(&answer.then_some(()).ok_or("503".to_owned()), &rules);
            assert_eq!(health.is_well(now), expected);
        }
    }

    #[test]
    fn only_changes_are_told_and_a_target_is_up_when_both_ways_say_so() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let reporter = Reporter::new(move |event| heard.lock().push(matches!(event, Event::TargetUp { .. })));
        let health = TargetHealth::new("shop", "http://10.0.0.1:80", reporter);
        let rules = ActiveHealth {
            path: "/".into(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            unhealthy_after: 1,
            healthy_after: 1,
        };
        let now = Timestamp::from_secs(1);
        (0..5).for_each(|_| health.failed(now, &RULES, "refused"));
        assert_eq!(*told.lock(), [false]);
        health.answered(&Err("503".to_owned()), &rules);
        health.succeeded();
        assert_eq!(*told.lock(), [false], "the questions say that it is down");
        (0..5).for_each(|_| health.answered(&Ok(()), &rules));
        assert_eq!(*told.lock(), [false, true]);
    }
}
