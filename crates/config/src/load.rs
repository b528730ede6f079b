//! From a file to a typed value, or to all that is wrong with it.

use std::io::Read;
use std::path::Path;

use portcullis_core::{ConfigFolder, KeyPath, Problem, Problems, problem::Severity};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::check::check;
use crate::document::Document;
use crate::interpolate::put_variables;
use crate::located::{Findings, Located, locate};
use crate::parse::{LARGEST_CONFIGURATION, parse};
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
    let name = path.display().to_string();
    let folder = ConfigFolder::new(path.parent().unwrap_or(Path::new("")));
    match read(path) {
        Ok(text) => load_text(&name, &text, &folder, environment),
        Err(why) => {
            let message = format!("the configuration cannot be read: {why}");
            let problems = vec![Located::error(&KeyPath::root(), None, message)];
            Loaded { value: None, settled: Value::Null, document: Document::unparsed(&name, ""), problems }
        }
    }
}

/// Like [`load`] for a text in memory; `name` is what reports call it. No text makes it panic, and its time
/// and memory are bounded by the limits of this crate.
pub fn load_text<T: DeserializeOwned + JsonSchema>(
    name: &str,
    text: &str,
    folder: &ConfigFolder,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Loaded<T> {
    let mut findings = Findings::default();
    let mut document = parse(name, text, &mut findings);
    let mut settled = Value::Null;
    if document.is_parsed() {
        put_variables(&mut document, environment, &mut findings);
        settled = check(&Schema::of::<T>(), &mut document, folder, &mut findings);
    }
    let mut problems = findings.into_list();
    for located in &mut problems {
        located.place = located.place.map(|place| document.within(place));
    }
    let mut value = None;
    if problems.is_empty() {
        match typed(settled.clone(), &KeyPath::root()) {
            Ok(typed) => value = Some(typed),
            Err(problem) => {
                let mut list = Problems::default();
                list.add(problem);
                problems = locate(&document, &list);
            }
        }
    }
    if value.is_none() {
        settled = Value::Null;
    }
    Loaded { value, settled, document, problems }
}

/// A JSON value as a typed one; `path` is where the value stands in the configuration.
///
/// For values that the schema has passed this fails only on what a type checks by itself, such as an address.
///
/// # Errors
/// What is wrong, with the path of the key. The message may quote the value: show it by way of [`locate`].
pub fn typed<T: DeserializeOwned>(value: Value, path: &KeyPath) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let at = error.path().iter().fold(path.clone(), |at, segment| match segment {
            Segment::Seq { index } => at.index(*index),
            Segment::Map { key } => at.key(key),
            Segment::Enum { variant } => at.key(variant),
            Segment::Unknown => at,
        });
        let named = if at.as_str().is_empty() { "the configuration".to_owned() } else { format!("`{at}`") };
        // The messages of this workspace's types say what is wrong; and then what would be right.
        let (wrong, right) = split_remedy(error.into_inner().to_string());
        Problem {
            severity: Severity::Error,
            path: at,
            message: format!("{named}: {wrong}"),
            suggestion: right,
        }
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
