//! Looking for patterns in text that comes in pieces.
//!
//! Text is gathered to blocks of a fixed size, and decided half a block at a time: matches that begin in
//! the first half are found with all of the second half in sight. So what is found does not depend on
//! how the text was cut into pieces, and every match of up to half a block is found.

use std::ops::Range;

use bytes::BytesMut;

use super::Redaction;
use super::detect::{Detector, Progress, View};

/// The longest match, in bytes, that is certain to be found wherever it stands. Private keys and JSON
/// Web Tokens are followed to their ends however long they are.
pub const LONGEST_MATCH: usize = 4096;

/// How much text is gathered before half of it is decided.
pub(super) const BLOCK: usize = 2 * LONGEST_MATCH;

/// How much decided text is kept in sight: one character of any length, for `\b` and the like.
const CONTEXT: usize = 4;

/// A text that is being redacted.
#[derive(Debug)]
pub(super) struct Window {
    /// Decided text that is still in sight, then undecided text.
    text: Vec<u8>,
    /// Where the undecided text begins.
    from: usize,
    /// Up to where the text is part of a match that has its mask already.
    masked_to: usize,
    progress: Vec<Progress>,
    spelling: Spelling,
    spans: Vec<Range<usize>>,
}

/// How the text is written in the body.
#[derive(Debug)]
enum Spelling {
    /// As it is.
    Plain,
    /// With the escapes of a JSON string: the bytes as they stand there, and how many of them stand for
    /// each undecided byte of the text. The first byte of an escaped character has all of them.
    Escaped { raw: Vec<u8>, widths: Vec<u8> },
}

impl Window {
    /// For a body that is text.
    pub(super) fn for_text(detectors: &[Detector]) -> Self {
        Self::new(detectors, Spelling::Plain)
    }

    /// For the strings of a JSON body, one after the other.
    pub(super) fn for_strings(detectors: &[Detector]) -> Self {
        Self::new(detectors, Spelling::Escaped { raw: Vec::new(), widths: Vec::new() })
    }

    fn new(detectors: &[Detector], spelling: Spelling) -> Self {
        let progress = vec![Progress::default(); detectors.len()];
        Self { text: Vec::new(), from: 0, masked_to: 0, progress, spelling, spans: Vec::new() }
    }

    /// Takes text that is written as it is.
    pub(super) fn push(&mut self, rules: &Redaction, mut text: &[u8], out: &mut BytesMut) {
        while !text.is_empty() {
            let room = BLOCK.saturating_sub(self.text.len() - self.from);
            let (now, later) = text.split_at_checked(room).unwrap_or((text, &[]));
            self.text.extend_from_slice(now);
            if let Spelling::Escaped { raw, widths } = &mut self.spelling {
                raw.extend_from_slice(now);
                widths.resize(widths.len() + now.len(), 1);
            }
            self.decide_if_full(rules, out);
            text = later;
        }
    }

    /// Takes one character that is written as the escape `spelled`.
    pub(super) fn push_escaped(
        &mut self,
        rules: &Redaction,
        character: char,
        spelled: &[u8],
        out: &mut BytesMut,
    ) {
        let mut width = u8::try_from(spelled.len()).unwrap_or(u8::MAX);
        if let Spelling::Escaped { raw, .. } = &mut self.spelling {
            raw.extend_from_slice(spelled);
        }
        for &byte in character.encode_utf8(&mut [0; 4]).as_bytes() {
            self.text.push(byte);
            if let Spelling::Escaped { widths, .. } = &mut self.spelling {
                widths.push(std::mem::take(&mut width));
            }
            self.decide_if_full(rules, out);
        }
    }

    /// Ends the text, writes what is left of it and is ready for another.
    pub(super) fn finish(&mut self, rules: &Redaction, out: &mut BytesMut) {
        self.decide(rules, true, out);
        self.text.clear();
        self.from = 0;
        self.masked_to = 0;
        self.progress.fill(Progress::default());
    }

    fn decide_if_full(&mut self, rules: &Redaction, out: &mut BytesMut) {
        if self.text.len() - self.from >= BLOCK {
            self.decide(rules, false, out);
        }
    }

