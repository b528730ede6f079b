//! Counting by windows of the clock: they begin at multiples of their length since the epoch.
//!
//! Both kinds pack their state into what a bucket is, a point in time with a fraction (see [`Fine`]): the number of the
//! window comes first, so that a later state is a greater one.

use std::time::Duration;

use portcullis_core::Timestamp;

use crate::gcra::Fine;

/// A number of requests in each window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// In nanoseconds; at least a second, so that the number of a window has 32 bits until 2106.
    period: u64,
    limit: u32,
}

/// The most that a sliding window counts: 26 bits.
pub(crate) const MOST_SLIDING: u32 = (1 << 26) - 1;

const FRACTION: u32 = 20;

/// How many in this window and in the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    here: u32,
    earlier: u32,
}

impl Window {
    pub(crate) const fn new(period: Duration, limit: u32) -> Self {
        let seconds = if period.as_secs() == 0 { 1 } else { period.as_secs() };
        Self { period: seconds.saturating_mul(1_000_000_000), limit }
    }

    pub(crate) const fn limit(self) -> u32 {
        self.limit
    }

    /// In microseconds, as the shared store counts.
    pub(crate) const fn micros(self) -> u64 {
        self.period / 1_000
    }

    const fn number(self, now: Timestamp) -> u64 {
        now.0 / self.period
    }

    /// The window that a state counts in: the present one, or the next if another thread's clock has reached it already.
    const fn number_of(self, state: Fine, now: Timestamp) -> u64 {
        let (number, present) = (state.nanos >> 32, self.number(now));
        if number == present + 1 { number } else { present }
    }

    /// A state of a window that is further away is from before the clock was set back: it counts in the present one.
    pub(crate) const fn after_clock_step(self, state: Fine, now: Timestamp) -> Option<Fine> {
        if state.nanos >> 32 <= self.number(now) + 1 {
            return None;
        }
        Some(Fine { nanos: self.number(now) << 32 | (state.nanos & 0xffff_ffff), fraction: state.fraction })
    }

    /// The time since the window began.
    const fn elapsed(self, now: Timestamp) -> u64 {
        now.0 % self.period
    }

    fn nanos(nanos: u64) -> Duration {
        Duration::from_nanos(nanos)
    }
}

/// Windows that begin anew.
impl Window {
    /// The greatest state that says nothing any more.
    pub(crate) const fn fixed_vacant(self, now: Timestamp) -> Fine {
        Fine { nanos: (self.number(now) << 32).saturating_sub(1), fraction: u32::MAX }
    }

    const fn fixed_count(self, state: Fine, now: Timestamp) -> u32 {
        if state.nanos >> 32 == self.number_of(state, now) { state.nanos as u32 } else { 0 }
    }

    pub(crate) fn fixed_take(self, state: Fine, now: Timestamp, cost: u32) -> Result<Fine, Duration> {
        let count = self.fixed_count(state, now);
        match count.checked_add(cost).filter(|count| *count <= self.limit) {
            Some(count) => Ok(self.fixed_state(state, count, now)),
            None => Err(self.fixed_reset(now)),
        }
    }

    /// The state that follows `state` with this count.
    const fn fixed_state(self, state: Fine, count: u32, now: Timestamp) -> Fine {
        Fine { nanos: self.number_of(state, now) << 32 | count as u64, fraction: 0 }
    }

    pub(crate) fn fixed_remaining(self, state: Fine, now: Timestamp) -> u64 {
        u64::from(self.limit.saturating_sub(self.fixed_count(state, now)))
    }

    pub(crate) fn fixed_reset(self, now: Timestamp) -> Duration {
        Self::nanos(self.period - self.elapsed(now))
    }
}

/// Windows that slide, approximated by two fixed ones: the requests of the earlier count by as much of it as the sliding
/// window still covers, as if they had come evenly. If they did not, the true number in the window may differ from
/// the estimate by what of the earlier window came unevenly: at most its count times the part covered.
impl Window {
    pub(crate) const fn sliding_vacant(self, now: Timestamp) -> Fine {
        Fine { nanos: (self.number(now).saturating_sub(1) << 32).saturating_sub(1), fraction: u32::MAX }
    }

