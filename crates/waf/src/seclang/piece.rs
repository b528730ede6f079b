//! Text whose every character knows where it was written, though continuations and escapes are gone from it.

use super::{Blame, Diagnostic, Span};

/// An owned text with the places of its characters.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    source: u32,
    text: String,
    /// Runs: from that byte of the text on, bytes follow one another in the source from that byte on.
    runs: Vec<(usize, u32)>,
}

impl Piece {
    /// An empty text that stands at a byte of a source.
    pub(super) fn new(source: u32, at: u32) -> Self {
        Self { source, text: String::new(), runs: vec![(0, at)] }
    }

    /// Adds a character that is written at a byte of the source.
    pub(super) fn push(&mut self, c: char, at: u32) {
        let offset = self.text.len();
        if self.at(offset) != at {
            if offset == 0 {
                self.runs.clear();
            }
            self.runs.push((offset, at));
        }
        self.text.push(c);
    }

    /// Where a byte of the text is written.
    fn at(&self, offset: usize) -> u32 {
        let next = self.runs.partition_point(|(start, _)| *start <= offset);
        let (start, at) = self.runs.get(next.saturating_sub(1)).copied().unwrap_or_default();
        at.saturating_add(u32::try_from(offset.saturating_sub(start)).unwrap_or(u32::MAX))
    }

    /// All of it.
    pub(super) fn whole(&self) -> Part<'_> {
        Part { piece: self, start: 0, end: self.text.len() }
    }

    /// Its text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// A stretch of a [`Piece`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    piece: &'a Piece,
    start: usize,
    end: usize,
}

impl<'a> Part<'a> {
    /// Its text.
    pub(super) fn text(self) -> &'a str {
        self.piece.text.get(self.start..self.end).unwrap_or_default()
    }

    /// Where it is written.
    pub(super) fn span(self) -> Span {
        let start = self.piece.at(self.start);
        let end = if self.end > self.start { self.piece.at(self.end - 1).saturating_add(1) } else { start };
        Span { source: self.piece.source, start, end }
    }

    /// The bytes `from..to` of it.
    pub(super) fn slice(self, from: usize, to: usize) -> Self {
        let start = self.start.saturating_add(from).min(self.end);
        Self { start, end: self.start.saturating_add(to).clamp(start, self.end), ..self }
    }

    /// Without whitespace around it.
    pub(super) fn trim(self) -> Self {
        let text = self.text();
        let from = text.len() - text.trim_start().len();
        self.slice(from, from.max(text.trim_end().len()))
    }

    /// What stands before and after the first `separator`, if there is one.
    pub(super) fn split_once(self, separator: impl FnMut(char) -> bool) -> Option<(Self, Self)> {
        let text = self.text();
        let at = text.find(separator)?;
        let width = text.get(at..)?.chars().next()?.len_utf8();
        Some((self.slice(0, at), self.slice(at + width, text.len())))
    }

    /// Without a leading `c`.
    pub(super) fn strip(self, c: char) -> Option<Self> {
        self.text().starts_with(c).then(|| self.slice(c.len_utf8(), self.text().len()))
    }

    /// Its characters, with their offsets in it and the bytes where they are written.
    pub(super) fn characters(self) -> impl Iterator<Item = (usize, char, u32)> + 'a {
        self.text().char_indices().map(move |(offset, c)| (offset, c, self.piece.at(self.start + offset)))
    }

    /// A text of its own with `escaped` (a backslash and a character) replaced by the character alone.
    pub(super) fn unescape(self, escaped: &[char]) -> Piece {
        let mut piece = Piece::new(self.piece.source, self.span().start);
        let mut characters = self.characters().peekable();
        while let Some((_, c, at)) = characters.next() {
            let follows = if c == '\\' { characters.next() } else { None };
            match follows {
                Some((_, next, next_at)) => {
                    if !escaped.contains(&next) {
                        piece.push(c, at);
                    }
                    piece.push(next, next_at);
                }
                None => piece.push(c, at),
            }
        }
        piece
    }

    /// A diagnostic about it.
    pub(super) fn fault(self, blame: Blame, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(blame, message, self.span())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(characters: &[(char, u32)]) -> Piece {
        let mut piece = Piece::new(3, 10);
        for (c, at) in characters {
            piece.push(*c, *at);
        }
        piece
    }

    #[test]
    fn spans_skip_what_is_not_in_the_text() {
        let piece = piece(&[('a', 10), ('\u{f6}', 11), ('b', 20), ('c', 21)]);
        assert_eq!(piece.whole().span(), Span { source: 3, start: 10, end: 22 });
        assert_eq!(piece.whole().slice(1, 3).span(), Span { source: 3, start: 11, end: 13 });
        assert_eq!(piece.whole().slice(3, 4).span(), Span { source: 3, start: 20, end: 21 });
        assert_eq!(piece.whole().slice(9, 12).text(), "");
    }

    #[test]
    fn parts_are_cut_and_unescaped() {
        let piece = piece(&[(' ', 10), ('a', 11), (':', 12), ('\\', 13), ('\'', 14), ('\\', 15), ('d', 16)]);
        let (name, value) = piece.whole().trim().split_once(|c| c == ':').unwrap();
        assert_eq!((name.text(), value.text()), ("a", r"\'\d"));
        assert_eq!(value.unescape(&['\'']).text(), r"'\d");
        assert_eq!(value.unescape(&['\'']).whole().span(), Span { source: 3, start: 14, end: 17 });
    }
}
