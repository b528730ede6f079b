//! Which rules can match at all: one pass over each value with the literals of all rules at once.
//!
//! A rule whose pattern needs one of a few literals (`union`, `<script`, `/etc/passwd`) cannot match a value that holds none of
//! them. All literals of all such rules are in one automaton, compared without regard to ASCII case. A value is scanned once as it
//! is, which serves every rule whose transformations leave it as it is; what transformations make of it is scanned
//! once for each different result. A rule without literals may still need one of a few bytes.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind, StartKind};

use crate::pattern::ByteSet;

use super::bits::BitSet;
use super::chains::ChainId;
use super::items::Base;

/// How much of a literal the automaton looks for, bytes. The rest adds little certainty, but states that crowd the caches: the
/// lists of file names and class names of the Core Rule Set alone would make tens of megabytes of them.
const LITERAL: usize = 6;

/// What is known about a rule that looks at values and nothing else.
#[derive(Debug)]
pub(crate) struct Filtered {
    /// Index of the rule.
    pub(crate) rule: u32,
    pub(crate) phase: usize,
    pub(crate) step: usize,
    pub(crate) needs: Needs,
    /// The sequences of transformations after which it looks at a value.
    pub(crate) chains: Vec<ChainId>,
    pub(crate) bases: Vec<Base>,
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
    owners: Vec<Box<[u32]>>,
    /// Rule, phase and step of each.
    rules: Vec<(u32, usize, usize)>,
    /// The rules that look at each base.
    looking: Vec<BitSet>,
    pub(super) chains: Vec<ChainRules>,
}

/// The rules behind a sequence of transformations.
#[derive(Debug)]
pub(super) struct ChainRules {
    pub(super) chain: ChainId,
    pub(super) rules: BitSet,
    /// Those of them that need nothing.
    open: BitSet,
    /// Those of them that need some byte.
    bytes: Vec<(u32, ByteSet)>,
}

impl Prefilter {
    pub(crate) fn build(rules: &[Filtered]) -> Self {
        let mut literals = Literals::default();
        let mut looking = vec![BitSet::with_bound(rules.len()); Base::COUNT];
        let mut chains: Vec<ChainRules> = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            let number = u32::try_from(index).unwrap_or(u32::MAX);
            if let Needs::Literals(list) = &rule.needs {
                list.iter().for_each(|literal| literals.add(literal, number));
            }
            for base in &rule.bases {
                if let Some(set) = looking.get_mut(base.index()) {
                    set.insert(index);
                }
            }
            for &chain in &rule.chains {
                let position = chains.iter().position(|known| known.chain == chain).unwrap_or_else(|| {
                    chains.push(ChainRules::empty(chain, rules.len()));
                    chains.len() - 1
                });
                if let Some(entry) = chains.get_mut(position) {
                    entry.add(number, &rule.needs);
                }
            }
        }
        Self {
            automaton: automaton(&literals.texts),
            owners: literals.owners.into_iter().map(Vec::into_boxed_slice).collect(),
            rules: rules.iter().map(|rule| (rule.rule, rule.phase, rule.step)).collect(),
            looking,
            chains,
        }
    }

    /// How many rules there are.
    pub(crate) fn len(&self) -> usize {
        self.rules.len()
    }

    /// The rules that look at `base`, if any do.
    pub(super) fn looking(&self, base: Base) -> Option<&BitSet> {
        self.looking.get(base.index()).filter(|set| set.words().iter().any(|&word| word != 0))
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
        for literal in automaton.find_overlapping_iter(text) {
            for &rule in self.owners.get(literal.pattern().as_usize()).into_iter().flatten() {
                mark(found, rule);
            }
        }
    }
}

impl ChainRules {
    pub(super) fn empty(chain: ChainId, bound: usize) -> Self {
        Self { chain, rules: BitSet::with_bound(bound), open: BitSet::with_bound(bound), bytes: Vec::new() }
    }

    fn add(&mut self, number: u32, needs: &Needs) {
        self.rules.insert(number as usize);
        match needs {
            Needs::Literals(_) => {}
            Needs::Bytes(bytes) => self.bytes.push((number, *bytes)),
            Needs::Nothing => self.open.insert(number as usize),
        }
    }

    /// Takes the rules of another sequence in, for values that both leave as they are.
    pub(super) fn merge(&mut self, other: &Self) {
        self.rules.union(&other.rules);
        self.open.union(&other.open);
        for entry in &other.bytes {
            if !self.bytes.iter().any(|(rule, _)| *rule == entry.0) {
                self.bytes.push(*entry);
            }
        }
    }

    /// Adds the rules of this sequence that need no literal and may match `text`.
    pub(super) fn find(&self, text: &[u8], found: &mut [u64]) {
        for (found, open) in found.iter_mut().zip(self.open.words()) {
            *found |= open;
        }
        if self.bytes.is_empty() {
            return;
        }
        let held = ByteSet::of(text);
        for (rule, bytes) in &self.bytes {
            if !bytes.is_disjoint(held) {
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

#[derive(Default)]
struct Literals<'r> {
    numbers: std::collections::HashMap<&'r [u8], usize>,
    texts: Vec<&'r [u8]>,
    owners: Vec<Vec<u32>>,
}

impl<'r> Literals<'r> {
    fn add(&mut self, literal: &'r [u8], rule: u32) {
        let literal = literal.get(..LITERAL).unwrap_or(literal);
        let number = *self.numbers.entry(literal).or_insert_with(|| {
            self.texts.push(literal);
            self.owners.push(Vec::new());
            self.texts.len() - 1
        });
        if let Some(owners) = self.owners.get_mut(number)
            && !owners.contains(&rule)
        {
            owners.push(rule);
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
