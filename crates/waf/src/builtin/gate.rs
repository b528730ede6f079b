//! The first look at a value: one pass over its bytes, and one search for everything that rules wait for.
//! Most values end here.

use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind, StartKind};

/// Which kinds of bytes occur in a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Classes(u32);

impl Classes {
    pub(super) const LETTER: u32 = 1;
    pub(super) const DIGIT: u32 = 1 << 1;
    pub(super) const SPACE: u32 = 1 << 2;
    /// `. , - _ @ :`: they stand in names, numbers, dates and addresses.
    pub(super) const MILD: u32 = 1 << 3;
    pub(super) const QUOTE: u32 = 1 << 4;
    pub(super) const PERCENT: u32 = 1 << 5;
    pub(super) const PLUS: u32 = 1 << 6;
    pub(super) const AMPERSAND: u32 = 1 << 7;
    pub(super) const BACKSLASH: u32 = 1 << 8;
    /// `{ }`
    pub(super) const BRACE: u32 = 1 << 9;
    /// `# ! * ~ ^`
    pub(super) const SIGN: u32 = 1 << 10;
    pub(super) const HIGH: u32 = 1 << 11;
    pub(super) const ZERO: u32 = 1 << 12;
    pub(super) const SLASH: u32 = 1 << 13;
    /// Control characters, and `?`.
    pub(super) const OTHER: u32 = 1 << 14;
    /// A line end, which is a space as well.
    pub(super) const LINE: u32 = 1 << 15;
    pub(super) const EQUALS: u32 = 1 << 16;
    /// `< >`
    pub(super) const ANGLE: u32 = 1 << 17;
    /// `( )`
    pub(super) const PARENTHESIS: u32 = 1 << 18;
    pub(super) const SEMICOLON: u32 = 1 << 19;
    pub(super) const PIPE: u32 = 1 << 20;
    pub(super) const DOLLAR: u32 = 1 << 21;
    pub(super) const BACKQUOTE: u32 = 1 << 22;
    /// `[ ]`
    pub(super) const SQUARE: u32 = 1 << 23;
    /// The operators of most languages.
    pub(super) const OPERATOR: u32 =
        Self::SIGN | Self::EQUALS | Self::ANGLE | Self::PARENTHESIS | Self::SEMICOLON | Self::PIPE;
    /// What words, numbers, dates and mail addresses are made of.
    pub(super) const PLAIN: u32 = Self::LETTER | Self::DIGIT | Self::SPACE | Self::MILD;

    /// What a text of all of these has.
    pub(super) const ALL_PLAIN: Self = Self(Self::PLAIN);

    /// The classes of all bytes of a value.
    #[inline]
    pub(super) fn of(value: &[u8]) -> Self {
        Self(value.iter().fold(0, |all, byte| all | class(*byte)))
    }

    #[inline]
    pub(super) const fn any(self, classes: u32) -> bool {
        self.0 & classes != 0
    }

    /// Whether each of them occurs.
    #[inline]
    pub(super) const fn all(self, classes: u32) -> bool {
        self.0 & classes == classes
    }

    /// Whether nothing else occurs.
    #[inline]
    pub(super) const fn only(self, classes: u32) -> bool {
        self.0 & !classes == 0
    }
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut rest: &mut [u32] = &mut table;
    let mut byte = 0_u16;
    while let Some((first, others)) = rest.split_first_mut() {
        *first = classify(byte as u8);
        rest = others;
        byte += 1;
    }
    table
};

/// The class of a byte.
#[inline]
pub(super) fn class(byte: u8) -> u32 {
    TABLE.get(usize::from(byte)).copied().unwrap_or(Classes::OTHER)
}

const fn classify(byte: u8) -> u32 {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' => Classes::LETTER,
        b'0'..=b'9' => Classes::DIGIT,
        b'\r' | b'\n' => Classes::SPACE | Classes::LINE,
        b' ' | b'\t' | 0x0b | 0x0c => Classes::SPACE,
        b'.' | b',' | b'-' | b'_' | b'@' | b':' => Classes::MILD,
        b'\'' | b'"' => Classes::QUOTE,
        b'`' => Classes::BACKQUOTE,
        b'%' => Classes::PERCENT,
        b'+' => Classes::PLUS,
        b'&' => Classes::AMPERSAND,
        b'\\' => Classes::BACKSLASH,
        b'{' | b'}' => Classes::BRACE,
        b'[' | b']' => Classes::SQUARE,
        b'#' | b'!' | b'*' | b'~' | b'^' => Classes::SIGN,
        b'=' => Classes::EQUALS,
        b'<' | b'>' => Classes::ANGLE,
        b'(' | b')' => Classes::PARENTHESIS,
        b';' => Classes::SEMICOLON,
        b'|' => Classes::PIPE,
        b'$' => Classes::DOLLAR,
        0x80..=0xff => Classes::HIGH,
        0 => Classes::ZERO,
        b'/' => Classes::SLASH,
        _ => Classes::OTHER,
    }
}

/// More waiters than these would be a mistake in the tables of rules.
pub(super) const MAX_WAITERS: usize = 256;

/// Which waiters were called in a value, and between where and where.
#[derive(Debug)]
pub(super) struct Hits {
    called: [u64; MAX_WAITERS / 64],
    spans: [(u32, u32); MAX_WAITERS],
}

