//! Sessions in the database, sealed, and what a gateway knows of them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use portcullis_core::Timestamp;
use portcullis_store::{Act, Database, Query, Row, StoreError};

use super::seal::Seal;
use super::session::{Session, SessionSummary};
use crate::flights::Flights;
use crate::followed::{FollowedTable, Reading, USE_NOTED};
use crate::known::Known;

/// The topic under which changes are followed.
pub const TOPIC: &str = "sessions";

/// How often sessions that have ended are removed.
const BETWEEN_PURGES: Duration = Duration::from_secs(60);
/// For how long a session is reserved for who renews it: longer than all that is asked for it may take together.
const RENEWAL: Duration = Duration::from_secs(30);
/// How many sessions of a person are ended at once.
const MOST_ENDED: i64 = 1000;

/// The sessions of one method.
pub struct Sessions {
    method: String,
    table: FollowedTable<Session>,
    seal: Seal,
    purge_at: AtomicU64,
}

/// Which sessions end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ending<'e> {
    /// Those of a session at the provider.
    Sid(&'e str),
    /// Those of a person.
    Subject(&'e str),
}

impl Sessions {
    pub(super) fn new(method: &str, database: Arc<Database>, seal: Seal) -> Self {
        Self {
            method: method.to_owned(),
            table: FollowedTable::new(TOPIC, database),
            seal,
            purge_at: AtomicU64::new(0),
        }
    }

    /// The name of the method.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    pub(super) fn find(&self, id: &str, now: Timestamp) -> Option<Known<Session>> {
        self.table.find(id, now)
    }

    pub(super) fn is_away(&self, now: Timestamp) -> bool {
        self.table.is_away(now)
    }

    pub(super) const fn flights(&self) -> &Flights<String> {
        self.table.flights()
    }

    pub(super) async fn fetch(&self, id: &str, now: Timestamp) {
        self.table.fetch(id, now, self.find_stored(id)).await;
    }

    /// Reads a session anew.
    pub(super) async fn read(&self, id: &str, now: Timestamp) -> Option<Arc<Session>> {
        self.table.read(id, now, self.find_stored(id)).await
    }

    async fn find_stored(&self, id: &str) -> Reading<Session> {
        let query = Query::new(
            "SELECT id, created, idle_until, ends, version, data FROM sessions WHERE id = $1 AND method = $2",
        );
        let rows = self.table.database.rows(query.with(id).with(self.method.as_str())).await;
        // Whatever is the matter with the database, nobody is logged out for it.
        let Ok(rows) = rows else { return Reading::Away };
        Reading::Told(match rows.first().map(|row| self.session(row)) {
            None | Some(Ok(None)) => Known::Missing,
            Some(Ok(Some(session))) => Known::Record(Arc::new(session)),
            Some(Err(_)) => Known::Unreadable,
        })
    }

    /// A session that does not open was sealed with another secret: there is none any more.
    fn session(&self, row: &Row) -> Result<Option<Session>, StoreError> {
        let id: String = row.column(0)?;
        let times = (row.column(1)?, row.column(2)?, row.column(3)?);
        let version: i64 = row.column(4)?;
        let data: Vec<u8> = row.column(5)?;
        let text = self.seal.open_bytes(id.as_bytes(), &data);
        Ok(text.and_then(|text| Session::from_json(&text, &self.method, id, times, version)))
    }

    /// Keeps a new session.
    pub(super) async fn insert(&self, session: Session, act: &Act) -> Result<(), StoreError> {
        let insert = Query::new(
            "INSERT INTO sessions (id, method, subject, sid, created, idle_until, ends, version, renewal_until, data) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9)",
        )
        .with(session.id.as_str())
        .with(self.method.as_str())
        .with(session.principal.id.as_str())
        .with(session.sid.clone())
        .with(session.created)
        .with(Timestamp(session.idle_until.load(Ordering::Relaxed)))
        .with(session.ends)
        .with(session.version)
        .with(self.sealed(&session)?);
        let mut queries: Vec<Query> = act.change("login", &session.id).statements(TOPIC).into();
        queries.push(insert);
        self.table.database.transact(queries).await?;
        Ok(())
    }

    /// Reserves the renewal of a session for this gateway: a refresh token that is used twice ends everything.
    pub(super) async fn reserve(&self, session: &Session, now: Timestamp) -> Result<(), StoreError> {
        let reserve = Query::new(
            "UPDATE sessions SET renewal_until = $1 WHERE id = $2 AND version = $3 AND renewal_until <= $4",
        )
        .with(now.plus(RENEWAL))
        .with(session.id.as_str())
        .with(session.version)
        .with(now);
        self.table.database.transact(vec![reserve.must_change()]).await.map(drop)
    }

    /// Gives a reservation back.
    pub(super) async fn release(&self, session: &Session) -> Result<(), StoreError> {
        let release = Query::new("UPDATE sessions SET renewal_until = 0 WHERE id = $1 AND version = $2");
        self.table.database.execute(release.with(session.id.as_str()).with(session.version)).await.map(drop)
    }

    /// Keeps a session that was renewed.
    pub(super) async fn renew(&self, session: Session, act: &Act) -> Result<(), StoreError> {
        let since = self.table.last_followed();
        let update = Query::new(
            "UPDATE sessions SET version = $1, renewal_until = 0, data = $2 WHERE id = $3 AND version = $4",
        )
        .with(session.version)
        .with(self.sealed(&session)?)
        .with(session.id.as_str())
        .with(session.version.saturating_sub(1));
        let mut queries: Vec<Query> = act.change("renewed", &session.id).statements(TOPIC).into();
        queries.push(update.must_change());
        self.table.database.transact(queries).await?;
        let id = session.id.clone();
        self.table.remember(&id, Known::Record(Arc::new(session)), act.now, since);
        Ok(())
    }

    fn sealed(&self, session: &Session) -> Result<Vec<u8>, StoreError> {
        let sealed = self.seal.seal_bytes(session.id.as_bytes(), &session.to_json());
        sealed.ok_or_else(|| StoreError::Refused("there is no randomness to seal with".to_owned()))
    }

    /// Ends a session. That there is none is not an error.
    ///
    /// # Errors
    /// When the database does not do it.
    pub async fn end(&self, id: &str, action: &str, act: &Act) -> Result<bool, StoreError> {
        let delete = Query::new("DELETE FROM sessions WHERE id = $1 AND method = $2");
        let mut queries: Vec<Query> = act.change(action, id).statements(TOPIC).into();
        queries.push(delete.with(id).with(self.method.as_str()).must_change());
        let ended = match self.table.database.transact(queries).await {
            Ok(_) => true,
            Err(StoreError::NothingChanged) => false,
            Err(error) => return Err(error),
        };
        // A session that has ended never comes again.
        self.table.remember(id, Known::Missing, act.now, self.table.last_followed());
        Ok(ended)
    }

    /// Ends the sessions that the provider says have ended.
    pub(super) async fn end_all(&self, ending: Ending<'_>, act: &Act) -> Result<(), StoreError> {
        let (query, value) = match ending {
            Ending::Sid(sid) => {
                (Query::new("SELECT id FROM sessions WHERE method = $1 AND sid = $2 LIMIT $3"), sid)
            }
            Ending::Subject(subject) => {
                (Query::new("SELECT id FROM sessions WHERE method = $1 AND subject = $2 LIMIT $3"), subject)
            }
        };
        loop {
            let rows = query.clone().with(self.method.as_str()).with(value).with(MOST_ENDED);
            let rows = self.table.database.rows(rows).await?;
            for row in &rows {
                let id: String = row.column(0)?;
                self.end(&id, "ended_by_provider", act).await?;
            }
            if i64::try_from(rows.len()).is_ok_and(|count| count < MOST_ENDED) {
                return Ok(());
            }
        }
    }

    /// Sessions in the order of their names, of one person or of all, at most `most` of them, after `after`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn list(
        &self,
        subject: Option<&str>,
        after: &str,
        most: i64,
        now: Timestamp,
    ) -> Result<Vec<SessionSummary>, StoreError> {
        let query = Query::new(
            "SELECT id, subject, created, idle_until, ends FROM sessions \
             WHERE method = $1 AND id > $2 AND ends > $3 AND idle_until > $3 AND (subject = $4 OR $5 = 1) \
             ORDER BY id LIMIT $6",
        )
        .with(self.method.as_str())
        .with(after)
        .with(now)
        .with(subject.unwrap_or_default())
        .with(subject.is_none())
        .with(most);
        let read = |row: &Row| {
            Ok(SessionSummary {
                id: row.column(0)?,
                subject: row.column(1)?,
                created: row.column(2)?,
                idle_until: row.column(3)?,
                ends: row.column(4)?,
            })
        };
        self.table.database.rows(query).await?.iter().map(read).collect()
    }

    pub(super) fn note_use(&self, session: &Session, idle: Duration, now: Timestamp) {
        let until = now.plus(idle);
        session.idle_until.fetch_max(until.0, Ordering::Relaxed);
        self.table.note_use(&session.id, &session.idle_noted, until);
    }

    /// Learns what was changed, and writes down what was used: to be called again and again.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn follow(&self, now: Timestamp) -> Result<(), StoreError> {
        let update = |id: &str, until| {
            Query::new("UPDATE sessions SET idle_until = $1 WHERE id = $2 AND idle_until < $1")
                .with(until)
                .with(id)
        };
        self.table.follow(update).await?;
        if now.0 >= self.purge_at.load(Ordering::Relaxed) {
            self.purge_at.store(now.plus(BETWEEN_PURGES).0, Ordering::Relaxed);
            let purge = Query::new("DELETE FROM sessions WHERE ends <= $1 OR idle_until <= $2");
            // That it was used may not be written down yet.
            let idle = Timestamp(now.0.saturating_sub(2 * USE_NOTED.as_nanos() as u64));
            self.table.database.execute(purge.with(now).with(idle)).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("method", &self.method).finish_non_exhaustive()
    }
}
