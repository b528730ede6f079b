//! The file that names the process, and beside it another that says what became of the last reload: SIGHUP itself has
//! no answer.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Value, json};

/// The files of a running gateway; they go with it.
pub(crate) struct PidFile {
    path: PathBuf,
    reloads: Cell<u64>,
}

/// What became of the last reload.
#[derive(Debug, Default)]
pub(crate) struct ReloadStatus {
    /// How many reloads have begun since the start.
    pub(crate) begun: u64,
    /// How many of them are over.
    pub(crate) ended: u64,
    /// The generation in force.
    pub(crate) generation: u64,
    /// Why the last one was refused.
    pub(crate) refusal: Option<String>,
}

impl PidFile {
    /// Writes this process into `path`. Nothing was ever reloaded.
    pub(crate) fn create(path: &Path, generation: u64) -> anyhow::Result<Self> {
        let file = Self { path: path.to_owned(), reloads: Cell::new(0) };
        // The status first: whoever finds the process finds its status too.
        let wrote = file.write(&status_path(path), &text(&ReloadStatus { generation, ..Default::default() }));
        wrote
            .and_then(|()| file.write(path, &format!("{}\n", std::process::id())))
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(file)
    }

    /// Says that a reload begins: it reads what is in the files from now on.
    pub(crate) fn reload_begins(&self, generation: u64) -> std::io::Result<()> {
        let ended = self.reloads.get();
        self.reloads.set(ended + 1);
        let status = ReloadStatus { begun: ended + 1, ended, generation, refusal: None };
        self.write(&status_path(&self.path), &text(&status))
    }

    /// Says what became of it.
    pub(crate) fn reload_ended(&self, generation: u64, refusal: Option<&str>) -> std::io::Result<()> {
        let count = self.reloads.get();
        let refusal = refusal.map(str::to_owned);
        let status = ReloadStatus { begun: count, ended: count, generation, refusal };
        self.write(&status_path(&self.path), &text(&status))
    }

    /// As a whole: nobody reads half a file.
    fn write(&self, path: &Path, text: &str) -> std::io::Result<()> {
        let mut unfinished = self.path.clone().into_os_string();
        unfinished.push(".new");
        std::fs::write(&unfinished, text)?;
        std::fs::rename(&unfinished, path)
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        for path in [self.path.clone(), status_path(&self.path)] {
            // If it is gone already, that is as well.
            let _: std::io::Result<()> = std::fs::remove_file(path);
        }
    }
}

impl ReloadStatus {
    /// The status of the gateway whose process stands in `pid_file`.
    pub(crate) fn read(pid_file: &Path) -> anyhow::Result<Self> {
        let path = status_path(pid_file);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let status: Value = serde_json::from_str(&text)
            .with_context(|| format!("`{}` is not the status of a gateway", path.display()))?;
        let number = |key: &str| status.get(key).and_then(Value::as_u64).unwrap_or_default();
        Ok(Self {
            begun: number("reloads_begun"),
            ended: number("reloads_ended"),
            generation: number("generation"),
            refusal: status.get("refusal").and_then(Value::as_str).map(str::to_owned),
        })
    }
}

fn status_path(pid_file: &Path) -> PathBuf {
    let mut path = pid_file.as_os_str().to_owned();
    path.push(".reload");
    path.into()
}

fn text(status: &ReloadStatus) -> String {
    let status = json!({
        "reloads_begun": status.begun,
        "reloads_ended": status.ended,
        "generation": status.generation,
        "refusal": status.refusal,
    });
    format!("{status}\n")
}
