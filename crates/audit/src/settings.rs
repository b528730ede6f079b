//! The `audit` section of the configuration.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use portcullis_core::{ByteSize, ConfigFolder, KeyPath, Period, Problems};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::off::OffOr;
use crate::record::LONGEST_LINE;

/// The record of every decision. `off` records nothing; without this section records go to standard output.
pub type RawAudit = OffOr<RawAuditLog>;

/// Where the record of every decision goes: one JSON object on one line for each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawAuditLog {
    /// The file that records are appended to. Created with mode 0640 if it does not exist. Default: none.
    pub file: Option<String>,
    /// Whether records go to standard output; together with a file as a copy that never holds the file
    /// up. Default: `true` without a file, `false` with one.
    pub stdout: Option<bool>,
    /// When the file makes room for a new one, or `off` if another program sees to that.
    /// Devices, pipes and symbolic links are never rotated. Default: `{ size: 100MiB, keep: 10 }`.
    pub rotate: Option<OffOr<RawRotation>>,
    /// What happens to requests while they cannot be recorded.
    pub on_failure: OnFailure,
    /// How much may wait to be written, `64KiB` to `256MiB`. A full buffer is a failure to record. Default: `1MiB`.
    pub buffer: ByteSize,
    /// The longest time that a record waits before it is written, `1ms` to `1m`. Default: `1s`.
    pub flush_every: Period,
    /// How much records say about what the rules of the scanner matched.
    pub matches: Matches,
}

/// How much records say about what the rules of the scanner matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Matches {
    /// Of the first rules the target and the value, cut, with its letters and digits masked but for the first and last few.
    /// The default.
    #[default]
    Masked,
    /// Of every rule also its `msg` and its `logdata`, and the values as they came: for tuning rules with requests of one's
    /// own, since clients' personal data would be on record. Values of targets whose names speak of secrets, and those
    /// that rules sanitise, stay masked.
    Verbatim,
}

/// When the audit file makes room for a new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawRotation {
    /// The size that the file does not exceed; at least that of the buffer. Default: `100MiB`, or the size of the buffer
    /// if that is more.
    pub size: Option<ByteSize>,
    /// How many older files are kept, as `file.1` (the youngest) and so on, 1 to 1000. Default: `10`.
    pub keep: u32,
}

/// What happens to requests while they cannot be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// They pass; the records that are lost are counted. The default.
    #[default]
    Pass,
    /// They are answered 503 (`audit_unavailable`) until records can be written again.
    Refuse,
}

/// The audit settings, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditSettings {
    /// Nothing is recorded.
    Off,
    /// Everything is recorded.
    On(LogSettings),
}

/// The settings of a log that is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Where records go.
    pub destination: Destination,
    /// When the file is rotated; `None` if another program does that.
    pub rotation: Option<Rotation>,
    /// What happens to requests while they cannot be recorded.
    pub on_failure: OnFailure,
    /// How many bytes may wait to be written.
    pub buffer: usize,
    /// The longest time that a record waits.
    pub flush_every: Duration,
}

/// Where records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// To standard output.
    Stdout,
    /// To a file.
    File {
        /// The path of the file.
        path: PathBuf,
        /// Whether standard output gets a copy.
        copy_to_stdout: bool,
    },
}

/// When and how far a file is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// The size in bytes that the file does not exceed.
    pub size: u64,
    /// How many older files are kept; at least one.
    pub keep: u32,
}

impl Default for RawAuditLog {
    fn default() -> Self {
        Self {
            file: None,
            stdout: None,
            rotate: None,
            on_failure: OnFailure::default(),
            buffer: ByteSize::mib(1),
            flush_every: Period::secs(1),
            matches: Matches::default(),
        }
    }
}

impl RawAudit {
    /// How much records say about what the rules of the scanner matched.
    #[must_use]
    pub const fn matches(&self) -> Matches {
        match self {
            Self::On(log) => log.matches,
            Self::Off => Matches::Masked,
        }
    }
}

impl Default for RawRotation {
    fn default() -> Self {
        Self { size: None, keep: 10 }
    }
}

/// Checks the `audit` section that stands at `path`. Relative files start in `folder`.
pub fn compile(
    raw: &RawAudit,
    folder: &ConfigFolder,
    path: &KeyPath,
    problems: &mut Problems,
) -> AuditSettings {
    let OffOr::On(raw) = raw else { return AuditSettings::Off };
    let destination = compile_destination(raw, folder, path, problems);
    let rotation = compile_rotation(raw, &path.key("rotate"), problems);
    check_range(
        &raw.buffer,
        &ByteSize::kib(64),
        &ByteSize::mib(256),
        "the buffer",
        &path.key("buffer"),
        problems,
    );
    check_range(
        &raw.flush_every,
        &Period::millis(1),
        &Period::secs(60),
        "the interval",
        &path.key("flush_every"),
        problems,
    );
    AuditSettings::On(LogSettings {
        destination,
        rotation,
        on_failure: raw.on_failure,
        buffer: raw.buffer.bytes(),
        flush_every: raw.flush_every.0,
    })
}

fn compile_destination(
    raw: &RawAuditLog,
    folder: &ConfigFolder,
    path: &KeyPath,
    problems: &mut Problems,
) -> Destination {
    match raw.file.as_deref() {
        Some("") => {
            problems
                .error(&path.key("file"), "the file has no name")
                .suggest("/var/log/portcullis/audit.jsonl");
            Destination::Stdout
        }
        Some(file) => {
            Destination::File { path: folder.resolve(file), copy_to_stdout: raw.stdout.unwrap_or(false) }
        }
        None => {
            if raw.stdout == Some(false) {
                problems
                    .error(path, "records go neither to a file nor to standard output")
                    .suggest("name a `file`, or write `audit: off` if nothing is to be recorded");
            }
            Destination::Stdout
        }
    }
}