    fn decide(&mut self, rules: &Redaction, is_last: bool, out: &mut BytesMut) {
        let until = if is_last { self.text.len() } else { self.from + LONGEST_MATCH };
        let view = View { text: &self.text, from: self.from, until, is_last };
        self.spans.clear();
        for (detector, progress) in rules.detectors.iter().zip(&mut self.progress) {
            detector.find(view, progress, &mut self.spans);
        }
        self.spans.sort_unstable_by_key(|span| (span.start, span.end));
        self.write(until, &rules.mask.plain, out);
        self.forget(until);
    }

    /// Writes the text up to `until`, with masks in the places of the spans. Spans that overlap have
    /// one mask together.
    fn write(&mut self, until: usize, mask: &[u8], out: &mut BytesMut) {
        let mut written = Written::default();
        for span in &self.spans {
            if span.start >= self.masked_to {
                let shown = written.text.max(self.masked_to).max(self.from)..span.start;
                out.extend_from_slice(written.next(shown, &self.text, self.from, &self.spelling));
                out.extend_from_slice(mask);
            }
            self.masked_to = self.masked_to.max(span.end);
        }
        let shown = written.text.max(self.masked_to).max(self.from)..until;
        out.extend_from_slice(written.next(shown, &self.text, self.from, &self.spelling));
    }

    /// Drops the text before `until`, except for the context.
    fn forget(&mut self, until: usize) {
        if let Spelling::Escaped { raw, widths } = &mut self.spelling {
            let gone: usize = widths.drain(..until - self.from).map(usize::from).sum();
            raw.drain(..gone);
        }
        let gone = until.saturating_sub(CONTEXT);
        self.text.drain(..gone);
        self.from = until - gone;
        self.masked_to = self.masked_to.saturating_sub(gone);
        for progress in &mut self.progress {
            progress.resume = progress.resume.saturating_sub(gone);
        }
    }
}

/// How far a block has been written.
#[derive(Default)]
struct Written {
    text: usize,
    /// The place in the body's spelling that belongs to `text`.
    raw: usize,
}

impl Written {
    /// The next part of the text that is shown, as the body spells it. Parts come in order, so that
    /// all of them together cost one walk over the block.
    fn next<'w>(
        &mut self,
        part: Range<usize>,
        text: &'w [u8],
        from: usize,
        spelling: &'w Spelling,
    ) -> &'w [u8] {
        if part.is_empty() {
            return &[];
        }
        let shown = match spelling {
            Spelling::Plain => text.get(part.clone()),
            Spelling::Escaped { raw, widths } => {
                let spelled = |from: usize, to: usize| -> usize {
                    widths.get(from..to).unwrap_or_default().iter().map(|&width| usize::from(width)).sum()
                };
                let start = self.raw + spelled(self.text.saturating_sub(from), part.start - from);
                self.raw = start + spelled(part.start - from, part.end - from);
                raw.get(start..self.raw)
            }
        };
        self.text = part.end;
        shown.unwrap_or_default()
    }
}

/// An event stream: each event is a text of its own, so that it can leave when it is complete. Events
/// end with an empty line (HTML Standard, section 9.2.5).
#[derive(Debug)]
pub(super) struct EventWindow {
    window: Window,
    /// Whether the line that is being read is empty so far.
    line_is_empty: bool,
}

impl EventWindow {
    pub(super) fn new(detectors: &[Detector]) -> Self {
        Self { window: Window::for_text(detectors), line_is_empty: true }
    }

    pub(super) fn push(&mut self, rules: &Redaction, chunk: &[u8], out: &mut BytesMut) {
        for line in chunk.split_inclusive(|&byte| byte == b'\n') {
            self.window.push(rules, line, out);
            let ends = line.ends_with(b"\n");
            let is_empty = line.iter().all(|byte| matches!(byte, b'\r' | b'\n')) && self.line_is_empty;
            if ends && is_empty {
                self.window.finish(rules, out);
            }
            self.line_is_empty = ends || is_empty;
        }
    }

    pub(super) fn finish(&mut self, rules: &Redaction, out: &mut BytesMut) {
        self.window.finish(rules, out);
    }
}