impl Hits {
    pub(super) const fn none() -> Self {
        Self { called: [0; MAX_WAITERS / 64], spans: [(0, 0); MAX_WAITERS] }
    }

    pub(super) fn clear(&mut self) {
        self.called = [0; MAX_WAITERS / 64];
    }

    /// Whether anything was called.
    pub(super) fn any(&self) -> bool {
        self.called != [0; MAX_WAITERS / 64]
    }

    fn call(&mut self, waiter: u16, start: u32, end: u32) {
        let waiter = usize::from(waiter);
        let Some(word) = self.called.get_mut(waiter / 64) else { return };
        let bit = 1_u64 << (waiter % 64);
        let Some(span) = self.spans.get_mut(waiter) else { return };
        if *word & bit == 0 {
            *word |= bit;
            *span = (start, end);
        } else {
            *span = (span.0.min(start), span.1.max(end));
        }
    }

    /// The waiters that were called.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
        self.called.iter().enumerate().flat_map(move |(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let bit = rest.trailing_zeros();
                rest &= rest - 1;
                Some(index * 64 + bit as usize)
            })
            .filter_map(|waiter| {
                let (start, end) = self.spans.get(waiter)?;
                Some((waiter, *start as usize, *end as usize))
            })
        })
    }
}

/// The literals that rules wait for, and who waits for which.
#[derive(Debug)]
pub(super) struct Gate {
    automaton: Option<DFA>,
    /// The length of each literal, and the part of `waiters` that wait for it.
    literals: Vec<(u32, u32, u32)>,
    waiters: Vec<u16>,
}

impl Gate {
    /// `wanted` has literals, each with the waiter that it calls.
    pub(super) fn new<'w>(wanted: impl IntoIterator<Item = (u16, &'w str)>) -> Self {
        let mut all: Vec<(String, u16)> =
            wanted.into_iter().map(|(waiter, literal)| (literal.to_ascii_lowercase(), waiter)).collect();
        all.sort_unstable();
        all.dedup();
        let mut names: Vec<&str> = Vec::new();
        let mut literals: Vec<(u32, u32, u32)> = Vec::new();
        let mut waiters = Vec::new();
        for (at, (literal, waiter)) in (0_u32..).zip(&all) {
            if names.last() != Some(&literal.as_str()) {
                names.push(literal);
                literals.push((u32::try_from(literal.len()).unwrap_or(u32::MAX), at, at));
            }
            if let Some((_, _, end)) = literals.last_mut() {
                *end = at + 1;
            }
            waiters.push(*waiter);
        }
        let automaton = DFA::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .start_kind(StartKind::Unanchored)
            .prefilter(false)
            .build(&names)
            .ok();
        Self { automaton, literals, waiters }
    }

    /// Every literal in the text calls those who wait for it. The walk over the automaton is our own: a search for
    /// matches that overlap would begin anew after each, and most of these literals are short and frequent.
    pub(super) fn search(&self, text: &[u8], hits: &mut Hits) {
        hits.clear();
        let Some(automaton) = &self.automaton else { return };
        let Ok(mut state) = automaton.start_state(Anchored::No) else { return };
        for (at, byte) in text.iter().enumerate() {
            state = automaton.next_state(Anchored::No, state, *byte);
            if automaton.is_special(state) && automaton.is_match(state) {
                for index in 0..automaton.match_len(state) {
                    self.call(automaton.match_pattern(state, index).as_usize(), at + 1, hits);
                }
            }
        }
    }

    /// Whether there is any literal in the text.
    pub(super) fn is_called(&self, text: &[u8]) -> bool {
        let Some(automaton) = &self.automaton else { return false };
        let Ok(mut state) = automaton.start_state(Anchored::No) else { return false };
        text.iter().any(|byte| {
            state = automaton.next_state(Anchored::No, state, *byte);
            automaton.is_special(state)
        })
    }

    fn call(&self, literal: usize, end: usize, hits: &mut Hits) {
        let Some((length, from, to)) = self.literals.get(literal) else { return };
        let end = u32::try_from(end).unwrap_or(u32::MAX);
        for waiter in self.waiters.get(*from as usize..*to as usize).unwrap_or_default() {
            hits.call(*waiter, end.saturating_sub(*length), end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_a_word_and_of_an_attack() {
        let word = Classes::of(b"Example.name-1");
        assert!(word.only(Classes::LETTER | Classes::DIGIT | Classes::MILD));
        let attack = Classes::of(b"' or 1=1--");
        assert!(attack.any(Classes::QUOTE) && attack.any(Classes::OPERATOR));
        assert!(!attack.any(Classes::PERCENT));
    }

    #[test]
    fn literals_that_overlap_all_call() {
        let gate = Gate::new([(0, "../"), (1, "/etc/"), (2, "../etc"), (2, "passwd")]);
        let mut hits = Hits::none();
        gate.search(b"x/../ETC/Passwd", &mut hits);
        assert_eq!(hits.iter().collect::<Vec<_>>(), [(0, 2, 5), (1, 4, 9), (2, 2, 15)]);
        gate.search(b"nothing", &mut hits);
        assert_eq!(hits.iter().count(), 0);
    }
}
