//! Which rules a command is about.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use portcullis_waf::engine::{Builder, LoadError, Ruleset};
use portcullis_waf::seclang::Parser;

/// The flags that name rules.
#[derive(Debug, clap::Args)]
pub(super) struct Sources {
    /// A rule file, whose name may hold `*` and `?`, or a folder, whose `.conf` files are loaded in the order of their
    /// names; may be given several times.
    #[arg(long, value_name = "DIR|FILE")]
    rules: Vec<PathBuf>,
    /// What is loaded before the rules, such as crs-setup.conf. Without it, `crs-setup.conf` or
    /// `crs-setup.conf.example` is taken that stands beside a folder with rules.
    #[arg(long, value_name = "FILE")]
    setup: Option<PathBuf>,
}

impl Sources {
    /// All files, in the order in which they are loaded. `more` are further files and folders.
    pub(super) fn files(&self, more: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        let mut setup = self.setup.clone();
        for path in self.rules.iter().chain(more) {
            if path.is_dir() {
                setup = setup.or_else(|| setup_beside(path));
                files.extend(rule_files(path)?);
            } else {
                files.push(path.clone());
            }
        }
        if files.is_empty() {
            let message = "there are no rules: give `--rules` with a folder or a file\n";
            clap::Error::raw(clap::error::ErrorKind::MissingRequiredArgument, message).exit();
        }
        Ok(setup.into_iter().chain(files).collect())
    }
}

/// Compiles files after what `builder` already holds.
pub(super) fn compile(builder: Builder, files: &[PathBuf]) -> Result<Ruleset, LoadError> {
    files.iter().fold(builder, |builder, file| builder.file(file)).build()
}

/// Compiles files, or says what is wrong with them.
pub(super) fn ruleset(builder: Builder, files: &[PathBuf]) -> anyhow::Result<Ruleset> {
    compile(builder, files).map_err(|error| anyhow!("the rules cannot be loaded:\n{error}"))
}

/// What the files say, word by word.
pub(super) fn document(files: &[PathBuf]) -> anyhow::Result<portcullis_waf::seclang::Loaded> {
    let parser = files.iter().fold(Parser::new(), |parser, file| parser.file(file));
    parser.finish().map_err(|errors| anyhow!("the rules cannot be loaded:\n{errors}"))
}

/// The setup of the Core Rule Set, which its own layout puts beside the folder with the rules.
pub(super) fn setup_beside(rules: &Path) -> Option<PathBuf> {
    let folder = rules.canonicalize().ok()?.parent()?.to_owned();
    ["crs-setup.conf", "crs-setup.conf.example"]
        .map(|name| folder.join(name))
        .into_iter()
        .find(|path| path.is_file())
}

/// The rule files of a folder.
pub(super) fn rule_files(rules: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(rules).with_context(|| format!("cannot read `{}`", rules.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "conf") {
            files.push(path);
        }
    }
    if files.is_empty() {
        bail!("there are no rules in `{}`: it holds no `.conf` file", rules.display());
    }
    files.sort();
    Ok(files)
}
