//! What is wrong with a rule file, and where: one form for the parser and for those who work on its result.

use std::fmt;

use super::{Document, Source, Span};

/// The longest part of a line that a report shows, in characters.
const WIDTH: usize = 120;

/// Who or what is to blame for a [`Diagnostic`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// A file that cannot be read, or that is not what a rule file may be (too large, no UTF-8).
    File,
    /// The text breaks the grammar.
    Syntax,
    /// A name that does not exist.
    Name,
    /// A value that is not allowed where it stands.
    Value,
    /// Right in ModSecurity, and not supported here.
    Unsupported,
    /// Each rule alone is right, but not together: a chain without an end, one number twice.
    Structure,
    /// A directive that has no meaning here because something else has its place; only ever a warning.
    Hosted,
}

/// One thing that is wrong and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Diagnostic {
    /// The kind of fault.
    pub blame: Blame,
    /// What is wrong and what would be right.
    pub message: String,
    /// Where.
    pub span: Span,
}

impl Diagnostic {
    /// A diagnostic of these parts.
    pub fn new(blame: Blame, message: impl Into<String>, span: Span) -> Self {
        Self { blame, message: message.into(), span }
    }

    /// The diagnostic as it is shown: place, message, line and a caret under the place.
    #[must_use]
    pub const fn report<'a>(&'a self, document: &'a Document) -> Report<'a> {
        Report { diagnostic: self, document }
    }
}

/// Everything that is wrong with a set of rule files. Shown, it is the reports of all of them.
#[derive(Debug, Clone)]
pub struct Errors {
    /// What was read, for the texts that the spans point into. Its directives are incomplete.
    pub document: Document,
    /// What is wrong, in the order of the texts; never empty.
    pub diagnostics: Vec<Diagnostic>,
}

impl std::error::Error for Errors {}

impl fmt::Display for Errors {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.diagnostics.iter().enumerate() {
            if index > 0 {
                to.write_str("\n")?;
            }
            diagnostic.report(&self.document).fmt(to)?;
        }
        Ok(())
    }
}

/// A place in a source, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The name of the source.
    pub name: &'a str,
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters from 1.
    pub column: usize,
    /// The text of the line without its end.
    pub line_text: &'a str,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}:{}:{}", self.name, self.line, self.column)
    }
}

impl Document {
    /// Where the first byte of `span` stands.
    #[must_use]
    pub fn locate(&self, span: Span) -> Place<'_> {
        let Some(Source { name, text, .. }) = self.sources.get(span.source as usize) else {
            return Place { name: "", line: 1, column: 1, line_text: "" };
        };
        let start = boundary(text, span.start);
        let (before, after) = text.split_at_checked(start).unwrap_or((text, ""));
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = start + after.find('\n').unwrap_or(after.len());
        let line_text = text.get(line_start..line_end).unwrap_or_default();
        Place {
            name,
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            line_text: line_text.strip_suffix('\r').unwrap_or(line_text),
        }
    }

    /// How many characters of the first line of `span` belong to it.
    fn width(&self, span: Span) -> usize {
        let text = self.sources.get(span.source as usize).map_or("", |source| source.text.as_str());
        let start = boundary(text, span.start);
        let end = boundary(text, span.end);
        let marked = text.get(start..end).unwrap_or_default();
        marked.lines().next().unwrap_or_default().trim_end_matches(['\\', ' ', '\t']).chars().count().max(1)
    }
}

/// Shows a [`Diagnostic`]: `file:line:column: message`, the line, and a caret under the place.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    diagnostic: &'a Diagnostic,
    document: &'a Document,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic { message, span, .. } = self.diagnostic;
        let place = self.document.locate(*span);
        if self.document.sources.get(span.source as usize).is_none_or(|source| source.text.is_empty()) {
            return write!(to, "{}: {message}", place.name);
        }
        // A rule's line can be many thousand characters long: what is around the place is enough.
        let column = place.column - 1;
        let left = if column < WIDTH * 3 / 4 { 0 } else { column - WIDTH / 2 };
        let shown: String = place.line_text.chars().skip(left).take(WIDTH).map(printable).collect();
        let width =
            self.document.width(*span).min(shown.chars().count().saturating_sub(column - left)).max(1);
        write!(to, "{place}: {message}\n  {}\n  ", shown.trim_end())?;
        write!(to, "{:indent$}{:^<width$}", "", "", indent = column - left)
    }
}

/// The last boundary of a character that is not behind a byte.
fn boundary(text: &str, offset: u32) -> usize {
    let offset = text.len().min(offset as usize);
    (0..=offset).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Nothing of a rule file may steer a terminal, and every character has to be as wide as its caret.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// The end of a message about an unknown `name`: the most similar of the right ones, if one is similar at all.
pub(super) fn suggestion<'a>(name: &str, right: impl IntoIterator<Item = &'a str>) -> String {
    let name = name.to_ascii_lowercase();
    if name.len() > 64 {
        return String::new();
    }
    let distance = |right: &str| strsim::damerau_levenshtein(&name, &right.to_ascii_lowercase());
    let nearest =
        right.into_iter().map(|right| (distance(right), right)).min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((distance, right)) if distance <= (name.len() / 3).max(1) => {
            format!("; did you mean `{right}`?")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        let source = Source { name: "a.conf".into(), folder: None, text: text.into() };
        Document { sources: vec![source], directives: Vec::new() }
    }

    fn shown(text: &str, start: u32, end: u32) -> String {
        let document = document(text);
        Diagnostic::new(Blame::Name, "no", Span { source: 0, start, end }).report(&document).to_string()
    }

    #[test]
    fn a_place_has_line_column_and_text() {
        let document = document("one\r\n  tw\u{f6}!\r\nthree");
        let place = document.locate(Span { source: 0, start: 11, end: 12 });
        assert_eq!((place.line, place.column, place.line_text), (2, 6, "  tw\u{f6}!"));
        assert_eq!(place.to_string(), "a.conf:2:6");
    }

    #[test]
    fn carets_stand_under_the_place() {
        assert_eq!(shown("a\tbcd e", 2, 5), "a.conf:1:3: no\n  a bcd e\n    ^^^");
        assert_eq!(shown("ab", 2, 2), "a.conf:1:3: no\n  ab\n    ^");
        assert_eq!(shown("a \\\nb", 0, 5), "a.conf:1:1: no\n  a \\\n  ^");
        assert_eq!(shown("", 0, 0), "a.conf: no");
    }

    #[test]
    fn long_lines_are_cut_and_controls_are_not_shown() {
        let line = format!("{}\u{1b}{}", "x".repeat(1000), "y".repeat(1000));
        let text = shown(&line, 1000, 1001);
        assert!(text.lines().all(|line| line.chars().count() < WIDTH + 4), "{text}");
        assert!(!text.contains('\u{1b}'));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1].chars().position(|c| c == '\u{fffd}'), lines[2].chars().position(|c| c == '^'));
    }

    #[test]
    fn spans_out_of_range_do_no_harm() {
        assert_eq!(document("a").locate(Span { source: 7, start: 1, end: 2 }).line, 1);
        let _ = shown("\u{f6}", 1, 9);
        let _ = shown("\u{f6}", 9, 1);
    }

    #[test]
    fn only_similar_names_are_suggested() {
        assert_eq!(suggestion("argz", ["FILES", "ARGS"]), "; did you mean `ARGS`?");
        assert_eq!(suggestion("quux", ["FILES", "ARGS"]), "");
    }
}
