//! Rules that only make variables for the next link of their chain, which looks for each in a fixed list:
//!
//! ```text
//! SecRule REQUEST_HEADERS_NAMES "@rx ^.*$" "capture,t:lowercase,setvar:'tx.name_%{tx.0}=/%{tx.0}/',chain"
//!     SecRule TX:/^name_/ "@within %{tx.restricted}"
//! ```
//!
//! Such a rule matches every value, sets a variable for each, and comes to nothing for all but a few. When nothing else could see
//! these variables, whether it comes to something is a fact about each value alone, which is worked out once for names that come again.

use crate::operator::{Operator, OperatorName, compare_expanded};
use crate::pattern::Captures;
use crate::seclang::Variable;

use super::super::chains::ChainId;
use super::super::program::{
    Change, Disruption, Effect, Program, Rule, RuleOperator, Selector, Target, Text, TextPart, TxName,
};
use super::super::tx::{CAPTURES, TxKey};

/// What a rule feeds to the next link.
#[derive(Debug)]
pub(crate) struct Feed {
    /// The name of the variable is this and what was captured.
    prefix: Box<[u8]>,
    /// Its value is what was captured between these.
    around: [Box<[u8]>; 2],
    /// The next link looks for it here.
    list: Box<[u8]>,
    link: u32,
}

impl Feed {
    /// Whether the next link could match what `operator` finds in a value, or anybody else see the variable.
    pub(crate) fn counts(&self, program: &Program, operator: &Operator, value: &[u8]) -> bool {
        let mut captures = Captures::new();
        operator.matches(value, true, &mut captures);
        let found = captures.first().cloned().flatten().and_then(|range| value.get(range));
        let Some(found) = found else { return true };
        let name = [&self.prefix, &*found.to_ascii_lowercase()].concat();
        let [before, after] = &self.around;
        let text = [before, found, after].concat();
        compare_expanded(OperatorName::Within, &self.list, &text)
            || program.names.find(&name).is_some()
            || live(program).any(|(index, rule)| {
                index != self.link
                    && rule.targets.iter().any(|target| is_open_tx(target) && target.selector.takes(&name))
            })
    }
}

/// Finds such rules. The variables that rules begin with must be known by now.
pub(super) fn find(program: &mut Program) {
    let found: Vec<(usize, Feed)> = program
        .heads
        .iter()
        .filter_map(|&head| Some((head as usize, feed(program, program.rules.get(head as usize)?)?)))
        .collect();
    if found.is_empty() || live_heads(program).any(|head| sees_old_captures(program, head)) {
        return;
    }
    for (head, feed) in found {
        if let Some(rule) = program.rules.get_mut(head) {
            rule.feed = Some(Box::new(feed));
        }
    }
}

fn feed(program: &Program, rule: &Rule) -> Option<Feed> {
    let link = rule.next.filter(|_| rule.capture && !rule.negated && !rule.multi_match)?;
    let RuleOperator::Fixed(operator) = &rule.operator else { return None };
    let [Effect::SetTx(TxName::Made(name), Change::Set(value))] = &*rule.effects else { return None };
    let [TextPart::Fixed(prefix), TextPart::Slot(0)] = &*name.parts else { return None };
    let around = match &*value.parts {
        [TextPart::Slot(0)] => ["", ""],
        [TextPart::Fixed(before), TextPart::Slot(0)] => [&**before, ""],
        [TextPart::Fixed(before), TextPart::Slot(0), TextPart::Fixed(after)] => [&**before, &**after],
        _ => return None,
    };
    let list = list(program, program.rules.get(link as usize)?)?;
    let prefix = prefix.to_ascii_lowercase().into_bytes().into_boxed_slice();
    let makers =
        live(program).flat_map(|(_, rule)| &rule.effects).filter(|effect| may_make(effect, &prefix)).count();
    (operator.name() == OperatorName::Rx && makers == 1).then(|| Feed {
        prefix,
        around: around.map(|text| text.as_bytes().into()),
        list,
        link,
    })
}

/// The list in which the last link of a chain looks for variables that were made up, if it is always the same.
fn list(program: &Program, link: &Rule) -> Option<Box<[u8]>> {
    let [target] = &*link.targets else { return None };
    let RuleOperator::Expanded(OperatorName::Within, text) = &link.operator else { return None };
    let is_plain = !link.negated && !link.multi_match && link.chain == ChainId::NONE && link.next.is_none();
    if !is_plain || target.count || !is_open_tx(target) || !target.slots.is_empty() {
        return None;
    }
    let mut list = Vec::new();
    for part in &text.parts {
        match part {
            TextPart::Fixed(text) => list.extend_from_slice(text.as_bytes()),
            TextPart::Slot(slot) if !is_written(program, *slot) => {
                program.initial.write(TxKey::Slot(*slot), &mut list);
            }
            TextPart::Slot(_) | TextPart::Variable(..) => return None,
        }
    }
    Some(list.into())
}

