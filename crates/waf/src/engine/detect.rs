//! The built-in ruleset beside the rules: it looks at the same values, under the names that rules have for them.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use crate::builtin::{Detector, Finding, Findings, HeaderKind, Place, TOO_COMPLEX, Verdict, rules};
use crate::pattern::Pattern;

use super::Action;
use super::items::{Base, Items};
use super::program::{Effect, NamedTarget, Program};
use super::report::{MatchedValue, RuleMatch};
use super::state::State;

/// Which rules an exclusion is about, by what also holds for those that are not in the program.
#[derive(Debug, Clone)]
pub(crate) enum Which {
    Ids(RangeInclusive<u32>),
    /// A whole tag.
    Tag(String),
    /// Tags by a pattern.
    Tags(Pattern),
    /// Rules of the program only.
    Others,
}

impl Which {
    fn takes(&self, finding: &Finding) -> bool {
        match self {
            Self::Ids(ids) => ids.contains(&finding.rule_id),
            Self::Tag(tag) => *tag == tag_of(finding),
            Self::Tags(pattern) => pattern.is_match(tag_of(finding).as_bytes()),
            Self::Others => false,
        }
    }
}

/// What the built-in rules do not look at: everywhere, or in some values.
#[derive(Debug)]
pub(crate) struct Exclusion {
    pub(crate) which: Which,
    pub(crate) target: Option<NamedTarget>,
}

/// What the built-in ruleset found in a transaction.
#[derive(Debug, Default)]
pub(crate) struct Detection {
    findings: Findings,
    /// Up to this value, all were looked at.
    seen: usize,
    /// Arguments that need not be looked at.
    conforming: HashSet<Vec<u8>>,
}

impl Detection {
    pub(crate) fn clear(&mut self) {
        self.findings.clear();
        self.seen = 0;
        self.conforming.clear();
    }

    /// Leaves an argument out.
    pub(crate) fn leave_out(&mut self, argument: &[u8]) {
        self.conforming.insert(argument.to_vec());
    }

    pub(crate) fn score(&self) -> u16 {
        self.findings.score()
    }
}

/// Looks at the head of the request.
pub(crate) fn head(detector: &Detector, program: &Program, state: &mut State) {
    let State { items, detection, .. } = &mut *state;
    let (start, end) = items.range(Base::RequestHeaders);
    let headers = (start..end).map(|index| {
        let item = items.get(index);
        (items.text(item.name), items.text(item.value))
    });
    let path = items.single(Base::RequestFilename);
    detector.scan_head(items.single(Base::RequestMethod), path, headers, &mut detection.findings);
    note(state, 0, "REQUEST_HEADERS");
    values(detector, program, state);
}

/// Looks at the values that were added since the last time, and interrupts when they make an attack.
pub(crate) fn values(detector: &Detector, program: &Program, state: &mut State) {
    let from = state.detection.seen;
    state.detection.seen = state.items.len();
    let added: Vec<(Base, usize)> = state.items.bases_from(from).collect();
    for (base, index) in added {
        let State { items, detection, .. } = &mut *state;
        let item = items.get(index);
        let name = items.text(item.name);
        let Some(place) = place(base, name) else { continue };
        let is_value = matches!(base, Base::ArgsGet | Base::ArgsPost);
        if is_value && !detection.conforming.is_empty() && detection.conforming.contains(name) {
            continue;
        }
        let name = if place.is_name() || base == Base::ArgsPost { last_segment(name) } else { name };
        let value = items.text(item.value);
        let value = if place.is_name() { last_segment(value) } else { value };
        let before = detection.findings.list().len();
        let mark = detection.findings.mark();
        detector.scan_value(place, name, value, &mut detection.findings);
        if detection.findings.list().len() == before {
            continue;
        }
        let is_excluded = |finding: &Finding| excludes(program, state, base, index, finding);
        let excluded: Vec<bool> =
            state.detection.findings.list().iter().skip(before).map(is_excluded).collect();
        if excluded.contains(&true) {
            state.detection.findings.withdraw(&mark, &excluded, detector.settings());
        }
        let target = target(&state.items, base, index);
        note(state, before, &target);
    }
    match detector.verdict(&state.detection.findings) {
        Verdict::Ordinary => {}
        Verdict::TooComplex => state.interrupt(TOO_COMPLEX, 400, Action::Deny),
        Verdict::Attack => {
            let worst = state.detection.findings.list().iter().max_by_key(|finding| finding.score);
            let rule = worst.map_or(0, |finding| finding.rule_id);
            state.interrupt(rule, 403, Action::Deny);
        }
    }
}

