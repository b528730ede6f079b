//! What became of a request, and why: for people and for programs.

use std::fmt::Write as _;

use portcullis_waf::engine::{Action, Interruption, MatchedValue, RuleMatch, Ruleset, Transaction};
use serde_json::{Value, json};

use super::super::words;

/// Characters shown of a value: for people, and for programs.
const SHOWN: usize = 160;
const SHOWN_TO_PROGRAMS: usize = 4096;
/// Values shown of a rule.
const MOST_VALUES: usize = 20;

/// What became of a request.
#[derive(Debug)]
pub(super) struct Story<'t> {
    matches: &'t [RuleMatch],
    inbound: Score,
    outbound: Score,
    end: Option<End>,
    /// What else there is to know.
    pub(super) notes: Vec<String>,
}

/// An anomaly score, as the Core Rule Set keeps it.
#[derive(Debug, Clone, Copy)]
struct Score {
    value: i64,
    /// 0 when the rules keep no score.
    threshold: i64,
}

/// What ended the transaction, or would have.
#[derive(Debug)]
struct End {
    interruption: Interruption,
    /// Whether rules refuse, and do not only detect.
    enforced: bool,
    message: String,
    place: String,
}

impl<'t> Story<'t> {
    pub(super) fn of(ruleset: &Ruleset, transaction: &'t Transaction) -> Self {
        let enforced = transaction.interruption().is_some();
        let interruption = transaction.interruption().or_else(|| transaction.would_interrupt());
        // The names of CRS 4, then those of CRS 3.
        let score = |direction: &str, old: &str| Score {
            value: transaction
                .tx_number(&format!("blocking_{direction}_anomaly_score"))
                .max(transaction.tx_number(old)),
            threshold: transaction.tx_number(&format!("{direction}_anomaly_score_threshold")),
        };
        Self {
            matches: transaction.matches(),
            inbound: score("inbound", "anomaly_score"),
            outbound: score("outbound", "outbound_anomaly_score"),
            end: interruption.map(|interruption| End::of(interruption, enforced, ruleset, transaction)),
            notes: Vec::new(),
        }
    }

    /// Whether the request, or its response, does not get through.
    pub(super) fn is_refused(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.enforced)
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for found in self.matches {
            describe(found, &mut text);
        }
        if self.matches.is_empty() {
            text.push_str("no rule matched\n");
        }
        if self.inbound.threshold > 0 {
            let Score { value, threshold } = self.inbound;
            let _ = writeln!(text, "anomaly score {value}, refused from {threshold} on");
        }
        if self.outbound.value > 0 {
            let Score { value, threshold } = self.outbound;
            let _ = writeln!(text, "anomaly score of the response {value}, refused from {threshold} on");
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        match &self.end {
            None => text.push_str("pass\n"),
            Some(end) if end.enforced => {
                let _ = writeln!(text, "{}", end.text());
            }
            Some(end) => {
                let _ = writeln!(
                    text,
                    "pass: the rules only detect; with `SecRuleEngine On` it would be {}",
                    end.text()
                );
            }
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        let score = |score: Score| json!({ "value": score.value, "threshold": score.threshold });
        json!({
            "matches": self.matches.iter().map(match_json).collect::<Vec<_>>(),
            "score": { "inbound": score(self.inbound), "outbound": score(self.outbound) },
            "notes": self.notes,
            "outcome": match self.end.as_ref().filter(|end| end.enforced) {
                None => json!({ "decision": "pass" }),
                Some(end) => end.json(),
            },
            "would_be": self.end.as_ref().filter(|end| !end.enforced).map(End::json),
        })
    }
}

impl End {
    fn of(interruption: &Interruption, enforced: bool, ruleset: &Ruleset, transaction: &Transaction) -> Self {
        let id = interruption.rule_id;
        let summary = ruleset.rules().iter().find(|rule| rule.id == id);
        let found = transaction.matches().iter().rev().find(|found| found.rule_id == id);
        let message = found.map(|found| found.message.clone()).or_else(|| Some(summary?.message.clone()));
        Self {
            interruption: interruption.clone(),
            enforced,
            message: message.unwrap_or_default(),
            place: summary.map(|rule| format!("{}:{}", rule.file, rule.line)).unwrap_or_default(),
        }
    }

