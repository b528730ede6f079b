//! The keys of one issuer.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::jwk::{MAX_KEY_ID, Readership};
use crate::{Algorithm, KeyError, VerifyingKey, jwk};

/// The largest JWKS document that is read. Providers publish a few kilobytes.
pub const MAX_KEY_SET_BYTES: usize = 256 << 10;

/// The most keys that a set may hold.
pub const MAX_KEYS: usize = 100;

/// How many keys are tried for a token that does not name one: each try costs a verification.
const MAX_TRIES: usize = 8;

/// The usable keys of a JWKS document (RFC 7517 section 5), a PEM file or a configured secret. Never empty.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<VerifyingKey>,
    skipped: Vec<SkippedKey>,
}

/// A key of a JWKS document that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its position in the document, from 0.
    pub position: usize,
    /// Why it is not used.
    pub reason: String,
}

/// Why a document is not a usable key set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Larger than [`MAX_KEY_SET_BYTES`].
    #[error("the key set is larger than 256KiB")]
    TooLarge,
    /// More keys than [`MAX_KEYS`].
    #[error("the key set holds {0} keys; 100 are the most")]
    TooManyKeys(usize),
    /// Not a JWKS document.
    #[error("not a JWKS document: {0}")]
    NotKeySet(String),
    /// No key in it can be used.
    #[error("no key in the set can verify signatures{}", first_reason(.0))]
    NoUsableKey(Vec<SkippedKey>),
}

/// The keys that may have signed a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candidates {
    /// There are some: ask [`KeySet::verify`].
    Some,
    /// No key of the set has the id that the token names.
    UnknownId,
    /// There are keys, but none for this algorithm.
    WrongAlgorithm,
}

impl KeySet {
    /// Reads a JWKS document. Keys that cannot verify signatures here are skipped and reported.
    ///
    /// # Errors
    /// When it is too large, not a JWKS document, or holds no usable key.
    pub fn from_jwks(document: &[u8]) -> Result<Self, KeySetError> {
        let Document { keys } = read(document)?;
        Self::from_values(keys, Readership::Public)
    }

    /// Reads a document that is nobody else's: a JWKS document or a single JWK, in which shared secrets have their place.
    ///
    /// # Errors
    /// As [`Self::from_jwks`].
    pub fn from_private_jwks(document: &[u8]) -> Result<Self, KeySetError> {
        let value: Value = read(document)?;
        let keys = if value.get("keys").is_some() {
            let document = Document::deserialize(value);
            document.map_err(|error| KeySetError::NotKeySet(error.to_string()))?.keys
        } else {
            vec![value]
        };
        Self::from_values(keys, Readership::Private)
    }

    fn from_values(values: Vec<Value>, readership: Readership) -> Result<Self, KeySetError> {
        if values.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys(values.len()));
        }
        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        for (position, value) in values.into_iter().enumerate() {
            match jwk::parse(value, readership) {
                Ok(key) => keys.push(key),
                Err(reason) => skipped.push(SkippedKey { position, reason }),
            }
        }
        if keys.is_empty() { Err(KeySetError::NoUsableKey(skipped)) } else { Ok(Self { keys, skipped }) }
    }

    /// Reads the `PUBLIC KEY` blocks of a PEM text. Such keys have no id and serve tokens with any plausible `kid`.
    ///
    /// # Errors
    /// When there is none, or one that cannot be used.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        Ok(Self { keys: VerifyingKey::from_pem(text)?, skipped: Vec::new() })
    }

    /// A set of one shared secret.
    ///
    /// # Errors
    /// As [`VerifyingKey::from_secret`].
    pub fn from_secret(secret: &[u8], algorithms: &[Algorithm]) -> Result<Self, KeyError> {
        Ok(Self { keys: vec![VerifyingKey::from_secret(secret, algorithms)?], skipped: Vec::new() })
    }

    /// The usable keys.
    #[must_use]
    pub fn keys(&self) -> &[VerifyingKey] {
        &self.keys
    }

    /// The keys that are not used, and why.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// Whether there is a key that may have signed a token with this `kid` and `alg`.
    #[must_use]
    pub fn lookup(&self, id: Option<&str>, algorithm: Algorithm) -> Candidates {
        let mut known = false;
        for key in self.named(id) {
            if key.permits(algorithm) {
                return Candidates::Some;
            }
            known = true;
        }
        if known { Candidates::WrongAlgorithm } else { Candidates::UnknownId }
    }

    /// Whether one of the keys that `id` stands for made `signature`. At most eight are tried.
    #[must_use]
    pub fn verify(&self, id: Option<&str>, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.named(id)
            .filter(|key| key.permits(algorithm))
            .take(MAX_TRIES)
            .any(|key| key.verify(algorithm, message, signature).is_ok())
    }

    /// Whether `other` holds the same keys in the same order.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.keys.len() == other.keys.len() && self.keys.iter().zip(&other.keys).all(|(a, b)| a.is_same(b))
    }

    /// The keys with this id; all of them if no id is asked for, or if none of them has one.
    ///
    /// RFC 7515 section 4.1.4 calls `kid` a hint: the signature decides. Where an issuer gives its keys ids, a token that
    /// names another means another key, not one that happens to have none. Where it gives none (a PEM file, a secret),
    /// nothing contradicts the hint and every token with it would be refused otherwise; but it must still be a hint,
    /// see [`is_plausible`].
    fn named(&self, id: Option<&str>) -> impl Iterator<Item = &VerifyingKey> {
        let has_ids = self.keys.iter().any(|key| key.id().is_some());
        let means_all = id.is_none_or(|id| !has_ids && is_plausible(id));
        self.keys.iter().filter(move |key| means_all || (id.is_some() && key.id() == id))
    }
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

fn read<T: DeserializeOwned>(document: &[u8]) -> Result<T, KeySetError> {
    if document.len() > MAX_KEY_SET_BYTES {
        return Err(KeySetError::TooLarge);
    }
    serde_json::from_slice(document).map_err(|error| KeySetError::NotKeySet(error.to_string()))
}

/// Whether this may be the id of a key that nobody can compare it with. Here an id is compared and nothing else, but the
/// service receives the token too, and there are some that open a file by this name. Slashes alone are no reason to
/// refuse: ids are URLs and Base64. No issuer climbs out of a folder, or sends control characters.
fn is_plausible(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= MAX_KEY_ID
        && !id.chars().any(char::is_control)
        && !id.split(['/', '\\']).any(|segment| segment == "..")
}

fn first_reason(skipped: &[SkippedKey]) -> String {
    skipped
        .first()
        .map(|key| format!(" (key {}: {})", key.position, key.reason))
        .unwrap_or_else(|| " (it is empty)".to_owned())
}
