//! Whether the store is asked at all.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// So many failures in a row, and the store counts as lost.
const FAILURES: u32 = 3;

/// A circuit breaker without a clock: a task of its own finds out when the store is back.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    is_open: AtomicBool,
    failures: AtomicU32,
    /// Counts how often it opened. Connections from before are not used again.
    era: AtomicU64,
}

impl Breaker {
    pub(super) fn admits(&self) -> bool {
        !self.is_open.load(Ordering::Acquire)
    }

    pub(super) fn era(&self) -> u64 {
        self.era.load(Ordering::Acquire)
    }

    pub(super) fn losses(&self) -> u64 {
        self.era()
    }

    pub(super) fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Counts a failure of a call that began in `era`; whether it is the one that opens.
    pub(super) fn failed(&self, era: u64) -> bool {
        era == self.era()
            && self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES
            && self.open_in(era)
    }

    /// Opens; whether it was closed. What began before the last time does not count.
    pub(super) fn open_in(&self, era: u64) -> bool {
        let opens = self.era.compare_exchange(era, era + 1, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if opens {
            self.is_open.store(true, Ordering::Release);
        }
        opens
    }

    pub(super) fn close(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.is_open.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_it_once_and_a_success_between_does_not() {
        let breaker = Breaker::default();
        for _ in 0..10 {
            assert!(!breaker.failed(0));
            assert!(!breaker.failed(0));
            breaker.succeeded();
        }
        assert_eq!([breaker.failed(0), breaker.failed(0), breaker.failed(0)], [false, false, true]);
        assert!(!breaker.admits());
        assert!(!breaker.failed(0), "calls that were under way open nothing a second time");
        breaker.close();
        assert!(breaker.admits());
        for _ in 0..10 {
            assert!(!breaker.failed(0), "nor after it closed");
        }
        assert!(breaker.admits());
        assert!(breaker.open_in(1));
        assert_eq!(breaker.losses(), 2);
    }
}
