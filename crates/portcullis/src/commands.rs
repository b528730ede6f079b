//! One file for each command.

pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod init;
pub(crate) mod keys;
pub(crate) mod reload;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod token;

use std::path::Path;

use portcullis_audit::AuditSettings;
use portcullis_config::{Compiled, compile_file};
use portcullis_core::{Clock, KeyPath, Problems, SystemClock};
use portcullis_pipeline::Snapshot;
use portcullis_proxy::{rehearse_listener, rehearse_upstream};

/// Like [`compile`], and tries what only this machine can tell: certificates, keys, and where the record goes. That is for
/// whoever serves by it, not for whoever only asks what it means.
pub(crate) fn compile_to_run(path: &Path, previous: Option<&Snapshot>) -> Compiled {
    let mut compiled = compile(path, previous);
    let mut problems = Problems::default();
    for (path, tls) in &compiled.needs.listeners {
        rehearse_listener(tls, path, SystemClock.now(), &mut problems);
    }
    for (path, upstream) in &compiled.needs.upstreams {
        rehearse_upstream(&upstream.tls, upstream.protocol, path, &mut problems);
    }
    if let Some(obstacle) = compiled.needs.audit.as_ref().and_then(AuditSettings::rehearse) {
        let place = KeyPath::root().key("audit").key("file");
        problems.error(&place, obstacle.message).suggest(obstacle.suggestion);
    }
    if let Some(obstacle) = compiled.needs.database.as_ref().and_then(|database| database.rehearse()) {
        let place = KeyPath::root().key("store").key("database");
        problems.error(&place, obstacle.message).suggest(obstacle.suggestion);
    }
    compiled.add(&problems);
    compiled
}

/// Reads a configuration with the process's environment.
pub(crate) fn compile(path: &Path, previous: Option<&Snapshot>) -> Compiled {
    compile_file(path, &|name| std::env::var(name).ok(), previous)
}
