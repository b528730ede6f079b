//! Values that are made on demand: variables of `TX`, of persistent collections, and what the link before matched.

use crate::seclang::Variable;

use super::super::chains::ChainId;
use super::super::expand::write_made;
use super::super::program::{Rule, Selector, Target};
use super::super::tx::{TxKey, TxValue};
use super::{Name, Run};

impl Run<'_> {
    pub(super) fn count(&self, target: &Target) -> i64 {
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
    pub(super) fn made(&mut self, rule: &Rule, index: u32, target: &Target) -> bool {
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
        let may_be_excluded = !rule.exclusions.is_empty() || !self.state.controls.removed_targets.is_empty();
        if may_be_excluded && self.is_excluded(rule, index, Variable::Tx, self.tx_name(key)) {
            return false;
        }
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

    pub(super) fn tx_name(&self, key: TxKey) -> &[u8] {
        match key {
            TxKey::Slot(slot) => self.program.names.name(slot),
            TxKey::Extra(_) => {
                self.state.tx.extra_keys().find(|&(found, _)| found == key).map_or(&[], |(_, name)| name)
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
}
