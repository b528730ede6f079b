//! Scopes (RFC 6749 section 3.3).

use std::fmt;

/// A set of scopes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scopes(Vec<String>);

impl Scopes {
    /// The scopes of a `scope` parameter: words with spaces between them.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        text.split_ascii_whitespace().map(str::to_owned).collect()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|mine| mine == scope)
    }

    /// Whether every one of `needed` is among them.
    #[must_use]
    pub fn has_all(&self, needed: &Self) -> bool {
        needed.iter().all(|scope| self.contains(scope))
    }

    /// Whether one of `needed` is among them, or none is needed.
    #[must_use]
    pub fn has_any(&self, needed: &Self) -> bool {
        needed.is_empty() || needed.iter().any(|scope| self.contains(scope))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<S: Into<String>> FromIterator<S> for Scopes {
    /// Each scope once, in one order whatever the order they came in.
    fn from_iter<I: IntoIterator<Item = S>>(scopes: I) -> Self {
        let mut scopes: Vec<String> = scopes.into_iter().map(Into::into).collect();
        scopes.sort_unstable();
        scopes.dedup();
        Self(scopes)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::Scopes;

    #[test]
    fn all_means_every_one_and_any_means_one() {
        let mine = Scopes::parse("read  write");
        for (needed, all, any) in [
            ("", true, true),
            ("read", true, true),
            ("read admin", false, true),
            ("admin", false, false),
            ("READ", false, false),
        ] {
            let needed = Scopes::parse(needed);
            assert_eq!((mine.has_all(&needed), mine.has_any(&needed)), (all, any), "{needed}");
        }
        assert_eq!(Scopes::parse("b a b").to_string(), "a b");
    }
}
