//! Runs the steps over a value: the gate, the detectors, the decoders, and the same for every reading they give.

use regex_automata::Input;
use smallvec::SmallVec;

use super::detector::{Action, Detector, PROBES, Text};
use super::gate::{Classes, Hits};
use super::json;
use super::prose::Prose;
use super::protocol;
use super::rules::Family;
use super::score::{Cues, Finding, Findings, Layer, Layers, Place, excerpt, weight};
use super::traversal;
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

/// Encodings, the marks without which they do not occur, and how they are taken off.
type Decode = fn(&[u8], &mut Vec<u8>) -> bool;
const COARSE: [(Layer, u32, Decode); 4] = [
    (Layer::Url, Classes::PERCENT | Classes::PLUS, decode::url),
    (Layer::Entities, Classes::AMPERSAND, decode::entities),
    (Layer::Escapes, Classes::BACKSLASH, decode::escapes),
    (Layer::Unicode, Classes::HIGH, decode::unicode_folding),
];
/// Of a longer text not every combination of encodings is read.
const LONG: usize = 4096;

/// Whether what stands at `start` is one word among others rather than the value.
fn is_mentioned(text: &[u8], start: usize) -> bool {
    let before = text.get(..start).unwrap_or_default().trim_ascii_start();
    let words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    before.iter().any(u8::is_ascii_whitespace) || words.take(FEW_WORDS).count() == FEW_WORDS
}

/// A path has fewer words than these.
const FEW_WORDS: usize = 5;

