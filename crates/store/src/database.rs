//! A database with its thread and its connections.

use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::location::{Location, sqlite_options};
use crate::query::{Query, Row, RowOf, Value};
use crate::transaction::{Transaction, TransactionOf};
use crate::{migrations, rehearsal};

/// How long whoever asks waits for an answer, a free connection included.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long opening may take: longer, since tables may be changed.
const OPEN_WITHIN: Duration = Duration::from_secs(60);
/// How long a new connection, or a free one, is waited for.
const CONNECT_WITHIN: Duration = Duration::from_secs(4);
/// The most connections of a gateway to PostgreSQL, or that read a SQLite file.
const MOST_CONNECTIONS: u32 = 4;

/// A database: a SQLite file or PostgreSQL. It is opened once, by whoever starts; until then it is only a place.
#[derive(Debug)]
pub struct Database {
    location: Location,
    opened: OnceLock<Opened>,
}

#[derive(Debug)]
struct Opened {
    runtime: Handle,
    pool: Pool,
    /// Ends the thread when it is dropped.
    _stop: oneshot::Sender<()>,
}

#[derive(Debug, Clone)]
enum Pool {
    Sqlite {
        readers: SqlitePool,
        /// One connection: SQLite has one writer at a time, and waiting for the connection is fairer than for its lock.
        writer: SqlitePool,
    },
    Postgres(PgPool),
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nobody opened the database.
    #[error("the database is not open")]
    NotOpen,
    /// The database cannot be reached, or it does not answer in time.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// There is such a row already.
    #[error("there is such a row already")]
    Exists,
    /// A statement that must change something did not; nothing of its transaction happened.
    #[error("there is no such row any more")]
    NothingChanged,
    /// The database does not take the statement, or its answer is not what the program expects.
    #[error("the database refuses: {0}")]
    Refused(String),
}

/// Why a database cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the database {place} cannot be opened: {why}")]
pub struct OpenError {
    place: String,
    why: String,
}

impl Database {
    pub(crate) const fn new(location: Location) -> Self {
        Self { location, opened: OnceLock::new() }
    }

    /// The database at this place: the one that is known already, with its connections, or a new one.
    pub(crate) fn at(location: Location, known: Option<&Arc<Self>>) -> Arc<Self> {
        match known.filter(|known| known.location.is_same(&location)) {
            Some(known) => Arc::clone(known),
            None => Arc::new(Self::new(location)),
        }
    }

    pub(crate) const fn location(&self) -> &Location {
        &self.location
    }

