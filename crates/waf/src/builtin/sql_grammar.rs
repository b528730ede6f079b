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
const WRAPS: usize = 8;

impl Walk<'_> {
    fn kind(&self, at: usize) -> Option<Kind> {
        Some(self.tokens.get(at)?.kind)
    }

    fn is(&self, at: usize, word: Word) -> bool {
        self.kind(at) == Some(Kind::Word(word))
    }

    fn bytes(&self, at: usize) -> &[u8] {
        self.tokens.get(at).and_then(|token| self.text.get(token.start..token.end)).unwrap_or_default()
    }

    fn add(&self, cues: &mut Cues, rule: u32, from: usize, to: usize) {
        let start = self.tokens.get(from).map_or(0, |token| token.start);
        let end = self.tokens.get(to).or(self.tokens.last()).map_or(self.text.len(), |token| token.end);
        cues.add(rule, start, end.max(start));
    }

    /// The place after parentheses that open, quotes, signs and `not`.
    fn unwrapped(&self, mut at: usize) -> usize {
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
    fn closed(&self, mut at: usize) -> usize {
        let mut left = WRAPS;
        while left > 0 && matches!(self.kind(at), Some(Kind::Close | Kind::Quote | Kind::Arithmetic)) {
            // A quote before a letter begins something new.
            at += 1;
            left -= 1;
        }
        at
    }

    /// Whether a quote or a parenthesis stands directly before: the end of what the injection broke out of.
    fn breaks_out(&self, at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|before| self.kind(before));
        match before {
            Some(Kind::Quote) => true,
            Some(Kind::Close) => self.lonely_close(at - 1),
            Some(Kind::Number) => at == 1 || (at == 2 && self.kind(0) == Some(Kind::Arithmetic)),
            _ => false,
        }
    }

    /// A parenthesis that closes what was not opened.
    fn lonely_close(&self, at: usize) -> bool {
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
                Some(Kind::Open) if self.is(at + 1, Word::Select) => self.subquery(at, cues),
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

    fn compares(&self, at: usize) -> bool {
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

    fn union(&self, at: usize, cues: &mut Cues) {
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
        let rule = if listed || (all && self.breaks_out(at)) { UNION } else { UNION_WORDS };
        self.add(cues, rule, at, first);
    }

    /// `select a, b from c where d = 1`.
    fn select(&self, at: usize, cues: &mut Cues) {
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
    fn order(&self, at: usize, cues: &mut Cues) {
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

    fn case(&self, at: usize, cues: &mut Cues) {
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

    fn danger(&self, at: usize, cues: &mut Cues) {
        let call = self.kind(at + 1) == Some(Kind::Open);
        let prefix = self.bytes(at);
        let named = prefix
            .get(..3)
            .is_some_and(|head| [b"xp_", b"sp_"].iter().any(|known| head.eq_ignore_ascii_case(*known)));
        let package = self.kind(at + 1) == Some(Kind::Dot);
        if call || package {
            self.add(cues, TIMING, at, at + 3);
        } else if named {
            self.add(cues, STATEMENT, at, at + 1);
        }
    }

    /// `char(65)||char(66)`, `concat(0x71,...)`, `version()`.
    fn builder(&self, at: usize, cues: &mut Cues) {
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
    fn catalogue(&self, at: usize, cues: &mut Cues) {
        let dotted = self.kind(at + 1) == Some(Kind::Dot) && matches!(self.kind(at + 2), Some(Kind::Word(_)));
        let from = at.checked_sub(1).is_some_and(|before| {
            matches!(self.kind(before), Some(Kind::Word(Word::From | Word::Into) | Kind::Comma | Kind::Dot))
        });
        let plain = matches!(self.bytes(at).to_ascii_lowercase().as_slice(), b"dual" | b"domain");
        if (from && (dotted || !plain)) || (dotted && !plain) || (from && self.has_select(at)) {
            self.add(cues, CATALOGUE, at, at + 2);
        }
    }

    fn has_select(&self, at: usize) -> bool {
        let before = self.tokens.get(at.saturating_sub(24)..at).unwrap_or_default();
        before.iter().any(|token| token.kind == Kind::Word(Word::Select))
    }

    fn subquery(&self, at: usize, cues: &mut Cues) {
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
    fn concatenation(&self, at: usize, cues: &mut Cues) {
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

    fn stacked(&self, at: usize, cues: &mut Cues) {
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
    fn statement(&self, at: usize) -> bool {
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
            Some(Kind::Word(Word::If)) => {
                matches!(next, Some(Kind::Open)) && (2..8).any(|step| self.compares(at + step))
            }
            Some(Kind::Word(Word::Danger)) => next == Some(Kind::Open),
            _ => false,
        }
    }

    fn alters(&self, at: usize, target: usize) -> bool {
        self.is(at, Word::Alter) && matches!(self.kind(target + 1), Some(Kind::Word(Word::Drop | Word::Set)))
    }

    /// `admin'--`, `') #`: what follows the quote is cut off.
    fn comment(&self, at: usize, cues: &mut Cues) {
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
        let odd = self
            .tokens
            .get(..at)
            .unwrap_or_default()
            .iter()
            .filter(|token| token.kind == Kind::Quote)
            .count()
            % 2
            == 1;
        if quote && (odd || closes > 0) && rest <= 3 && self.tokens.len() <= 24 {
            self.add(cues, TERMINATOR, before - 1, at);
        } else if rest <= 2 && self.numeric_head(at) {
            self.add(cues, TERMINATOR, 0, at);
        }
    }

    /// `1)) --`, `-1 #`.
    fn numeric_head(&self, at: usize) -> bool {
        let head = self.tokens.get(..at).unwrap_or_default();
        let closes = head.iter().filter(|token| token.kind == Kind::Close).count();
        let numbers = head.iter().filter(|token| token.kind == Kind::Number).count();
        closes > 0 && numbers == 1 && head.len() <= closes + 2 && self.lonely_close(at.saturating_sub(1))
    }

    fn clause(&self, at: usize, word: Word, cues: &mut Cues) {
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
