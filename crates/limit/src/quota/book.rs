//! What stands in the database about quotas, as statements.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_core::{QuotaCount, Timestamp};
use portcullis_store::{Act, Database, Query, StoreError, Transaction};

use super::TOPIC;
use super::calendar::Term;
use super::draw::{Crossing, Draw, Holding, RowKey, Sum, Sums, Terms, crossings, decide, whole};
use super::webhook::notice;

/// Requests that one transaction counts, and what else it adds.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Its place among those of this writer, from 1.
    pub(crate) number: i64,
    pub(crate) now: Timestamp,
    pub(crate) requests: Vec<Arc<[Draw]>>,
    /// What must be added whatever is left.
    pub(crate) owed: Sums,
}

pub(crate) fn milliseconds(moment: Timestamp) -> i64 {
    i64::try_from(moment.as_millis()).unwrap_or(i64::MAX)
}

/// Takes the writer's own row, so that nothing else of this writer can happen meanwhile, and gives the number of its last batch.
pub(crate) async fn last_batch(
    transaction: &mut Transaction,
    writer: &str,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let query = Query::new(
        "INSERT INTO quota_writers (writer, batch, moment) VALUES ($1, 0, $2) \
         ON CONFLICT (writer) DO UPDATE SET moment = excluded.moment RETURNING batch",
    );
    let rows = transaction.rows(query.with(writer).with(now)).await?;
    rows.first().map_or(Ok(0), |row| row.column(0))
}

/// Counts a batch; it is not committed yet. Quotas that are `full` have no place for holders that are new. What came of each request, and whether anything changed.
pub(crate) async fn count(
    transaction: &mut Transaction,
    writer: &str,
    batch: &Batch,
    full: &BTreeMap<Arc<str>, i64>,
) -> Result<(Vec<QuotaCount>, bool), StoreError> {
    let mut sums = batch.owed.clone();
    for draw in batch.requests.iter().flat_map(|draws| draws.iter()) {
        draw.add_to(&mut sums, 1);
    }
    // Nearly always there is room for all of them: then each row has been written with this.
    let mut written: BTreeMap<RowKey, Holding> = BTreeMap::new();
    let mut holdings: BTreeMap<RowKey, Holding> = BTreeMap::new();
    for (key, sum) in &sums {
        // A row that is not there refuses.
        if full.get(&key.quota) == Some(&key.period) && !is_there(transaction, key).await? {
            continue;
        }
        let found = add(transaction, key, sum, batch.now).await?;
        written.insert(key.clone(), found);
        let owed = batch.owed.get(key).map_or(0, |owed| owed.amount);
        let used = found.used.saturating_sub(sum.amount).saturating_add(owed);
        holdings.insert(key.clone(), Holding { used, ..found });
    }
    let before = holdings.clone();
    let counts: Vec<QuotaCount> = batch.requests.iter().map(|draws| decide(draws, &mut holdings)).collect();
    for (key, holding) in &holdings {
        if written.get(key) != Some(holding) {
            correct(transaction, key, *holding).await?;
        }
    }
    if holdings == before && batch.owed.is_empty() {
        return Ok((counts, false));
    }
    for note in notes(batch, writer, &counts) {
        transaction.execute(note).await?;
    }
    let query = Query::new("UPDATE quota_writers SET batch = $2 WHERE writer = $1");
    Ok((counts, transaction.execute(query.with(writer).with(batch.number)).await? > 0))
}

/// The statements that write down which thresholds are reached: with what reached them or not at all, so that each is told once.
fn notes(batch: &Batch, writer: &str, counts: &[QuotaCount]) -> Vec<Query> {
    let act = Act { actor: "gateway".to_owned(), origin: "gateway", now: batch.now };
    let (mut notes, mut number) = (Vec::new(), 0);
    for (draws, count) in batch.requests.iter().zip(counts) {
        for crossing in crossings(draws, count) {
            if crossing.is_sent {
                notes.push(notice(&crossing, writer, batch, number));
                number += 1;
            }
            let Crossing { quota, holder, percent, .. } = crossing;
            let change = act.change("reached", &format!("{quota} {holder} {percent}%"));
            notes.extend(change.statements(TOPIC));
        }
    }
    notes
}

