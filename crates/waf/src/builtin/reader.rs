//! Runs the steps over a value: the gate, the detectors, the decoders, and the same for every reading they give.

use regex_automata::Input;

use super::detector::{Action, Detector, PROBES, Text};
use super::gate::{Classes, Hits};
use super::json;
use super::prose::Prose;
use super::protocol;
use super::rules::Family;
use super::score::{Cues, Finding, Findings, Layer, Layers, Place, excerpt, weight};
use super::views::View;
use super::{decode, decode_binary};

/// An expression is tried from so far before the first literal to so far after the last one.
const BEFORE: usize = 256;
const AFTER: usize = 512;
/// How many bytes all readings of a value together may have, as a multiple of its length.
const GROWTH: usize = 6;
/// The shortest attack of letters, digits and mild signs alone: `rO0AB`, with an object behind it.
const SHORTEST_PLAIN: usize = 6;
const HEXADECIMAL: u32 = Classes::LETTER | Classes::DIGIT | Classes::SPACE;

/// Whether a text is harmless at first sight, which most values are: words, numbers, dates and identifiers that
/// hold no literal of a rule and are no encoding of anything.
#[inline]
pub(super) fn is_clean(detector: &Detector, bytes: &[u8], classes: Classes) -> bool {
    classes.only(Classes::PLAIN)
        && (bytes.len() < SHORTEST_PLAIN
            || !(detector.plain.is_called(bytes)
                || decode_binary::may_be_base64(bytes)
                || may_be_hex(bytes, classes)))
}

fn may_be_hex(bytes: &[u8], classes: Classes) -> bool {
    classes.only(HEXADECIMAL) && classes.any(Classes::DIGIT) && decode_binary::may_be_hex(bytes)
}

/// A walk over the readings of one value.
pub(super) struct Reader<'r> {
    pub(super) detector: &'r Detector,
    pub(super) place: Place,
    pub(super) name: &'r [u8],
    pub(super) findings: &'r mut Findings,
}

