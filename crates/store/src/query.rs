//! Questions to a database and their answers, the same for SQLite and PostgreSQL.

use portcullis_core::Timestamp;
use sqlx::postgres::{PgRow, Postgres};
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Decode, Type};

use crate::StoreError;

/// One statement with its values: `$1`, `$2` and so on stand for them.
#[derive(Debug, Clone)]
pub struct Query {
    pub(crate) text: &'static str,
    pub(crate) values: Vec<Value>,
    pub(crate) must_change: bool,
}

/// A value for a statement; `None` is NULL.
#[derive(Clone)]
pub enum Value {
    /// TEXT.
    Text(Option<String>),
    /// INTEGER, BIGINT.
    Integer(Option<i64>),
    /// BLOB, BYTEA.
    Bytes(Option<Vec<u8>>),
}

impl Query {
    /// A statement that both databases understand. The text never holds what comes from outside: it is a constant of the
    /// program.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        Self { text, values: Vec::new(), must_change: false }
    }

    /// Gives the next value.
    #[must_use]
    pub fn with(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// In a transaction: if this changes no row, nothing of the transaction happens, and the answer is
    /// [`StoreError::NothingChanged`].
    #[must_use]
    pub const fn must_change(mut self) -> Self {
        self.must_change = true;
        self
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Value(…)")
    }
}

macro_rules! values {
    ($($kind:ident <- $type:ty: |$value:ident| $made:expr;)+) => {$(
        impl From<$type> for Value {
            fn from($value: $type) -> Self {
                Self::$kind(Some($made))
            }
        }

        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Self {
                Self::$kind(value.map(|$value| $made))
            }
        }
    )+};
}

values! {
    Text <- String: |value| value;
    Text <- &str: |value| value.to_owned();
    Integer <- i64: |value| value;
    Integer <- bool: |value| i64::from(value);
    // Milliseconds: nanoseconds would overflow in the year 2262, before the end of a key that never ends.
    Integer <- Timestamp: |value| i64::try_from(value.as_millis()).unwrap_or(i64::MAX);
    Bytes <- Vec<u8>: |value| value;
    Bytes <- &[u8]: |value| value.to_vec();
}

/// One row of an answer.
pub struct Row(pub(crate) RowOf);

pub(crate) enum RowOf {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// The column at `index`, counted from 0.
    ///
    /// # Errors
    /// When there is none, or it is of another type: the program and its tables do not fit.
    pub fn column<C: Column>(&self, index: usize) -> Result<C, StoreError> {
        C::read(self, index)
    }

    fn get<T>(&self, index: usize) -> Result<T, StoreError>
    where
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
    {
        match &self.0 {
            RowOf::Sqlite(row) => sqlx::Row::try_get(row, index),
            RowOf::Postgres(row) => sqlx::Row::try_get(row, index),
        }
        .map_err(|error| StoreError::Refused(error.to_string()))
    }
}

/// What a column can be read as.
pub trait Column: Sized {
    /// Reads the column at `index`.
    ///
    /// # Errors
    /// When it is of another type.
    fn read(row: &Row, index: usize) -> Result<Self, StoreError>;
}

macro_rules! columns {
    ($($type:ty => |$value:ident: $stored:ty| $made:expr;)+) => {$(
        impl Column for $type {
            fn read(row: &Row, index: usize) -> Result<Self, StoreError> {
                row.get::<$stored>(index).map(|$value| $made)
            }
        }

        impl Column for Option<$type> {
            fn read(row: &Row, index: usize) -> Result<Self, StoreError> {
                Ok(row.get::<Option<$stored>>(index)?.map(|$value| $made))
            }
        }
    )+};
}

columns! {
    String => |value: String| value;
    i64 => |value: i64| value;
    bool => |value: i64| value != 0;
    Timestamp => |value: i64| Timestamp(u64::try_from(value).unwrap_or_default().saturating_mul(1_000_000));
    Vec<u8> => |value: Vec<u8>| value;
}
