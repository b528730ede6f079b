//! The rules, compiled: who waits for which literals, and what a request has to be asked.

use std::collections::HashMap;

use regex_automata::{meta, util::syntax};

use super::gate::{Classes, Gate, MAX_WAITERS};
use super::needs::Needs;
use super::reader::{Reader, is_clean};
use super::rules::{self, Rule};
use super::score::{Cues, Finding, Findings, Layer, Layers, Place, Settings, Verdict, excerpt};
use super::{command, nosql, protocol, scanner, sql, ssrf, xss};

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
    pub(super) classes: u32,
    /// An anchor counts only if one of these classes occurs as well.
    pub(super) needs: u32,
    /// What a byte costs, where that of an expression is one.
    pub(super) cost: usize,
    pub(super) run: fn(&Text<'_>, &mut Cues),
}

pub(super) static PROBES: [&Probe; 6] =
    [&sql::PROBE, &nosql::PROBE, &command::PROBE, &ssrf::PROBE, &xss::PROBE, &protocol::PROBE];

/// What waits for literals at the gate.
#[derive(Debug)]
pub(super) enum Action {
    Expression {
        id: u32,
        expression: meta::Regex,
    },
    Probe(usize),
    /// A decoder whose literal is too rare to look for it separately.
    Decoder(Layer),
}

/// Who waits, and the classes of bytes without which it need not be called.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) action: Action,
    pub(super) needs: Needs,
}

const DECODERS: [(Layer, &[&str]); 4] = [
    (Layer::Hex, &["0x"]),
    (Layer::Comments, &["/*"]),
    (Layer::ShellQuotes, &["$ifs", "${ifs", "''", "\"\"", "$@", "$*", "\\", "^", "'", "\""]),
    (Layer::Invisible, &["\0", "\u{ad}", "\u{200b}", "\u{200c}", "\u{200d}", "\u{feff}"]),
];

/// The built-in ruleset, ready to be used by many requests at once.
#[derive(Debug)]
pub struct Detector {
    settings: Settings,
    /// For texts that are plain: few rules can match there, and the automaton stays in the cache.
    pub(super) plain: Gate,
    pub(super) gate: Gate,
    pub(super) waiters: Vec<Waiter>,
    pub(super) rules: HashMap<u32, &'static Rule>,
    pub(super) families: u32,
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
                let needs = Needs::of(rule.expression);
                waiters.push(Waiter { action: Action::Expression { id: rule.info.id, expression }, needs });
                literals.push(rule.anchors);
            }
        }
        for (index, probe) in PROBES.iter().enumerate().filter(|(_, probe)| probe.families & families != 0) {
            waiters.push(Waiter { action: Action::Probe(index), needs: Needs::one_of(probe.needs) });
            literals.push(probe.anchors);
        }
        for (layer, anchors) in DECODERS {
            waiters.push(Waiter { action: Action::Decoder(layer), needs: Needs::one_of(0) });
            literals.push(anchors);
        }
        waiters.truncate(MAX_WAITERS);
        literals.truncate(MAX_WAITERS);
        let wanted = |all: bool| {
            let waiting = (0_u16..).zip(waiters.iter().zip(&literals));
            waiting.flat_map(move |(index, (waiter, list))| {
                let fits = move |literal: &&str| {
                    all || (Classes::of(literal.as_bytes()).only(Classes::PLAIN)
                        && waiter.needs.met(Classes::ALL_PLAIN))
                };
                list.iter().copied().filter(fits).map(move |literal| (index, literal))
            })
        };
        let (plain, gate) = (Gate::new(wanted(false)), Gate::new(wanted(true)));
        Self { settings, plain, gate, waiters, rules, families }
    }

    /// What it was made with.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether what was found reaches the threshold.
    pub fn is_attack(&self, findings: &Findings) -> bool {
        findings.score() >= self.settings.threshold
    }

    /// What the findings come to.
    pub fn verdict(&self, findings: &Findings) -> Verdict {
        if self.is_attack(findings) {
            Verdict::Attack
        } else if self.settings.refuses_complex && findings.is_complex() {
            Verdict::TooComplex
        } else {
            Verdict::Ordinary
        }
    }

    /// Looks at one value of a request, or at a name if the place says so. `name` is what names the value.
    pub fn scan_value(&self, place: Place, name: &[u8], value: &[u8], findings: &mut Findings) {
        let limit = self.settings.max_bytes.max(64);
        if value.len() <= limit && is_clean(self, value, Classes::of(value)) {
            return;
        }
        findings.begin_value(value.len(), &self.settings);
        if value.len() <= limit {
            self.scan_all(place, name, value, findings);
        } else {
            self.scan_pieces(place, name, value, findings);
        }
        findings.end_value(&self.settings);
    }

    /// Reads a long value in pieces, all of it: an attack may stand anywhere in it. They overlap by more than a cue is long. Their
    /// length is a multiple of four, so that base64 is cut between its groups.
    fn scan_pieces(&self, place: Place, name: &[u8], value: &[u8], findings: &mut Findings) {
        let length = self.settings.max_bytes.max(4 * OVERLAP) & !3;
        let mut start = 0;
        loop {
            let end = (start + length).min(value.len());
            // A word that is cut in two looks like something else, unless all of it is one.
            let mut head = value.get(start..end).unwrap_or_default().iter().take(OVERLAP / 2);
            let cut = head.position(|byte| byte.is_ascii_whitespace()).filter(|_| start > 0);
            let piece = value.get(start + cut.unwrap_or(0)..end).unwrap_or_default();
            if !is_clean(self, piece, Classes::of(piece)) {
                self.scan_all(place, name, piece, findings);
            }
            if end == value.len() {
                return;
            }
            start = end - OVERLAP;
        }
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
        let finding = Finding {
            rule_id: id,
            family: rule.info.family,
            score: rule.info.score,
            place: Place::HeaderValue(super::HeaderKind::Other),
            layers: Layers::default(),
            range: (0, evidence.len()),
            name: excerpt(name),
            evidence: excerpt(evidence),
        };
        findings.add_head(finding, &self.settings);
    }

    fn scan_all(&self, place: Place, name: &[u8], value: &[u8], findings: &mut Findings) {
        Reader { detector: self, place, name, is_token: ssrf::is_token(value), findings }.read(value);
    }
}

