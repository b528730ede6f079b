//! The loop: which rules run, on which values, and what follows when they match.

use crate::operator::compare_expanded;
use crate::seclang::{AllowScope, EngineMode, Variable};

use super::Action;
use super::chains::ChainId;
use super::collections::Collections;
use super::effects;
use super::expand::{self, write_made};
use super::program::{Disruption, Effect, Program, Rule, RuleOperator, Selector, Target};
use super::report::{self, RuleMatch};
use super::state::{MatchedValue, State};
use super::tx::{CAPTURES, TxKey, TxValue, leading_number, write_number};

/// Everything that a phase needs.
pub(crate) struct Run<'a> {
    pub(crate) program: &'a Program,
    pub(crate) collections: &'a Collections,
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
                || self.state.controls.allow.is_some();
            if over && phase != 4 {
                break;
            }
        }
        self.state.pending = pending;
        if self.state.controls.allow == Some(AllowScope::Phase) {
            self.state.controls.allow = None;
        }
    }

    fn begins(&self, phase: usize) -> bool {
        let logging = phase == 4;
        let allowed = match self.state.controls.allow {
            Some(AllowScope::All) => !logging,
            Some(AllowScope::Request) => phase < 2,
            Some(AllowScope::Phase) | None => false,
        };
        self.state.controls.engine != EngineMode::Off
            && !allowed
            && (logging || self.state.interruption.is_none())
    }

    /// The steps to run: those that always run, and those that the prefilter does not rule out.
    fn choose(&mut self, phase: usize, pending: &mut super::bits::BitSet) {
        if let Some(always) = self.program.always.get(phase) {
            pending.copy_from(always);
        }
        let side = usize::from(phase >= 2);
        let State { items, transformed, hits, .. } = &mut *self.state;
        let (Some(prefilter), Some(hits)) = (self.program.prefilters.get(side), hits.get_mut(side)) else {
            return;
        };
        if phase < 4 {
            hits.scan(self.program, prefilter, items, transformed);
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
        if let RuleOperator::Expanded(_, text) | RuleOperator::Number(_, text) = &rule.operator {
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
        let excluded = |exclusion: &super::program::NamedTarget| {
            exclusion.variable == variable && exclusion.selector.takes(name)
        };
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

    fn count(&self, target: &Target) -> i64 {
        let count = if !target.bases.is_empty() {
            target
                .bases
                .iter()
                .map(|&base| {
                    let (start, end) = self.state.items.range(base);
                    match target.selector {
                        Selector::All => end - start,
                        ref selector => (start..end)
                            .filter(|&item| {
                                selector.takes(self.state.items.text(self.state.items.get(item).name))
                            })
                            .count(),
                    }
                })
                .sum()
        } else if target.variable == Variable::Tx {
            match &target.selector {
                Selector::Slot(slot) => usize::from(self.state.tx.is_set(TxKey::Slot(*slot))),
                _ => self.tx_keys(target).len(),
            }
        } else {
            self.made_values(target).len()
        };
        i64::try_from(count).unwrap_or(i64::MAX)
    }

    /// Looks at a variable whose values are made on demand.
    fn made(&mut self, rule: &Rule, index: u32, target: &Target) -> bool {
        match (target.variable, &target.selector) {
            (Variable::Tx, &Selector::Slot(slot)) => self.tx(rule, index, TxKey::Slot(slot)),
            (Variable::Tx, _) => {
                let keys = self.tx_keys(target);
                keys.into_iter().fold(false, |any, key| self.tx(rule, index, key) | any)
            }
            _ => {
                let mut any = false;
                for (name, mut value) in self.made_values(target) {
                    if !self.is_excluded(rule, index, target.variable, &name) {
                        any |= self.text(rule, index, Name::Made(target.variable, &name), &mut value);
                    }
                }
                any
            }
        }
    }

    /// The variables that a pattern over `TX`, or all of it, takes.
    fn tx_keys(&self, target: &Target) -> Vec<TxKey> {
        let tx = &self.state.tx;
        let slots = target.slots.iter().map(|&slot| TxKey::Slot(slot)).filter(|&key| tx.is_set(key));
        let extra = tx.extra_keys().filter(|(_, name)| target.selector.takes(name)).map(|(key, _)| key);
        slots.chain(extra).collect()
    }

    fn tx(&mut self, rule: &Rule, index: u32, key: TxKey) -> bool {
        let transforms = rule.chain != ChainId::NONE;
        match self.state.tx.value(key) {
            TxValue::Unset => false,
            TxValue::Number(number) if !transforms => self.number(rule, index, Name::Tx(key), number),
            _ => {
                let mut value = std::mem::take(&mut self.state.scratch.value);
                value.clear();
                self.state.tx.write(key, &mut value);
                let any = self.text(rule, index, Name::Tx(key), &mut value);
                self.state.scratch.value = value;
                any
            }
        }
    }

    /// Names and values of a variable that is made on demand.
    fn made_values(&self, target: &Target) -> Vec<(Vec<u8>, Vec<u8>)> {
        let matched = &self.state.matched;
        match target.variable {
            Variable::MatchedVars | Variable::MatchedVarsNames => matched
                .before
                .iter()
                .map(|value| {
                    let name = matched.text(value.name).to_vec();
                    let value =
                        if target.variable == Variable::MatchedVars { value.value } else { value.name };
                    (name, matched.text(value).to_vec())
                })
                .filter(|(name, _)| target.selector.takes(name))
                .collect(),
            Variable::Ip | Variable::Global | Variable::Session | Variable::User | Variable::Resource => {
                let mut values = Vec::new();
                if let Some(key) = self.state.key_of(target.variable) {
                    self.collections.each(target.variable, key, self.state.now, |name, value| {
                        if target.selector.takes(name.as_bytes()) {
                            values.push((name.as_bytes().to_vec(), value.to_vec()));
                        }
                    });
                }
                values
            }
            Variable::Env => self
                .state
                .environment
                .iter()
                .filter(|(name, _)| target.selector.takes(name.as_bytes()))
                .map(|(name, value)| (name.as_bytes().to_vec(), value.clone()))
                .collect(),
            variable => {
                let mut value = Vec::new();
                write_made(self.collections, self.state, variable, None, &mut value);
                if value.is_empty() { Vec::new() } else { vec![(Vec::new(), value)] }
            }
        }
    }

    /// Notes a value that matched and runs what the rule does for each.
    fn matched(&mut self, rule: &Rule, index: u32, name: Name<'_>, value: super::items::Stretch) {
        let found = self.capture(rule, value);
        let variable = name.variable();
        let mut text = std::mem::take(&mut self.state.scratch.name);
        text.clear();
        self.write_name(name, &mut text);
        let matched = &mut self.state.matched;
        let name = matched.store(&text);
        self.state.scratch.name = text;
        let value = MatchedValue { rule: index, variable, name, value, found };
        self.state.matched.current.push(value);
        self.state.matched.all.push(value);
        effects::run(self, rule, index);
    }

    /// Puts what the operator captured into `TX:0` to `TX:9`, and tells what it found.
    fn capture(&mut self, rule: &Rule, value: super::items::Stretch) -> super::items::Stretch {
        let captures = std::mem::take(&mut self.state.captures);
        let found = captures.first().cloned().flatten().map_or(value, |range| super::items::Stretch {
            start: value.start.saturating_add(u32::try_from(range.start).unwrap_or(u32::MAX)).min(value.end),
            end: value.start.saturating_add(u32::try_from(range.end).unwrap_or(u32::MAX)).min(value.end),
        });
        if rule.capture
            && let RuleOperator::Fixed(operator) = &rule.operator
            && let Some(fingerprint) = operator.fingerprint(self.state.matched.text(value))
        {
            self.state.tx.set_text(TxKey::Slot(0), &fingerprint);
        } else if rule.capture && !captures.is_empty() {
            let mut text = std::mem::take(&mut self.state.scratch.text);
            for number in 0..CAPTURES {
                let group = captures.get(number as usize).cloned().flatten();
                let key = TxKey::Slot(number);
                match group {
                    Some(range) => {
                        text.clear();
                        let whole = self.state.matched.text(value);
                        text.extend_from_slice(whole.get(range).unwrap_or_default());
                        self.state.tx.set_text(key, &text);
                    }
                    None => self.state.tx.set(key, TxValue::Unset),
                }
            }
            self.state.scratch.text = text;
        }
        self.state.captures = captures;
        found
    }

    fn write_name(&self, name: Name<'_>, output: &mut Vec<u8>) {
        let (variable, own): (Variable, &[u8]) = match name {
            Name::Item(target, item) => {
                (target.variable, self.state.items.text(self.state.items.get(item).name))
            }
            Name::Of(target) => (
                target.variable,
                match &target.selector {
                    Selector::Name(name) => name,
                    Selector::Slot(slot) => self.program.names.name(*slot),
                    Selector::All | Selector::Pattern(_) => &[],
                },
            ),
            Name::Tx(key) => (
                Variable::Tx,
                match key {
                    TxKey::Slot(slot) => self.program.names.name(slot),
                    TxKey::Extra(_) => self
                        .state
                        .tx
                        .extra_keys()
                        .find(|&(found, _)| found == key)
                        .map_or(&[], |(_, name)| name),
                },
            ),
            Name::Made(Variable::MatchedVars | Variable::MatchedVarsNames, name) => {
                output.extend_from_slice(name);
                return;
            }
            Name::Made(variable, name) => (variable, name),
        };
        output.extend_from_slice(variable.name().as_bytes());
        if !own.is_empty() {
            output.push(b':');
            output.extend_from_slice(own);
        }
    }

    /// What a rule that matched decides, and its record.
    fn decide(&mut self, rule: &Rule, phase: usize) {
        if let Some(severity) = rule.report.severity {
            self.state.highest_severity = self.state.highest_severity.min(severity);
        }
        if rule.report.log {
            let record = self.record(rule, phase);
            self.state.matches.push(record);
        }
        match &rule.disruption {
            Disruption::Pass => {}
            Disruption::Deny(status) => self.state.interrupt(rule.id, *status, Action::Deny),
            Disruption::Drop(status) => self.state.interrupt(rule.id, *status, Action::Drop),
            Disruption::Redirect(status, text) => {
                let location = self.expanded(text);
                self.state.interrupt(rule.id, *status, Action::Redirect(location));
            }
            Disruption::Allow(scope) => self.state.controls.allow = Some(*scope),
        }
    }

    fn expanded(&self, text: &super::program::Text) -> String {
        let mut buffer = Vec::new();
        expand::expand(self.collections, self.state, text, &mut buffer);
        String::from_utf8_lossy(&buffer).into_owned()
    }

    fn record(&self, rule: &Rule, phase: usize) -> RuleMatch {
        let matched = &self.state.matched;
        let values = matched
            .all
            .iter()
            .map(|value| report::MatchedValue {
                target: String::from_utf8_lossy(matched.text(value.name)).into_owned(),
                transformations: self
                    .program
                    .rules
                    .get(value.rule as usize)
                    .map(|rule| self.program.chains.steps(rule.chain))
                    .unwrap_or_default()
                    .iter()
                    .map(|transformation| transformation.name())
                    .collect(),
                value: matched.text(value.value).to_vec(),
                found: matched.text(value.found).to_vec(),
                sanitised: self.is_sanitised(value),
            })
            .collect();
        let optional = |text: &Option<super::program::Text>| {
            text.as_ref().map(|text| self.expanded(text)).unwrap_or_default()
        };
        RuleMatch {
            rule_id: rule.id,
            phase: u8::try_from(phase + 1).unwrap_or(5),
            message: optional(&rule.report.message),
            data: optional(&rule.report.data),
            severity: rule.report.severity,
            tags: rule.report.tags.iter().map(|tag| self.expanded(tag)).collect(),
            version: rule.report.version.as_deref().map(str::to_owned),
            revision: rule.report.revision.as_deref().map(str::to_owned),
            maturity: rule.report.maturity,
            accuracy: rule.report.accuracy,
            values,
            audit: rule.report.audit && self.state.controls.audit,
            file: String::new(),
            line: 0,
        }
        .placed(&rule.place)
    }

    fn is_sanitised(&self, value: &MatchedValue) -> bool {
        self.state.controls.sanitised.iter().any(|&(by, effect)| {
            let effect = self.program.rules.get(by as usize).and_then(|rule| rule.effects.get(effect));
            let Some(Effect::Sanitise(target)) = effect else { return false };
            let text = self.state.matched.text(value.name);
            let name = text.splitn(2, |&byte| byte == b':').nth(1).unwrap_or_default();
            let same = target.variable == value.variable
                || (target.variable == Variable::Args
                    && matches!(value.variable, Variable::ArgsGet | Variable::ArgsPost));
            same && target.selector.takes(name)
        })
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
    operator.matches(value, false, &mut crate::pattern::Captures::new()) != rule.negated
}

/// Whether the rule's operator holds for a value, negation included.
fn holds(rule: &Rule, value: &[u8], argument: &[u8], captures: &mut crate::pattern::Captures) -> bool {
    captures.clear();
    let holds = match &rule.operator {
        RuleOperator::Fixed(operator) => operator.matches(value, rule.capture || rule.report.log, captures),
        RuleOperator::Expanded(name, _) => compare_expanded(*name, argument, value),
        RuleOperator::NumberFixed(comparison, number) => comparison.holds(leading_number(value), *number),
        RuleOperator::Number(comparison, _) => {
            comparison.holds(leading_number(value), leading_number(argument))
        }
        RuleOperator::Always => true,
        RuleOperator::Never => false,
    };
    holds != rule.negated
}
