//! The tokens of JSON, RFC 8259.

use super::JsonProblem;

/// The beginning of a value, or all of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `[`.
    Array,
    /// `{`.
    Object,
    /// A value whose text stands in the input.
    Text(&'a [u8]),
    /// A string with escapes, which is now in the buffer.
    Decoded,
}

pub(super) struct Lexer<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Whether nothing but white space is left.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.peek().is_none()
    }

    /// Takes `byte` if it is next.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let next = self.peek() == Some(byte);
        self.at += usize::from(next);
        next
    }

    pub(super) fn expect(&mut self, byte: u8) -> Result<(), JsonProblem> {
        if self.take(byte) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> JsonProblem {
        if self.peek().is_some() { JsonProblem::UnexpectedByte } else { JsonProblem::UnexpectedEnd }
    }

    /// The next value; a string with escapes goes to `decoded`.
    pub(super) fn token(&mut self, decoded: &mut Vec<u8>) -> Result<Token<'a>, JsonProblem> {
        self.skip_space();
        match self.peek() {
            Some(b'[') => {
                self.at += 1;
                Ok(Token::Array)
            }
            Some(b'{') => {
                self.at += 1;
                Ok(Token::Object)
            }
            Some(b'"') => Ok(self.string(decoded)?.map_or(Token::Decoded, Token::Text)),
            Some(b't') => self.word(b"true", b"true"),
            Some(b'f') => self.word(b"false", b"false"),
            Some(b'n') => self.word(b"null", b""),
            Some(b'-' | b'0'..=b'9') => self.number().map(Token::Text),
            Some(byte) if byte.is_ascii_alphabetic() => Err(JsonProblem::InvalidLiteral),
            _ => Err(self.unexpected()),
        }
    }

    fn word(&mut self, word: &[u8], value: &'static [u8]) -> Result<Token<'a>, JsonProblem> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            Ok(Token::Text(value))
        } else if word.starts_with(rest) {
            self.at += rest.len();
            Err(JsonProblem::UnexpectedEnd)
        } else {
            Err(JsonProblem::InvalidLiteral)
        }
    }

    fn number(&mut self) -> Result<&'a [u8], JsonProblem> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'0'..=b'9' | b'.' | b'a'..=b'z' | b'A'..=b'Z')) {
            return Err(JsonProblem::InvalidNumber);
        }
        Ok(self.input.get(start..self.at).unwrap_or_default())
    }

    fn digits(&mut self) -> Result<(), JsonProblem> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        match self.peek() {
            _ if self.at > start => Ok(()),
            None => Err(JsonProblem::UnexpectedEnd),
            Some(_) => Err(JsonProblem::InvalidNumber),
        }
    }

    /// A string: its text if it has no escapes, otherwise nothing, and it is in `decoded`.
    pub(super) fn string(&mut self, decoded: &mut Vec<u8>) -> Result<Option<&'a [u8]>, JsonProblem> {
        self.expect(b'"')?;
        let first = self.plain()?;
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(Some(first));
        }
        decoded.clear();
        decoded.extend_from_slice(first);
        while self.peek() == Some(b'\\') {
            self.at += 1;
            let character = self.escape()?;
            decoded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            decoded.extend_from_slice(self.plain()?);
        }
        self.at += 1;
        Ok(None)
    }

    /// The bytes up to the next `"` or `\`, which is there and is not taken.
    fn plain(&mut self) -> Result<&'a [u8], JsonProblem> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
        let text = rest.get(..length.unwrap_or(rest.len())).unwrap_or_default();
        if let Err(error) = std::str::from_utf8(text) {
            self.at += error.valid_up_to();
            return Err(JsonProblem::InvalidUtf8);
        }
        self.at += text.len();
        match self.peek() {
            None => Err(JsonProblem::UnexpectedEnd),
            Some(0..=0x1f) => Err(JsonProblem::ControlCharacter),
            Some(_) => Ok(text),
        }
    }

    /// What stands behind a `\`.
    fn escape(&mut self) -> Result<char, JsonProblem> {
        let byte = self.peek().ok_or(JsonProblem::UnexpectedEnd)?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(JsonProblem::InvalidEscape),
        })
    }

    fn unicode(&mut self) -> Result<char, JsonProblem> {
        let first = self.four_digits()?;
        let code = if (0xd800..0xdc00).contains(&first) {
            if self.input.get(self.at..).and_then(|rest| rest.get(..2)) != Some(br"\u") {
                return Err(JsonProblem::InvalidEscape);
            }
            self.at += 2;
            let second = self.four_digits()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(JsonProblem::InvalidEscape);
            }
            0x1_0000 + ((first - 0xd800) << 10 | (second - 0xdc00))
        } else {
            first
        };
        char::from_u32(code).ok_or(JsonProblem::InvalidEscape)
    }

    fn four_digits(&mut self) -> Result<u32, JsonProblem> {
        let mut code = 0;
        for _ in 0..4 {
            let byte = self.peek().ok_or(JsonProblem::UnexpectedEnd)?;
            let digit = char::from(byte).to_digit(16).ok_or(JsonProblem::InvalidEscape)?;
            code = code << 4 | digit;
            self.at += 1;
        }
        Ok(code)
    }
}
