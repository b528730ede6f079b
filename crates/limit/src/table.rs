//! The buckets of one limit: a table with a fixed upper size that cannot be won by filling it.
//!
//! Each shard has a lock and a list of sets; each set has eight slots, two cache lines in all. A key belongs
//! to one shard and one set by its keyed digest, so nobody outside can aim at a set. A slot holds a tag
//! (44 bits of the digest) and the point in time when the bucket will be full again.
//!
//! A key without a slot takes, in this order:
//!
//! 1. A slot whose bucket is full again, or was never used. Forgetting a full bucket changes nothing,
//!    because a new bucket starts full.
//! 2. A slot of a shard of twice the size, up to the fixed bound.
//! 3. The slot that will be full soonest, and with it that bucket's debt: the rule of Space-Saving (Metwally,
//!    Agrawal, El Abbadi: "Efficient computation of frequent and top-k elements in data streams", 2005).
//!
//! The third rule is what makes a flood of new keys useless. The least debt in a set never sinks except by
//! the passing of time. So a key that was pushed out finds, when it comes back, at least the debt that it
//! had. No key ever gets more than its limit; the price is that during such a flood a new key may get
//! less, as if it had spent what the least indebted key of its set has spent.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use portcullis_core::Digest;

use crate::Rate;
use crate::gcra::Fine;

/// Slots in a set. Sixteen bytes each: a set is two adjacent cache lines.
const WAYS: usize = 8;

/// At most this many locks per limit.
const MAX_SHARDS: usize = 128;

/// Bits of the digest that a slot keeps. The rest of its word is the fraction of its point in time.
const TAG_BITS: u32 = 64 - FRACTION_BITS;
const FRACTION_BITS: u32 = Rate::MAX_PARTS.trailing_zeros();

/// The buckets of one limit.
pub(crate) struct Table {
    /// Where this table stands in the order in which tables are locked. Unique in this process.
    serial: u64,
    max_keys: u32,
    shards: Box<[Shard]>,
    max_sets_per_shard: usize,
}

/// Alone on its cache line, so that two cores can take two locks without disturbing each other.
#[derive(Default)]
#[repr(align(64))]
struct Shard(Mutex<Vec<Set>>);

#[derive(Clone, Copy, Default)]
#[repr(align(128))]
struct Set([Slot; WAYS]);

/// The bucket of one key. A slot that was never used is a bucket that was full at the epoch.
#[derive(Clone, Copy, Default)]
struct Slot {
    /// The key's tag, above the fraction of the point in time.
    word: u64,
    /// When the bucket is full again.
    nanos: u64,
}

/// The bucket of one key, locked until this is dropped.
pub(crate) struct Bucket<'t> {
    slot: MappedMutexGuard<'t, Slot>,
    tag: u64,
}

impl Table {
    /// An empty table for `max_keys` keys. It has room for half as many again, or more, because keys do not
    /// spread evenly over sets; memory is taken as keys come.
    pub(crate) fn new(max_keys: u32) -> Self {
        static NEXT_SERIAL: AtomicU64 = AtomicU64::new(0);
        let slots = (max_keys as usize).saturating_mul(3).div_ceil(2).next_power_of_two();
        let sets = slots.div_ceil(WAYS);
        let shards = sets.min(MAX_SHARDS);
        Self {
            serial: NEXT_SERIAL.fetch_add(1, Ordering::Relaxed),
            max_keys,
            shards: (0..shards).map(|_| Shard::default()).collect(),
            max_sets_per_shard: sets / shards,
        }
    }

    /// Whoever locks buckets of several tables does it in ascending order of this.
    pub(crate) const fn serial(&self) -> u64 {
        self.serial
    }

    /// For how many keys the table was made.
    pub(crate) const fn max_keys(&self) -> u32 {
        self.max_keys
    }

    /// Locks the bucket of the key with this digest. A slot whose state is `vacant` at most is free to take.
    #[expect(
        clippy::indexing_slicing,
        reason = "both counts are powers of two, and the indices less than that"
    )]
    pub(crate) fn lock(&self, digest: Digest, vacant: Fine) -> Bucket<'_> {
        let tag = (digest.0 as u64) >> FRACTION_BITS;
        let shard = (digest.0 >> 64) as usize & (self.shards.len() - 1);
        let mut sets = self.shards[shard].0.lock();
        if sets.is_empty() {
            *sets = vec![Set::default()];
        }
        loop {
            let at = set_of(tag, sets.len());
            let (way, is_vacant) = sets[at].place(tag, vacant);
            if is_vacant || sets.len() == self.max_sets_per_shard {
                return Bucket { slot: MutexGuard::map(sets, |sets| &mut sets[at].0[way]), tag };
            }
            double(&mut sets);
        }
    }

    /// Bytes that the table has taken so far.
    pub(crate) fn memory(&self) -> usize {
        let sets: usize = self.shards.iter().map(|shard| shard.0.lock().capacity()).sum();
        size_of_val(&*self.shards) + sets * size_of::<Set>()
    }
}

impl Bucket<'_> {
    /// Whether what it holds is another key's.
    pub(crate) fn is_anothers(&self) -> bool {
        self.slot.tag() != self.tag
    }

    /// When the bucket is full again; for a new key that has no slot to itself, when that of the key is
    /// which it would push out.
    pub(crate) fn full_at(&self) -> Fine {
        self.slot.full_at()
    }

    /// Records when the bucket is full again. Only now does a new key push out an old one: requests that
    /// are refused leave no trace.
    pub(crate) fn fill_at(&mut self, full_at: Fine) {
        let word = self.tag << FRACTION_BITS | u64::from(full_at.fraction);
        *self.slot = Slot { word, nanos: full_at.nanos };
    }
}

impl Set {
    /// The way of the key with this tag, or the one it would take, and whether that is its own or free to take.
    fn place(&self, tag: u64, vacant: Fine) -> (usize, bool) {
        // All slots are compared rather than only those before the right one: so both cache lines are on their
        // way at once, and there is no branch to guess.
        let ways = self.0.iter().enumerate();
        let matches = ways.clone().fold(0_u32, |set, (way, slot)| set | u32::from(slot.tag() == tag) << way);
        if matches != 0 {
            return (matches.trailing_zeros() as usize, true);
        }
        let soonest = ways.map(|(way, slot)| (slot.full_at(), way)).min();
        let (full_at, way) = soonest.unwrap_or_default();
        (way, full_at <= vacant)
    }
}

impl Slot {
    const fn tag(self) -> u64 {
        self.word >> FRACTION_BITS
    }

    const fn full_at(self) -> Fine {
        Fine { nanos: self.nanos, fraction: self.word as u32 & (Rate::MAX_PARTS - 1) }
    }
}

/// The set of a tag among `count`, a power of two: the tag's first bits. So the two sets that one
/// becomes in a table of twice the size are neighbours.
const fn set_of(tag: u64, count: usize) -> usize {
    (tag >> (TAG_BITS - count.trailing_zeros())) as usize
}

/// Divides every set into two, by the next bit of the tags. Slots keep their ways: none is needed twice.
#[expect(clippy::indexing_slicing, reason = "`half` is one bit, and both sets have the same ways")]
fn double(sets: &mut Vec<Set>) {
    let count = sets.len() * 2;
    let mut doubled = Vec::with_capacity(count);
    for set in sets.iter() {
        let mut halves = [Set::default(); 2];
        for (way, slot) in set.0.iter().enumerate() {
            let half = set_of(slot.tag(), count) & 1;
            halves[half].0[way] = *slot;
        }
        doubled.extend(halves);
    }
    *sets = doubled;
}
