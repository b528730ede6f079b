//! What operators do with what was used: look at it, set it back, give some of it back, take some.

use std::sync::Arc;

use portcullis_core::Timestamp;
use portcullis_store::{Act, Change, Database, Query, StoreError};

use serde_json::{Value, json};

use super::book::{self, milliseconds};
use super::draw::{RowKey, Sum, natural, whole};
use super::{Quota, Quotas};

/// The topic under which changes are written down.
pub const TOPIC: &str = "quotas";

/// More than any holder has.
const LONGEST_HOLDER: usize = 4096;

/// What a holder has used of a quota in the present period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The quota.
    pub quota: Arc<str>,
    /// The holder.
    pub holder: String,
    /// How much is used.
    pub used: u64,
    /// How much there is in this period, with what was left over from the one before.
    pub allowance: u64,
    /// What of that was left over.
    pub carried: u64,
    /// When the period began.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// There is no such quota.
    #[error("there is no quota `{0}`")]
    Unknown(String),
    /// The holder has used nothing.
    #[error("nothing of `{quota}` is used by `{holder}` in this period")]
    Unused {
        /// The quota.
        quota: String,
        /// The holder.
        holder: String,
    },
    /// A text that is no holder: such a row would never be found.
    #[error("a holder is written as `quota show` shows it, such as `method=partners,key=acme`")]
    BadHolder,
    /// Quotas without a database, or a moment that no calendar reckons with.
    #[error("quotas cannot be counted")]
    NotCountable,
    /// The database does not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Usage {
    /// As JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let shown =
            |moment: Timestamp| humantime::format_rfc3339_seconds(moment.to_system_time()).to_string();
        json!({
            "quota": &*self.quota,
            "holder": self.holder,
            "used": self.used,
            "allowance": self.allowance,
            "carried": self.carried,
            "start": shown(self.start),
            "end": shown(self.end),
        })
    }
}

impl Quotas {
    /// What is used of a quota in the present period, in the order of the holders: at most `most`, after `after`.
    ///
    /// # Errors
    /// [`QuotaError`].
    pub async fn usage(
        &self,
        name: &str,
        after: &str,
        most: i64,
        now: Timestamp,
    ) -> Result<Vec<Usage>, QuotaError> {
        let query = Query::new(
            "SELECT holder, used, carried FROM quota_usage WHERE quota = $1 AND period = $2 AND holder > $3 \
             ORDER BY holder LIMIT $4",
        );
        self.read(name, now, |query, period| query.with(name).with(period).with(after).with(most), query)
            .await
    }

    /// What a holder has used of a quota in the present period.
    ///
    /// # Errors
    /// [`QuotaError`].
    pub async fn usage_of(&self, name: &str, holder: &str, now: Timestamp) -> Result<Usage, QuotaError> {
        let query = Query::new(
            "SELECT holder, used, carried FROM quota_usage WHERE quota = $1 AND period = $2 AND holder = $3",
        );
        let found =
            self.read(name, now, |query, period| query.with(name).with(period).with(holder), query).await?;
        found.into_iter().next().ok_or_else(|| unused(name, holder))
    }

