//! What is done with stored keys by those who look after them: make, rotate, disable, delete.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use portcullis_core::{Secret, Timestamp};
use portcullis_store::{Act, Change, Database, Query, StoreError};

use super::generate::{GenerateError, generate};
use super::import::ImportedKey;
use super::stored::{Details, Record, StoredKeys, TOPIC};

const INSERT: &str = "INSERT INTO api_keys (id, method, hash, details, enabled, created, expires) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7)";
const INSERT_NEW: &str = "INSERT INTO api_keys (id, method, hash, details, enabled, created, expires) \
                          VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING";

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CustodyError {
    /// The id is none, or there is no randomness.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// There is a key of this id, of this or another method.
    #[error("there is already a key `{0}`")]
    Exists(String),
    /// A list has one id twice.
    #[error("an id is twice in the list")]
    Twice,
    /// There is none.
    #[error("there is no key `{0}`")]
    Unknown(String),
    /// The database does not do it.
    #[error(transparent)]
    Store(StoreError),
}

impl StoredKeys {
    /// The database.
    #[must_use]
    pub fn database(&self) -> &Arc<Database> {
        &self.table.database
    }

    /// The name of the method.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Makes a key. It is shown to whoever calls, and to nobody ever again.
    ///
    /// # Errors
    /// [`CustodyError`].
    pub async fn create(
        &self,
        id: &str,
        details: &Details,
        expires: Option<Timestamp>,
        act: &Act,
    ) -> Result<Secret, CustodyError> {
        let made = generate(id)?;
        let hash = digest::digest(&digest::SHA256, made.key.expose().as_bytes());
        let insert = self.insertion(INSERT, id, hash.as_ref(), details, (true, expires), act)?;
        self.perform(insert, act.change("created", id)).await?;
        Ok(made.key)
    }

    /// Takes keys of which only the SHA-256 is known: all of them or, if one cannot be taken, none. With `skip_existing`, those
    /// whose id is there already are left as they are. How many were taken.
    ///
    /// # Errors
    /// [`CustodyError`].
    pub async fn import(
        &self,
        keys: &[ImportedKey],
        skip_existing: bool,
        act: &Act,
    ) -> Result<u64, CustodyError> {
        let mut queries: Vec<Query> = act.change("imported", "").statements(TOPIC).into();
        let notes = queries.len();
        let statement = if skip_existing { INSERT_NEW } else { INSERT };
        for ImportedKey { id, sha256, details, enabled, expires } in keys {
            queries.push(self.insertion(statement, id, sha256, details, (*enabled, *expires), act)?);
        }
        match self.table.database.transact(queries).await {
            Ok(counts) => Ok(counts.iter().skip(notes).sum()),
            Err(StoreError::Exists) => Err(self.first_that_exists(keys).await),
            Err(error) => Err(CustodyError::Store(error)),
        }
    }

    async fn first_that_exists(&self, keys: &[ImportedKey]) -> CustodyError {
        for ImportedKey { id, .. } in keys {
            let query = Query::new("SELECT id FROM api_keys WHERE id = $1").with(id.as_str());
            match self.table.database.rows(query).await {
                Ok(rows) if rows.is_empty() => {}
                Ok(_) => return CustodyError::Exists(id.clone()),
                Err(error) => return CustodyError::Store(error),
            }
        }
        // None is in the table: one is twice in the list.
        CustodyError::Twice
    }

    fn insertion(
        &self,
        statement: &'static str,
        id: &str,
        sha256: &[u8],
        details: &Details,
        (enabled, expires): (bool, Option<Timestamp>),
        act: &Act,
    ) -> Result<Query, CustodyError> {
        let details = serde_json::to_string(details)
            .map_err(|error| CustodyError::Store(StoreError::Refused(error.to_string())))?;
        Ok(Query::new(statement)
            .with(id)
            .with(self.method.as_str())
            .with(self.keyed_hash(sha256))
            .with(details)
            .with(enabled)
            .with(act.now)
            .with(expires))
    }

    /// Gives a key another secret. The one before holds beside it for `overlap`.
    ///
    /// # Errors
    /// [`CustodyError`].
    pub async fn rotate(&self, id: &str, overlap: Duration, act: &Act) -> Result<Secret, CustodyError> {
        let made = generate(id)?;
        let hash = digest::digest(&digest::SHA256, made.key.expose().as_bytes());
        let query = Query::new(
            "UPDATE api_keys SET previous_hash = hash, previous_until = $1, hash = $2 WHERE id = $3 AND method = $4",
        )
        .with(act.now.plus(overlap))
        .with(self.keyed_hash(hash.as_ref()))
        .with(id)
        .with(self.method.as_str());
        self.perform(query.must_change(), act.change("rotated", id)).await?;
        Ok(made.key)
    }

    /// Withdraws a key, or takes it again. Its record stays.
    ///
    /// # Errors
    /// [`CustodyError`].
    pub async fn set_enabled(&self, id: &str, enabled: bool, act: &Act) -> Result<(), CustodyError> {
        let query = Query::new("UPDATE api_keys SET enabled = $1 WHERE id = $2 AND method = $3")
            .with(enabled)
            .with(id)
            .with(self.method.as_str());
        let action = if enabled { "enabled" } else { "disabled" };
        self.perform(query.must_change(), act.change(action, id)).await
    }

    /// Forgets a key.
    ///
    /// # Errors
    /// [`CustodyError`].
    pub async fn delete(&self, id: &str, act: &Act) -> Result<(), CustodyError> {
        let query = Query::new("DELETE FROM api_keys WHERE id = $1 AND method = $2")
            .with(id)
            .with(self.method.as_str());
        self.perform(query.must_change(), act.change("deleted", id)).await
    }

    /// One key.
    ///
    /// # Errors
    /// [`CustodyError`].
    pub async fn show(&self, id: &str) -> Result<Record, CustodyError> {
        self.find(id).await.map_err(CustodyError::Store)?.ok_or_else(|| CustodyError::Unknown(id.to_owned()))
    }

    /// Keys in the order of their ids, at most `most` of them, after `after`.
    ///
    /// # Errors
    /// [`CustodyError`].
    pub async fn list(&self, after: &str, most: i64) -> Result<Vec<Record>, CustodyError> {
        let query = Query::new(
            "SELECT id, hash, previous_hash, previous_until, details, enabled, created, expires, last_used \
             FROM api_keys WHERE method = $1 AND id > $2 ORDER BY id LIMIT $3",
        );
        let query = query.with(self.method.as_str()).with(after).with(most);
        let rows = self.table.database.rows(query).await.map_err(CustodyError::Store)?;
        rows.iter().map(|row| self.read(row)).collect::<Result<_, _>>().map_err(CustodyError::Store)
    }

    /// Does something together with the note that it was done.
    async fn perform(&self, query: Query, change: Change) -> Result<(), CustodyError> {
        let id = change.subject.clone();
        let mut queries: Vec<Query> = change.statements(TOPIC).into();
        queries.push(query);
        match self.table.database.transact(queries).await {
            Ok(_) => Ok(()),
            Err(StoreError::Exists) => Err(CustodyError::Exists(id)),
            Err(StoreError::NothingChanged) => Err(CustodyError::Unknown(id)),
            Err(error) => Err(CustodyError::Store(error)),
        }
    }
}
