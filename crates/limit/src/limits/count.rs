//! Counting a request here and in a shared store: in two steps, between which the store is asked.

use std::time::Duration;

use portcullis_core::{LimitState, SharedCount, Timestamp};
use smallvec::SmallVec;

use super::{Asked, Asking, Charge, LimitId, Limits, Refused, charge};
use crate::key::Subject;
use crate::lease::MOST_AHEAD;
use crate::shared::{Ask, Mode, Outage, Shared, said};

/// How the first step ends.
#[derive(Debug)]
pub enum Counted {
    /// Everything was taken.
    Taken,
    /// Nothing was taken.
    Refused(Refused),
    /// A store must be asked before that is known. Go on with [`Limits::conclude`].
    Asks(Box<Ask>),
}

type States = SmallVec<[LimitState; 2]>;

impl Limits {
    /// Takes as [`Self::take`] does, as far as that can be done here; says what a shared store must be asked for the rest.
    /// Appends to `states` only if nothing must be asked.
    pub fn count(
        &self,
        ids: &[LimitId],
        subject: &Subject<'_>,
        now: Timestamp,
        states: &mut States,
    ) -> Counted {
        let mut asked = Asked::new();
        if let Err(refused) = self.applicable(ids, subject, now, &mut asked) {
            return Counted::Refused(refused);
        }
        let here = asked.iter().filter(|asking| asking.limit.shared.is_none()).map(Asking::local);
        let mut found = States::new();
        if let Err(refused) = charge::take(here, now, &mut found) {
            states.append(&mut found);
            return Counted::Refused(refused);
        }
        let Some(ask) = ask(&asked, now, &mut found) else {
            states.append(&mut found);
            return Counted::Taken;
        };
        Counted::Asks(Box::new(ask))
    }

    /// Decides about a request of which [`Self::count`] said what to ask, with what came of it.
    ///
    /// # Errors
    /// When at least one limit has no room left or cannot be counted. What was taken is given back.
    pub fn conclude(
        &self,
        ids: &[LimitId],
        subject: &Subject<'_>,
        now: Timestamp,
        answer: &SharedCount,
        states: &mut States,
    ) -> Result<(), Refused> {
        let mut asked = Asked::new();
        self.applicable(ids, subject, now, &mut asked)?;
        let outcome = match answer {
            SharedCount::Answered { asked: places, numbers } => {
                settle_answered(&asked, places, numbers, now, states)
            }
            SharedCount::Unanswered { asked: places, owed } => {
                settle_unanswered(&asked, places, owed, now, states)
            }
        };
        let (SharedCount::Answered { asked: places, .. } | SharedCount::Unanswered { asked: places, .. }) =
            answer;
        for asking in asked.iter().filter(|asking| !places.contains(&asking.place)) {
            states.push(asking.settle_taken(outcome.is_ok(), now));
        }
        outcome
    }
}

/// What the store must be asked; none if what was leased ahead is enough.
fn ask(asked: &Asked<'_>, now: Timestamp, found: &mut States) -> Option<Ask> {
    let mut ask: Option<Ask> = None;
    for asking in asked {
        let limit = asking.limit;
        let Some(shared) = &limit.shared else { continue };
        let mut most = limit.cost;
        if let Mode::Leased { batch, leases } = &shared.mode {
            if let Some((left, lasts)) = leases.take(asking.digest, now, limit.cost) {
                found.push(limit.state(left.into(), lasts, false, Duration::ZERO));
                continue;
            }
            if leases.begin(asking.digest, now) {
                most = most.saturating_add(*batch).min(MOST_AHEAD);
            }
        }
        let owed = match &shared.outage {
            Outage::Local { .. } => Charge::owed(asking.local(), now),
            Outage::Deny => 0,
        };
        let key = shared.name(&limit.counted_as, &limit.rule, asking.digest);
        ask.get_or_insert_with(|| Ask::new(&shared.redis)).push(
            asking.place,
            key,
            &limit.rule,
            limit.watches,
            [limit.cost, most, owed],
        );
    }
    ask.filter(|ask| !ask.is_empty())
}

fn settle_answered(
    asked: &Asked<'_>,
    places: &[u32],
    numbers: &[i64],
    now: Timestamp,
    states: &mut States,
) -> Result<(), Refused> {
    let allowed = numbers.first() == Some(&1);
    let mut longest = Duration::from_micros(1);
    for (at, place) in places.iter().enumerate() {
        let Some(asking) = asked.iter().find(|asking| asking.place == *place) else { continue };
        // The length of the answer was checked when it came.
        let Some(said) = said(numbers, at) else { continue };
        let limit = asking.limit;
        let takes = allowed && said.has_room;
        let mut left = said.left;
        if let Some(Shared { mode: Mode::Leased { leases, .. }, .. }) = &limit.shared {
            let ahead = if takes { said.taken.saturating_sub(limit.cost) } else { 0 };
            leases.end(asking.digest, now, ahead);
            left = left.saturating_add(ahead.into());
        }
        let exceeded = !said.has_room;
        if exceeded && !limit.watches {
            longest = longest.max(said.reset);
        }
        let left = if takes { left } else { said.before };
        let turn = if takes && limit.is_queue() { said.turn } else { Duration::ZERO };
        states.push(limit.state(left, said.reset, exceeded, turn));
    }
    if allowed { Ok(()) } else { Err(Refused::TooSoon(longest)) }
}

/// The store is lost: what its limits say for that case.
fn settle_unanswered(
    asked: &Asked<'_>,
    places: &[u32],
    owed: &[u32],
    now: Timestamp,
    states: &mut States,
) -> Result<(), Refused> {
    let mut is_countable = true;
    for (place, owed) in places.iter().zip(owed) {
        let Some(asking) = asked.iter().find(|asking| asking.place == *place) else { continue };
        let Some(shared) = &asking.limit.shared else { continue };
        if let Mode::Leased { leases, .. } = &shared.mode {
            leases.end(asking.digest, now, 0);
        }
        match shared.outage {
            Outage::Local { .. } if *owed > 0 => Charge::owe(asking.local(), now, *owed),
            Outage::Local { .. } => {}
            Outage::Deny => is_countable &= asking.limit.watches,
        }
    }
    if !is_countable {
        return Err(Refused::NotCountable);
    }
    let is_local = |asking: &&Asking<'_>| {
        let outage = asking.limit.shared.as_ref().map(|shared| &shared.outage);
        places.contains(&asking.place) && matches!(outage, Some(Outage::Local { .. }))
    };
    charge::take(asked.iter().filter(is_local).map(Asking::local), now, states)
}

impl Asking<'_> {
    /// Of a limit that was taken in the first step: how it stands, after it was given back if need be.
    fn settle_taken(&self, is_allowed: bool, now: Timestamp) -> LimitState {
        let limit = self.limit;
        match &limit.shared {
            None if is_allowed => Charge::look(self.local(), now),
            None => Charge::give_back(self.local(), now),
            Some(shared) => {
                if let (Mode::Leased { leases, .. }, false) = (&shared.mode, is_allowed) {
                    leases.give_back(self.digest, now, limit.cost);
                }
                limit.state(0, Duration::ZERO, false, Duration::ZERO)
            }
        }
    }
}
