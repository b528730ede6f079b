//! Redaction of JSON as it streams.
//!
//! A tokenizer that keeps no more than the way to the present place, the present name and one block of
//! the present string. It is strict about structure: where it and a client could read a document in two
//! ways, it stops. Bytes that are not redacted leave as they came.

use bytes::BytesMut;
use memchr::memchr2;

use super::fields::{Alive, LONGEST_NAME, Place};
use super::strings::{Escape, Read};
use super::window::{BLOCK, Window};
use super::{Malformed, Redaction};

/// The deepest nesting that is read.
const DEEPEST: usize = 128;

#[derive(Debug)]
pub(super) struct JsonRedactor {
    /// The arrays and objects around the present place.
    around: Vec<Container>,
    expect: Expect,
    token: Token,
    /// The place of the value that is read or comes next.
    place: Place,
    /// The number of containers around the value that is being left out, if one is.
    hidden_at: Option<usize>,
    name: Name,
    escape: Escape,
    /// For patterns in strings, if there are patterns.
    window: Option<Window>,
    /// A number or literal, held until its end if there are patterns.
    scalar: Vec<u8>,
    byte_order_mark: ByteOrderMark,
}

#[derive(Debug, Clone, Copy)]
struct Container {
    is_object: bool,
    alive: Alive,
}

/// What may come next, besides white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    ValueOrEnd,
    Name,
    NameOrEnd,
    Colon,
    CommaOrEnd,
}

/// What the present byte is inside of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    None,
    Name,
    Text,
    /// A number, `true`, `false`, `null`, or what some writers put in their places (`NaN`).
    Scalar,
}

/// How much of UTF-8's mark has been seen at the start. RFC 8259 section 8.1 lets readers skip it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ByteOrderMark {
    Possible,
    First,
    Second,
    Past,
}

/// The name of a member, with its escapes resolved.
#[derive(Debug, Default)]
struct Name {
    bytes: Vec<u8>,
    is_too_long: bool,
}

impl JsonRedactor {
    pub(super) fn new(rules: &Redaction) -> Self {
        Self {
            around: Vec::new(),
            expect: Expect::Value,
            token: Token::None,
            place: rules.fields.top(),
            hidden_at: None,
            name: Name::default(),
            escape: Escape::default(),
            window: (!rules.detectors.is_empty()).then(|| Window::for_strings(&rules.detectors)),
            scalar: Vec::new(),
            byte_order_mark: ByteOrderMark::Possible,
        }
    }

    pub(super) fn push(
        &mut self,
        rules: &Redaction,
        mut chunk: &[u8],
        out: &mut BytesMut,
    ) -> Result<(), Malformed> {
        while let Some((&byte, rest)) = chunk.split_first() {
            if matches!(self.token, Token::Name | Token::Text) && !self.escape.is_open() {
                let at = memchr2(b'"', b'\\', chunk).unwrap_or(chunk.len());
                let (plain, rest) = chunk.split_at_checked(at).unwrap_or((chunk, &[]));
                if !plain.is_empty() {
                    self.plain(rules, plain, out);
                    chunk = rest;
                    continue;
                }
            }
            self.step(rules, byte, out)?;
            chunk = rest;
        }
        Ok(())
    }

    /// Ends the body. If it ends amid a value, so does what is written.
    pub(super) fn finish(&mut self, rules: &Redaction, out: &mut BytesMut) {
        match self.token {
            Token::None => {}
            Token::Scalar => self.end_scalar(rules, out),
            Token::Name | Token::Text => {
                if let Some(window) = &mut self.window {
                    window.finish(rules, out);
                }
            }
        }
    }

    fn step(&mut self, rules: &Redaction, byte: u8, out: &mut BytesMut) -> Result<(), Malformed> {
        match self.token {
            Token::None => self.structure(rules, byte, out),
            Token::Scalar if is_scalar(byte) => {
                self.scalar_byte(byte, out);
                Ok(())
            }
            Token::Scalar => {
                self.end_scalar(rules, out);
                self.structure(rules, byte, out)
            }
            Token::Name | Token::Text => self.string_byte(rules, byte, out),
        }
    }

