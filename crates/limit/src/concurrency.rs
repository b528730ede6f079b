//! How many requests may be under way at once.
//!
//! A request that is let in holds a [`Permit`] of each limit until it ends, however it ends: the permit goes with whatever
//! belongs to the request. All of its limits are held, or none.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_core::{Digest, KeyPath, KeyedHash, Problems};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::key::{Key, Subject};
use crate::limits::{compile_key, compile_name};
use crate::raw::When;
use crate::{KeyPart, LimitId};

/// How many requests may be under way at once. Routes name it under `policy.limit.concurrency`. Counted in this process alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawConcurrency {
    /// The name: 1 to 64 letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// What is counted apart, as with `limits[].key`.
    pub key: Vec<KeyPart>,
    /// How many requests of one key may be under way at once. Others get 503 at once, with `Retry-After`.
    pub most: u32,
    /// How many leading bits of an IPv6 address count as one client, 1 to 128; only for keys with
    /// `address` or `principal`. Default: 64.
    #[serde(default)]
    pub ipv6_prefix: Option<u8>,
}

/// All limits of concurrency of a configuration.
#[derive(Debug)]
pub struct Concurrency {
    limits: Vec<Limit>,
    hash: KeyedHash,
}

#[derive(Debug)]
struct Limit {
    name: Arc<str>,
    key: Key,
    most: u32,
    running: Arc<Running>,
}

const SHARDS: usize = 16;

/// How many requests of each key are under way. Keys without any are forgotten, so there are never more than connections allow.
#[derive(Default)]
struct Running([Mutex<HashMap<Digest, u32>>; SHARDS]);

/// A request's place among those under way; given back when it is dropped.
pub struct Permit {
    running: Arc<Running>,
    key: Digest,
}

/// What a request holds until it ends.
pub type Held = Arc<dyn Any + Send + Sync>;

impl Concurrency {
    /// Checks what is written. What `previous` counts under the same name and key goes on.
    #[must_use]
    pub fn compile(
        raw: &[RawConcurrency],
        path: &KeyPath,
        problems: &mut Problems,
        previous: Option<&Self>,
    ) -> Self {
        let mut limits: Vec<Limit> = Vec::new();
        for (index, raw) in raw.iter().enumerate() {
            let path = path.index(index);
            compile_name(&raw.name, &path.key("name"), problems);
            if limits.iter().any(|earlier| *earlier.name == *raw.name) {
                problems
                    .error(&path.key("name"), format!("there is another limit named `{}`", raw.name))
                    .suggest("give each limit a name of its own");
            }
            if raw.most == 0 {
                problems.error(&path.key("most"), "0 would refuse everything").suggest("write at least 1");
            }
            let key = compile_key(&raw.key, When::AfterAuthorization, raw.ipv6_prefix, &path, problems);
            let kept = previous.and_then(|previous| {
                previous.limits.iter().find(|limit| *limit.name == *raw.name && limit.key == key)
            });
            let running = kept.map(|limit| Arc::clone(&limit.running)).unwrap_or_default();
            limits.push(Limit { name: raw.name.as_str().into(), key, most: raw.most, running });
        }
        let hash = match previous {
            Some(previous) => previous.hash.clone(),
            None => KeyedHash::random().unwrap_or_else(|error| {
                problems.error(
                    path,
                    format!("the operating system has no randomness to hash keys with: {error}"),
                );
                KeyedHash::with_key([0; 16])
            }),
        };
        Self { limits, hash }
    }

    /// The limit of this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<LimitId> {
        let place = self.limits.iter().position(|limit| *limit.name == *name)?;
        u32::try_from(place).ok().map(LimitId)
    }

    /// The names of all limits.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.limits.iter().map(|limit| &*limit.name)
    }

    /// Lets a request in that all of `ids` have a place for, and gives what it must hold until it ends.
    ///
    /// # Errors
    /// The name of the limit that has none. Then nothing is held.
    pub fn enter(&self, ids: &[LimitId], subject: &Subject<'_>) -> Result<Option<Held>, Arc<str>> {
        let mut permits: Vec<Permit> = Vec::new();
        for limit in ids.iter().filter_map(|id| self.limits.get(id.0 as usize)) {
            let Some(key) = limit.key.digest(&self.hash, subject) else { continue };
            permits.push(limit.running.enter(key, limit.most).ok_or_else(|| Arc::clone(&limit.name))?);
        }
        Ok((!permits.is_empty()).then(|| Arc::new(permits) as Held))
    }
}

impl Running {
    fn enter(self: &Arc<Self>, key: Digest, most: u32) -> Option<Permit> {
        let mut shard = self.shard(key)?.lock();
        let count = shard.get(&key).copied().unwrap_or(0);
        if count >= most {
            return None;
        }
        shard.insert(key, count + 1);
        drop(shard);
        Some(Permit { running: Arc::clone(self), key })
    }

    fn leave(&self, key: Digest) {
        let Some(shard) = self.shard(key) else { return };
        let mut shard = shard.lock();
        match shard.get_mut(&key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(shard.remove(&key)),
        }
    }

    fn shard(&self, key: Digest) -> Option<&Mutex<HashMap<Digest, u32>>> {
        self.0.get((key.0 % SHARDS as u128) as usize)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.running.leave(self.key);
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Running(…)")
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use serde_json::json;

    use super::*;

    fn compile(raw: serde_json::Value, previous: Option<&Concurrency>) -> Concurrency {
        let mut problems = Problems::default();
        let raw: Vec<RawConcurrency> = serde_json::from_value(raw).unwrap();
        let compiled = Concurrency::compile(&raw, &KeyPath::root(), &mut problems, previous);
        assert!(problems.is_empty(), "{problems:?}");
        compiled
    }

    fn subject(number: u8) -> Subject<'static> {
        let address = IpAddr::from([192, 0, 2, number]);
        Subject { principal: None, address, route: "a", service: "b", headers: None, parameters: (&[], &[]) }
    }

    #[test]
    fn places_are_given_back_and_all_are_held_or_none() {
        let raw = json!([
            { "name": "each", "key": ["address"], "most": 2 },
            { "name": "all", "key": ["global"], "most": 3 },
        ]);
        let limits = compile(raw.clone(), None);
        let ids = ["each", "all"].map(|name| limits.by_name(name).unwrap());
        let enter = |limits: &Concurrency, number| limits.enter(&ids, &subject(number)).map(Option::unwrap);
        let (first, second) = (enter(&limits, 1).unwrap(), enter(&limits, 1).unwrap());
        assert_eq!(enter(&limits, 1).unwrap_err().as_ref(), "each");
        let third = enter(&limits, 2).unwrap();
        for _ in 0..3 {
            // What is refused by the second has given the first back.
            assert_eq!(enter(&limits, 3).unwrap_err().as_ref(), "all");
        }
        // A reload lets nobody in twice.
        let after = compile(raw, Some(&limits));
        assert_eq!(enter(&after, 3).unwrap_err().as_ref(), "all");
        drop((first, third));
        let _again = enter(&after, 3).unwrap();
        let _more = enter(&after, 3).unwrap();
        drop(second);
        assert_eq!(enter(&after, 3).unwrap_err().as_ref(), "each");
        assert!(enter(&after, 4).is_ok());
    }
}
