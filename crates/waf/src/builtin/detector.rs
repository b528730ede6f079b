//! Runs the steps over a value: the gate, the decoders, the detectors, the score.

use std::collections::HashMap;

use regex_automata::{Input, meta, util::syntax};

use super::gate::{Classes, Gate, Hits, MAX_WAITERS};
use super::prose::Prose;
use super::rules::{self, Family, Rule};
use super::score::{Cues, Finding, Findings, Layer, Layers, Place, Settings, excerpt, weight};
use super::views::View;
use super::{command, decode, decode_binary, json, nosql, protocol, scanner, sql, ssrf, xss};

/// A reading of a value, as a probe sees it.
pub(super) struct Text<'t> {
    pub(super) bytes: &'t [u8],
    pub(super) classes: Classes,
    pub(super) place: Place,
    /// What names the value, in the request or in the JSON text around it.
    pub(super) is_name: bool,
    /// The name of the value in the request.
    pub(super) name: &'t [u8],
}

/// A detector that reads by itself, rather than with an expression.
pub(super) struct Probe {
    pub(super) families: u32,
    /// It runs if one of these occurs, in any case of letters.
    pub(super) anchors: &'static [&'static str],
    /// It runs if one of these classes of bytes occurs.
    pub(super) classes: u16,
    pub(super) run: fn(&Text<'_>, &mut Cues),
}

static PROBES: [&Probe; 6] =
    [&sql::PROBE, &nosql::PROBE, &command::PROBE, &ssrf::PROBE, &xss::PROBE, &protocol::PROBE];

/// What waits for literals at the gate.
#[derive(Debug)]
enum Waiter {
    Expression {
        id: u32,
        expression: meta::Regex,
    },
    Probe(usize),
    /// A decoder whose literal is too rare to look for it separately.
    Decoder(Layer),
}

const DECODERS: [(Layer, &[&str]); 4] = [
    (Layer::Hex, &["0x"]),
    (Layer::Comments, &["/*"]),
    (Layer::ShellQuotes, &["$ifs", "${ifs", "''", "\"\"", "$@", "$*", "\\", "^", "'", "\""]),
    (Layer::Invisible, &["\0", "\u{ad}", "\u{200b}", "\u{200c}", "\u{200d}", "\u{feff}"]),
];

/// An expression is tried from so far before the first literal to so far after the last one.
const BEFORE: usize = 256;
const AFTER: usize = 512;
/// How many bytes all readings of a value together may have, as a multiple of its length.
const GROWTH: usize = 6;

/// The built-in ruleset, ready to be used by many requests at once.
#[derive(Debug)]
pub struct Detector {
    settings: Settings,
    gate: Gate,
    waiters: Vec<Waiter>,
    rules: HashMap<u32, &'static Rule>,
    families: u32,
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Rule({})", self.info.id)
    }
}

impl Detector {
    /// Compiles the rules of the families that are wanted.
    pub fn new(settings: Settings) -> Self {
        let families = settings.disabled.iter().fold(u32::MAX, |all, family| all & !family.bit());
        let wanted = |rule: &&&Rule| families & rule.info.family.bit() != 0;
        let all: Vec<&'static Rule> = rules::all().collect();
        let rules = all.iter().filter(wanted).map(|rule| (rule.info.id, *rule)).collect();
        let mut waiters = Vec::new();
        let mut literals: Vec<&[&str]> = Vec::new();
        for rule in all.iter().filter(wanted).filter(|rule| !rule.expression.is_empty()) {
            if let Ok(expression) = compile(rule.expression) {
                waiters.push(Waiter::Expression { id: rule.info.id, expression });
                literals.push(rule.anchors);
            }
        }
        for (index, probe) in PROBES.iter().enumerate().filter(|(_, probe)| probe.families & families != 0) {
            waiters.push(Waiter::Probe(index));
            literals.push(probe.anchors);
        }
        for (layer, anchors) in DECODERS {
            waiters.push(Waiter::Decoder(layer));
            literals.push(anchors);
        }
        waiters.truncate(MAX_WAITERS);
        literals.truncate(MAX_WAITERS);
        Self { settings, gate: Gate::new(&literals), waiters, rules, families }
    }

