//! The cues of SQL in a row of tokens: what an injection needs for its grammar, and prose does not have.

use super::score::Cues;
use super::sql::*;
use super::sql_token::{Kind, Token, Word};

/// A walk over the tokens of one text.
pub(super) struct Walk<'t> {
    pub(super) text: &'t [u8],
    pub(super) tokens: &'t [Token],
}

/// So many parentheses and quotes are stepped over at once.
pub(super) const WRAPS: usize = 8;
/// So far back quotes are counted.
const FAR: usize = 4096;

impl Walk<'_> {
    pub(super) fn kind(&self, at: usize) -> Option<Kind> {
        Some(self.tokens.get(at)?.kind)
    }

    pub(super) fn is(&self, at: usize, word: Word) -> bool {
        self.kind(at) == Some(Kind::Word(word))
    }

    pub(super) fn bytes(&self, at: usize) -> &[u8] {
        self.tokens.get(at).and_then(|token| self.text.get(token.start..token.end)).unwrap_or_default()
    }

    pub(super) fn add(&self, cues: &mut Cues, rule: u32, from: usize, to: usize) {
        let start = self.tokens.get(from).map_or(0, |token| token.start);
        let end = self.tokens.get(to).or(self.tokens.last()).map_or(self.text.len(), |token| token.end);
        cues.add(rule, start, end.max(start));
    }

    /// The place after parentheses that open, quotes, signs and `not`.
    pub(super) fn unwrapped(&self, mut at: usize) -> usize {
        let mut left = WRAPS;
        while left > 0 {
            match self.kind(at) {
                Some(Kind::Open | Kind::Quote | Kind::Arithmetic | Kind::Word(Word::Not)) => at += 1,
                _ => break,
            }
            left -= 1;
        }
        at
    }

    /// The place after parentheses that close, and quotes.
    pub(super) fn closed(&self, mut at: usize) -> usize {
        let mut left = WRAPS;
        while left > 0 && matches!(self.kind(at), Some(Kind::Close | Kind::Quote | Kind::Arithmetic)) {
            // A quote before a letter begins something new.
            at += 1;
            left -= 1;
        }
        at
    }

    /// Whether a quote or a parenthesis stands directly before: the end of what the injection broke out of.
    pub(super) fn breaks_out(&self, at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|before| self.kind(before));
        match before {
            Some(Kind::Quote) => self.ends_foreign_string(at - 1),
            Some(Kind::Close) => self.lonely_close(at - 1),
            Some(Kind::Number) => at == 1 || (at == 2 && self.kind(0) == Some(Kind::Arithmetic)),
            _ => false,
        }
    }

    /// Whether a quote ends a string that the text itself has not begun: it is the first, third, fifth of its kind. In
    /// `state = 'open' and` it is the second.
    fn ends_foreign_string(&self, at: usize) -> bool {
        let Some(token) = self.tokens.get(at) else { return false };
        let upto = self.text.get(..token.end).unwrap_or_default();
        let Some(mark) = upto.last() else { return false };
        let from = upto.len().saturating_sub(FAR);
        memchr::memchr_iter(*mark, upto.get(from..).unwrap_or_default()).count() % 2 == 1
    }

    /// A parenthesis that closes what was not opened.
    pub(super) fn lonely_close(&self, at: usize) -> bool {
        let from = at.saturating_sub(64);
        let mut depth = 0_i32;
        for token in self.tokens.get(from..=at).unwrap_or_default() {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth -= 1,
                _ => {}
            }
        }
        depth < 0
    }

    /// Looks for every cue, once over the tokens.
    pub(super) fn run(&self, cues: &mut Cues) {
        for at in 0..self.tokens.len() {
            match self.kind(at) {
                Some(Kind::Word(word)) => self.word(at, word, cues),
                Some(Kind::Pipes | Kind::Ampersands) => {
                    self.logic(at, cues);
                    self.concatenation(at, cues);
                }
                Some(Kind::Arithmetic) => self.concatenation(at, cues),
                Some(Kind::Semicolon) => self.stacked(at, cues),
                Some(Kind::Comment) => self.comment(at, cues),
                // `(select|insert)` is a choice of a pattern.
                Some(Kind::Open) if self.is(at + 1, Word::Select) && self.bytes(at + 2) != b"|" => {
                    self.subquery(at, cues);
                }
                Some(Kind::At) if self.bytes(at) == b"@@" => self.add(cues, VARIABLE, at, at + 1),
                Some(Kind::Quote) => self.empty_comparison(at, cues),
                _ => {}
            }
        }
    }

    fn word(&self, at: usize, word: Word, cues: &mut Cues) {
        match word {
            Word::Or | Word::And => self.logic(at, cues),
            Word::Where | Word::Having | Word::When => {
                self.comparison(at, cues);
                if word == Word::Having && self.breaks_out(at) {
                    self.add(cues, CLAUSE, at, at + 3);
                }
            }
            Word::Union => self.union(at, cues),
            Word::Select => self.select(at, cues),
            Word::Order | Word::Group => self.order(at, cues),
            Word::Case => self.case(at, cues),
            Word::Danger => self.danger(at, cues),
            Word::Builder => self.builder(at, cues),
            Word::Catalogue => self.catalogue(at, cues),
            Word::Waitfor if self.is(at + 1, Word::Delay) => {
                let quoted = self.kind(at + 2) == Some(Kind::Quote);
                self.add(cues, if quoted { TIMING } else { VARIABLE }, at, at + 3);
            }
            Word::Into if self.is(at + 1, Word::Outfile) => self.add(cues, FILES, at, at + 2),
            Word::Like | Word::In | Word::Between | Word::Limit if self.breaks_out(at) => {
                self.clause(at, word, cues)
            }
            Word::Insert
            | Word::Update
            | Word::Delete
            | Word::Drop
            | Word::Alter
            | Word::Exec
            | Word::Declare
                if self.statement(at) =>
            {
                self.add(cues, STATEMENT, at, at + 3);
            }
            Word::If => {
                let condition = self.kind(at + 1) == Some(Kind::Open)
                    && (3..8).any(|step| self.compares(at + step) && self.decided(at + step - 1, at + step));
                if condition {
                    self.add(cues, CONDITION, at, at + 6);
                }
            }
            _ => {}
        }
    }

    /// `or 1=1`, `' and 'a'='a`, `|| true`, `or sleep(5)`.
    fn logic(&self, at: usize, cues: &mut Cues) {
        let operand = self.unwrapped(at + 1);
        let out = self.breaks_out(at);
        self.comparison(at, cues);
        let after = self.closed(operand + 1);
        let ends = matches!(self.kind(after), None | Some(Kind::Comment | Kind::Semicolon));
        match self.kind(operand) {
            // `10' or 12'` are feet: a string cannot begin where a number ends.
            Some(Kind::Number)
                if operand == at + 1
                    && self.kind(operand + 1) == Some(Kind::Quote)
                    && self.kind(operand + 2).is_none() => {}
            Some(Kind::Number | Kind::Word(Word::True)) if out && ends => self.add(cues, TRUTH, at, operand),
            // `' or 'x`: the second half of the string is closed by the statement.
            Some(Kind::Word(_))
                if out
                    && ends
                    && operand == at + 2
                    && self.kind(at + 1) == Some(Kind::Quote)
                    && self.kind(operand + 1) != Some(Kind::Quote) =>
            {
                self.add(cues, BREAKOUT, at, operand);
            }
            Some(Kind::Word(Word::Select | Word::Case)) => self.add(cues, SUBQUERY, at, operand),
            Some(Kind::Word(_) | Kind::Number) if out && self.has_operator(operand) => {
                self.add(cues, BREAKOUT, at, operand);
            }
            _ => {}
        }
    }

    /// Whether an operator or a call follows soon.
    fn has_operator(&self, operand: usize) -> bool {
        let next = self.closed(operand + 1);
        let operator = matches!(
            self.kind(next),
            Some(
                Kind::Compare | Kind::Comment | Kind::Word(Word::Like | Word::Is | Word::In | Word::Between)
            )
        );
        operator || self.kind(operand + 1) == Some(Kind::Open)
    }

    /// Two values that are compared after a word of logic.
    fn comparison(&self, at: usize, cues: &mut Cues) {
        let left = self.unwrapped(at + 1);
        let operator = self.closed(left + 1);
        if self.compares(operator) && self.decided(left, operator) {
            let equal = matches!(self.bytes(operator), b"=" | b"==" | b"<=>" | b"<>" | b"!=")
                || self.kind(operator) != Some(Kind::Compare);
            let strong = at == 0 || self.breaks_out(at) || (equal && self.kind(left) == Some(Kind::Number));
            self.add(cues, if strong { TAUTOLOGY } else { BREAKOUT }, at, operator + 1);
        }
    }

    pub(super) fn compares(&self, at: usize) -> bool {
        matches!(
            self.kind(at),
            Some(Kind::Compare | Kind::Word(Word::Like | Word::Is | Word::In | Word::Between))
        )
    }

    /// Whether the result is known without a table: two numbers, or twice the same word, or two strings.
    fn decided(&self, left: usize, operator: usize) -> bool {
        let right = self.unwrapped(operator + 1);
        let quoted = left > 0 && self.kind(left - 1) == Some(Kind::Quote) && right > operator + 1;
        match (self.kind(left), self.kind(right)) {
            (Some(Kind::Number), Some(Kind::Number)) => true,
            (Some(Kind::Number), Some(Kind::Word(word))) => {
                matches!(
                    word,
                    Word::Danger | Word::Builder | Word::Select | Word::If | Word::Case | Word::Null
                ) || self.kind(operator) == Some(Kind::Word(Word::Like))
            }
            (Some(Kind::Word(_)), Some(Kind::Word(_))) => {
                let same = self.bytes(left).eq_ignore_ascii_case(self.bytes(right));
                same && (quoted || self.kind(operator) == Some(Kind::Compare))
            }
            _ => false,
        }
    }

    /// `''='`, `"="`: two empty strings, or the halves of one.
    fn empty_comparison(&self, at: usize, cues: &mut Cues) {
        let quotes = (self.kind(at + 1), self.kind(at + 2), self.kind(at + 3));
        let single = self.bytes(at + 2).len() == 1 && self.bytes(at + 2) == b"=";
        if quotes == (Some(Kind::Quote), Some(Kind::Compare), Some(Kind::Quote)) && single {
            let logic = at > 0
                && matches!(
                    self.kind(at - 1),
                    Some(Kind::Word(Word::Or | Word::And) | Kind::Pipes | Kind::Ampersands)
                );
            if logic {
                self.add(cues, TAUTOLOGY, at, at + 3);
            }
        }
        // `'='`, `'-'`, `'+'`: a string that is compared with itself is true.
        let whole = at == 0 || (at == 1 && self.tokens.len() <= 5);
        let between = matches!(self.kind(at + 1), Some(Kind::Compare | Kind::Arithmetic | Kind::Star));
        if whole && between && self.kind(at + 2) == Some(Kind::Quote) && self.tokens.len() <= at + 4 {
            self.add(cues, TRUTH, at, at + 2);
        }
    }
}
