//! The loop: which rules run, on which values, and what follows when they match.

mod made;
mod record;

use crate::operator::compare_expanded;
use crate::pattern::{Captures, Outcome};
use crate::seclang::{AllowScope, EngineMode, Variable};

use super::bits::BitSet;
use super::collections::Collections;
use super::effects;
use super::expand;
use super::memo::Memo;
use super::program::{Effect, NamedTarget, Program, Rule, RuleOperator, Target};
use super::state::State;
use super::tx::{TxKey, leading_number, write_number};
use super::working::Shelf;

/// The index of the phase in which everything is over: it runs whatever was decided.
const LOGGING: usize = 4;

/// Everything that a phase needs.
pub(crate) struct Run<'a> {
    pub(crate) program: &'a Program,
    pub(crate) collections: &'a Collections,
    pub(crate) memos: &'a [Shelf<Memo>; 2],
    pub(crate) state: &'a mut State,
}

impl Run<'_> {
    /// Runs the rules of a phase, counted from 0, until one interrupts.
    pub(crate) fn phase(&mut self, phase: usize) {
        if !self.begins(phase) {
            return;
        }
        let Some(steps) = self.program.phases.get(phase) else { return };
        let mut pending = std::mem::take(&mut self.state.pending);
        self.choose(phase, &mut pending);
        let mut next = 0;
        while let Some(step) = pending.next(next) {
            next = step + 1;
            let Some(&index) = steps.get(step) else { break };
            if self.state.controls.any_removed && self.state.controls.removed.contains(index as usize) {
                continue;
            }
            let Some(rule) = self.program.rules.get(index as usize) else { break };
            if !self.chain(rule, index) {
                continue;
            }
            self.decide(rule, phase);
            if let Some(skip_to) = rule.skip_to {
                next = skip_to as usize;
            }
            let over = self.state.interruption.is_some()
                || self.state.controls.engine == EngineMode::Off
                || self.is_allowed(phase);
            if over && phase != LOGGING {
                break;
            }
        }
        self.state.pending = pending;
        if self.state.controls.allow == Some(AllowScope::Phase) {
            self.state.controls.allow = None;
        }
    }

    fn begins(&self, phase: usize) -> bool {
        self.state.controls.engine != EngineMode::Off
            && !self.is_allowed(phase)
            && (phase == LOGGING || self.state.interruption.is_none())
    }

    /// Whether a rule has let the transaction pass, as far as this phase is concerned. That it is about a phase ends with it.
    const fn is_allowed(&self, phase: usize) -> bool {
        match self.state.controls.allow {
            Some(AllowScope::All) => phase != LOGGING,
            Some(AllowScope::Request) => phase < 2,
            Some(AllowScope::Phase) => true,
            None => false,
        }
    }

    /// The steps to run: those that always run, and those that the prefilter does not rule out.
    fn choose(&mut self, phase: usize, pending: &mut BitSet) {
        if let Some(always) = self.program.always.get(phase) {
            pending.copy_from(always);
        }
        let side = usize::from(phase >= 2);
        let State { items, transformed, hits, .. } = &mut *self.state;
        let (Some(prefilter), Some(hits)) = (self.program.prefilters.get(side), hits.get_mut(side)) else {
            return;
        };
        if phase < 4 {
            let Some(shelf) = self.memos.get(side) else { return };
            let mut memo = shelf.take().unwrap_or_default();
            hits.scan(self.program, prefilter, &mut memo, items, transformed);
            shelf.put(memo);
            for (of, step) in prefilter.steps_of(hits.any()) {
                if of == phase {
                    pending.insert(step);
                }
            }
        }
    }

    /// Whether a rule and all links of its chain match.
    pub(crate) fn chain(&mut self, head: &Rule, index: u32) -> bool {
        self.state.matched.begin_rule();
        let (mut rule, mut index) = (head, index);
        loop {
            self.state.matched.begin_link();
            if !self.link(rule, index) {
                return false;
            }
            let Some(next) = rule.next else { return true };
            let Some(link) = self.program.rules.get(next as usize) else {
                return false;
            };
            (rule, index) = (link, next);
        }
    }

    /// Looks at every value of a rule's targets; true when one or more matched.
    fn link(&mut self, rule: &Rule, index: u32) -> bool {
        if rule.targets.is_empty() {
            if matches!(rule.operator, RuleOperator::Always) {
                effects::run(self, rule, index);
                return true;
            }
            return false;
        }
        self.argument(rule);
        let mut any = false;
        for target in &rule.targets {
            any |= self.target(rule, index, target);
        }
        any
    }

    /// Expands the argument of an operator that holds macros.
    fn argument(&mut self, rule: &Rule) {
        if let Some(text) = rule.operator.text() {
            let mut argument = std::mem::take(&mut self.state.scratch.argument);
            argument.clear();
            expand::expand(self.collections, self.state, text, &mut argument);
            self.state.scratch.argument = argument;
        }
    }

    fn target(&mut self, rule: &Rule, index: u32, target: &Target) -> bool {
        if target.count {
            let count = self.count(target);
            return self.number(rule, index, Name::Of(target), count);
        }
        if target.bases.is_empty() {
            return self.made(rule, index, target);
        }
        let mut any = false;
        for &base in target.bases {
            let (start, end) = self.state.items.range(base);
            for item in start..end {
                any |= self.item(rule, index, target, item);
            }
        }
        any
    }

    fn item(&mut self, rule: &Rule, index: u32, target: &Target, item: usize) -> bool {
        if let Some(filter) = rule.filter {
            let side = usize::from(rule.phase >= 3);
            let ruled_out = self.state.hits.get(side).is_some_and(|hits| !hits.may_match(item, filter));
            if ruled_out {
                return false;
            }
        }
        let kept = self.state.items.get(item);
        let name = self.state.items.text(kept.name);
        if !target.selector.takes(name) || self.is_excluded(rule, index, target.variable, name) {
            return false;
        }
        self.check_item(rule, index, target, item)
    }

    fn is_excluded(&self, rule: &Rule, index: u32, variable: Variable, name: &[u8]) -> bool {
        let excluded =
            |exclusion: &NamedTarget| exclusion.variable == variable && exclusion.selector.takes(name);
        rule.exclusions.iter().any(excluded)
            || self.state.controls.removed_targets.iter().any(|&(by, effect)| {
                let effect = self.program.rules.get(by as usize).and_then(|rule| rule.effects.get(effect));
                matches!(effect, Some(Effect::RemoveTarget(rules, _, target))
                    if rules.contains(index as usize) && excluded(target))
            })
    }

    fn check_item(&mut self, rule: &Rule, index: u32, target: &Target, item: usize) -> bool {
        if !rule.multi_match {
            let State { items, transformed, captures, scratch, matched, .. } = &mut *self.state;
            let kept = items.get(item);
            let raw = items.text(kept.value);
            let value = transformed.result(&self.program.chains, item, rule.chain, raw).unwrap_or(raw);
            if !holds(rule, value, &scratch.argument, captures) {
                return false;
            }
            let value = matched.store(value);
            self.matched(rule, index, Name::Item(target, item), value);
            return true;
        }
        let mut value = std::mem::take(&mut self.state.scratch.value);
        value.clear();
        value.extend_from_slice(self.state.items.text(self.state.items.get(item).value));
        let any = self.multi(rule, index, Name::Item(target, item), &mut value);
        self.state.scratch.value = value;
        any
    }

    /// Checks a value after each transformation that changes it.
    fn multi(&mut self, rule: &Rule, index: u32, name: Name<'_>, value: &mut Vec<u8>) -> bool {
        let transformations = self.program.chains.steps(rule.chain);
        let mut any = self.check(rule, index, name, value);
        let mut next = Vec::new();
        for transformation in transformations {
            if transformation.apply(value, &mut next) {
                std::mem::swap(value, &mut next);
                any |= self.check(rule, index, name, value);
            }
        }
        any
    }

    /// Checks a value that went through its transformations.
    fn check(&mut self, rule: &Rule, index: u32, name: Name<'_>, value: &[u8]) -> bool {
        let State { captures, scratch, matched, .. } = &mut *self.state;
        if !holds(rule, value, &scratch.argument, captures) {
            return false;
        }
        let value = matched.store(value);
        self.matched(rule, index, name, value);
        true
    }

    /// Checks a value that is made on demand: its transformations run first.
    fn text(&mut self, rule: &Rule, index: u32, name: Name<'_>, value: &mut Vec<u8>) -> bool {
        if rule.multi_match {
            return self.multi(rule, index, name, value);
        }
        if let Some(changed) = self.state.transformed.compute(&self.program.chains, rule.chain, value) {
            value.clear();
            value.extend_from_slice(changed);
        }
        self.check(rule, index, name, value)
    }

    /// Checks a number; comparisons of numbers need no text.
    fn number(&mut self, rule: &Rule, index: u32, name: Name<'_>, number: i64) -> bool {
        let holds = match &rule.operator {
            RuleOperator::NumberFixed(comparison, argument) => comparison.holds(number, *argument),
            RuleOperator::Number(comparison, _) => {
                comparison.holds(number, leading_number(&self.state.scratch.argument))
            }
            _ => {
                let mut value = std::mem::take(&mut self.state.scratch.value);
                value.clear();
                write_number(number, &mut value);
                let any = self.text(rule, index, name, &mut value);
                self.state.scratch.value = value;
                return any;
            }
        };
        if holds == rule.negated {
            return false;
        }
        self.state.captures.clear();
        let mut value = std::mem::take(&mut self.state.scratch.value);
        value.clear();
        write_number(number, &mut value);
        let stored = self.state.matched.store(&value);
        self.state.scratch.value = value;
        self.matched(rule, index, name, stored);
        true
    }
}

