//! What was changed in the database, for the other nodes: each follows the changes of a topic and forgets what it had of
//! the old.

use portcullis_core::Timestamp;

use crate::{Database, Query, StoreError};

/// How many changes of a topic are kept. A node that missed more forgets all it has.
const KEPT: i64 = 10_000;

/// One change of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its place in the order of changes.
    pub sequence: i64,
    /// When it was made.
    pub moment: Timestamp,
    /// What was done: a word.
    pub action: String,
    /// To what: an id. Empty for many at once.
    pub subject: String,
    /// Who did it.
    pub actor: String,
    /// By which way: `cli` or `api`.
    pub origin: String,
}

/// Who changes something, and when.
#[derive(Debug, Clone)]
pub struct Act {
    /// Who: a person or a program.
    pub actor: String,
    /// By which way: `cli` or `api`.
    pub origin: &'static str,
    /// When.
    pub now: Timestamp,
}

impl Act {
    /// That this was done to that.
    #[must_use]
    pub fn change(&self, action: &str, subject: &str) -> Change {
        Change {
            sequence: 0,
            moment: self.now,
            action: action.to_owned(),
            subject: subject.to_owned(),
            actor: self.actor.clone(),
            origin: self.origin.to_owned(),
        }
    }
}

/// Which changes happened since one looked last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// These, oldest first.
    Changes(Vec<Change>),
    /// So many that not all are known any more.
    Everything {
        /// The latest of them.
        last: i64,
    },
}

impl Change {
    /// The statements that put this change on the list, to be executed in one transaction with the change itself. The
    /// first of them comes first in the transaction: its lock makes the order of changes the order of commits, so that
    /// nobody who follows overlooks one.
    #[must_use]
    pub fn statements(&self, topic: &'static str) -> [Query; 3] {
        [
            Query::new(
                "INSERT INTO change_counters (topic, last) VALUES ($1, 1) \
                 ON CONFLICT (topic) DO UPDATE SET last = change_counters.last + 1",
            )
            .with(topic),
            Query::new(
                "INSERT INTO changes (topic, sequence, moment, action, subject, actor, origin) \
                 SELECT topic, last, $2, $3, $4, $5, $6 FROM change_counters WHERE topic = $1",
            )
            .with(topic)
            .with(self.moment)
            .with(self.action.as_str())
            .with(self.subject.as_str())
            .with(self.actor.as_str())
            .with(self.origin.as_str()),
            Query::new(
                "DELETE FROM changes WHERE topic = $1 AND sequence <= \
                 (SELECT last FROM change_counters WHERE topic = $1) - $2",
            )
            .with(topic)
            .with(KEPT),
        ]
    }
}

impl Database {
    /// The number of the latest change of a topic; 0 before the first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn latest_change(&self, topic: &'static str) -> Result<i64, StoreError> {
        let query = Query::new("SELECT last FROM change_counters WHERE topic = $1").with(topic);
        self.rows(query).await?.first().map_or(Ok(0), |row| row.column(0))
    }

    /// The changes of a topic after the one with the number `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn changes_after(&self, topic: &'static str, after: i64) -> Result<News, StoreError> {
        let query = Query::new(
            "SELECT sequence, moment, action, subject, actor, origin FROM changes \
             WHERE topic = $1 AND sequence > $2 ORDER BY sequence",
        );
        let rows = self.rows(query.with(topic).with(after)).await?;
        let read = |row: &crate::Row| {
            Ok(Change {
                sequence: row.column(0)?,
                moment: row.column(1)?,
                action: row.column(2)?,
                subject: row.column(3)?,
                actor: row.column(4)?,
                origin: row.column(5)?,
            })
        };
        let changes = rows.iter().map(read).collect::<Result<Vec<_>, StoreError>>()?;
        match (changes.first(), changes.last()) {
            (Some(first), Some(last)) if first.sequence > after.saturating_add(1) => {
                Ok(News::Everything { last: last.sequence })
            }
            _ => Ok(News::Changes(changes)),
        }
    }
}
