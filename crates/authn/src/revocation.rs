//! Tokens that are refused before they end: one token, all of a subject, all of a session, all of an issuer.
//!
//! What is revoked stands in the database, so that it outlives every process. A gateway reads it before it serves its first
//! request and follows what is changed; deciding looks into memory only. While the database is away, what is known goes on.

mod custody;
mod list;
mod revoked;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use parking_lot::RwLock;
use portcullis_core::{Principal, Timestamp};
use portcullis_store::{Database, News, StoreError};

pub use custody::RevocationError;
pub use revoked::{NewRevocation, RawRevocation, Revocation, Revoked};

use crate::fault::Fault;
use list::RevocationList;

/// The topic under which changes are followed.
pub const TOPIC: &str = "revocations";

/// What is revoked, as this process knows it.
pub struct Revocations {
    database: Arc<Database>,
    list: RwLock<RevocationList>,
    /// Whether the list holds anything: most never do, and asking costs one load then.
    any: AtomicBool,
    /// The last change that was followed.
    followed: AtomicI64,
    /// Whether the list was read whole.
    is_read: AtomicBool,
}

impl Revocations {
    /// Those of a database: the same ones as before if it is the same database.
    pub(crate) fn of(database: &Arc<Database>, previous: Option<&Arc<Self>>) -> Arc<Self> {
        let same = previous.filter(|previous| Arc::ptr_eq(&previous.database, database));
        same.map_or_else(|| Arc::new(Self::new(Arc::clone(database))), Arc::clone)
    }

    fn new(database: Arc<Database>) -> Self {
        Self {
            database,
            list: RwLock::default(),
            any: AtomicBool::new(false),
            followed: AtomicI64::new(0),
            is_read: AtomicBool::new(false),
        }
    }

    /// Refuses the token behind a principal if it is revoked.
    pub(crate) fn check(&self, principal: &Principal, now: Timestamp) -> Result<(), Fault> {
        if self.any.load(Ordering::Acquire) && self.list.read().holds(principal, now) {
            return Err(Fault::token("revoked"));
        }
        Ok(())
    }

    /// Reads everything, unless that was done: before the first request is served. Waits for the database.
    ///
    /// # Errors
    /// When the database cannot be asked. Nobody knows then what is revoked.
    pub fn read_before_serving(&self, now: Timestamp) -> Result<(), StoreError> {
        if self.is_read.load(Ordering::Acquire) {
            return Ok(());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        runtime.block_on(self.read_all(now))
    }

    /// Learns what was changed, and forgets what has ended: to be called again and again.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn follow(&self, now: Timestamp) -> Result<(), StoreError> {
        let followed = self.followed.load(Ordering::Acquire);
        match self.database.changes_after(TOPIC, followed).await? {
            News::Everything { .. } => self.read_all(now).await,
            News::Changes(changes) => {
                for change in changes {
                    let found = self.find(&change.subject).await?;
                    self.update(|list| {
                        list.remove(&change.subject);
                        if let Some(revocation) = found {
                            list.insert(&revocation);
                        }
                    });
                    self.followed.store(change.sequence, Ordering::Release);
                }
                if self.list.read().next_end() <= now {
                    self.update(|list| list.remove_ended(now));
                }
                Ok(())
            }
        }
    }

    async fn read_all(&self, now: Timestamp) -> Result<(), StoreError> {
        // What is changed while the pages are read is followed afterwards.
        let latest = self.database.latest_change(TOPIC).await?;
        let mut list = RevocationList::default();
        let mut after = String::new();
        loop {
            let page = self.page(&after, now, 1000).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.id);
            page.iter().for_each(|revocation| list.insert(revocation));
        }
        self.update(|known| *known = list);
        self.followed.store(latest, Ordering::Release);
        self.is_read.store(true, Ordering::Release);
        Ok(())
    }

    fn update(&self, change: impl FnOnce(&mut RevocationList)) {
        let mut list = self.list.write();
        change(&mut list);
        self.any.store(!list.is_empty(), Ordering::Release);
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations").field("any", &self.any).finish_non_exhaustive()
    }
}
