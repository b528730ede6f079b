//! Which rules can match at all: one pass over each value with the literals of all rules at once.
//!
//! A rule whose pattern needs one of a few literals (`union`, `<script`, `/etc/passwd`) cannot match a value that holds none of
//! them. All literals of all such rules are in one automaton, compared without regard to ASCII case. A value is scanned once as it
//! is, which serves every rule whose transformations leave it as it is; what transformations make of it is scanned
//! once for each different result.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::transform::{Contents, Transformation};

use super::bits::BitSet;
use super::items::{Base, Items};
use super::transformed::Transformed;

/// What is known about a rule that can be ruled out.
#[derive(Debug)]
pub(crate) struct Filtered {
    pub(crate) phase: usize,
    pub(crate) step: usize,
    pub(crate) literals: Vec<Vec<u8>>,
    pub(crate) chain: u16,
    pub(crate) bases: Vec<Base>,
}

/// The literals of the rules of some phases.
#[derive(Debug)]
pub(crate) struct Prefilter {
    automaton: Option<AhoCorasick>,
    /// The rules that need a literal, by the literal's number.
    owners: Vec<Box<[u32]>>,
    /// Phase and step of each rule.
    steps: Vec<(usize, usize)>,
    /// The rules that look at each base.
    looking: Vec<BitSet>,
    /// The rules behind each sequence of transformations.
    chains: Vec<ChainRules>,
}

#[derive(Debug)]
struct ChainRules {
    chain: u16,
    rules: BitSet,
}

impl Prefilter {
    pub(crate) fn build(rules: &[Filtered], chains: &[Vec<Transformation>]) -> Self {
        let mut numbers: std::collections::HashMap<&[u8], usize> = std::collections::HashMap::new();
        let mut literals: Vec<&[u8]> = Vec::new();
        let mut owners: Vec<Vec<u32>> = Vec::new();
        let mut looking = vec![BitSet::with_bound(rules.len()); Base::COUNT];
        let mut by_chain: Vec<ChainRules> = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            for literal in &rule.literals {
                let number = *numbers.entry(literal).or_insert_with(|| {
                    literals.push(literal);
                    owners.push(Vec::new());
                    literals.len() - 1
                });
                if let (Some(list), Ok(index)) = (owners.get_mut(number), u32::try_from(index)) {
                    list.push(index);
                }
            }
            for base in &rule.bases {
                if let Some(set) = looking.get_mut(base.index()) {
                    set.insert(index);
                }
            }
            match by_chain.iter_mut().find(|entry| entry.chain == rule.chain) {
                Some(entry) => entry.rules.insert(index),
                None => {
                    let mut set = BitSet::with_bound(rules.len());
                    set.insert(index);
                    by_chain.push(ChainRules {
                        chain: rule.chain,
                        rules: set,
                    });
                }
            }
        }
        let _ = chains;
        Self {
            automaton: automaton(&literals),
            owners: owners.into_iter().map(Vec::into_boxed_slice).collect(),
            steps: rules.iter().map(|rule| (rule.phase, rule.step)).collect(),
            looking,
            chains: by_chain,
        }
    }

    /// How many rules it can rule out.
    pub(crate) fn rules(&self) -> usize {
        self.steps.len()
    }

    /// Phase and step of each rule in `hits`.
    pub(crate) fn steps_of<'a>(&'a self, hits: &'a BitSet) -> impl Iterator<Item = (usize, usize)> + 'a {
        let mut from = 0;
        std::iter::from_fn(move || {
            let member = hits.next(from)?;
            from = member + 1;
            Some(member)
        })
        .filter_map(|member| self.steps.get(member).copied())
    }

    /// Adds the rules of which a literal occurs in `text`.
    fn find(&self, text: &[u8], found: &mut [u64]) {
        let Some(automaton) = &self.automaton else { return };
        for literal in automaton.find_overlapping_iter(text) {
            for &rule in self.owners.get(literal.pattern().as_usize()).into_iter().flatten() {
                if let Some(word) = found.get_mut(rule as usize / 64) {
                    *word |= 1 << (rule % 64);
                }
            }
        }
    }
}

fn automaton(literals: &[&[u8]]) -> Option<AhoCorasick> {
    if literals.is_empty() {
        return None;
    }
    AhoCorasick::builder()
        .match_kind(MatchKind::Standard)
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .build(literals)
        .ok()
}

/// Which rules each value of a transaction may match.
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
    memo: Vec<Steady>,
}