    fn text(&self) -> String {
        let Interruption { rule_id, status, action } = &self.interruption;
        let what = match action {
            Action::Deny => status.to_string(),
            Action::Drop => "a closed connection".to_owned(),
            Action::Redirect(location) => format!("{status} to {}", shown(location.as_bytes(), SHOWN)),
        };
        match rule_id {
            0 => format!("{what} by a limit of the engine"),
            id if self.message.is_empty() => format!("{what} by rule {id} at {}", self.place),
            id => {
                format!("{what} by rule {id} at {} ({})", self.place, shown(self.message.as_bytes(), SHOWN))
            }
        }
    }

    fn json(&self) -> Value {
        let Interruption { rule_id, status, action } = &self.interruption;
        json!({
            "decision": match action {
                Action::Deny => "deny",
                Action::Drop => "drop",
                Action::Redirect(_) => "redirect",
            },
            "status": status,
            "location": match action {
                Action::Redirect(location) => Some(location),
                _ => None,
            },
            "rule": rule_id,
            "message": self.message,
        })
    }
}

fn describe(found: &RuleMatch, text: &mut String) {
    let severity = words::severity(found.severity);
    let message = shown(found.message.as_bytes(), SHOWN);
    let _ = writeln!(text, "{:<7} phase {}  {severity:<9}  {message}", found.rule_id, found.phase);
    let _ = writeln!(text, "        {}:{}", found.file, found.line);
    for value in found.values.iter().take(MOST_VALUES) {
        describe_value(value, text);
    }
    let more = found.values.len().saturating_sub(MOST_VALUES);
    if more > 0 {
        let _ = writeln!(text, "        and {more} more");
    }
}

fn describe_value(value: &MatchedValue, text: &mut String) {
    let after = match value.transformations.as_slice() {
        [] => String::new(),
        names => format!("  after {}", names.join(", ")),
    };
    let target = shown(value.target.as_bytes(), SHOWN);
    if value.sanitised {
        let _ = writeln!(text, "        {target}: not shown, as a rule asks for{after}");
        return;
    }
    let _ = writeln!(text, "        {target} = `{}`{after}", shown(&value.value, SHOWN));
    if value.found != value.value {
        let _ = writeln!(text, "          found `{}`", shown(&value.found, SHOWN));
    }
}

fn match_json(found: &RuleMatch) -> Value {
    let values = found.values.iter().take(MOST_VALUES).map(|value| {
        let part = |bytes: &[u8]| (!value.sanitised).then(|| cut(bytes, SHOWN_TO_PROGRAMS));
        json!({
            "target": cut(value.target.as_bytes(), SHOWN_TO_PROGRAMS),
            "transformations": value.transformations,
            "value": part(&value.value),
            "found": part(&value.found),
        })
    });
    json!({
        "rule": found.rule_id,
        "phase": found.phase,
        "severity": found.severity.map(|severity| words::severity(Some(severity))),
        "message": found.message,
        "tags": found.tags,
        "file": found.file,
        "line": found.line,
        "values": values.collect::<Vec<_>>(),
    })
}

/// A value for a terminal, which nothing in it may steer.
fn shown(bytes: &[u8], longest: usize) -> String {
    let mut text = String::new();
    for character in cut(bytes, longest).chars() {
        if character.is_control() {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}

/// The first characters of a value.
fn cut(bytes: &[u8], longest: usize) -> String {
    // No character takes more than four bytes.
    let start = bytes.get(..longest.saturating_mul(4)).unwrap_or(bytes);
    let text = String::from_utf8_lossy(start);
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None if start.len() < bytes.len() => format!("{text}…"),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{cut, shown};

    #[test]
    fn values_are_cut_and_steer_no_terminal() {
        assert_eq!(cut("\u{f6}\u{f6}\u{f6}".as_bytes(), 2), "\u{f6}\u{f6}\u{2026}");
        assert_eq!(cut(b"ab", 2), "ab");
        assert_eq!(shown(b"a\x1b[1m\n\xff", 9), "a\\u{1b}[1m\\n\u{fffd}");
    }
}
