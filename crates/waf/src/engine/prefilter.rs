//! Which rules can match at all: one pass over each value with the literals of all rules at once.
//!
//! A rule whose pattern needs one of a few literals (`union`, `<script`, `/etc/passwd`) cannot match a value that holds none of
//! them. All literals of all such rules are in one automaton, compared without regard to ASCII case. A value is scanned once as it
//! is, which serves every rule whose transformations leave it as it is; what transformations make of it is scanned
//! once for each different result. A rule without literals may still need one of a few bytes.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind, StartKind};

use std::collections::HashMap;

use crate::pattern::{ByteSet, Kinds, Ways, is_plain, is_plain_text};

use super::bits::BitSet;
use super::chains::ChainId;
use super::items::Base;

/// How much of a literal the automaton looks for, bytes. The rest adds little certainty, but states that crowd the caches: the
/// lists of file names and class names of the Core Rule Set alone would make tens of megabytes of them. Of less, prose holds too
/// much: `package.json` begins as `packaging` does.
const LITERAL: usize = 8;

/// What is known about a rule that looks at values and nothing else.
#[derive(Debug)]
pub(crate) struct Filtered {
    /// Index of the rule.
    pub(crate) rule: u32,
    pub(crate) phase: usize,
    pub(crate) step: usize,
    pub(crate) needs: Needs,
    /// What a value of plain bytes must hold besides.
    pub(crate) plainly: Option<Vec<Vec<u8>>>,
    /// The kinds of bytes that a value must hold.
    pub(crate) ways: Ways,
    /// The sequences of transformations after which it looks at a value.
    pub(crate) chains: Vec<ChainId>,
    /// Where it looks, and at which name if it is one.
    pub(crate) bases: Vec<(Base, Option<Box<[u8]>>)>,
}

/// What a value must hold for a rule to match.
#[derive(Debug)]
pub(crate) enum Needs {
    /// One of these, in lower case.
    Literals(Vec<Vec<u8>>),
    /// One of these bytes.
    Bytes(ByteSet),
    Nothing,
}

/// The rules of some phases that look at values and nothing else.
#[derive(Debug, Default)]
pub(crate) struct Prefilter {
    automaton: Option<AhoCorasick>,
    /// The rules that need a literal, by the literal's number.
    owners: Vec<Owners>,
    /// Rule, phase and step of each.
    rules: Vec<(u32, usize, usize)>,
    /// The rules that look at each base.
    looking: Vec<Looking>,
    ways: Vec<Ways>,
    pub(super) chains: Vec<ChainRules>,
}

/// The rules that look at a base.
#[derive(Debug, Default)]
pub(super) struct Looking {
    /// All of them.
    pub(super) all: BitSet,
    /// Those that look at every name.
    any_name: BitSet,
    /// Those that look at this name, and at every name.
    named: HashMap<Box<[u8]>, BitSet>,
}

/// The rules behind a sequence of transformations.
#[derive(Debug)]
pub(super) struct ChainRules {
    pub(super) chain: ChainId,
    rules: Vec<u32>,
    /// Those of them that need no literal.
    open: Vec<Open>,
}

/// A rule that needs no literal.
#[derive(Debug)]
struct Open {
    rule: u32,
    /// It does need one in a value of plain bytes.
    plainly: bool,
    /// One of these bytes it needs.
    bytes: Option<ByteSet>,
}

/// The rules that can match what a sequence of transformations, or several that change nothing, make of a value with certain kinds of
/// bytes.
#[derive(Debug)]
pub(super) struct Possible {
    pub(super) chain: ChainId,
    pub(super) rules: BitSet,
    /// Those of them that need nothing more.
    open: BitSet,
    /// Those of them that need one of these bytes.
    bytes: Vec<(u32, ByteSet)>,
}

