//! `portcullis waf rules`

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;

use portcullis_waf::builtin::{self, RuleInfo};
use portcullis_waf::engine::{RuleSummary, Ruleset};
use serde_json::{Value, json};

use super::load::{self, Sources};
use super::words;
use crate::output::{self, Format};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    sources: Sources,
    /// More rules, as after `--rules`.
    #[arg(value_name = "DIR|FILE")]
    more: Vec<PathBuf>,
    /// The rules that come with the gateway, instead of files.
    #[arg(long, conflicts_with_all = ["rules", "setup", "more"])]
    builtin: bool,
    /// Only rules with this tag.
    #[arg(long)]
    tag: Option<String>,
    /// Only rules of this phase.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=5))]
    phase: Option<u8>,
    /// Only rules with an id of this range, such as `942100` or `942000-942999`.
    #[arg(long, value_name = "RANGE", value_parser = range)]
    id: Option<RangeInclusive<u32>>,
    /// How the list is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn range(text: &str) -> Result<RangeInclusive<u32>, String> {
    let number = |text: &str| text.trim().parse::<u32>().ok();
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        (Some(_), Some(_)) => Err("a range goes from the lower id to the higher".to_owned()),
        _ => Err("write an id such as `942100`, or a range such as `942000-942999`".to_owned()),
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let all = if arguments.builtin {
        builtin::rules().iter().map(summary).collect()
    } else {
        let files = arguments.sources.files(&arguments.more)?;
        load::ruleset(Ruleset::builder(), &files)?.rules().to_vec()
    };
    let rules: Vec<&RuleSummary> = all.iter().filter(|rule| is_wanted(rule, arguments)).collect();
    match arguments.format {
        Format::Json => {
            let list: Vec<Value> = rules.iter().map(|rule| as_json(rule)).collect();
            output::line(&format!("{:#}", Value::from(list)))?;
        }
        Format::Text => {
            for rule in &rules {
                output::line(&as_text(rule))?;
            }
            output::line(&count(&rules))?;
        }
    }
    Ok(if rules.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A rule that comes with the gateway, as lists show rules.
fn summary(rule: &RuleInfo) -> RuleSummary {
    RuleSummary {
        id: rule.id,
        phase: 2,
        message: format!("{} (score {}): {}", rule.title, rule.score, rule.description),
        tags: vec![format!("attack-{}", rule.family.name())],
        severity: None,
        file: "(builtin)".to_owned(),
        line: 0,
        links: 1,
        prefiltered: true,
        backtracks: false,
    }
}

fn is_wanted(rule: &RuleSummary, arguments: &Arguments) -> bool {
    arguments.tag.as_ref().is_none_or(|tag| rule.tags.contains(tag))
        && arguments.phase.is_none_or(|phase| rule.phase == phase)
        && arguments.id.as_ref().is_none_or(|range| range.contains(&rule.id))
}

fn as_text(rule: &RuleSummary) -> String {
    let links = if rule.links > 1 { format!(", {} links", rule.links) } else { String::new() };
    let runs = if rule.prefiltered { "prefiltered" } else { "always runs" };
    let backtracks = if rule.backtracks { ", step budget" } else { "" };
    let message = if rule.message.is_empty() { "(no message)" } else { &rule.message };
    let severity = words::severity(rule.severity);
    let mut text = format!("{:<7} phase {}  {severity:<9}  {message}\n", rule.id, rule.phase);
    text.push_str(&format!("        {}:{}  ({runs}{backtracks}{links})", rule.file, rule.line));
    if !rule.tags.is_empty() {
        text.push_str(&format!("\n        {}", rule.tags.join(", ")));
    }
    text
}

fn count(rules: &[&RuleSummary]) -> String {
    let always = rules.iter().filter(|rule| !rule.prefiltered).count();
    format!("{}, {always} always run", words::length(rules, "rule"))
}

pub(super) fn as_json(rule: &RuleSummary) -> Value {
    json!({
        "id": rule.id,
        "phase": rule.phase,
        "severity": rule.severity.map(|severity| words::severity(Some(severity))),
        "message": rule.message,
        "tags": rule.tags,
        "file": rule.file,
        "line": rule.line,
        "links": rule.links,
        "prefiltered": rule.prefiltered,
        "backtracks": rule.backtracks,
    })
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges_are_ids_or_two_of_them() {
        assert_eq!(range("942100"), Ok(942_100..=942_100));
        assert_eq!(range("1 - 3"), Ok(1..=3));
        assert!(range("3-1").is_err() && range("x").is_err() && range("1-").is_err());
    }
}