    async fn read(
        &self,
        name: &str,
        now: Timestamp,
        with: impl FnOnce(Query, i64) -> Query,
        query: Query,
    ) -> Result<Vec<Usage>, QuotaError> {
        let (quota, database) = self.kept(name)?;
        let term = quota.term(now).ok_or(QuotaError::NotCountable)?;
        let rows = database.rows(with(query, milliseconds(term.start))).await?;
        let read = |row: &portcullis_store::Row| -> Result<Usage, StoreError> {
            let carried: i64 = row.column(2)?;
            Ok(Usage {
                quota: Arc::clone(&quota.terms.name),
                holder: row.column(0)?,
                used: natural(row.column(1)?),
                allowance: quota.terms.limit.saturating_add(natural(carried)),
                carried: natural(carried),
                start: term.start,
                end: term.end,
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Sets what a holder has used in the present period to nothing.
    ///
    /// # Errors
    /// [`QuotaError`].
    pub async fn reset(&self, name: &str, holder: &str, act: &Act) -> Result<(), QuotaError> {
        let query = Query::new(
            "UPDATE quota_usage SET used = 0, warned = 0 WHERE quota = $1 AND holder = $2 AND period = $3",
        );
        self.change(name, holder, act, ("reset", None), query).await
    }

    /// Gives back some of what a holder has used in the present period; more than that, and it has used nothing.
    ///
    /// # Errors
    /// [`QuotaError`].
    pub async fn refund(&self, name: &str, holder: &str, amount: u64, act: &Act) -> Result<(), QuotaError> {
        let query = Query::new(
            "UPDATE quota_usage SET used = CASE WHEN used > $4 THEN used - $4 ELSE 0 END \
             WHERE quota = $1 AND holder = $2 AND period = $3",
        );
        self.change(name, holder, act, ("refunded", Some(amount)), query).await
    }

    /// Takes some of what a holder has in the present period, whatever is left.
    ///
    /// # Errors
    /// [`QuotaError`].
    pub async fn consume(&self, name: &str, holder: &str, amount: u64, act: &Act) -> Result<(), QuotaError> {
        let (quota, database) = self.kept(name)?;
        if holder.is_empty()
            || holder.len() > LONGEST_HOLDER
            || !holder.bytes().all(|it| it.is_ascii_graphic())
        {
            return Err(QuotaError::BadHolder);
        }
        let term = quota.term(act.now).ok_or(QuotaError::NotCountable)?;
        let key = RowKey {
            quota: Arc::clone(&quota.terms.name),
            holder: holder.into(),
            period: milliseconds(term.start),
        };
        let terms = Arc::clone(&quota.terms);
        let sum = Sum { amount: whole(amount), terms, previous: milliseconds(term.previous) };
        let (notes, now) = (note(act, "consumed", name, holder).statements(TOPIC), act.now);
        let done = database.transaction(move |mut transaction| async move {
            // The row first and then the note, as gateways do it: whoever holds the one never waits for the other.
            book::add(&mut transaction, &key, &sum, now).await?;
            for note in notes {
                transaction.execute(note).await?;
            }
            transaction.commit().await
        });
        Ok(done.await?)
    }

    async fn change(
        &self,
        name: &str,
        holder: &str,
        act: &Act,
        (action, amount): (&str, Option<u64>),
        query: Query,
    ) -> Result<(), QuotaError> {
        let (quota, database) = self.kept(name)?;
        let term = quota.term(act.now).ok_or(QuotaError::NotCountable)?;
        let mut query = query.with(name).with(holder).with(milliseconds(term.start));
        if let Some(amount) = amount {
            query = query.with(whole(amount));
        }
        let mut queries = vec![query.must_change()];
        queries.extend(note(act, action, name, holder).statements(TOPIC));
        match database.transact(queries).await {
            Ok(_) => Ok(()),
            Err(StoreError::NothingChanged) => Err(unused(name, holder)),
            Err(error) => Err(error.into()),
        }
    }

    fn kept(&self, name: &str) -> Result<(&Quota, &Database), QuotaError> {
        let quota = self.quotas.iter().find(|quota| *quota.terms.name == *name);
        let quota = quota.ok_or_else(|| QuotaError::Unknown(name.to_owned()))?;
        let ledger = self.ledger.as_ref().ok_or(QuotaError::NotCountable)?;
        Ok((quota, ledger.database()))
    }
}

fn note(act: &Act, action: &str, name: &str, holder: &str) -> Change {
    act.change(action, &format!("{name} {holder}"))
}

fn unused(name: &str, holder: &str) -> QuotaError {
    QuotaError::Unused { quota: name.to_owned(), holder: holder.to_owned() }
}
