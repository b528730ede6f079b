//! Requests that no honest client writes.

use super::detector::{Probe, Text};
use super::gate::Classes;
use super::rules::{Family, Rule, rule};
use super::score::{Cues, Place};

const METHOD: u32 = 100_000;
const TWO_LENGTHS: u32 = 100_001;
const TRANSFER: u32 = 100_002;
const REPEATED: u32 = 100_003;
const OVERRIDE: u32 = 100_004;
const RANGES: u32 = 100_005;
const CONTROL: u32 = 100_006;
/// The rule about values that ask for more work than their length allows.
pub const COMPLEX: u32 = 100_007;

const fn protocol(id: u32, scores: (u16, u16), title: &'static str, description: &'static str) -> Rule {
    rule(id, Family::Protocol, scores, title, description)
}

pub(super) const RULES: &[Rule] = &[
    protocol(
        METHOD,
        (5, 5),
        "method",
        "A method that shows headers, tunnels, or is not one: TRACE, TRACK, DEBUG.",
    ),
    protocol(
        TWO_LENGTHS,
        (5, 5),
        "two ideas of a length",
        "Content-Length and Transfer-Encoding in one request, as smuggling needs.",
    ),
    protocol(
        TRANSFER,
        (5, 5),
        "transfer encoding",
        "A transfer encoding that parsers read in different ways.",
    ),
    protocol(
        REPEATED,
        (5, 5),
        "header twice",
        "A header that may stand once stands twice: Host, Content-Length, Content-Type.",
    ),
    protocol(
        OVERRIDE,
        (3, 3),
        "target or method in a header",
        "A header that replaces the target: X-Original-URL, X-Rewrite-URL.",
    ),
    protocol(
        RANGES,
        (5, 5),
        "many ranges",
        "So many ranges of a resource that answering them exhausts the server.",
    ),
    protocol(
        CONTROL,
        (4, 4),
        "control character",
        "A zero byte or another control character in a path, a name or a header.",
    ),
    protocol(
        COMPLEX,
        (4, 4),
        "too complex to judge",
        "A value asks for more work than its length allows, and cannot be read to its end.",
    ),
];

pub(super) const PROBE: Probe = Probe {
    families: Family::Protocol.bit(),
    anchors: &[],
    classes: Classes::ZERO | Classes::OTHER,
    needs: 0,
    cost: 1,
    run,
};

/// Control characters do not occur in names, paths and headers of honest clients.
fn run(text: &Text<'_>, cues: &mut Cues) {
    let strict = !matches!(text.place, Place::BodyValue | Place::RawBody | Place::QueryValue);
    if strict && let Some(at) = text.bytes.iter().position(|byte| matches!(byte, 0..=8 | 0x0e..=0x1f | 0x7f))
    {
        cues.add(CONTROL, at, at + 1);
    }
}

pub(super) fn method(method: &[u8], found: &mut dyn FnMut(u32, &[u8])) {
    let odd = [&b"TRACE"[..], b"TRACK", b"DEBUG", b"CONNECT"]
        .iter()
        .any(|known| method.eq_ignore_ascii_case(known));
    if odd
        || method.is_empty()
        || method.len() > 32
        || !method.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'-')
    {
        found(METHOD, method);
    }
}

/// What the headers say together.
#[derive(Default)]
pub(super) struct Head {
    lengths: usize,
    hosts: usize,
    types: usize,
    transfers: usize,
}

impl Head {
    pub(super) fn header(&mut self, name: &[u8], value: &[u8], found: &mut dyn FnMut(u32)) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("content-length") {
            self.lengths += 1;
        } else if is("host") {
            self.hosts += 1;
        } else if is("content-type") {
            self.types += 1;
        } else if is("transfer-encoding") {
            self.transfers += 1;
            if !value.eq_ignore_ascii_case(b"chunked") {
                found(TRANSFER);
            }
        } else if is("x-original-url") || is("x-rewrite-url") || is("x-http-method-override") {
            found(OVERRIDE);
        } else if is("range") && value.iter().filter(|byte| **byte == b',').count() > 8 {
            found(RANGES);
        }
    }

    pub(super) fn end(&self, found: &mut dyn FnMut(u32)) {
        if self.lengths > 0 && self.transfers > 0 {
            found(TWO_LENGTHS);
        }
        if self.lengths > 1 || self.hosts > 1 || self.types > 1 || self.transfers > 1 {
            found(REPEATED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_methods() {
        let mut ids = Vec::new();
        let mut head = Head::default();
        head.header(b"Content-Length", b"3", &mut |id| ids.push(id));
        head.header(b"Transfer-Encoding", b"chunked", &mut |id| ids.push(id));
        head.end(&mut |id| ids.push(id));
        method(b"TRACE", &mut |id, _| ids.push(id));
        method(b"PATCH", &mut |id, _| ids.push(id));
        assert_eq!(ids, [TWO_LENGTHS, METHOD]);
    }
}
