//! API keys in the database: what a gateway knows of them, and for how long.
//!
//! The table is followed (`followed.rs`). While the database is away, keys of which nothing is known get 503.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use aws_lc_rs::{constant_time, digest, hmac};
use ipnet::IpNet;
use portcullis_core::{Head, Principal, PrincipalKind, Timestamp};
use portcullis_store::{Database, Query, Row, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::key_text::checked_id;
use crate::fault::{Failure, Fault, Need};
use crate::followed::{FollowedTable, Reading};
use crate::known::Known;

/// The topic under which changes are followed.
pub const TOPIC: &str = "api_keys";

/// The stored keys of one method.
pub struct StoredKeys {
    pub(super) method: String,
    pub(super) table: FollowedTable<Record>,
    pepper: hmac::Key,
}

/// What the table says of a key.
#[derive(Debug)]
pub struct Record {
    /// Its visible part.
    pub id: String,
    hash: Vec<u8>,
    previous: Option<(Vec<u8>, Timestamp)>,
    /// Whose it is, and where it may be used.
    pub details: Details,
    /// Whether it is accepted.
    pub enabled: bool,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is refused.
    pub expires: Option<Timestamp>,
    /// When it was used, to the minute.
    pub last_used: Option<Timestamp>,
    principal: Arc<Principal>,
    use_noted: AtomicU64,
}

/// Whose a key is, and where it may be used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Details {
    /// Who holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Roles for policies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Scopes that it carries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Networks from which it may be used; none for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpNet>,
    /// Routes on which it may be used; none for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
}

/// A key about which the database must be asked.
#[derive(Clone)]
pub struct KeyQuestion {
    keys: Arc<StoredKeys>,
    id: String,
}

impl KeyQuestion {
    /// Asks. What came of it shows when the request is judged again.
    pub async fn ask(&self, now: Timestamp) {
        self.keys.fetch(&self.id, now).await;
    }
}

impl StoredKeys {
    pub(super) fn new(method: &str, database: Arc<Database>, pepper: &[u8]) -> Self {
        Self {
            method: method.to_owned(),
            table: FollowedTable::new(TOPIC, database),
            pepper: hmac::Key::new(hmac::HMAC_SHA256, pepper),
        }
    }

    /// What stands for a key in the table: HMAC-SHA-256 of the SHA-256 of the key.
    pub(super) fn keyed_hash(&self, sha256: &[u8]) -> Vec<u8> {
        hmac::sign(&self.pepper, sha256).as_ref().to_vec()
    }

    /// The principal of a key. A wrong checksum never reaches the database.
    pub(super) fn verify(
        self: &Arc<Self>,
        key: &str,
        head: &Head<'_>,
        route: &str,
    ) -> Result<Arc<Principal>, Failure> {
        let id = checked_id(key).ok_or_else(|| Fault::key(super::unreadable(key)))?;
        let record = match self.table.find(id, head.now) {
            Some(Known::Record(record)) => record,
            Some(Known::Missing) => return Err(Fault::key("unknown_key").into()),
            Some(Known::Unreadable) => return Err(Fault::STORE_UNAVAILABLE.into()),
            None if self.table.is_away(head.now) => return Err(Fault::STORE_UNAVAILABLE.into()),
            None => {
                let question = KeyQuestion { keys: Arc::clone(self), id: id.to_owned() };
                return Err(Failure::Needs(Need::ApiKey(question)));
            }
        };
        let hash = self.keyed_hash(digest::digest(&digest::SHA256, key.as_bytes()).as_ref());
        record.judge(&hash, head, route)?;
        self.table.note_use(&record.id, &record.use_noted, head.now);
        Ok(Arc::clone(&record.principal))
    }

    async fn fetch(&self, id: &str, now: Timestamp) {
        let read = async {
            match self.find(id).await {
                Ok(Some(record)) => Reading::Told(Known::Record(Arc::new(record))),
                Ok(None) => Reading::Told(Known::Missing),
                Err(StoreError::NotOpen | StoreError::Unavailable(_)) => Reading::Away,
                Err(_) => Reading::Faulty,
            }
        };
        self.table.fetch(id, now, read).await;
    }

