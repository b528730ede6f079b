//! Limits whose counters are in a store that several gateways share.
//!
//! Deciding does no I/O. So a request is counted in two steps: [`Limits::count`] says what the store must be asked, and takes
//! at once what is counted here; [`Limits::conclude`] decides with the store's answer. What was taken here is given back if
//! the store refuses.
//!
//! [`Limits::count`]: crate::Limits::count
//! [`Limits::conclude`]: crate::Limits::conclude

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use portcullis_core::{Digest, SharedCount};
use portcullis_store::redis::{Link, Redis, Script};
use smallvec::SmallVec;

use crate::lease::Leases;
use crate::rule::Rule;
use crate::table::Table;

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("count.lua")));

/// The key of the hash that names counters in a shared store: all gateways must find the same counter. It is no secret.
/// Nobody gains by two identities that meet: they would share one bucket.
pub(crate) const FLEET_KEY: [u8; 16] = *b"portcullis-limit";

/// How many numbers the script takes for each limit, and gives.
const TAKEN: usize = 10;
const GIVEN: usize = 6;

/// What of a limit is in the shared store.
pub(crate) struct Shared {
    pub(crate) redis: Arc<Redis>,
    /// Whether the counters of all limits stand under one hash tag.
    pub(crate) is_together: bool,
    pub(crate) mode: Mode,
    pub(crate) outage: Outage,
}

/// How the store is asked.
pub(crate) enum Mode {
    /// For each request.
    Exact,
    /// For a batch of tokens ahead.
    Leased { batch: u32, leases: Arc<Leases> },
}

/// What holds while the store is lost.
pub(crate) enum Outage {
    /// Nothing passes.
    Deny,
    /// This node's share, counted here.
    Local { rule: Rule, table: Arc<Table> },
}

/// What a shared store must be asked for one request.
#[derive(Debug, Clone)]
pub struct Ask {
    redis: Arc<Redis>,
    keys: SmallVec<[String; 2]>,
    numbers: SmallVec<[i64; 24]>,
    asked: SmallVec<[u32; 4]>,
    owed: SmallVec<[u32; 4]>,
}

/// What the store says about one limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said {
    pub(crate) has_room: bool,
    pub(crate) left: u64,
    pub(crate) reset: Duration,
    pub(crate) turn: Duration,
    pub(crate) taken: u32,
    pub(crate) before: u64,
}

impl Ask {
    pub(crate) fn new(redis: &Arc<Redis>) -> Self {
        let numbers = SmallVec::from_elem(0, 1);
        let (keys, asked, owed) = (SmallVec::new(), SmallVec::new(), SmallVec::new());
        Self { redis: Arc::clone(redis), keys, numbers, asked, owed }
    }

    /// Adds the limit `place` with its counter and what is to be taken from it.
    pub(crate) fn push(&mut self, place: u32, key: String, rule: &Rule, watches: bool, cost: [u32; 3]) {
        let [least, most, owed] = cost;
        let (algorithm, parameters) = rule.parameters();
        self.numbers.extend([algorithm, watches.into(), least.into(), most.into(), owed.into()]);
        self.numbers.extend(parameters);
        self.keys.push(key);
        self.asked.push(place);
        self.owed.push(owed);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The store to be asked.
    #[must_use]
    pub const fn redis(&self) -> &Arc<Redis> {
        &self.redis
    }

    /// Asks the store: one script call, however many limits there are.
    pub async fn send(&self, link: &Link) -> SharedCount {
        self.answered(link.run(&SCRIPT, &self.keys, &self.numbers).await.ok())
    }

    /// Asks what the store would say, and takes nothing.
    pub async fn rehearse(&self, link: &Link) -> SharedCount {
        let mut numbers = self.numbers.clone();
        if let Some(first) = numbers.first_mut() {
            *first = 1;
        }
        self.answered(link.run(&SCRIPT, &self.keys, &numbers).await.ok())
    }

    /// The end of an ask that cannot be made.
    #[must_use]
    pub fn unanswered(&self) -> SharedCount {
        self.answered(None)
    }

    fn answered(&self, numbers: Option<Vec<i64>>) -> SharedCount {
        debug_assert_eq!(self.numbers.len(), 1 + self.keys.len() * TAKEN);
        let numbers = numbers.filter(|numbers| numbers.len() == 1 + self.keys.len() * GIVEN);
        let asked = self.asked.clone();
        match numbers {
            Some(numbers) => SharedCount::Answered { asked, numbers: numbers.into() },
            None => SharedCount::Unanswered { asked, owed: self.owed.clone() },
        }
    }
}

/// What an answer says about the limit that was asked as number `at`.
pub(crate) fn said(numbers: &[i64], at: usize) -> Option<Said> {
    let numbers: &[i64; GIVEN] = numbers.get(1 + at * GIVEN..)?.first_chunk()?;
    let [room, left, reset, turn, taken, before] = *numbers;
    let whole = |number: i64| u64::try_from(number).unwrap_or(0);
    Some(Said {
        has_room: room == 1,
        left: whole(left),
        reset: Duration::from_micros(whole(reset)),
        turn: Duration::from_micros(whole(turn)),
        taken: u32::try_from(taken).unwrap_or(0),
        before: whole(before),
    })
}

impl Shared {
    /// The name of a counter. Counters that one script names must have the same hash tag, the part in braces, to be together
    /// in a cluster: the key itself where all limits have the same, otherwise one for all.
    pub(crate) fn name(&self, limit: &str, rule: &Rule, digest: Digest) -> String {
        let (prefix, letter, digest) = (self.redis.prefix(), rule.letter(), digest.0);
        if self.is_together {
            format!("{prefix}{{limits}}:{limit}:{letter}:{digest:032x}")
        } else {
            format!("{prefix}{{{digest:032x}}}:{limit}:{letter}")
        }
    }
}
