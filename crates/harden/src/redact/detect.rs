//! What is looked for in text.

use std::ops::Range;

use portcullis_core::{KeyPath, Problems};
use regex::bytes::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RawRedaction, card};

/// A pattern that the gateway knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BuiltInPattern {
    /// Payment card numbers: 13 to 19 digits, with or without separators, whose check digit is right.
    CardNumber,
    /// Access key ids of AWS, and secret access keys beside their name.
    AwsKey,
    /// Private keys in PEM, from the first line to the last, and all that follows if there is no last.
    PrivateKey,
    /// JSON Web Tokens, signed or encrypted.
    Jwt,
}

/// Something that finds spans in text.
#[derive(Debug)]
pub(super) enum Detector {
    Card,
    PrivateKey {
        begin: Regex,
        end: Regex,
    },
    Expression {
        regex: Regex,
        /// What a match that is longer than the window goes on with, where that is known.
        goes_on: Option<fn(u8) -> bool>,
    },
}

/// How far one detector has come in the text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    /// Where it goes on: the end of its last match.
    pub(super) resume: usize,
    /// Whether that match is not at its end yet.
    pub(super) open: bool,
}

/// The part of a text that is held in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'t> {
    pub(super) text: &'t [u8],
    /// Where the undecided part begins; before it is context only.
    pub(super) from: usize,
    /// Matches that begin before this are decided now.
    pub(super) until: usize,
    /// Whether the text ends where the view does.
    pub(super) is_last: bool,
}

impl Detector {
    /// Adds the spans of all matches that are to be decided now.
    pub(super) fn find(&self, view: View<'_>, progress: &mut Progress, spans: &mut Vec<Range<usize>>) {
        match self {
            Self::Card => card::find(view.text, view.from..view.until, spans),
            Self::PrivateKey { begin, end } => find_enclosed(begin, end, view, progress, spans),
            Self::Expression { regex, goes_on } => find_matches(regex, *goes_on, view, progress, spans),
        }
    }
}

/// Whether any detector finds anything in a whole text.
pub(super) fn any(detectors: &[Detector], text: &[u8]) -> bool {
    if text.is_empty() {
        return false;
    }
    let view = View { text, from: 0, until: text.len(), is_last: true };
    let mut spans = Vec::new();
    detectors.iter().any(|detector| {
        detector.find(view, &mut Progress::default(), &mut spans);
        !spans.is_empty()
    })
}

fn find_matches(
    regex: &Regex,
    goes_on: Option<fn(u8) -> bool>,
    view: View<'_>,
    progress: &mut Progress,
    spans: &mut Vec<Range<usize>>,
) {
    let length = view.text.len();
    let mut at = progress.resume.max(view.from);
    if let (true, Some(goes_on)) = (progress.open, goes_on) {
        at += view.text.iter().skip(at).take_while(|&&byte| goes_on(byte)).count();
        spans.push(view.from..at);
    }
    while let Some(found) = regex.find_at(view.text, at).filter(|found| found.start() < view.until) {
        spans.push(found.range());
        at = found.end();
    }
    *progress = Progress { resume: at, open: at == length && at > view.until && !view.is_last };
}

fn find_enclosed(
    begin: &Regex,
    end: &Regex,
    view: View<'_>,
    progress: &mut Progress,
    spans: &mut Vec<Range<usize>>,
) {
    let mut at = progress.resume.max(view.from);
    let mut open_since = progress.open.then_some(view.from);
    loop {
        let start = match open_since.take() {
            Some(start) => start,
            None => match begin.find_at(view.text, at).filter(|found| found.start() < view.until) {
                Some(found) => {
                    at = found.end();
                    found.start()
                }
                None => break,
            },
        };
        let Some(found) = end.find_at(view.text, at) else {
            spans.push(start..view.text.len());
            *progress = Progress { resume: at, open: true };
            return;
        };
        spans.push(start..found.end());
        at = found.end();
    }
    *progress = Progress { resume: at, open: false };
}

const MOST_EXPRESSIONS: usize = 32;

/// The most that one compiled expression may take, in bytes.
const EXPRESSION_SIZE: usize = 1 << 20;

