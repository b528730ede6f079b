//! All limits of a configuration, and the one step that decides about a request.

mod charge;
mod compile;
mod count;

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::{Digest, KeyPath, KeyedHash, LimitState, PrincipalKind, Problems, Timestamp};
use portcullis_store::redis::Redis;
use smallvec::SmallVec;

use crate::key::{Key, Subject};
use crate::raw::{RawExempt, RawLimit, RawLimitStore, RawOverride, When};
use crate::rule::Rule;
use crate::shared::{Mode, Outage, Shared};
use crate::table::Table;

use charge::Charge;
pub(crate) use compile::{check_name as compile_name, compile_key};
pub use count::Counted;

/// The limits of a configuration with their counters.
pub struct Limits {
    limits: Vec<Limit>,
    /// Its key is drawn when the first configuration loads, and never leaves the process: nobody
    /// outside can choose a key that meets another's.
    hash: KeyedHash,
    /// The same for counters that several gateways must find.
    fleet_hash: KeyedHash,
}

/// How much the counters of each limit may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitStore {
    max_keys: u32,
}

/// The place of a limit in the [`Limits`] that named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitId(pub u32);

/// The request may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It comes too soon for at least one limit. It would pass after this time, if no other came first: the longest wait of
    /// all limits that refused.
    TooSoon(Duration),
    /// The store that counts is lost, and the configuration says that nothing passes then.
    NotCountable,
}

struct Limit {
    name: Arc<str>,
    /// The name of its counters: an exception of a limit has others.
    counted_as: Arc<str>,
    /// For whom, and when, something else holds.
    overrides: Vec<(RawOverride, Limit)>,
    key: Key,
    rule: Rule,
    when: When,
    /// Whether it only watches: it never refuses.
    watches: bool,
    /// Who is not counted.
    exempt: Option<Box<RawExempt>>,
    /// What a request takes.
    cost: u32,
    /// What the `RateLimit-Policy` field says: so many requests in so much time.
    quota: u64,
    window: Duration,
    table: Arc<Table>,
    shared: Option<Shared>,
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
        redis: Option<&Arc<Redis>>,
        path: &KeyPath,
        problems: &mut Problems,
        previous: Option<&Self>,
    ) -> Self {
        compile::compile(raw, store, redis, path, problems, previous)
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
        self.limits.iter().map(Limit::memory).sum()
    }

    /// Takes from each of the limits `ids` that applies to `subject`, or from none, without asking a shared store: a limit that
    /// is counted there counts as if the store were lost.
    ///
    /// It is one atomic step: of requests in several threads, each sees the tokens of all its limits or of none
    /// taken by another. A limit that is named twice counts once. A limit per API key does not apply to
    /// a principal that has none; a limit per principal counts the anonymous by their address.
    ///
    /// Appends to `states` how each limit that applies stands afterwards.
    ///
    /// # Errors
    /// When at least one limit has no room left, or when an id is not from these limits: what cannot be
    /// counted does not pass.
    pub fn take(
        &self,
        ids: &[LimitId],
        subject: &Subject<'_>,
        now: Timestamp,
        states: &mut SmallVec<[LimitState; 2]>,
    ) -> Result<(), Refused> {
        let mut asked = Asked::new();
        self.applicable(ids, subject, now, &mut asked)?;
        charge::take(asked.iter().map(|asked| asked.local()), now, states)
    }

    /// The limits that apply, each once, with the digest of the subject's key, in the order in which
    /// their tables are locked.
    fn applicable<'l>(
        &'l self,
        ids: &[LimitId],
        subject: &Subject<'_>,
        now: Timestamp,
        asked: &mut Asked<'l>,
    ) -> Result<(), Refused> {
        let mut last: Option<(&Key, bool, Option<Digest>)> = None;
        for id in ids {
            let unknown = Refused::TooSoon(Duration::from_secs(1));
            let limit = self.limits.get(id.0 as usize).ok_or(unknown)?;
            let limit = limit.of(subject, now);
            if limit.exempt.as_ref().is_some_and(|exempt| exempt.is_of(subject)) {
                continue;
            }
            let is_shared = limit.shared.is_some();
            // Limits that differ only in their rate, such as one per second and one per day, share the work.
            let digest = match last {
                Some((key, of_fleet, digest)) if *key == limit.key && of_fleet == is_shared => digest,
                _ => limit.key.digest(if is_shared { &self.fleet_hash } else { &self.hash }, subject),
            };
            last = Some((&limit.key, is_shared, digest));
            if let Some(digest) = digest {
                asked.push(Asking { place: id.0, limit, digest });
            }
        }
        if asked.len() > 1 {
            // One order for all threads and all configurations that share tables: no two wait for each other.
            asked.sort_unstable_by_key(|asking| asking.limit.table.serial());
            asked.dedup_by_key(|asking| asking.limit.table.serial());
        }
        Ok(())
    }
}

impl RawExempt {
    /// Whether this is somebody who is not counted.
    pub(crate) fn is_of(&self, subject: &Subject<'_>) -> bool {
        let Self { addresses, principals, roles } = self;
        let known = subject.principal.filter(|principal| principal.kind != PrincipalKind::Anonymous);
        addresses.iter().any(|network| network.contains(&subject.address))
            || known.is_some_and(|principal| {
                principals.contains(&principal.id) || roles.iter().any(|role| principal.roles.contains(role))
            })
    }
}

type Asked<'l> = SmallVec<[Asking<'l>; 3]>;

/// A limit that applies to a request, with the request's counter.
#[derive(Clone, Copy)]
struct Asking<'l> {
    place: u32,
    limit: &'l Limit,
    digest: Digest,
}

impl<'l> Asking<'l> {
    /// What is counted in this process: all of it, or this node's share.
    fn local(&self) -> Counter<'l> {
        let limit = self.limit;
        let (rule, table) = match limit.shared.as_ref().map(|shared| &shared.outage) {
            Some(Outage::Local { rule, table }) => (rule, table),
            _ => (&limit.rule, &limit.table),
        };
        Counter { limit, rule, table, digest: self.digest }
    }
}

/// One counter in this process.
#[derive(Clone, Copy)]
struct Counter<'l> {
    limit: &'l Limit,
    rule: &'l Rule,
    table: &'l Table,
    digest: Digest,
}

impl Limit {
    const fn is_queue(&self) -> bool {
        matches!(self.rule, Rule::Queue(_))
    }

    /// The limit as it holds for a request: this one, or the first of its exceptions that fits.
    fn of(&self, subject: &Subject<'_>, now: Timestamp) -> &Self {
        let mut overrides = self.overrides.iter();
        overrides.find(|(condition, _)| condition.holds(subject, now)).map_or(self, |(_, limit)| limit)
    }

    /// This limit and its exceptions.
    fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.overrides.iter().map(|(_, limit)| limit))
    }

    fn memory(&self) -> usize {
        let of_overrides: usize = self.overrides.iter().map(|(_, limit)| limit.memory()).sum();
        let shared = self.shared.as_ref().map_or(0, |shared| {
            let leases = if let Mode::Leased { leases, .. } = &shared.mode { leases.memory() } else { 0 };
            let share = if let Outage::Local { table, .. } = &shared.outage { table.memory() } else { 0 };
            leases + share
        });
        self.table.memory() + shared + of_overrides
    }

    fn state(&self, remaining: u64, reset: Duration, exceeded: bool, turn: Duration) -> LimitState {
        LimitState {
            name: Arc::clone(&self.name),
            quota: self.quota,
            window: self.window,
            remaining,
            reset,
            exceeded,
            watches: self.watches,
            turn,
            reached: 0,
        }
    }
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
