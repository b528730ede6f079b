//! PCRE's dialect, as rules are written in it: text to a tree.
//!
//! The flags are ModSecurity's, DOTALL and MULTILINE, and bytes are bytes: a character beyond ASCII is its bytes in UTF-8, in
//! classes too. The differences to the `regex` crate's dialect that matter to rules: in a class `[`, `&&`, `--` and `~~` are
//! literal; a `{` that begins no quantifier is literal; `\v` and `\h` are classes; any punctuation may be escaped.
//!
//! `^` also matches after a line feed that ends the value, where PCRE's does not.

use super::PatternError;
use super::bytes::ByteSet;
use super::node::{Greed, Node, Place};

mod class;
mod escape;
mod group;

/// Nested deeper than PCRE's own limit of 250 no rule is.
const MAX_DEPTH: u32 = 250;
/// PCRE's limit for the counts of a quantifier.
const MAX_COUNT: u32 = 65535;

/// Reads a pattern.
pub(super) fn parse(source: &str) -> Result<Node, PatternError> {
    let (groups, names) = group::survey(source.as_bytes());
    let mut parser = Parser {
        source: source.as_bytes(),
        at: 0,
        flags: Flags { caseless: false, dot_all: true, multi_line: true, extended: false, lazy: false },
        groups: 0,
        all_groups: groups,
        names,
        depth: 0,
        quoted: false,
    };
    let node = parser.alternatives()?;
    if parser.at < parser.source.len() {
        return Err(parser.error("a `)` without its `(`: escape it as `\\)`"));
    }
    Ok(node.relax(true))
}

/// The flags in force.
#[derive(Debug, Clone, Copy)]
struct Flags {
    caseless: bool,
    dot_all: bool,
    multi_line: bool,
    extended: bool,
    lazy: bool,
}

struct Parser<'a> {
    source: &'a [u8],
    at: usize,
    flags: Flags,
    /// Groups opened so far.
    groups: u32,
    /// Groups of the whole pattern: `\12` is a reference if there are twelve.
    all_groups: u32,
    names: Vec<(&'a [u8], u32)>,
    depth: u32,
    /// Between `\Q` and `\E`.
    quoted: bool,
}

impl<'a> Parser<'a> {
    fn error(&self, message: impl Into<String>) -> PatternError {
        PatternError { message: message.into(), offset: self.at.min(self.source.len()) }
    }

    fn peek(&self) -> Option<u8> {
        self.source.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.source.get(self.at..).unwrap_or_default()
    }

