//! All limits of a configuration, and the one step that decides about a request.

mod compile;

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::{Digest, KeyPath, KeyedHash, LimitState, Problems, Timestamp};
use smallvec::SmallVec;

use crate::gcra::{Fine, Gcra};
use crate::key::{Key, Subject};
use crate::raw::{RawLimit, RawLimitStore, When};
use crate::table::{Bucket, Table};

/// The limits of a configuration with their counters.
pub struct Limits {
    limits: Vec<Limit>,
    /// Its key is drawn when the first configuration loads, and never leaves the process: nobody
    /// outside can choose a key that meets another's.
    hash: KeyedHash,
}

/// How much the counters of each limit may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitStore {
    max_keys: u32,
}

/// The place of a limit in the [`Limits`] that named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitId(pub u32);

/// The request comes too soon for at least one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// When it would pass, if no other came first: the longest wait of all limits that refused.
    pub retry_after: Duration,
}

struct Limit {
    name: Arc<str>,
    key: Key,
    rule: Gcra,
    when: When,
    /// What the `RateLimit-Policy` field says: so many requests in so much time.
    quota: u64,
    window: Duration,
    table: Arc<Table>,
}

impl LimitStore {
    /// Compiles the configured store; what is wrong goes to `problems`.
    #[must_use]
    pub fn compile(raw: &RawLimitStore, path: &KeyPath, problems: &mut Problems) -> Self {
        compile::compile_store(raw, path, problems)
    }
}

impl Limits {
    /// Compiles the configured limits; what is wrong goes to `problems`.
    ///
    /// A limit that `previous` has under the same name, with the same key, rate, burst and store, goes on with
    /// its counters. Any other starts with full buckets.
    #[must_use]
    pub fn compile(
        raw: &[RawLimit],
        store: LimitStore,
        path: &KeyPath,
        problems: &mut Problems,
        previous: Option<&Self>,
    ) -> Self {
        compile::compile(raw, store, path, problems, previous)
    }

    /// The limit of this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<LimitId> {
        let at = self.limits.iter().position(|limit| &*limit.name == name)?;
        u32::try_from(at).ok().map(LimitId)
    }

    /// The names of all limits, in the order of the configuration.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.limits.iter().map(|limit| &*limit.name)
    }

    /// When requests are counted by this limit.
    #[must_use]
    pub fn when(&self, id: LimitId) -> Option<When> {
        self.limits.get(id.0 as usize).map(|limit| limit.when)
    }

    /// Bytes of memory that the counters have taken so far.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.limits.iter().map(|limit| limit.table.memory()).sum()
    }

    /// Takes one token from each of the limits `ids` that applies to `subject`, or none from any.
    ///
    /// It is one atomic step: of requests in several threads, each sees the tokens of all its limits or of none
    /// taken by another. A limit that is named twice counts once. A limit per API key does not apply to
    /// a principal that has none; a limit per principal counts the anonymous by their address.
    ///
    /// Appends to `states` how each limit that applies stands afterwards.
    ///
    /// # Errors
    /// When at least one limit has no token left, or when an id is not from these limits: what cannot be
    /// counted does not pass.
    pub fn take(
        &self,
        ids: &[LimitId],
        subject: &Subject<'_>,
        now: Timestamp,
        states: &mut SmallVec<[LimitState; 2]>,
    ) -> Result<(), Refused> {
        let mut asked = Asked::new();
        self.applicable(ids, subject, &mut asked)?;
        let mut charges = SmallVec::<[Charge<'_>; 3]>::new();
        for &(limit, digest) in &asked {
            charges.push(Charge::new(limit, digest, now));
        }
        let refused = charges.iter().filter_map(|charge| charge.outcome.err()).max();
        // All locks are held until every limit has been asked, and nothing can fail from here on.
        for charge in &mut charges {
            states.push(charge.settle(refused.is_none(), now));
        }
        refused.map_or(Ok(()), |retry_after| Err(Refused { retry_after }))
    }

    /// The limits that apply, each once, with the digest of the subject's key, in the order in which
    /// their tables are locked.
    fn applicable<'l>(
        &'l self,
        ids: &[LimitId],
        subject: &Subject<'_>,
        asked: &mut Asked<'l>,
    ) -> Result<(), Refused> {
        let mut last = None;
        for id in ids {
            let unknown = Refused { retry_after: Duration::from_secs(1) };
            let limit = self.limits.get(id.0 as usize).ok_or(unknown)?;
            // Limits that differ only in their rate, such as one per second and one per day, share the work.
            let digest = match last {
                Some((key, digest)) if key == limit.key => digest,
                _ => limit.key.digest(&self.hash, subject),
            };
            last = Some((limit.key, digest));
            if let Some(digest) = digest {
                asked.push((limit, digest));
            }
        }
        if asked.len() > 1 {
            // One order for all threads and all configurations that share tables: no two wait for each other.
            asked.sort_unstable_by_key(|(limit, _)| limit.table.serial());
            asked.dedup_by_key(|(limit, _)| limit.table.serial());
        }
        Ok(())
    }
}

type Asked<'l> = SmallVec<[(&'l Limit, Digest); 3]>;

/// One token of one limit: asked for, not yet taken.
struct Charge<'l> {
    limit: &'l Limit,
    bucket: Bucket<'l>,
    outcome: Result<Fine, Duration>,
}

impl<'l> Charge<'l> {
    fn new(limit: &'l Limit, digest: Digest, now: Timestamp) -> Self {
        let mut bucket = limit.table.lock(digest, now);
        if let Some(empty) = limit.rule.after_clock_step(bucket.full_at(), now) {
            bucket.fill_at(empty);
        }
        let outcome = limit.rule.take(bucket.full_at(), now);
        Self { limit, bucket, outcome }
    }

    /// Takes the token if all limits have one; says how this one stands.
    fn settle(&mut self, all_pass: bool, now: Timestamp) -> LimitState {
        if let (Ok(full_at), true) = (self.outcome, all_pass) {
            self.bucket.fill_at(full_at);
        }
        let full_at = self.bucket.full_at();
        LimitState {
            name: Arc::clone(&self.limit.name),
            quota: self.limit.quota,
            window: self.limit.window,
            remaining: self.limit.rule.remaining(full_at, now),
            reset: self.outcome.err().unwrap_or_else(|| Gcra::refill(full_at, now)),
            exceeded: self.outcome.is_err(),
        }
    }
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
