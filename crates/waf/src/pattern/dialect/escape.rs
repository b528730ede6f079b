//! What follows a backslash.

use super::super::PatternError;
use super::super::bytes::ByteSet;
use super::super::node::{Node, Place};
use super::Parser;

/// What an escape stands for.
pub(super) enum Escaped {
    Byte(u8),
    Set(ByteSet),
}

impl Parser<'_> {
    /// An escape outside of a class.
    pub(super) fn escape(&mut self) -> Result<Node, PatternError> {
        let begin = self.at;
        self.at += 1;
        let Some(byte) = self.next() else {
            return Err(self.error("a backslash at the end: escape it as `\\\\`"));
        };
        Ok(match byte {
            b'A' | b'G' => Node::Place(Place::Start),
            b'z' => Node::Place(Place::End),
            b'Z' => Node::end_or_last_line_feed(),
            b'b' => Node::Place(Place::WordEdge),
            b'B' => Node::Place(Place::NotWordEdge),
            b'K' => Node::Keep,
            b'R' => Node::Either(vec![
                Node::Concat(vec![Node::Set(ByteSet::of(b"\r")), Node::Set(ByteSet::of(b"\n"))]),
                Node::Set(vertical_space()),
            ]),
            b'N' => Node::Set(ByteSet::of(b"\n").complement()),
            b'C' => Node::Set(ByteSet::ALL),
            b'g' | b'k' => return self.named_reference(byte),
            b'1'..=b'9' => return self.numbered_reference(byte),
            _ => {
                self.at = begin + 1;
                let set = match self.common_escape()? {
                    Escaped::Byte(byte) => ByteSet::range(byte, byte),
                    Escaped::Set(set) => set,
                };
                Node::Set(self.cased(set))
            }
        })
    }

    /// What an escape means within a class and outside of one; `at` is behind the backslash.
    pub(super) fn common_escape(&mut self) -> Result<Escaped, PatternError> {
        let Some(byte) = self.next() else {
            return Err(self.error("a backslash at the end: escape it as `\\\\`"));
        };
        let set = |set: ByteSet, inverted: bool| Escaped::Set(if inverted { set.complement() } else { set });
        Ok(match byte {
            b'a' => Escaped::Byte(7),
            b'e' => Escaped::Byte(27),
            b'f' => Escaped::Byte(12),
            b'n' => Escaped::Byte(b'\n'),
            b'r' => Escaped::Byte(b'\r'),
            b't' => Escaped::Byte(b'\t'),
            b'd' | b'D' => set(ByteSet::range(b'0', b'9'), byte == b'D'),
            b's' | b'S' => set(ByteSet::of(b"\t\n\x0b\x0c\r "), byte == b'S'),
            b'w' | b'W' => set(word(), byte == b'W'),
            b'h' | b'H' => set(ByteSet::of(b"\t \xa0"), byte == b'H'),
            b'v' | b'V' => set(vertical_space(), byte == b'V'),
            b'x' => Escaped::Byte(self.hexadecimal()?),
            b'o' if self.peek() == Some(b'{') => Escaped::Byte(self.braced(8)?),
            b'0'..=b'7' => {
                self.at -= 1;
                Escaped::Byte(self.octal())
            }
            b'c' => match self.next() {
                Some(control) if control.is_ascii() => Escaped::Byte(control.to_ascii_uppercase() ^ 0x40),
                _ => return Err(self.error("`\\c` without a letter")),
            },
            b'p' | b'P' | b'X' => {
                return Err(self.error("Unicode properties: rules look at bytes, so name the bytes"));
            }
            // A character that needs no escape, also of those letters that mean nothing: rules escape generously.
            _ => Escaped::Byte(byte),
        })
    }

    /// `\x`, then up to two digits or any number within braces.
    fn hexadecimal(&mut self) -> Result<u8, PatternError> {
        if self.peek() == Some(b'{') && self.rest().get(1).is_some_and(u8::is_ascii_hexdigit) {
            return self.braced(16);
        }
        let mut value = 0;
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(16)) else { break };
            self.at += 1;
            value = value * 16 + digit;
        }
        Ok(u8::try_from(value).unwrap_or_default())
    }

    fn braced(&mut self, radix: u32) -> Result<u8, PatternError> {
        self.at += 1;
        let digits = self.until(b"}").and_then(|digits| str::from_utf8(digits).ok()).unwrap_or_default();
        match u32::from_str_radix(digits, radix).map(u8::try_from) {
            Ok(Ok(byte)) => Ok(byte),
            Ok(Err(_)) => Err(self.error("greater than a byte: write it as the bytes of its UTF-8")),
            Err(_) => Err(self.error("a number was expected within `{}`")),
        }
    }

    /// Up to three octal digits; PCRE keeps the low eight bits.
    fn octal(&mut self) -> u8 {
        let mut value = 0u32;
        for _ in 0..3 {
            let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(8)) else { break };
            self.at += 1;
            value = value * 8 + digit;
        }
        u8::try_from(value & 0xff).unwrap_or_default()
    }

    /// `\1`: a reference, unless it has several digits and there are not that many groups.
    fn numbered_reference(&mut self, first: u8) -> Result<Node, PatternError> {
        let begin = self.at;
        let mut index = u32::from(first - b'0');
        while let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(10)) {
            self.at += 1;
            index = index.saturating_mul(10).saturating_add(digit);
        }
        if index < 10 || index <= self.all_groups {
            return self.reference(index);
        }
        self.at = begin - 1;
        let byte = match first {
            b'1'..=b'7' => self.octal(),
            _ => {
                self.at += 1;
                first
            }
        };
        Ok(self.literal(byte))
    }

    /// `\g1`, `\g{-1}`, `\g{name}`, `\k<name>`, `\k'name'`, `\k{name}`.
    fn named_reference(&mut self, kind: u8) -> Result<Node, PatternError> {
        let name = if self.take(b"{") {
            self.until(b"}")
        } else if kind == b'k' && self.take(b"<") {
            self.until(b">")
        } else if kind == b'k' && self.take(b"'") {
            self.until(b"'")
        } else if kind == b'g' {
            let rest = self.rest();
            let sign = usize::from(rest.first() == Some(&b'-'));
            let digits = rest.iter().skip(sign).take_while(|byte| byte.is_ascii_digit()).count();
            self.at += sign + digits;
            rest.get(..sign + digits)
        } else {
            None
        };
        let name = name.unwrap_or_default();
        let number = str::from_utf8(name).ok().and_then(|name| name.parse::<i64>().ok());
        let index = match number {
            Some(number) if number < 0 => u32::try_from(i64::from(self.groups) + 1 + number).ok(),
            Some(number) => u32::try_from(number).ok(),
            None => self.group_named(name),
        };
        match index {
            Some(index) => self.reference(index),
            None => Err(self.error("a reference to a group that the pattern does not have")),
        }
    }

    pub(super) fn group_named(&self, name: &[u8]) -> Option<u32> {
        self.names.iter().find(|(known, _)| *known == name).map(|(_, index)| *index)
    }

    pub(super) fn reference(&self, index: u32) -> Result<Node, PatternError> {
        if index == 0 || index > self.all_groups {
            return Err(self.error(format!("a reference to group {index}, which the pattern does not have")));
        }
        Ok(Node::Back { index, caseless: self.flags.caseless })
    }
}

pub(super) fn word() -> ByteSet {
    ByteSet::range(b'0', b'9')
        .union(ByteSet::range(b'A', b'Z'))
        .union(ByteSet::range(b'a', b'z'))
        .union(ByteSet::of(b"_"))
}

/// Line feed to carriage return, and NEL.
fn vertical_space() -> ByteSet {
    ByteSet::of(b"\n\x0b\x0c\r\x85")
}
