//! What follows when a value, and then a rule, matched.

use crate::seclang::Variable;

use super::super::Action;
use super::super::effects;
use super::super::expand;
use super::super::items::Stretch;
use super::super::program::{Disruption, Effect, Rule, RuleOperator, Selector, Text};
use super::super::report::{self, RuleMatch};
use super::super::state::MatchedValue;
use super::super::tx::{CAPTURES, TxKey, TxValue};
use super::{Name, Run};

impl Run<'_> {
    /// Notes a value that matched and runs what the rule does for each.
    pub(super) fn matched(&mut self, rule: &Rule, index: u32, name: Name<'_>, value: Stretch) {
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
    fn capture(&mut self, rule: &Rule, value: Stretch) -> Stretch {
        let captures = std::mem::take(&mut self.state.captures);
        let found = captures.first().cloned().flatten().map_or(value, |range| Stretch {
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
            Name::Tx(key) => (Variable::Tx, self.tx_name(key)),
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
    pub(super) fn decide(&mut self, rule: &Rule, phase: usize) {
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

    fn expanded(&self, text: &Text) -> String {
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
        let optional =
            |text: &Option<Text>| text.as_ref().map(|text| self.expanded(text)).unwrap_or_default();
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
