//! Nonces that need no memory: a moment, and a keyed hash of it.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_core::Timestamp;

/// Makes and knows nonces.
pub(super) struct Nonces {
    key: hmac::Key,
    lifetime: Duration,
}

/// A moment in seconds, and half of an HMAC-SHA-256: nobody guesses it within the life of a nonce.
const LENGTH: usize = 8 + 16;

impl Nonces {
    pub(super) fn new(key: &[u8], lifetime: Duration) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), lifetime }
    }

    /// The nonce of this moment.
    pub(super) fn at(&self, now: Timestamp) -> String {
        let moment = now.as_secs().to_be_bytes();
        let tag = hmac::sign(&self.key, &moment);
        let mut bytes = moment.to_vec();
        bytes.extend(tag.as_ref().iter().take(LENGTH - moment.len()));
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whether a nonce is one of ours and not too old.
    pub(super) fn is_current(&self, nonce: &str, now: Timestamp) -> bool {
        let Ok(bytes) = BASE64_URL_SAFE_NO_PAD.decode(nonce) else { return false };
        let Some(moment) = bytes.first_chunk::<8>().copied() else { return false };
        let made = Timestamp::from_secs(u64::from_be_bytes(moment));
        let expected = self.at(made);
        let is_ours =
            aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_bytes(), nonce.as_bytes());
        // Another gateway's clock may be a little ahead.
        is_ours.is_ok() && made <= now.plus(super::AHEAD) && now.since(made) < self.lifetime
    }
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nonces").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_are_ours_and_end() {
        let at = Timestamp::from_secs;
        let nonces = Nonces::new(&[1; 32], Duration::from_secs(300));
        let nonce = nonces.at(at(1000));
        assert!(nonces.is_current(&nonce, at(1000)) && nonces.is_current(&nonce, at(1299)));
        assert!(!nonces.is_current(&nonce, at(1300)) && !nonces.is_current(&nonce, at(900)));
        assert!(!Nonces::new(&[2; 32], Duration::from_secs(300)).is_current(&nonce, at(1000)));
        for wrong in [
            "",
            "AAAA",
            "!",
            nonce.trim_start_matches(char::is_alphanumeric),
            &format!("{nonce}A"),
            &nonce.replace(|c: char| c.is_ascii_digit(), "x"),
        ] {
            assert!(!nonces.is_current(wrong, at(1000)), "{wrong}");
        }
    }
}