    /// Whether it was opened.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.opened.get().is_some()
    }

    /// Opens it, and makes or changes its tables. Waits for that; a second call does nothing.
    ///
    /// # Errors
    /// When it cannot be reached, or its tables are of a newer version of the program.
    pub fn open(&self) -> Result<(), OpenError> {
        self.start(true)
    }

    /// Opens it as it is, for those who only look: nothing is made and no table changed.
    ///
    /// # Errors
    /// When it is not there or cannot be reached.
    pub fn attach(&self) -> Result<(), OpenError> {
        self.start(false)
    }

    /// The rows that a query finds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rows(&self, query: Query) -> Result<Vec<Row>, StoreError> {
        self.ask(move |pool| async move {
            match pool {
                Pool::Sqlite { readers, .. } => sqlite_rows(&readers, query).await,
                Pool::Postgres(pool) => postgres_rows(&pool, query).await,
            }
        })
        .await
    }

    /// The rows of a statement that changes something (`RETURNING`).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn changed_rows(&self, query: Query) -> Result<Vec<Row>, StoreError> {
        self.ask(move |pool| async move {
            match pool {
                Pool::Sqlite { writer, .. } => sqlite_rows(&writer, query).await,
                Pool::Postgres(pool) => postgres_rows(&pool, query).await,
            }
        })
        .await
    }

    /// How many rows a statement changed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn execute(&self, query: Query) -> Result<u64, StoreError> {
        let counts = self.transact(vec![query]).await?;
        Ok(counts.into_iter().sum())
    }

    /// Executes all of the statements or, if one fails, none. How many rows each changed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn transact(&self, queries: Vec<Query>) -> Result<Vec<u64>, StoreError> {
        self.ask(move |pool| async move {
            match pool {
                Pool::Sqlite { writer, .. } => {
                    // At once the writer: a reader that becomes one may find that it came too late.
                    let transaction = writer.begin_with("BEGIN IMMEDIATE").await;
                    execute_all!(transaction, queries)
                }
                Pool::Postgres(pool) => {
                    let transaction = pool.begin().await;
                    execute_all!(transaction, queries)
                }
            }
        })
        .await
    }

    /// Does work in one transaction, which the work itself commits. Whatever it does not commit has not happened, and so has
    /// nothing if there is no answer before the work begins to commit.
    ///
    /// # Errors
    /// [`StoreError`], or what the work gives.
    pub async fn transaction<T, W>(
        &self,
        work: impl FnOnce(Transaction) -> W + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, StoreError>> + Send,
    {
        self.ask(move |pool| async move {
            let transaction = match pool {
                Pool::Sqlite { writer, .. } => {
                    TransactionOf::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)
                }
                Pool::Postgres(pool) => TransactionOf::Postgres(pool.begin().await?),
            };
            work(Transaction(transaction)).await
        })
        .await
    }

    /// Has the database's own thread do what nobody waits for.
    ///
    /// # Errors
    /// When it is not open.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> Result<(), StoreError> {
        let opened = self.opened.get().ok_or(StoreError::NotOpen)?;
        drop(opened.runtime.spawn(work));
        Ok(())
    }

    /// Has the database's own thread do the work, for as long as anybody would wait for it.
    async fn ask<T, W>(&self, work: impl FnOnce(Pool) -> W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let Opened { runtime, pool, .. } = self.opened.get().ok_or(StoreError::NotOpen)?;
        let work = work(pool.clone());
        // The limit is made there, where its timer runs.
        match runtime.spawn(async move { tokio::time::timeout(ANSWER_WITHIN, work).await }).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => {
                Err(StoreError::Unavailable(format!("no answer within {}s", ANSWER_WITHIN.as_secs())))
            }
            Err(error) => Err(StoreError::Unavailable(error.to_string())),
        }
    }

    fn start(&self, migrate: bool) -> Result<(), OpenError> {
        if self.is_open() {
            return Ok(());
        }
        let failed = |why: String| OpenError { place: self.location.to_string(), why };
        if migrate && let Location::Sqlite(file) = &self.location {
            rehearsal::create_private(file).map_err(|error| failed(error.to_string()))?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(error.to_string()))?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = mpsc::sync_channel(1);
        let location = self.location.clone();
        let thread = std::thread::Builder::new().name("database".to_owned());
        let started = thread.spawn(move || {
            runtime.block_on(async move {
                let connecting = tokio::time::timeout(OPEN_WITHIN, connect(&location, migrate));
                let connected = connecting.await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
                let pool = connected.as_ref().ok().cloned();
                // Whoever waits for it is there, or the pool ends with this.
                let is_heard = tell.send(connected).is_ok();
                if let (Some(pool), true) = (pool, is_heard) {
                    // Nothing is ever sent: the error is the signal.
                    let _: Result<(), _> = stopped.await;
                    let _: Result<(), _> = tokio::time::timeout(Duration::from_secs(2), pool.close()).await;
                }
            });
            runtime.shutdown_background();
        });
        started.map_err(|error| failed(error.to_string()))?;
        let connected = told.recv().unwrap_or_else(|error| Err(error.to_string()));
        let pool = connected.map_err(failed)?;
        // If another thread opened it meanwhile, one of the two is closed again.
        let _: Result<(), Opened> = self.opened.set(Opened { runtime: handle, pool, _stop: stop });
        Ok(())
    }
}

