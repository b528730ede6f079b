//! A table of the database of which a gateway keeps what it has read.
//!
//! A record is read when it is first asked for, and kept for a minute; what is changed meanwhile is found out by following
//! the changes of the table, within a second. That there is no such record is kept too. While the database is away, records
//! serve until ten minutes after they were read.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_core::Timestamp;
use portcullis_store::{Database, News, Query, StoreError};

use crate::flights::Flights;
use crate::known::{FRESH, Known, KnownRecords};

/// How long the database is not asked after it failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is written down that a record was used.
pub(crate) const USE_NOTED: Duration = Duration::from_secs(60);
/// How many uses wait to be written down, and how many of them are written in one transaction.
const MOST_USES: usize = 100_000;
const USES_AT_ONCE: usize = 500;
/// Where changes are numbered from 1, none was followed yet.
const NOT_FOLLOWED: i64 = -1;

/// What is known of a table, and how that is kept true.
pub(crate) struct FollowedTable<R> {
    pub(crate) database: Arc<Database>,
    topic: &'static str,
    known: KnownRecords<R>,
    flights: Flights<String>,
    /// Until when the database is not asked, since it failed.
    away_until: AtomicU64,
    /// The last change that was followed.
    followed: AtomicI64,
    /// When each record was used, until that is written down.
    used: Mutex<HashMap<String, Timestamp>>,
}

/// What came of reading a record.
pub(crate) enum Reading<R> {
    /// The table says this.
    Told(Known<R>),
    /// There is a record, and the database or the record is at fault: it is looked at again soon.
    Faulty,
    /// The database cannot be asked.
    Away,
}

impl<R> FollowedTable<R> {
    pub(crate) fn new(topic: &'static str, database: Arc<Database>) -> Self {
        Self {
            database,
            topic,
            known: KnownRecords::default(),
            flights: Flights::default(),
            away_until: AtomicU64::new(0),
            followed: AtomicI64::new(NOT_FOLLOWED),
            used: Mutex::default(),
        }
    }

    /// What is known; older records too while the database is away.
    pub(crate) fn find(&self, id: &str, now: Timestamp) -> Option<Known<R>> {
        self.known.find(id, now, self.is_away(now))
    }

    pub(crate) fn is_away(&self, now: Timestamp) -> bool {
        now.0 < self.away_until.load(Ordering::Relaxed)
    }

    /// One piece of work at a time about a record.
    pub(crate) const fn flights(&self) -> &Flights<String> {
        &self.flights
    }

    /// Reads a record by `read`, unless somebody has just done so or the database is away.
    pub(crate) async fn fetch(&self, id: &str, now: Timestamp, read: impl Future<Output = Reading<R>>) {
        self.flights
            .in_turn(id.to_owned(), async {
                if !self.is_away(now) && self.known.find(id, now, false).is_none() {
                    self.read(id, now, read).await;
                }
            })
            .await;
    }

    /// Reads a record anew.
    pub(crate) async fn read(
        &self,
        id: &str,
        now: Timestamp,
        read: impl Future<Output = Reading<R>>,
    ) -> Option<Arc<R>> {
        let since = self.last_followed();
        let (known, good_for) = match read.await {
            Reading::Told(known) => (known, FRESH),
            Reading::Faulty => (Known::Unreadable, PAUSE),
            Reading::Away => {
                self.away_until.fetch_max(now.plus(PAUSE).0, Ordering::Relaxed);
                return None;
            }
        };
        let record = if let Known::Record(record) = &known { Some(Arc::clone(record)) } else { None };
        self.insert(id, known, now, (since, good_for));
        record
    }

    /// The last change that is known.
    pub(crate) fn last_followed(&self) -> i64 {
        self.followed.load(Ordering::Acquire)
    }

    /// Remembers what was just written, when the last change that was known was `since`.
    pub(crate) fn remember(&self, id: &str, known: Known<R>, now: Timestamp, since: i64) {
        self.insert(id, known, now, (since, FRESH));
    }

    /// What was found before a change that is known by now is good for this request and no other.
    fn insert(&self, id: &str, known: Known<R>, now: Timestamp, (since, good_for): (i64, Duration)) {
        let is_current = self.last_followed() == since;
        let fresh_until = if is_current { now.plus(good_for) } else { Timestamp(now.0.saturating_add(1)) };
        self.known.insert(id, known, now, fresh_until);
    }

    /// Has it written down that a record was used: at `moment`, or until then, whatever the table holds. `noted` is what was
    /// written last.
    pub(crate) fn note_use(&self, id: &str, noted: &AtomicU64, moment: Timestamp) {
        let last = Timestamp(noted.load(Ordering::Relaxed));
        if last.0 != 0 && moment.since(last) < USE_NOTED {
            return;
        }
        noted.store(moment.0, Ordering::Relaxed);
        let mut used = self.used.lock();
        if used.len() < MOST_USES {
            used.insert(id.to_owned(), moment);
        }
    }

    /// Learns what was changed, and writes by `update` what was used: to be called again and again.
    pub(crate) async fn follow(&self, update: impl Fn(&str, Timestamp) -> Query) -> Result<(), StoreError> {
        let followed = self.last_followed();
        if followed == NOT_FOLLOWED {
            // Nothing of what was changed before matters but to what was read before.
            let latest = self.database.latest_change(self.topic).await?;
            self.start_anew_after(latest);
        } else {
            match self.database.changes_after(self.topic, followed).await? {
                News::Everything { last } => self.start_anew_after(last),
                News::Changes(changes) => {
                    for change in changes {
                        self.followed.store(change.sequence, Ordering::Release);
                        // A change of many records has no subject: it made some.
                        if change.subject.is_empty() {
                            self.known.forget_missing();
                        } else {
                            self.known.forget(&change.subject);
                        }
                    }
                }
            }
        }
        self.write_uses(update).await
    }

    fn start_anew_after(&self, change: i64) {
        self.followed.store(change, Ordering::Release);
        self.known.clear();
    }

    /// Writes down a part of what waits. What cannot be written waits on.
    async fn write_uses(&self, update: impl Fn(&str, Timestamp) -> Query) -> Result<(), StoreError> {
        let some: Vec<_> =
            self.used.lock().iter().take(USES_AT_ONCE).map(|(id, moment)| (id.clone(), *moment)).collect();
        if some.is_empty() {
            return Ok(());
        }
        self.database.transact(some.iter().map(|(id, moment)| update(id, *moment)).collect()).await?;
        let mut used = self.used.lock();
        for (id, moment) in some {
            if used.get(&id) == Some(&moment) {
                used.remove(&id);
            }
        }
        Ok(())
    }
}
