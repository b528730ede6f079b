//! What is known when the rules are loaded is done then.
//!
//! The Core Rule Set begins every request with a hundred rules that give variables their defaults and jump over the paranoia levels
//! that are not wanted. All of it depends on nothing of the request. Here such rules run once: the state of `TX` that they
//! leave is where each transaction begins, and what can never be reached is left out of the phases.
//!
//! A rule is done beforehand only if nothing can tell the difference: it reads only variables that no remaining rule before it can
//! have set, nobody before it reads what it sets, and no rule can jump over it or take it out.

use std::net::SocketAddr;
use std::time::SystemTime;

use super::super::bits::BitSet;
use super::super::collections::Collections;
use super::super::evaluate::Run;
use super::super::program::{
    Change, Disruption, Effect, Program, Rule, Selector, Target, Text, TextPart, TxName,
};
use super::super::state::State;
use super::super::tx::{CAPTURES, Tx};
use crate::seclang::Variable;

/// Runs what can be run beforehand, and leaves what remains in the phases.
pub(super) fn specialise(program: &mut Program) {
    let client = SocketAddr::from(([0, 0, 0, 0], 0));
    let mut state = State::new(program, client, SystemTime::UNIX_EPOCH);
    let mut live: [BitSet; 5] = Default::default();
    {
        let mut pass = Pass {
            program,
            state: &mut state,
            written: BitSet::with_bound(program.names.len()),
            read: BitSet::with_bound(program.names.len()),
            prefixes: Vec::new(),
        };
        // What phase 2 and later change can be read by phase 1 only of the next transaction, which begins anew.
        for (phase, live) in live.iter_mut().enumerate() {
            *live = pass.phase(phase);
        }
    }
    program.initial = std::mem::take(&mut state.tx);
    for (phase, live) in live.iter().enumerate() {
        keep(program, phase, live);
    }
}

struct Pass<'p> {
    program: &'p Program,
    state: &'p mut State,
    /// Variables that a remaining rule may have set by now.
    written: BitSet,
    /// Variables that a remaining rule may have read by now.
    read: BitSet,
    /// Beginnings of the names that remaining rules make up.
    prefixes: Vec<Vec<u8>>,
}