fn compile_rotation(raw: &RawAuditLog, path: &KeyPath, problems: &mut Problems) -> Option<Rotation> {
    if raw.rotate.is_some() && raw.file.is_none() {
        problems
            .error(path, "standard output is not rotated")
            .suggest("name a `file`, or leave `rotate` out");
    }
    let rotation = match &raw.rotate {
        Some(OffOr::Off) => return None,
        Some(OffOr::On(rotation)) => rotation,
        None => &RawRotation::default(),
    };
    // What waits in the buffer is written in one piece, which must fit into one file.
    let size = rotation.size.unwrap_or_else(|| ByteSize::mib(100).max(raw.buffer));
    if size < raw.buffer {
        let message = format!("the size is {size}, less than the buffer of {}", raw.buffer);
        problems.error(&path.key("size"), message).suggest(raw.buffer.to_string());
    }
    check_range(&rotation.keep, &1, &1000, "the number of older files", &path.key("keep"), problems);
    Some(Rotation { size: size.0, keep: rotation.keep })
}

fn check_range<T: PartialOrd + fmt::Display>(
    value: &T,
    least: &T,
    greatest: &T,
    what: &str,
    path: &KeyPath,
    problems: &mut Problems,
) {
    if value < least {
        problems.error(path, format!("{what} is {value}, less than {least}")).suggest(least.to_string());
    } else if value > greatest {
        problems
            .error(path, format!("{what} is {value}, more than {greatest}"))
            .suggest(greatest.to_string());
    }
}

// The smallest buffer and the smallest file hold the longest record.
const _: () = assert!(LONGEST_LINE <= 64 << 10);

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn compiled(section: Value) -> (AuditSettings, Problems) {
        let raw: RawAudit = serde_json::from_value(section).unwrap();
        let mut problems = Problems::default();
        let settings = compile(
            &raw,
            &ConfigFolder::new("/etc/portcullis"),
            &KeyPath::root().key("audit"),
            &mut problems,
        );
        (settings, problems)
    }

    fn faults(section: Value) -> Vec<String> {
        let (_, problems) = compiled(section);
        problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
    }

    fn log(section: Value) -> LogSettings {
        match compiled(section) {
            (AuditSettings::On(settings), problems) if problems.is_empty() => settings,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn off_is_written_down() {
        assert_eq!(compiled(json!("off")).0, AuditSettings::Off);
        let settings = log(json!({}));
        assert_eq!(settings.destination, Destination::Stdout);
        assert_eq!(RawAudit::default(), OffOr::On(RawAuditLog::default()));
    }

    #[test]
    fn every_key_arrives() {
        let settings = log(json!({
            "file": "audit.jsonl", "stdout": true, "rotate": {"size": "2MiB", "keep": 3},
            "on_failure": "refuse", "buffer": "128KiB", "flush_every": "250ms",
        }));
        let expected = LogSettings {
            destination: Destination::File {
                path: "/etc/portcullis/audit.jsonl".into(),
                copy_to_stdout: true,
            },
            rotation: Some(Rotation { size: 2 << 20, keep: 3 }),
            on_failure: OnFailure::Refuse,
            buffer: 128 << 10,
            flush_every: Duration::from_millis(250),
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn the_defaults_are_as_documented() {
        let settings = log(json!({"file": "/var/log/audit.jsonl"}));
        let expected = LogSettings {
            destination: Destination::File { path: "/var/log/audit.jsonl".into(), copy_to_stdout: false },
            rotation: Some(Rotation { size: 100 << 20, keep: 10 }),
            on_failure: OnFailure::Pass,
            buffer: 1 << 20,
            flush_every: Duration::from_secs(1),
        };
        assert_eq!(settings, expected);
        assert_eq!(log(json!({"file": "/a", "rotate": "off"})).rotation, None);
    }

    #[test]
    fn every_fault_is_found_in_one_run() {
        let found = faults(json!({
            "file": "", "buffer": "2KiB", "flush_every": "2m", "rotate": {"size": "1B", "keep": 0},
        }));
        assert_eq!(
            found,
            [
                "audit.file: the file has no name",
                "audit.rotate.size: the size is 1B, less than the buffer of 2KiB",
                "audit.rotate.keep: the number of older files is 0, less than 1",
                "audit.buffer: the buffer is 2KiB, less than 64KiB",
                "audit.flush_every: the interval is 2m, more than 1m",
            ]
        );
        assert_eq!(
            faults(json!({"stdout": false})),
            ["audit: records go neither to a file nor to standard output"]
        );
        assert_eq!(faults(json!({"rotate": "off"})), ["audit.rotate: standard output is not rotated"]);
    }

    #[test]
    fn misspelled_keys_and_words_are_refused() {
        for (section, expected) in [
            (json!({"fiel": "a"}), "unknown field `fiel`"),
            (json!({"rotate": {"sise": "1MiB"}}), "unknown field `sise`"),
            (json!({"on_failure": "ignore"}), "unknown variant `ignore`"),
            (json!("of"), "`of` is not `off`"),
            (json!(true), "`off` or a section"),
        ] {
            let error = serde_json::from_value::<RawAudit>(section).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for raw in [OffOr::Off, OffOr::On(RawAuditLog { rotate: Some(OffOr::Off), ..RawAuditLog::default() })]
        {
            let text = serde_json::to_string(&raw).unwrap();
            assert_eq!(serde_json::from_str::<RawAudit>(&text).unwrap(), raw, "{text}");
        }
    }
}
