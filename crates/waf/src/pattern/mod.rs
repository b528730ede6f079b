//! Regular expressions in linear time, and what they require of a value.

mod bytes;
mod dialect;
mod fancy;
mod linear;
mod node;
mod required;
mod ways;

pub use bytes::ByteSet;
pub(crate) use ways::KINDS;
pub use ways::{Kinds, Ways};

use fancy::Fancy;
use linear::Linear;
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::LazyLock;

/// What the groups of a pattern matched: index 0 is the whole match. At most ten, as `TX:0` to `TX:9` hold them.
pub type Captures = SmallVec<[Option<Range<usize>>; 10]>;

/// The groups that are kept.
const KEPT_GROUPS: usize = 10;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    matcher: Matcher,
    /// The same for values of plain bytes, where that is much less to try.
    plain: Option<Linear>,
    required: Option<Vec<Vec<u8>>>,
    plainly_required: Option<Vec<Vec<u8>>>,
    ways: Ways,
}

#[derive(Debug, Clone)]
enum Matcher {
    Linear(Linear),
    Fancy(Fancy),
}

/// What came of looking for a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The value matches.
    Match,
    /// It does not.
    NoMatch,
    /// The steps that a backtracking pattern may take did not suffice to tell: `MSC_PCRE_LIMITS_EXCEEDED`.
    BudgetExceeded,
}

/// A pattern that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PatternError {
    /// What is wrong and what would be right.
    pub message: String,
    /// Where in the pattern, in bytes.
    pub offset: usize,
}

impl Pattern {
    /// Compiles a pattern in PCRE's dialect as rules write it, with `(?sm)` on, bytes rather than Unicode.
    ///
    /// # Errors
    /// When it is not a valid pattern or needs what cannot be had here.
    pub fn new(source: &str) -> Result<Self, PatternError> {
        let node = dialect::parse(source)?;
        let required = required::required(&node);
        let restricted = ways::restricted(&node, plain_bytes());
        let plainly_required = match &restricted {
            Some(restricted) => required::required(restricted),
            None => Some(Vec::new()),
        }
        .filter(|plainly| required::is_better(plainly, required.as_deref()));
        let ways = ways::ways(&node);
        let matcher = match linear::hir(&node) {
            Some(hir) => Matcher::Linear(Linear::new(&hir)?),
            None => Matcher::Fancy(Fancy::new(&node)?),
        };
        let plain = match (&matcher, &restricted, &plainly_required) {
            (Matcher::Linear(_), Some(restricted), Some(_)) => {
                linear::hir(restricted).map(|hir| Linear::new(&hir)).transpose()?
            }
            _ => None,
        };
        Ok(Self { matcher, plain, required, plainly_required, ways })
    }

    /// Whether it matches anywhere in `value`. A budget that is exceeded is no match, as in ModSecurity; who wants to refuse
    /// then asks [`Self::evaluate`].
    #[must_use]
    pub fn is_match(&self, value: &[u8]) -> bool {
        self.evaluate(value, None) == Outcome::Match
    }

    /// The first match with its groups; `captures` is cleared first.
    pub fn captures(&self, value: &[u8], captures: &mut Captures) -> bool {
        self.evaluate(value, Some(captures)) == Outcome::Match
    }

    /// Looks for the first match, and keeps its groups if they are wanted; `captures` is cleared first.
    pub fn evaluate(&self, value: &[u8], captures: Option<&mut Captures>) -> Outcome {
        match (&self.matcher, captures) {
            (Matcher::Linear(linear), None) if self.linear(linear, value).is_match(value) => Outcome::Match,
            (Matcher::Linear(_), None) => Outcome::NoMatch,
            (Matcher::Fancy(fancy), None) => fancy.is_match(value),
            (_, Some(captures)) => self.evaluate_at(value, 0, captures),
        }
    }

    /// The pattern as it is for `value`.
    fn linear<'p>(&'p self, full: &'p Linear, value: &[u8]) -> &'p Linear {
        self.plain.as_ref().filter(|_| is_plain_text(value)).unwrap_or(full)
    }

    /// As [`Self::evaluate`], for the first match that begins at `from` or later. What is before `from` is looked at by `\b`,
    /// `^` and look-behind only.
    pub fn evaluate_at(&self, value: &[u8], from: usize, captures: &mut Captures) -> Outcome {
        captures.clear();
        match &self.matcher {
            Matcher::Linear(linear) if self.linear(linear, value).captures_at(value, from, captures) => {
                Outcome::Match
            }
            Matcher::Linear(_) => Outcome::NoMatch,
            Matcher::Fancy(fancy) => fancy.captures_at(value, from, captures),
        }
    }

    /// Whether it needs look-around or back-references and so runs by backtracking under a step budget.
    #[must_use]
    pub const fn backtracks(&self) -> bool {
        matches!(self.matcher, Matcher::Fancy(_))
    }

    /// Literals (ASCII lower case) of which every match contains at least one, comparing without regard to ASCII case;
    /// `None` when there is no useful such set.
    #[must_use]
    pub fn required(&self) -> Option<Vec<Vec<u8>>> {
        self.required.clone()
    }

    /// The same for values without [marks](is_plain) that serve to take words apart, if that is more selective. Where
    /// [`Self::required`] finds nothing, because a pattern allows such marks between any two letters, this still does.
    #[must_use]
    pub fn plainly_required(&self) -> Option<Vec<Vec<u8>>> {
        self.plainly_required.clone()
    }

    /// The kinds of bytes that a value must hold.
    #[must_use]
    pub const fn ways(&self) -> &Ways {
        &self.ways
    }
}

/// What evasions put between the letters of a word, or write a letter with.
const MARKS: &[u8] = b"\"'`()[]{}<>\\$|&%^\x7f";

/// Whether a value holds no byte that evasions take words apart with: most of what people write.
#[must_use]
pub fn is_plain(kinds: Kinds) -> bool {
    !kinds.meets(Kinds::of(MARKS).union(Kinds::of_byte(0)).union(Kinds::of_byte(b'\t')))
}

/// Whether all bytes of a text are [plain](is_plain).
#[must_use]
pub(crate) fn is_plain_text(text: &[u8]) -> bool {
    static PLAIN: LazyLock<[bool; 256]> = LazyLock::new(|| {
        let plain = plain_bytes();
        let mut table = [false; 256];
        (0..=255_u8).zip(&mut table).for_each(|(byte, place)| *place = plain.contains(byte));
        table
    });
    let plain = &*PLAIN;
    text.iter().fold(true, |all, &byte| all & plain.get(usize::from(byte)).copied().unwrap_or(false))
}

fn plain_bytes() -> ByteSet {
    let plain = |byte: &u8| is_plain(Kinds::of_byte(*byte));
    let mut bytes = ByteSet::NONE;
    (0..=255).filter(plain).for_each(|byte| bytes.insert(byte));
    bytes
}
