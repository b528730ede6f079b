//! What requests take from quotas, and the decision about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_core::{QuotaCount, QuotaStanding};

use super::calendar::Term;

/// What holds for every holder of a quota.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) name: Arc<str>,
    pub(crate) limit: u64,
    pub(crate) grace: u64,
    /// How much of what is left over goes to the next period.
    pub(crate) carry_over: u64,
    /// Whether it never refuses.
    pub(crate) watches: bool,
    /// Whether requests pass while the database is not available.
    pub(crate) passes_unanswered: bool,
}

/// What a request takes from one quota.
#[derive(Debug, Clone)]
pub(crate) struct Draw {
    pub(crate) place: u32,
    pub(crate) terms: Arc<Terms>,
    pub(crate) holder: Arc<str>,
    pub(crate) term: Term,
    /// Whether it passes, whatever is left.
    pub(crate) watches: bool,
    pub(crate) amount: u64,
}

/// Names one row: ordered, so that all gateways lock rows in one order and none waits for another in a circle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowKey {
    pub(crate) quota: Arc<str>,
    pub(crate) holder: Arc<str>,
    /// When the period began.
    pub(crate) period: i64,
}

/// What is to be added to a row, whoever asked.
#[derive(Debug, Clone)]
pub(crate) struct Sum {
    pub(crate) amount: i64,
    pub(crate) terms: Arc<Terms>,
    /// When the period before began.
    pub(crate) previous: i64,
}

/// Rows and what is to be added to each.
pub(crate) type Sums = BTreeMap<RowKey, Sum>;

/// One row while a transaction has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holding {
    pub(crate) used: i64,
    pub(crate) carried: i64,
}

impl Draw {
    pub(crate) fn row(&self) -> RowKey {
        RowKey {
            quota: Arc::clone(&self.terms.name),
            holder: Arc::clone(&self.holder),
            period: super::book::milliseconds(self.term.start),
        }
    }

    /// Adds `times` of what this takes.
    pub(crate) fn add_to(&self, sums: &mut Sums, times: i64) {
        let sum = sums.entry(self.row()).or_insert_with(|| Sum {
            amount: 0,
            terms: Arc::clone(&self.terms),
            previous: super::book::milliseconds(self.term.previous),
        });
        sum.amount = sum.amount.saturating_add(whole(self.amount).saturating_mul(times));
    }
}

/// Decides about one request: it takes from all its rows, or from none. A row that is not there refuses.
pub(crate) fn decide(draws: &[Draw], holdings: &mut BTreeMap<RowKey, Holding>) -> QuotaCount {
    let mut standings: smallvec::SmallVec<[QuotaStanding; 2]> = draws
        .iter()
        .map(|draw| {
            let Holding { used, carried } =
                holdings.get(&draw.row()).copied().unwrap_or(Holding { used: i64::MAX, carried: 0 });
            let allowance = whole(draw.terms.limit).saturating_add(carried);
            let after = used.saturating_add(whole(draw.amount));
            let refused = !draw.watches && after > allowance.saturating_add(whole(draw.terms.grace));
            QuotaStanding {
                place: draw.place,
                used: natural(used),
                allowance: natural(allowance),
                over: after > allowance,
                refused,
            }
        })
        .collect();
    if !is_granted(&standings) {
        return QuotaCount::Answered(standings);
    }
    for (draw, standing) in draws.iter().zip(&mut standings) {
        if let Some(holding) = holdings.get_mut(&draw.row()) {
            holding.used = holding.used.saturating_add(whole(draw.amount));
            standing.used = natural(holding.used);
        }
    }
    QuotaCount::Answered(standings)
}

/// Whether all quotas let the request pass.
pub(crate) fn is_granted(standings: &[QuotaStanding]) -> bool {
    !standings.iter().any(|standing| standing.refused)
}

pub(crate) fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