pub(super) fn compile(raw: &RawRedaction, path: &KeyPath, problems: &mut Problems) -> Vec<Detector> {
    let mut detectors = Vec::new();
    for (index, &pattern) in raw.patterns.iter().enumerate() {
        if raw.patterns.iter().take(index).any(|&earlier| earlier == pattern) {
            problems
                .error(&path.key("patterns").index(index), "the pattern is listed twice")
                .suggest("leave it out here");
        }
        // A built-in expression that did not compile would be silently missing; a test compiles them all.
        detectors.extend(built_in(pattern));
    }
    let path = path.key("expressions");
    if raw.expressions.len() > MOST_EXPRESSIONS {
        problems.error(&path, "there are more than 32 expressions").suggest("join some of them with `|`");
    }
    for (index, text) in raw.expressions.iter().enumerate().take(MOST_EXPRESSIONS) {
        match compile_expression(text) {
            Ok(regex) => detectors.push(Detector::Expression { regex, goes_on: None }),
            Err(fault) => problems
                .error(&path.index(index), format!("`{text}` cannot be used: {fault}"))
                .suggest("write a regular expression of the Rust `regex` crate that matches some text"),
        }
    }
    detectors
}

fn compile_expression(text: &str) -> Result<Regex, String> {
    // The type for text refuses expressions that could match half a character, which would make
    // redacted JSON invalid.
    let checked = regex::RegexBuilder::new(text).size_limit(EXPRESSION_SIZE).build().map_err(describe)?;
    if checked.is_match("") {
        return Err("it matches where there is nothing".to_owned());
    }
    limited(text).map_err(describe)
}

fn describe(error: regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "it needs more than 1MiB".to_owned(),
        // The last line of a syntax error is the reason; the lines before draw the expression.
        other => {
            let text = other.to_string();
            text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        }
    }
}

fn limited(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(EXPRESSION_SIZE).dfa_size_limit(EXPRESSION_SIZE).build()
}

fn built_in(pattern: BuiltInPattern) -> Option<Detector> {
    match pattern {
        BuiltInPattern::CardNumber => Some(Detector::Card),
        BuiltInPattern::PrivateKey => {
            Some(Detector::PrivateKey { begin: limited(PEM_BEGIN).ok()?, end: limited(PEM_END).ok()? })
        }
        BuiltInPattern::AwsKey => Some(Detector::Expression { regex: limited(AWS_KEY).ok()?, goes_on: None }),
        BuiltInPattern::Jwt => Some(Detector::Expression {
            regex: limited(JWT).ok()?,
            goes_on: Some(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')),
        }),
    }
}

/// RFC 7468, and the armour of OpenPGP (RFC 9580 section 6.2).
const PEM_BEGIN: &str = "-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----";
const PEM_END: &str = "-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----";

/// The prefixes of unique identifiers in the AWS IAM user guide, of which these come with secrets; or a
/// secret access key after one of the names it goes by.
const AWS_KEY: &str = r#"(?x-u)
    \b (?: AKIA | ASIA | ABIA | ACCA ) [A-Z2-7]{16} \b
  | (?i: aws_?secret_?access_?key | secret_?access_?key ) ["'\s:=>]{1,8} [A-Za-z0-9/+]{40} \b
"#;

/// The compact forms of RFC 7515 section 7.1 and RFC 7516 section 7.1: a header (`eyJ` is `{"` in
/// base64url), then a payload or a key, which is empty in some encrypted tokens. The header and what
/// follows are enough: a long token need not be in sight as a whole to be recognised.
const JWT: &str =
    r"(?-u)\beyJ[A-Za-z0-9_-]{8,}\.(?:[A-Za-z0-9_-]{16,}|\.[A-Za-z0-9_-]{8,})(?:\.[A-Za-z0-9_-]*){0,3}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_pattern_compiles() {
        use BuiltInPattern::{AwsKey, CardNumber, Jwt, PrivateKey};
        for pattern in [CardNumber, AwsKey, PrivateKey, Jwt] {
            assert!(built_in(pattern).is_some(), "{pattern:?}");
        }
    }
}
