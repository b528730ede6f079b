//! The parsed file: a tree of maps, lists and scalars in which every key and value knows its place.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use portcullis_core::{KeyPath, Problem};

/// A stretch of one line in the file. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The first column.
    pub column: usize,
    /// How many characters; at least 1.
    pub width: usize,
}

/// A configuration file as it was read.
///
/// It holds the values of variables and secret files that were put into it, only to keep them out of
/// messages ([`Document::conceal`]); printing it shows no more than its name.
#[derive(Clone)]
pub struct Document {
    name: String,
    text: String,
    parsed: bool,
    pub(crate) root: Node,
    pub(crate) hidden: Hidden,
}

/// What a problem's text or a shown line must not contain.
#[derive(Clone, Default)]
pub(crate) struct Hidden {
    /// Values by what is shown in their stead: `${NAME}` or `file://path`.
    pub(crate) values: BTreeMap<String, String>,
    /// Where a secret is written out in the file itself: first place and last line.
    pub(crate) places: Vec<(Place, usize)>,
}

/// A value and its place.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    /// The line on which it ends.
    pub(crate) last_line: usize,
    pub(crate) data: Data,
}

#[derive(Clone)]
pub(crate) enum Data {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key of a map with its value.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Node,
}

/// A scalar before anything is known about the type that it should have.
#[derive(Clone)]
pub(crate) struct Scalar {
    /// As the file has it, after YAML's own escapes.
    pub(crate) written: String,
    /// Whether it stands there without quotes, so that `12` is a number.
    pub(crate) plain: bool,
    pub(crate) content: Content,
}

/// What became of a scalar when variables were put in.
#[derive(Clone)]
pub(crate) enum Content {
    /// It holds none: its text is what was written.
    Written,
    /// They were put in.
    Filled(Filled),
    /// One of them has no value, which is a problem already.
    Unresolved,
}

/// A scalar into which variables were put.
#[derive(Clone)]
pub(crate) struct Filled {
    pub(crate) text: String,
    /// The variables whose values are part of the text.
    pub(crate) variables: Vec<String>,
}

impl Document {
    pub(crate) fn new(name: &str, text: &str, root: Node) -> Self {
        Self { name: name.to_owned(), text: text.to_owned(), parsed: true, root, hidden: Hidden::default() }
    }

    /// A document of which nothing could be parsed: it still has lines to show.
    pub(crate) fn unparsed(name: &str, text: &str) -> Self {
        Self { parsed: false, ..Self::new(name, text, Node::nothing()) }
    }

    pub(crate) fn is_parsed(&self) -> bool {
        self.parsed
    }

    /// The place itself, or the end of the file for one behind it: that is where the parser notices what is
    /// missing.
    pub(crate) fn within(&self, place: Place) -> Place {
        if self.line(place.line).is_some() {
            return place;
        }
        let written = lines(&self.text).enumerate().filter(|(_, line)| !line.trim().is_empty());
        let last = written.last().map(|(index, line)| (index + 1, line.trim_end().chars().count() + 1));
        let (line, column) = last.unwrap_or((1, 1));
        Place { line, column, width: 1 }
    }

    /// The columns of a line that must not be shown.
    pub(crate) fn hidden_in(&self, line: usize) -> Vec<Range<usize>> {
        let in_line = |(place, last_line): &(Place, usize)| {
            let first = if place.line == line { place.column } else { 1 };
            let end = if *last_line == place.line { place.column + place.width } else { usize::MAX };
            (place.line..=*last_line).contains(&line).then_some(first..end)
        };
        self.hidden.places.iter().filter_map(in_line).collect()
    }

    /// The file's name as it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A line of the file, counted from 1, without its line break.
    #[must_use]
    pub fn line(&self, number: usize) -> Option<&str> {
        lines(&self.text).nth(number.checked_sub(1)?)
    }

    /// The line and column at which `path` stands; where it is not in the file, those of its nearest
    /// parent that is. `None` only for a file without any content.
    #[must_use]
    pub fn position(&self, path: &KeyPath) -> Option<(usize, usize)> {
        self.place(path).map(|place| (place.line, place.column))
    }

