//! Telling at a glance that a header field's name is none of those that matter.

use http::HeaderName;

/// A set of names as a filter: by length of the name, which first letters there are. Looking a name up in it takes two
/// loads, while a map hashes the whole name; nearly all fields of nearly all heads are told from this alone.
#[derive(Debug, Clone)]
pub struct NameSieve {
    first_letters: [u32; LENGTHS],
}

/// Longer names always pass.
const LENGTHS: usize = 64;

impl NameSieve {
    /// The sieve that lets these names pass.
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut first_letters = [0; LENGTHS];
        for name in names {
            if let Some(letters) = first_letters.get_mut(name.len()) {
                *letters |= letter_bit(name);
            }
        }
        Self { first_letters }
    }

    /// Whether this may be one of the names. `false` is certain.
    #[must_use]
    pub fn passes(&self, name: &HeaderName) -> bool {
        let text = name.as_str();
        self.first_letters.get(text.len()).is_none_or(|letters| letters & letter_bit(text) != 0)
    }
}

/// Letters that differ only in case share a bit. No name is empty.
fn letter_bit(name: &str) -> u32 {
    name.bytes().next().map_or(0, |first| 1 << (first & 0x1f))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_names_pass_and_few_others() {
        let long = "x".repeat(LENGTHS);
        let sieve = NameSieve::new(["via", "Server", "x-powered-by"]);
        for (name, passes) in
            [("via", true), ("server", true), ("x-powered-by", true), ("vary", false), ("date", false)]
        {
            assert_eq!(sieve.passes(&HeaderName::from_static(name)), passes, "{name}");
        }
        assert!(
            sieve.passes(&HeaderName::try_from(long).unwrap()),
            "what has no place in the table is looked up"
        );
    }
}
