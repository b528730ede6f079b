//! The arithmetic of one bucket: the generic cell rate algorithm (ITU-T I.371, annex A) in its
//! "virtual scheduling" form, exact in whole numbers.
//!
//! A bucket is one point in time: when it will be full again, which the algorithm calls the theoretical
//! arrival time. A request moves that point one interval further, and passes if the point stays within
//! one depth (burst times interval) of the present. It is a token bucket without a tick and without
//! a second field.
//!
//! An interval is rarely a whole number of nanoseconds (3/s: 333333333 1/3). So time here has a fraction
//! with a denominator that belongs to the rate, and nothing is ever rounded: all roundings are in what is
//! reported, and always to the client's patience, never to its gain.

use std::num::NonZeroU32;
use std::time::Duration;

use portcullis_core::Timestamp;

use crate::Rate;

/// Nanoseconds since the epoch (or between two points in time) with a fraction. The fraction counts parts
/// of a nanosecond, of which each [`Gcra`] has its own number, and is always less than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Fine {
    pub(crate) nanos: u64,
    pub(crate) fraction: u32,
}

/// The rule of one limit. Points in time that two equal rules made mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gcra {
    /// Into how many parts a nanosecond is divided. At most [`Rate::MAX_PARTS`].
    parts: u32,
    /// The time in which one token comes back.
    interval: Fine,
    /// The same in parts.
    interval_parts: u64,
    /// The time in which an empty bucket fills: burst times interval.
    depth: Fine,
    /// How far ahead of the present a bucket may be for one more token: depth less one interval.
    tolerance: Fine,
}

impl Gcra {
    /// The longest time in which an empty bucket may take to fill. It keeps every sum below far from the
    /// end of 64 bits.
    pub(crate) const MAX_DEPTH: Duration = Rate::MAX_PERIOD;

    /// How much later than an empty bucket a point in time may be before it is taken for a sign that the
    /// clock was set back. Threads that read the clock one after another differ by far less.
    const CLOCK_SLACK: u64 = 1_000_000_000;

    /// The rule that lets `burst` requests pass at once and `rate` in the long run; `None` if filling an
    /// empty bucket would take longer than [`Self::MAX_DEPTH`].
    pub(crate) fn new(rate: Rate, burst: NonZeroU32) -> Option<Self> {
        Self::unbounded(rate, burst).bounded()
    }

    /// The rule by which requests go on one interval apart and none waits longer than `longest`.
    pub(crate) fn queue(rate: Rate, longest: Duration) -> Option<Self> {
        Self::unbounded(rate, NonZeroU32::MIN).with_queue(longest).bounded()
    }

    /// The share of one of `nodes` nodes: its tokens come back that many times as slowly.
    pub(crate) fn share(rate: Rate, burst: NonZeroU32, nodes: NonZeroU32) -> Self {
        let (interval_parts, parts) = rate.interval();
        Self::of_interval(interval_parts.saturating_mul(u64::from(nodes.get())), parts, burst)
    }

    /// The same for a queue.
    pub(crate) fn queue_share(&self, rate: Rate, nodes: NonZeroU32) -> Self {
        let longest = Duration::from_nanos(self.tolerance.nanos);
        Self::share(rate, NonZeroU32::MIN, nodes).with_queue(longest)
    }

    fn with_queue(self, longest: Duration) -> Self {
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        let tolerance = Fine { nanos, fraction: 0 };
        Self { tolerance, depth: self.add(tolerance, self.interval), ..self }
    }

    fn bounded(self) -> Option<Self> {
        (u128::from(self.depth.nanos) <= Self::MAX_DEPTH.as_nanos()).then_some(self)
    }

    /// Interval and depth in microseconds: whole, rest and denominator of the first, whole and rest of the second.
    pub(crate) fn in_micros(&self) -> [u64; 5] {
        // The fraction of a microsecond has a denominator a thousand times as large, reduced as far as that goes.
        let parts = u64::from(self.parts) * 1_000;
        let fraction = |fine: Fine| (fine.nanos % 1_000) * u64::from(self.parts) + u64::from(fine.fraction);
        let common = (1..=1_000)
            .rev()
            .find(|by| [parts, fraction(self.interval), fraction(self.depth)].iter().all(|it| it % by == 0))
            .unwrap_or(1);
        let interval = (self.interval.nanos / 1_000, fraction(self.interval) / common);
        let depth = (self.depth.nanos / 1_000, fraction(self.depth) / common);
        [interval.0, interval.1, parts / common, depth.0, depth.1]
    }

