//! The suite as it is written: YAML in the format of go-ftw, read into cases that need no further checks.

mod raw;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use regex::Regex;

/// A file of the suite: the cases for one rule.
#[derive(Debug)]
pub(super) struct File {
    /// Where it stands below the suite's folder.
    pub(super) name: String,
    pub(super) cases: Vec<Case>,
}

/// A test.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) rule_id: u32,
    pub(super) test_id: u32,
    pub(super) stages: Vec<Stage>,
}

/// A request and what it is to bring about.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) input: Input,
    pub(super) output: Output,
}

/// What is sent.
#[derive(Debug, Clone)]
pub(super) struct Input {
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) method: String,
    pub(super) uri: String,
    pub(super) version: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) data: Vec<u8>,
    /// A request as it is, in place of everything else.
    pub(super) raw: Option<Vec<u8>>,
    /// Whether headers that a client would send are added.
    pub(super) autocomplete: bool,
    /// Whether the request goes where the response before it points.
    pub(super) follow_redirect: bool,
}

impl Default for Input {
    fn default() -> Self {
        Self {
            address: "127.0.0.1".to_owned(),
            port: 80,
            method: "GET".to_owned(),
            uri: "/".to_owned(),
            version: "HTTP/1.1".to_owned(),
            headers: Vec::new(),
            data: Vec::new(),
            raw: None,
            autocomplete: true,
            follow_redirect: false,
        }
    }
}

/// What is expected. An empty list or an absent value expects nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Output {
    /// The response has one of these.
    pub(super) status: Vec<u16>,
    pub(super) response_contains: Option<String>,
    /// There is no response.
    pub(super) error: bool,
    pub(super) expect_ids: Vec<u32>,
    pub(super) no_expect_ids: Vec<u32>,
    /// The one expected rule is the only one.
    pub(super) isolated: bool,
    /// Some line of the log matches each of these.
    pub(super) log_matches: Vec<Regex>,
    /// No line of the log matches any of these.
    pub(super) no_log_matches: Vec<Regex>,
}

impl Case {
    /// The name by which go-ftw knows the case.
    pub(super) fn id(&self) -> String {
        format!("{}-{}", self.rule_id, self.test_id)
    }
}

/// Reads every `.yaml` file below a folder, as go-ftw does, in the order of their names.
pub(super) fn load(folder: &Path) -> anyhow::Result<Vec<File>> {
    let mut paths = Vec::new();
    collect(folder, &mut paths)?;
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let shown = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
        let text = read(&path)?;
        let cases =
            parse(&shown, &text).with_context(|| format!("`{}` is no file of tests", path.display()))?;
        files.push(File { name: shown, cases });
    }
    if files.iter().all(|file| file.cases.is_empty()) {
        bail!(
            "there are no tests in `{}`: it holds no `.yaml` file in the format of go-ftw",
            folder.display()
        );
    }
    Ok(files)
}

/// Reads the cases of one file.
pub(super) fn parse(name: &str, text: &str) -> anyhow::Result<Vec<Case>> {
    // A file of comments stands for tests that were taken out.
    let Some(file) = yaml::<Option<raw::File>>(text)? else { return Ok(Vec::new()) };
    file.compile(name)
}

/// Reads a document. Values that look like numbers or nulls are strings where strings are asked for.
pub(super) fn yaml<T: serde::de::DeserializeOwned>(text: &str) -> anyhow::Result<T> {
    let mut options = serde_saphyr::Options::default();
    options.null_as_string = true;
    // The suite is the operator's own, and its largest cases are larger than what a stranger may send.
    options.budget = None;
    Ok(serde_saphyr::from_str_with_options(text, options)?)
}

pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            paths.push(path);
        }
    }
    Ok(())
}

/// Outputs are also what overrides are made of.
pub(super) use raw::Output as RawOutput;

#[cfg(test)]
mod tests;
