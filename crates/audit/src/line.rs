//! One JSON object on one line, written without allocating.
//!
//! A log line is an injection target (CWE-117): whoever chooses a path must not be able to end the line,
//! start a field, or steer the terminal of whoever reads it. So everything that is not plain is escaped,
//! every text is bounded, and every bound that cut something off is named in the line's `truncated` list,
//! which no text can forge.

use std::net::IpAddr;

/// The name of a field, as it stands in the line: `"name":`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(&'static str);

impl Key {
    /// For [`key!`] only.
    pub(crate) const fn written(written: &'static str) -> Self {
        Self(written)
    }

    fn name(self) -> &'static str {
        self.0.trim_matches(['"', ':'])
    }
}

/// The [`Key`] of a literal name, quoted by the compiler rather than for each line.
macro_rules! key {
    ($name:literal) => {
        $crate::line::Key::written(concat!("\"", $name, "\":"))
    };
}
pub(crate) use key;

/// A line under construction. Keys are fixed texts of this crate; only values come from outside.
pub(crate) struct Line<'b> {
    out: &'b mut Vec<u8>,
    truncated: Vec<Key>,
}

impl<'b> Line<'b> {
    /// Starts the object in an emptied `out`.
    pub(crate) fn start(out: &'b mut Vec<u8>) -> Self {
        out.clear();
        out.push(b'{');
        // Allocates only once something is cut off.
        Self { out, truncated: Vec::new() }
    }

    /// Ends the object, after the names of the fields that were cut off, and the line.
    pub(crate) fn finish(mut self) {
        if !self.truncated.is_empty() {
            let truncated = std::mem::take(&mut self.truncated);
            self.list(key!("truncated"), truncated.len(), truncated, |line, key| {
                line.string(key.name().as_bytes());
            });
        }
        self.out.extend_from_slice(b"}\n");
    }

    /// A text, of which no more than `limit` bytes are kept; left out when empty.
    pub(crate) fn text(&mut self, key: Key, value: impl AsRef<[u8]>, limit: usize) {
        let value = value.as_ref();
        if !value.is_empty() {
            self.key(key);
            self.bounded_string(key, value, limit);
        }
    }

    /// A text of our own that needs neither bound nor escape.
    pub(crate) fn word(&mut self, key: Key, value: &str) {
        self.word_bytes(key, value.as_bytes());
    }

    /// A text of our own, given as the ASCII bytes that it is made of.
    pub(crate) fn word_bytes(&mut self, key: Key, value: &[u8]) {
        self.key(key);
        self.out.push(b'"');
        self.out.extend_from_slice(value);
        self.out.push(b'"');
    }

    /// A field named by one of our own words, with another as its value.
    pub(crate) fn entry(&mut self, name: &'static str, value: &str) {
        self.comma();
        for part in ["\"", name, "\":\"", value, "\""] {
            self.out.extend_from_slice(part.as_bytes());
        }
    }

