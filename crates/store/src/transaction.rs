//! Several statements of which each may depend on what the ones before found.

use sqlx::{Postgres, Sqlite};

use crate::StoreError;
use crate::database::prepared;
use crate::query::{Query, Row, RowOf, Value};

/// A transaction under way. Dropped without [`Self::commit`], nothing of it has happened.
pub struct Transaction(pub(crate) TransactionOf);

pub(crate) enum TransactionOf {
    /// It is the only one that writes.
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl Transaction {
    /// The rows that a statement finds, or returns of what it changed.
    ///
    /// # Errors
    /// [`StoreError`]. The transaction cannot go on then.
    pub async fn rows(&mut self, query: Query) -> Result<Vec<Row>, StoreError> {
        match &mut self.0 {
            TransactionOf::Sqlite(transaction) => {
                let rows = prepared!(query).fetch_all(&mut **transaction).await?;
                Ok(rows.into_iter().map(|row| Row(RowOf::Sqlite(row))).collect())
            }
            TransactionOf::Postgres(transaction) => {
                let rows = prepared!(query).fetch_all(&mut **transaction).await?;
                Ok(rows.into_iter().map(|row| Row(RowOf::Postgres(row))).collect())
            }
        }
    }

    /// How many rows a statement changed.
    ///
    /// # Errors
    /// [`StoreError`]. The transaction cannot go on then.
    pub async fn execute(&mut self, query: Query) -> Result<u64, StoreError> {
        Ok(match &mut self.0 {
            TransactionOf::Sqlite(transaction) => {
                prepared!(query).execute(&mut **transaction).await?.rows_affected()
            }
            TransactionOf::Postgres(transaction) => {
                prepared!(query).execute(&mut **transaction).await?.rows_affected()
            }
        })
    }

    /// Makes it happen.
    ///
    /// # Errors
    /// [`StoreError`]. Unless the database says that it refuses, it may have happened all the same.
    pub async fn commit(self) -> Result<(), StoreError> {
        match self.0 {
            TransactionOf::Sqlite(transaction) => transaction.commit().await?,
            TransactionOf::Postgres(transaction) => transaction.commit().await?,
        }
        Ok(())
    }

    /// Ends it as if it had never begun.
    ///
    /// # Errors
    /// [`StoreError`]; it has not happened then either.
    pub async fn roll_back(self) -> Result<(), StoreError> {
        match self.0 {
            TransactionOf::Sqlite(transaction) => transaction.rollback().await?,
            TransactionOf::Postgres(transaction) => transaction.rollback().await?,
        }
        Ok(())
    }
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Transaction(…)")
    }
}