/// A walk over the readings of one value.
pub(super) struct Reader<'r> {
    pub(super) detector: &'r Detector,
    pub(super) place: Place,
    pub(super) name: &'r [u8],
    /// Whether the value is a signed token, which names its issuer by its address.
    pub(super) is_token: bool,
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
        if self.findings.views.is_full {
            self.coarse(value, Layers::default(), self.place.is_name(), &mut hits);
        }
        self.findings.hits = Some(hits);
        if self.findings.is_exhausted() {
            self.findings.note_complex();
            let mut cues = Cues::default();
            cues.add(protocol::COMPLEX, 0, value.len());
            let classes = Classes::default();
            let text = Text { bytes: value, classes, place: self.place, is_name: false, name: self.name };
            self.weigh(&text, Layers::default(), &cues);
        }
    }

    /// Reads a text that is long, or has too many encodings for each combination of them: all are taken off at once, round by
    /// round, which costs a few times its length and no more.
    fn coarse(&mut self, text: &[u8], layers: Layers, is_name: bool, hits: &mut Hits) {
        let mut current = std::borrow::Cow::Borrowed(text);
        let mut layers = layers;
        for _ in 0..self.detector.settings().max_layers {
            let mut is_changed = false;
            for (layer, marks, decoder) in COARSE {
                if !Classes::of(&current).any(marks) {
                    continue;
                }
                let mut decoded = self.findings.views.buffer();
                if self.findings.spend(current.len()) && decoder(&current, &mut decoded) {
                    layers = layers.with(layer);
                    is_changed = true;
                    if let std::borrow::Cow::Owned(old) = std::mem::replace(&mut current, decoded.into()) {
                        self.findings.views.give_back(old);
                    }
                } else {
                    self.findings.views.give_back(decoded);
                }
            }
            if !is_changed {
                break;
            }
            self.flat(&current, layers, is_name, hits);
        }
    }

    /// Reads a text as it is.
    fn flat(&mut self, bytes: &[u8], layers: Layers, is_name: bool, hits: &mut Hits) {
        let classes = Classes::of(bytes);
        if is_clean(self.detector, bytes, classes) || !self.findings.spend(bytes.len()) {
            return;
        }
        let text = Text { bytes, classes, place: self.place, is_name, name: self.name };
        self.judge(&text, layers, hits);
        self.stripped(&text, layers, hits);
    }

    /// Reads a text once more without the comments, quotes and invisible letters that hide words, all of them at once.
    fn stripped(&mut self, text: &Text<'_>, layers: Layers, hits: &mut Hits) {
        let called: SmallVec<[Layer; 4]> = self.decoders(hits).collect();
        let mut current: Option<Vec<u8>> = None;
        let mut layers = layers;
        for layer in called {
            let decoder: Decode = match layer {
                Layer::Comments => |text, out| decode::comments(text, out, true),
                Layer::ShellQuotes => decode::shell_quotes,
                Layer::Invisible => decode::invisible,
                _ => continue,
            };
            let bytes = current.as_deref().unwrap_or(text.bytes);
            let mut plain = self.findings.views.buffer();
            if self.findings.spend(bytes.len()) && decoder(bytes, &mut plain) {
                layers = layers.with(layer);
                if let Some(old) = current.replace(plain) {
                    self.findings.views.give_back(old);
                }
            } else {
                self.findings.views.give_back(plain);
            }
        }
        if let Some(bytes) = current {
            if self.findings.spend(bytes.len()) {
                let text = Text { bytes: &bytes, classes: Classes::of(&bytes), ..*text };
                self.judge(&text, layers, hits);
            }
            self.findings.views.give_back(bytes);
        }
    }

    fn view(&mut self, bytes: &[u8], layers: Layers, is_name: bool, hits: &mut Hits) {
        let classes = Classes::of(bytes);
        if is_clean(self.detector, bytes, classes) || !self.findings.spend(bytes.len()) {
            return;
        }
        let deeper = layers.len() < self.detector.settings().max_layers.min(7);
        if deeper && classes.any(Classes::QUOTE) && self.json(bytes, layers, hits) {
            return;
        }
        let text = Text { bytes, classes, place: self.place, is_name, name: self.name };
        self.judge(&text, layers, hits);
        if !deeper {
            return;
        }
        self.binary(&text, layers, hits);
        if bytes.len() > LONG {
            self.stripped(&text, layers, hits);
            self.coarse(bytes, layers, is_name, hits);
        } else {
            self.expand(&text, layers);
            self.disguises(&text, layers, hits);
        }
    }

    /// Looks for what rules wait for, and shows the text to those that were called.
    fn judge(&mut self, text: &Text<'_>, layers: Layers, hits: &mut Hits) {
        let plain = text.classes.only(Classes::PLAIN);
        if plain {
            self.detector.plain.search(text.bytes, hits);
        } else {
            self.detector.gate.search(text.bytes, hits);
        }
        if hits.any() || !plain {
            self.detect(text, layers, hits);
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
            let mut last: &[u8] = b"";
            for (start, end, is_name) in &spans {
                let string = bytes.get(*start..*end).unwrap_or_default();
                // A path through two names says what neither does.
                if *is_name && last == b"constructor" && string == b"prototype" {
                    self.view(b"constructor.prototype", layers, true, hits);
                }
                last = string;
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
            if self.is_token && rule.info.family == Family::Ssrf {
                continue;
            }
            let score = weight(rule, prose || (rule.alone && is_mentioned(text.bytes, *start)));
            let score = if traversal::is_picture(*id, text.bytes) { score.min(2) } else { score };
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
    fn expand(&mut self, text: &Text<'_>, layers: Layers) {
        for (layer, marks, decoder) in COARSE {
            if text.classes.any(marks) {
                self.add(text, layers, layer, decoder);
            }
        }
    }

    /// Adds what base64 or digits stand for.
    fn binary(&mut self, text: &Text<'_>, layers: Layers, hits: &Hits) {
        if decode_binary::may_be_base64(text.bytes) {
            self.add(text, layers, Layer::Base64, decode_binary::base64);
        }
        if may_be_hex(text.bytes, text.classes) {
            self.add(text, layers, Layer::Hex, decode_binary::hex);
        }
        if self.decoders(hits).any(|layer| layer == Layer::Hex) {
            self.add(text, layers, Layer::Hex, decode_binary::hex_bytes);
        }
    }

    /// Adds the readings without comments, quotes and invisible letters that hide words.
    fn disguises(&mut self, text: &Text<'_>, layers: Layers, hits: &Hits) {
        let called: SmallVec<[Layer; 4]> = self.decoders(hits).collect();
        for layer in called {
            match layer {
                Layer::Comments => {
                    self.add(text, layers, layer, |text, out| decode::comments(text, out, false));
                    self.add(text, layers, layer, |text, out| decode::comments(text, out, true));
                }
                Layer::ShellQuotes => self.add(text, layers, layer, decode::shell_quotes),
                Layer::Invisible => self.add(text, layers, layer, decode::invisible),
                _ => {}
            }
        }
    }

    /// The decoders whose marks were found.
    fn decoders(&self, hits: &Hits) -> impl Iterator<Item = Layer> {
        let waiters = &self.detector.waiters;
        hits.iter().filter_map(move |(waiter, ..)| match waiters.get(waiter)?.action {
            Action::Decoder(layer) => Some(layer),
            _ => None,
        })
    }

    fn add(&mut self, text: &Text<'_>, layers: Layers, layer: Layer, decoder: Decode) {
        let mut out = self.findings.views.buffer();
        if decoder(text.bytes, &mut out) {
            self.findings.views.push(out, layers.with(layer), text.is_name);
        } else {
            self.findings.views.give_back(out);
        }
    }
}