impl Prefilter {
    pub(crate) fn build(rules: &[Filtered]) -> Self {
        let mut literals = Literals::default();
        let mut chains: Vec<ChainRules> = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            let number = u32::try_from(index).unwrap_or(u32::MAX);
            if let Needs::Literals(list) = &rule.needs {
                let values = if rule.plainly.is_some() { Values::Other } else { Values::All };
                list.iter().for_each(|literal| literals.add(literal, number, values));
            }
            rule.plainly.iter().flatten().for_each(|literal| literals.add(literal, number, Values::Plain));
            for &chain in &rule.chains {
                let position = chains.iter().position(|known| known.chain == chain).unwrap_or_else(|| {
                    chains.push(ChainRules::empty(chain));
                    chains.len() - 1
                });
                if let Some(entry) = chains.get_mut(position) {
                    entry.add(number, rule);
                }
            }
        }
        Self {
            automaton: automaton(&literals.texts),
            owners: literals.owners,
            rules: rules.iter().map(|rule| (rule.rule, rule.phase, rule.step)).collect(),
            looking: Base::ALL.iter().map(|&base| Looking::new(base, rules)).collect(),
            ways: rules.iter().map(|rule| rule.ways.clone()).collect(),
            chains,
        }
    }

    /// How many rules there are.
    pub(crate) fn len(&self) -> usize {
        self.rules.len()
    }

    /// The rules that look at `base`, if any do.
    pub(super) fn looking(&self, base: Base) -> Option<&Looking> {
        self.looking.get(base.index()).filter(|looking| looking.all.words().iter().any(|&word| word != 0))
    }

    /// Whether a rule can match a value with these kinds of bytes only.
    fn allows(&self, rule: u32, kinds: Kinds) -> bool {
        self.ways.get(rule as usize).is_none_or(|ways| ways.allow(kinds))
    }

    /// Whether any rule of a sequence can match a value with these kinds of bytes only.
    pub(super) fn allows_any(&self, chain: &ChainRules, kinds: Kinds) -> bool {
        chain.rules.iter().any(|&rule| self.allows(rule, kinds))
    }

    /// The index of a rule by its number here.
    pub(super) fn rule(&self, number: usize) -> Option<u32> {
        self.rules.get(number).map(|&(rule, _, _)| rule)
    }

    /// Phase and step of each rule in `hits`.
    pub(crate) fn steps_of<'a>(&'a self, hits: &'a BitSet) -> impl Iterator<Item = (usize, usize)> + 'a {
        hits.iter().filter_map(|member| self.rules.get(member).map(|&(_, phase, step)| (phase, step)))
    }

    /// Adds the rules of which a literal occurs in `text`.
    pub(super) fn find(&self, text: &[u8], found: &mut [u64]) {
        let Some(automaton) = &self.automaton else { return };
        let mut plain = None;
        for literal in automaton.find_overlapping_iter(text) {
            let Some(owners) = self.owners.get(literal.pattern().as_usize()) else { continue };
            let plain = *plain.get_or_insert_with(|| is_plain_text(text));
            let rules = if plain { &owners.plain } else { &owners.other };
            rules.iter().for_each(|&rule| mark(found, rule));
        }
    }
}

impl Looking {
    fn new(base: Base, rules: &[Filtered]) -> Self {
        let empty = BitSet::with_bound(rules.len());
        let mut looking = Self { all: empty.clone(), any_name: empty.clone(), named: HashMap::new() };
        for (index, rule) in rules.iter().enumerate() {
            for (_, name) in rule.bases.iter().filter(|(looked_at, _)| *looked_at == base) {
                looking.all.insert(index);
                match name {
                    None => looking.any_name.insert(index),
                    Some(name) => {
                        let name = name.to_ascii_lowercase().into_boxed_slice();
                        looking.named.entry(name).or_insert_with(|| empty.clone()).insert(index);
                    }
                }
            }
        }
        for set in looking.named.values_mut() {
            set.union(&looking.any_name);
        }
        looking
    }

    /// The rules that look at what has this name. `folded` is for its lower case.
    pub(super) fn at(&self, name: &[u8], folded: &mut Vec<u8>) -> &BitSet {
        if self.named.is_empty() {
            return &self.all;
        }
        folded.clear();
        folded.extend(name.iter().map(u8::to_ascii_lowercase));
        self.named.get(folded.as_slice()).unwrap_or(&self.any_name)
    }
}