    // ---- Structure ----

    fn structure(&mut self, rules: &Redaction, byte: u8, out: &mut BytesMut) -> Result<(), Malformed> {
        if self.byte_order_mark != ByteOrderMark::Past && self.is_mark(byte)? {
            self.show(&[byte], out);
            return Ok(());
        }
        match (byte, self.expect) {
            (b' ' | b'\t' | b'\r' | b'\n', _) => self.show(&[byte], out),
            // RFC 7464 section 2.2: each text of a sequence begins with a record separator.
            (0x1e, Expect::Value) if self.around.is_empty() => self.show(&[byte], out),
            (b'"', Expect::Name | Expect::NameOrEnd) => {
                self.show(&[byte], out);
                self.name.clear();
                self.token = Token::Name;
            }
            (b':', Expect::Colon) => {
                self.show(&[byte], out);
                self.expect = Expect::Value;
            }
            (b',', Expect::CommaOrEnd) => {
                self.show(&[byte], out);
                let in_object = self.around.last().is_some_and(|container| container.is_object);
                self.expect = if in_object { Expect::Name } else { Expect::Value };
            }
            (b'}', Expect::NameOrEnd | Expect::CommaOrEnd) => self.close(true, byte, out)?,
            (b']', Expect::ValueOrEnd | Expect::CommaOrEnd) => self.close(false, byte, out)?,
            (_, Expect::Value | Expect::ValueOrEnd) => self.begin_value(rules, byte, out)?,
            _ => return Err(Malformed),
        }
        Ok(())
    }

    fn begin_value(&mut self, rules: &Redaction, byte: u8, out: &mut BytesMut) -> Result<(), Malformed> {
        match self.around.last() {
            None => self.place = rules.fields.top(),
            Some(container) if !container.is_object => {
                self.place = rules.fields.element(container.alive, self.around.len() - 1);
            }
            Some(_) => {}
        }
        let opens = matches!(byte, b'{' | b'[');
        if !(opens || byte == b'"' || is_scalar(byte)) || (opens && self.around.len() == DEEPEST) {
            return Err(Malformed);
        }
        if self.place.redact && self.hidden_at.is_none() {
            out.extend_from_slice(&rules.mask.quoted);
            self.hidden_at = Some(self.around.len());
        }
        match byte {
            b'"' => {
                self.show(&[byte], out);
                self.token = Token::Text;
            }
            b'{' | b'[' => {
                self.show(&[byte], out);
                let is_object = byte == b'{';
                self.around.push(Container { is_object, alive: self.place.alive });
                self.expect = if is_object { Expect::NameOrEnd } else { Expect::ValueOrEnd };
            }
            _ => {
                self.token = Token::Scalar;
                self.scalar_byte(byte, out);
            }
        }
        Ok(())
    }

    fn close(&mut self, is_object: bool, byte: u8, out: &mut BytesMut) -> Result<(), Malformed> {
        match self.around.pop() {
            Some(container) if container.is_object == is_object => {
                self.show(&[byte], out);
                self.end_value();
                Ok(())
            }
            _ => Err(Malformed),
        }
    }

    fn end_value(&mut self) {
        self.token = Token::None;
        self.expect = if self.around.is_empty() { Expect::Value } else { Expect::CommaOrEnd };
        if self.hidden_at == Some(self.around.len()) {
            self.hidden_at = None;
        }
    }

    /// Whether `byte` belongs to a byte order mark at the start of the body.
    fn is_mark(&mut self, byte: u8) -> Result<bool, Malformed> {
        let (next, is_mark) = match (self.byte_order_mark, byte) {
            (ByteOrderMark::Possible, 0xef) => (ByteOrderMark::First, true),
            (ByteOrderMark::First, 0xbb) => (ByteOrderMark::Second, true),
            (ByteOrderMark::Second, 0xbf) => (ByteOrderMark::Past, true),
            (ByteOrderMark::Possible, _) => (ByteOrderMark::Past, false),
            _ => return Err(Malformed),
        };
        self.byte_order_mark = next;
        Ok(is_mark)
    }

