//! Keys from elsewhere, as a JSON list.

use aws_lc_rs::digest;
use portcullis_core::{Secret, Timestamp};
use serde::Deserialize;

use super::compile::parse_hash;
use super::key_text::{checked_id, is_id};
use super::stored::Details;
use crate::plan::is_scope;

/// A key that is taken into the database.
#[derive(Debug)]
pub struct ImportedKey {
    /// Its visible part.
    pub id: String,
    /// The SHA-256 of the whole key.
    pub sha256: Vec<u8>,
    /// Whose it is, and where it may be used.
    pub details: Details,
    /// Whether it is accepted.
    pub enabled: bool,
    /// From when on it is refused.
    pub expires: Option<Timestamp>,
}

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    hash: Option<String>,
    key: Option<Secret>,
    owner: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    addresses: Vec<ipnet::IpNet>,
    #[serde(default)]
    routes: Vec<String>,
    expires: Option<String>,
    #[serde(default = "enabled")]
    enabled: bool,
}

const fn enabled() -> bool {
    true
}

impl ImportedKey {
    /// Reads a list.
    ///
    /// # Errors
    /// What is wrong with it. Says nothing of secrets.
    pub fn read(text: &str) -> Result<Vec<Self>, String> {
        let entries: Vec<Entry> = serde_json::from_str(text).map_err(|error| {
            format!("it is not a JSON list of keys: line {}, column {}", error.line(), error.column())
        })?;
        entries.into_iter().enumerate().map(|(index, entry)| Self::of(entry, index + 1)).collect()
    }

    fn of(entry: Entry, number: usize) -> Result<Self, String> {
        let wrong = |what: &str| format!("the key {number} of the list: {what}");
        if !is_id(&entry.id) {
            return Err(wrong("its id is none"));
        }
        let sha256 = match (&entry.hash, &entry.key) {
            (Some(hash), None) => {
                parse_hash(hash).ok_or_else(|| wrong("`hash` is not `sha256:` and 64 digits"))?.to_vec()
            }
            (None, Some(key)) => {
                if checked_id(key.expose()) != Some(entry.id.as_str()) {
                    return Err(wrong("`key` is not of the form `pcl_<id>_…`, or its checksum is wrong"));
                }
                digest::digest(&digest::SHA256, key.expose().as_bytes()).as_ref().to_vec()
            }
            _ => return Err(wrong("it needs either `hash` or `key`")),
        };
        let expires = match entry.expires.as_deref() {
            None => None,
            Some(text) => {
                Some(Timestamp::from_rfc3339(text).ok_or_else(|| wrong("`expires` is not a moment in UTC"))?)
            }
        };
        let details = Details {
            owner: entry.owner,
            roles: entry.roles,
            scopes: entry.scopes,
            addresses: entry.addresses,
            routes: entry.routes,
        };
        details.check().map_err(|message| wrong(&message))?;
        Ok(Self { id: entry.id, sha256, details, enabled: entry.enabled, expires })
    }
}

impl Details {
    /// Whether roles and scopes are some.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn check(&self) -> Result<(), String> {
        if let Some(scope) = self.scopes.iter().find(|scope| !is_scope(scope)) {
            return Err(format!(
                "`{}` is not a scope; write visible ASCII characters without space, quote and backslash",
                scope.escape_debug()
            ));
        }
        if self.roles.iter().any(String::is_empty) {
            return Err("a role is empty; leave it out".to_owned());
        }
        Ok(())
    }
}