    /// What it was made with.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether what was found reaches the threshold.
    pub fn is_attack(&self, findings: &Findings) -> bool {
        findings.score() >= self.settings.threshold
    }

    /// Looks at one value of a request, or at a name if the place says so. `name` is what names the value.
    pub fn scan_value(&self, place: Place, name: &[u8], value: &[u8], findings: &mut Findings) {
        if value.is_empty() {
            return;
        }
        findings.begin_value();
        let limit = self.settings.max_bytes.max(64);
        if value.len() <= limit {
            self.scan_all(place, name, value, findings);
        } else {
            // The beginning and the end: padding in front of an attack is the usual way around a limit.
            let half = limit / 2;
            self.scan_all(place, name, value.get(..half).unwrap_or(value), findings);
            self.scan_all(place, name, value.get(value.len() - half..).unwrap_or(value), findings);
        }
        findings.end_value();
    }

    /// Looks at what a request says before its body: the method, the path, and headers that tell about the client.
    /// The values of the headers are looked at by `scan_value` as well, if they are wanted.
    pub fn scan_head<'h>(
        &self,
        method: &[u8],
        path: &[u8],
        headers: impl IntoIterator<Item = (&'h [u8], &'h [u8])>,
        findings: &mut Findings,
    ) {
        protocol::method(method, &mut |id, evidence| self.head(id, b"method", evidence, findings));
        scanner::path(path, &mut |id, evidence| self.head(id, b"path", evidence, findings));
        let mut head = protocol::Head::default();
        for (name, value) in headers {
            scanner::header(name, value, &mut |id| self.head(id, name, value, findings));
            head.header(name, value, &mut |id| self.head(id, name, value, findings));
        }
        head.end(&mut |id| self.head(id, b"head", path, findings));
    }

    fn head(&self, id: u32, name: &[u8], evidence: &[u8], findings: &mut Findings) {
        let Some(rule) = self.rules.get(&id) else { return };
        findings.add_head(Finding {
            rule_id: id,
            family: rule.info.family,
            score: rule.info.score,
            place: Place::HeaderValue(super::HeaderKind::Other),
            layers: Layers::default(),
            range: (0, evidence.len()),
            name: excerpt(name),
            evidence: excerpt(evidence),
        });
    }

    fn scan_all(&self, place: Place, name: &[u8], value: &[u8], findings: &mut Findings) {
        findings.views.begin(value.len() * GROWTH + 1024);
        // Two kilobytes that are cleared once per request rather than once per value.
        let mut hits = findings.hits.take().unwrap_or_else(|| Box::new(Hits::none()));
        self.scan_view(place, name, value, Layers::default(), place.is_name(), &mut hits, findings);
        let mut next = 0;
        while let Some(view) = findings.views.list.get_mut(next) {
            let bytes = std::mem::take(&mut view.bytes);
            let View { layers, is_name, .. } = *view;
            self.scan_view(place, name, &bytes, layers, is_name, &mut hits, findings);
            if let Some(view) = findings.views.list.get_mut(next) {
                view.bytes = bytes;
            }
            next += 1;
        }
        findings.hits = Some(hits);
    }

    #[expect(clippy::too_many_arguments, reason = "the state of one walk, that nothing else needs")]
    fn scan_view(
        &self,
        place: Place,
        name: &[u8],
        bytes: &[u8],
        layers: Layers,
        is_name: bool,
        hits: &mut Hits,
        findings: &mut Findings,
    ) {
        let classes = Classes::of(bytes);
        let opens_json = matches!(bytes.trim_ascii_start(), [b'{' | b'[' | b'"', ..]);
        if opens_json && layers.len() < self.settings.max_layers.min(7) && json::looks_like(bytes) {
            // What stands between the strings of a JSON text is syntax, and would look like attacks.
            let mut parts = Vec::new();
            json::strings(bytes, |string, is_name| parts.push((string.to_vec(), is_name)));
            for (string, is_name) in parts {
                let layers = layers.with(Layer::Json);
                self.scan_view(place, name, &string, layers, is_name, hits, findings);
            }
            return;
        }
        self.gate.search(bytes, hits);
        let text = Text { bytes, classes, place, is_name, name };
        self.detect(&text, layers, hits, findings);
        if layers.len() < self.settings.max_layers.min(7) {
            self.expand(&text, layers, hits, findings);
        }
    }

    /// Runs whatever was called, and adds up.
    fn detect(&self, text: &Text<'_>, layers: Layers, hits: &Hits, findings: &mut Findings) {
        let mut cues = Cues::default();
        let mut probed = 0_u32;
        for (waiter, start, end) in hits.iter() {
            match self.waiters.get(waiter) {
                Some(Waiter::Expression { id, expression }) => {
                    let range = start.saturating_sub(BEFORE)..end.saturating_add(AFTER).min(text.bytes.len());
                    if let Some(found) = expression.find(Input::new(text.bytes).range(range)) {
                        cues.add(*id, found.start(), found.end());
                    }
                }
                Some(Waiter::Probe(index)) => {
                    if let Some(probe) = PROBES.get(*index) {
                        probed |= 1 << index;
                        (probe.run)(text, &mut cues);
                    }
                }
                Some(Waiter::Decoder(_)) | None => {}
            }
        }
        for (index, probe) in PROBES.iter().enumerate() {
            let wanted = probe.families & self.families != 0 && probed & (1 << index) == 0;
            if wanted && text.classes.any(probe.classes) {
                (probe.run)(text, &mut cues);
            }
        }
        if !cues.list.is_empty() {
            self.weigh(text, layers, &cues, findings);
        }
    }

    fn weigh(&self, text: &Text<'_>, layers: Layers, cues: &Cues, findings: &mut Findings) {
        let prose = Prose::of(text.bytes).is_running_text();
        let mut sums = [0_u16; Family::ALL.len()];
        for (id, start, end) in &cues.list {
            let Some(rule) = self.rules.get(id) else { continue };
            let score = weight(rule, prose);
            if score == 0 {
                continue;
            }
            if let Some(sum) = sums.get_mut(rule.info.family as usize) {
                *sum = sum.saturating_add(score);
            }
            findings.add(Finding {
                rule_id: *id,
                family: rule.info.family,
                score,
                place: text.place,
                layers,
                range: (*start, *end),
                name: excerpt(text.name),
                evidence: excerpt(text.bytes.get(*start..*end).unwrap_or_default()),
            });
        }
        for (family, sum) in Family::ALL.into_iter().zip(sums) {
            findings.value.raise(family, sum);
        }
    }

    /// Adds the readings that one more decoder gives.
    fn expand(&self, text: &Text<'_>, layers: Layers, hits: &Hits, findings: &mut Findings) {
        let classes = text.classes;
        let mut add = |layer, decoder: &dyn Fn(&[u8], &mut Vec<u8>) -> bool| {
            let mut out = findings.views.buffer();
            if decoder(text.bytes, &mut out) {
                findings.views.push(out, layers.with(layer), text.is_name);
            } else {
                findings.views.give_back(out);
            }
        };
        if classes.any(Classes::PERCENT | Classes::PLUS) {
            add(Layer::Url, &decode::url);
        }
        if classes.any(Classes::AMPERSAND) {
            add(Layer::Entities, &decode::entities);
        }
        if classes.any(Classes::BACKSLASH) {
            add(Layer::Escapes, &decode::escapes);
        }
        if classes.any(Classes::HIGH) {
            add(Layer::Unicode, &decode::unicode_folding);
        }
        if text.bytes.len() >= 6 {
            add(Layer::Base64, &decode_binary::base64);
            if classes.only(Classes::LETTER | Classes::DIGIT | Classes::SPACE) && classes.any(Classes::DIGIT)
            {
                add(Layer::Hex, &decode_binary::hex);
            }
        }
        for (waiter, ..) in hits.iter() {
            match self.waiters.get(waiter) {
                Some(Waiter::Decoder(Layer::Hex)) => add(Layer::Hex, &decode_binary::hex_bytes),
                Some(Waiter::Decoder(Layer::Comments)) => {
                    add(Layer::Comments, &|text, out| decode::comments(text, out, false));
                    add(Layer::Comments, &|text, out| decode::comments(text, out, true));
                }
                Some(Waiter::Decoder(Layer::ShellQuotes)) => add(Layer::ShellQuotes, &decode::shell_quotes),
                Some(Waiter::Decoder(Layer::Invisible)) => add(Layer::Invisible, &decode::invisible),
                _ => {}
            }
        }
    }
}

