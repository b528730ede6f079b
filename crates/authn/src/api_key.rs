//! API keys: long-lived random strings, of which only hashes are kept.
//!
//! A key is `pcl_<id>_<secret><checksum>`: the id is visible and finds the record, the secret is 32 random bytes in 43
//! characters of base64url. Against 256 random bits nobody can guess, so a plain SHA-256 is enough of a hash;
//! slow hashes are for what people choose. Keys of the configuration are hashed so; those in the database by a key that is not
//! in it ([`stored`]), so that who reads the table or writes to it has no key that works.

mod compile;
mod custody;
mod generate;
mod import;
mod key_text;
mod raw;
pub mod stored;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::{constant_time, digest};
use http::HeaderName;
use portcullis_core::target::{decode_segment, parameter_name};
use portcullis_core::{Head, Principal, Timestamp};

pub(crate) use compile::{check_id, compile_hash};
pub use custody::CustodyError;
pub use generate::{GenerateError, GeneratedKey, generate};
pub use import::ImportedKey;
pub(crate) use key_text::checked_id;
pub use raw::{RawApiKey, RawApiKeys, RawStoredKeys};
pub use stored::{Details, KeyQuestion, Record, StoredKeys, TOPIC};

use crate::fault::{Failure, Fault};

/// SHA-256 of a whole key.
pub(crate) type KeyHash = [u8; digest::SHA256_OUTPUT_LEN];

/// A list of keys, and where in a request they stand.
#[derive(Debug)]
pub(crate) struct ApiKeyMethod {
    name: String,
    header: HeaderName,
    query: Option<String>,
    keys: HashMap<String, KeyRecord>,
    stored: Option<Arc<StoredKeys>>,
}

#[derive(Debug)]
struct KeyRecord {
    hash: KeyHash,
    enabled: bool,
    expires: Option<Timestamp>,
    principal: Arc<Principal>,
}

impl ApiKeyMethod {
    pub(crate) fn header(&self) -> &HeaderName {
        &self.header
    }

    /// The query parameter with the key.
    pub(crate) fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// The principal of the request's key; `None` if it has none. What the configuration has comes before what the database
    /// has.
    pub(crate) fn authenticate(
        &self,
        head: &Head<'_>,
        route: &str,
    ) -> Result<Option<Arc<Principal>>, Failure> {
        let Some(key) = self.presented(head)? else { return Ok(None) };
        match &self.stored {
            Some(stored) if !key_text::id(&key).is_some_and(|id| self.keys.contains_key(id)) => {
                stored.verify(&key, head, route).map(Some)
            }
            _ => Ok(Some(Arc::clone(self.verify(&key, head.now)?))),
        }
    }

    /// The same work for an id that exists and one that does not: the time says nothing about which ids there
    /// are. Whether a key is disabled or expired is found out by its holder only.
    fn verify(&self, key: &str, now: Timestamp) -> Result<&Arc<Principal>, Fault> {
        const NOBODY: KeyHash = [0; digest::SHA256_OUTPUT_LEN];
        let id = key_text::id(key).ok_or_else(|| Fault::key(unreadable(key)))?;
        let record = self.keys.get(id);
        let hash = digest::digest(&digest::SHA256, key.as_bytes());
        let expected = record.map_or(&NOBODY, |record| &record.hash);
        let matches = constant_time::verify_slices_are_equal(hash.as_ref(), expected).is_ok();
        let record = record.ok_or(Fault::key("unknown_key"))?;
        if !matches {
            return Err(Fault::key("wrong_secret"));
        }
        if !record.enabled {
            return Err(Fault::key("disabled"));
        }
        if record.expires.is_some_and(|end| now >= end) {
            return Err(Fault::key("expired"));
        }
        Ok(&record.principal)
    }

    /// The key of the request: once, or in both places alike.
    fn presented<'r>(&self, head: &Head<'r>) -> Result<Option<Cow<'r, str>>, Fault> {
        let header = head.single(&self.header).map_err(|_| Fault::AMBIGUOUS)?;
        let header = header.map(|value| value.to_str().map_err(|_| Fault::key("malformed"))).transpose()?;
        let query = match &self.query {
            Some(name) => in_query(head.target.query().unwrap_or_default(), name)?,
            None => None,
        };
        match (header, query) {
            (Some(header), Some(query)) if header != query => Err(Fault::AMBIGUOUS),
            (Some(header), _) => Ok(Some(header.into())),
            (None, query) => Ok(query),
        }
    }
}

/// Why a key has no id.
fn unreadable(key: &str) -> &'static str {
    if key_text::is_mistyped(key) { "wrong_checksum" } else { "malformed" }
}

/// The parameter `name`, however its name is escaped. Twice is ambiguous: the service may read the other one.
fn in_query<'q>(query: &'q str, name: &str) -> Result<Option<Cow<'q, str>>, Fault> {
    let mut values = query.split('&').filter_map(|parameter| {
        let value = parameter.split_once('=').map_or("", |(_, value)| value);
        (parameter_name(parameter) == name).then_some(value)
    });
    let first = values.next();
    if values.next().is_some() { Err(Fault::AMBIGUOUS) } else { Ok(first.map(decode_segment)) }
}
