//! The cues of a statement that changes something or waits, and of the comment that cuts off the rest.

use super::score::Cues;
use super::sql::*;
use super::sql_grammar::{WRAPS, Walk};
use super::sql_token::{Kind, Word};

impl Walk<'_> {
    pub(super) fn stacked(&self, at: usize, cues: &mut Cues) {
        if self.statement(at + 1) || (self.is(at + 1, Word::Select) && self.selects(at + 1)) {
            self.add(cues, STACKED, at, at + 3);
        }
        let breaks = at > 0 && matches!(self.kind(at - 1), Some(Kind::Quote));
        if breaks && self.kind(at + 1) == Some(Kind::Comment) {
            self.add(cues, TERMINATOR, at, at + 1);
        }
    }

    fn selects(&self, at: usize) -> bool {
        match self.kind(at + 1) {
            Some(Kind::Star | Kind::Number | Kind::Open | Kind::At | Kind::Quote) => true,
            Some(Kind::Word(Word::Case | Word::Danger | Word::Null)) => true,
            Some(Kind::Word(_)) => matches!(
                self.kind(at + 2),
                Some(Kind::Comma | Kind::Open | Kind::Word(Word::From) | Kind::Dot)
            ),
            _ => false,
        }
    }

    /// Whether a statement that changes something begins here.
    pub(super) fn statement(&self, at: usize) -> bool {
        let next = self.kind(at + 1);
        let name = |at: usize| {
            matches!(self.kind(at), Some(Kind::Word(Word::Other | Word::Object | Word::Catalogue)))
        };
        let ends = |at: usize| {
            matches!(
                self.kind(at),
                None | Some(Kind::Comment | Kind::Semicolon | Kind::Open | Kind::Dot | Kind::Comma)
            )
        };
        match self.kind(at) {
            Some(Kind::Word(Word::Insert)) => {
                let listed =
                    matches!(self.kind(at + 3), Some(Kind::Open | Kind::Word(Word::Values | Word::Select)));
                next == Some(Kind::Word(Word::Into)) && name(at + 2) && listed
            }
            Some(Kind::Word(Word::Update)) => {
                let assigns = self.is(at + 2, Word::Set)
                    && (4..9).any(|step| self.kind(at + step) == Some(Kind::Compare));
                next.is_some() && assigns
            }
            Some(Kind::Word(Word::Delete)) => {
                let filtered = self.is(at + 3, Word::Where) && (4..9).any(|step| self.compares(at + step));
                next == Some(Kind::Word(Word::From)) && name(at + 2) && (ends(at + 3) || filtered)
            }
            Some(Kind::Word(Word::Drop | Word::Alter)) => {
                let object = next == Some(Kind::Word(Word::Object));
                let target = if self.is(at + 2, Word::If) { at + 4 } else { at + 2 };
                object
                    && (name(target) || self.kind(target) == Some(Kind::Quote))
                    && (ends(target + 1) || self.alters(at, target))
            }
            Some(Kind::Word(Word::Exec)) => {
                matches!(next, Some(Kind::Word(Word::Danger | Word::Catalogue)))
                    || (matches!(next, Some(Kind::Open)) && self.kind(at + 2) == Some(Kind::Quote))
                    || self.is(at + 2, Word::Danger)
                    || (2..5).any(|step| {
                        self.is(at + step, Word::Danger) && self.kind(at + step - 1) == Some(Kind::Dot)
                    })
            }
            Some(Kind::Word(Word::Declare)) => next == Some(Kind::At),
            Some(Kind::Word(Word::Waitfor)) => next == Some(Kind::Word(Word::Delay)),
            Some(Kind::Word(Word::Shutdown)) => at > 0 && ends(at + 1),
            // With a brace behind the condition it is a program of another language.
            Some(Kind::Word(Word::If)) => {
                matches!(next, Some(Kind::Open))
                    && (2..8).any(|step| self.compares(at + step))
                    && !(2..24).any(|step| self.bytes(at + step) == b"{")
            }
            Some(Kind::Word(Word::Danger)) => next == Some(Kind::Open),
            _ => false,
        }
    }

    fn alters(&self, at: usize, target: usize) -> bool {
        self.is(at, Word::Alter) && matches!(self.kind(target + 1), Some(Kind::Word(Word::Drop | Word::Set)))
    }

    pub(super) fn danger(&self, at: usize, cues: &mut Cues) {
        let call = self.kind(at + 1) == Some(Kind::Open);
        let prefix = self.bytes(at);
        let named = prefix
            .get(..3)
            .is_some_and(|head| [b"xp_", b"sp_"].iter().any(|known| head.eq_ignore_ascii_case(*known)));
        let package = self.kind(at + 1) == Some(Kind::Dot);
        // `Sleep(y) Hollow`: what waits is given a number or an expression.
        let is_part_of_a_word = prefix.eq_ignore_ascii_case(b"sleep")
            && self.is(at + 2, Word::Other)
            && self.kind(at + 3) == Some(Kind::Close)
            && self.text.get(self.tokens.get(at).map_or(0, |token| token.end)) == Some(&b'(');
        if is_part_of_a_word {
            return;
        }
        if call || package {
            self.add(cues, TIMING, at, at + 3);
        } else if named {
            self.add(cues, STATEMENT, at, at + 1);
        }
    }

    /// `admin'--`, `') #`: what follows the quote is cut off.
    pub(super) fn comment(&self, at: usize, cues: &mut Cues) {
        let rest = self.tokens.len() - at;
        let mut before = at;
        let mut closes = 0;
        while before > 0
            && matches!(self.kind(before - 1), Some(Kind::Close | Kind::Semicolon))
            && closes < WRAPS
        {
            before -= 1;
            closes += 1;
        }
        let quote = before > 0 && self.kind(before - 1) == Some(Kind::Quote);
        let short = rest <= 3 && self.tokens.len() <= 24;
        if quote && short && (closes > 0 || self.is_inside_string(at)) {
            self.add(cues, TERMINATOR, before - 1, at);
        } else if rest <= 2 && self.numeric_head(at) {
            self.add(cues, TERMINATOR, 0, at);
        }
    }

    /// Whether an odd number of quotes stands before.
    fn is_inside_string(&self, at: usize) -> bool {
        let before = self.tokens.get(..at).unwrap_or_default();
        before.iter().filter(|token| token.kind == Kind::Quote).count() % 2 == 1
    }

    /// `1)) --`, `-1 #`.
    fn numeric_head(&self, at: usize) -> bool {
        let head = self.tokens.get(..at).unwrap_or_default();
        let closes = head.iter().filter(|token| token.kind == Kind::Close).count();
        let numbers = head.iter().filter(|token| token.kind == Kind::Number).count();
        closes > 0 && numbers == 1 && head.len() <= closes + 2 && self.lonely_close(at.saturating_sub(1))
    }
}
