//! Patterns without look-around and references, over `regex-automata`: linear in the length of the value.

use super::bytes::ByteSet;
use super::node::{Greed, Node, Place};
use super::{Captures, KEPT_GROUPS, PatternError};
use regex_automata::meta::{Config, Regex};
use regex_automata::{Input, PatternID, util::primitives::NonMaxUsize};
use regex_syntax::hir::{Capture, Class, ClassBytes, ClassBytesRange, Hir, Look, Repetition};

/// Bounds what one pattern may take; the greatest of the Core Rule Set take less than a tenth.
const SIZE_LIMIT: usize = 8 << 20;
/// The lazy DFA's states of one pattern and one thread. It grows on demand, so this is what hostile values can make of it.
const CACHE: usize = 192 << 10;

#[derive(Debug, Clone)]
pub(super) struct Linear {
    regex: Regex,
    /// Whether it has groups, so that the whole match is not all there is to capture.
    grouped: bool,
}

impl Linear {
    pub(super) fn new(hir: &Hir) -> Result<Self, PatternError> {
        let config = Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(SIZE_LIMIT))
            .hybrid_cache_capacity(CACHE)
            .onepass_size_limit(Some(64 << 10))
            .dfa_size_limit(Some(16 << 10))
            .dfa_state_limit(Some(24));
        let regex = Regex::builder().configure(config).build_from_hir(hir).map_err(|error| PatternError {
            message: match error.size_limit() {
                Some(limit) => {
                    format!("compiled it would take more than {limit} bytes: lower the counts in its `{{}}`")
                }
                None => error.to_string(),
            },
            offset: 0,
        })?;
        Ok(Self { regex, grouped: hir.properties().explicit_captures_len() > 0 })
    }

    pub(super) fn is_match(&self, value: &[u8]) -> bool {
        self.regex.is_match(value)
    }

    /// The first match at or after `from`, with its groups.
    pub(super) fn captures_at(&self, value: &[u8], from: usize, captures: &mut Captures) -> bool {
        if from > value.len() {
            return false;
        }
        let input = Input::new(value).range(from..);
        if !self.grouped {
            let found = self.regex.search(&input);
            captures.extend(found.as_ref().map(|found| Some(found.range())));
            return found.is_some();
        }
        let mut slots: [Option<NonMaxUsize>; KEPT_GROUPS * 2] = [None; KEPT_GROUPS * 2];
        if self.regex.search_slots(&input, &mut slots).is_none() {
            return false;
        }
        let groups = self.regex.group_info().group_len(PatternID::ZERO).min(KEPT_GROUPS);
        let (pairs, _) = slots.as_chunks::<2>();
        captures.extend(
            pairs.iter().take(groups).map(|[begin, end]| Some(begin.as_ref()?.get()..end.as_ref()?.get())),
        );
        true
    }
}

/// The tree as `regex-syntax` has it; `None` when a part of it needs backtracking. Groups beyond those that are kept do not
/// capture: each would cost memory per thread.
pub(super) fn hir(node: &Node) -> Option<Hir> {
    Some(match node {
        Node::Empty => Hir::empty(),
        Node::Set(set) => class(*set),
        Node::Place(place) => Hir::look(match place {
            Place::Start => Look::Start,
            Place::End => Look::End,
            Place::StartOfLine => Look::StartLF,
            Place::EndOfLine => Look::EndLF,
            Place::WordEdge => Look::WordAscii,
            Place::NotWordEdge => Look::WordAsciiNegate,
        }),
        Node::Concat(nodes) => Hir::concat(nodes.iter().map(hir).collect::<Option<_>>()?),
        Node::Either(nodes) => Hir::alternation(nodes.iter().map(hir).collect::<Option<_>>()?),
        Node::Repeat { greed: Greed::Possessive, .. } => return None,
        Node::Repeat { node, min, max, greed } => Hir::repetition(Repetition {
            min: *min,
            max: *max,
            greedy: *greed == Greed::Most,
            sub: Box::new(hir(node)?),
        }),
        Node::Capture { node, index } if usize::try_from(*index).is_ok_and(|index| index < KEPT_GROUPS) => {
            Hir::capture(Capture { index: *index, name: None, sub: Box::new(hir(node)?) })
        }
        Node::Capture { node, .. } => hir(node)?,
        Node::Atomic(_) | Node::Around { .. } | Node::Back { .. } | Node::Keep => return None,
    })
}

fn class(set: ByteSet) -> Hir {
    let ranges = set.ranges();
    if let [(byte, last)] = ranges.as_slice()
        && byte == last
    {
        return Hir::literal([*byte]);
    }
    Hir::class(Class::Bytes(ClassBytes::new(
        ranges.into_iter().map(|(first, last)| ClassBytesRange::new(first, last)),
    )))
}
