//! `portcullis reload`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::output;
use crate::pid_file::ReloadStatus;

/// How long a gateway may take to compile a configuration that was compiled here just now.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The configuration file that the gateway was started with.
    config: PathBuf,
    /// The file with the process id, as given to `portcullis run`.
    #[arg(long)]
    pid_file: PathBuf,
}

/// Checks first, so that what is wrong is said with the lines it is about; then has the gateway take it, and says whether
/// it did: it may have another environment, or listeners that cannot change.
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
    let before = ReloadStatus::read(&arguments.pid_file)?;
    kill_process(pid, Signal::HUP).with_context(|| format!("process {} cannot be told", text.trim()))?;
    let after = wait(pid, before.begun, &arguments.pid_file)?;
    match after.refusal {
        None => output::line(&format!("reloaded; this is generation {}", after.generation))?,
        Some(why) => bail!("the gateway keeps generation {}: {why}", after.generation),
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits for the end of a reload that began after the signal: one that was under way before may have read the files
/// before they were changed.
fn wait(pid: Pid, begun_before: u64, pid_file: &Path) -> anyhow::Result<ReloadStatus> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if test_kill_process(pid).is_err() {
            bail!("the gateway has ended");
        }
        let status = ReloadStatus::read(pid_file)?;
        if status.ended > begun_before {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("the gateway has said nothing for {} s; its log says what became of it", PATIENCE.as_secs())
}
