//! Credentials that were verified, so that a token that comes again costs a hash and not a signature check.

use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_core::{Digest, KeyedHash, Principal};
use portcullis_oidc::Generation;

use crate::method::MethodId;

/// How many entries share a lock and compete for space.
const WAYS: usize = 8;

/// A bounded cache in sets of eight entries each. The set is chosen by a keyed hash of the credential, so nobody
/// can choose whom to push out. Within a set the clock algorithm decides: an entry that was used since the hand
/// last came by stays.
///
/// It holds successes only, under a digest and never the credential, and is dropped with the configuration
/// that filled it. Whoever looks up decides whether an entry still holds: its time, its keys, its method.
pub(crate) struct CredentialCache {
    hash: KeyedHash,
    sets: Box<[Mutex<Set>]>,
}

#[derive(Default)]
struct Set {
    entries: Vec<Entry>,
    hand: usize,
}

struct Entry {
    credential: Digest,
    used: bool,
    verified: Verified,
}

/// A credential that was verified: by which method, with keys of which generation, for whom.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    pub(crate) method: MethodId,
    pub(crate) generation: Generation,
    pub(crate) principal: Arc<Principal>,
}

impl CredentialCache {
    /// With room for `max_entries`, rounded up to a whole set.
    pub(crate) fn new(max_entries: usize, hash: KeyedHash) -> Self {
        Self { hash, sets: (0..max_entries.div_ceil(WAYS)).map(|_| Mutex::default()).collect() }
    }

    /// Without room for anything.
    pub(crate) fn off() -> Self {
        Self { hash: KeyedHash::with_key([0; 16]), sets: Box::default() }
    }

    /// What stands for a credential here.
    pub(crate) fn digest(&self, credential: &[u8]) -> Digest {
        self.hash.digest(&[credential])
    }

    /// The principal of a credential that was verified by one of the methods for which `holds` gives an
    /// answer. If the answer is `false` the entry no longer holds, and is dropped.
    pub(crate) fn get(
        &self,
        credential: Digest,
        holds: impl Fn(&Verified) -> Option<bool>,
    ) -> Option<Arc<Principal>> {
        let mut set = self.set(credential)?.lock();
        let mut outdated = None;
        for (at, entry) in set.entries.iter_mut().enumerate() {
            if entry.credential != credential {
                continue;
            }
            match holds(&entry.verified) {
                Some(true) => {
                    entry.used = true;
                    return Some(Arc::clone(&entry.verified.principal));
                }
                Some(false) => outdated = Some(at),
                None => {}
            }
        }
        if let Some(at) = outdated {
            set.entries.swap_remove(at);
        }
        None
    }

    /// Remembers a credential that was verified.
    pub(crate) fn insert(&self, credential: Digest, verified: Verified) {
        let Some(set) = self.set(credential) else { return };
        let entry = Entry { credential, used: false, verified };
        set.lock().insert(entry);
    }

    fn set(&self, credential: Digest) -> Option<&Mutex<Set>> {
        // The low half of the digest is as random as the whole, and divides faster.
        let at = (credential.0 as usize).checked_rem(self.sets.len())?;
        self.sets.get(at)
    }
}

impl std::fmt::Debug for CredentialCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CredentialCache").field("sets", &self.sets.len()).finish_non_exhaustive()
    }
}

impl Set {
    fn insert(&mut self, entry: Entry) {
        let same =
            |old: &Entry| old.credential == entry.credential && old.verified.method == entry.verified.method;
        if let Some(old) = self.entries.iter_mut().find(|old| same(old)) {
            *old = entry;
        } else if self.entries.len() < WAYS {
            self.entries.push(entry);
        } else {
            self.replace(entry);
        }
    }

    /// The hand takes the mark from each entry that it passes, so it stops after one round at the latest.
    fn replace(&mut self, entry: Entry) {
        for _ in 0..=WAYS {
            let at = self.hand;
            self.hand = (self.hand + 1) % WAYS;
            if let Some(old) = self.entries.get_mut(at)
                && !std::mem::take(&mut old.used)
            {
                *old = entry;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_core::PrincipalKind;

    fn cache(max_entries: usize) -> CredentialCache {
        CredentialCache::new(max_entries, KeyedHash::with_key([1; 16]))
    }

    fn verified(method: u32, id: &str) -> Verified {
        Verified {
            method: MethodId(method),
            generation: crate::tests::some_generation(),
            principal: Arc::new(Principal::new(PrincipalKind::User, id, "m")),
        }
    }

    fn entries(cache: &CredentialCache) -> usize {
        cache.sets.iter().map(|set| set.lock().entries.len()).sum()
    }

    #[test]
    fn it_never_grows_beyond_its_bound() {
        let cache = cache(100);
        for n in 0..10_000_u32 {
            cache.insert(cache.digest(&n.to_be_bytes()), verified(0, "x"));
        }
        assert_eq!(entries(&cache), 104);
        let none = CredentialCache::new(0, KeyedHash::with_key([1; 16]));
        none.insert(Digest(7), verified(0, "x"));
        assert!(none.get(Digest(7), |_| Some(true)).is_none());
    }

    #[test]
    fn what_is_used_stays() {
        let cache = cache(8);
        cache.insert(Digest(0), verified(0, "regular"));
        for n in 1..1_000 {
            assert!(cache.get(Digest(0), |_| Some(true)).is_some(), "gone after {n}");
            cache.insert(Digest(n), verified(0, "passer-by"));
        }
    }

    #[test]
    fn entries_of_several_methods_for_one_credential_live_side_by_side() {
        let cache = cache(8);
        for method in 0..3 {
            cache.insert(Digest(5), verified(method, &method.to_string()));
            cache.insert(Digest(5), verified(method, &method.to_string()));
        }
        assert_eq!(entries(&cache), 3);
        for method in 0..3 {
            let found = cache.get(Digest(5), |v| (v.method == MethodId(method)).then_some(true));
            assert_eq!(found.map(|principal| principal.id.clone()), Some(method.to_string()));
        }
        assert!(cache.get(Digest(5), |_| None).is_none());
        assert_eq!(entries(&cache), 3);
    }

    #[test]
    fn what_no_longer_holds_is_dropped() {
        let cache = cache(8);
        cache.insert(Digest(5), verified(0, "x"));
        assert!(cache.get(Digest(5), |_| Some(false)).is_none());
        assert_eq!(entries(&cache), 0);
    }
}
