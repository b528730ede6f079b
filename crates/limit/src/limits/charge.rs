//! Taking from several counters of this process at once.

use std::time::Duration;

use portcullis_core::{LimitState, Timestamp};
use smallvec::SmallVec;

use super::{Counter, Refused};
use crate::gcra::Fine;
use crate::table::Bucket;

/// Takes from all counters, or from none if one that does not only watch has no room.
pub(super) fn take<'l>(
    counters: impl Iterator<Item = Counter<'l>>,
    now: Timestamp,
    states: &mut SmallVec<[LimitState; 2]>,
) -> Result<(), Refused> {
    let mut charges = SmallVec::<[Charge<'_>; 3]>::new();
    charges.extend(counters.map(|counter| Charge::new(counter, now)));
    let refused = charges.iter().filter_map(Charge::refusal).max();
    // All locks are held until every limit has been asked, and nothing can fail from here on.
    for charge in &mut charges {
        states.push(charge.settle(refused.is_none(), now));
    }
    refused.map_or(Ok(()), |wait| Err(Refused::TooSoon(wait)))
}

/// One limit's part of a request: asked for, not yet taken.
pub(super) struct Charge<'l> {
    counter: Counter<'l>,
    bucket: Bucket<'l>,
    found: Fine,
    outcome: Result<Fine, Duration>,
}

impl<'l> Charge<'l> {
    pub(super) fn new(counter: Counter<'l>, now: Timestamp) -> Self {
        let mut bucket = counter.table.lock(counter.digest, counter.rule.vacant(now));
        let mut found = bucket.full_at();
        if let Some(empty) = counter.rule.after_clock_step(found, now) {
            bucket.fill_at(empty);
            found = empty;
        }
        if bucket.is_anothers() && found > counter.rule.vacant(now) {
            found = counter.rule.inherited(found, now);
        }
        let outcome = counter.rule.take(found, now, counter.limit.cost);
        Self { counter, bucket, found, outcome }
    }

    fn refusal(&self) -> Option<Duration> {
        self.outcome.err().filter(|_| !self.counter.limit.watches)
    }

    /// Takes if all limits have room; says how this one stands.
    fn settle(&mut self, all_pass: bool, now: Timestamp) -> LimitState {
        let mut state = self.found;
        if let (Ok(next), true) = (self.outcome, all_pass) {
            self.bucket.fill_at(next);
            state = next;
        }
        let rule = self.counter.rule;
        let reset = self.outcome.err().unwrap_or_else(|| rule.reset(state, now));
        let turn = if self.outcome.is_ok() { rule.turn(self.found, now) } else { Duration::ZERO };
        self.counter.limit.state(rule.remaining(state, now), reset, self.outcome.is_err(), turn)
    }

    /// How the counter stands, with what this request took already.
    pub(super) fn look(counter: Counter<'l>, now: Timestamp) -> LimitState {
        let bucket = counter.table.lock(counter.digest, counter.rule.vacant(now));
        let state = bucket.full_at();
        let rule = counter.rule;
        let turn = rule.turn_taken(state, now, counter.limit.cost);
        counter.limit.state(rule.remaining(state, now), rule.reset(state, now), false, turn)
    }

    /// Gives back what this request took a moment ago.
    pub(super) fn give_back(counter: Counter<'l>, now: Timestamp) -> LimitState {
        let mut bucket = counter.table.lock(counter.digest, counter.rule.vacant(now));
        let rule = counter.rule;
        let mut state = bucket.full_at();
        // What was pushed out meanwhile is another key's, and so is what it holds.
        if !bucket.is_anothers() {
            state = rule.give_back(state, now, counter.limit.cost);
            bucket.fill_at(state);
        }
        counter.limit.state(rule.remaining(state, now), rule.reset(state, now), false, Duration::ZERO)
    }

    /// Takes out what the counter says was taken from it: the shared store is told, and counts on.
    pub(super) fn owed(counter: Counter<'l>, now: Timestamp) -> u32 {
        let vacant = counter.rule.vacant(now);
        let mut bucket = counter.table.lock(counter.digest, vacant);
        let state = bucket.full_at();
        if bucket.is_anothers() || state <= vacant {
            return 0;
        }
        let taken = counter.rule.capacity().saturating_sub(counter.rule.remaining(state, now));
        bucket.fill_at(Fine::default());
        u32::try_from(taken).unwrap_or(u32::MAX)
    }

    /// Puts back what the store was not told after all.
    pub(super) fn owe(counter: Counter<'l>, now: Timestamp, owed: u32) {
        let mut bucket = counter.table.lock(counter.digest, counter.rule.vacant(now));
        let state = counter.rule.charge(bucket.full_at(), now, owed);
        bucket.fill_at(state);
    }
}
