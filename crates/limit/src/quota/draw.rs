//! What requests take from quotas, and the decision about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderName;
use portcullis_core::{QuotaCount, QuotaStanding};
use smallvec::SmallVec;

use super::calendar::Term;

/// What holds for every holder of a quota.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) name: Arc<str>,
    pub(crate) limit: u64,
    pub(crate) grace: u64,
    /// How much of what is left over goes to the next period.
    pub(crate) carry_over: u64,
    pub(crate) measure: Measure,
    /// The thresholds that are told of, in percent, from the lowest to the highest.
    pub(crate) warn_at: Vec<u16>,
    /// Whether a webhook is told of them.
    pub(crate) notifies: bool,
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

/// What a quota counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Each request as one.
    Requests,
    /// The bytes of both bodies, at the end of the exchange.
    Bytes,
    /// So much ahead, and in the end what the service says in this field of its answer, if it says something.
    Cost { ahead: u64, field: Option<HeaderName> },
}

impl Measure {
    /// What is taken before a request is forwarded.
    pub(crate) const fn ahead(&self) -> u64 {
        match self {
            Self::Requests => 1,
            Self::Bytes => 0,
            Self::Cost { ahead, .. } => *ahead,
        }
    }
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
    /// The highest threshold that was told of.
    pub(crate) warned: u16,
}

impl Draw {
    pub(crate) fn row(&self) -> RowKey {
        RowKey {
            quota: Arc::clone(&self.terms.name),
            holder: Arc::clone(&self.holder),
            period: super::book::milliseconds(self.term.start),
        }
    }

    /// The field of the service's answer that says what a request cost.
    pub(crate) fn cost_field(&self) -> Option<&HeaderName> {
        match &self.terms.measure {
            Measure::Cost { field, .. } => field.as_ref(),
            Measure::Requests | Measure::Bytes => None,
        }
    }

    /// Adds `times` of what this takes.
    pub(crate) fn add_to(&self, sums: &mut Sums, times: i64) {
        self.add(sums, whole(self.amount).saturating_mul(times));
    }

    /// Adds `amount`.
    pub(crate) fn add(&self, sums: &mut Sums, amount: i64) {
        let sum = sums.entry(self.row()).or_insert_with(|| Sum {
            amount: 0,
            terms: Arc::clone(&self.terms),
            previous: super::book::milliseconds(self.term.previous),
        });
        sum.amount = sum.amount.saturating_add(amount);
    }
}

/// Decides about one request: it takes from all its rows, or from none. A row that is not there refuses.
pub(crate) fn decide(draws: &[Draw], holdings: &mut BTreeMap<RowKey, Holding>) -> QuotaCount {
    let mut standings: SmallVec<[QuotaStanding; 2]> = draws
        .iter()
        .map(|draw| {
            let missing = Holding { used: i64::MAX, carried: 0, warned: u16::MAX };
            draw.standing(holdings.get(&draw.row()).copied().unwrap_or(missing))
        })
        .collect();
    let granted = is_granted(&standings);
    for (draw, standing) in draws.iter().zip(&mut standings) {
        let Some(holding) = holdings.get_mut(&draw.row()) else { continue };
        let wanted = holding.used.saturating_add(whole(draw.amount));
        if granted {
            holding.used = wanted;
            standing.used = natural(wanted);
        }
        // Whoever asks for more than there is has reached the end of it.
        let toward = if standing.refused { standing.used.max(standing.allowance) } else { standing.used };
        let warn_at = &draw.terms.warn_at;
        standing.reached = reached(warn_at, toward, standing.allowance);
        standing
            .crossed
            .extend(warn_at.iter().copied().filter(|it| *it > holding.warned && *it <= standing.reached));
        holding.warned = holding.warned.max(standing.reached);
    }
    QuotaCount::Answered(standings)
}

impl Draw {
    /// How the quota stands before the request, and whether it refuses.
    fn standing(&self, Holding { used, carried, .. }: Holding) -> QuotaStanding {
        let allowance = whole(self.terms.limit).saturating_add(carried);
        // Whoever takes nothing ahead needs that something is left.
        let wanted = used.saturating_add(whole(self.amount.max(1)));
        let refused = !self.watches && wanted > allowance.saturating_add(whole(self.terms.grace));
        QuotaStanding {
            place: self.place,
            used: natural(used),
            allowance: natural(allowance),
            over: wanted > allowance,
            refused,
            reached: 0,
            crossed: SmallVec::new(),
        }
    }
}

/// The highest of the thresholds that is reached.
fn reached(warn_at: &[u16], used: u64, allowance: u64) -> u16 {
    let is_reached = |percent: &&u16| u128::from(used) * 100 >= u128::from(**percent) * u128::from(allowance);
    warn_at.iter().take_while(is_reached).last().copied().unwrap_or(0)
}