impl Pool {
    async fn close(&self) {
        match self {
            Self::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

async fn connect(location: &Location, migrate: bool) -> Result<Pool, String> {
    match location {
        Location::Sqlite(file) => {
            let writer = SqlitePoolOptions::new()
                .max_connections(1)
                .acquire_timeout(CONNECT_WITHIN)
                .idle_timeout(None)
                .max_lifetime(None)
                .connect_with(sqlite_options(file))
                .await
                .map_err(|error| error.to_string())?;
            if migrate {
                migrations::sqlite().run(&writer).await.map_err(|error| in_words(&error))?;
            }
            let readers = SqlitePoolOptions::new()
                .max_connections(MOST_CONNECTIONS)
                .min_connections(1)
                .acquire_timeout(CONNECT_WITHIN)
                .test_before_acquire(false)
                .idle_timeout(None)
                .max_lifetime(None)
                .connect_with(sqlite_options(file).pragma("query_only", "ON"))
                .await
                .map_err(|error| error.to_string())?;
            Ok(Pool::Sqlite { readers, writer })
        }
        Location::Postgres { options, .. } => {
            let pool = PgPoolOptions::new()
                .max_connections(MOST_CONNECTIONS)
                .acquire_timeout(CONNECT_WITHIN)
                .connect_with((**options).clone())
                .await
                .map_err(|error| error.to_string())?;
            if migrate {
                migrations::postgres().run(&pool).await.map_err(|error| in_words(&error))?;
            }
            Ok(Pool::Postgres(pool))
        }
    }
}

fn in_words(error: &MigrateError) -> String {
    match error {
        MigrateError::VersionMissing(_) => {
            "its tables were made by a newer version of portcullis; run that version".to_owned()
        }
        MigrateError::VersionMismatch(_) => {
            "its tables were made by another build of portcullis; run that one, or name another database"
                .to_owned()
        }
        other => other.to_string(),
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => Self::Exists,
            // 57014: PostgreSQL gave up in time. 5 and 6: SQLite waited for a lock in vain.
            sqlx::Error::Database(database)
                if !matches!(database.code().as_deref(), Some("57014" | "5" | "6" | "261" | "517")) =>
            {
                Self::Refused(error.to_string())
            }
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_) => {
                Self::Refused(error.to_string())
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

/// The statement of a query with its values, for the database that the place of use needs.
macro_rules! prepared {
    ($query:ident) => {{
        let mut prepared = sqlx::query($query.text);
        for value in $query.values {
            prepared = match value {
                Value::Text(value) => prepared.bind(value),
                Value::Integer(value) => prepared.bind(value),
                Value::Bytes(value) => prepared.bind(value),
            };
        }
        prepared
    }};
}
pub(crate) use prepared;

macro_rules! execute_all {
    ($transaction:ident, $queries:ident) => {{
        let mut transaction = $transaction?;
        let mut counts = Vec::with_capacity($queries.len());
        for query in $queries {
            let must_change = query.must_change;
            let count = prepared!(query).execute(&mut *transaction).await?.rows_affected();
            if must_change && count == 0 {
                transaction.rollback().await?;
                return Err(StoreError::NothingChanged);
            }
            counts.push(count);
        }
        transaction.commit().await?;
        Ok(counts)
    }};
}
use execute_all;

async fn sqlite_rows(pool: &SqlitePool, query: Query) -> Result<Vec<Row>, StoreError> {
    let rows = prepared!(query).fetch_all(pool).await?;
    Ok(rows.into_iter().map(|row| Row(RowOf::Sqlite(row))).collect())
}

async fn postgres_rows(pool: &PgPool, query: Query) -> Result<Vec<Row>, StoreError> {
    let rows = prepared!(query).fetch_all(pool).await?;
    Ok(rows.into_iter().map(|row| Row(RowOf::Postgres(row))).collect())
}
