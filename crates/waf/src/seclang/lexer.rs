//! Text to directives: a name and its arguments, with continuations joined, comments skipped and quotes removed.

use super::piece::Piece;
use super::{Blame, Diagnostic, Span};

/// A directive, not yet understood.
#[derive(Debug)]
pub(super) struct Line {
    /// Its first word.
    pub(super) name: Piece,
    /// What follows it.
    pub(super) arguments: Vec<Piece>,
    /// All of it.
    pub(super) span: Span,
}

/// Reads the lines of one source.
#[derive(Debug)]
pub(super) struct Lexer {
    source: u32,
    text: String,
    position: usize,
}

impl Lexer {
    /// A lexer at the beginning of a text of at most `u32::MAX` bytes.
    pub(super) const fn new(source: u32, text: String) -> Self {
        Self { source, text, position: 0 }
    }

    /// The next directive, or why there is none; nothing at the end.
    pub(super) fn line(&mut self) -> Option<Result<Line, Diagnostic>> {
        loop {
            self.skip_blanks();
            match self.peek()? {
                '\n' => self.position += 1,
                '#' => self.comment(),
                _ => return Some(self.directive()),
            }
        }
    }

    fn directive(&mut self) -> Result<Line, Diagnostic> {
        let start = self.position;
        let name = self.argument().inspect_err(|_| self.skip_line())?;
        let mut arguments = Vec::new();
        let mut end = self.position;
        loop {
            self.skip_blanks();
            if matches!(self.peek(), None | Some('\n')) {
                return Ok(Line { name, arguments, span: self.span(start, end) });
            }
            arguments.push(self.argument().inspect_err(|_| self.skip_line())?);
            end = self.position;
            if !self.at_blank() {
                let fault = "a space is missing between a quoted argument and what follows it";
                let span = self.span(end, end + 1);
                self.skip_line();
                return Err(Diagnostic::new(Blame::Syntax, fault, span));
            }
        }
    }

