//! The cues of a query: what is selected, from where, in which order, and the expressions around it.

use super::score::Cues;
use super::sql::*;
use super::sql_grammar::Walk;
use super::sql_token::{Kind, Word};

impl Walk<'_> {
    pub(super) fn union(&self, at: usize, cues: &mut Cues) {
        let mut next = at + 1;
        while matches!(self.kind(next), Some(Kind::Word(Word::All) | Kind::Open)) {
            next += 1;
        }
        if !self.is(next, Word::Select) && !self.is(next, Word::Values) {
            return;
        }
        let first = self.unwrapped(next + 1);
        let listed = match self.kind(first) {
            None
            | Some(
                Kind::Number | Kind::Star | Kind::At | Kind::Comment | Kind::Word(Word::Null | Word::All),
            ) => true,
            Some(Kind::Word(Word::Danger | Word::Builder)) => true,
            Some(Kind::Word(_)) => matches!(
                self.kind(self.closed(first + 1)),
                Some(
                    Kind::Comma
                        | Kind::Open
                        | Kind::Dot
                        | Kind::Word(Word::From)
                        | Kind::Comment
                        | Kind::Pipes
                )
            ),
            _ => false,
        };
        let all = self.is(at + 1, Word::All);
        let is_listed = listed || (all && self.breaks_out(at));
        let rule = if !is_listed {
            UNION_WORDS
        } else if self.follows_a_query(at) {
            UNION_OF_QUERIES
        } else {
            UNION
        };
        self.add(cues, rule, at, first);
    }

    /// Whether a whole query stands before, from its first word on: an injection begins in the middle of one.
    fn follows_a_query(&self, at: usize) -> bool {
        let before = self.tokens.get(..at).unwrap_or_default();
        let word = |wanted| before.iter().position(|token| token.kind == Kind::Word(wanted));
        let quotes = before.iter().filter(|token| token.kind == Kind::Quote).count();
        matches!((word(Word::Select), word(Word::From)), (Some(select), Some(from)) if select < from)
            && quotes % 2 == 0
            && self.kind(at - 1) != Some(Kind::Quote)
    }

    /// `select a, b from c where d = 1`.
    pub(super) fn select(&self, at: usize, cues: &mut Cues) {
        let near = self.tokens.get(at + 1..).unwrap_or_default();
        let from = near.iter().take(24).position(|token| token.kind == Kind::Word(Word::From));
        let Some(from) = from.map(|step| at + 1 + step) else {
            let value = matches!(self.kind(at + 1), Some(Kind::At | Kind::Word(Word::Danger)))
                || (self.is(at + 1, Word::Builder) && self.kind(at + 2) == Some(Kind::Open));
            if value {
                self.add(cues, SELECT, at, at + 3);
            }
            return;
        };
        let list = self.tokens.get(at + 1..from).unwrap_or_default();
        let shaped = list.iter().any(|token| {
            matches!(
                token.kind,
                Kind::Star | Kind::Open | Kind::Number | Kind::Comma | Kind::Quote | Kind::At | Kind::Dot
            )
        });
        // A list of SQL has a comma or an operator between all of its words.
        let listed = list.windows(2).all(|pair| {
            let [left, right] = pair else { return true };
            !matches!((left.kind, right.kind), (Kind::Word(Word::Other), Kind::Word(Word::Other)))
        });
        let table = self.unwrapped(from + 1);
        let named = matches!(
            self.kind(table),
            Some(Kind::Word(Word::Other | Word::Catalogue | Word::Object | Word::Select))
        );
        let after = self.closed(table + 1);
        let ends = match self.kind(after) {
            None | Some(Kind::Comment | Kind::Semicolon | Kind::Dot | Kind::Comma | Kind::Quote) => true,
            Some(Kind::Word(word)) => {
                matches!(
                    word,
                    Word::Where
                        | Word::Limit
                        | Word::Order
                        | Word::Group
                        | Word::Union
                        | Word::As
                        | Word::Having
                )
            }
            _ => false,
        };
        if listed && named && (ends || shaped) && !list.is_empty() {
            let rule = if shaped { SELECT } else { SELECT_WORDS };
            self.add(cues, rule, at, after);
        }
    }

    /// `order by 5 --`, and the same after a quote.
    pub(super) fn order(&self, at: usize, cues: &mut Cues) {
        if !self.is(at + 1, Word::By) {
            return;
        }
        let column = self.unwrapped(at + 2);
        let number = self.kind(column) == Some(Kind::Number);
        let mut next = column + 1;
        while matches!(self.kind(next), Some(Kind::Comma | Kind::Number)) {
            next += 1;
        }
        let ends = matches!(self.kind(next), None | Some(Kind::Comment));
        let comments = self.kind(next) == Some(Kind::Comment);
        if self.breaks_out(at) && (comments || number || ends) || (number && comments) {
            self.add(cues, CLAUSE, at, next);
        }
    }

    pub(super) fn case(&self, at: usize, cues: &mut Cues) {
        let near = self.tokens.get(at..).unwrap_or_default().iter().take(24);
        let mut stage = 0;
        for token in near {
            stage = match (stage, token.kind) {
                (0, Kind::Word(Word::When)) => 1,
                (1, Kind::Word(Word::Then)) => 2,
                (2, Kind::Word(Word::Else | Word::End)) => {
                    return self.add(cues, CONDITION, at, at + 6);
                }
                _ => stage,
            };
        }
    }

    /// `char(65)||char(66)`, `concat(0x71,...)`, `version()`.
    pub(super) fn builder(&self, at: usize, cues: &mut Cues) {
        if self.kind(at + 1) != Some(Kind::Open) {
            return;
        }
        let inner = self.kind(at + 2);
        let chained = matches!(self.kind(at + 3), Some(Kind::Close))
            && matches!(self.kind(at + 4), Some(Kind::Pipes | Kind::Arithmetic | Kind::Comma));
        if inner == Some(Kind::Number) && chained
            || matches!(inner, Some(Kind::Word(Word::Select | Word::Builder | Word::Danger)))
            || (inner == Some(Kind::Open) && self.is(at + 3, Word::Select))
            || (inner == Some(Kind::Number) && self.bytes(at + 2).starts_with(b"0x"))
        {
            self.add(cues, STRINGS, at, at + 4);
        } else if inner == Some(Kind::Close) {
            self.add(cues, VARIABLE, at, at + 2);
        }
    }

    /// A table of the catalogue counts where a table can stand.
    pub(super) fn catalogue(&self, at: usize, cues: &mut Cues) {
        let dotted = self.kind(at + 1) == Some(Kind::Dot) && matches!(self.kind(at + 2), Some(Kind::Word(_)));
        let from = at.checked_sub(1).is_some_and(|before| {
            matches!(self.kind(before), Some(Kind::Word(Word::From | Word::Into) | Kind::Comma | Kind::Dot))
        });
        let plain = [&b"dual"[..], b"domain"].iter().any(|name| self.bytes(at).eq_ignore_ascii_case(name));
        if (from && (dotted || !plain)) || (dotted && !plain) || (from && self.has_select(at)) {
            self.add(cues, CATALOGUE, at, at + 2);
        }
    }

    fn has_select(&self, at: usize) -> bool {
        let before = self.tokens.get(at.saturating_sub(24)..at).unwrap_or_default();
        before.iter().any(|token| token.kind == Kind::Word(Word::Select))
    }

    pub(super) fn subquery(&self, at: usize, cues: &mut Cues) {
        let first = self.kind(self.unwrapped(at + 2));
        let plain = matches!(first, Some(Kind::Word(Word::Other)));
        let operator = at.checked_sub(1).is_some_and(|before| {
            matches!(
                self.kind(before),
                Some(
                    Kind::Compare
                        | Kind::Arithmetic
                        | Kind::Pipes
                        | Kind::Comma
                        | Kind::Quote
                        | Kind::Open
                        | Kind::Semicolon
                ) | Some(Kind::Word(
                    Word::In | Word::From | Word::Union | Word::Or | Word::And | Word::Builder
                ))
            )
        });
        if operator || !plain {
            self.add(cues, SUBQUERY, at, at + 3);
        }
    }

    /// `'||(select`, `'+(select`, `'||'`.
    pub(super) fn concatenation(&self, at: usize, cues: &mut Cues) {
        let before = at.checked_sub(1).and_then(|before| self.kind(before));
        if before != Some(Kind::Quote) {
            return;
        }
        let next = self.unwrapped(at + 1);
        match self.kind(next) {
            Some(Kind::Word(Word::Select | Word::Danger | Word::Case | Word::If)) => {
                self.add(cues, SUBQUERY, at, next)
            }
            Some(Kind::Word(Word::Builder)) if self.kind(next + 1) == Some(Kind::Open) => {
                self.add(cues, SUBQUERY, at, next);
            }
            Some(Kind::Word(_) | Kind::Number)
                if self.kind(at) == Some(Kind::Pipes) && self.kind(at + 1) == Some(Kind::Quote) =>
            {
                self.add(cues, BREAKOUT, at, next);
            }
            _ => {}
        }
    }

    pub(super) fn clause(&self, at: usize, word: Word, cues: &mut Cues) {
        let next = self.unwrapped(at + 1);
        let strong = match word {
            Word::Like => self.kind(next).is_some() && next > at + 1,
            Word::In => {
                self.kind(at + 1) == Some(Kind::Open) || self.bytes(at + 1).eq_ignore_ascii_case(b"boolean")
            }
            Word::Limit => self.kind(next) == Some(Kind::Number),
            _ => self.kind(next) == Some(Kind::Number) && self.is(next + 1, Word::And),
        };
        if strong {
            self.add(cues, BREAKOUT, at, next);
        }
    }
}
