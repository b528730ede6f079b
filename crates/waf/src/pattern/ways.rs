//! Which kinds of bytes a value must hold for a pattern to match it.
//!
//! A pattern can match in several ways; each takes bytes of certain kinds. A value that holds the kinds of no way cannot match,
//! whatever is in it. That is told by a few words' comparison, without looking at the value again.

use super::bytes::ByteSet;
use super::node::Node;

/// Kinds of bytes: the letters, the digits, each mark of ASCII by itself, and four kinds of the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds(u64);

const LETTERS: u64 = 1;
const DIGITS: u64 = 1 << 1;
const BLANK: u64 = 1 << 2;
const CONTROLS: u64 = 1 << 3;
const NUL: u64 = 1 << 4;
const HIGH: u64 = 1 << 5;
/// The 32 marks follow, in the order of ASCII.
const FIRST_MARK: u32 = 6;

/// How many kinds there are.
pub(crate) const KINDS: u32 = FIRST_MARK + 32;

const fn kind(byte: u8) -> u64 {
    let mark = match byte {
        0 => return NUL,
        b' ' => return BLANK,
        b'0'..=b'9' => return DIGITS,
        b'A'..=b'Z' | b'a'..=b'z' => return LETTERS,
        0x80.. => return HIGH,
        b'!'..=b'/' => byte - b'!',
        b':'..=b'@' => byte - b':' + 15,
        b'['..=b'`' => byte - b'[' + 22,
        b'{'..=b'~' => byte - b'{' + 28,
        _ => return CONTROLS,
    };
    1 << (mark as u32 + FIRST_MARK)
}

impl Kinds {
    /// None.
    pub const NONE: Self = Self(0);
    /// Every kind.
    pub const ALL: Self = Self(u64::MAX);

    /// The kind of a byte.
    #[must_use]
    pub const fn of_byte(byte: u8) -> Self {
        Self(kind(byte))
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The kinds of the bytes in `value`.
    #[must_use]
    pub fn of(value: &[u8]) -> Self {
        value.iter().fold(Self::NONE, |all, &byte| all.union(Self::of_byte(byte)))
    }

    /// The kinds in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any kind is in both.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all of `other` are in it.
    #[must_use]
    pub const fn holds(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The kinds that each way to match needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ways(Vec<Kinds>);

/// With more, they are summed up.
const MOST: usize = 24;

impl Ways {
    /// Nothing matches.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Anything may match.
    #[must_use]
    pub fn any() -> Self {
        Self(vec![Kinds::NONE])
    }

    /// Every match holds all of `text`.
    #[must_use]
    pub fn text(text: &[u8]) -> Self {
        Self(vec![Kinds::of(text)])
    }

    /// Every match holds one of `bytes`.
    #[must_use]
    pub fn one_of(bytes: ByteSet) -> Self {
        bytes
            .iter()
            .fold(Self::none(), |mut all, byte| {
                all.insert(Kinds::of_byte(byte));
                all
            })
            .bounded()
    }

    /// Whether a value that holds `kinds` could match. `false` is certain, `true` is not.
    #[must_use]
    pub fn allow(&self, kinds: Kinds) -> bool {
        self.0.iter().any(|&way| kinds.holds(way))
    }

    /// Adds the ways of another.
    #[must_use]
    pub fn or(mut self, other: &Self) -> Self {
        other.0.iter().for_each(|&way| self.insert(way));
        self.bounded()
    }

    /// What matches this and then the other.
    fn then(self, other: &Self) -> Self {
        let mut all = Self::none();
        for &first in &self.0 {
            for &second in &other.0 {
                all.insert(first.union(second));
            }
            if all.0.len() > 4 * MOST {
                return self;
            }
        }
        all.bounded()
    }

    /// Leaves ways out that need more than others do.
    fn insert(&mut self, way: Kinds) {
        if !self.allow(way) {
            self.0.retain(|&known| !known.holds(way));
            self.0.push(way);
        }
    }

    fn bounded(self) -> Self {
        if self.0.len() <= MOST {
            return self;
        }
        Self(vec![Kinds(self.0.iter().fold(u64::MAX, |all, way| all & way.0))])
    }
}

pub(super) fn ways(node: &Node) -> Ways {
    match node {
        // These match nothing themselves.
        Node::Empty | Node::Place(_) | Node::Around { .. } | Node::Keep | Node::Back { .. } => Ways::any(),
        Node::Set(set) => Ways::one_of(*set),
        Node::Concat(nodes) => nodes.iter().fold(Ways::any(), |all, node| all.then(&ways(node))),
        Node::Either(nodes) => nodes.iter().fold(Ways::none(), |all, node| all.or(&ways(node))),
        Node::Repeat { min: 0, .. } => Ways::any(),
        Node::Repeat { node, .. } | Node::Capture { node, .. } | Node::Atomic(node) => ways(node),
    }
}

/// The pattern as it is for values of bytes from `bytes` only; `None` when it matches none of them.
pub(super) fn restricted(node: &Node, bytes: ByteSet) -> Option<Node> {
    Some(match node {
        Node::Set(set) => {
            let left = set.intersection(bytes);
            if left.is_empty() {
                return None;
            }
            Node::Set(left)
        }
        Node::Concat(nodes) => {
            Node::concat(nodes.iter().map(|node| restricted(node, bytes)).collect::<Option<_>>()?)
        }
        Node::Either(nodes) => {
            let left: Vec<_> = nodes.iter().filter_map(|node| restricted(node, bytes)).collect();
            if left.is_empty() {
                return None;
            }
            Node::either(left)
        }
        Node::Repeat { node, min, max, greed } => match restricted(node, bytes) {
            Some(node) => Node::Repeat { node: Box::new(node), min: *min, max: *max, greed: *greed },
            None if *min == 0 => Node::Empty,
            None => return None,
        },
        Node::Capture { node, index } => {
            Node::Capture { node: Box::new(restricted(node, bytes)?), index: *index }
        }
        Node::Atomic(node) => Node::Atomic(Box::new(restricted(node, bytes)?)),
        // A look-around may look at what is not there, and a reference repeats what was.
        Node::Empty | Node::Place(_) | Node::Around { .. } | Node::Keep | Node::Back { .. } => node.clone(),
    })
}