/// Whether an exclusion, of the configuration or of a rule that matched, is about a finding.
fn excludes(program: &Program, state: &State, base: Base, index: usize, finding: &Finding) -> bool {
    let name = state.items.text(state.items.get(index).name);
    let is_about = |target: &NamedTarget| {
        super::items::bases_of(target.variable).contains(&base) && target.selector.takes(name)
    };
    let configured = program
        .exclusions
        .iter()
        .any(|exclusion| exclusion.which.takes(finding) && exclusion.target.as_ref().is_none_or(&is_about));
    configured
        || state.controls.removed_targets.iter().any(|&(rule, effect)| {
            let effect = program.rules.get(rule as usize).and_then(|rule| rule.effects.get(effect));
            match effect {
                Some(Effect::Remove(_, which)) => which.takes(finding),
                Some(Effect::RemoveTarget(_, which, target)) => which.takes(finding) && is_about(target),
                _ => false,
            }
        })
}

/// Records the findings from `first` on.
fn note(state: &mut State, first: usize, target: &str) {
    let State { detection, matches, controls, .. } = &mut *state;
    for finding in detection.findings.list().iter().skip(first) {
        let title = rules()
            .binary_search_by_key(&finding.rule_id, |rule| rule.id)
            .ok()
            .and_then(|position| rules().get(position))
            .map_or("", |rule| rule.title);
        matches.push(RuleMatch {
            rule_id: finding.rule_id,
            phase: 2,
            message: title.to_owned(),
            data: String::from_utf8_lossy(&finding.evidence).into_owned(),
            severity: Some(if finding.score >= 5 { 2 } else { 4 }),
            tags: vec![tag_of(finding)],
            version: None,
            revision: None,
            maturity: None,
            accuracy: None,
            values: vec![MatchedValue {
                target: target.to_owned(),
                transformations: finding.layers.iter().map(|layer| layer.name()).collect(),
                value: finding.evidence.clone(),
                found: finding.evidence.clone(),
                sanitised: false,
            }],
            audit: controls.audit,
            file: "(builtin)".to_owned(),
            line: 0,
        });
    }
}

fn tag_of(finding: &Finding) -> String {
    format!("attack-{}", finding.family.name())
}

/// What a value is to the built-in rules; nothing for values that hold nothing new.
fn place(base: Base, name: &[u8]) -> Option<Place> {
    Some(match base {
        Base::ArgsGet => Place::QueryValue,
        Base::ArgsGetNames => Place::QueryName,
        Base::ArgsPost | Base::Xml | Base::XmlAttributes => Place::BodyValue,
        Base::ArgsPostNames => Place::BodyName,
        Base::RequestCookies => Place::Cookie,
        Base::RequestCookiesNames => Place::CookieName,
        // Its parts are looked at one by one.
        Base::RequestHeaders if name.eq_ignore_ascii_case(b"cookie") => return None,
        Base::RequestHeaders => Place::HeaderValue(HeaderKind::of(name)),
        Base::RequestHeadersNames => Place::HeaderName,
        Base::RequestFilename => Place::Path,
        Base::Files => Place::FileName,
        Base::RequestBody => Place::RawBody,
        _ => return None,
    })
}

/// The name of a member of a JSON document without the path to it.
fn last_segment(name: &[u8]) -> &[u8] {
    match name.strip_prefix(b"json.") {
        Some(path) => path.rsplit(|&byte| byte == b'.').next().unwrap_or(path),
        None => name,
    }
}

/// A value's name as rules have it.
fn target(items: &Items, base: Base, index: usize) -> String {
    let variable = match base {
        Base::ArgsGet | Base::ArgsPost => "ARGS",
        Base::ArgsGetNames | Base::ArgsPostNames => "ARGS_NAMES",
        other => other.variable().name(),
    };
    let name = items.text(items.get(index).name);
    if name.is_empty() {
        variable.to_owned()
    } else {
        format!("{variable}:{}", String::from_utf8_lossy(name))
    }
}
