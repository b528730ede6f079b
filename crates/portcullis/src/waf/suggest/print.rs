//! Proposals: YAML to paste for people, JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::words::counted as count;
use super::candidates::{Candidates, Proposal};
use super::tally::{Named, Tally};

/// The proposals, each with the number of marked requests that it alone lets through.
fn counted<'c>(candidates: &'c Candidates, tally: &Tally<'c>) -> Vec<(Proposal<'c>, u64)> {
    let mut counted: Vec<(Proposal<'c>, u64)> = Vec::new();
    let mut place = 0;
    for proposal in candidates.proposals() {
        place = match counted.last() {
            Some((before, _)) if before.key == proposal.key => place + 1,
            _ => 0,
        };
        let alone = tally.alone(proposal.key, place);
        counted.push((proposal, alone));
    }
    counted
}

pub(super) fn text(candidates: &Candidates, tally: &Tally<'_>) -> String {
    let mut text = match tally.marked {
        0 => "# no rule found anything in the marked requests\n".to_owned(),
        marked => format!(
            "# {} in which rules found something; sure to pass with these exclusions: {}\n",
            count(marked, "marked request"),
            tally.passing
        ),
    };
    let mut route = None;
    for (proposal, alone) in counted(candidates, tally) {
        if route != Some(&proposal.key.route) {
            route = Some(&proposal.key.route);
            let name = proposal.key.route.escape_debug();
            let _ = write!(text, "\n# for the scan of the route `{name}`:\nexclude:\n");
        }
        let _ = writeln!(
            text,
            "  # needed by {}, alone enough for {alone}",
            count(proposal.requests, "marked request")
        );
        if proposal.target.is_none() {
            text.push_str("  # the whole rule: what it matched cannot be named in an exclusion\n");
        }
        let _ = writeln!(text, "  - {}", entry(&proposal));
    }
    for warning in warnings(candidates, tally) {
        let _ = write!(text, "\n# warning: {warning}\n");
    }
    text
}

/// `{rule: 942100, target: "ARGS:comment", path: "/cms/*"}`. A text of JSON is one of YAML.
fn entry(proposal: &Proposal<'_>) -> String {
    let mut entry = format!("{{rule: {}", proposal.key.rule);
    for (key, text) in [("target", &proposal.target), ("path", &proposal.path)] {
        if let Some(text) = text {
            let _ = write!(entry, ", {key}: {}", json!(text));
        }
    }
    entry.push('}');
    entry
}

fn warnings(candidates: &Candidates, tally: &Tally<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    if tally.leaking.count > 0 {
        warnings.push(format!(
            "not marked, refused, and would pass too: {}: {}",
            count(tally.leaking.count, "request"),
            list(&tally.leaking)
        ));
    }
    if tally.weakened.count > 0 {
        warnings.push(format!(
            "not marked, refused, and rules would find less in them, so that their score may fall below the threshold: \
             {}: {}",
            count(tally.weakened.count, "request"),
            list(&tally.weakened)
        ));
    }
    for (rule, requests) in &candidates.unknown {
        warnings.push(format!(
            "rule {rule} matched in {}, and the log does not say what; look again when these exclusions hold, or ask \
             `portcullis waf explain`",
            count(*requests, "marked request")
        ));
    }
    if candidates.dropped > 0 {
        warnings.push(format!(
            "there are more different findings than are kept, and {} are left out: mark fewer requests",
            candidates.dropped
        ));
    }
    warnings
}

fn list(named: &Named) -> String {
    let ids: Vec<String> = named.ids.iter().map(|id| id.escape_debug().to_string()).collect();
    let more = named.count.saturating_sub(named.ids.len() as u64);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", ids.join(", "))
}

pub(super) fn json(candidates: &Candidates, tally: &Tally<'_>) -> Value {
    let named = |named: &Named| json!({ "count": named.count, "request_ids": named.ids });
    let proposals: Vec<Value> = counted(candidates, tally)
        .into_iter()
        .map(|(proposal, alone)| {
            json!({
                "route": proposal.key.route,
                "exclude": exclusion(&proposal),
                "needed_by": proposal.requests,
                "alone_enough_for": alone,
            })
        })
        .collect();
    json!({
        "marked": tally.marked,
        "passing": tally.passing,
        "proposals": proposals,
        "others_passing": named(&tally.leaking),
        "others_weakened": named(&tally.weakened),
        "warnings": warnings(candidates, tally),
    })
}

fn exclusion(proposal: &Proposal<'_>) -> Value {
    let mut exclusion = json!({ "rule": proposal.key.rule });
    if let Some(object) = exclusion.as_object_mut() {
        let texts = [("target", &proposal.target), ("path", &proposal.path)];
        object.extend(
            texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), json!(text.as_ref()?)))),
        );
    }
    exclusion
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::super::candidates::Candidates;
    use super::super::record::{Finding, Record};
    use super::super::tally::Tally;
    use super::text;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Pasted {
        exclude: Vec<Entry>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Entry {
        rule: u32,
        target: String,
        path: String,
    }

    #[test]
    fn what_is_printed_is_yaml_whatever_the_log_holds() {
        let finding = |target: &str| Finding { rule: 1, target: Some(target.to_owned()) };
        let record = Record {
            id: "a\n- {rule: 7}".to_owned(),
            route: "r\nrule: 7".to_owned(),
            path: "/a\"b: #\n/c".to_owned(),
            path_is_cut: false,
            refused: true,
            findings: [finding("ARGS:x: \"#\n{y}"), finding("FILES")].into(),
            unknown: [2].into(),
            is_partial: false,
        };
        let mut candidates = Candidates::default();
        candidates.add(&record);
        let mut tally = Tally::new(&candidates);
        tally.add(&record, true);
        tally.add(&record, false);
        let printed = text(&candidates, &tally);
        let pasted: Pasted = serde_saphyr::from_str(&printed).unwrap();
        let entry = |target: &str| Entry { rule: 1, target: target.to_owned(), path: "/a*b:*/c".to_owned() };
        assert_eq!(pasted.exclude, [entry("ARGS:/^x......y.$/"), entry("FILES")], "{printed}");
    }
}
