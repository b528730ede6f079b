//! Which rules each value of a transaction may match, as far as a look at its bytes tells.

#[cfg(test)]
mod tests;

use crate::transform::Contents;

use super::bits::BitSet;
use super::items::{Base, Items};
use super::memo::Memo;
use super::prefilter::{Looking, Possible, Prefilter};
use super::program::Program;
use super::transformed::Transformed;

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
}

impl Hits {
    /// Begins anew.
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

    /// Bytes of memory.
    pub(crate) const fn size(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
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
        memo: &mut Memo,
        items: &Items,
        transformed: &mut Transformed,
    ) {
        let from = self.scanned;
        self.scanned = items.len();
        self.words.resize(items.len() * self.width, 0);
        transformed.cover(items.len());
        memo.fit(self.width);
        let mut scan = Scan { hits: self, memo, program, prefilter, items, transformed };
        for (base, index) in items.bases_from(from) {
            if let Some(looking) = prefilter.looking(base) {
                scan.item(base, looking, index);
            }
        }
    }
}

struct Scan<'s> {
    hits: &'s mut Hits,
    memo: &'s mut Memo,
    program: &'s Program,
    prefilter: &'s Prefilter,
    items: &'s Items,
    transformed: &'s mut Transformed,
}

impl Scan<'_> {
    fn item(&mut self, base: Base, looking: &Looking, index: usize) {
        let item = self.items.get(index);
        let (name, value) = (self.items.text(item.name), self.items.text(item.value));
        let at_name = looking.at(name, &mut self.memo.folded);
        if !Memo::keeps(base, name, value) {
            self.look(at_name, index, value);
        } else if !self.recall(base, value, index) {
            // What is remembered serves the value under every name.
            self.look(&looking.all, index, value);
            self.remember(index, value);
        }
        let Hits { width, words, any, .. } = &mut *self.hits;
        let row = words.get_mut(index * *width..(index + 1) * *width).unwrap_or_default();
        for ((any, word), at_name) in any.words_mut().iter_mut().zip(row).zip(at_name.words()) {
            *word &= at_name;
            *any |= *word;
        }
    }

    /// Takes what is known about a value; false when nothing is.
    fn recall(&mut self, base: Base, value: &[u8], index: usize) -> bool {
        let width = self.hits.width;
        let Some(known) = self.memo.recall(base, value) else { return false };
        if let Some(row) = self.hits.words.get_mut(index * width..(index + 1) * width) {
            row.copy_from_slice(known);
        }
        true
    }

    /// Works out exactly which rules the value that was asked for last matches, and keeps it.
    fn remember(&mut self, index: usize, value: &[u8]) {
        let width = self.hits.width;
        if let Some(row) = self.hits.words.get_mut(index * width..(index + 1) * width) {
            self.memo.refine(self.program, self.prefilter, self.transformed, (index, value), row);
            self.memo.remember(row);
        }
    }

    /// Finds the rules that `value` may match.
    fn look(&mut self, looking: &BitSet, index: usize, value: &[u8]) {
        let (contents, kinds) = Contents::and_kinds(value);
        self.transformed.note(index, contents);
        let width = self.hits.width;
        let Some(row) = self.hits.words.get_mut(index * width..(index + 1) * width) else { return };
        let Memo { found, changed, seen, seen_rows, kinds: known, .. } = &mut *self.memo;
        let Some(kind) = known.of(contents, kinds, self.program, self.prefilter) else { return };
        seen.clear();
        seen_rows.clear();
        begin(found, width);
        self.prefilter.find(value, found);
        begin(changed, width);
        changed.copy_from_slice(found);
        kind.steady.find(value, looking, changed);
        add(row, changed, looking, &kind.steady);
        for possible in &kind.changing {
            if !meets(&possible.rules, looking) {
                continue;
            }
            begin(changed, width);
            match self.transformed.resolve(&self.program.chains, index, possible.chain, value) {
                None => {
                    changed.copy_from_slice(found);
                    possible.find(value, looking, changed);
                }
                Some(stretch) => {
                    let text = self.transformed.text(stretch);
                    // Many sequences make the same of a value: what was found in it the first time still holds.
                    let same =
                        |&seen: &_| seen == stretch || self.transformed.text(seen).eq_ignore_ascii_case(text);
                    if let Some(position) = seen.iter().position(same) {
                        let start = position * width;
                        changed.copy_from_slice(seen_rows.get(start..start + width).unwrap_or_default());
                    } else {
                        self.prefilter.find(text, changed);
                        seen.push(stretch);
                        seen_rows.extend_from_slice(changed);
                    }
                    possible.find(text, looking, changed);
                }
            }
            add(row, changed, looking, possible);
        }
    }
}

fn begin(row: &mut Vec<u64>, width: usize) {
    row.clear();
    row.resize(width, 0);
}

/// Adds to `row` what was found, is possible and looks at the value.
fn add(row: &mut [u64], found: &[u64], looking: &BitSet, possible: &Possible) {
    let rules = possible.rules.words();
    for (((row, found), looking), rules) in row.iter_mut().zip(found).zip(looking.words()).zip(rules) {
        *row |= found & looking & rules;
    }
}

fn meets(one: &BitSet, other: &BitSet) -> bool {
    one.words().iter().zip(other.words()).any(|(one, other)| one & other != 0)
}