impl ChainRules {
    const fn empty(chain: ChainId) -> Self {
        Self { chain, rules: Vec::new(), open: Vec::new() }
    }

    fn add(&mut self, number: u32, rule: &Filtered) {
        self.rules.push(number);
        let bytes = match &rule.needs {
            Needs::Literals(_) => return,
            // What folds the case leaves a value as it is to the eyes of the prefilter.
            Needs::Bytes(bytes) => Some(bytes.fold_case()),
            Needs::Nothing => None,
        };
        self.open.push(Open { rule: number, plainly: rule.plainly.is_some(), bytes });
    }
}

impl Possible {
    /// Nothing yet.
    pub(super) fn none(prefilter: &Prefilter) -> Self {
        let empty = BitSet::with_bound(prefilter.len());
        Self { chain: ChainId::NONE, rules: empty.clone(), open: empty, bytes: Vec::new() }
    }

    /// Takes the rules of a sequence in that can match what it makes of a value, in which there are at most the kinds of bytes `kinds`.
    pub(super) fn add(&mut self, prefilter: &Prefilter, chain: &ChainRules, kinds: Kinds) {
        self.chain = chain.chain;
        for &rule in chain.rules.iter().filter(|&&rule| prefilter.allows(rule, kinds)) {
            self.rules.insert(rule as usize);
        }
        let plain = is_plain(kinds);
        for open in chain.open.iter().filter(|open| prefilter.allows(open.rule, kinds)) {
            match open.bytes {
                _ if plain && open.plainly => {}
                None => self.open.insert(open.rule as usize),
                Some(_) if self.bytes.iter().any(|(rule, _)| *rule == open.rule) => {}
                Some(bytes) => self.bytes.push((open.rule, bytes)),
            }
        }
    }

    /// Adds those that look at the value, need no literal and may match `text`.
    pub(super) fn find(&self, text: &[u8], looking: &BitSet, found: &mut [u64]) {
        for (found, open) in found.iter_mut().zip(self.open.words()) {
            *found |= open;
        }
        let mut held = None;
        for (rule, bytes) in &self.bytes {
            if looking.contains(*rule as usize)
                && !bytes.is_disjoint(*held.get_or_insert_with(|| ByteSet::of(text)))
            {
                mark(found, *rule);
            }
        }
    }
}

/// Adds a rule to a row of words.
pub(super) fn mark(found: &mut [u64], rule: u32) {
    if let Some(word) = found.get_mut(rule as usize / 64) {
        *word |= 1 << (rule % 64);
    }
}

/// The rules that need a literal.
#[derive(Debug, Default)]
struct Owners {
    /// In values of plain bytes.
    plain: Vec<u32>,
    /// In all others.
    other: Vec<u32>,
}

/// Values in which a rule needs a literal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    All,
    Plain,
    Other,
}

#[derive(Default)]
struct Literals<'r> {
    numbers: std::collections::HashMap<&'r [u8], usize>,
    texts: Vec<&'r [u8]>,
    owners: Vec<Owners>,
}

impl<'r> Literals<'r> {
    fn add(&mut self, literal: &'r [u8], rule: u32, values: Values) {
        let literal = literal.get(..LITERAL).unwrap_or(literal);
        let number = *self.numbers.entry(literal).or_insert_with(|| {
            self.texts.push(literal);
            self.owners.push(Owners::default());
            self.texts.len() - 1
        });
        let Some(owners) = self.owners.get_mut(number) else { return };
        for (rules, left_out) in [(&mut owners.plain, Values::Other), (&mut owners.other, Values::Plain)] {
            if values != left_out && !rules.contains(&rule) {
                rules.push(rule);
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
        .start_kind(StartKind::Unanchored)
        .kind(Some(AhoCorasickKind::DFA))
        .build(literals)
        .ok()
}