    /// Like [`Self::position`], with the width to underline: a scalar's value, or the key of a map or list.
    #[must_use]
    pub fn place(&self, path: &KeyPath) -> Option<Place> {
        if self.root.is_nothing() {
            return None;
        }
        Some(deepest(&self.root, self.root.place, path.as_str(), 0).place)
    }

    /// Whether something stands at exactly this path.
    pub(crate) fn holds(&self, path: &str) -> bool {
        deepest(&self.root, self.root.place, path, 0).is_whole
    }

    /// Takes the values of variables and secret files out of a problem and puts their names in.
    pub fn conceal(&self, problem: &mut Problem) {
        let near = self.filled_at(&problem.path);
        problem.message = self.hidden.conceal(&problem.message, &near);
        problem.suggestion = problem.suggestion.as_ref().map(|text| self.hidden.conceal(text, &near));
    }

    /// What was put in at or under `path`, by what is shown instead: each variable, and each whole scalar.
    fn filled_at(&self, path: &KeyPath) -> BTreeMap<String, String> {
        let mut filled_in = BTreeMap::new();
        deepest(&self.root, self.root.place, path.as_str(), 0).node.each_scalar(&mut |scalar| {
            if let Content::Filled(filled) = &scalar.content
                && !filled.variables.is_empty()
            {
                let named = |name: &String| format!("${{{name}}}");
                let values = filled.variables.iter().map(named).filter_map(|name| {
                    let value = self.hidden.values.get(&name)?.clone();
                    Some((name, value))
                });
                filled_in.extend(values);
                filled_in.insert(scalar.written.clone(), filled.text.clone());
            }
        });
        filled_in
    }

    /// The first place of `needle` between the start of `node` and its last line.
    pub(crate) fn find_within(&self, node: &Node, needle: &str) -> Option<Place> {
        let count = (node.last_line + 1).checked_sub(node.place.line)?;
        lines(&self.text).enumerate().skip(node.place.line.checked_sub(1)?).take(count).find_map(
            |(index, line)| {
                let skipped = if index + 1 == node.place.line { node.place.column - 1 } else { 0 };
                let rest: String = line.chars().skip(skipped).collect();
                let before = rest.split_once(needle)?.0.chars().count();
                Some(Place { line: index + 1, column: skipped + before + 1, width: needle.chars().count() })
            },
        )
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The lines of a text under YAML's three line breaks: LF, CR LF and CR.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

struct Found<'d> {
    depth: usize,
    place: Place,
    node: &'d Node,
    /// Whether the whole path leads here.
    is_whole: bool,
}

/// The node that the longest possible beginning of `path` leads to.
///
/// A key may itself contain dots and brackets, so more than one reading of a path can be possible; the
/// deepest wins. Each node is looked at once at most, because only one beginning leads to it.
fn deepest<'d>(node: &'d Node, shown: Place, path: &str, depth: usize) -> Found<'d> {
    let mut best = Found { depth, place: shown, node, is_whole: path.is_empty() };
    let mut consider = |found: Found<'d>| {
        if found.depth > best.depth {
            best = found;
        }
    };
    match &node.data {
        Data::Scalar(_) => {}
        Data::Map(entries) => {
            let rest = if depth == 0 { Some(path) } else { path.strip_prefix('.') };
            for entry in entries {
                if let Some(rest) = rest.and_then(|rest| rest.strip_prefix(entry.key.as_str()))
                    && (rest.is_empty() || rest.starts_with(['.', '[']))
                    && !path.is_empty()
                {
                    consider(deepest(&entry.value, entry.shown_place(), rest, depth + 1));
                }
            }
        }
        Data::List(items) => {
            let parts = path.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            if let Some((index, rest)) = parts
                && let Some(item) = index.parse().ok().and_then(|index: usize| items.get(index))
            {
                consider(deepest(item, item.place, rest, depth + 1));
            }
        }
    }
    best
}

impl Entry {
    /// What to underline for this key: its value if that is a scalar with some text, or else the key.
    pub(crate) fn shown_place(&self) -> Place {
        match &self.value.data {
            Data::Scalar(scalar) if !scalar.written.is_empty() => self.value.place,
            _ => self.key_place,
        }
    }
}