fn is_written(program: &Program, slot: u32) -> bool {
    let name = program.names.name(slot);
    slot < CAPTURES
        || live(program).flat_map(|(_, rule)| &rule.effects).any(|effect| match effect {
            Effect::SetTx(TxName::Slot(written), _) => *written == slot,
            effect => may_make(effect, name),
        })
}

/// Whether an effect can make a variable of which the name begins with `prefix`, or is a beginning of it.
fn may_make(effect: &Effect, prefix: &[u8]) -> bool {
    let Effect::SetTx(TxName::Made(text), _) = effect else { return false };
    let Some(TextPart::Fixed(made)) = text.parts.first() else { return true };
    let made = made.to_ascii_lowercase().into_bytes();
    made.starts_with(prefix) || prefix.starts_with(&made)
}

/// All of `TX`, or what a pattern takes of it.
fn is_open_tx(target: &Target) -> bool {
    target.variable == Variable::Tx && !matches!(target.selector, Selector::Slot(_))
}

fn live_heads(program: &Program) -> impl Iterator<Item = u32> {
    program.phases.iter().flatten().copied()
}

/// Every rule that can run, links included.
fn live(program: &Program) -> impl Iterator<Item = (u32, &Rule)> {
    live_heads(program).flat_map(|head| chain(program, head))
}

fn chain(program: &Program, head: u32) -> impl Iterator<Item = (u32, &Rule)> {
    let rule = |index: u32| Some((index, program.rules.get(index as usize)?));
    std::iter::successors(rule(head), move |(_, link)| link.next.and_then(rule))
}

/// Whether a chain can see what was captured before it began. Texts of records are left out: those that speak of captures where their
/// rule makes none show whatever the last rule left, which is nothing to rely on.
fn sees_old_captures(program: &Program, head: u32) -> bool {
    let mut captured = 0_u32;
    let sees = |captured: u32, slot: u32| slot < CAPTURES && captured & (1 << slot) == 0;
    for (_, link) in chain(program, head) {
        let of_targets = link.targets.iter().filter(|target| target.variable == Variable::Tx).any(|target| {
            match target.selector {
                Selector::Slot(slot) => sees(captured, slot),
                _ => target.slots.iter().any(|&slot| sees(captured, slot)),
            }
        });
        let of_operator = match &link.operator {
            RuleOperator::Expanded(_, text) | RuleOperator::Number(_, text) => {
                slots(text).any(|slot| sees(captured, slot))
            }
            _ => false,
        };
        if of_targets || of_operator {
            return true;
        }
        captured |= captures(link);
        if link.effects.iter().flat_map(texts_of).flat_map(slots).any(|slot| sees(captured, slot)) {
            return true;
        }
    }
    chain(program, head).any(|(_, link)| match &link.disruption {
        Disruption::Redirect(_, text) => slots(text).any(|slot| sees(captured, slot)),
        _ => false,
    })
}

/// The captures that a rule sets when it matches.
fn captures(rule: &Rule) -> u32 {
    match &rule.operator {
        RuleOperator::Fixed(operator) if rule.capture && !rule.negated => match operator.name() {
            OperatorName::Rx | OperatorName::Pm | OperatorName::PmFromFile | OperatorName::DetectXss => {
                u32::MAX
            }
            OperatorName::DetectSqli => 1,
            _ => 0,
        },
        _ => 0,
    }
}

fn slots(text: &Text) -> impl Iterator<Item = u32> {
    text.parts.iter().filter_map(|part| match part {
        TextPart::Slot(slot) => Some(*slot),
        _ => None,
    })
}

fn texts_of(effect: &Effect) -> Vec<&Text> {
    match effect {
        Effect::SetTx(name, change) => {
            let made = match name {
                TxName::Made(text) => Some(text),
                TxName::Slot(_) => None,
            };
            made.into_iter().chain(text_of(change)).collect()
        }
        Effect::SetPersistent(_, name, change) => std::iter::once(name).chain(text_of(change)).collect(),
        Effect::Expire(_, name, seconds) => vec![name, seconds],
        Effect::Open(_, text) | Effect::SetEnvironment(_, text) => vec![text],
        _ => Vec::new(),
    }
}

const fn text_of(change: &Change) -> Option<&Text> {
    match change {
        Change::Set(text) | Change::Add(text) | Change::Subtract(text) => Some(text),
        Change::SetNumber(_) | Change::Unset => None,
    }
}
