//! Regular expressions in linear time, and what they require of a value.

use smallvec::SmallVec;
use std::ops::Range;

/// What the groups of a pattern matched: index 0 is the whole match. At most ten, as `TX:0` to `TX:9` hold them.
pub type Captures = SmallVec<[Option<Range<usize>>; 10]>;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Pattern {}

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
        let _ = source;
        Ok(Self {})
    }

    /// Whether it matches anywhere in `value`.
    #[must_use]
    pub fn is_match(&self, value: &[u8]) -> bool {
        let _ = value;
        false
    }

    /// The first match with its groups; `captures` is cleared first.
    pub fn captures(&self, value: &[u8], captures: &mut Captures) -> bool {
        let _ = (value, captures);
        false
    }

    /// Whether it needs look-around or back-references and so runs by backtracking under a step budget.
    #[must_use]
    pub const fn backtracks(&self) -> bool {
        false
    }

    /// Literals (ASCII lower case) of which every match contains at least one, comparing without regard to ASCII case;
    /// `None` when there is no useful such set.
    #[must_use]
    pub fn required(&self) -> Option<Vec<Vec<u8>>> {
        None
    }
}
