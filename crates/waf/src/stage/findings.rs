//! What is told about matches. The values come from clients, and may be their secrets: for the record they are cut, and the
//! letters and digits of their middle masked, so that it shows what looked like an attack and not what it said.

use std::sync::Arc;

use portcullis_core::{ScanMatch, ScanNotes};

use super::scan::Detail;
use crate::engine::{MatchedValue, RuleMatch, Transaction};

/// Rules of which is told what they matched.
const MOST_RULES: usize = 8;
const MOST_RULES_VERBATIM: usize = 64;
const MOST_RULES_EXPLAINED: usize = 1000;
/// Values told of each rule in an explanation.
const MOST_VALUES: usize = 8;
/// Bytes kept of a value, and of the name of a target.
const LONGEST_VALUE: usize = 64;
const LONGEST_VALUE_EXPLAINED: usize = 200;
const LONGEST_TARGET: usize = 96;
/// Bytes kept of what a rule says or logs.
const LONGEST_TEXT: usize = 512;
/// How many characters at either end of a value are left as they are, at most.
const KEPT_ENDS: usize = 4;

/// Where the rules of the Core Rule Set, in its present and its last version, keep the score that decides.
const SCORES: [&str; 4] = [
    "blocking_inbound_anomaly_score",
    "blocking_outbound_anomaly_score",
    "anomaly_score",
    "outbound_anomaly_score",
];

/// Words in names of targets whose values are secrets in all likelihood.
const SECRET_NAMES: [&str; 9] =
    ["authorization", "cookie", "passw", "pwd", "secret", "token", "api-key", "apikey", "api_key"];

/// Adds what one ruleset found.
pub(super) fn add(found: &mut ScanNotes, ruleset: &Arc<str>, transaction: &Transaction, detail: Detail) {
    let all = transaction.matches();
    let score = SCORES.iter().map(|name| transaction.tx_number(name)).max().unwrap_or_default();
    let score = u64::try_from(score).unwrap_or_default().max(transaction.detector_score());
    found.score = found.score.max(score);
    found.rule_ids.extend(all.iter().map(|found| found.rule_id));
    match detail {
        Detail::Record => {
            found.matches.extend(all.iter().take(MOST_RULES).filter_map(|found| recorded(found, ruleset)));
        }
        Detail::Verbatim => {
            found.matches.extend(all.iter().take(MOST_RULES_VERBATIM).map(|found| told(found, ruleset)));
        }
        Detail::Explanation => {
            let told = all.iter().take(MOST_RULES_EXPLAINED);
            found.matches.extend(told.flat_map(|found| explained(found, ruleset)));
        }
    }
}

fn recorded(found: &RuleMatch, ruleset: &Arc<str>) -> Option<ScanMatch> {
    let value = found.values.first()?;
    let text = if value.sanitised {
        String::new()
    } else {
        masked(&cut(&value.found, LONGEST_VALUE), &value.target)
    };
    Some(ScanMatch {
        rule: found.rule_id,
        ruleset: Arc::clone(ruleset),
        target: cut(value.target.as_bytes(), LONGEST_TARGET),
        value: text,
        transformations: Vec::new(),
        message: String::new(),
        data: String::new(),
    })
}

/// For the record of requests that are no secret.
fn told(found: &RuleMatch, ruleset: &Arc<str>) -> ScanMatch {
    let value = found.values.first();
    let holds_secret = found.values.iter().any(|value| value.sanitised || is_secret(&value.target));
    ScanMatch {
        rule: found.rule_id,
        ruleset: Arc::clone(ruleset),
        target: value.map(|value| cut(value.target.as_bytes(), LONGEST_TARGET)).unwrap_or_default(),
        value: value.map(shown).unwrap_or_default(),
        transformations: Vec::new(),
        message: cut(found.message.as_bytes(), LONGEST_TEXT),
        data: if holds_secret { String::new() } else { cut(found.data.as_bytes(), LONGEST_TEXT) },
    }
}

fn explained<'m>(found: &'m RuleMatch, ruleset: &'m Arc<str>) -> impl Iterator<Item = ScanMatch> + 'm {
    found.values.iter().take(MOST_VALUES).map(|value| ScanMatch {
        rule: found.rule_id,
        ruleset: Arc::clone(ruleset),
        target: cut(value.target.as_bytes(), LONGEST_TARGET),
        value: shown(value),
        transformations: value.transformations.clone(),
        message: found.message.clone(),
        data: String::new(),
    })
}

/// Who explains a request has it at hand; what it proves its sender by is not shown all the same.
fn shown(value: &MatchedValue) -> String {
    let text = cut(&value.found, LONGEST_VALUE_EXPLAINED);
    if value.sanitised || is_secret(&value.target) { masked(&text, &value.target) } else { text }
}

fn is_secret(target: &str) -> bool {
    let target = target.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|name| target.contains(name))
}

/// The first bytes of a value, as text.
fn cut(value: &[u8], longest: usize) -> String {
    let Some(kept) = value.get(..longest) else { return String::from_utf8_lossy(value).into_owned() };
    let mut text = String::new();
    for chunk in kept.utf8_chunks() {
        text.push_str(chunk.valid());
        // A character that the cut went through is left out.
        if !chunk.invalid().is_empty() && !kept.ends_with(chunk.invalid()) {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}

fn masked(text: &str, target: &str) -> String {
    let count = text.chars().count();
    let kept = if is_secret(target) { 0 } else { KEPT_ENDS.min(count / 4) };
    let is_middle = |at: usize| at >= kept && at < count - kept;
    text.chars()
        .enumerate()
        .map(|(at, character)| if is_middle(at) && character.is_alphanumeric() { '*' } else { character })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{cut, masked};

    #[test]
    fn the_middle_of_a_value_is_masked() {
        assert_eq!(masked("1' OR 'a'='a' -- ", "ARGS:id"), "1' O* '*'='*' -- ");
        assert_eq!(masked("abc", "ARGS:id"), "***");
        assert_eq!(masked("hunter2 and more", "ARGS:Password"), "******* *** ****");
        assert_eq!(masked("Bearer a.b", "REQUEST_HEADERS:Authorization"), "****** *.*");
    }

    #[test]
    fn a_cut_tears_no_character() {
        assert_eq!(cut("ab\u{1f600}c".as_bytes(), 4), "ab");
        assert_eq!(cut(b"a\xffb", 3), "a\u{fffd}b");
        assert_eq!(cut(b"a\xffbcd", 3), "a\u{fffd}b");
    }
}