    fn counts(self, state: Fine, now: Timestamp) -> Counts {
        let (number, present) = (state.nanos >> 32, self.number_of(state, now));
        let here = (state.nanos as u32) >> 6;
        let earlier = (state.nanos as u32 & 0x3f) << FRACTION | state.fraction;
        if number == present {
            Counts { here, earlier }
        } else if number + 1 == present {
            Counts { here: 0, earlier: here }
        } else {
            Counts::default()
        }
    }

    /// The state that follows `state` with these counts.
    const fn pack(self, state: Fine, counts: Counts, now: Timestamp) -> Fine {
        let Counts { here, earlier } = counts;
        let nanos = self.number_of(state, now) << 32 | (here as u64) << 6 | (earlier >> FRACTION) as u64;
        Fine { nanos, fraction: earlier & ((1 << FRACTION) - 1) }
    }

    fn estimate(self, counts: Counts, now: Timestamp) -> u32 {
        let covered = u128::from(self.period - self.elapsed(now));
        let earlier = u128::from(counts.earlier) * covered / u128::from(self.period);
        // No more than `earlier`, which has 32 bits.
        counts.here.saturating_add(u32::try_from(earlier).unwrap_or(u32::MAX))
    }

    pub(crate) fn sliding_take(self, state: Fine, now: Timestamp, cost: u32) -> Result<Fine, Duration> {
        let counts = self.counts(state, now);
        if self.estimate(counts, now).saturating_add(cost) <= self.limit {
            return Ok(self.pack(state, Counts { here: counts.here + cost, ..counts }, now));
        }
        Err(self.sliding_wait(counts, now, cost))
    }

    /// The first moment at which the estimate leaves room for `cost`.
    fn sliding_wait(self, counts: Counts, now: Timestamp, cost: u32) -> Duration {
        let into = self.elapsed(now);
        // When `earlier * (period - t) / period`, rounded down, is at most `room`.
        let first = |room: u32, earlier: u32| {
            let kept = (u128::from(room) + 1) * u128::from(self.period);
            let kept = kept.div_ceil(u128::from(earlier.max(1))).saturating_sub(1);
            self.period.saturating_sub(u64::try_from(kept).unwrap_or(u64::MAX))
        };
        let wait = match self.limit.checked_sub(counts.here.saturating_add(cost)) {
            Some(room) => first(room, counts.earlier).saturating_sub(into),
            None => self.period - into + first(self.limit.saturating_sub(cost), counts.here),
        };
        Self::nanos(wait.max(1))
    }

    pub(crate) fn sliding_remaining(self, state: Fine, now: Timestamp) -> u64 {
        u64::from(self.limit.saturating_sub(self.estimate(self.counts(state, now), now)))
    }

    pub(crate) fn sliding_reset(self, state: Fine, now: Timestamp) -> Duration {
        let Counts { here, earlier } = self.counts(state, now);
        let left = self.period - self.elapsed(now);
        match (here, earlier) {
            (0, 0) => Duration::ZERO,
            (0, _) => Self::nanos(left),
            _ => Self::nanos(left + self.period),
        }
    }

    /// What a new key finds in the place of another: the requests of this window, and in the one before as many as there
    /// can have been. A key that was pushed out may have had more there than the one whose place it takes.
    pub(crate) fn sliding_inherited(self, state: Fine, now: Timestamp) -> Fine {
        if state.nanos >> 32 < self.number_of(state, now) {
            return state;
        }
        self.pack(state, Counts { earlier: self.limit, ..self.counts(state, now) }, now)
    }

    pub(crate) fn sliding_give_back(self, state: Fine, now: Timestamp, cost: u32) -> Fine {
        let counts = self.counts(state, now);
        self.pack(state, Counts { here: counts.here.saturating_sub(cost), ..counts }, now)
    }

    pub(crate) fn sliding_charge(self, state: Fine, now: Timestamp, cost: u32) -> Fine {
        let counts = self.counts(state, now);
        let here = counts.here.saturating_add(cost).min(self.limit.max(counts.here));
        self.pack(state, Counts { here, ..counts }, now)
    }

    pub(crate) fn fixed_give_back(self, state: Fine, now: Timestamp, cost: u32) -> Fine {
        self.fixed_state(state, self.fixed_count(state, now).saturating_sub(cost), now)
    }

    pub(crate) fn fixed_charge(self, state: Fine, now: Timestamp, cost: u32) -> Fine {
        let count = self.fixed_count(state, now);
        self.fixed_state(state, count.saturating_add(cost).min(self.limit.max(count)), now)
    }
}