/// What a value is called; written out only when it matched.
#[derive(Clone, Copy)]
enum Name<'a> {
    Item(&'a Target, usize),
    Of(&'a Target),
    Tx(TxKey),
    Made(Variable, &'a [u8]),
}

impl Name<'_> {
    const fn variable(&self) -> Variable {
        match self {
            Self::Item(target, _) | Self::Of(target) => target.variable,
            Self::Tx(_) => Variable::Tx,
            Self::Made(variable, _) => *variable,
        }
    }
}

/// Whether a rule that looks at values and nothing else matches one, after its transformations.
pub(crate) fn holds_alone(rule: &Rule, value: &[u8]) -> bool {
    let RuleOperator::Fixed(operator) = &rule.operator else { return true };
    operator.matches(value, false, &mut Captures::new()) != rule.negated
}

/// Whether the rule's operator holds for a value, negation included.
fn holds(rule: &Rule, value: &[u8], argument: &[u8], captures: &mut Captures) -> bool {
    captures.clear();
    let holds = match &rule.operator {
        RuleOperator::Fixed(operator) => operator.matches(value, rule.capture || rule.report.log, captures),
        RuleOperator::Expanded(name, _) => compare_expanded(*name, argument, value),
        RuleOperator::Formed(_, patterns) => {
            let captures = (rule.capture || rule.report.log).then_some(captures);
            patterns.of(argument).is_some_and(|pattern| pattern.evaluate(value, captures) == Outcome::Match)
        }
        RuleOperator::NumberFixed(comparison, number) => comparison.holds(leading_number(value), *number),
        RuleOperator::Number(comparison, _) => {
            comparison.holds(leading_number(value), leading_number(argument))
        }
        RuleOperator::Always => true,
        RuleOperator::Never => false,
    };
    holds != rule.negated
}
