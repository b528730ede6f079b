//! Patterns that only backtracking can match, over `fancy-regex`, under a budget of steps.
//!
//! That crate matches text, so each byte is taken as the character of that number (Latin-1), in the pattern and in the value.
//! Everything whose meaning Unicode would change is spelled out.

use super::bytes::ByteSet;
use super::node::{Greed, Node, Place};
use super::{Captures, KEPT_GROUPS, Outcome, PatternError};
use fancy_regex::{Error, Regex, RegexBuilder};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

/// How often a match may turn back. ModSecurity's recommended configuration allows PCRE 1000 calls of its match function, its
/// default is 1500 and that of PCRE ten million; a turn here costs some tens of nanoseconds.
const BUDGET: usize = 100_000;

#[derive(Debug, Clone)]
pub(super) struct Fancy(Arc<Regex>);

impl Fancy {
    pub(super) fn new(node: &Node) -> Result<Self, PatternError> {
        let mut text = String::new();
        write(node, &mut text);
        let regex = RegexBuilder::new(&text)
            .backtrack_limit(BUDGET)
            .delegate_size_limit(4 << 20)
            .delegate_dfa_size_limit(64 << 10)
            .max_prog_size(100_000)
            .build()
            .map_err(|error| PatternError { message: error.to_string(), offset: 0 })?;
        Ok(Self(Arc::new(regex)))
    }

    pub(super) fn is_match(&self, value: &[u8]) -> Outcome {
        outcome(&self.0.is_match(latin1(value).as_ref()))
    }

    /// The first match at or after `from`, with its groups.
    pub(super) fn captures_at(&self, value: &[u8], from: usize, captures: &mut Captures) -> Outcome {
        let Some(before) = value.get(..from) else { return Outcome::NoMatch };
        let text = latin1(value);
        let found = match self.0.captures_from_pos(text.as_ref(), latin1(before).len()) {
            Ok(Some(found)) => found,
            Ok(None) => return Outcome::NoMatch,
            Err(error) => return outcome(&Err(error)),
        };
        // A character of the text is a byte of the value.
        let offset = |at: usize| match &text {
            Cow::Borrowed(_) => at,
            Cow::Owned(text) => text.get(..at).map_or(0, |before| before.chars().count()),
        };
        for group in 0..found.len().min(KEPT_GROUPS) {
            captures.push(found.get(group).map(|group| offset(group.start())..offset(group.end())));
        }
        Outcome::Match
    }
}

fn outcome(result: &Result<bool, Error>) -> Outcome {
    match result {
        Ok(true) => Outcome::Match,
        Ok(false) => Outcome::NoMatch,
        Err(_) => Outcome::BudgetExceeded,
    }
}

fn latin1(value: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(value) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(value.iter().map(|byte| char::from(*byte)).collect()),
    }
}

/// Spells a tree in `fancy-regex`'s dialect.
fn write(node: &Node, text: &mut String) {
    match node {
        Node::Empty => text.push_str("(?:)"),
        Node::Set(set) => write_set(*set, text),
        Node::Place(place) => text.push_str(match place {
            Place::Start => r"\A",
            Place::End => r"\z",
            Place::StartOfLine => "(?m:^)",
            Place::EndOfLine => "(?m:$)",
            Place::WordEdge => "(?:(?<=[0-9A-Za-z_])(?![0-9A-Za-z_])|(?<![0-9A-Za-z_])(?=[0-9A-Za-z_]))",
            Place::NotWordEdge => "(?:(?<=[0-9A-Za-z_])(?=[0-9A-Za-z_])|(?<![0-9A-Za-z_])(?![0-9A-Za-z_]))",
        }),
        Node::Concat(nodes) => nodes.iter().for_each(|node| write_grouped(node, text)),
        Node::Either(nodes) => {
            for (index, node) in nodes.iter().enumerate() {
                if index > 0 {
                    text.push('|');
                }
                write(node, text);
            }
        }
        Node::Repeat { node, min, max, greed } => {
            text.push_str(if *greed == Greed::Possessive { "(?>(?:" } else { "(?:" });
            write(node, text);
            text.push(')');
            // Formatting into a string cannot fail.
            let _ = match max {
                Some(max) => write!(text, "{{{min},{max}}}"),
                None if *min == 0 => text.write_char('*'),
                None if *min == 1 => text.write_char('+'),
                None => write!(text, "{{{min},}}"),
            };
            text.push_str(match greed {
                Greed::Most => "",
                Greed::Least => "?",
                Greed::Possessive => ")",
            });
        }
        Node::Capture { node, .. } => enclose("(", node, text),
        Node::Atomic(node) => enclose("(?>", node, text),
        Node::Around { node, ahead, negated } => {
            let opening = match (ahead, negated) {
                (true, false) => "(?=",
                (true, true) => "(?!",
                (false, false) => "(?<=",
                (false, true) => "(?<!",
            };
            enclose(opening, node, text);
        }
        Node::Back { index, caseless } => {
            let flags = if *caseless { "i" } else { "" };
            // Its own group, so that a digit that follows is not read as part of the number.
            let _ = write!(text, "(?{flags}:\\{index})");
        }
        Node::Keep => text.push_str(r"\K"),
    }
}

fn write_grouped(node: &Node, text: &mut String) {
    match node {
        Node::Either(_) | Node::Concat(_) => enclose("(?:", node, text),
        _ => write(node, text),
    }
}

fn enclose(opening: &str, node: &Node, text: &mut String) {
    text.push_str(opening);
    write(node, text);
    text.push(')');
}

/// A set as the characters of these numbers. It is written as a class even when it is one byte: nothing in it is special.
fn write_set(set: ByteSet, text: &mut String) {
    if set.is_empty() {
        // What is nowhere.
        text.push_str("(?!)");
        return;
    }
    if let [(byte, last)] = set.ranges().as_slice()
        && byte == last
        && (byte.is_ascii_alphanumeric() || *byte == b' ')
    {
        text.push(char::from(*byte));
        return;
    }
    text.push('[');
    for (first, last) in set.ranges() {
        let _ = write!(text, "\\x{{{first:x}}}-\\x{{{last:x}}}");
    }
    text.push(']');
}
