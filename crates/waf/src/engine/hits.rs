//! Which rules each value of a transaction may match, as far as a look at its bytes tells.

use std::collections::HashMap;

use crate::transform::Contents;

use super::bits::BitSet;
use super::evaluate::holds_alone;
use super::items::{Base, Items, Stretch};
use super::prefilter::{ChainRules, Prefilter, mark};
use super::program::Program;
use super::transformed::Transformed;

/// How many different kinds of contents are remembered; ordinary traffic has a few dozen.
const MOST_KINDS: usize = 128;
/// How many names, and how many values of well-known fields, are remembered.
const MOST_KNOWN: usize = 512;
/// The longest that is remembered, bytes.
const LONGEST_KNOWN: usize = 160;

/// For each value the rules that it may match.
#[derive(Debug, Default)]
pub(crate) struct Hits {
    /// Words per value.
    width: usize,
    /// `width` words for each value.
    words: Vec<u64>,
    /// The union over all values.
    any: BitSet,
    scanned: usize,
    found: Vec<u64>,
    changed: Vec<u64>,
    /// What transformations made of the current value so far, and what was found in each.
    seen: Vec<Stretch>,
    seen_rows: Vec<u64>,
    kinds: Vec<Kind>,
    known: Known,
}

/// What follows from the kinds of bytes that a value holds.
#[derive(Debug)]
struct Kind {
    contents: Contents,
    /// The rules whose transformations leave such a value as it is, but for the case of letters.
    steady: ChainRules,
    /// The other sequences of transformations, as indices into the prefilter's list.
    changing: Vec<usize>,
}

/// The rules that texts match that come again with every request: names, and the values of some fields. A rule that looks at
/// nothing but a value gives the same answer every time.
#[derive(Debug, Default)]
struct Known {
    rows: HashMap<Box<[u8]>, Box<[u64]>>,
    key: Vec<u8>,
}

impl Hits {
    /// Begins anew. What is known about names and kinds of contents stays, for it depends on the rules only.
    pub(crate) fn clear(&mut self, prefilter: &Prefilter) {
        let width = prefilter.len().div_ceil(64);
        if width != self.width {
            *self = Self { width, any: BitSet::with_bound(prefilter.len()), ..Self::default() };
        }
        self.words.clear();
        self.any.clear();
        self.scanned = 0;
    }

    pub(crate) const fn any(&self) -> &BitSet {
        &self.any
    }

    /// Whether the value may match the rule.
    pub(crate) fn may_match(&self, item: usize, rule: u32) -> bool {
        self.words
            .get(item * self.width + rule as usize / 64)
            .is_some_and(|word| word & (1 << (rule % 64)) != 0)
    }

    /// Scans the values that were added since the last time.
    pub(crate) fn scan(
        &mut self,
        program: &Program,
        prefilter: &Prefilter,
        items: &Items,
        transformed: &mut Transformed,
    ) {
        let from = self.scanned;
        self.scanned = items.len();
        self.words.resize(items.len() * self.width, 0);
        transformed.cover(items.len());
        let mut scan = Scan { hits: self, program, prefilter, items, transformed };
        for (base, index) in items.bases_from(from) {
            if let Some(looking) = prefilter.looking(base) {
                scan.item(base, looking, index);
            }
        }
    }
}

struct Scan<'s> {
    hits: &'s mut Hits,
    program: &'s Program,
    prefilter: &'s Prefilter,
    items: &'s Items,
    transformed: &'s mut Transformed,
}

