//! Quotas: how much a caller has in a period of the calendar, counted in the database.
//!
//! Deciding does no I/O: [`Quotas::ask`] says what the database must be asked about a request, [`QuotaAsk::count`] asks, and
//! [`Quotas::conclude`] decides with the answer. Requests that come at the same time share one transaction.
//!
//! - `calendar`: when periods begin and end.
//! - `holder`: who a quota is counted for, as a text.
//! - `ask`: what is asked about one request, and what it owes in the end.
//! - `draw`: what requests take, and the decision about them.
//! - `book`: what stands in the database, as statements.
//! - `ledger`: one transaction after the other, and what is known when one has no answer.
//! - `webhook`: telling another program of thresholds.
//! - `custody`: what operators do: look, reset, give back, take.

mod ask;
mod book;
mod calendar;
mod compile;
mod custody;
mod draw;
mod holder;
mod ledger;
mod raw;
#[cfg(test)]
mod tests;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_core::{KeyPath, LimitState, Problems, QuotaCount, Timestamp};
use portcullis_oidc::Fetch;
use portcullis_store::{Database, StoreError};
use smallvec::SmallVec;

use crate::Refused;
use crate::key::{Key, Subject};
use crate::raw::RawExempt;

use calendar::{Calendar, Term};
use draw::{Draw, Terms};
use ledger::Ledger;
use webhook::Webhook;

pub use ask::QuotaAsk;
pub use calendar::{Every, NoPeriod};
pub use custody::{QuotaError, TOPIC, Usage};
pub use draw::Crossing;
pub use raw::{OnFailure, QuotaUnit, RawCost, RawQuota};
pub use webhook::RawQuotaWebhook;

/// The quotas of a configuration.
#[derive(Debug)]
pub struct Quotas {
    quotas: Vec<Quota>,
    /// `None` without a database.
    ledger: Option<Arc<Ledger>>,
    webhook: Option<Webhook>,
}

/// The place of a quota in the [`Quotas`] that named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuotaId(pub u32);

#[derive(Debug)]
struct Quota {
    terms: Arc<Terms>,
    key: Key,
    calendar: Calendar,
    exempt: RawExempt,
    /// The period that requests came in last: reckoning with calendars takes longer than looking here.
    current: Mutex<Option<Term>>,
}

impl Quotas {
    /// Compiles the configured quotas; what is wrong goes to `problems`. What `previous` has under way in the same database goes on.
    #[must_use]
    pub fn compile(
        raw: &[RawQuota],
        webhook: Option<&RawQuotaWebhook>,
        database: Option<&Arc<Database>>,
        path: &KeyPath,
        problems: &mut Problems,
        previous: Option<&Self>,
    ) -> Self {
        compile::compile(raw, webhook, database, path, problems, previous)
    }

    /// The quota of this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<QuotaId> {
        let place = self.quotas.iter().position(|quota| *quota.terms.name == *name)?;
        u32::try_from(place).ok().map(QuotaId)
    }

    /// The names of all quotas.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.quotas.iter().map(|quota| &*quota.terms.name)
    }

    /// Whether a webhook is told of thresholds.
    #[must_use]
    pub const fn has_webhook(&self) -> bool {
        self.webhook.is_some()
    }

    /// Sends the messages that are due: to be called again and again.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn send_notices(&self, fetch: &dyn Fetch, now: Timestamp) -> Result<(), StoreError> {
        match (&self.webhook, &self.ledger) {
            (Some(webhook), Some(ledger)) => webhook.send_due(ledger.database(), fetch, now).await,
            _ => Ok(()),
        }
    }

    /// Waits until what is owed is in the database, for as long as `patience` lasts or until the database is lost. Whether it is.
    #[must_use]
    pub fn wait_until_settled(&self, patience: Duration) -> bool {
        self.ledger.as_ref().is_none_or(|ledger| ledger.wait_until_settled(patience))
    }

    /// What the database must be asked about a request; nothing if no quota applies to it. If it only `watches`, no quota refuses.
    ///
    /// # Errors
    /// When a quota cannot be counted.
    pub fn ask(
        &self,
        ids: &[QuotaId],
        subject: &Subject<'_>,
        watches: bool,
        now: Timestamp,
    ) -> Result<Option<Box<QuotaAsk>>, Refused> {
        let mut draws: SmallVec<[Draw; 2]> = SmallVec::new();
        for id in ids {
            let quota = self.quotas.get(id.0 as usize).ok_or(Refused::NotCountable)?;
            if quota.exempt.is_of(subject) {
                continue;
            }
            let Some(holder) = quota.key.holder(subject) else { continue };
            let term = quota.term(now).ok_or(Refused::NotCountable)?;
            let terms = Arc::clone(&quota.terms);
            let watches = watches || terms.watches;
            let amount = terms.measure.ahead();
            draws.push(Draw { place: id.0, terms, holder: holder.into(), term, watches, amount });
        }
        if draws.is_empty() {
            return Ok(None);
        }
        let ledger = self.ledger.as_ref().ok_or(Refused::NotCountable)?;
        Ok(Some(Box::new(QuotaAsk::new(ledger, draws, now))))
    }

    /// Decides about a request with what came of [`Self::ask`]. Appends to `states` how each quota stands. `watches` is as it was
    /// when that was asked.
    ///
    /// # Errors
    /// When a quota is used up or cannot be counted. Then nothing was taken.
    pub fn conclude(
        &self,
        answer: &QuotaCount,
        watches: bool,
        now: Timestamp,
        states: &mut SmallVec<[LimitState; 2]>,
    ) -> Result<(), Refused> {
        let standings = match answer {
            QuotaCount::Answered(standings) => standings,
            QuotaCount::Unanswered { passes: true } => return Ok(()),
            QuotaCount::Unanswered { passes: false } => return Err(Refused::NotCountable),
        };
        let mut longest: Option<Duration> = None;
        for standing in standings {
            let quota = self.quotas.get(standing.place as usize).ok_or(Refused::NotCountable)?;
            let term = quota.term(now).ok_or(Refused::NotCountable)?;
            let reset = term.end.since(now);
            let watches = watches || quota.terms.watches;
            if standing.refused {
                longest = longest.max(Some(reset));
            }
            states.push(LimitState {
                name: Arc::clone(&quota.terms.name),
                quota: standing.allowance,
                window: term.end.since(term.start),
                remaining: standing.allowance.saturating_sub(standing.used),
                reset,
                exceeded: standing.refused || (standing.over && watches),
                watches,
                turn: Duration::ZERO,
                reached: standing.reached,
            });
        }
        longest.map_or(Ok(()), |wait| Err(Refused::TooSoon(wait)))
    }
}

impl Quota {
    /// The period that `now` is in.
    fn term(&self, now: Timestamp) -> Option<Term> {
        let mut current = self.current.lock();
        match *current {
            Some(term) if term.start <= now && now < term.end => Some(term),
            _ => {
                *current = self.calendar.term(now);
                *current
            }
        }
    }
}
