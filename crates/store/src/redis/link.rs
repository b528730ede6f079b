//! One thread's connection, and the calls over it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::redis::{Cmd, ErrorKind, FromRedisValue, RedisError, ServerErrorKind, Value, from_redis_value};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::connect::{self, Connection};
use super::{Outcome, Redis, Script};

/// The time between two looks whether a lost store is back.
const PROBE_EVERY: Duration = Duration::from_millis(200);
/// How long a connection may take to come about. Calls do not wait that long.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The store is lost, and was not asked.
    #[error("the store is lost")]
    Lost,
    /// It did not answer in time. What was asked may have been done.
    #[error("the store did not answer in time")]
    TimedOut,
    /// The connection or the store failed.
    #[error("{0}")]
    Failed(String),
}

/// What an operator should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The store does not answer any more.
    Lost {
        /// What it did last.
        cause: String,
    },
    /// The store answers again.
    Back,
}

/// A connection to a [`Redis`] for the calls of one thread. It is opened when it is first needed, and again when it broke.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    redis: Arc<Redis>,
    tell: Box<dyn Fn(Told) + Send + Sync>,
    connecting: Mutex<Option<Connecting>>,
}

/// A connection on its way, or here.
#[derive(Clone)]
struct Connecting {
    era: u64,
    number: u64,
    outcome: watch::Receiver<Option<Result<Connection, String>>>,
}

impl Link {
    /// A link that tells `tell` when the store is lost or back. It must be used within a runtime.
    #[must_use]
    pub fn new(redis: &Arc<Redis>, tell: impl Fn(Told) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { redis: Arc::clone(redis), tell: Box::new(tell), connecting: Mutex::default() }))
    }

    /// The store that this is a link to.
    #[must_use]
    pub fn redis(&self) -> &Arc<Redis> {
        &self.0.redis
    }

    /// Opens the connection, so that the first call finds it open. Must be called within a runtime.
    pub fn open(&self) {
        drop(self.0.connecting(None));
    }

    /// Runs a script, which is one atomic step. In a cluster all keys must share a hash tag.
    ///
    /// # Errors
    /// When there is no answer within the store's time limit.
    pub async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[impl AsRef<[u8]>],
        arguments: &[i64],
    ) -> Result<T, Unavailable> {
        let era = self.0.redis.breaker.era();
        self.0
            .guard(era, async {
                match self.0.send(&script.by_digest(keys, arguments), era).await {
                    Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                        self.0.send(&script.whole(keys, arguments), era).await
                    }
                    outcome => outcome,
                }
            })
            .await
    }

    /// Sends one command.
    ///
    /// # Errors
    /// When there is no answer within the store's time limit.
    pub async fn call<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Unavailable> {
        let era = self.0.redis.breaker.era();
        self.0.guard(era, self.0.send(command, era)).await
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Link").field(&self.0.redis).finish()
    }
}

impl Inner {
    /// Keeps a call to its time, and takes its end into account.
    async fn guard<T: FromRedisValue>(
        self: &Arc<Self>,
        era: u64,
        call: impl Future<Output = Result<Value, RedisError>>,
    ) -> Result<T, Unavailable> {
        let redis = &self.redis;
        if !redis.breaker.admits() {
            redis.count(Outcome::Spared, Duration::ZERO);
            return Err(Unavailable::Lost);
        }
        let started = Instant::now();
        let Ok(outcome) = tokio::time::timeout(redis.settings.timeout, call).await else {
            redis.count(Outcome::TimedOut, Duration::ZERO);
            if redis.breaker.failed(era) {
                self.lost(format!("no answer within {} ms", redis.settings.timeout.as_millis()));
            }
            return Err(Unavailable::TimedOut);
        };
        match outcome.and_then(|value| from_redis_value(value).map_err(RedisError::from)) {
            Ok(value) => {
                redis.breaker.succeeded();
                redis.count(Outcome::Answered, started.elapsed());
                Ok(value)
            }
            Err(error) => {
                redis.count(Outcome::Failed, Duration::ZERO);
                let cause = error.to_string();
                if is_of_the_store(&error) && redis.breaker.failed(era) {
                    self.lost(cause.clone());
                }
                Err(Unavailable::Failed(cause))
            }
        }
    }