/// Bytes rather than characters, and letters of any case: an attack is not always valid UTF-8.
fn compile(expression: &str) -> Result<meta::Regex, Box<meta::BuildError>> {
    meta::Regex::builder()
        .syntax(
            syntax::Config::new()
                .case_insensitive(true)
                .unicode(false)
                .utf8(false)
                .dot_matches_new_line(true),
        )
        .configure(meta::Config::new().utf8_empty(false))
        .build(expression)
        .map_err(Box::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expression_compiles_and_has_anchors() {
        for rule in rules::all().filter(|rule| !rule.expression.is_empty()) {
            assert!(compile(rule.expression).is_ok(), "{}: {:?}", rule.info.id, compile(rule.expression));
            assert!(!rule.anchors.is_empty(), "{}", rule.info.id);
        }
        let detector = Detector::new(Settings::default());
        assert!(detector.waiters.len() < MAX_WAITERS, "some rules have no place at the gate");
        assert!(matches!(detector.waiters.last(), Some(Waiter::Decoder(Layer::Invisible))));
    }

    #[test]
    fn a_family_can_be_switched_off() {
        let attack = b"' or 1=1--";
        let settings = Settings { disabled: vec![Family::Sql, Family::XPath], ..Settings::default() };
        let (on, off) = (Detector::new(Settings::default()), Detector::new(settings));
        let mut findings = Findings::default();
        off.scan_value(Place::QueryValue, b"id", attack, &mut findings);
        assert!(!off.is_attack(&findings), "{findings:?}");
        on.scan_value(Place::QueryValue, b"id", attack, &mut findings);
        assert!(on.is_attack(&findings));
        findings.clear();
        assert_eq!(findings.score(), 0);
    }

    #[test]
    fn findings_say_how_the_attack_was_hidden() {
        let detector = Detector::new(Settings::default());
        let mut findings = Findings::default();
        detector.scan_value(Place::Cookie, b"c", b"JTI3JTIwb3IlMjAxJTNEMS0t", &mut findings);
        assert!(detector.is_attack(&findings), "{findings:?}");
        let layers: Vec<Layer> = findings.list()[0].layers.iter().collect();
        assert_eq!(layers, [Layer::Base64, Layer::Url]);
        assert_eq!(findings.list()[0].name, b"c");
    }

    #[test]
    fn an_attack_behind_much_padding_is_seen() {
        let detector = Detector::new(Settings { max_bytes: 1024, ..Settings::default() });
        let mut findings = Findings::default();
        let value = ["a ".repeat(100_000).as_str(), "' or 1=1--"].concat();
        detector.scan_value(Place::BodyValue, b"x", value.as_bytes(), &mut findings);
        assert!(detector.is_attack(&findings));
    }
}