    pub(super) async fn find(&self, id: &str) -> Result<Option<Record>, StoreError> {
        let query = Query::new(
            "SELECT id, hash, previous_hash, previous_until, details, enabled, created, expires, last_used \
             FROM api_keys WHERE id = $1 AND method = $2",
        );
        let rows = self.table.database.rows(query.with(id).with(self.method.as_str())).await?;
        rows.first().map(|row| self.read(row)).transpose()
    }

    pub(super) fn read(&self, row: &Row) -> Result<Record, StoreError> {
        let id: String = row.column(0)?;
        let details: String = row.column(4)?;
        let details: Details =
            serde_json::from_str(&details).map_err(|error| StoreError::Refused(error.to_string()))?;
        let previous_hash: Option<Vec<u8>> = row.column(2)?;
        let previous_until: Option<Timestamp> = row.column(3)?;
        let expires: Option<Timestamp> = row.column(7)?;
        let mut principal = Principal::new(PrincipalKind::ApiKey, id.as_str(), self.method.as_str());
        principal.roles.clone_from(&details.roles);
        principal.scopes.clone_from(&details.scopes);
        principal.expires = expires;
        if let Some(owner) = &details.owner {
            principal.claims.insert("owner".to_owned(), owner.as_str().into());
        }
        Ok(Record {
            id,
            hash: row.column(1)?,
            previous: previous_hash.zip(previous_until),
            details,
            enabled: row.column(5)?,
            created: row.column(6)?,
            expires,
            last_used: row.column(8)?,
            principal: Arc::new(principal),
            use_noted: AtomicU64::new(0),
        })
    }

    /// Learns what was changed, and writes down which keys were used: to be called again and again.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn follow(&self) -> Result<(), StoreError> {
        let update = |id: &str, moment| {
            Query::new(
                "UPDATE api_keys SET last_used = $1 WHERE id = $2 AND (last_used IS NULL OR last_used < $1)",
            )
            .with(moment)
            .with(id)
        };
        self.table.follow(update).await
    }
}

impl Record {
    /// Whether a key is disabled, expired or for other places is found out by its holder only.
    fn judge(&self, hash: &[u8], head: &Head<'_>, route: &str) -> Result<(), Fault> {
        let is_equal = |expected: &[u8]| constant_time::verify_slices_are_equal(hash, expected).is_ok();
        let is_previous =
            self.previous.as_ref().is_some_and(|(expected, until)| is_equal(expected) && head.now < *until);
        if !(is_equal(&self.hash) | is_previous) {
            return Err(Fault::key("wrong_secret"));
        }
        if !self.enabled {
            return Err(Fault::key("disabled"));
        }
        if self.expires.is_some_and(|end| head.now >= end) {
            return Err(Fault::key("expired"));
        }
        let Details { addresses, routes, .. } = &self.details;
        let client: IpAddr = head.peer.client;
        if !addresses.is_empty() && !addresses.iter().any(|network| network.contains(&client)) {
            return Err(Fault::elsewhere("key_not_for_address"));
        }
        if !routes.is_empty() && !routes.iter().any(|known| known == route) {
            return Err(Fault::elsewhere("key_not_for_route"));
        }
        Ok(())
    }

    /// Everything about it that may be shown, for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut members = Map::from_iter([
            ("id".to_owned(), self.id.as_str().into()),
            ("enabled".to_owned(), self.enabled.into()),
            ("created".to_owned(), self.created.rfc3339().into()),
        ]);
        if let Ok(Value::Object(details)) = serde_json::to_value(&self.details) {
            members.extend(details);
        }
        for (name, moment) in [
            ("expires", self.expires),
            ("overlap_until", self.overlap_until()),
            ("last_used", self.last_used),
        ] {
            members.extend(moment.map(|moment| (name.to_owned(), moment.rfc3339().into())));
        }
        Value::Object(members)
    }

    /// Until when the key before the last rotation holds.
    #[must_use]
    pub fn overlap_until(&self) -> Option<Timestamp> {
        self.previous.as_ref().map(|(_, until)| *until)
    }
}

impl fmt::Debug for StoredKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredKeys").field("method", &self.method).finish_non_exhaustive()
    }
}

impl fmt::Debug for KeyQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyQuestion").field("id", &self.id).finish_non_exhaustive()
    }
}
