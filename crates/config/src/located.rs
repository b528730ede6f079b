//! A problem together with its place in the file.

use portcullis_core::problem::Severity;
use portcullis_core::{KeyPath, Problem, Problems};

use crate::document::{Document, Place};

/// A problem and where it stands, if it stands in the file at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// What is wrong.
    pub problem: Problem,
    /// Where; `None` when the file as a whole is at fault, such as one that cannot be read.
    pub place: Option<Place>,
}

impl Located {
    /// An error at `place`.
    pub(crate) fn error(path: &KeyPath, place: Option<Place>, message: impl Into<String>) -> Self {
        let problem = Problem {
            severity: Severity::Error,
            path: path.clone(),
            message: message.into(),
            suggestion: None,
        };
        Self { problem, place }
    }

    /// The same problem with what would be right.
    pub(crate) fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.problem.suggest(suggestion);
        self
    }
}

/// The problems found in a file so far: as many as a reader can use. The rest are counted only, so that a
/// hostile file cannot turn into a report many times its size.
#[derive(Default)]
pub(crate) struct Findings {
    list: Vec<Located>,
    more: usize,
}

impl Findings {
    /// How many problems are kept.
    pub(crate) const MOST: usize = 100;

    pub(crate) fn push(&mut self, found: Located) {
        if self.is_full() {
            self.more += 1;
        } else {
            self.list.push(found);
        }
    }

    /// Whether further problems are only counted.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= Self::MOST
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.more += other.more;
        other.list.into_iter().for_each(|found| self.push(found));
    }

    pub(crate) fn count(&self) -> usize {
        self.list.len() + self.more
    }

    /// In the order of the file.
    pub(crate) fn into_list(mut self) -> Vec<Located> {
        self.list.sort_by_key(|found| found.place);
        if self.more > 0 {
            let message = format!("{} more problems are not shown", self.more);
            self.list.push(Located::error(&KeyPath::root(), None, message).suggest("mend these first"));
        }
        self.list
    }
}

/// Gives the problems of a later step, which know their keys only, their places in the file. The values of
/// variables and secret files are taken out of their messages.
#[must_use]
pub fn locate(document: &Document, problems: &Problems) -> Vec<Located> {
    problems
        .iter()
        .map(|problem| {
            let mut problem = problem.clone();
            document.conceal(&mut problem);
            let place = document.place(&problem.path);
            Located { problem, place }
        })
        .collect()
}

/// Text as it may be quoted in a message: short, on one line, without control characters.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 40;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char_shown).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// A character as it may be shown: controls, and the marks that reorder text on a screen
/// (CVE-2021-42574), are escaped.
pub(crate) fn char_shown(c: char) -> impl Iterator<Item = char> {
    let reorders = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let escaped = (c.is_control() || reorders).then(|| c.escape_default());
    let plain = escaped.is_none().then_some(c);
    escaped.into_iter().flatten().chain(plain)
}