/// Adds to a row, whatever is left, and gives it as it is then. A row that is made now begins with what the period before left over.
pub(crate) async fn add(
    transaction: &mut Transaction,
    key: &RowKey,
    sum: &Sum,
    now: Timestamp,
) -> Result<Holding, StoreError> {
    let query = Query::new(
        "INSERT INTO quota_usage (quota, holder, period, used, carried, warned, moment) \
         SELECT $1, $2, $3, $4, COALESCE((\
             SELECT CASE WHEN $8 = 0 OR rest <= 0 THEN 0 WHEN rest > $8 THEN $8 ELSE rest END FROM (\
                 SELECT CASE WHEN carried > used THEN $7 ELSE $7 + carried - used END AS rest FROM quota_usage \
                 WHERE quota = $1 AND holder = $2 AND period = $6\
             ) AS earlier\
         ), 0), 0, $5 WHERE 1 = 1 \
         ON CONFLICT (quota, holder, period) \
         DO UPDATE SET used = quota_usage.used + excluded.used, moment = excluded.moment \
         RETURNING used, carried, warned",
    );
    let query = query
        .with(&*key.quota)
        .with(&*key.holder)
        .with(key.period)
        .with(sum.amount)
        .with(now)
        .with(sum.previous)
        .with(whole(sum.terms.limit))
        .with(whole(sum.terms.carry_over));
    let rows = transaction.rows(query).await?;
    let row = rows.first().ok_or_else(|| StoreError::Refused("a row was not written".to_owned()))?;
    Ok(Holding { used: row.column(0)?, carried: row.column(1)?, warned: percent(row.column(2)?) })
}

/// Sets what is used in a row that this transaction holds, and what was told of it.
async fn correct(transaction: &mut Transaction, key: &RowKey, holding: Holding) -> Result<(), StoreError> {
    let query = Query::new(
        "UPDATE quota_usage SET used = $4, warned = $5 WHERE quota = $1 AND holder = $2 AND period = $3",
    );
    let query = query.with(&*key.quota).with(&*key.holder).with(key.period);
    let query = query.with(holding.used).with(i64::from(holding.warned));
    transaction.execute(query).await.map(drop)
}

/// How many holders of a quota there are in a period.
pub(crate) async fn holders(database: &Database, quota: &str, term: Term) -> Result<i64, StoreError> {
    let query = Query::new("SELECT COUNT(*) FROM quota_usage WHERE quota = $1 AND period = $2");
    let rows = database.rows(query.with(quota).with(milliseconds(term.start))).await?;
    rows.first().map_or(Ok(0), |row| row.column(0))
}

/// Whether the row is there.
async fn is_there(transaction: &mut Transaction, key: &RowKey) -> Result<bool, StoreError> {
    let query = Query::new("SELECT 1 FROM quota_usage WHERE quota = $1 AND holder = $2 AND period = $3");
    let query = query.with(&*key.quota).with(&*key.holder).with(key.period);
    Ok(!transaction.rows(query).await?.is_empty())
}

/// The statements that forget what is older than the periods that are kept, a part at a time.
pub(crate) fn forgetting(quota: &str, term: Term, now: Timestamp, writer: &str) -> Vec<Query> {
    let length = term.end.since(term.start).saturating_mul(KEPT_PERIODS);
    let length = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    let first = milliseconds(Timestamp(term.start.0.saturating_sub(length)));
    let yesterday = Timestamp(now.0.saturating_sub(DAY));
    vec![
        Query::new(
            "DELETE FROM quota_usage WHERE quota = $1 AND period < $2 AND holder IN \
             (SELECT holder FROM quota_usage WHERE quota = $1 AND period < $2 LIMIT 1000)",
        )
        .with(quota)
        .with(first),
        Query::new("DELETE FROM quota_writers WHERE moment < $1 AND writer <> $2")
            .with(yesterday)
            .with(writer),
    ]
}

/// How many periods before the present one are kept.
const KEPT_PERIODS: u32 = 13;

const DAY: u64 = 24 * 3_600 * 1_000_000_000;

/// A row as it is, or as it would begin.
pub(crate) async fn look(database: &Database, draw: &Draw) -> Result<Holding, StoreError> {
    let mut holding = Holding { used: 0, carried: 0, warned: 0 };
    let key = draw.row();
    let query = Query::new(
        "SELECT period, used, carried, warned FROM quota_usage \
         WHERE quota = $1 AND holder = $2 AND (period = $3 OR period = $4) ORDER BY period",
    );
    let previous = milliseconds(draw.term.previous);
    let query = query.with(&*key.quota).with(&*key.holder).with(key.period).with(previous);
    for row in database.rows(query).await? {
        let (period, used, carried): (i64, i64, i64) = (row.column(0)?, row.column(1)?, row.column(2)?);
        holding = if period == key.period {
            Holding { used, carried, warned: percent(row.column(3)?) }
        } else {
            Holding { carried: left_over(&draw.terms, used, carried), ..holding }
        };
    }
    Ok(holding)
}

/// What the next period begins with: the same as in [`add`].
fn left_over(terms: &Terms, used: i64, carried: i64) -> i64 {
    let limit = whole(terms.limit);
    let rest = if carried > used { limit } else { limit.saturating_add(carried).saturating_sub(used) };
    rest.clamp(0, whole(terms.carry_over))
}

fn percent(number: i64) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
