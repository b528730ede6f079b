//! A setting that is accepted is enforced, and a test shows its effect: here is the list of them, and what no other
//! topic has a place for.

mod process;
mod recording;
mod routes;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::common::BINARY;

/// Each key with the test that shows its effect: three words on a line.
const EFFECTS: &str = include_str!("settings/effects.txt");

/// The key, the file and the function of each line.
fn effects() -> Vec<[&'static str; 3]> {
    let lines = EFFECTS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let words = |line: &'static str| {
        let words: Vec<_> = line.split(' ').collect();
        words.try_into().unwrap_or_else(|words| panic!("not a key, a file and a test: {words:?}"))
    };
    lines.map(words).collect()
}

/// Every key of the published schema that holds a value rather than further keys, as `listeners[].tls.key`; a
/// section that may be a word instead, as `audit=off`. The keys of a service's and a route's policy are those of
/// the policy for all.
fn published_keys() -> BTreeSet<String> {
    let output = Command::new(BINARY).arg("schema").output().unwrap();
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut keys = BTreeSet::new();
    assert!(collect(&schema, &schema, String::new(), &mut keys), "the schema has no keys");
    keys
}

/// Adds the keys under `path`; whether there are any.
fn collect(schema: &Value, node: &Value, path: String, keys: &mut BTreeSet<String>) -> bool {
    if let Some(name) = node["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
        let is_repeated = name == "RawPolicy" && path != "policy";
        return !is_repeated && collect(schema, &schema["$defs"][name], path, keys);
    }
    let mut has_keys = false;
    for alternative in ["oneOf", "anyOf", "allOf"].iter().filter_map(|word| node[*word].as_array()).flatten()
    {
        has_keys |= collect(schema, alternative, path.clone(), keys);
    }
    if has_keys {
        let words = node["oneOf"].as_array().into_iter().flatten().filter_map(|word| word["const"].as_str());
        keys.extend(words.map(|word| format!("{path}={word}")));
    }
    for (name, value) in node["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if !collect(schema, value, path.clone(), keys) {
            keys.insert(path);
        }
        has_keys = true;
    }
    has_keys | (node["items"].is_object() && collect(schema, &node["items"], format!("{path}[]"), keys))
}

/// The source of a test: in this folder or, with the name of its crate in front, among all.
fn source(file: &str) -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gateway").join(file);
    if here.exists() { here } else { crates.join(file) }
}

#[test]
fn every_key_has_a_test_that_shows_its_effect() {
    let published = published_keys();
    assert!(
        published.contains("protocol.http2.streams") && published.contains("audit=off"),
        "{published:#?}"
    );
    let effects = effects();
    let listed: BTreeSet<String> = effects.iter().map(|[key, ..]| (*key).to_owned()).collect();
    assert_eq!(listed.len(), effects.len(), "a key is listed twice");
    let without: Vec<_> = published.difference(&listed).collect();
    assert!(without.is_empty(), "keys without a test; write one and list it in effects.txt: {without:#?}");
    let gone: Vec<_> = listed.difference(&published).collect();
    assert!(gone.is_empty(), "no longer keys: {gone:#?}");
}

#[test]
fn every_test_that_is_named_exists() {
    let mut missing = BTreeSet::new();
    for [key, file, test] in effects() {
        let text =
            std::fs::read_to_string(source(file)).unwrap_or_else(|error| panic!("{key}: {file}: {error}"));
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let function = format!("fn {test}(");
        let is_test = |at: usize| {
            lines[..at].iter().rev().take_while(|line| !line.is_empty()).any(|line| *line == "#[test]")
        };
        if !(0..lines.len()).any(|at| lines[at].starts_with(&function) && is_test(at)) {
            missing.insert(format!("{file}: {test} for {key}"));
        }
    }
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}