    /// The next byte, taken.
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Takes `text` if it comes next.
    fn take(&mut self, text: &[u8]) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// Takes what comes before `end`, and `end`.
    fn until(&mut self, end: &[u8]) -> Option<&'a [u8]> {
        let rest = self.rest();
        let length = memchr::memmem::find(rest, end)?;
        self.at += length + end.len();
        rest.get(..length)
    }

    /// Alternatives up to a `)` or the end.
    fn alternatives(&mut self) -> Result<Node, PatternError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(format!("nested deeper than {MAX_DEPTH}")));
        }
        let mut alternatives = Vec::new();
        loop {
            alternatives.push(self.sequence()?);
            if self.quoted || !self.take(b"|") {
                break;
            }
        }
        self.depth -= 1;
        Ok(Node::either(alternatives))
    }

    /// One alternative.
    fn sequence(&mut self) -> Result<Node, PatternError> {
        let mut nodes = Vec::new();
        loop {
            self.skip_quotes_and_space()?;
            match self.peek() {
                None => break,
                Some(b'|' | b')') if !self.quoted => break,
                Some(_) => {}
            }
            if let Some(node) = self.atom()? {
                nodes.push(self.quantified(node)?);
            }
        }
        Ok(Node::concat(nodes))
    }

    /// Steps over `\Q` and `\E`, and over white space and comments where the flags say so.
    fn skip_quotes_and_space(&mut self) -> Result<(), PatternError> {
        loop {
            if self.quoted {
                if !self.take(b"\\E") {
                    return Ok(());
                }
                self.quoted = false;
            } else if self.take(b"\\Q") {
                self.quoted = true;
            } else if self.take(b"(?#") {
                if self.until(b")").is_none() {
                    return Err(self.error("a comment without its `)`"));
                }
            } else if self.take(b"\\E") {
            } else if self.flags.extended && self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
                self.at += 1;
            } else if self.flags.extended && self.peek() == Some(b'#') {
                self.at += memchr::memchr(b'\n', self.rest()).unwrap_or(self.rest().len());
            } else {
                return Ok(());
            }
        }
    }

    /// One thing that a quantifier can follow; nothing where a group only sets flags.
    fn atom(&mut self) -> Result<Option<Node>, PatternError> {
        let Some(byte) = self.peek() else { return Ok(None) };
        if self.quoted {
            self.at += 1;
            return Ok(Some(self.literal(byte)));
        }
        match byte {
            b'(' => return self.group(),
            b'*' | b'+' | b'?' => {
                return Err(self.error("nothing to repeat: escape it with `\\`"));
            }
            b'[' => return self.class().map(Some),
            b'\\' => return self.escape().map(Some),
            _ => {}
        }
        self.at += 1;
        Ok(Some(match byte {
            b'.' if self.flags.dot_all => Node::Set(ByteSet::ALL),
            b'.' => Node::Set(ByteSet::of(b"\n").complement()),
            b'^' if self.flags.multi_line => Node::Place(Place::StartOfLine),
            b'^' => Node::Place(Place::Start),
            b'$' if self.flags.multi_line => Node::Place(Place::EndOfLine),
            b'$' => Node::end_or_last_line_feed(),
            _ => self.literal(byte),
        }))
    }

    fn literal(&self, byte: u8) -> Node {
        Node::Set(self.cased(ByteSet::range(byte, byte)))
    }

    fn cased(&self, set: ByteSet) -> ByteSet {
        if self.flags.caseless { set.fold_case() } else { set }
    }

    /// The node with the quantifiers that follow it.
    fn quantified(&mut self, mut node: Node) -> Result<Node, PatternError> {
        let mut nested = 0;
        loop {
            self.skip_quotes_and_space()?;
            if self.quoted {
                return Ok(node);
            }
            let Some((min, max)) = self.quantifier()? else { return Ok(node) };
            nested += 1;
            if nested > 8 {
                return Err(self.error("more than eight quantifiers one after the other"));
            }
            let greed = if self.take(b"+") {
                Greed::Possessive
            } else if self.take(b"?") != self.flags.lazy {
                Greed::Least
            } else {
                Greed::Most
            };
            node = Node::Repeat { node: Box::new(node), min, max, greed };
        }
    }

    /// The counts of a quantifier, if one comes next.
    fn quantifier(&mut self) -> Result<Option<(u32, Option<u32>)>, PatternError> {
        let simple = match self.peek() {
            Some(b'*') => Some((0, None)),
            Some(b'+') => Some((1, None)),
            Some(b'?') => Some((0, Some(1))),
            Some(b'{') => None,
            _ => return Ok(None),
        };
        if simple.is_some() {
            self.at += 1;
            return Ok(simple);
        }
        let rest = self.rest();
        let Some(end) = memchr::memchr(b'}', rest) else { return Ok(None) };
        let counts = rest.get(1..end).unwrap_or_default();
        let (min, max) = match memchr::memchr(b',', counts) {
            Some(comma) => (counts.get(..comma), counts.get(comma + 1..)),
            None => (Some(counts), Some(counts)),
        };
        let (Some(min), Some(max)) = (min, max) else { return Ok(None) };
        if min.is_empty() || !min.iter().chain(max).all(u8::is_ascii_digit) {
            return Ok(None);
        }
        let min = self.count(min)?;
        let max = if max.is_empty() { None } else { Some(self.count(max)?) };
        if max.is_some_and(|max| max < min) {
            return Err(self.error("the counts in `{}` are out of order"));
        }
        self.at += end + 1;
        Ok(Some((min, max)))
    }

    fn count(&self, digits: &[u8]) -> Result<u32, PatternError> {
        let digits = str::from_utf8(digits).unwrap_or_default();
        match digits.parse() {
            Ok(count) if count <= MAX_COUNT => Ok(count),
            _ => Err(self.error(format!("a count greater than {MAX_COUNT}"))),
        }
    }
}
