//! A configuration file, from its text to its typed value or to the report of what is wrong with it.

mod agreement;
mod choices;
mod collections;
mod hostile;
mod loading;
mod published;
mod sample;
mod scalars;
mod secrets;
mod unknown_keys;
mod variables;
mod yaml;

use portcullis_config::{Loaded, load_text, report};
use portcullis_core::ConfigFolder;
use sample::Root;

/// Loads a text whose variables and files are given.
fn loaded(text: &str, folder: &ConfigFolder, variables: &[(&str, &str)]) -> Loaded<Root> {
    load_text("gate.yaml", text, folder, &|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

/// The report about a file of these lines, which must have a fault.
fn report(lines: &[&str]) -> String {
    report_with(lines, &[])
}

/// Like [`report`] with variables in the environment. Their values must not be in the report.
fn report_with(lines: &[&str], variables: &[(&str, &str)]) -> String {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let loaded = loaded(&text, &ConfigFolder::new("/nowhere"), variables);
    assert!(loaded.value.is_none() && !loaded.problems.is_empty(), "this file has no fault");
    let report = report::text(&loaded.document, &loaded.problems, false);
    let json = report::json(&loaded.document, &loaded.problems).to_string();
    for (name, value) in variables.iter().filter(|(_, value)| value.len() > 1) {
        assert!(!report.contains(value) && !json.contains(value), "the value of {name} is shown:\n{report}");
    }
    report
}
