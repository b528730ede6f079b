//! Texts with parts in braces, such as `v0:{timestamp}:{body}`.

use portcullis_core::{KeyPath, Problems};

/// A text that is put together for each request out of what is written and parts of kind `P`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template<P> {
    pub(crate) pieces: Vec<Piece<P>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece<P> {
    Text(String),
    Part(P),
}

impl<P> Template<P> {
    /// Reads a template; `part` knows the names, and `known` lists them for people.
    pub(crate) fn compile(
        text: &str,
        part: impl Fn(&str) -> Option<P>,
        known: &str,
        path: &KeyPath,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let Some((name, behind)) = after.split_once('}') else {
                problems.error(path, "a brace is not closed").suggest(format!("write {known}"));
                return None;
            };
            let Some(part) = part(name) else {
                problems
                    .error(path, format!("there is no part `{{{}}}`", name.escape_debug()))
                    .suggest(format!("write {known}"));
                return None;
            };
            pieces.push(Piece::Part(part));
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        if !pieces.iter().any(|piece| matches!(piece, Piece::Part(_))) {
            problems.error(path, "it is the same for every request").suggest(format!("write {known}"));
            return None;
        }
        Some(Self { pieces })
    }

    pub(crate) fn parts(&self) -> impl Iterator<Item = &P> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Part(part) => Some(part),
            Piece::Text(_) => None,
        })
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Part(_) => None,
        })
    }
}
