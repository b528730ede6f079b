//! What operators change in the database, on the record: each gateway follows the changes and records them when it sees them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use portcullis_audit::Change;
use portcullis_authn::{api_key, login, revocation};
use portcullis_limit::QUOTA_TOPIC;
use portcullis_store::{Database, News, StoreError};

use crate::Snapshot;

/// What is changed in the database and must be on the record.
const TOPICS: [&str; 4] = [api_key::TOPIC, revocation::TOPIC, login::TOPIC, QUOTA_TOPIC];

/// Up to where changes are on the record. Outlives configurations; what was changed before the gateway began to look stands in
/// the table alone.
#[derive(Debug, Default)]
pub struct RecordedChanges {
    database: Weak<Database>,
    last: HashMap<&'static str, i64>,
}

impl RecordedChanges {
    /// Records what has been changed since it was called last.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn follow(&mut self, snapshot: &Snapshot) -> Result<(), StoreError> {
        let Some(database) = &snapshot.store.database else { return Ok(()) };
        if !std::ptr::eq(self.database.as_ptr(), Arc::as_ptr(database)) {
            *self = Self { database: Arc::downgrade(database), last: HashMap::new() };
        }
        for topic in TOPICS {
            let Some(last) = self.last.get(topic).copied() else {
                self.last.insert(topic, database.latest_change(topic).await?);
                continue;
            };
            let changes = match database.changes_after(topic, last).await? {
                News::Changes(changes) => changes,
                // So many that some are no longer known. Those that follow are.
                News::Everything { last } => {
                    self.last.insert(topic, last);
                    continue;
                }
            };
            for change in changes {
                let record = Change {
                    moment: change.moment,
                    topic,
                    action: &change.action,
                    subject: &change.subject,
                    actor: &change.actor,
                    origin: &change.origin,
                    generation: snapshot.generation,
                };
                if snapshot.audit.record_change(&record).is_err() {
                    // There is no room; the next round tries again.
                    return Ok(());
                }
                self.last.insert(topic, change.sequence);
            }
        }
        Ok(())
    }
}
