//! A pattern as a tree: what the dialect's spelling means, with case, white space and classes resolved.

use super::bytes::ByteSet;

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Empty,
    /// One byte of a set; a literal is a set of one.
    Set(ByteSet),
    Place(Place),
    Concat(Vec<Node>),
    Either(Vec<Node>),
    Repeat {
        node: Box<Node>,
        min: u32,
        max: Option<u32>,
        greed: Greed,
    },
    Capture {
        node: Box<Node>,
        index: u32,
    },
    /// `(?>...)`: once it has matched it does not try other ways.
    Atomic(Box<Node>),
    Around {
        node: Box<Node>,
        ahead: bool,
        negated: bool,
    },
    Back {
        index: u32,
        caseless: bool,
    },
    /// `\K`: the match begins here.
    Keep,
}

/// A place between bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Start,
    End,
    StartOfLine,
    EndOfLine,
    WordEdge,
    NotWordEdge,
}

/// How a repetition chooses its count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Greed {
    Most,
    Least,
    /// As many as possible, and never fewer.
    Possessive,
}

impl Node {
    /// Nodes one after the other.
    pub(super) fn concat(mut nodes: Vec<Self>) -> Self {
        match nodes.len() {
            0 => Self::Empty,
            1 => nodes.pop().unwrap_or(Self::Empty),
            _ => Self::Concat(nodes),
        }
    }

    /// One of the nodes, the first preferred.
    pub(super) fn either(mut nodes: Vec<Self>) -> Self {
        match nodes.len() {
            0 => Self::Empty,
            1 => nodes.pop().unwrap_or(Self::Empty),
            _ => Self::Either(nodes),
        }
    }

    /// The end, or the last line feed before it.
    pub(super) fn end_or_last_line_feed() -> Self {
        let ahead = Self::concat(vec![
            Self::Repeat {
                node: Box::new(Self::Set(ByteSet::of(b"\n"))),
                min: 0,
                max: Some(1),
                greed: Greed::Most,
            },
            Self::Place(Place::End),
        ]);
        Self::Around { node: Box::new(ahead), ahead: true, negated: false }
    }

    /// Rewrites what would need backtracking where a plain spelling is provably the same. `last` tells that nothing
    /// follows the node, so that no one can ask it for another way to match.
    pub(super) fn relax(self, last: bool) -> Self {
        match self {
            Self::Concat(nodes) => relax_concat(nodes, last),
            Self::Either(nodes) => Self::Either(nodes.into_iter().map(|node| node.relax(last)).collect()),
            Self::Repeat { node, min, max, greed } => {
                let greed = if last && greed == Greed::Possessive { Greed::Most } else { greed };
                // Another round may follow each round.
                let node = Box::new(node.relax(last && max == Some(1)));
                Self::Repeat { node, min, max, greed }
            }
            Self::Capture { node, index } => Self::Capture { node: Box::new(node.relax(last)), index },
            Self::Atomic(node) if last || node.is_one_way() => node.relax(last),
            Self::Atomic(node) => match node.relax(true) {
                Self::Repeat { node, min, max, greed: Greed::Most } if matches!(*node, Self::Set(_)) => {
                    Self::Repeat { node, min, max, greed: Greed::Possessive }
                }
                node => Self::Atomic(Box::new(node)),
            },
            Self::Around { node, ahead, negated } => {
                // A look-behind must end where it stands, so there another way can be asked for.
                Self::Around { node: Box::new(node.relax(ahead)), ahead, negated }
            }
            other => other,
        }
    }

    /// Whether it can match in one way only, wherever it begins.
    fn is_one_way(&self) -> bool {
        match self {
            Self::Empty | Self::Set(_) | Self::Place(_) => true,
            Self::Concat(nodes) => nodes.iter().all(Self::is_one_way),
            Self::Repeat { node, min, max, .. } => Some(*min) == *max && node.is_one_way(),
            Self::Capture { node, .. } => node.is_one_way(),
            _ => false,
        }
    }

    /// The bytes a match can begin with; `None` when that is not known or the match may be empty.
    fn first(&self) -> Option<ByteSet> {
        match self {
            Self::Set(set) => Some(*set),
            Self::Concat(nodes) => {
                nodes.iter().find(|node| !matches!(node, Self::Empty | Self::Place(_)))?.first()
            }
            Self::Either(nodes) => nodes
                .iter()
                .map(Self::first)
                .try_fold(ByteSet::NONE, |all, first| first.map(|first| all.union(first))),
            Self::Repeat { node, min, .. } if *min > 0 => node.first(),
            Self::Capture { node, .. } | Self::Atomic(node) => node.first(),
            _ => None,
        }
    }

    /// Whether everything after it begins beyond what `set` could give back.
    fn ends(&self, set: ByteSet) -> bool {
        matches!(self, Self::Place(Place::End)) || self.first().is_some_and(|first| first.is_disjoint(set))
    }
}

/// `[0-9]++x` is `[0-9]+x`: what the repetition would give back cannot be what comes next.
fn relax_concat(nodes: Vec<Node>, last: bool) -> Node {
    let mut relaxed: Vec<Node> = Vec::with_capacity(nodes.len());
    for node in nodes.into_iter().rev() {
        let last = last && relaxed.is_empty();
        let mut node = node.relax(last);
        if let Node::Repeat { node: inner, greed, .. } = &mut node
            && *greed == Greed::Possessive
            && let Node::Set(set) = inner.as_ref()
            && relaxed.last().is_some_and(|next| next.ends(*set))
        {
            *greed = Greed::Most;
        }
        relaxed.push(node);
    }
    relaxed.reverse();
    Node::Concat(relaxed)
}