impl Node {
    pub(crate) fn nothing() -> Self {
        Self {
            place: Place { line: 1, column: 1, width: 1 },
            last_line: 1,
            data: Data::Scalar(Scalar { written: String::new(), plain: true, content: Content::Written }),
        }
    }

    fn is_nothing(&self) -> bool {
        matches!(&self.data, Data::Scalar(scalar) if scalar.plain && scalar.written.is_empty())
    }

    /// The value of a key of this map.
    pub(crate) fn child(&self, key: &str) -> Option<&Entry> {
        match &self.data {
            Data::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// Visits every scalar at or below this node; the depth of a tree is bounded when it is parsed.
    pub(crate) fn each_scalar(&self, visit: &mut dyn FnMut(&Scalar)) {
        match &self.data {
            Data::Scalar(scalar) => visit(scalar),
            Data::List(items) => items.iter().for_each(|item| item.each_scalar(visit)),
            Data::Map(entries) => entries.iter().for_each(|entry| entry.value.each_scalar(visit)),
        }
    }
}

impl Scalar {
    /// The text with variables put in.
    pub(crate) fn text(&self) -> &str {
        match &self.content {
            Content::Filled(filled) => &filled.text,
            Content::Written | Content::Unresolved => &self.written,
        }
    }

    /// Whether variables (or their defaults) are part of the text.
    pub(crate) fn has_variables(&self) -> bool {
        matches!(self.content, Content::Filled(_)) && self.written.contains("${")
    }

    /// Whether nothing more than one variable was written: `${PORT}`.
    pub(crate) fn is_one_variable(&self) -> bool {
        self.has_variables()
            && self.written.starts_with("${")
            && self.written.find('}') == self.written.len().checked_sub(1)
    }
}

impl Hidden {
    /// Values shorter than this are only looked for at their own key: `1` or `on` would be everywhere.
    const TELLING: usize = 4;

    fn conceal(&self, text: &str, near: &BTreeMap<String, String>) -> String {
        let mut values: Vec<(&str, &str)> = self
            .values
            .iter()
            .filter(|(_, value)| value.chars().count() >= Self::TELLING)
            .chain(near)
            .flat_map(|(name, value)| parts_of(value).map(move |part| (name.as_str(), part)))
            .collect();
        // The longest first: a short value may be a part of a long one.
        values.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        let mut concealed = text.to_owned();
        for (name, value) in values {
            let mut forms = vec![value.to_owned(), value.escape_debug().to_string()];
            forms.dedup();
            let whole_words = value.chars().count() < Self::TELLING;
            for form in forms {
                concealed = replace_any_case(&concealed, &form, name, whole_words);
            }
        }
        concealed
    }
}

/// A value as a whole and, when it has several lines (a PEM file), each of its longer lines.
fn parts_of(value: &str) -> impl Iterator<Item = &str> {
    let trimmed = value.trim();
    let lines = lines(trimmed).filter(move |line| line.len() >= 8 && line.len() < trimmed.len());
    std::iter::once(value).chain((trimmed.len() < value.len()).then_some(trimmed)).chain(lines)
}

/// Like `str::replace`, but ASCII letters match in either case; with `whole_words` only where the
/// neighbours are neither letters nor digits.
fn replace_any_case(text: &str, wanted: &str, with: &str, whole_words: bool) -> String {
    if wanted.is_empty() {
        return text.to_owned();
    }
    // Lower-casing ASCII keeps every byte offset.
    let (lower, wanted) = (text.to_ascii_lowercase(), wanted.to_ascii_lowercase());
    let mut out = String::new();
    let mut copied = 0;
    for (at, found) in lower.match_indices(&wanted) {
        let before = lower.get(..at).and_then(|before| before.chars().next_back());
        let after = lower.get(at + found.len()..).and_then(|after| after.chars().next());
        if whole_words && [before, after].into_iter().flatten().any(char::is_alphanumeric) {
            continue;
        }
        out.push_str(text.get(copied..at).unwrap_or_default());
        out.push_str(with);
        copied = at + found.len();
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    out
}
