mod api_keys;
mod attacks;
mod cache;
mod challenges;
mod configuration;
mod fixture;
mod internal_tokens;
mod message_signatures;
mod remote_keys;
mod routes;
mod tokens;

use portcullis_core::Timestamp;
use portcullis_oidc::{Algorithm, Generation, KeySet, KeySource};

/// The generation of some fixed keys.
pub(crate) fn some_generation() -> Generation {
    let keys = KeySet::from_secret(&[7; 32], &[Algorithm::Hs256]).unwrap();
    KeySource::fixed(keys).generation(Timestamp(0)).unwrap()
}
mod webhooks;
