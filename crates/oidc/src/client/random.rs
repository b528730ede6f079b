//! Values that nobody can guess.

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::TokenClientError;

/// 256 random bits in 43 characters that need no escaping anywhere.
///
/// # Errors
/// When the system has no randomness to give.
pub fn token() -> Result<String, TokenClientError> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| TokenClientError::NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
