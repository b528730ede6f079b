//! What is known of values from values before, whatever transaction they came with: it depends on the rules only.

use std::collections::HashMap;

use crate::pattern::Kinds;
use crate::transform::Contents;

use super::evaluate::holds_alone;
use super::items::{Base, Stretch};
use super::prefilter::{Possible, Prefilter, mark};
use super::program::{Program, Rule, RuleOperator};
use super::transformed::Transformed;

/// How many different kinds of contents are remembered, by twos; ordinary traffic has a few dozen.
const KINDS: usize = 256;
/// How many names, and how many values of well-known fields, are remembered.
const MOST_KNOWN: usize = 512;
/// The longest that is remembered, bytes.
const LONGEST_KNOWN: usize = 160;

/// What is known of values, and room to look at one.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    width: usize,
    pub(super) kinds: ByContents,
    rows: HashMap<Box<[u8]>, Box<[u64]>>,
    /// The value that was asked for last.
    key: Vec<u8>,
    pub(super) folded: Vec<u8>,
    pub(super) found: Vec<u64>,
    pub(super) changed: Vec<u64>,
    /// What transformations made of the current value so far, and what was found in each.
    pub(super) seen: Vec<Stretch>,
    pub(super) seen_rows: Vec<u64>,
}

/// Whether a rule matches a value after its transformations, and something follows from that.
pub(super) fn comes_to_something(program: &Program, rule: &Rule, value: &[u8]) -> bool {
    let counts = match (&rule.feed, &rule.operator) {
        (Some(feed), RuleOperator::Fixed(operator)) => feed.counts(program, operator, value),
        _ => true,
    };
    counts && holds_alone(rule, value)
}

/// What follows from the kinds of bytes that a value holds.
#[derive(Debug)]
pub(super) struct Kind {
    contents: Contents,
    kinds: Kinds,
    /// The rules whose transformations leave such a value as it is, but for the case of letters.
    pub(super) steady: Possible,
    /// The other sequences of transformations that can make something of it that a rule matches.
    pub(super) changing: Vec<Possible>,
}

/// Kinds by what a value holds: in each place the two that were asked for last.
#[derive(Debug, Default)]
pub(super) struct ByContents(Vec<[Option<Box<Kind>>; 2]>);

impl Memo {
    /// Forgets everything if it was about other rules.
    pub(super) fn fit(&mut self, width: usize) {
        if width != self.width {
            *self = Self { width, ..Self::default() };
        }
    }

    /// Whether what a value matches is worth remembering: clients send the same names, and the same values of some fields, all the time.
    pub(super) fn keeps(base: Base, name: &[u8], value: &[u8]) -> bool {
        const FIELDS: [&[u8]; 8] = [
            b"accept",
            b"accept-encoding",
            b"accept-language",
            b"cache-control",
            b"connection",
            b"content-type",
            b"host",
            b"user-agent",
        ];
        value.len() <= LONGEST_KNOWN
            && match base {
                Base::ArgsGetNames
                | Base::ArgsPostNames
                | Base::RequestCookiesNames
                | Base::RequestHeadersNames
                | Base::ResponseHeadersNames
                | Base::RequestMethod
                | Base::RequestProtocol
                | Base::ResponseProtocol
                | Base::ResponseStatus => true,
                Base::RequestHeaders | Base::ResponseHeaders => {
                    FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name))
                }
                _ => false,
            }
    }

    /// The rules that a value matches, if that is known.
    pub(super) fn recall(&mut self, base: Base, value: &[u8]) -> Option<&[u64]> {
        self.key.clear();
        self.key.push(u8::try_from(base.index()).unwrap_or(u8::MAX));
        self.key.extend_from_slice(value);
        self.rows.get(self.key.as_slice()).map(|row| &**row)
    }

    /// Takes the rules out of a row that do not match after all. A rule that looks at nothing but a value gives the same answer
    /// every time.
    pub(super) fn refine(
        &self,
        program: &Program,
        prefilter: &Prefilter,
        transformed: &mut Transformed,
        (index, value): (usize, &[u8]),
        row: &mut [u64],
    ) {
        let mut exact = vec![0; row.len()];
        for number in super::bits::BitSet::from_words(row).iter() {
            let rule = prefilter.rule(number).and_then(|rule| program.rules.get(rule as usize));
            let Some(rule) = rule else { continue };
            let chains =
                if rule.multi_match { program.chains.beginnings(rule.chain) } else { vec![rule.chain] };
            let matches = chains.into_iter().any(|chain| {
                let text = transformed.result(&program.chains, index, chain, value);
                comes_to_something(program, rule, text.unwrap_or(value))
            });
            if matches {
                mark(&mut exact, u32::try_from(number).unwrap_or(u32::MAX));
            }
        }
        row.copy_from_slice(&exact);
    }

    /// Keeps the row of the value that [`recall`](Self::recall) did not know.
    pub(super) fn remember(&mut self, row: &[u64]) {
        if self.rows.len() >= MOST_KNOWN {
            self.rows.clear();
        }
        self.rows.insert(self.key.as_slice().into(), row.into());
    }
}

impl ByContents {
    /// What is known of values that hold this.
    pub(super) fn of(
        &mut self,
        contents: Contents,
        kinds: Kinds,
        program: &Program,
        prefilter: &Prefilter,
    ) -> Option<&Kind> {
        if self.0.is_empty() {
            self.0.resize_with(KINDS, Default::default);
        }
        let mixed = kinds.bits().wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ contents.bits();
        let place = usize::try_from(mixed.wrapping_mul(0xff51_afd7_ed55_8ccd) >> 40).unwrap_or(0) % KINDS;
        let [first, second] = self.0.get_mut(place)?;
        let is_it = |kind: &Option<Box<Kind>>| {
            kind.as_ref().is_some_and(|kind| kind.contents == contents && kind.kinds == kinds)
        };
        if !is_it(first) {
            std::mem::swap(first, second);
            if !is_it(first) {
                *first = Some(Box::new(Kind::new(contents, kinds, program, prefilter)));
            }
        }
        first.as_deref()
    }
}

impl Kind {
    fn new(contents: Contents, kinds: Kinds, program: &Program, prefilter: &Prefilter) -> Self {
        let mut steady = Possible::none(prefilter);
        let mut changing = Vec::new();
        for chain in &prefilter.chains {
            if !program.chains.may_change(chain.chain, contents) {
                steady.add(prefilter, chain, kinds);
                continue;
            }
            let after = program.chains.held_after(chain.chain, kinds);
            if prefilter.allows_any(chain, after) {
                let mut possible = Possible::none(prefilter);
                possible.add(prefilter, chain, after);
                changing.push(possible);
            }
        }
        Self { contents, kinds, steady, changing }
    }
}