/// How far the pieces of a long value overlap.
const OVERLAP: usize = 1024;

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
    use crate::builtin::Family;

    /// One encoding inside the other, all of them in turn.
    const COMPLEX_VALUE: &str = "location /*x*/|b &amp;amp;<a b=c> http://a.b/ %25 ";

    #[test]
    fn every_expression_compiles_and_has_anchors() {
        for rule in rules::all().filter(|rule| !rule.expression.is_empty()) {
            assert!(compile(rule.expression).is_ok(), "{}: {:?}", rule.info.id, compile(rule.expression));
            assert!(!rule.anchors.is_empty(), "{}", rule.info.id);
        }
        let detector = Detector::new(Settings::default());
        assert!(detector.waiters.len() < MAX_WAITERS, "some rules have no place at the gate");
        assert!(matches!(detector.waiters.last().unwrap().action, Action::Decoder(Layer::Invisible)));
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
    fn a_family_may_have_its_own_threshold() {
        let attack = |families: Vec<(Family, u16)>, value: &[u8]| {
            let detector = Detector::new(Settings { families, ..Settings::default() });
            let mut findings = Findings::default();
            detector.scan_value(Place::QueryValue, b"q", value, &mut findings);
            detector.is_attack(&findings)
        };
        let (sql, file) = (b"' or 1=1--".as_slice(), b"../../etc/passwd".as_slice());
        assert!(attack(vec![], sql) && attack(vec![], file));
        let lenient = vec![(Family::Sql, 1000), (Family::XPath, 1000)];
        assert!(!attack(lenient.clone(), sql) && attack(lenient, file));
        assert!(!attack(vec![], b"1 union select") || attack(vec![(Family::Sql, 1)], b"1 union select"));
        assert!(attack(vec![(Family::Traversal, 3)], b"a/../b"));
        assert!(!attack(vec![], b"a/../b"));
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
        findings.clear();
        let value = ["a ".repeat(100_000).as_str(), "' or 1=1--", &"a ".repeat(100_000)].concat();
        detector.scan_value(Place::BodyValue, b"x", value.as_bytes(), &mut findings);
        assert!(!findings.list().is_empty(), "whatever stands behind it");
    }

    /// Whatever stands before an attack, the request is refused: it is either seen, or the value is too complex.
    #[test]
    fn chaff_hides_nothing() {
        let detector = Detector::new(Settings::default());
        for chaff in [
            "' or ../ {{ ${ <script on $ne ; cat %27 \\u0027 &#39; // -- /* ) ( union select ",
            "%25",
            "&amp;",
            "\\u005c",
            "(select ",
            "<a on",
            COMPLEX_VALUE,
        ] {
            for attack in
                ["' UNION SELECT password FROM users--", "%27%20UNION%20SELECT%20a,b%20FROM%20users--"]
            {
                let mut findings = Findings::default();
                let value = [chaff.repeat(100_000 / chaff.len()).as_str(), attack].concat();
                detector.scan_value(Place::BodyValue, b"x", value.as_bytes(), &mut findings);
                assert_ne!(detector.verdict(&findings), Verdict::Ordinary, "{chaff} {attack}");
            }
        }
    }

    #[test]
    fn what_is_too_complex_is_told_apart_from_an_attack() {
        let detector = Detector::new(Settings::default());
        let lenient = Detector::new(Settings { refuses_complex: false, ..Settings::default() });
        let complex = COMPLEX_VALUE.repeat(81);
        let mut findings = Findings::default();
        detector.scan_value(Place::BodyValue, b"x", complex.as_bytes(), &mut findings);
        let ids: Vec<u32> = findings.list().iter().map(|finding| finding.rule_id).collect();
        assert!(ids.contains(&100_007), "{ids:?}");
        assert_eq!(detector.verdict(&findings), Verdict::TooComplex);
        assert_eq!(lenient.verdict(&findings), Verdict::Ordinary);
        findings.clear();
        detector.scan_value(Place::BodyValue, b"x", b"' or 1=1--", &mut findings);
        assert_eq!(detector.verdict(&findings), Verdict::Attack);
        findings.clear();
        detector.scan_value(Place::BodyValue, b"y", b"Ann's flat", &mut findings);
        assert_eq!(detector.verdict(&findings), Verdict::Ordinary);
        assert!(findings.list().iter().all(|finding| finding.rule_id != 100_007));
    }
}