/// What follows from the kinds of bytes that a value holds.
#[derive(Debug)]
struct Steady {
    contents: Contents,
    /// The rules whose transformations leave such a value as it is, but for the case of letters.
    rules: BitSet,
    /// The other sequences of transformations, as indices into the prefilter's list.
    changing: Vec<usize>,
}

/// How many different kinds of contents are remembered; ordinary traffic has a few dozen.
const MOST_MEMOS: usize = 128;

impl Hits {
    /// Begins anew with `prefilter`. The memos stay, for they depend on the rules only.
    pub(crate) fn clear(&mut self, prefilter: &Prefilter) {
        self.width = prefilter.rules().div_ceil(64);
        self.words.clear();
        self.any = std::mem::take(&mut self.any).cleared(prefilter.rules());
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
        prefilter: &Prefilter,
        chains: &[Vec<Transformation>],
        items: &Items,
        transformed: &mut Transformed,
    ) {
        let from = self.scanned;
        self.scanned = items.len();
        self.words.resize(items.len() * self.width, 0);
        transformed.cover(items.len());
        for (base, index) in items.bases_from(from) {
            let Some(looking) = prefilter.looking.get(base.index()) else {
                continue;
            };
            if looking.words().iter().any(|&word| word != 0) {
                self.scan_item(prefilter, chains, items, transformed, looking, index);
            }
        }
    }

    fn scan_item(
        &mut self,
        prefilter: &Prefilter,
        chains: &[Vec<Transformation>],
        items: &Items,
        transformed: &mut Transformed,
        looking: &BitSet,
        index: usize,
    ) {
        let value = items.text(items.get(index).value);
        let contents = Contents::of(value);
        let memo = self.memo(prefilter, chains, contents);
        let Some(steady) = self.memo.get(memo) else { return };
        let start = index * self.width;
        let Some(row) = self.words.get_mut(start..start + self.width) else {
            return;
        };
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        found.resize(self.width, 0);
        prefilter.find(value, &mut found);
        add(row, &found, looking, &steady.rules);
        let mut changed = vec_of(self.width);
        for &position in &steady.changing {
            let Some(chain) = prefilter.chains.get(position) else { continue };
            if !meets(&chain.rules, looking) {
                continue;
            }
            let transformations = chains.get(usize::from(chain.chain)).map_or(&[][..], Vec::as_slice);
            match transformed.add(index, chain.chain, transformations, value) {
                None => add(row, &found, looking, &chain.rules),
                Some(text) => {
                    changed.fill(0);
                    prefilter.find(text, &mut changed);
                    add(row, &changed, looking, &chain.rules);
                }
            }
        }
        self.found = found;
        for (any, word) in self.any.words_mut().iter_mut().zip(&*row) {
            *any |= word;
        }
    }

    fn memo(&mut self, prefilter: &Prefilter, chains: &[Vec<Transformation>], contents: Contents) -> usize {
        if let Some(position) = self.memo.iter().position(|memo| memo.contents == contents) {
            return position;
        }
        if self.memo.len() >= MOST_MEMOS {
            self.memo.clear();
        }
        let mut rules = BitSet::with_bound(prefilter.rules());
        let mut changing = Vec::new();
        for (position, chain) in prefilter.chains.iter().enumerate() {
            let may_change = chains
                .get(usize::from(chain.chain))
                .into_iter()
                .flatten()
                .any(|transformation| !transformation.folds_case_only() && transformation.may_change(contents));
            if may_change {
                changing.push(position);
            } else {
                for (all, word) in rules.words_mut().iter_mut().zip(chain.rules.words()) {
                    *all |= word;
                }
            }
        }
        self.memo.push(Steady {
            contents,
            rules,
            changing,
        });
        self.memo.len() - 1
    }
}

impl BitSet {
    fn cleared(mut self, bound: usize) -> Self {
        let words = bound.div_ceil(64);
        if self.words().len() == words {
            self.clear();
            self
        } else {
            Self::with_bound(bound)
        }
    }
}

fn vec_of(width: usize) -> smallvec::SmallVec<[u64; 16]> {
    smallvec::smallvec![0; width]
}

/// Adds to `row` what was found and is in both sets.
fn add(row: &mut [u64], found: &[u64], looking: &BitSet, rules: &BitSet) {
    for (((row, found), looking), rules) in row.iter_mut().zip(found).zip(looking.words()).zip(rules.words()) {
        *row |= found & looking & rules;
    }
}

fn meets(one: &BitSet, other: &BitSet) -> bool {
    one.words().iter().zip(other.words()).any(|(one, other)| one & other != 0)
}
