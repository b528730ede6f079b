//! One file for each command.

pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod init;
pub(crate) mod keys;
pub(crate) mod quota;
pub(crate) mod reload;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod token;

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use portcullis_audit::AuditSettings;
use portcullis_authn::Act;
use portcullis_config::{Compiled, compile_file};
use portcullis_core::{Clock, KeyPath, Problems, SystemClock};
use portcullis_pipeline::Snapshot;
use portcullis_proxy::{rehearse_listener, rehearse_upstream};

use crate::output::{self, Format};

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

/// What commands that work on the database of a configuration have in common.
#[derive(Debug, clap::Args)]
pub(crate) struct OfDatabase {
    /// The configuration with the database.
    #[arg(long, value_name = "FILE", default_value = "portcullis.yaml")]
    pub(crate) config: PathBuf,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// A configuration as commands that work on its database need it. Says what is wrong with one that is not sound.
pub(crate) fn sound(path: &Path) -> anyhow::Result<Snapshot> {
    let compiled = compile(path, None);
    output::problems(&compiled);
    let unrecorded = compiled.snapshot.ok_or_else(|| anyhow!("the configuration is not sound"))?;
    Ok(unrecorded.without_record())
}

/// That whoever runs this program does something now.
pub(crate) fn act() -> Act {
    let user = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_default();
    Act { actor: user, origin: "cli", now: SystemClock.now() }
}

/// Waits for what the database does.
pub(crate) fn wait<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().build()?.block_on(work))
}

/// Reads a configuration with the process's environment.
pub(crate) fn compile(path: &Path, previous: Option<&Snapshot>) -> Compiled {
    compile_file(path, &|name| std::env::var(name).ok(), previous)
}
