//! What is wrong with a configuration: every fault in one grammar, with the place it stands in.

use std::fmt;

/// A place in the configuration: `services[0].routes[2].path`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct KeyPath(String);

impl KeyPath {
    /// The whole configuration.
    #[must_use]
    pub const fn root() -> Self {
        Self(String::new())
    }

    /// The key `name` under this place.
    #[must_use]
    pub fn key(&self, name: &str) -> Self {
        if self.0.is_empty() { Self(name.to_owned()) } else { Self(format!("{}.{name}", self.0)) }
    }

    /// The element `index` of the list at this place.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// The path as text; empty for the root.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "(root)" } else { &self.0 })
    }
}

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It runs, but someone should know (an exception to fail-closed, for instance).
    Warning,
}

/// One fault: what is wrong, where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where it stands.
    pub path: KeyPath,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub suggestion: Option<String>,
}

/// Every fault found so far. Compile steps go on after a fault, so that one run shows them all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// Records an error.
    pub fn error(&mut self, path: &KeyPath, message: impl Into<String>) -> &mut Problem {
        self.push(Severity::Error, path, message.into())
    }

    /// Records a warning.
    pub fn warning(&mut self, path: &KeyPath, message: impl Into<String>) -> &mut Problem {
        self.push(Severity::Warning, path, message.into())
    }

    /// Whether an error (not only warnings) was recorded.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// All faults in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds a fault that was made elsewhere.
    pub fn add(&mut self, problem: Problem) {
        self.list.push(problem);
    }

    fn push(&mut self, severity: Severity, path: &KeyPath, message: String) -> &mut Problem {
        let at = self.list.len();
        self.list.push(Problem { severity, path: path.clone(), message, suggestion: None });
        #[expect(clippy::indexing_slicing, reason = "the element at `at` was pushed in the line above")]
        &mut self.list[at]
    }
}

impl Problem {
    /// Adds what would be right.
    pub fn suggest(&mut self, suggestion: impl Into<String>) {
        self.suggestion = Some(suggestion.into());
    }
}

/// The candidate most like `wrong`, if any is like it at all: for "did you mean".
#[must_use]
pub fn nearest<'c>(wrong: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(wrong, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_like_the_file() {
        let path = KeyPath::root().key("services").index(0).key("routes").index(2).key("path");
        assert_eq!(path.to_string(), "services[0].routes[2].path");
    }

    #[test]
    fn the_nearest_name_is_found_and_strangers_are_not() {
        let names = ["authenticate", "authorize", "limit"];
        assert_eq!(nearest("authentciate", names), Some("authenticate"));
        assert_eq!(nearest("zzz", names), None);
    }
}
