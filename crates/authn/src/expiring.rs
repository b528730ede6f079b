//! What is known for a while: answers of issuers, tokens for services.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

use parking_lot::Mutex;
use portcullis_core::Timestamp;

/// Values that each end at a time of their own, bounded. Which of those that are alive gives way is left to chance: it is found out
/// again.
#[derive(Debug)]
pub(crate) struct Expiring<K, V> {
    most: usize,
    hasher: RandomState,
    shards: [Mutex<HashMap<K, (V, Timestamp)>>; SHARDS],
}

const SHARDS: usize = 16;

impl<K: Eq + Hash, V: Clone> Expiring<K, V> {
    /// With room for so many, rounded up.
    pub(crate) fn new(most: usize) -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Self { most: most.div_ceil(SHARDS), hasher: RandomState::new(), shards }
    }

    pub(crate) fn find(&self, key: &K, now: Timestamp) -> Option<V> {
        let shard = self.shard(key)?.lock();
        shard.get(key).filter(|(_, until)| now < *until).map(|(value, _)| value.clone())
    }

    pub(crate) fn insert(&self, key: K, value: V, until: Timestamp, now: Timestamp) {
        let Some(shard) = self.shard(&key) else { return };
        let mut shard = shard.lock();
        if shard.len() >= self.most {
            shard.retain(|_, (_, until)| now < *until);
        }
        if shard.len() >= self.most {
            let mut keep = false;
            shard.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
        if shard.len() < self.most {
            shard.insert(key, (value, until));
        }
    }

    fn shard(&self, key: &K) -> Option<&Mutex<HashMap<K, (V, Timestamp)>>> {
        self.shards.get((self.hasher.hash_one(key) % SHARDS as u64) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_end_and_are_bounded() {
        let known = Expiring::new(SHARDS * 4);
        let at = Timestamp::from_secs;
        for key in 0..1000_u32 {
            known.insert(key, "inactive", at(10), at(0));
        }
        let kept = (0..1000).filter(|key| known.find(key, at(9)).is_some()).count();
        assert!((1..=SHARDS * 4).contains(&kept), "{kept}");
        assert_eq!(known.find(&999, at(9)), Some("inactive"), "the last is there");
        assert_eq!(known.find(&999, at(10)), None);
    }
}
