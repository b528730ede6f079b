//! The rules that follow from the configuration, around the files that it names.
//!
//! Their ids are from [`FIRST_ID`] on, which is far from the ranges that rule writers share.

use std::collections::BTreeMap;
use std::fmt::Write;

use portcullis_core::{KeyPath, Problems};

use super::raw::{RawExclusion, RawThresholds, TooComplex};
use crate::seclang::Document;

/// The first id of the rules of the gateway itself; there are a thousand of them.
const FIRST_ID: u32 = 990_000_000;
/// The rule that refuses bodies which cannot be taken apart.
const UNREADABLE_BODY: u32 = FIRST_ID + 10;
/// The rule that refuses bodies of more arguments than are looked into.
const TOO_MANY_ARGUMENTS: u32 = FIRST_ID + 11;
/// The rule that refuses multipart bodies which services read differently.
const AMBIGUOUS_MULTIPART: u32 = FIRST_ID + 12;
/// The rules of exclusions for a path begin here.
const FIRST_EXCLUSION: u32 = FIRST_ID + 100;
/// How many exclusions for a path there may be.
const MOST_EXCLUSIONS: usize = 900;

/// What holds before any file is read, which may say otherwise. Bodies of requests are looked into, up to what the route
/// takes, which the gateway sees to; JSON and XML are taken apart as such; what the body processors cannot take apart, which the
/// rules have then not seen, is refused.
pub const PREAMBLE: &str = include_str!("preamble.conf");

/// Whether a rule of the gateway's own refuses because it cannot see all of the body.
pub(super) const fn is_about_reading(rule: u32) -> bool {
    matches!(rule, UNREADABLE_BODY | TOO_MANY_ARGUMENTS | AMBIGUOUS_MULTIPART)
}

/// What a combination of ruleset and route sets before the files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Refinement {
    pub(super) paranoia: Option<u8>,
    pub(super) thresholds: RawThresholds,
    /// Families of the built-in rules with a threshold of their own.
    pub(super) families: BTreeMap<String, u32>,
    pub(super) exclude: Vec<RawExclusion>,
    pub(super) too_complex: TooComplex,
    /// Whether nothing is refused: every rule then runs, whatever the ones before it would have refused.
    pub(super) is_shadow: bool,
}

/// The rules before the files.
pub(super) fn before(refinement: &Refinement) -> String {
    let mut text = PREAMBLE.to_owned();
    let mut settings = Vec::new();
    if let Some(level) = refinement.paranoia {
        // The first two are those of CRS 4, the others those of CRS 3.
        let names = [
            "blocking_paranoia_level",
            "detection_paranoia_level",
            "paranoia_level",
            "executing_paranoia_level",
        ];
        settings.extend(names.map(|name| format!("setvar:tx.{name}={level}")));
    }
    let RawThresholds { inbound, outbound } = refinement.thresholds;
    for (direction, threshold) in [("inbound", inbound), ("outbound", outbound)] {
        settings
            .extend(threshold.map(|score| format!("setvar:tx.{direction}_anomaly_score_threshold={score}")));
    }
    if refinement.is_shadow {
        settings.push("ctl:ruleEngine=DetectionOnly".to_owned());
    }
    if !settings.is_empty() {
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            "SecAction \"id:{},phase:1,pass,t:none,nolog,{}\"",
            FIRST_ID + 20,
            settings.join(",")
        );
    }
    for (id, exclusion) in (FIRST_EXCLUSION..).zip(refinement.exclude.iter().filter(|it| it.path.is_some())) {
        text.push_str(&for_path(exclusion, id));
    }
    text
}

/// The rules after the files: exclusions that hold for every path.
pub(super) fn after(refinement: &Refinement) -> String {
    refinement.exclude.iter().filter(|exclusion| exclusion.path.is_none()).map(for_all_paths).collect()
}

