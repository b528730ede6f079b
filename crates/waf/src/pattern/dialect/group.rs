//! Groups: `(...)`.

use super::super::PatternError;
use super::super::node::Node;
use super::Parser;

impl<'a> Parser<'a> {
    /// A group; `at` is at its `(`. `None` where it only sets flags for what follows.
    pub(super) fn group(&mut self) -> Result<Option<Node>, PatternError> {
        let begin = self.at;
        self.at += 1;
        if self.peek() == Some(b'*') {
            return Err(self.error("verbs such as `(*UTF8)` are not supported"));
        }
        if !self.take(b"?") {
            return self.capture(begin).map(Some);
        }
        for (opening, ahead, negated) in
            [("=", true, false), ("!", true, true), ("<=", false, false), ("<!", false, true)]
        {
            if self.take(opening.as_bytes()) {
                let node = Box::new(self.enclosed(begin)?);
                return Ok(Some(Node::Around { node, ahead, negated }));
            }
        }
        if self.take(b">") {
            return Ok(Some(Node::Atomic(Box::new(self.enclosed(begin)?))));
        }
        if self.take(b":") {
            return self.enclosed(begin).map(Some);
        }
        if self.take(b"P=") {
            let name = self.until(b")").unwrap_or_default();
            return match self.group_named(name) {
                Some(index) => self.reference(index).map(Some),
                None => Err(self.error("a reference to a group that the pattern does not have")),
            };
        }
        if let Some(end) = name_end(self.rest()) {
            self.at += if self.peek() == Some(b'P') { 2 } else { 1 };
            if self.until(end).is_none_or(<[u8]>::is_empty) {
                return Err(self.error("a group's name without its end"));
            }
            return self.capture(begin).map(Some);
        }
        self.set_flags(begin)
    }

    fn capture(&mut self, begin: usize) -> Result<Node, PatternError> {
        self.groups += 1;
        let index = self.groups;
        Ok(Node::Capture { node: Box::new(self.enclosed(begin)?), index })
    }

    /// What is within a group, up to and with its `)`. Flags set within end with it.
    fn enclosed(&mut self, begin: usize) -> Result<Node, PatternError> {
        let flags = self.flags;
        let node = self.alternatives()?;
        self.flags = flags;
        if self.take(b")") {
            return Ok(node);
        }
        self.at = begin;
        Err(self.error("a `(` without its `)`: a literal one is written `\\(`"))
    }

    /// `(?i)` and `(?i:...)`.
    fn set_flags(&mut self, begin: usize) -> Result<Option<Node>, PatternError> {
        let before = self.flags;
        let mut on = true;
        loop {
            match self.next() {
                Some(b'i') => self.flags.caseless = on,
                Some(b's') => self.flags.dot_all = on,
                Some(b'm') => self.flags.multi_line = on,
                Some(b'x') => self.flags.extended = on,
                Some(b'U') => self.flags.lazy = on,
                Some(b'-') if on => on = false,
                Some(b')') => return Ok(None),
                Some(b':') => {
                    let node = self.enclosed(begin);
                    self.flags = before;
                    return node.map(Some);
                }
                _ => {
                    self.at = begin;
                    return Err(self.error(
                        "a group that is not supported: recursion, conditions and branch resets are not, and the flags are \
                         i, s, m, x and U",
                    ));
                }
            }
        }
    }
}

/// What ends the name that comes next, if it is that of a group: `P<name>`, `<name>`, `'name'`.
fn name_end(rest: &[u8]) -> Option<&'static [u8]> {
    match rest {
        [b'P', b'<', ..] | [b'<', ..] => Some(b">"),
        [b'\'', ..] => Some(b"'"),
        _ => None,
    }
}

/// How many groups a pattern has, and their names. References may stand before their groups, and what `\12` means depends
/// on the number of groups, so this is found out first.
pub(super) fn survey(source: &[u8]) -> (u32, Vec<(&[u8], u32)>) {
    let mut groups = 0;
    let mut names = Vec::new();
    let mut rest = source;
    while let Some((first, after)) = rest.split_first() {
        rest = match first {
            b'\\' if after.first() == Some(&b'Q') => {
                let end = memchr::memmem::find(after, b"\\E").map_or(after.len(), |end| end + 2);
                after.get(end..).unwrap_or_default()
            }
            b'\\' => after.get(1..).unwrap_or_default(),
            b'[' => after_class(after),
            b'(' if after.starts_with(b"?#") => {
                after.get(memchr::memchr(b')', after).unwrap_or(after.len())..).unwrap_or_default()
            }
            b'(' if after.first() != Some(&b'?') => {
                groups += 1;
                after
            }
            b'(' => {
                let inner = after.get(1..).unwrap_or_default();
                let around = inner.starts_with(b"<=") || inner.starts_with(b"<!");
                if let Some(end) = name_end(inner).filter(|_| !around) {
                    groups += 1;
                    let begin = if inner.starts_with(b"P") { 2 } else { 1 };
                    let name = inner.get(begin..).unwrap_or_default();
                    let length = memchr::memmem::find(name, end).unwrap_or(name.len());
                    names.push((name.get(..length).unwrap_or_default(), groups));
                }
                after
            }
            _ => after,
        };
    }
    (groups, names)
}

/// What follows a class whose `[` has been read.
fn after_class(rest: &[u8]) -> &[u8] {
    let negation = usize::from(rest.first() == Some(&b'^'));
    // A `]` that comes first is a member.
    let mut at = negation + usize::from(rest.get(negation) == Some(&b']'));
    loop {
        at += match rest.get(at) {
            None => return &[],
            Some(b']') => return rest.get(at + 1..).unwrap_or_default(),
            Some(b'\\') => 2,
            // `[:alpha:]` holds a `]` that ends nothing.
            Some(b'[') if rest.get(at + 1) == Some(&b':') => {
                let name = rest.get(at + 2..).unwrap_or_default();
                let length =
                    name.iter().take_while(|byte| byte.is_ascii_lowercase() || **byte == b'^').count();
                if name.get(length..).unwrap_or_default().starts_with(b":]") { length + 4 } else { 1 }
            }
            Some(_) => 1,
        };
    }
}