impl Reader<'_> {
    /// Reads the value, and whatever is found inside it.
    pub(super) fn read(&mut self, value: &[u8]) {
        self.findings.views.begin(value.len() * GROWTH + 1024);
        // Two kilobytes that are kept for the next value.
        let mut hits = self.findings.hits.take().unwrap_or_else(|| Box::new(Hits::none()));
        self.view(value, Layers::default(), self.place.is_name(), &mut hits);
        let mut next = 0;
        while let Some(view) = self.findings.views.list.get_mut(next) {
            let bytes = std::mem::take(&mut view.bytes);
            let View { layers, is_name, .. } = *view;
            self.view(&bytes, layers, is_name, &mut hits);
            if let Some(view) = self.findings.views.list.get_mut(next) {
                view.bytes = bytes;
            }
            next += 1;
        }
        self.findings.hits = Some(hits);
        if self.findings.is_exhausted() {
            let mut cues = Cues::default();
            cues.add(protocol::COMPLEX, 0, value.len());
            let classes = Classes::default();
            let text = Text { bytes: value, classes, place: self.place, is_name: false, name: self.name };
            self.weigh(&text, Layers::default(), &cues);
        }
    }

    fn view(&mut self, bytes: &[u8], layers: Layers, is_name: bool, hits: &mut Hits) {
        let classes = Classes::of(bytes);
        if is_clean(self.detector, bytes, classes) || !self.findings.spend(bytes.len()) {
            return;
        }
        let plain = classes.only(Classes::PLAIN);
        let deeper = layers.len() < self.detector.settings().max_layers.min(7);
        if deeper && classes.any(Classes::QUOTE) && self.json(bytes, layers, hits) {
            return;
        }
        if plain {
            self.detector.plain.search(bytes, hits);
        } else {
            self.detector.gate.search(bytes, hits);
        }
        let text = Text { bytes, classes, place: self.place, is_name, name: self.name };
        if hits.any() || !plain {
            self.detect(&text, layers, hits);
        }
        if deeper {
            self.expand(&text, layers, hits);
        }
    }

    /// Reads the strings of a JSON text where they stand. What stands between them is syntax, and would look like
    /// an attack.
    fn json(&mut self, bytes: &[u8], layers: Layers, hits: &mut Hits) -> bool {
        if !matches!(bytes.trim_ascii_start(), [b'{' | b'[' | b'"', ..]) {
            return false;
        }
        let mut spans = std::mem::take(&mut self.findings.spans);
        let found = json::strings(bytes, &mut spans);
        if found {
            let layers = layers.with(Layer::Json);
            let mut buffer = Vec::new();
            for (start, end, is_name) in &spans {
                let string = bytes.get(*start..*end).unwrap_or_default();
                buffer.clear();
                if string.contains(&b'\\') && decode::escapes(string, &mut buffer) {
                    self.view(&buffer, layers, *is_name, hits);
                } else {
                    self.view(string, layers, *is_name, hits);
                }
            }
        }
        self.findings.spans = spans;
        found
    }

    /// Runs whatever was called, and adds up.
    fn detect(&mut self, text: &Text<'_>, layers: Layers, hits: &Hits) {
        let mut cues = Cues { fingerprints: self.findings.fingerprints, ..Cues::default() };
        let mut probed = 0_u32;
        for (waiter, start, end) in hits.iter() {
            let Some(waiter) = self.detector.waiters.get(waiter) else { continue };
            if !waiter.needs.met(text.classes) {
                continue;
            }
            match &waiter.action {
                Action::Expression { id, expression } => {
                    let range = start.saturating_sub(BEFORE)..end.saturating_add(AFTER).min(text.bytes.len());
                    if !self.findings.spend(range.len()) {
                        break;
                    }
                    if let Some(found) = expression.find(Input::new(text.bytes).range(range)) {
                        cues.add(*id, found.start(), found.end());
                    }
                }
                Action::Probe(index) => probed |= 1 << index,
                Action::Decoder(_) => {}
            }
        }
        for (index, probe) in PROBES.iter().enumerate() {
            let called = probed & (1 << index) != 0 || text.classes.any(probe.classes);
            let wanted = called && probe.families & self.detector.families != 0;
            if wanted && self.findings.spend(text.bytes.len() * probe.cost) {
                (probe.run)(text, &mut cues);
            }
        }
        self.findings.fingerprints = cues.fingerprints;
        if !cues.list.is_empty() {
            self.weigh(text, layers, &cues);
        }
    }

    fn weigh(&mut self, text: &Text<'_>, layers: Layers, cues: &Cues) {
        let prose = Prose::of(text.bytes).is_running_text();
        let mut sums = [0_u16; Family::ALL.len()];
        for (id, start, end) in &cues.list {
            let Some(rule) = self.detector.rules.get(id) else { continue };
            let score = weight(rule, prose);
            if score == 0 {
                continue;
            }
            if let Some(sum) = sums.get_mut(rule.info.family as usize) {
                *sum = sum.saturating_add(score);
            }
            self.findings.add(Finding {
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
            self.findings.value.raise(family, sum);
        }
    }

    /// Adds the readings that one more decoder gives. Each is tried only if its mark occurs.
    fn expand(&mut self, text: &Text<'_>, layers: Layers, hits: &Hits) {
        let classes = text.classes;
        let mut add = |layer, decoder: &dyn Fn(&[u8], &mut Vec<u8>) -> bool| {
            let mut out = self.findings.views.buffer();
            if decoder(text.bytes, &mut out) {
                self.findings.views.push(out, layers.with(layer), text.is_name);
            } else {
                self.findings.views.give_back(out);
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
        if decode_binary::may_be_base64(text.bytes) {
            add(Layer::Base64, &decode_binary::base64);
        }
        if may_be_hex(text.bytes, classes) {
            add(Layer::Hex, &decode_binary::hex);
        }
        if !hits.any() {
            return;
        }
        for (waiter, ..) in hits.iter() {
            let Some(Action::Decoder(layer)) = self.detector.waiters.get(waiter).map(|waiter| &waiter.action)
            else {
                continue;
            };
            match layer {
                Layer::Hex => add(Layer::Hex, &decode_binary::hex_bytes),
                Layer::Comments => {
                    add(Layer::Comments, &|text, out| decode::comments(text, out, false));
                    add(Layer::Comments, &|text, out| decode::comments(text, out, true));
                }
                Layer::ShellQuotes => add(Layer::ShellQuotes, &decode::shell_quotes),
                Layer::Invisible => add(Layer::Invisible, &decode::invisible),
                _ => {}
            }
        }
    }
}