    /// Writes bytes as they came, unless they are part of a value that is left out.
    fn show(&self, bytes: &[u8], out: &mut BytesMut) {
        if self.hidden_at.is_none() {
            out.extend_from_slice(bytes);
        }
    }

    // ---- Strings ----

    fn string_byte(&mut self, rules: &Redaction, byte: u8, out: &mut BytesMut) -> Result<(), Malformed> {
        if self.escape.is_open() {
            return self.escape_byte(rules, byte, out);
        }
        match byte {
            b'\\' => self.escape.read(byte).map(|_| ()),
            b'"' => {
                self.end_string(rules, out);
                Ok(())
            }
            _ => {
                self.plain(rules, &[byte], out);
                Ok(())
            }
        }
    }

    fn escape_byte(&mut self, rules: &Redaction, byte: u8, out: &mut BytesMut) -> Result<(), Malformed> {
        match self.escape.read(byte)? {
            Read::More => Ok(()),
            Read::Done(character) => {
                let escape = std::mem::take(&mut self.escape);
                self.character(rules, character, escape.spelled(), out);
                Ok(())
            }
            Read::Alone => {
                let escape = std::mem::take(&mut self.escape);
                let (half, beyond) = escape.split_alone();
                self.character(rules, char::REPLACEMENT_CHARACTER, half, out);
                // What was read beyond the half begins with `\` and is at most one more escape, so this
                // goes no deeper than once for each half.
                for &byte in beyond {
                    self.string_byte(rules, byte, out)?;
                }
                if beyond.is_empty() { self.string_byte(rules, byte, out) } else { Ok(()) }
            }
        }
    }

    fn plain(&mut self, rules: &Redaction, text: &[u8], out: &mut BytesMut) {
        if self.hidden_at.is_some() {
            return;
        }
        if self.token == Token::Name {
            self.name.push(text);
        }
        match &mut self.window {
            Some(window) => window.push(rules, text, out),
            None => out.extend_from_slice(text),
        }
    }

    fn character(&mut self, rules: &Redaction, character: char, spelled: &[u8], out: &mut BytesMut) {
        if self.hidden_at.is_some() {
            return;
        }
        if self.token == Token::Name {
            self.name.push(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        match &mut self.window {
            Some(window) => window.push_escaped(rules, character, spelled, out),
            None => out.extend_from_slice(spelled),
        }
    }

    fn end_string(&mut self, rules: &Redaction, out: &mut BytesMut) {
        if self.hidden_at.is_none()
            && let Some(window) = &mut self.window
        {
            window.finish(rules, out);
        }
        self.show(b"\"", out);
        if self.token == Token::Text {
            self.end_value();
            return;
        }
        self.token = Token::None;
        self.expect = Expect::Colon;
        if let (None, Some(container)) = (self.hidden_at, self.around.last()) {
            self.place = rules.fields.member(container.alive, self.around.len() - 1, self.name.get());
        }
    }

    // ---- Numbers and literals ----

    fn scalar_byte(&mut self, byte: u8, out: &mut BytesMut) {
        if self.window.is_none() {
            self.show(&[byte], out);
        } else if self.hidden_at.is_none() && self.scalar.len() <= BLOCK {
            self.scalar.push(byte);
        }
    }

    fn end_scalar(&mut self, rules: &Redaction, out: &mut BytesMut) {
        // A number that is too long to be looked at as a whole is not shown.
        let is_masked = self.scalar.len() > BLOCK || super::detect::any(&rules.detectors, &self.scalar);
        out.extend_from_slice(if is_masked { &rules.mask.quoted } else { &self.scalar });
        self.scalar.clear();
        self.end_value();
    }
}

impl Name {
    fn clear(&mut self) {
        self.bytes.clear();
        self.is_too_long = false;
    }

    fn push(&mut self, text: &[u8]) {
        if self.bytes.len() + text.len() > LONGEST_NAME {
            self.is_too_long = true;
        } else if !self.is_too_long {
            self.bytes.extend_from_slice(text);
        }
    }

    fn get(&self) -> Option<&[u8]> {
        (!self.is_too_long).then_some(&self.bytes)
    }
}

const fn is_scalar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
}
