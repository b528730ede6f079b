//! Speaking to identity providers: the keys that verify their tokens, and how those stay fresh.
//!
//! A [`VerifyingKey`] knows which algorithms it may be used with, and no other: an RSA key never verifies an
//! HMAC, a shared secret never an RSA signature (RFC 8725 section 3.1). A [`KeySet`] holds the usable keys of a
//! JWKS document or a PEM file. A [`KeySource`] is where a set comes from: fixed when the configuration is
//! loaded, or published at a URL and refreshed through a [`Fetch`] that somebody else implements. [`client`] asks
//! providers for tokens, through the same [`Fetch`], and [`mint`] makes tokens. Nothing here does I/O.

mod algorithm;
pub mod client;
mod fetch;
pub mod json;
mod jwk;
mod key;
mod key_set;
pub mod mint;
mod publish;
mod remote;
mod source;

pub use algorithm::{Algorithm, KeyKind};
pub use fetch::{Fetch, FetchError, KeySetUrl, KeySetUrlError, Sending};
pub use jwk::ShownKey;
pub use key::{BadSignature, KeyError, VerifyingKey};
pub use key_set::{Candidates, KeySet, KeySetError, MAX_KEY_SET_BYTES, MAX_KEYS, SkippedKey};
pub use publish::PublishedKey;
pub use remote::{RawRefresh, RefreshError, RefreshRules, Refreshed};
pub use source::{Generation, KeySource, KeysUnavailable, PublishedKeys};

#[cfg(test)]
mod tests;