impl Pass<'_> {
    /// The steps of a phase that remain.
    fn phase(&mut self, phase: usize) -> BitSet {
        let program = self.program;
        let steps = program.phases.get(phase).map_or(&[][..], Vec::as_slice);
        let mut live = BitSet::with_bound(steps.len());
        // Up to this step, a remaining rule may have jumped ahead.
        let mut uncertain_until = 0;
        let mut step = 0;
        while let Some(&index) = steps.get(step) {
            let Some(rule) = program.rules.get(index as usize) else { break };
            let certain = step >= uncertain_until && phase == 0 && !self.removable(phase, step, index);
            match self.run(rule, index, certain) {
                Fate::Done(false) => step += 1,
                Fate::Done(true) => step = self.after(rule, phase, step),
                Fate::Remains => {
                    live.insert(step);
                    self.note(rule);
                    if let Some(skip_to) = rule.skip_to {
                        uncertain_until = uncertain_until.max(skip_to as usize);
                    }
                    if matches!(rule.disruption, Disruption::Allow(_)) {
                        uncertain_until = usize::MAX;
                    }
                    step += 1;
                }
            }
        }
        live
    }

    /// Runs a rule if nothing can tell the difference.
    fn run(&mut self, rule: &Rule, index: u32, certain: bool) -> Fate {
        let links: Vec<&Rule> = self.links(rule).collect();
        let has_effects = links.iter().any(|link| !link.effects.is_empty());
        if !links.iter().all(|link| self.is_known(link)) || (has_effects && !certain) {
            return Fate::Remains;
        }
        let before = Tx::copy(&self.state.tx);
        let matches = Run {
            program: self.program,
            collections: &Collections::default(),
            memos: &Default::default(),
            state: self.state,
        }
        .chain(rule, index);
        let is_silent = !rule.report.log && matches!(rule.disruption, Disruption::Pass);
        let skips_safely = rule.skip_to.is_none() || self.may_leave_out(rule, index);
        if matches && !(is_silent && skips_safely) {
            self.state.tx = before;
            return Fate::Remains;
        }
        Fate::Done(matches)
    }

    fn links<'r>(&'r self, rule: &'r Rule) -> impl Iterator<Item = &'r Rule> {
        std::iter::successors(Some(rule), |link| {
            link.next.and_then(|next| self.program.rules.get(next as usize))
        })
    }

    /// Whether everything that a link reads is known, and everything that it changes is nobody's business yet.
    fn is_known(&self, rule: &Rule) -> bool {
        rule.operator.text().is_none_or(|text| self.is_known_text(text))
            && !rule.capture
            && rule.targets.iter().all(|target| self.is_known_target(target))
            && rule.effects.iter().all(|effect| match effect {
                Effect::SetTx(TxName::Slot(slot), change) => {
                    let value = match change {
                        Change::Set(text) | Change::Add(text) | Change::Subtract(text) => {
                            self.is_known_text(text)
                        }
                        Change::SetNumber(_) | Change::Unset => true,
                    };
                    value && !self.read.contains(*slot as usize) && self.is_settled(*slot)
                }
                _ => false,
            })
    }

    fn is_known_target(&self, target: &Target) -> bool {
        match (target.variable, &target.selector) {
            (Variable::Tx, Selector::Slot(slot)) => self.is_settled(*slot),
            _ => false,
        }
    }

    fn is_known_text(&self, text: &Text) -> bool {
        text.parts.iter().all(|part| match part {
            TextPart::Fixed(_) => true,
            TextPart::Slot(slot) => self.is_settled(*slot),
            TextPart::Variable(..) => false,
        })
    }

    /// Whether no remaining rule can have set the variable.
    fn is_settled(&self, slot: u32) -> bool {
        let name = self.program.names.name(slot);
        !self.written.contains(slot as usize) && !self.prefixes.iter().any(|prefix| name.starts_with(prefix))
    }

    /// Remembers what a remaining rule reads and sets.
    fn note(&mut self, rule: &Rule) {
        let links: Vec<u32> = {
            let program = self.program;
            let mut links = Vec::new();
            let mut next = rule.next;
            while let Some(index) = next {
                links.push(index);
                next = program.rules.get(index as usize).and_then(|link| link.next);
            }
            links
        };
        let program = self.program;
        self.note_link(rule);
        for link in links.iter().filter_map(|&index| program.rules.get(index as usize)) {
            self.note_link(link);
        }
    }

    fn note_link(&mut self, rule: &Rule) {
        for target in &rule.targets {
            match (target.variable, &target.selector) {
                (Variable::Tx, Selector::Slot(slot)) => self.read.insert(*slot as usize),
                (Variable::Tx, _) => (0..self.program.names.len()).for_each(|slot| self.read.insert(slot)),
                _ => {}
            }
        }
        if let Some(text) = rule.operator.text() {
            self.note_text(text);
        }
        let report = &rule.report;
        report.message.iter().chain(&report.data).chain(&report.tags).for_each(|text| self.note_text(text));
        if let Disruption::Redirect(_, text) = &rule.disruption {
            self.note_text(text);
        }
        if rule.capture {
            (0..CAPTURES).for_each(|slot| self.written.insert(slot as usize));
        }
        rule.effects.iter().for_each(|effect| self.note_effect(effect));
    }

    fn note_effect(&mut self, effect: &Effect) {
        match effect {
            Effect::SetTx(name, change) => {
                match name {
                    TxName::Slot(slot) => self.written.insert(*slot as usize),
                    TxName::Made(text) => {
                        self.note_text(text);
                        self.prefixes.push(match text.parts.first() {
                            Some(TextPart::Fixed(prefix)) => prefix.to_ascii_lowercase().into_bytes(),
                            _ => Vec::new(),
                        });
                    }
                }
                self.note_change(change);
            }
            Effect::SetPersistent(_, name, change) => {
                self.note_text(name);
                self.note_change(change);
            }
            Effect::Expire(_, name, seconds) => {
                self.note_text(name);
                self.note_text(seconds);
            }
            Effect::Open(_, text) | Effect::SetEnvironment(_, text) => self.note_text(text),
            _ => {}
        }
    }

    fn note_change(&mut self, change: &Change) {
        if let Change::Set(text) | Change::Add(text) | Change::Subtract(text) = change {
            self.note_text(text);
        }
    }

    fn note_text(&mut self, text: &Text) {
        for part in &text.parts {
            if let TextPart::Slot(slot) = part {
                self.read.insert(*slot as usize);
            }
        }
    }

    /// Whether a rule before this one can take it out of the transaction.
    fn removable(&self, phase: usize, step: usize, index: u32) -> bool {
        let earlier = self.program.phases.iter().take(phase).flatten();
        let here = self.program.phases.get(phase).into_iter().flatten().take(step);
        earlier.chain(here).any(|&other| self.removals(other).any(|rules| rules.contains(index as usize)))
    }

    fn removals(&self, index: u32) -> impl Iterator<Item = &BitSet> {
        let rule = self.program.rules.get(index as usize);
        rule.into_iter().flat_map(|rule| self.links(rule)).flat_map(|link| link.effects.iter()).filter_map(
            |effect| match effect {
                Effect::Remove(rules, _) => Some(rules),
                _ => None,
            },
        )
    }

    /// Whether the rules over which this one always jumps can be left out: nobody else jumps in between, and who takes this
    /// rule out takes them out too.
    fn may_leave_out(&self, rule: &Rule, index: u32) -> bool {
        let Some(steps) = self.program.phases.get(usize::from(rule.phase) - 1) else {
            return false;
        };
        let Ok(step) = steps.binary_search(&index) else { return false };
        let end = rule.skip_to.map_or(step + 1, |end| end as usize);
        let between = steps.get(step + 1..end).unwrap_or_default();
        let jumps_in = steps
            .iter()
            .take(step)
            .filter_map(|&other| self.program.rules.get(other as usize)?.skip_to)
            .any(|target| (target as usize) > step && (target as usize) < end);
        let all = self.program.phases.iter().flatten();
        let stays_out = all
            .flat_map(|&other| self.removals(other))
            .filter(|rules| rules.contains(index as usize))
            .all(|rules| between.iter().all(|&other| rules.contains(other as usize)));
        !jumps_in && stays_out
    }

    /// The step after a rule that matched.
    fn after(&self, rule: &Rule, phase: usize, step: usize) -> usize {
        debug_assert_eq!(usize::from(rule.phase), phase + 1);
        rule.skip_to.map_or(step + 1, |target| target as usize)
    }
}

/// What becomes of a rule.
enum Fate {
    /// It was run, and matched or not.
    Done(bool),
    Remains,
}

/// Leaves only the steps of `live` in a phase, and moves the jumps along.
fn keep(program: &mut Program, phase: usize, live: &BitSet) {
    let Some(steps) = program.phases.get_mut(phase) else { return };
    let old = std::mem::take(steps);
    let mut moved = Vec::with_capacity(old.len() + 1);
    for (step, &index) in old.iter().enumerate() {
        moved.push(u32::try_from(steps.len()).unwrap_or(u32::MAX));
        if live.contains(step) {
            steps.push(index);
        }
    }
    moved.push(u32::try_from(steps.len()).unwrap_or(u32::MAX));
    let end = *moved.last().unwrap_or(&0);
    let kept = steps.clone();
    for index in kept {
        if let Some(rule) = program.rules.get_mut(index as usize)
            && let Some(skip_to) = &mut rule.skip_to
        {
            *skip_to = moved.get(*skip_to as usize).copied().unwrap_or(end);
        }
    }
}