impl Scan<'_> {
    fn item(&mut self, base: Base, looking: &BitSet, index: usize) {
        let item = self.items.get(index);
        let value = self.items.text(item.value);
        let comes_again = value.len() <= LONGEST_KNOWN && comes_again(base, self.items.text(item.name));
        if !comes_again || !self.recall(base, value, index) {
            self.look(looking, index, value);
            if comes_again {
                self.refine(index, value);
                self.remember(index);
            }
        }
        let start = index * self.hits.width;
        let row = self.hits.words.get(start..start + self.hits.width).unwrap_or_default();
        for (any, word) in self.hits.any.words_mut().iter_mut().zip(row) {
            *any |= word;
        }
    }

    /// Finds the rules that `value` may match.
    fn look(&mut self, looking: &BitSet, index: usize, value: &[u8]) {
        let kind = self.kind(Contents::of(value));
        let Hits { width, words, found, changed, seen, seen_rows, kinds, .. } = &mut *self.hits;
        seen.clear();
        seen_rows.clear();
        let Some(kind) = kinds.get(kind) else { return };
        let Some(row) = words.get_mut(index * *width..(index + 1) * *width) else {
            return;
        };
        found.clear();
        found.resize(*width, 0);
        self.prefilter.find(value, found);
        let literals_only = kind.changing.len();
        if literals_only > 0 {
            changed.clear();
            changed.extend_from_slice(found);
        }
        kind.steady.find(value, found);
        add(row, found, looking, &kind.steady.rules);
        found.clear();
        found.extend_from_slice(if literals_only > 0 { changed } else { &[] });
        for &position in &kind.changing {
            let Some(chain) = self.prefilter.chains.get(position) else { continue };
            if !meets(&chain.rules, looking) {
                continue;
            }
            changed.clear();
            match self.transformed.resolve(&self.program.chains, index, chain.chain, value) {
                None => {
                    changed.extend_from_slice(found);
                    chain.find(value, changed);
                }
                Some(stretch) => {
                    let text = self.transformed.text(stretch);
                    // Many sequences make the same of a value: what was found in it the first time still holds.
                    let same = |&seen: &Stretch| {
                        seen == stretch || self.transformed.text(seen).eq_ignore_ascii_case(text)
                    };
                    if let Some(position) = seen.iter().position(same) {
                        let start = position * *width;
                        changed.extend_from_slice(seen_rows.get(start..start + *width).unwrap_or_default());
                    } else {
                        changed.resize(*width, 0);
                        self.prefilter.find(text, changed);
                        seen.push(stretch);
                        seen_rows.extend_from_slice(changed);
                    }
                    chain.find(text, changed);
                }
            }
            add(row, changed, looking, &chain.rules);
        }
    }

    /// The position of what is known about such contents.
    fn kind(&mut self, contents: Contents) -> usize {
        let kinds = &mut self.hits.kinds;
        if let Some(position) = kinds.iter().position(|kind| kind.contents == contents) {
            return position;
        }
        if kinds.len() >= MOST_KINDS {
            kinds.clear();
        }
        let mut steady = ChainRules::empty(super::chains::ChainId::NONE, self.prefilter.len());
        let mut changing = Vec::new();
        for (position, chain) in self.prefilter.chains.iter().enumerate() {
            if self.program.chains.may_change(chain.chain, contents) {
                changing.push(position);
            } else {
                steady.merge(chain);
            }
        }
        kinds.push(Kind { contents, steady, changing });
        kinds.len() - 1
    }

    /// Takes what is known about a value; false when nothing is.
    fn recall(&mut self, base: Base, value: &[u8], index: usize) -> bool {
        let Hits { width, words, known, .. } = &mut *self.hits;
        known.key.clear();
        known.key.push(u8::try_from(base.index()).unwrap_or(u8::MAX));
        known.key.extend_from_slice(value);
        let Some(found) = known.rows.get(known.key.as_slice()) else {
            return false;
        };
        if let Some(row) = words.get_mut(index * *width..(index + 1) * *width) {
            row.copy_from_slice(found);
        }
        true
    }

    /// Takes the rules out of a row that do not match after all.
    fn refine(&mut self, index: usize, value: &[u8]) {
        let width = self.hits.width;
        let start = index * width;
        let row = BitSet::from_words(self.hits.words.get(start..start + width).unwrap_or_default());
        let mut exact = vec![0; width];
        for number in row.iter() {
            let Some(rule) =
                self.prefilter.rule(number).and_then(|rule| self.program.rules.get(rule as usize))
            else {
                continue;
            };
            let chains =
                if rule.multi_match { self.program.chains.beginnings(rule.chain) } else { vec![rule.chain] };
            let matches = chains.into_iter().any(|chain| {
                let text = self.transformed.result(&self.program.chains, index, chain, value);
                holds_alone(rule, text.unwrap_or(value))
            });
            if matches {
                mark(&mut exact, u32::try_from(number).unwrap_or(u32::MAX));
            }
        }
        if let Some(row) = self.hits.words.get_mut(start..start + width) {
            row.copy_from_slice(&exact);
        }
    }

    /// Remembers the row of the value that [`recall`](Self::recall) did not know.
    fn remember(&mut self, index: usize) {
        let Hits { width, words, known, .. } = &mut *self.hits;
        if known.rows.len() >= MOST_KNOWN {
            known.rows.clear();
        }
        let row = words.get(index * *width..(index + 1) * *width).unwrap_or_default();
        known.rows.insert(known.key.as_slice().into(), row.into());
    }
}

/// Whether a text is likely to come again: clients send the same names, and the same values of these fields, all the time.
fn comes_again(base: Base, name: &[u8]) -> bool {
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
    match base {
        Base::ArgsGetNames
        | Base::ArgsPostNames
        | Base::RequestCookiesNames
        | Base::RequestHeadersNames
        | Base::ResponseHeadersNames
        | Base::RequestMethod
        | Base::RequestProtocol => true,
        Base::RequestHeaders => FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name)),
        _ => false,
    }
}

/// Adds to `row` what was found and is in both sets.
fn add(row: &mut [u64], found: &[u64], looking: &BitSet, rules: &BitSet) {
    for (((row, found), looking), rules) in row.iter_mut().zip(found).zip(looking.words()).zip(rules.words())
    {
        *row |= found & looking & rules;
    }
}

fn meets(one: &BitSet, other: &BitSet) -> bool {
    one.words().iter().zip(other.words()).any(|(one, other)| one & other != 0)
}
