//! A bounded memory with the CLOCK rule: what was asked for again stays, what was not makes room.
//!
//! A stream of keys that never come again (credentials used once) pushes out its own kind first, not the
//! entries in use.

use std::hash::{BuildHasher, Hash};

use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::Mutex;

/// Shards keep cores from waiting for one another; small memories have one, so that their bound is exact.
const SHARDS: usize = 16;

/// A map of at most so many entries, shared between threads.
pub(crate) struct Cache<K, V> {
    hasher: DefaultHashBuilder,
    shards: Box<[Mutex<Shard<K, V>>]>,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    /// Holds at most `max_entries`; none at all if that is 0.
    pub(crate) fn new(max_entries: usize) -> Self {
        let count = if max_entries < SHARDS * SHARDS { 1 } else { SHARDS };
        let shards = (0..count).map(|_| Mutex::new(Shard::new(max_entries / count))).collect();
        Self { hasher: DefaultHashBuilder::default(), shards }
    }

    /// The value last put under `key`, if it is still here.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let hash = self.hasher.hash_one(key);
        self.shard(hash)?.lock().get(hash, key)
    }

    /// Remembers `value`, and forgets another entry if there is no room.
    pub(crate) fn insert(&self, key: K, value: V) {
        let hash = self.hasher.hash_one(&key);
        if let Some(shard) = self.shard(hash) {
            // What is forgotten is dropped after the lock is gone: it may be large.
            let forgotten = shard.lock().insert(hash, key, value);
            drop(forgotten);
        }
    }

    /// The table takes the low bits of the hash and its tags the highest seven; shards go by bits between.
    fn shard(&self, hash: u64) -> Option<&Mutex<Shard<K, V>>> {
        let at = usize::try_from(hash >> 32 & 0xffff).unwrap_or(0) % self.shards.len().max(1);
        self.shards.get(at)
    }
}

/// One part of the memory: places in a ring, and a table that finds them.
struct Shard<K, V> {
    places: Vec<Place<K, V>>,
    table: HashTable<u32>,
    hand: usize,
    capacity: usize,
}

struct Place<K, V> {
    hash: u64,
    key: K,
    value: V,
    /// Asked for since the hand last passed.
    in_use: bool,
}

impl<K: Eq, V: Clone> Shard<K, V> {
    fn new(capacity: usize) -> Self {
        Self { places: Vec::new(), table: HashTable::new(), hand: 0, capacity }
    }

    fn get(&mut self, hash: u64, key: &K) -> Option<V> {
        let at = self.find(hash, key)?;
        let place = self.places.get_mut(at)?;
        place.in_use = true;
        Some(place.value.clone())
    }

    /// The place that was given up, if one was.
    fn insert(&mut self, hash: u64, key: K, value: V) -> Option<Place<K, V>> {
        let place = Place { hash, key, value, in_use: false };
        if self.capacity == 0 {
            return Some(place);
        }
        if let Some(at) = self.find(hash, &place.key) {
            return self.places.get_mut(at).map(|held| std::mem::replace(held, place));
        }
        let (at, forgotten) = if self.places.len() < self.capacity {
            self.places.push(place);
            (self.places.len() - 1, None)
        } else {
            let at = self.unused_place();
            (at, self.places.get_mut(at).map(|held| std::mem::replace(held, place)))
        };
        let index = u32::try_from(at).unwrap_or(u32::MAX);
        if let Some(forgotten) = &forgotten
            && let Ok(entry) = self.table.find_entry(forgotten.hash, |&held| held == index)
        {
            entry.remove();
        }
        let places = &self.places;
        let rehash = |&index: &u32| places.get(index as usize).map_or(0, |place| place.hash);
        self.table.insert_unique(hash, index, rehash);
        forgotten
    }

    fn find(&self, hash: u64, key: &K) -> Option<usize> {
        let is_it = |&index: &u32| self.places.get(index as usize).is_some_and(|place| place.key == *key);
        self.table.find(hash, is_it).map(|&index| index as usize)
    }

    /// The next place that nobody asked for since the hand last passed. Ends within two rounds.
    fn unused_place(&mut self) -> usize {
        loop {
            let at = self.hand;
            self.hand = (self.hand + 1) % self.places.len().max(1);
            match self.places.get_mut(at) {
                Some(place) if place.in_use => place.in_use = false,
                _ => return at,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    impl<K, V> Cache<K, V> {
        fn len(&self) -> usize {
            self.shards.iter().map(|shard| shard.lock().places.len()).sum()
        }
    }

    #[test]
    fn one_time_keys_do_not_push_out_what_is_in_use() {
        let cache = Cache::new(8);
        cache.insert(0u32, 0u32);
        for key in 1..1_000 {
            assert_eq!(cache.get(&0), Some(0), "after {key} other keys");
            cache.insert(key, key);
        }
        assert_eq!(cache.len(), 8);
    }

    #[test]
    fn nothing_is_kept_when_nothing_may_be() {
        let cache = Cache::new(0);
        cache.insert(1, 1);
        assert_eq!(cache.get(&1), None);
    }

    #[test]
    fn many_entries_stay_within_the_bound() {
        let cache = Cache::new(1_000);
        for key in 0..10_000u32 {
            cache.insert(key, key);
        }
        assert!(cache.len() <= 1_000);
        assert!(cache.len() > 800, "shards should fill evenly, not {}", cache.len());
    }

    proptest! {
        /// Whatever it remembers is what was put there last, and it never holds too much.
        #[test]
        fn it_forgets_but_never_errs(
            capacity in 0usize..6,
            steps in proptest::collection::vec((any::<bool>(), 0u8..12, any::<u8>()), 0..200),
        ) {
            let cache = Cache::new(capacity);
            let mut model = HashMap::new();
            for (write, key, value) in steps {
                if write {
                    cache.insert(key, value);
                    model.insert(key, value);
                    prop_assert_eq!(cache.get(&key), (capacity > 0).then_some(value));
                } else if let Some(found) = cache.get(&key) {
                    prop_assert_eq!(Some(&found), model.get(&key));
                }
                prop_assert!(cache.len() <= capacity);
            }
        }
    }
}
