//! What comes of a configuration.

use std::sync::Arc;

use portcullis_audit::{AuditLog, AuditSettings};
use portcullis_core::problem::Severity;
use portcullis_core::{Clock, KeyPath, Problems, SystemClock};
use portcullis_pipeline::Snapshot;
use portcullis_pipeline::settings::{ListenerTls, Upstream};
use portcullis_store::{Database, OpenError, StoreError};

use crate::document::Document;
use crate::located::{Located, locate};

/// A configuration that was read: what it compiles to, if it does, and all that is to be said about it.
pub struct Compiled {
    /// The snapshot; none if there is an error.
    pub snapshot: Option<Unrecorded>,
    /// The file, for showing problems in their place.
    pub document: Document,
    /// Errors and warnings in the order of the file.
    pub problems: Vec<Located>,
    /// What it needs of the machine that it runs on; this crate knows of it, but not whether it is there.
    pub needs: Needs,
    /// The schema that the policies are held against, in Cedar's own syntax; none if what it is made of cannot be read.
    pub cedar_schema: Option<String>,
}

/// What only the machine that a configuration runs on can tell to be right, as far as the configuration itself is.
#[derive(Debug, Default)]
pub struct Needs {
    /// The TLS of listeners, with the paths of the keys `tls`.
    pub listeners: Vec<(KeyPath, ListenerTls)>,
    /// The upstreams that have `https` targets, with their paths.
    pub upstreams: Vec<(KeyPath, Upstream)>,
    /// The audit log.
    pub audit: Option<AuditSettings>,
    /// The database.
    pub database: Option<Arc<Database>>,
}

/// What of a sound configuration cannot be opened on this machine.
#[derive(Debug, thiserror::Error)]
pub enum Unopened {
    /// The audit log.
    #[error("the audit log cannot be opened: {0}")]
    Audit(#[from] std::io::Error),
    /// The database.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// What stands in the database.
    #[error("what is revoked cannot be read: {0}")]
    Revocations(#[from] StoreError),
}

impl Compiled {
    /// Takes problems that were found elsewhere, except those at places that have an error already. With an error there is
    /// no snapshot.
    pub fn add(&mut self, problems: &Problems) {
        let is_wrong = |path: &KeyPath| {
            let errors = self.problems.iter().filter(|it| it.problem.severity == Severity::Error);
            errors.into_iter().any(|it| it.problem.path == *path)
        };
        let mut news = locate(&self.document, problems);
        news.retain(|it| !is_wrong(&it.problem.path));
        self.problems.extend(news);
        self.arrange();
    }

    /// Puts the problems in the order of the file.
    pub(super) fn arrange(&mut self) {
        self.problems.sort_by_key(|it| (it.place.is_none(), it.place));
        if self.problems.iter().any(|it| it.problem.severity == Severity::Error) {
            self.snapshot = None;
        }
    }
}

/// A snapshot whose audit log and database are not open yet: good for checking and explaining as it is.
pub struct Unrecorded {
    pub(super) snapshot: Snapshot,
    pub(super) audit: AuditSettings,
}

impl Unrecorded {
    /// The snapshot without a record.
    #[must_use]
    pub fn without_record(self) -> Snapshot {
        self.snapshot
    }

    /// Opens the database and the audit log, going on with those of `previous` if they are the same: the last step of a
    /// start or a reload that can fail.
    ///
    /// # Errors
    /// When one of them cannot be opened.
    pub fn open(mut self, previous: Option<&Snapshot>) -> Result<Snapshot, Unopened> {
        if let Some(database) = &self.snapshot.store.database {
            database.open()?;
            if let Some(revocations) = self.snapshot.authentication.revocations() {
                revocations.read_before_serving(SystemClock.now())?;
            }
        }
        let log = AuditLog::open(&self.audit, previous.map(|previous| &*previous.audit))?;
        self.snapshot.audit = Arc::new(log);
        Ok(self.snapshot)
    }
}
