//! Making a key.

use aws_lc_rs::{digest, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::Secret;

use super::key_text::{LONGEST_ID, PREFIX, checksum, is_id};

use crate::hexadecimal::hexadecimal;

/// A new key: shown once to whoever will hold it, and its hash for the configuration.
#[derive(Debug)]
pub struct GeneratedKey {
    /// The key.
    pub key: Secret,
    /// `sha256:` and the hash of the key.
    pub hash: String,
}

/// Why no key was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// An id that a key cannot have.
    #[error("the id of a key is made of letters, digits, `-`, `.` and `_`, at most {LONGEST_ID}")]
    BadId,
    /// The operating system gives no random bytes.
    #[error("the operating system has no randomness to give")]
    NoRandomness,
}

/// Makes a key with 256 random bits under a visible id.
///
/// # Errors
/// When the id is not one, or there is no randomness.
pub fn generate(id: &str) -> Result<GeneratedKey, GenerateError> {
    if !is_id(id) {
        return Err(GenerateError::BadId);
    }
    let mut secret = [0; 32];
    rand::fill(&mut secret).map_err(|_| GenerateError::NoRandomness)?;
    let mut key = format!("{PREFIX}{id}_{}", URL_SAFE_NO_PAD.encode(secret));
    key.push_str(&checksum(&key));
    let hash = digest::digest(&digest::SHA256, key.as_bytes());
    Ok(GeneratedKey { key: Secret::new(key), hash: format!("sha256:{}", hexadecimal(hash.as_ref())) })
}