    fn argument(&mut self) -> Result<Piece, Diagnostic> {
        match self.peek() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote),
            _ => Ok(self.word()),
        }
    }

    /// An argument in quotes. A backslash escapes the quote and nothing else, and both characters of any other pair stay.
    fn quoted(&mut self, quote: char) -> Result<Piece, Diagnostic> {
        let start = self.position;
        self.position += 1;
        let mut piece = Piece::new(self.source, self.offset());
        loop {
            self.skip_continuations();
            let at = self.offset();
            match self.next() {
                None | Some('\n') => {
                    self.position = self.position.min(at as usize);
                    let fault =
                        format!("the quote {quote} is not closed on its line; end the line with \\ to go on");
                    return Err(Diagnostic::new(Blame::Syntax, fault, self.span(start, start + 1)));
                }
                Some(c) if c == quote => return Ok(piece),
                Some('\\') => match self.peek() {
                    Some(next) if next == quote => {
                        piece.push(next, self.offset());
                        self.next();
                    }
                    Some('\\') => {
                        piece.push('\\', at);
                        piece.push('\\', self.offset());
                        self.next();
                    }
                    _ => piece.push('\\', at),
                },
                Some(c) => piece.push(c, at),
            }
        }
    }

    /// An argument without quotes, which ends at a blank; but in `ARGS:'a name'` blanks are part of the name.
    fn word(&mut self) -> Piece {
        let mut piece = Piece::new(self.source, self.offset());
        let mut before = ' ';
        let mut inside = false;
        loop {
            self.skip_continuations_but(inside);
            let end = if inside { self.peek().is_none_or(|c| c == '\n') } else { self.at_blank() };
            if end {
                return piece;
            }
            let at = self.offset();
            let Some(c) = self.next() else { return piece };
            piece.push(c, at);
            if c == '\'' && before != '\\' {
                inside = !inside && before == ':' && self.rest_of_line().contains('\'');
            }
            before = c;
        }
    }

    /// Skips a comment. A rule that is commented out is so with all of its lines, as in ModSecurity; the last character of
    /// any other comment has no such power.
    fn comment(&mut self) {
        let words = self.rest_of_line().trim_start_matches('#').trim_start();
        let directive = ["secrule", "secaction"]
            .iter()
            .any(|name| words.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)));
        while directive && self.rest_of_line().trim_end().ends_with('\\') {
            self.position += self.rest_of_line().len();
            if self.next().is_none() {
                return;
            }
        }
        self.position += self.rest_of_line().len();
    }

    fn skip_line(&mut self) {
        while !matches!(self.peek(), None | Some('\n')) {
            self.skip_continuations();
            if self.peek() != Some('\n') {
                self.next();
            }
        }
    }

    fn skip_blanks(&mut self) {
        loop {
            self.skip_continuations();
            match self.peek() {
                Some(c) if c != '\n' && c.is_whitespace() => self.position += c.len_utf8(),
                _ => return,
            }
        }
    }

    fn skip_continuations(&mut self) {
        while let Some(length) = self.continuation() {
            self.position += length;
        }
    }

    /// A continuation ends a word, as the blanks that begin the next line do; inside a quoted name it does not.
    fn skip_continuations_but(&mut self, inside: bool) {
        if inside {
            self.skip_continuations();
        }
    }

    /// The length of a continuation that begins here: a backslash, perhaps blanks that nobody sees, and the end of the line.
    fn continuation(&self) -> Option<usize> {
        let after = self.rest().strip_prefix('\\')?;
        let blanks = after.len() - after.trim_start_matches([' ', '\t', '\r']).len();
        after.get(blanks..)?.starts_with('\n').then_some(blanks + 2)
    }

    fn at_blank(&self) -> bool {
        self.peek().is_none_or(char::is_whitespace) || self.continuation().is_some()
    }

    fn rest(&self) -> &str {
        self.text.get(self.position..).unwrap_or_default()
    }

    fn rest_of_line(&self) -> &str {
        self.rest().split('\n').next().unwrap_or_default()
    }

    /// The next character; the end of a line is one character, however it is written.
    fn peek(&self) -> Option<char> {
        let rest = self.rest();
        let c = rest.chars().next()?;
        if c == '\r' && rest.starts_with("\r\n") { Some('\n') } else { Some(c) }
    }

    fn next(&mut self) -> Option<char> {
        let rest = self.rest();
        if rest.starts_with("\r\n") {
            self.position += 2;
            return Some('\n');
        }
        let c = rest.chars().next()?;
        self.position += c.len_utf8();
        Some(c)
    }

    fn offset(&self) -> u32 {
        u32::try_from(self.position).unwrap_or(u32::MAX)
    }

    fn span(&self, start: usize, end: usize) -> Span {
        let bound = |offset: usize| u32::try_from(offset.min(self.text.len())).unwrap_or(u32::MAX);
        Span { source: self.source, start: bound(start), end: bound(end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lex(text: &str) -> Vec<Result<Vec<String>, String>> {
        let mut lexer = Lexer::new(0, text.to_owned());
        std::iter::from_fn(|| lexer.line())
            .map(|line| {
                let line = line.map_err(|fault| format!("{}: {}", fault.span.start, fault.message))?;
                Ok([&line.name]
                    .into_iter()
                    .chain(&line.arguments)
                    .map(|piece| piece.text().to_owned())
                    .collect())
            })
            .collect()
    }

    fn words(text: &str) -> Vec<Vec<String>> {
        lex(text).into_iter().map(|line| line.unwrap()).collect()
    }

    #[test]
    fn lines_are_words() {
        assert_eq!(words("A b\r\n\n  # c d\n\tE \"f g\" 'h i'\n"), [vec!["A", "b"], vec!["E", "f g", "h i"]]);
        assert!(words("").is_empty());
        assert!(words("# only\r\n   \n#").is_empty());
    }

    #[test]
    fn a_backslash_continues_a_line() {
        assert_eq!(words("A b\\\n  c \\ \r\n \"d\\\n  e\"\nF"), [vec!["A", "b", "c", "d  e"], vec!["F"]]);
    }

    #[test]
    fn quotes_are_escaped_and_nothing_else() {
        assert_eq!(words(r#"A "b \"c\" \d \\" 'e\'f "g"'"#), [vec!["A", r#"b "c" \d \\"#, r#"e'f "g""#]]);
    }

    #[test]
    fn names_in_quotes_hold_blanks() {
        assert_eq!(words("A ARGS:'b c'|D e"), [vec!["A", "ARGS:'b c'|D", "e"]]);
        assert_eq!(words("A it's b"), [vec!["A", "it's", "b"]]);
        assert_eq!(words("A ARGS:'b c"), [vec!["A", "ARGS:'b", "c"]]);
    }

    #[test]
    fn commented_rules_are_comments_to_their_end() {
        assert_eq!(words("#SecRule A b \\\n  \"c\" \\\n  \"d\"\nE"), [["E"]]);
        assert_eq!(words("# C:\\\nE"), [["E"]]);
    }

    #[test]
    fn faults_have_places_and_do_not_hide_what_follows() {
        assert_eq!(
            lex("A \"b\nC\nD \"e\"f g \\\n h\nI \"\\"),
            [
                Err("2: the quote \" is not closed on its line; end the line with \\ to go on".to_owned()),
                Ok(vec!["C".to_owned()]),
                Err("12: a space is missing between a quoted argument and what follows it".to_owned()),
                Err("23: the quote \" is not closed on its line; end the line with \\ to go on".to_owned()),
            ]
        );
    }
}
