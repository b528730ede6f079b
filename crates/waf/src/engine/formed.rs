//! Patterns that are made of what macros stand for: `@rx ^%{tx.allowed}$`.
//!
//! Such a text is nearly always the same, so what was compiled is kept. What cannot be compiled matches nothing, as in ModSecurity.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::pattern::Pattern;

/// How many patterns of a rule are kept. Who lets clients write patterns gets slow rules, but no full memory.
const MOST: usize = 32;
/// The longest text that is compiled.
const LONGEST: usize = 4096;

/// The patterns that a rule has had so far, by their text.
#[derive(Default)]
pub(crate) struct FormedPatterns(Mutex<Known>);

type Known = HashMap<Box<[u8]>, Option<Arc<Pattern>>>;

impl FormedPatterns {
    /// The pattern of this text; `None` if it is none.
    pub(crate) fn of(&self, text: &[u8]) -> Option<Arc<Pattern>> {
        if let Some(known) = self.known().get(text) {
            return known.clone();
        }
        let source = std::str::from_utf8(text).ok().filter(|source| source.len() <= LONGEST)?;
        let pattern = Pattern::new(source).ok().map(Arc::new);
        let mut known = self.known();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(text.into(), pattern.clone());
        pattern
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FormedPatterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FormedPatterns(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_what_is_no_pattern_is_none() {
        let patterns = FormedPatterns::default();
        assert!(patterns.of(b"^(?:a|b)$").is_some_and(|pattern| pattern.is_match(b"b")));
        for wrong in [&b"("[..], b"\xff", &[b'a'; LONGEST + 1]] {
            assert!(patterns.of(wrong).is_none());
        }
        for number in 0..1000 {
            assert!(patterns.of(number.to_string().as_bytes()).is_some());
            assert!(patterns.known().len() <= MOST);
        }
    }
}