/// A threshold that a request was the first to reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossing {
    /// The quota.
    pub quota: Arc<str>,
    /// Whose.
    pub holder: Arc<str>,
    /// The threshold.
    pub percent: u16,
    /// Whether a webhook is told.
    pub is_sent: bool,
}

/// The thresholds that a request was the first to reach.
pub(crate) fn crossings(draws: &[Draw], count: &QuotaCount) -> Vec<Crossing> {
    let QuotaCount::Answered(standings) = count else { return Vec::new() };
    let crossed = draws.iter().zip(standings).flat_map(|(draw, standing)| {
        standing.crossed.iter().map(|percent| Crossing {
            quota: Arc::clone(&draw.terms.name),
            holder: Arc::clone(&draw.holder),
            percent: *percent,
            is_sent: draw.terms.notifies,
        })
    });
    crossed.collect()
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

#[cfg(test)]
mod tests {
    use portcullis_core::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn draw(place: u32, terms: &Arc<Terms>, amount: u64) -> Draw {
        let term = Term { start: Timestamp(0), end: Timestamp(u64::MAX), previous: Timestamp(0) };
        let (terms, holder) = (Arc::clone(terms), Arc::from("all"));
        let watches = terms.watches;
        Draw { place, terms, holder, term, watches, amount }
    }

    proptest! {
        /// Whatever comes in whatever order: all or none is taken, no hard quota goes beyond what it has, a request is refused only
        /// for want of room, and each threshold is told of once, from the lowest to the highest.
        #[test]
        fn requests_take_all_or_nothing_and_never_more_than_there_is(
            quotas in prop::collection::vec((1..40_u64, 0..5_u64, 0..10_i64, any::<bool>()), 1..4),
            requests in prop::collection::vec(prop::collection::vec((0..4_usize, 0..6_u64), 1..4), 1..60),
        ) {
            let terms: Vec<Arc<Terms>> = quotas
                .iter()
                .enumerate()
                .map(|(number, (limit, grace, _, watches))| Arc::new(Terms {
                    name: number.to_string().into(),
                    limit: *limit,
                    grace: *grace,
                    carry_over: 0,
                    measure: Measure::Requests,
                    warn_at: vec![50, 80, 100],
                    notifies: false,
                    watches: *watches,
                    passes_unanswered: false,
                }))
                .collect();
            let row = |number: usize| draw(0, &terms[number], 0).row();
            let mut holdings: BTreeMap<RowKey, Holding> = quotas
                .iter()
                .enumerate()
                .map(|(number, (_, _, carried, _))| (row(number), Holding { used: 0, carried: *carried, warned: 0 }))
                .collect();
            let mut told: BTreeMap<u32, Vec<u16>> = BTreeMap::new();
            for request in requests {
                let mut draws: Vec<Draw> = Vec::new();
                for (number, amount) in request {
                    let number = number % terms.len();
                    let place = u32::try_from(number).unwrap();
                    if draws.iter().all(|draw| draw.place != place) {
                        draws.push(draw(place, &terms[number], amount));
                    }
                }
                let before = holdings.clone();
                let QuotaCount::Answered(standings) = decide(&draws, &mut holdings) else { panic!("no answer") };
                let mut has_room = true;
                for (draw, standing) in draws.iter().zip(&standings) {
                    let (limit, grace, carried, watches) = quotas[draw.place as usize];
                    let most = limit + grace + u64::try_from(carried).unwrap();
                    let used = natural(before[&draw.row()].used);
                    let fits = watches || used + draw.amount.max(1) <= most;
                    prop_assert_eq!(standing.refused, !fits);
                    has_room &= fits;
                    told.entry(draw.place).or_default().extend(&standing.crossed);
                }
                for draw in &draws {
                    let taken = holdings[&draw.row()].used - before[&draw.row()].used;
                    prop_assert_eq!(taken, if has_room { whole(draw.amount) } else { 0 });
                }
                let others = |holdings: &BTreeMap<RowKey, Holding>| -> Vec<Holding> {
                    holdings.iter().filter(|(key, _)| draws.iter().all(|it| it.row() != **key)).map(|it| *it.1).collect()
                };
                prop_assert_eq!(others(&before), others(&holdings));
            }
            for (number, (limit, grace, carried, watches)) in quotas.iter().enumerate() {
                let used = natural(holdings[&row(number)].used);
                prop_assert!(*watches || used <= limit + grace + u64::try_from(*carried).unwrap());
                let told = told.remove(&u32::try_from(number).unwrap()).unwrap_or_default();
                prop_assert!(told.is_sorted_by(|one, next| one < next), "{:?}", told);
                let allowance = limit + u64::try_from(*carried).unwrap();
                prop_assert!(used * 100 < 50 * allowance || told.first() == Some(&50));
            }
        }
    }
}
