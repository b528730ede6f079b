//! The tokens of GraphQL, section 2.1 of its specification.

use super::GraphqlError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// One byte; the three dots of a spread are one token, too.
    Punctuator(u8),
    Name(&'a [u8]),
    Number(&'a [u8]),
    /// A string, which is now in the buffer.
    Text,
}

pub(super) struct Lexer<'a> {
    rest: &'a [u8],
}

impl<'a> Lexer<'a> {
    pub(super) fn new(document: &'a [u8]) -> Self {
        Self { rest: document.strip_prefix("\u{feff}".as_bytes()).unwrap_or(document) }
    }

    /// The next token, if there is one; a string goes to `text`.
    pub(super) fn next(&mut self, text: &mut Vec<u8>) -> Result<Option<Token<'a>>, GraphqlError> {
        self.skip_ignored();
        let Some(first) = self.rest.first().copied() else { return Ok(None) };
        let token = match first {
            b'"' => {
                text.clear();
                if let Some(rest) = self.rest.strip_prefix(br#"""""#) {
                    self.rest = rest;
                    self.block_string(text)?;
                } else {
                    self.advance(1);
                    self.string(text)?;
                }
                Token::Text
            }
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                Token::Name(self.take_while(|byte| byte == b'_' || byte.is_ascii_alphanumeric()))
            }
            b'-' | b'0'..=b'9' => Token::Number(
                self.take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')),
            ),
            b'.' => {
                self.rest = self.rest.strip_prefix(b"...").ok_or(GraphqlError::Malformed)?;
                Token::Punctuator(b'.')
            }
            b'!' | b'$' | b'&' | b'(' | b')' | b':' | b'=' | b'@' | b'[' | b']' | b'{' | b'|' | b'}' => {
                self.advance(1);
                Token::Punctuator(first)
            }
            _ => return Err(GraphqlError::Malformed),
        };
        Ok(Some(token))
    }

    fn advance(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    fn take_while(&mut self, accepts: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self.rest.iter().take_while(|byte| accepts(**byte)).count();
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }

    fn skip_ignored(&mut self) {
        loop {
            self.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b','));
            if self.rest.first() != Some(&b'#') {
                return;
            }
            self.take_while(|byte| !matches!(byte, b'\r' | b'\n'));
        }
    }

    /// Up to the closing quote. An escape that the language does not have stays as it is.
    fn string(&mut self, text: &mut Vec<u8>) -> Result<(), GraphqlError> {
        loop {
            text.extend_from_slice(self.take_while(|byte| !matches!(byte, b'"' | b'\\' | b'\r' | b'\n')));
            match self.rest {
                [b'"', rest @ ..] => {
                    self.rest = rest;
                    return Ok(());
                }
                [b'\\', b'u', rest @ ..] => match unicode(rest) {
                    Some((character, length)) => {
                        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                        self.advance(2 + length);
                    }
                    None => {
                        text.extend_from_slice(br"\u");
                        self.advance(2);
                    }
                },
                [b'\\', escaped, ..] if !matches!(escaped, b'\r' | b'\n') => {
                    match escaped {
                        b'"' | b'\\' | b'/' => text.push(*escaped),
                        b'b' => text.push(8),
                        b'f' => text.push(12),
                        b'n' => text.push(b'\n'),
                        b'r' => text.push(b'\r'),
                        b't' => text.push(b'\t'),
                        _ => text.extend_from_slice(&[b'\\', *escaped]),
                    }
                    self.advance(2);
                }
                _ => return Err(GraphqlError::Malformed),
            }
        }
    }

    /// Up to the closing quotes, of which only an escaped one is not.
    fn block_string(&mut self, text: &mut Vec<u8>) -> Result<(), GraphqlError> {
        loop {
            text.extend_from_slice(self.take_while(|byte| !matches!(byte, b'"' | b'\\')));
            if let Some(rest) = self.rest.strip_prefix(br#"""""#) {
                self.rest = rest;
                return Ok(());
            }
            if let Some(rest) = self.rest.strip_prefix(br#"\""""#) {
                self.rest = rest;
                text.extend_from_slice(br#"""""#);
                continue;
            }
            text.push(*self.rest.first().ok_or(GraphqlError::Malformed)?);
            self.advance(1);
        }
    }
}

/// The character that stands behind `\u`, and how many bytes say so: `0041`, `{41}`, or a surrogate pair.
fn unicode(text: &[u8]) -> Option<(char, usize)> {
    if let Some(rest) = text.strip_prefix(b"{") {
        let length = rest.iter().take(9).position(|byte| *byte == b'}')?;
        return Some((char::from_u32(hexadecimal(rest.get(..length)?)?)?, length + 2));
    }
    let first = hexadecimal(text.get(..4)?)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(first)?, 4));
    }
    let second = hexadecimal(text.get(4..)?.strip_prefix(br"\u")?.get(..4)?)?;
    let second = second.checked_sub(0xdc00).filter(|second| *second < 0x400)?;
    Some((char::from_u32(0x1_0000 + ((first - 0xd800) << 10 | second))?, 10))
}

/// The value of one to eight hexadecimal digits.
fn hexadecimal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits
        .iter()
        .try_fold(0, |value: u32, byte| Some(value.checked_mul(16)? + char::from(*byte).to_digit(16)?))
}
