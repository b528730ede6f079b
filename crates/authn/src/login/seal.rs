//! What only we can read and write: AES-256-GCM with random nonces.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// Seals for one purpose.
pub(super) struct Seal(RandomizedNonceKey);

impl Seal {
    /// With a key of its own for each purpose: what was sealed for one is nothing for another.
    pub(super) fn new(secret: &[u8], purpose: &str) -> Option<Self> {
        let key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), purpose.as_bytes());
        RandomizedNonceKey::new(&AES_256_GCM, key.as_ref()).ok().map(Self)
    }

    /// Seals `text` for its place: moved elsewhere, it does not open.
    pub(super) fn seal_bytes(&self, place: &[u8], text: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = text.to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(place), &mut sealed).ok()?;
        let mut whole = nonce.as_ref().to_vec();
        whole.append(&mut sealed);
        Some(whole)
    }

    /// Opens what was sealed for this place.
    pub(super) fn open_bytes(&self, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let length = self.0.open_in_place(nonce, Aad::from(place), &mut sealed).ok()?.len();
        sealed.truncate(length);
        Some(sealed)
    }

    /// Seals for a cookie.
    pub(super) fn seal(&self, place: &[u8], text: &[u8]) -> Option<String> {
        self.seal_bytes(place, text).map(|sealed| BASE64_URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens what came in a cookie.
    pub(super) fn open(&self, place: &[u8], sealed: &str) -> Option<Vec<u8>> {
        self.open_bytes(place, &BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_in_its_place_alone() {
        let seal = Seal::new(&[1; 32], "a").unwrap();
        let sealed = seal.seal(b"place", b"text").unwrap();
        assert_ne!(sealed, seal.seal(b"place", b"text").unwrap());
        assert_eq!(seal.open(b"place", &sealed).unwrap(), b"text");
        assert_eq!(seal.open(b"elsewhere", &sealed), None);
        assert_eq!(Seal::new(&[1; 32], "b").unwrap().open(b"place", &sealed), None);
        assert_eq!(Seal::new(&[2; 32], "a").unwrap().open(b"place", &sealed), None);
        for wrong in ["", "AAAA", "!", &sealed.replacen(|_: char| true, "_", 2), &format!("{sealed}AAAA")] {
            assert_eq!(seal.open(b"place", wrong), None, "{wrong}");
        }
    }
}
