//! What is asked about one request, and what it owes in the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderName;
use portcullis_core::{Bill, QuotaCount, Timestamp};
use smallvec::SmallVec;

use super::book;
use super::draw::{Crossing, Draw, Measure, Sums, crossings, decide, is_granted, whole};
use super::ledger::Ledger;

/// What the database must be asked about the quotas of one request.
#[derive(Debug, Clone)]
pub struct QuotaAsk {
    ledger: Arc<Ledger>,
    draws: Arc<[Draw]>,
    now: Timestamp,
}

impl QuotaAsk {
    pub(crate) fn new(ledger: &Arc<Ledger>, draws: SmallVec<[Draw; 2]>, now: Timestamp) -> Self {
        Self { ledger: Arc::clone(ledger), draws: draws.into_vec().into(), now }
    }

    /// Counts the request, together with others that come at the same time.
    pub async fn count(&self) -> QuotaCount {
        self.ledger.count(&self.draws, self.now).await
    }

    /// The thresholds that the request was the first to reach, by what came of it.
    #[must_use]
    pub fn crossings(&self, count: &QuotaCount) -> Vec<Crossing> {
        crossings(&self.draws, count)
    }

    /// What is left to be settled when the exchange is over, of a request that passes.
    #[must_use]
    pub fn bill(&self, count: &QuotaCount) -> Option<Arc<dyn Bill>> {
        let passes = match count {
            QuotaCount::Answered(standings) => is_granted(standings),
            QuotaCount::Unanswered { passes } => *passes,
        };
        let is_open = |draw: &&Draw| match &draw.terms.measure {
            Measure::Requests => false,
            Measure::Bytes => true,
            Measure::Cost { field, .. } => field.is_some(),
        };
        let draws: Vec<Draw> = self.draws.iter().filter(is_open).cloned().collect();
        if !passes || draws.is_empty() {
            return None;
        }
        let fields = draws.iter().filter_map(|draw| draw.cost_field().cloned()).collect();
        Some(Arc::new(OpenBill { ledger: Arc::clone(&self.ledger), draws, fields }))
    }

    /// What would come of it; nothing is counted.
    pub async fn rehearse(&self) -> QuotaCount {
        let mut holdings = BTreeMap::new();
        for draw in &*self.draws {
            let Ok(holding) = book::look(self.ledger.database(), draw).await else {
                return QuotaCount::Unanswered { passes: passes_unanswered(&self.draws) };
            };
            holdings.insert(draw.row(), holding);
        }
        decide(&self.draws, &mut holdings)
    }
}

/// What a request that passed has yet to settle.
#[derive(Debug)]
struct OpenBill {
    ledger: Arc<Ledger>,
    draws: Vec<Draw>,
    /// Of the draws that have one, in their order.
    fields: Vec<HeaderName>,
}

impl Bill for OpenBill {
    fn cost_fields(&self) -> &[HeaderName] {
        &self.fields
    }

    fn settle(&self, bytes: u64, costs: &[Option<u64>]) {
        let mut costs = costs.iter();
        let mut owed = Sums::new();
        for draw in &self.draws {
            let total = if draw.cost_field().is_some() {
                costs.next().copied().flatten().unwrap_or(draw.amount)
            } else {
                bytes
            };
            let missing = whole(total.min(MOST_SETTLED)).saturating_sub(whole(draw.amount));
            if missing != 0 {
                draw.add(&mut owed, missing);
            }
        }
        self.ledger.settle(&owed);
    }
}

/// The most that one exchange settles: a mistake of a service must not use up more than a quota can have.
const MOST_SETTLED: u64 = 999_999_999_999_999;

/// Whether a request passes that cannot be counted now.
pub(super) fn passes_unanswered(draws: &[Draw]) -> bool {
    draws.iter().all(|draw| draw.watches || draw.terms.passes_unanswered)
}
