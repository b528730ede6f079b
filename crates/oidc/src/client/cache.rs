//! Tokens that still hold, so that not every use asks the provider.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_core::{Digest, KeyedHash, Secret, Timestamp};

use super::{Tokens, Wanted};

/// Which token: for whom, and for what. A keyed hash, so that no token is held as a key.
pub type TokenKey = Digest;

/// Tokens by what they are for, each until shortly before its end.
#[derive(Debug)]
pub struct TokenCache {
    hash: KeyedHash,
    room: usize,
    tokens: Mutex<HashMap<u128, Kept>>,
}

#[derive(Debug)]
struct Kept {
    token: Secret,
    end: Timestamp,
}

/// How long before its end a token is given up: it must still hold when it arrives.
const MARGIN: Duration = Duration::from_secs(5);

impl TokenCache {
    /// With room for so many tokens. When it is full, those past their time go first, then the one that ends next.
    #[must_use]
    pub fn new(room: usize, hash: KeyedHash) -> Self {
        Self { hash, room, tokens: Mutex::default() }
    }

    /// The key of the token of `client` for what is `wanted`, in the name of whom `subject` speaks of.
    #[must_use]
    pub fn key(&self, issuer: &str, client: &str, subject: Option<&Secret>, wanted: &Wanted) -> TokenKey {
        let scopes = wanted.scopes.to_string();
        let (resources, audiences) = (wanted.resources.join(" "), wanted.audiences.join("\n"));
        let subject = subject.map_or("", Secret::expose);
        let parts = [issuer, client, subject, &scopes, &resources, &audiences];
        self.hash.digest(&parts.map(str::as_bytes))
    }

    /// The token, if it holds for a while yet.
    #[must_use]
    pub fn get(&self, key: TokenKey, now: Timestamp) -> Option<Secret> {
        let tokens = self.tokens.lock();
        let kept = tokens.get(&key.0)?;
        (now.plus(MARGIN) < kept.end).then(|| kept.token.clone())
    }

    /// Keeps a token whose lifetime is known.
    pub fn insert(&self, key: TokenKey, tokens: &Tokens, now: Timestamp) {
        let Some(lifetime) = tokens.lifetime.filter(|lifetime| *lifetime > MARGIN) else { return };
        let mut kept = self.tokens.lock();
        if kept.len() >= self.room {
            kept.retain(|_, old| now < old.end);
        }
        if kept.len() >= self.room
            && let Some(next) = kept.iter().min_by_key(|(_, old)| old.end).map(|(key, _)| *key)
        {
            kept.remove(&next);
        }
        if self.room > 0 {
            kept.insert(key.0, Kept { token: tokens.access.clone(), end: now.plus(lifetime) });
        }
    }

    /// Drops every token past its time.
    pub fn clean(&self, now: Timestamp) {
        self.tokens.lock().retain(|_, kept| now < kept.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str, seconds: u64) -> Tokens {
        Tokens {
            access: Secret::new(text),
            lifetime: Some(Duration::from_secs(seconds)),
            refresh: None,
            id: None,
            scopes: None,
        }
    }

    #[test]
    fn a_token_is_given_until_shortly_before_its_end() {
        let cache = TokenCache::new(2, KeyedHash::with_key([1; 16]));
        let key = cache.key("i", "c", None, &Wanted::default());
        let at = Timestamp::from_secs;
        cache.insert(key, &tokens("t", 60), at(100));
        assert_eq!(cache.get(key, at(154)).unwrap().expose(), "t");
        assert!(cache.get(key, at(155)).is_none());
        let other = cache.key("i", "c", Some(&Secret::new("ann")), &Wanted::default());
        assert!(cache.get(other, at(100)).is_none(), "another subject");
        cache.clean(at(200));
        assert!(cache.tokens.lock().is_empty());
    }

    #[test]
    fn it_never_grows_beyond_its_room() {
        let cache = TokenCache::new(3, KeyedHash::with_key([1; 16]));
        for number in 0..100 {
            let wanted = Wanted { resources: vec![number.to_string()], ..Wanted::default() };
            let key = cache.key("i", "c", None, &wanted);
            cache.insert(key, &tokens("t", 60 + number), Timestamp::from_secs(1));
            assert!(cache.get(key, Timestamp::from_secs(1)).is_some());
        }
        assert_eq!(cache.tokens.lock().len(), 3);
    }
}