    /// Sends a command; once more over a new connection if the one at hand turns out to be broken.
    async fn send(self: &Arc<Self>, command: &Cmd, era: u64) -> Result<Value, RedisError> {
        let (number, connection) = self.connection(None, era).await?;
        match connection.send(command).await {
            Err(error) if error.is_unrecoverable_error() => {
                let (_, connection) = self.connection(Some(number), era).await?;
                connection.send(command).await
            }
            outcome => outcome,
        }
    }

    /// The connection; another one than `broken`.
    async fn connection(
        self: &Arc<Self>,
        broken: Option<u64>,
        era: u64,
    ) -> Result<(u64, Connection), RedisError> {
        let mut connecting = self.connecting(broken);
        let outcome = match connecting.outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone(),
            Err(_) => None,
        };
        match outcome {
            Some(Ok(connection)) => Ok((connecting.number, connection)),
            failed => {
                let cause = failed.and_then(Result::err).unwrap_or_else(|| "the runtime ends".to_owned());
                // Nobody listens there: no need to find that out twice.
                if self.redis.breaker.open_in(era) {
                    self.lost(cause.clone());
                }
                Err(RedisError::from((ErrorKind::Io, "no connection", cause)))
            }
        }
    }

    /// The connection, which is opened by a task of its own: a call that is out of time does not keep it from coming about.
    fn connecting(self: &Arc<Self>, broken: Option<u64>) -> Connecting {
        let era = self.redis.breaker.era();
        let mut slot = self.connecting.lock();
        let is_usable = |known: &&Connecting| {
            let has_failed = match &*known.outcome.borrow() {
                Some(outcome) => outcome.is_err(),
                // The runtime that opened it is gone.
                None => known.outcome.has_changed().is_err(),
            };
            known.era == era && Some(known.number) != broken && !has_failed
        };
        if let Some(known) = slot.as_ref().filter(is_usable) {
            return known.clone();
        }
        let (tell, outcome) = watch::channel(None);
        let number = slot.as_ref().map_or(0, |known| known.number + 1);
        let connecting = Connecting { era, number, outcome };
        *slot = Some(connecting.clone());
        let redis = Arc::clone(&self.redis);
        tokio::spawn(async move {
            tell.send_replace(Some(open(&redis).await));
        });
        connecting
    }

    /// Tells that the store is lost, and looks for it from now on.
    fn lost(self: &Arc<Self>, cause: String) {
        *self.connecting.lock() = None;
        (self.tell)(Told::Lost { cause });
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(PROBE_EVERY).await;
                if inner.probe().await {
                    inner.redis.breaker.close();
                    return (inner.tell)(Told::Back);
                }
            }
        });
    }

    /// Whether the store takes a connection and answers a write in time. The connection is kept.
    async fn probe(&self) -> bool {
        let Ok(connection) = open(&self.redis).await else { return false };
        let key = format!("{}probe", self.redis.settings.prefix);
        let mut write = ::redis::cmd("SET");
        write.arg(key).arg(1).arg("PX").arg(1_000);
        let answered = tokio::time::timeout(self.redis.settings.timeout, connection.send(&write)).await;
        if !matches!(answered, Ok(Ok(_))) {
            return false;
        }
        let (tell, outcome) = watch::channel(None);
        tell.send_replace(Some(Ok(connection)));
        let mut slot = self.connecting.lock();
        let number = slot.as_ref().map_or(0, |known| known.number + 1);
        *slot = Some(Connecting { era: self.redis.breaker.era(), number, outcome });
        true
    }
}

async fn open(redis: &Redis) -> Result<Connection, String> {
    match tokio::time::timeout(CONNECT_TIMEOUT, connect::open(&redis.settings)).await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no connection within {} ms", CONNECT_TIMEOUT.as_millis())),
    }
}

/// Whether an error says something of the store rather than of what was asked.
fn is_of_the_store(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::BusyLoading
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::TryAgain
                | ServerErrorKind::NoPerm
        ),
        ErrorKind::Extension => {
            matches!(error.code(), Some("OOM" | "MISCONF" | "NOREPLICAS" | "NOAUTH" | "WRONGPASS"))
        }
        ErrorKind::UnexpectedReturnType | ErrorKind::Client => false,
        _ => true,
    }
}