    /// The rule whose burst is the count of the rate. It always exists, for no period is too long.
    pub(crate) fn filling_in_one_period(rate: Rate) -> Self {
        Self::unbounded(rate, rate.count())
    }

    fn unbounded(rate: Rate, burst: NonZeroU32) -> Self {
        let (interval_parts, parts) = rate.interval();
        Self::of_interval(interval_parts, parts, burst)
    }

    fn of_interval(interval_parts: u64, parts: u32, burst: NonZeroU32) -> Self {
        let fine = |times: u32| {
            let total = u128::from(times) * u128::from(interval_parts);
            let (nanos, fraction) = (total / u128::from(parts), total % u128::from(parts));
            // A remainder is less than its divisor, which is a `u32`.
            Fine { nanos: u64::try_from(nanos).unwrap_or(u64::MAX), fraction: fraction as u32 }
        };
        let (interval, depth, tolerance) = (fine(1), fine(burst.get()), fine(burst.get() - 1));
        Self { parts, interval, interval_parts, depth, tolerance }
    }

    /// Takes `cost` tokens from the bucket that will be full at `full_at`: `Ok` with the new such point, or
    /// `Err` with the time after which they will be there (at least 1 ns).
    pub(crate) fn take(&self, full_at: Fine, now: Timestamp, cost: u32) -> Result<Fine, Duration> {
        let present = Fine { nanos: now.0, fraction: 0 };
        if cost == 1 {
            if full_at <= self.add(present, self.tolerance) {
                return Ok(self.add(full_at.max(present), self.interval));
            }
            let next = self.subtract(full_at, self.tolerance);
            return Err(Duration::from_nanos(next.ceil().saturating_sub(now.0).max(1)));
        }
        let next = self.add(full_at.max(present), self.times(cost));
        if next <= self.add(present, self.depth) {
            return Ok(next);
        }
        let first = self.subtract(next, self.depth);
        Err(Duration::from_nanos(first.ceil().saturating_sub(now.0).max(1)))
    }

    /// The time in which so many tokens come back.
    fn times(&self, count: u32) -> Fine {
        let total = u128::from(count) * u128::from(self.interval_parts);
        let (nanos, fraction) = (total / u128::from(self.parts), total % u128::from(self.parts));
        Fine { nanos: u64::try_from(nanos).unwrap_or(u64::MAX), fraction: fraction as u32 }
    }

    /// The bucket with so many tokens more.
    pub(crate) fn give_back(&self, full_at: Fine, cost: u32) -> Fine {
        self.subtract(full_at, self.times(cost))
    }

    /// The bucket with so many tokens less, or with none.
    pub(crate) fn charge(&self, full_at: Fine, now: Timestamp, cost: u32) -> Fine {
        let present = Fine { nanos: now.0, fraction: 0 };
        let empty = self.add(present, self.depth).max(full_at);
        self.add(full_at.max(present), self.times(cost)).min(empty)
    }

    /// How many tokens are left in the bucket.
    pub(crate) fn remaining(&self, full_at: Fine, now: Timestamp) -> u64 {
        let missing = self.subtract(full_at, Fine { nanos: now.0, fraction: 0 });
        let left = self.subtract(self.depth, missing);
        let left = u128::from(left.nanos) * u128::from(self.parts) + u128::from(left.fraction);
        // Most rates have one part per nanosecond, and then this is the short division.
        match u64::try_from(left) {
            Ok(left) => left / self.interval_parts,
            Err(_) => u64::try_from(left / u128::from(self.interval_parts)).unwrap_or(u64::MAX),
        }
    }

    /// The time after which the bucket is full.
    pub(crate) fn refill(full_at: Fine, now: Timestamp) -> Duration {
        Duration::from_nanos(full_at.ceil().saturating_sub(now.0))
    }

    /// A bucket that is later than any bucket can be was filled before the clock was set back: an empty
    /// bucket of the present takes its place. It would be locked for as long as the clock went back
    /// otherwise.
    pub(crate) fn after_clock_step(&self, full_at: Fine, now: Timestamp) -> Option<Fine> {
        let empty = self.add(Fine { nanos: now.0, fraction: 0 }, self.depth);
        (full_at.nanos > empty.nanos.saturating_add(Self::CLOCK_SLACK)).then_some(empty)
    }

    /// The later point; at the end of time it stays there.
    const fn add(&self, a: Fine, b: Fine) -> Fine {
        let fraction = a.fraction + b.fraction;
        let (carry, fraction) =
            if fraction < self.parts { (0, fraction) } else { (1, fraction - self.parts) };
        Fine { nanos: a.nanos.saturating_add(b.nanos).saturating_add(carry), fraction }
    }

