//! Keyed hashing of secrets, so that caches and counters never hold them.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};

/// A 128-bit keyed digest. Without the key it says nothing about its input and cannot be made to collide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub u128);

/// A pseudo-random function with a key that was drawn at start and never leaves the process:
/// SipHash-2-4 with 128 bits of output. About 0.4 us for a bearer token of 800 bytes.
#[derive(Clone)]
pub struct KeyedHash {
    key: [u8; 16],
}

impl KeyedHash {
    /// With a fresh random key.
    ///
    /// # Errors
    /// When the operating system has no randomness to give: nothing may start then.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut key = [0; 16];
        getrandom::fill(&mut key)?;
        Ok(Self { key })
    }

    /// With a given key: for tests that must be the same each time.
    #[must_use]
    pub const fn with_key(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// The digest of several parts. Lengths are part of what is hashed, so no two lists of parts can
    /// be confused (`["ab", "c"]` and `["a", "bc"]` differ).
    #[must_use]
    pub fn digest(&self, parts: &[&[u8]]) -> Digest {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        for part in parts {
            hasher.write_u64(part.len() as u64);
            hasher.write(part);
        }
        Digest(hasher.finish128().as_u128())
    }
}

impl std::fmt::Debug for KeyedHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyedHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::KeyedHash;

    #[test]
    fn parts_cannot_be_confused() {
        let hash = KeyedHash::with_key([7; 16]);
        assert_ne!(hash.digest(&[b"ab", b"c"]), hash.digest(&[b"a", b"bc"]));
        assert_ne!(hash.digest(&[b"ab"]), hash.digest(&[b"ab", b""]));
        assert_eq!(hash.digest(&[b"ab", b"c"]), hash.digest(&[b"ab", b"c"]));
    }
}
