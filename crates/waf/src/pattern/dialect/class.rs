//! Classes: `[...]`.

use super::super::PatternError;
use super::super::bytes::ByteSet;
use super::super::node::Node;
use super::Parser;
use super::escape::{Escaped, word};

impl Parser<'_> {
    /// A class; `at` is at its `[`.
    pub(super) fn class(&mut self) -> Result<Node, PatternError> {
        let begin = self.at;
        self.at += 1;
        let negated = self.take(b"^");
        let mut set = ByteSet::NONE;
        let mut first = true;
        loop {
            if self.peek().is_none() {
                self.at = begin;
                return Err(self.error("a class without its `]`: a literal `[` is written `\\[`"));
            }
            if self.take(b"\\E") || self.take(b"\\Q") {
                self.quoted = self.source.get(self.at - 1) == Some(&b'Q');
                continue;
            }
            if !first && !self.quoted && self.take(b"]") {
                break;
            }
            first = false;
            set = set.union(self.members()?);
        }
        let set = self.cased(set);
        Ok(Node::Set(if negated { set.complement() } else { set }))
    }

    /// One member of a class: a range, a byte, or a class within the class.
    fn members(&mut self) -> Result<ByteSet, PatternError> {
        let low = match self.member()? {
            Escaped::Byte(byte) => byte,
            Escaped::Set(set) => return Ok(set),
        };
        let begin = self.at;
        // A `-` is a range only between two bytes.
        if self.quoted
            || !self.take(b"-")
            || matches!(self.peek(), None | Some(b']'))
            || self.posix_name().is_some()
        {
            self.at = begin;
            return Ok(ByteSet::range(low, low));
        }
        let high = match self.member()? {
            Escaped::Byte(byte) => byte,
            Escaped::Set(set) => return Ok(set.union(ByteSet::of(&[low, b'-']))),
        };
        if high < low {
            self.at = begin;
            return Err(self.error("a range whose end is before its begin"));
        }
        Ok(ByteSet::range(low, high))
    }

    /// A byte, or an escape or POSIX class that stands for several.
    fn member(&mut self) -> Result<Escaped, PatternError> {
        if let Some((name, length)) = self.posix_name().filter(|_| !self.quoted) {
            let Some(set) = posix(name) else {
                return Err(self.error("an unknown class within `[: :]`"));
            };
            self.at += length;
            return Ok(Escaped::Set(set));
        }
        match self.next() {
            Some(b'\\') if !self.quoted => {
                if self.take(b"b") {
                    return Ok(Escaped::Byte(8));
                }
                if matches!(self.peek(), Some(b'8' | b'9')) {
                    return Ok(Escaped::Byte(self.next().unwrap_or_default()));
                }
                self.common_escape()
            }
            Some(byte) => Ok(Escaped::Byte(byte)),
            None => Err(self.error("a class without its `]`")),
        }
    }

    /// The name within `[:name:]`, if that comes next, and the length of it all.
    fn posix_name(&self) -> Option<(&[u8], usize)> {
        let rest = self.rest().strip_prefix(b"[:")?;
        let length = rest.iter().take_while(|byte| byte.is_ascii_lowercase() || **byte == b'^').count();
        rest.get(length..)?.starts_with(b":]").then_some((rest.get(..length)?, length + 4))
    }
}

fn posix(name: &[u8]) -> Option<ByteSet> {
    if let Some(name) = name.strip_prefix(b"^") {
        return posix(name).filter(|_| !name.starts_with(b"^")).map(ByteSet::complement);
    }
    let of = |test: fn(&u8) -> bool| {
        let mut set = ByteSet::NONE;
        (0..=255).filter(test).for_each(|byte| set.insert(byte));
        set
    };
    Some(match name {
        b"alnum" => of(u8::is_ascii_alphanumeric),
        b"alpha" => of(u8::is_ascii_alphabetic),
        b"ascii" => of(u8::is_ascii),
        b"blank" => ByteSet::of(b" \t"),
        b"cntrl" => of(u8::is_ascii_control),
        b"digit" => of(u8::is_ascii_digit),
        b"graph" => of(u8::is_ascii_graphic),
        b"lower" => of(u8::is_ascii_lowercase),
        b"print" => ByteSet::range(b' ', b'~'),
        b"punct" => of(u8::is_ascii_punctuation),
        b"space" => ByteSet::of(b"\t\n\x0b\x0c\r "),
        b"upper" => of(u8::is_ascii_uppercase),
        b"word" => word(),
        b"xdigit" => of(u8::is_ascii_hexdigit),
        _ => return None,
    })
}
