//! The first look at a value: one pass over its bytes, and one search for everything that rules wait for.
//! Most values end here.

use aho_corasick::automaton::{Automaton, OverlappingState};
use aho_corasick::dfa::DFA;
use aho_corasick::{Input, MatchKind};

/// Which kinds of bytes occur in a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Classes(u16);

impl Classes {
    pub(super) const LETTER: u16 = 1;
    pub(super) const DIGIT: u16 = 1 << 1;
    pub(super) const SPACE: u16 = 1 << 2;
    /// `. , - _ @ :`: they stand in names, numbers, dates and addresses.
    pub(super) const MILD: u16 = 1 << 3;
    pub(super) const QUOTE: u16 = 1 << 4;
    pub(super) const PERCENT: u16 = 1 << 5;
    pub(super) const PLUS: u16 = 1 << 6;
    pub(super) const AMPERSAND: u16 = 1 << 7;
    pub(super) const BACKSLASH: u16 = 1 << 8;
    pub(super) const BRACKET: u16 = 1 << 9;
    /// `= < > ; # | ! * ~ ^` and the parentheses: the operators of most languages.
    pub(super) const OPERATOR: u16 = 1 << 10;
    pub(super) const HIGH: u16 = 1 << 11;
    pub(super) const ZERO: u16 = 1 << 12;
    pub(super) const SLASH: u16 = 1 << 13;
    pub(super) const OTHER: u16 = 1 << 14;

    /// The classes of all bytes of a value.
    pub(super) fn of(value: &[u8]) -> Self {
        Self(value.iter().fold(0, |all, byte| all | class(*byte)))
    }

    pub(super) const fn any(self, classes: u16) -> bool {
        self.0 & classes != 0
    }

    /// Whether nothing else occurs.
    pub(super) const fn only(self, classes: u16) -> bool {
        self.0 & !classes == 0
    }
}

const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut rest: &mut [u16] = &mut table;
    let mut byte = 0_u16;
    while let Some((first, others)) = rest.split_first_mut() {
        *first = classify(byte as u8);
        rest = others;
        byte += 1;
    }
    table
};

#[inline]
fn class(byte: u8) -> u16 {
    TABLE.get(usize::from(byte)).copied().unwrap_or(Classes::OTHER)
}

const fn classify(byte: u8) -> u16 {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' => Classes::LETTER,
        b'0'..=b'9' => Classes::DIGIT,
        b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c => Classes::SPACE,
        b'.' | b',' | b'-' | b'_' | b'@' | b':' => Classes::MILD,
        b'\'' | b'"' | b'`' => Classes::QUOTE,
        b'%' => Classes::PERCENT,
        b'+' => Classes::PLUS,
        b'&' => Classes::AMPERSAND,
        b'\\' => Classes::BACKSLASH,
        b'{' | b'}' | b'[' | b']' => Classes::BRACKET,
        b'=' | b'<' | b'>' | b';' | b'#' | b'|' | b'!' | b'*' | b'~' | b'^' | b'(' | b')' => {
            Classes::OPERATOR
        }
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

    fn clear(&mut self) {
        self.called = [0; MAX_WAITERS / 64];
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
    waiters: Vec<Vec<u16>>,
}

impl Gate {
    /// `wanted` has the literals of each waiter, in the order of the waiters.
    pub(super) fn new(wanted: &[&[&str]]) -> Self {
        let mut literals: Vec<String> = Vec::new();
        let mut waiters: Vec<Vec<u16>> = Vec::new();
        for (waiter, list) in (0..).zip(wanted) {
            for literal in *list {
                let literal = literal.to_ascii_lowercase();
                match literals.iter().position(|known| *known == literal) {
                    Some(known) => waiters.get_mut(known).into_iter().for_each(|list| list.push(waiter)),
                    None => {
                        literals.push(literal);
                        waiters.push(vec![waiter]);
                    }
                }
            }
        }
        let automaton = DFA::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .start_kind(aho_corasick::StartKind::Unanchored)
            .prefilter(false)
            .build(&literals)
            .ok();
        Self { automaton, waiters }
    }

    /// Every literal in the text calls those who wait for it.
    pub(super) fn search(&self, text: &[u8], hits: &mut Hits) {
        hits.clear();
        let Some(automaton) = &self.automaton else { return };
        let input = Input::new(text);
        let mut state = OverlappingState::start();
        while automaton.try_find_overlapping(&input, &mut state).is_ok() {
            let Some(found) = state.get_match() else { return };
            let start = u32::try_from(found.start()).unwrap_or(u32::MAX);
            let end = u32::try_from(found.end()).unwrap_or(u32::MAX);
            for waiter in self.waiters.get(found.pattern().as_usize()).into_iter().flatten() {
                hits.call(*waiter, start, end);
            }
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
        let gate = Gate::new(&[&["../"], &["/etc/"], &["../etc", "passwd"]]);
        let mut hits = Hits::none();
        gate.search(b"x/../ETC/Passwd", &mut hits);
        assert_eq!(hits.iter().collect::<Vec<_>>(), [(0, 2, 5), (1, 4, 9), (2, 2, 15)]);
        gate.search(b"nothing", &mut hits);
        assert_eq!(hits.iter().count(), 0);
    }
}
