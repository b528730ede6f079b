//! Variables and secret files: `${NAME}`, `${NAME:-default}`, `$$`, `file://path`.
//!
//! They are put into the parsed tree, never into the text: a value is always one scalar and cannot add keys.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use portcullis_core::{ConfigFolder, KeyPath};

use crate::document::{Content, Data, Document, Filled, Node, Place, Scalar};
use crate::located::{Findings, Located, quoted};

/// The largest secret that is read from a file, in bytes.
pub const LARGEST_SECRET: u64 = 64 << 10;
/// How many bytes all variables together may put into one configuration.
pub const LARGEST_FILLED: usize = 16 << 20;

/// Puts the environment's variables into every scalar of the document.
///
/// A variable that is not set, or empty, takes its default; without one it is a problem. `$$` stands for
/// one dollar. A dollar before any other character stands for itself.
pub(crate) fn put_variables(
    document: &mut Document,
    environment: &dyn Fn(&str) -> Option<String>,
    findings: &mut Findings,
) {
    let mut root = std::mem::replace(&mut document.root, Node::nothing());
    let mut filler = Filler {
        document,
        environment,
        findings,
        values: BTreeMap::new(),
        filled: 0,
        unset: BTreeSet::new(),
    };
    filler.node(&mut root, &KeyPath::root());
    let values = std::mem::take(&mut filler.values);
    document.hidden.values.extend(values.into_iter().map(|(name, value)| (format!("${{{name}}}"), value)));
    document.root = root;
}

/// The content of a file that holds a secret, without the line break at its end.
///
/// # Errors
/// Why it cannot be used; the sentence does not name the path, which may hold the value of a variable.
pub(crate) fn secret_file(folder: &ConfigFolder, named: &str) -> Result<String, String> {
    let cannot_read = |error: std::io::Error| format!("the file cannot be read ({})", error.kind());
    let file = std::fs::File::open(folder.resolve(named)).map_err(cannot_read)?;
    let mut bytes = Vec::new();
    file.take(LARGEST_SECRET + 1).read_to_end(&mut bytes).map_err(cannot_read)?;
    if bytes.len() as u64 > LARGEST_SECRET {
        return Err("the file is larger than 64KiB".to_owned());
    }
    let mut text = String::from_utf8(bytes).map_err(|_| "the file is not UTF-8 text".to_owned())?;
    let kept =
        text.strip_suffix('\n').map_or(text.len(), |text| text.strip_suffix('\r').unwrap_or(text).len());
    text.truncate(kept);
    if text.is_empty() {
        return Err("the file is empty".to_owned());
    }
    Ok(text)
}

struct Filler<'f> {
    document: &'f Document,
    environment: &'f dyn Fn(&str) -> Option<String>,
    findings: &'f mut Findings,
    /// The variables whose values came from the environment.
    values: BTreeMap<String, String>,
    filled: usize,
    /// The variables of the current scalar that are not set, each of which is reported once.
    unset: BTreeSet<String>,
}

impl Filler<'_> {
    fn node(&mut self, node: &mut Node, path: &KeyPath) {
        if let Data::Scalar(Scalar { written, .. }) = &node.data {
            if !written.contains('$') {
                return;
            }
            let filled = self.fill(node, written, path);
            if let Data::Scalar(scalar) = &mut node.data {
                scalar.content = filled.map_or(Content::Unresolved, Content::Filled);
            }
            return;
        }
        match &mut node.data {
            Data::Scalar(_) => {}
            Data::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.node(item, &path.index(index));
                }
            }
            Data::Map(entries) => {
                for entry in entries {
                    self.node(&mut entry.value, &path.key(&entry.key));
                }
            }
        }
    }

    /// The text with its variables, or `None` after a problem.
    fn fill(&mut self, node: &Node, written: &str, path: &KeyPath) -> Option<Filled> {
        let mut filled = Filled { text: String::new(), variables: Vec::new() };
        self.unset.clear();
        let mut rest = written;
        let mut sound = true;
        while let Some((before, after)) = rest.split_once('$') {
            filled.text.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                filled.text.push('$');
                rest = after;
            } else if let Some(inside) = after.strip_prefix('{') {
                let Some((inside, after)) = inside.split_once('}') else {
                    self.malformed(node, path, "${", "`${` is not closed by `}`");
                    return None;
                };
                sound &= self.variable(node, path, inside, &mut filled);
                rest = after;
            } else {
                filled.text.push('$');
                rest = after;
            }
        }
        filled.text.push_str(rest);
        self.filled = self.filled.saturating_add(filled.text.len());
        if self.filled > LARGEST_FILLED {
            let message = "the variables put more than 16MiB into this configuration";
            self.findings.push(Located::error(path, Some(node.place), message));
            return None;
        }
        sound.then_some(filled)
    }

    /// Adds the value of what stands between `${` and `}`; whether there was one.
    fn variable(&mut self, node: &Node, path: &KeyPath, inside: &str, filled: &mut Filled) -> bool {
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let whole = format!("${{{inside}}}");
        if !is_name(name) {
            let message = format!("`{}` does not name a variable", quoted(&whole));
            self.malformed(node, path, &whole, &message);
            return false;
        }
        if default.is_some_and(|default| default.contains("${")) {
            let message = format!("the default of `${{{name}}}` cannot itself hold a variable");
            self.malformed(node, path, &whole, &message);
            return false;
        }
        let value = self.values.get(name).cloned().or_else(|| (self.environment)(name));
        match (value.filter(|value| default.is_none() || !value.is_empty()), default) {
            (Some(value), _) => {
                filled.text.push_str(&value);
                filled.variables.push(name.to_owned());
                self.values.insert(name.to_owned(), value);
                true
            }
            (None, Some(default)) => {
                filled.text.push_str(default);
                true
            }
            (None, None) if !self.unset.insert(name.to_owned()) => false,
            (None, None) => {
                let message = format!("the variable `{name}` is not set");
                let place = self.place_of(node, &whole);
                self.findings.push(
                    Located::error(path, Some(place), message)
                        .suggest(format!("set it, or give it a default: `${{{name}:-…}}`")),
                );
                false
            }
        }
    }

    fn place_of(&self, node: &Node, needle: &str) -> Place {
        // Looking for it takes time; a problem that is only counted needs no place.
        let found = if self.findings.is_full() { None } else { self.document.find_within(node, needle) };
        found.unwrap_or(node.place)
    }

    fn malformed(&mut self, node: &Node, path: &KeyPath, needle: &str, message: &str) {
        let place = self.place_of(node, needle);
        self.findings.push(
            Located::error(path, Some(place), message)
                .suggest("write `${NAME}` or `${NAME:-default}`; for a dollar itself write `$$`"),
        );
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