    /// A number.
    pub(crate) fn number(&mut self, key: Key, value: u64) {
        self.key(key);
        self.digits(value);
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, key: Key, value: bool) {
        self.key(key);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// An address without its port.
    pub(crate) fn address(&mut self, key: Key, value: IpAddr) {
        self.key(key);
        self.out.push(b'"');
        match value {
            IpAddr::V4(address) => {
                for (at, octet) in address.octets().into_iter().enumerate() {
                    if at > 0 {
                        self.out.push(b'.');
                    }
                    self.digits(u64::from(octet));
                }
            }
            IpAddr::V6(address) => {
                use std::io::Write;
                // Writing into memory does not fail.
                let _ = write!(self.out, "{address}");
            }
        }
        self.out.push(b'"');
    }

    /// An object under `key`, filled by `fill`.
    pub(crate) fn object(&mut self, key: Key, fill: impl FnOnce(&mut Self)) {
        self.key(key);
        self.braces(fill);
    }

    /// A list under `key` of at most `limit` items, each written by `write`.
    pub(crate) fn list<I: IntoIterator>(
        &mut self,
        key: Key,
        limit: usize,
        items: I,
        write: impl FnMut(&mut Self, I::Item),
    ) {
        self.list_while(key, |_, at| at < limit, items, write);
    }

    /// A list under `key` of as many items as begin within the first `end` bytes of the line, each written by `write`.
    pub(crate) fn list_up_to<I: IntoIterator>(
        &mut self,
        key: Key,
        end: usize,
        items: I,
        write: impl FnMut(&mut Self, I::Item),
    ) {
        self.list_while(key, |line, _| line.out.len() < end, items, write);
    }

    fn list_while<I: IntoIterator>(
        &mut self,
        key: Key,
        fits: impl Fn(&Self, usize) -> bool,
        items: I,
        mut write: impl FnMut(&mut Self, I::Item),
    ) {
        self.key(key);
        self.out.push(b'[');
        for (at, item) in items.into_iter().enumerate() {
            if !fits(self, at) {
                self.mark_truncated(key);
                break;
            }
            if at > 0 {
                self.out.push(b',');
            }
            write(self, item);
        }
        self.out.push(b']');
    }

    /// An object as an item of a list.
    pub(crate) fn braces(&mut self, fill: impl FnOnce(&mut Self)) {
        self.out.push(b'{');
        fill(self);
        self.out.push(b'}');
    }

    /// A number as an item of a list.
    pub(crate) fn item(&mut self, value: u64) {
        self.digits(value);
    }

    /// A text as an item of the list `key`.
    pub(crate) fn bounded_string(&mut self, key: Key, value: &[u8], limit: usize) {
        let kept = bounded(value, limit);
        if kept.len() < value.len() {
            self.mark_truncated(key);
        }
        self.string(kept);
    }

    fn key(&mut self, key: Key) {
        self.comma();
        self.out.extend_from_slice(key.0.as_bytes());
    }

    fn comma(&mut self) {
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
    }

    fn digits(&mut self, value: u64) {
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    fn string(&mut self, value: &[u8]) {
        self.out.push(b'"');
        push_escaped(self.out, value);
        self.out.push(b'"');
    }

    fn mark_truncated(&mut self, key: Key) {
        if !self.truncated.contains(&key) {
            self.truncated.push(key);
        }
    }
}

/// The first bytes of `value`, at most `limit`, without tearing a character.
fn bounded(value: &[u8], limit: usize) -> &[u8] {
    const CONTINUATION: std::ops::RangeInclusive<u8> = 0x80..=0xbf;
    let Some(next) = value.get(limit) else { return value };
    let mut end = limit;
    if CONTINUATION.contains(next) {
        // A character has at most three bytes after its first; more is not UTF-8 and may be torn.
        let torn = value.iter().take(limit).rev().take(3);
        end -= torn.take_while(|byte| CONTINUATION.contains(byte)).count() + 1;
    }
    value.get(..end).unwrap_or_default()
}

/// Appends `value` as the inside of a JSON string. What is not UTF-8 becomes U+FFFD.
fn push_escaped(out: &mut Vec<u8>, value: &[u8]) {
    let mut rest = value;
    loop {
        let (before, after) = rest.split_at(plain_prefix(rest));
        out.extend_from_slice(before);
        match after.split_first() {
            None => return,
            Some((&byte, following)) if byte.is_ascii() => {
                push_escaped_ascii(out, byte);
                rest = following;
            }
            Some(_) => {
                let end = after.iter().position(u8::is_ascii).unwrap_or(after.len());
                let (unicode, following) = after.split_at(end);
                push_escaped_unicode(out, unicode);
                rest = following;
            }
        }
    }
}

/// How many bytes at the start are plain. Looks at 16 at a time, which the compiler makes one step of.
fn plain_prefix(bytes: &[u8]) -> usize {
    let (chunks, _) = bytes.as_chunks::<16>();
    let all_plain = |chunk: &[u8; 16]| chunk.iter().fold(true, |plain, &byte| plain & is_plain(byte));
    let skipped = 16 * chunks.iter().take_while(|chunk| all_plain(chunk)).count();
    let rest = bytes.iter().skip(skipped);
    skipped + rest.take_while(|&&byte| is_plain(byte)).count()
}

/// ASCII that stands for itself in a JSON string (RFC 8259 section 7) and on a terminal.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\'
}

fn push_escaped_ascii(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => push_code_unit(out, u16::from(byte)),
    }
}

