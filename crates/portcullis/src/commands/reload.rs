//! `portcullis reload`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use rustix::process::{Pid, Signal, kill_process};

use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The configuration file that the gateway was started with.
    config: PathBuf,
    /// The file with the process id, as given to `portcullis run`.
    #[arg(long)]
    pid_file: PathBuf,
}

/// Checks first, so that what is wrong is said here and not only in the gateway's log.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let compiled = super::compile_to_run(&arguments.config, None);
    output::problems(&compiled);
    if compiled.snapshot.is_none() {
        output::complaint("error: the configuration is not sound; the gateway keeps the one it has");
        return Ok(ExitCode::FAILURE);
    }
    let path = arguments.pid_file.display();
    let text =
        std::fs::read_to_string(&arguments.pid_file).with_context(|| format!("cannot read `{path}`"))?;
    let pid = text
        .trim()
        .parse()
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| anyhow!("`{path}` holds no process id"))?;
    kill_process(pid, Signal::HUP).with_context(|| format!("process {} cannot be told", text.trim()))?;
    output::line("told; the gateway's log says `reloaded`, or why not")?;
    Ok(ExitCode::SUCCESS)
}
