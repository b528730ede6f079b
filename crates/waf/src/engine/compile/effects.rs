//! What a matching rule does: `setvar`, `ctl` and the like.

use crate::seclang::{
    Action, Change as ChangeText, Control, Located, SetVar, Target as TargetText, Variable,
};

use super::super::bits::BitSet;
use super::super::detect::Which;
use super::super::program::{Change, Effect, NamedTarget, TxName};
use super::super::tx::leading_number;
use super::Building;
use super::draft::Draft;

impl Building<'_> {
    pub(super) fn effects(&mut self, draft: &Draft) -> Vec<Effect> {
        draft
            .actions
            .iter()
            .filter_map(|action| match &action.value {
                Action::SetVar(set) => Some(self.set(set)),
                Action::ExpireVar(variable, name, seconds) => {
                    Some(Effect::Expire(*variable, self.text(name), self.text(seconds)))
                }
                Action::InitCol(variable, key) | Action::SetKey(variable, key) => {
                    Some(Effect::Open(*variable, self.text(key)))
                }
                Action::SetEnv(name, value) => {
                    Some(Effect::SetEnvironment(name.as_str().into(), self.text(value)))
                }
                Action::Control(control) => self.control(action, control),
                Action::Sanitise(target) => {
                    let located = Located { value: target.clone(), span: action.span };
                    self.named(&located).map(Effect::Sanitise)
                }
                _ => None,
            })
            .collect()
    }

    fn set(&mut self, set: &SetVar) -> Effect {
        let change = match &set.change {
            ChangeText::Set(value) => {
                let value = self.text(value);
                match value.fixed() {
                    Some(text) if leading_number(text.as_bytes()).to_string() == text => {
                        Change::SetNumber(leading_number(text.as_bytes()))
                    }
                    _ => Change::Set(value),
                }
            }
            ChangeText::Add(value) => Change::Add(self.text(value)),
            ChangeText::Subtract(value) => Change::Subtract(self.text(value)),
            ChangeText::Unset => Change::Unset,
        };
        let name = self.text(&set.name);
        if set.collection != Variable::Tx {
            return Effect::SetPersistent(set.collection, name, change);
        }
        let slot = name.fixed().map(|name| self.names.intern(name));
        Effect::SetTx(slot.map_or_else(|| TxName::Made(name), TxName::Slot), change)
    }

    fn control(&mut self, action: &Located<Action>, control: &Control) -> Option<Effect> {
        Some(match control {
            Control::RuleEngine(mode) => Effect::Engine(*mode),
            Control::RequestBodyProcessor(name) => Effect::BodyProcessor(*name),
            Control::RequestBodyAccess(on) => Effect::RequestBodyAccess(*on),
            Control::ResponseBodyAccess(on) => Effect::ResponseBodyAccess(*on),
            Control::ForceRequestBodyVariable(on) => Effect::ForceRequestBody(*on),
            Control::AuditEngine(on) => Effect::Audit(*on),
            Control::AuditLogParts(_) => return None,
            Control::RemoveById(range) => {
                Effect::Remove(self.which(|draft| range.contains(&draft.id)), Which::Ids(range.clone()))
            }
            Control::RemoveByTag(tag) => {
                Effect::Remove(self.which(|draft| draft.tags.contains(tag)), Which::Tag(tag.clone()))
            }
            Control::RemoveByMsg(message) => {
                Effect::Remove(self.which(|draft| draft.message == *message), Which::Others)
            }
            Control::RemoveTargetById(range, target) => {
                let rules = self.which(|draft| range.contains(&draft.id));
                Effect::RemoveTarget(rules, Which::Ids(range.clone()), self.taken_out(action, target)?)
            }
            Control::RemoveTargetByTag(tag, target) => {
                let rules = self.which(|draft| draft.tags.contains(tag));
                Effect::RemoveTarget(rules, Which::Tag(tag.clone()), self.taken_out(action, target)?)
            }
            Control::RemoveTargetByMsg(message, target) => {
                let rules = self.which(|draft| draft.message == *message);
                Effect::RemoveTarget(rules, Which::Others, self.taken_out(action, target)?)
            }
        })
    }

    fn taken_out(&mut self, action: &Located<Action>, target: &TargetText) -> Option<NamedTarget> {
        self.named(&Located { value: target.clone(), span: action.span })
    }

    pub(super) fn named(&mut self, target: &Located<TargetText>) -> Option<NamedTarget> {
        let variable = target.value.variable;
        let selector = self.selector(target, variable, target.value.selector.as_ref())?;
        Some(self.taken_by_name(variable, selector))
    }

    /// The rules, chain links included, of which something holds.
    fn which(&self, holds: impl Fn(&Draft) -> bool) -> BitSet {
        let mut set = BitSet::with_bound(self.drafts.rules.len());
        for (index, draft) in self.drafts.rules.iter().enumerate() {
            if holds(draft) {
                set.insert(index);
            }
        }
        set
    }
}
