//! API keys in the database: what a gateway knows of them, and for how long.
//!
//! A record is fetched when its key is first used, and kept for a minute; what is changed meanwhile is found out by following
//! the changes of the table, within a second. That there is no such key is kept too. While the database is away, records serve
//! until ten minutes after they were read, and other keys get 503.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::{constant_time, digest, hmac};
use ipnet::IpNet;
use parking_lot::Mutex;
use portcullis_core::{Head, Principal, PrincipalKind, Timestamp};
use portcullis_store::{Database, News, Query, Row, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::key_text::checked_id;
use crate::fault::{Failure, Fault, Need};
use crate::flights::Flights;
use crate::known::{FRESH, Known, KnownRecords};

/// The topic under which changes are followed.
pub const TOPIC: &str = "api_keys";

/// How long the database is not asked after it failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is written down that a key was used.
const USE_NOTED: Duration = Duration::from_secs(60);
/// How many uses of keys wait to be written down, and how many of them are written in one transaction.
const MOST_USES: usize = 100_000;
const USES_AT_ONCE: usize = 500;

/// The stored keys of one method.
pub struct StoredKeys {
    pub(super) method: String,
    pub(super) database: Arc<Database>,
    pepper: hmac::Key,
    known: KnownRecords<Record>,
    flights: Flights<String>,
    /// Until when the database is not asked, since it failed.
    away_until: AtomicU64,
    /// The last change that was followed.
    followed: AtomicI64,
    /// When each key was used, until that is written down.
    used: Mutex<HashMap<String, Timestamp>>,
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
            database,
            pepper: hmac::Key::new(hmac::HMAC_SHA256, pepper),
            known: KnownRecords::default(),
            flights: Flights::default(),
            away_until: AtomicU64::new(0),
            followed: AtomicI64::new(0),
            used: Mutex::default(),
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
        let is_away = self.is_away(head.now);
        let record = match self.known.find(id, head.now, is_away) {
            Some(Known::Record(record)) => record,
            Some(Known::Missing) => return Err(Fault::key("unknown_key").into()),
            Some(Known::Unreadable) => return Err(Fault::STORE_UNAVAILABLE.into()),
            None if is_away => return Err(Fault::STORE_UNAVAILABLE.into()),
            None => {
                let question = KeyQuestion { keys: Arc::clone(self), id: id.to_owned() };
                return Err(Failure::Needs(Need::ApiKey(question)));
            }
        };
        let hash = self.keyed_hash(digest::digest(&digest::SHA256, key.as_bytes()).as_ref());
        record.judge(&hash, head, route)?;
        self.note_use(&record, head.now);
        Ok(Arc::clone(&record.principal))
    }

    fn note_use(&self, record: &Record, now: Timestamp) {
        let noted = Timestamp(record.use_noted.load(Ordering::Relaxed));
        if noted.0 != 0 && now.since(noted) < USE_NOTED {
            return;
        }
        record.use_noted.store(now.0, Ordering::Relaxed);
        let mut used = self.used.lock();
        if used.len() < MOST_USES {
            used.insert(record.id.clone(), now);
        }
    }

    fn is_away(&self, now: Timestamp) -> bool {
        now.0 < self.away_until.load(Ordering::Relaxed)
    }

    async fn fetch(&self, id: &str, now: Timestamp) {
        self.flights
            .in_turn(id.to_owned(), async {
                if !self.is_away(now) && self.known.find(id, now, false).is_none() {
                    self.read_record(id, now).await;
                }
            })
            .await;
    }

    async fn read_record(&self, id: &str, now: Timestamp) {
        let followed = self.followed.load(Ordering::Acquire);
        let found = match self.find(id).await {
            Ok(Some(record)) => Known::Record(Arc::new(record)),
            Ok(None) => Known::Missing,
            Err(StoreError::NotOpen | StoreError::Unavailable(_)) => {
                self.away_until.fetch_max(now.plus(PAUSE).0, Ordering::Relaxed);
                return;
            }
            Err(_) => return self.known.insert(id, Known::Unreadable, now, now.plus(PAUSE)),
        };
        // What was read before a change that is known by now is good for this request and no other.
        let is_current = self.followed.load(Ordering::Acquire) == followed;
        let fresh_until = if is_current { now.plus(FRESH) } else { Timestamp(now.0.saturating_add(1)) };
        self.known.insert(id, found, now, fresh_until);
    }

    pub(super) async fn find(&self, id: &str) -> Result<Option<Record>, StoreError> {
        let query = Query::new(
            "SELECT id, hash, previous_hash, previous_until, details, enabled, created, expires, last_used \
             FROM api_keys WHERE id = $1 AND method = $2",
        );
        let rows = self.database.rows(query.with(id).with(self.method.as_str())).await?;
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
        let followed = self.followed.load(Ordering::Acquire);
        match self.database.changes_after(TOPIC, followed).await? {
            News::Everything { last } => {
                self.followed.store(last, Ordering::Release);
                self.known.clear();
            }
            News::Changes(changes) => {
                for change in changes {
                    self.followed.store(change.sequence, Ordering::Release);
                    if change.subject.is_empty() {
                        self.known.forget_missing();
                    } else {
                        self.known.forget(&change.subject);
                    }
                }
            }
        }
        self.write_uses().await
    }

    /// Writes down a part of what waits. What cannot be written waits on.
    async fn write_uses(&self) -> Result<(), StoreError> {
        let some: Vec<_> =
            self.used.lock().iter().take(USES_AT_ONCE).map(|(id, at)| (id.clone(), *at)).collect();
        if some.is_empty() {
            return Ok(());
        }
        let update = |(id, moment): &(String, Timestamp)| {
            Query::new(
                "UPDATE api_keys SET last_used = $1 WHERE id = $2 AND (last_used IS NULL OR last_used < $1)",
            )
            .with(*moment)
            .with(id.as_str())
        };
        self.database.transact(some.iter().map(update).collect()).await?;
        let mut used = self.used.lock();
        for (id, moment) in some {
            if used.get(&id) == Some(&moment) {
                used.remove(&id);
            }
        }
        Ok(())
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
