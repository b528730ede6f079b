//! One Redis or Valkey, alone, behind Sentinels or as a cluster, that several gateways share.
//!
//! [`Redis`] is what all threads of a process have in common: the settings, what is known of its health, and the counters.
//! A [`Link`] is one thread's connection to it; the calls of all requests of a thread are pipelined over it.
//!
//! A call takes at most the configured time. When calls fail in a row, or the connection cannot be had, the store counts as
//! lost: calls fail at once from then on, and one task asks every few hundred milliseconds whether the store takes writes
//! again. No request waits for that.

mod breaker;
mod connect;
mod link;
mod script;
mod settings;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use breaker::Breaker;

pub use ::redis::{Cmd, FromRedisValue, Value, cmd};
pub use link::{Link, Told, Unavailable};
pub use script::Script;
pub use settings::{RawRedis, RawRedisTls, RawSentinel};

use settings::Settings;

/// A Redis as all threads see it.
pub struct Redis {
    settings: Settings,
    breaker: Breaker,
    calls: Calls,
}

/// How calls ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Outcome {
    /// With an answer.
    Answered,
    /// Not in time.
    TimedOut,
    /// With an error of the connection or of the store.
    Failed,
    /// They were not made, since the store is lost.
    Spared,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Answered, Self::TimedOut, Self::Failed, Self::Spared];

    /// The value of the label `outcome`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
            Self::Spared => "spared",
        }
    }
}

#[derive(Debug, Default)]
struct Calls {
    by_outcome: [AtomicU64; Outcome::ALL.len()],
    micros: AtomicU64,
}

impl Redis {
    /// Whether calls are made.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.breaker.admits()
    }

    /// How many calls ended so.
    #[must_use]
    pub fn calls(&self, outcome: Outcome) -> u64 {
        self.calls.by_outcome.get(outcome as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// The time that calls with an answer took in all.
    #[must_use]
    pub fn call_time(&self) -> Duration {
        Duration::from_micros(self.calls.micros.load(Ordering::Relaxed))
    }

    /// How often the store was lost.
    #[must_use]
    pub fn losses(&self) -> u64 {
        self.breaker.losses()
    }

    /// What every key begins with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.settings.prefix
    }

    /// Whether keys that one script names must share a hash tag.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.settings.is_cluster()
    }

    /// The time limit of a call.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    fn count(&self, outcome: Outcome, took: Duration) {
        if let Some(count) = self.calls.by_outcome.get(outcome as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if outcome == Outcome::Answered {
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            self.calls.micros.fetch_add(micros, Ordering::Relaxed);
        }
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("settings", &self.settings).field("is_up", &self.is_up()).finish()
    }
}

impl Redis {
    fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self { settings, breaker: Breaker::default(), calls: Calls::default() })
    }
}
