//! The lines of the audit log, one at a time: a log may be larger than memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Deserialize;

/// Longer lines are no records: the gateway's are at most 56 KiB.
const LONGEST_LINE: u64 = 1 << 20;
/// Reasons by which the rules refuse, or would refuse in shadow mode.
const REASONS: [&str; 3] = ["attack_detected", "response_blocked", "too_complex"];
/// The ids from here on are the gateway's own.
const GATEWAYS_OWN: u32 = 990_000_000;

/// What the log says about one request that rules matched.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) route: String,
    pub(super) path: String,
    /// Whether the log only holds the beginning of the path.
    pub(super) path_is_cut: bool,
    /// Whether rules refused it, or would have in shadow mode.
    pub(super) refused: bool,
    /// What was found, each thing once; what only follows from it is left out.
    pub(super) findings: BTreeSet<Finding>,
    /// Rules that matched, and the log does not say what.
    pub(super) unknown: BTreeSet<u32>,
    /// Whether more rules matched than the log holds.
    pub(super) is_partial: bool,
}

/// A rule, and what it matched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    pub(super) rule: u32,
    /// None where an exclusion cannot name it.
    pub(super) target: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Raw {
    request_id: String,
    route: String,
    #[serde(rename = "url.path")]
    path: String,
    reason_code: String,
    shadow_reasons: BTreeMap<String, String>,
    #[serde(rename = "waf.rule_ids")]
    rule_ids: Vec<u32>,
    #[serde(rename = "waf.matches")]
    matches: Vec<RawMatch>,
    /// The keys whose values the gateway has cut.
    truncated: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct RawMatch {
    rule: u32,
    #[serde(default)]
    target: String,
}

/// Calls `take` for each record of the files in which rules matched. Returns how many lines are no records.
pub(super) fn each(files: &[PathBuf], mut take: impl FnMut(&Record)) -> anyhow::Result<u64> {
    let mut skipped = 0;
    for path in files {
        let failed = || format!("cannot read `{}`", path.display());
        let mut reader = BufReader::new(File::open(path).with_context(failed)?);
        let mut line = Vec::new();
        while next(&mut reader, &mut line).with_context(failed)? {
            match serde_json::from_slice::<Raw>(&line) {
                Ok(raw) if raw.rule_ids.is_empty() && raw.matches.is_empty() => {}
                Ok(raw) => take(&Record::from(raw)),
                Err(_) if line.trim_ascii().is_empty() => {}
                Err(_) => skipped += 1,
            }
        }
    }
    Ok(skipped)
}

/// Reads a line; of one that is too long the beginning, which then is no record.
fn next(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    let read = reader.by_ref().take(LONGEST_LINE).read_until(b'\n', line)?;
    if read as u64 == LONGEST_LINE && !line.ends_with(b"\n") {
        reader.skip_until(b'\n')?;
    }
    Ok(read > 0)
}

impl From<Raw> for Record {
    fn from(raw: Raw) -> Self {
        let refused = std::iter::once(&raw.reason_code)
            .chain(raw.shadow_reasons.values())
            .any(|reason| REASONS.contains(&reason.as_str()));
        let mut findings = BTreeSet::new();
        for found in &raw.matches {
            if !follows(found.rule, &found.target) {
                findings.insert(Finding { rule: found.rule, target: nameable(&found.target) });
            }
        }
        let is_told = |rule: u32| raw.matches.iter().any(|found| found.rule == rule);
        let untold = |rule: &u32| !is_told(*rule) && !follows(*rule, "");
        let unknown = raw.rule_ids.iter().copied().filter(untold).collect();
        let is_cut = |key: &str| raw.truncated.iter().any(|cut| cut == key);
        Self {
            path_is_cut: is_cut("url.path"),
            is_partial: is_cut("waf.rule_ids"),
            id: raw.request_id,
            route: raw.route,
            path: raw.path,
            refused,
            findings,
            unknown,
        }
    }
}

/// Whether a match only follows from others: the rules of the Core Rule Set that compare and report scores. Those of the
/// gateway's own, which refuse what cannot be read, are no matter of exclusions either.
fn follows(rule: u32, target: &str) -> bool {
    let compares = matches!(rule, 949_000..=949_999 | 959_000..=959_999 | 980_000..=980_999);
    compares || rule >= GATEWAYS_OWN || is_of(target, "TX") && target.contains("anomaly_score")
}

/// What an exclusion can name: values of the request. What rules have kept for themselves, and how many values there are,
/// it cannot.
fn nameable(target: &str) -> Option<String> {
    const COLLECTIONS: [&str; 14] = [
        "ARGS",
        "ARGS_GET",
        "ARGS_POST",
        "ARGS_NAMES",
        "ARGS_GET_NAMES",
        "ARGS_POST_NAMES",
        "REQUEST_HEADERS",
        "REQUEST_HEADERS_NAMES",
        "REQUEST_COOKIES",
        "REQUEST_COOKIES_NAMES",
        "RESPONSE_HEADERS",
        "RESPONSE_HEADERS_NAMES",
        "FILES",
        "FILES_NAMES",
    ];
    let kept = ["TX", "IP", "GLOBAL", "SESSION", "USER", "RESOURCE", "ENV"];
    let is_kept = kept.iter().any(|collection| is_of(target, collection));
    let is_plain = !target.is_empty() && !is_kept && !COLLECTIONS.contains(&target);
    is_plain.then(|| target.to_owned())
}

fn is_of(target: &str, collection: &str) -> bool {
    target.strip_prefix(collection).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::{LONGEST_LINE, Raw, Record, next};

    #[test]
    fn what_follows_from_other_matches_is_left_out() {
        let line = r#"{"request_id":"a","route":"r","url.path":"/p","shadow_reasons":{"scan":"attack_detected"},
            "waf.rule_ids":[942100,920450,949110,932100],"waf.matches":[{"rule":942100,"target":"ARGS:q","value":"x"},
            {"rule":920450,"target":"TX:header_name_920450_x"},{"rule":949110,"target":"TX:blocking_inbound_anomaly_score"}]}"#;
        let record = Record::from(serde_json::from_str::<Raw>(line).unwrap());
        let found: Vec<_> =
            record.findings.iter().map(|found| (found.rule, found.target.as_deref())).collect();
        assert_eq!(found, [(920_450, None), (942_100, Some("ARGS:q"))]);
        assert!(record.refused);
        assert_eq!(record.unknown.into_iter().collect::<Vec<_>>(), [932_100]);
    }

    #[test]
    fn a_line_that_is_too_long_takes_no_memory() {
        let text = [vec![b'x'; 3 * usize::try_from(LONGEST_LINE).unwrap()], b"\nshort".to_vec()].concat();
        let mut reader = BufReader::new(text.as_slice());
        let mut line = Vec::new();
        assert!(next(&mut reader, &mut line).unwrap());
        assert_eq!(line.len() as u64, LONGEST_LINE);
        assert!(next(&mut reader, &mut line).unwrap());
        assert_eq!(line, b"short");
        assert!(!next(&mut reader, &mut line).unwrap());
    }
}