fn push_escaped_unicode(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_invisible(character) {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    push_code_unit(out, *unit);
                }
            } else {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// Characters that end a line for some readers, steer terminals (C1 controls), or reorder and hide what
/// stands beside them (bidirectional controls, CVE-2021-42574; tag characters).
const fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{80}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

fn push_code_unit(out: &mut Vec<u8>, unit: u16) {
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        let digit = u32::from(unit >> shift) & 0xf;
        out.push(char::from_digit(digit, 16).map_or(b'0', |digit| digit as u8));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line_of(value: &[u8], limit: usize) -> String {
        let mut out = Vec::new();
        let mut line = Line::start(&mut out);
        line.text(key!("v"), value, limit);
        line.finish();
        String::from_utf8(out).unwrap()
    }

    fn read_back(value: &[u8]) -> String {
        let parsed: serde_json::Value = serde_json::from_str(&line_of(value, usize::MAX)).unwrap();
        parsed.get("v").map(|text| text.as_str().unwrap().to_owned()).unwrap_or_default()
    }

    #[test]
    fn what_could_break_a_line_is_escaped() {
        for (value, expected) in [
            ("\"}\n{\"a\":\"", r#"\"}\n{\"a\":\""#),
            ("a\u{2028}b\u{2029}", r"a\u2028b\u2029"),
            ("\u{1b}[2J\u{9b}2J\u{7f}\0", r"\u001b[2J\u009b2J\u007f\u0000"),
            ("\u{202e}gpj", r"\u202egpj"),
            ("\u{e0041}", r"\udb40\udc41"),
            ("caf\u{e9} \u{1f600}", "caf\u{e9} \u{1f600}"),
        ] {
            assert_eq!(line_of(value.as_bytes(), 100), format!("{{\"v\":\"{expected}\"}}\n"));
        }
    }

    #[test]
    fn a_cut_is_named_and_tears_no_character() {
        assert_eq!(line_of(b"abcdef", 6), "{\"v\":\"abcdef\"}\n");
        assert_eq!(line_of(b"abcdef", 3), "{\"v\":\"abc\",\"truncated\":[\"v\"]}\n");
        for limit in 3..6 {
            let cut = line_of("ab\u{1f600}c".as_bytes(), limit);
            assert_eq!(cut, "{\"v\":\"ab\",\"truncated\":[\"v\"]}\n", "{limit}");
        }
        assert!(line_of(&[0x80; 9], 4).contains("truncated"));
    }

    #[test]
    fn addresses_have_their_usual_form() {
        for address in ["192.0.2.7", "0.0.0.0", "255.255.255.255", "::1", "2001:db8::7"] {
            let mut out = Vec::new();
            let mut line = Line::start(&mut out);
            line.address(key!("a"), address.parse().unwrap());
            line.finish();
            assert_eq!(String::from_utf8(out).unwrap(), format!("{{\"a\":\"{address}\"}}\n"));
        }
    }

    /// Texts that are rich in what matters here, and bytes that are no text at all.
    fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            any::<char>().prop_map(|character| character.to_string().into_bytes()),
            (0_u32..0x300).prop_map(|code| char::from_u32(code).unwrap().to_string().into_bytes()),
            (0x2000_u32..0x2070).prop_map(|code| char::from_u32(code).unwrap().to_string().into_bytes()),
            proptest::collection::vec(any::<u8>(), 1..4),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn every_value_is_one_line_that_reads_back(value in hostile_bytes()) {
            let line = line_of(&value, usize::MAX);
            prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
            prop_assert!(line.trim_end_matches('\n').chars().all(|c| !c.is_control() && !is_invisible(c)));
            prop_assert_eq!(read_back(&value), String::from_utf8_lossy(&value));
        }

        #[test]
        fn a_cut_value_is_a_prefix(text in ".{0,40}", limit in 4_usize..60) {
            let kept = bounded(text.as_bytes(), limit);
            prop_assert!(kept.len() <= limit);
            prop_assert!(text.as_bytes().starts_with(kept));
            prop_assert!(std::str::from_utf8(kept).is_ok());
            prop_assert!(kept.len() == text.len() || kept.len() + 4 > limit);
        }
    }
}
