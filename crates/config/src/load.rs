//! From a file to a typed value, or to all that is wrong with it.

use std::io::Read as _;
use std::path::Path;

use portcullis_core::{ConfigFolder, KeyPath, Problem, Problems, problem::Severity};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::check::check;
use crate::document::Document;
use crate::faults::Faults;
use crate::interpolate::put_variables;
use crate::located::{Findings, Located, locate};
use crate::parse::{LARGEST_CONFIGURATION, parse};
use crate::placeholder::mend;
use crate::schema::Schema;

/// What came of reading a configuration.
pub struct Loaded<T> {
    /// The typed configuration; `None` if there is any problem.
    pub value: Option<T>,
    /// The same as JSON, with variables and secrets put in; `null` if there is any problem. Never print it.
    pub settled: Value,
    /// The file, for the places of its keys.
    pub document: Document,
    /// All that is wrong, in the order of the file.
    pub problems: Vec<Located>,
}

/// Reads a configuration file. Relative paths in it start at its folder.
///
/// `environment` gives the values of variables; in the program it is the process's environment.
pub fn load<T: DeserializeOwned + JsonSchema>(
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Loaded<T> {
    read_file(path, environment).whole()
}

/// Like [`load`] for a text in memory; `name` is what reports call it. No text makes it panic, and its time
/// and memory are bounded by the limits of this crate.
pub fn load_text<T: DeserializeOwned + JsonSchema>(
    name: &str,
    text: &str,
    folder: &ConfigFolder,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Loaded<T> {
    read_text(name, text, folder, environment).whole()
}

/// A configuration as far as it can be read.
pub(crate) struct Read<T> {
    /// The typed configuration, with placeholders for what is faulty. `None` if so little can be read that nothing more is
    /// to be said about it.
    pub(crate) value: Option<T>,
    /// The same as JSON.
    pub(crate) settled: Value,
    pub(crate) document: Document,
    /// All that is wrong, in the order of the file.
    pub(crate) problems: Vec<Located>,
    /// Where placeholders stand, or defaults in the stead of what was written.
    pub(crate) faults: Faults,
}

impl<T> Read<T> {
    fn whole(self) -> Loaded<T> {
        let Self { value, settled, document, problems, .. } = self;
        let value = value.filter(|_| problems.is_empty());
        let settled = if value.is_some() { settled } else { Value::Null };
        Loaded { value, settled, document, problems }
    }
}

/// Like [`load`], with what can be used of a faulty file.
pub(crate) fn read_file<T: DeserializeOwned + JsonSchema>(
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Read<T> {
    let name = path.display().to_string();
    let folder = ConfigFolder::new(path.parent().unwrap_or(Path::new("")));
    match read(path) {
        Ok(text) => read_text(&name, &text, &folder, environment),
        Err(why) => {
            let message = format!("the configuration cannot be read: {why}");
            Read {
                value: None,
                settled: Value::Null,
                document: Document::unparsed(&name, ""),
                problems: vec![Located::error(&KeyPath::root(), None, message)],
                faults: Faults::default(),
            }
        }
    }
}

/// Like [`load_text`], with what can be used of a faulty text.
pub(crate) fn read_text<T: DeserializeOwned + JsonSchema>(
    name: &str,
    text: &str,
    folder: &ConfigFolder,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Read<T> {
    let (mut findings, mut faults) = (Findings::default(), Faults::default());
    let mut document = parse(name, text, &mut findings);
    let schema = Schema::of::<T>();
    let mut settled = None;
    if document.is_parsed() {
        put_variables(&mut document, environment, &mut findings);
        settled = check(&schema, &mut document, folder, &mut findings, &mut faults);
    }
    // Whoever has this many faults to mend is not helped by more.
    let settled = settled.filter(|_| !findings.is_full());
    let mut problems = findings.into_list();
    for located in &mut problems {
        located.place = located.place.map(|place| document.within(place));
    }
    let (mut value, mut list) = (None, Problems::default());
    let mut settled = settled.unwrap_or(Value::Null);
    if !settled.is_null() {
        value = typed_in_part(&schema, &mut settled, &mut faults, &mut list);
    }
    if !list.is_empty() {
        problems.extend(locate(&document, &list));
        problems.sort_by_key(|located| located.place);
    }
    Read { value, settled, document, problems, faults }
}

/// The typed value, with placeholders for what only its type refuses.
fn typed_in_part<T: DeserializeOwned>(
    schema: &Schema,
    settled: &mut Value,
    faults: &mut Faults,
    problems: &mut Problems,
) -> Option<T> {
    for _ in 0..Findings::MOST {
        let (segments, refused) = match deserialize(settled.clone(), &KeyPath::root()) {
            Ok(value) => return Some(value),
            Err(refused) => refused,
        };
        let path = refused.path.clone();
        if !faults.explain(path.as_str()) {
            problems.add(refused);
        }
        faults.add(&path);
        if !mend(schema, schema.root(), settled, &segments) {
            break;
        }
    }
    None
}

/// A JSON value as a typed one; `path` is where the value stands in the configuration.
///
/// For values that the schema has passed this fails only on what a type checks by itself, such as an address.
///
/// # Errors
/// What is wrong, with the path of the key. The message may quote the value: show it by way of [`locate`].
pub fn typed<T: DeserializeOwned>(value: Value, path: &KeyPath) -> Result<T, Problem> {
    deserialize(value, path).map_err(|(_, problem)| problem)
}

/// Like [`typed`]; an error comes with the way that leads to it.
fn deserialize<T: DeserializeOwned>(value: Value, path: &KeyPath) -> Result<T, (Vec<Segment>, Problem)> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let segments: Vec<Segment> = error.path().iter().cloned().collect();
        let at = error.path().iter().fold(path.clone(), |at, segment| match segment {
            Segment::Seq { index } => at.index(*index),
            Segment::Map { key } => at.key(key),
            Segment::Enum { variant } => at.key(variant),
            Segment::Unknown => at,
        });
        let named = if at.as_str().is_empty() { "the configuration".to_owned() } else { format!("`{at}`") };
        // The messages of this workspace's types say what is wrong; and then what would be right.
        let (wrong, right) = split_remedy(error.into_inner().to_string());
        let message = format!("{named}: {wrong}");
        (segments, Problem { severity: Severity::Error, path: at, message, suggestion: right })
    })
}

fn split_remedy(message: String) -> (String, Option<String>) {
    match message.split_once("; ") {
        Some((wrong, right)) => (wrong.to_owned(), Some(right.to_owned())),
        None => (message, None),
    }
}

fn read(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let limit = LARGEST_CONFIGURATION as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("it is not UTF-8 text (line {line})")
    })
}