    /// `a` less `b`; zero if `b` is the greater.
    fn subtract(&self, a: Fine, b: Fine) -> Fine {
        if a <= b {
            Fine::default()
        } else if a.fraction >= b.fraction {
            Fine { nanos: a.nanos - b.nanos, fraction: a.fraction - b.fraction }
        } else {
            Fine { nanos: a.nanos - b.nanos - 1, fraction: a.fraction + self.parts - b.fraction }
        }
    }
}

impl From<Timestamp> for Fine {
    fn from(now: Timestamp) -> Self {
        Self { nanos: now.0, fraction: 0 }
    }
}

impl Fine {
    /// Whole nanoseconds, rounded up.
    const fn ceil(self) -> u64 {
        if self.fraction == 0 { self.nanos } else { self.nanos.saturating_add(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn rule(rate: &str, burst: u32) -> Gcra {
        Gcra::new(rate.parse().unwrap(), NonZeroU32::new(burst).unwrap()).unwrap()
    }

    /// Takes until it is refused: how many passed, and the wait.
    fn drain(rule: &Gcra, full_at: &mut Fine, now: Timestamp) -> (u32, Duration) {
        let mut passed = 0;
        loop {
            match rule.take(*full_at, now, 1) {
                Ok(next) => (*full_at, passed) = (next, passed + 1),
                Err(wait) => return (passed, wait),
            }
        }
    }

    #[test]
    fn a_third_of_a_second_loses_nothing_in_a_thousand_seconds() {
        let rule = rule("3/s", 3);
        let mut full_at = Fine::default();
        let (passed, wait) = drain(&rule, &mut full_at, NOW);
        assert_eq!((passed, wait), (3, Duration::from_nanos(333_333_334)));
        for second in 1..=1_000 {
            let now = NOW.plus(Duration::from_secs(second));
            assert_eq!(drain(&rule, &mut full_at, now).0, 3, "{second}");
        }
    }

    #[test]
    fn the_wait_is_the_first_moment_that_passes() {
        for (rate, burst) in [("3/s", 1), ("7/min", 4), ("999983/s", 10), ("5/d", 5)] {
            let rule = rule(rate, burst);
            let mut full_at = Fine::default();
            let (passed, wait) = drain(&rule, &mut full_at, NOW);
            assert_eq!(passed, burst);
            assert!(rule.take(full_at, NOW.plus(wait), 1).is_ok(), "{rate}");
            assert!(rule.take(full_at, NOW.plus(wait - Duration::from_nanos(1)), 1).is_err(), "{rate}");
        }
    }

    #[test]
    fn the_ends_of_time_saturate() {
        let rule = rule("1/366d", 1);
        for now in [Timestamp(0), Timestamp(u64::MAX)] {
            for full_at in [Fine::default(), Fine { nanos: u64::MAX, fraction: 0 }] {
                let outcome = rule.take(full_at, now, 1);
                assert_eq!(outcome.is_err(), now.0 == 0 && full_at.nanos == u64::MAX);
                assert!(rule.remaining(full_at, now) <= 1);
                assert!(Gcra::refill(full_at, now) <= Duration::from_nanos(u64::MAX));
            }
        }
    }

    #[test]
    fn a_bucket_that_would_take_more_than_a_year_to_fill_is_none() {
        let burst = |count| NonZeroU32::new(count).unwrap();
        assert!(Gcra::new("1/d".parse().unwrap(), burst(366)).is_some());
        assert!(Gcra::new("1/d".parse().unwrap(), burst(367)).is_none());
        assert!(Gcra::new("1/366d".parse().unwrap(), burst(u32::MAX)).is_none());
    }

    #[test]
    fn only_a_step_of_the_clock_is_taken_for_one() {
        let rule = rule("1/min", 1);
        let full_at = rule.take(Fine::default(), NOW, 1).unwrap();
        let earlier = |nanos| Timestamp(NOW.0 - nanos);
        assert_eq!(rule.after_clock_step(full_at, NOW), None);
        assert_eq!(rule.after_clock_step(full_at, earlier(Gcra::CLOCK_SLACK)), None);
        let stepped = earlier(3_600_000_000_000);
        let healed = rule.after_clock_step(full_at, stepped).unwrap();
        assert_eq!(rule.take(healed, stepped, 1), Err(Duration::from_secs(60)));
    }
}