fn for_path(exclusion: &RawExclusion, id: u32) -> String {
    let target = exclusion.target.as_deref().map(|target| format!(";{target}")).unwrap_or_default();
    let kind = if exclusion.target.is_some() { "Target" } else { "" };
    let which = match (&exclusion.rule, &exclusion.tag) {
        (Some(rules), _) => format!("ruleRemove{kind}ById={rules}"),
        (None, tag) => format!("ruleRemove{kind}ByTag={}", tag.as_deref().unwrap_or_default()),
    };
    let path = exclusion.path.as_deref().unwrap_or_default();
    // The path as services see it: an exclusion for `/cms/*` is not to be had by `/cms/../login`.
    format!(
        "SecRule REQUEST_FILENAME \"@rx {}\" \"id:{id},phase:1,pass,t:none,t:normalizePath,nolog,ctl:{which}{target}\"\n",
        pattern(path)
    )
}

fn for_all_paths(exclusion: &RawExclusion) -> String {
    match (&exclusion.rule, &exclusion.tag, &exclusion.target) {
        (Some(rules), _, None) => format!("SecRuleRemoveById {rules}\n"),
        (Some(rules), _, Some(target)) => format!("SecRuleUpdateTargetById {rules} \"!{target}\"\n"),
        (None, tag, target) => {
            let tag = format!("^{}$", regex_syntax::escape(tag.as_deref().unwrap_or_default()));
            match target {
                None => format!("SecRuleRemoveByTag \"{tag}\"\n"),
                Some(target) => format!("SecRuleUpdateTargetByTag \"{tag}\" \"!{target}\"\n"),
            }
        }
    }
}

/// The regular expression of a path with wildcards.
fn pattern(path: &str) -> String {
    let mut pattern = String::from("^");
    for character in path.chars() {
        match character {
            '*' => pattern.push_str(".*"),
            '?' => pattern.push('.'),
            other => pattern.push_str(&regex_syntax::escape(&other.to_string())),
        }
    }
    pattern.push('$');
    pattern
}

/// Records what is wrong with exclusions, each at its place.
pub(super) fn check(exclusions: &[RawExclusion], path: &KeyPath, problems: &mut Problems) {
    for (index, exclusion) in exclusions.iter().enumerate() {
        check_one(exclusion, &path.index(index), problems);
    }
    if exclusions.iter().filter(|exclusion| exclusion.path.is_some()).count() > MOST_EXCLUSIONS {
        problems
            .error(path, format!("there are more than {MOST_EXCLUSIONS} exclusions for a path"))
            .suggest("exclude in a rule file of your own");
    }
}

fn check_one(exclusion: &RawExclusion, path: &KeyPath, problems: &mut Problems) {
    match (&exclusion.rule, &exclusion.tag) {
        (None, None) => {
            problems.error(path, "the exclusion names no rules").suggest("write `rule` or `tag`");
            return;
        }
        (Some(_), Some(_)) => {
            problems
                .error(&path.key("tag"), "`rule` and `tag` exclude each other")
                .suggest("write an exclusion for each");
            return;
        }
        _ => {}
    }
    let texts =
        [("tag", &exclusion.tag), ("target", &exclusion.target), ("path", &exclusion.path)].into_iter();
    for (key, text) in texts.filter_map(|(key, text)| Some((key, text.as_deref()?))) {
        // What is put between quotes must not end them.
        if text.is_empty()
            || text
                .chars()
                .any(|c| c.is_control() || matches!(c, '"' | '\'' | '\\' | ';') || c == ',' && key != "path")
        {
            problems.error(&path.key(key), format!("`{}` is not a {key}", text.escape_debug())).suggest(
                match key {
                    "tag" => "write a tag such as `attack-sqli`",
                    "target" => "write a target such as `ARGS:comment`",
                    _ => "write a path such as `/cms/*`",
                },
            );
            return;
        }
    }
    if exclusion.path.as_deref().is_some_and(|path| !path.starts_with(['/', '*'])) {
        problems.error(&path.key("path"), "a path begins with `/`").suggest("write a path such as `/cms/*`");
        return;
    }
    let text = if exclusion.path.is_some() { for_path(exclusion, 1) } else { for_all_paths(exclusion) };
    if let Err(errors) = Document::parse("exclude", &text, None) {
        for diagnostic in errors.diagnostics {
            problems.error(&path.key("target"), diagnostic.message);
        }
    }
}
