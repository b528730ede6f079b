//! One file for each command.

pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod init;
pub(crate) mod keys;
pub(crate) mod reload;
pub(crate) mod run;
pub(crate) mod schema;

use std::path::Path;

use portcullis_config::{Compiled, compile_file};
use portcullis_pipeline::Snapshot;

/// Reads a configuration with the process's environment.
pub(crate) fn compile(path: &Path, previous: Option<&Snapshot>) -> Compiled {
    compile_file(path, &|name| std::env::var(name).ok(), previous)
}
