//! Problems for people, with the lines they are about, and for programs.

use std::fmt::Write;

use portcullis_core::problem::Severity;
use serde_json::{Value, json};

use crate::document::{Document, Place};
use crate::located::{Located, char_shown};

/// Problems as text, each with its line and a mark under what is wrong. `colours` is for terminals.
///
/// Values that are or may be secrets are left out of the lines shown.
#[must_use]
pub fn text(document: &Document, problems: &[Located], colours: bool) -> String {
    let paint = Paint { colours };
    let reports: Vec<String> = problems.iter().map(|problem| one(document, problem, &paint)).collect();
    reports.join("\n")
}

/// Problems as a JSON array of `file`, `line`, `column`, `path`, `severity`, `message` and `suggestion`.
/// What is not known is `null`.
#[must_use]
pub fn json(document: &Document, problems: &[Located]) -> Value {
    let list = problems.iter().map(|Located { problem, place }| {
        json!({
            "file": document.name(),
            "line": place.map(|place| place.line),
            "column": place.map(|place| place.column),
            "path": problem.path.as_str(),
            "severity": severity(problem.severity),
            "message": problem.message,
            "suggestion": problem.suggestion,
        })
    });
    Value::Array(list.collect())
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// The longest suggestion that is put after the mark; a longer one gets a line of its own.
const LONGEST_BESIDE: usize = 60;

fn one(document: &Document, located: &Located, paint: &Paint) -> String {
    let Located { problem, place } = located;
    let word = severity(problem.severity);
    // What other languages' loaders say comes with lines of its own.
    let mut lines = problem.message.lines();
    let message = shown(lines.next().unwrap_or_default());
    let suggestion = problem.suggestion.as_deref().map(shown);
    let mut out = String::new();
    let number = place.map(|place| place.line.to_string()).unwrap_or_default();
    let gutter = " ".repeat(number.len());
    let (arrow, bar) = (paint.frame("-->"), paint.frame("|"));
    let position = place.map(|place| format!(":{}:{}", place.line, place.column)).unwrap_or_default();
    let path = path_unless_named(located);
    // Writing into a String cannot fail.
    let _ =
        writeln!(out, "{}{}", paint.severity(problem.severity, word), paint.strong(&format!(": {message}")));
    for line in lines {
        let _ = writeln!(out, "{gutter}   {}", shown(line));
    }
    let _ = writeln!(out, "{gutter}{arrow} {}{position}{path}", shown(document.name()));
    let excerpt = place.and_then(|place| Excerpt::of(document, place));
    let Some(excerpt) = excerpt else {
        if let Some(suggestion) = suggestion {
            let _ = writeln!(out, "{gutter} {} {suggestion}", paint.frame("="));
        }
        return out;
    };
    let mark = paint.severity(problem.severity, &"^".repeat(excerpt.width));
    let beside = suggestion.as_deref().filter(|text| text.chars().count() <= LONGEST_BESIDE);
    let beside =
        beside.map(|text| format!(" {}", paint.severity(problem.severity, text))).unwrap_or_default();
    let _ = writeln!(out, "{gutter} {bar}");
    let _ = writeln!(out, "{} {bar} {}", paint.frame(&number), excerpt.line);
    let _ = writeln!(out, "{gutter} {bar} {}{mark}{beside}", " ".repeat(excerpt.before));
    if let Some(suggestion) = suggestion.filter(|text| text.chars().count() > LONGEST_BESIDE) {
        let _ = writeln!(out, "{gutter} {} {suggestion}", paint.frame("="));
    }
    out
}

/// The key's path, if the message does not already say it.
fn path_unless_named(located: &Located) -> String {
    let path = located.problem.path.as_str();
    let parent = path.rfind(['.', '[']).and_then(|end| path.get(..end)).unwrap_or(path);
    let named = [path, parent].iter().any(|path| located.problem.message.contains(&format!("`{path}`")));
    if path.is_empty() || named { String::new() } else { format!(" ({})", shown(path)) }
}

fn shown(text: &str) -> String {
    text.chars().flat_map(char_shown).collect()
}

/// The part of a line that is shown.
struct Excerpt {
    line: String,
    /// How many characters of it stand before the mark.
    before: usize,
    /// How many the mark is wide.
    width: usize,
}

impl Excerpt {
    /// How many characters of a line are shown at most, and how many of them before the mark.
    const WIDEST: usize = 120;
    const LEAD: usize = 50;

    fn of(document: &Document, place: Place) -> Option<Self> {
        let line = document.line(place.line)?;
        let first =
            if line.chars().count() > Self::WIDEST { place.column.saturating_sub(Self::LEAD) } else { 0 };
        let hidden = document.hidden_in(place.line);
        let mut excerpt = Self { line: String::new(), before: 0, width: 0 };
        let mut length = 0;
        let end = place.column + place.width;
        for (index, c) in line.chars().enumerate().skip(first).take(Self::WIDEST) {
            let column = index + 1;
            let piece = match hidden.iter().find(|range| range.contains(&column)) {
                Some(range) if range.start == column || index == first => "…".to_owned(),
                Some(_) => String::new(),
                None => char_shown(c).collect(),
            };
            let wide = piece.chars().count();
            length += wide;
            if column < place.column {
                excerpt.before = length;
            } else if column < end {
                excerpt.width += wide;
            }
            excerpt.line.push_str(&piece);
        }
        excerpt.width = excerpt.width.max(1);
        Some(excerpt)
    }
}

struct Paint {
    colours: bool,
}

impl Paint {
    fn severity(&self, severity: Severity, text: &str) -> String {
        self.with(if severity == Severity::Error { "1;31" } else { "1;33" }, text)
    }

    fn strong(&self, text: &str) -> String {
        self.with("1", text)
    }

    fn frame(&self, text: &str) -> String {
        self.with("1;34", text)
    }

    fn with(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
