//! Which bodies are read, by their `Content-Type`.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use portcullis_core::{KeyPath, Problems};

/// How a body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As JSON: one value or several, as in newline-delimited JSON and JSON text sequences (RFC 7464).
    Json,
    /// As text without structure. Only patterns are looked for.
    Text,
    /// As text/event-stream: as text, and each event leaves as soon as it is complete.
    EventStream,
    /// It has no `Content-Type`: as JSON if it begins like an object or an array, as text otherwise.
    Undeclared,
}

/// What is read when the configuration does not say.
pub(super) const STANDARD: [&str; 7] = [
    "application/json",
    "+json",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/json-seq",
    "text/*",
];

/// One entry of the configured list.
#[derive(Debug)]
pub(super) enum MediaRange {
    /// `+json`
    Suffix(String),
    /// `text/*`, kept as `text/`
    Group(String),
    /// `application/json`
    Exact(String),
}

/// What an answer says its body is.
#[derive(Debug)]
pub(super) struct Media {
    /// Type and subtype in lower case.
    essence: String,
    /// Whether ASCII characters are single bytes of the same value in its character set.
    pub(super) is_ascii_compatible: bool,
}

/// A `Content-Type` that cannot be understood.
#[derive(Debug)]
pub(super) struct Unclear;

/// Reads the head's `Content-Type`; `None` if it has none.
pub(super) fn declared(headers: &HeaderMap) -> Result<Option<Media>, Unclear> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Unclear);
    }
    let text = value.to_str().map_err(|_| Unclear)?;
    let mut parts = text.split(';');
    let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_media_type = essence
        .split_once('/')
        .is_some_and(|(group, kind)| is_token(group) && is_token(kind) && group != "*" && kind != "*");
    if !is_media_type {
        return Err(Unclear);
    }
    let is_ascii_compatible = parts
        .filter_map(|parameter| parameter.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
        .all(|(_, charset)| is_ascii_compatible(charset.trim().trim_matches('"')));
    Ok(Some(Media { essence, is_ascii_compatible }))
}

fn is_ascii_compatible(charset: &str) -> bool {
    let charset = charset.to_ascii_lowercase();
    matches!(charset.as_str(), "utf-8" | "utf8" | "us-ascii" | "ascii" | "latin1" | "koi8-r" | "koi8-u")
        || charset.starts_with("iso-8859-")
        || charset.starts_with("windows-125")
}

impl Media {
    pub(super) fn format(&self) -> Format {
        const JSON: [&str; 3] = ["json-seq", "ndjson", "jsonl"];
        let kind = self.essence.split_once('/').map_or("", |(_, kind)| kind);
        let kind = kind.strip_prefix("x-").unwrap_or(kind);
        let kind = kind.rsplit_once('+').map_or(kind, |(_, suffix)| suffix);
        if kind == "json" || JSON.contains(&kind) {
            Format::Json
        } else if self.essence == "text/event-stream" {
            Format::EventStream
        } else {
            Format::Text
        }
    }
}

impl MediaRange {
    pub(super) fn covers(&self, media: &Media) -> bool {
        match self {
            Self::Suffix(suffix) => media.essence.ends_with(suffix),
            Self::Group(group) => media.essence.starts_with(group),
            Self::Exact(essence) => media.essence == *essence,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        if let Some(suffix) = text.strip_prefix('+') {
            return is_token(suffix).then_some(Self::Suffix(text));
        }
        match text.split_once('/')? {
            ("*", _) => None,
            (group, "*") if is_token(group) => Some(Self::Group(format!("{group}/"))),
            (group, kind) if is_token(group) && is_token(kind) && !kind.contains('*') => {
                Some(Self::Exact(text))
            }
            _ => None,
        }
    }
}

pub(super) fn compile(raw: &[String], path: &KeyPath, problems: &mut Problems) -> Vec<MediaRange> {
    let mut ranges = Vec::with_capacity(raw.len());
    for (index, text) in raw.iter().enumerate() {
        match MediaRange::parse(text) {
            Some(range) => ranges.push(range),
            None => problems
                .error(&path.index(index), format!("`{text}` does not name media types"))
                .suggest("write a type such as `application/json`, a group such as `text/*` or an ending such as `+json`"),
        }
    }
    ranges
}

/// A token of RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
