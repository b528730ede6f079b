//! What a rule does for each value that it matches.

use crate::seclang::Variable;

use super::collections::Update;
use super::detect::Which;
use super::evaluate::Run;
use super::expand;
use super::items::Base;
use super::program::{Change, Effect, Rule, Text, TxName};
use super::tx::{TxKey, TxValue, leading_number};

/// Bytes kept of what a rule sets a variable to: one that gathers values would double its memory with each.
const LONGEST_VALUE: usize = 1 << 20;

/// Runs the effects of `rules[index]`.
pub(crate) fn run(run: &mut Run<'_>, rule: &Rule, index: u32) {
    for (position, effect) in rule.effects.iter().enumerate() {
        match effect {
            Effect::SetTx(name, change) => set_tx(run, name, change),
            Effect::SetPersistent(variable, name, change) => set_persistent(run, *variable, name, change),
            Effect::Expire(variable, name, seconds) => expire(run, *variable, name, seconds),
            Effect::Open(variable, key) => open(run, *variable, key),
            Effect::SetEnvironment(name, value) => {
                let value = expanded(run, value);
                run.state.environment.retain(|(known, _)| known != name);
                run.state.environment.push((name.clone(), value));
            }
            Effect::Engine(mode) => run.state.controls.engine = *mode,
            Effect::BodyProcessor(name) => {
                run.state.controls.body_processor = Some(*name);
                run.state.items.set(Base::ReqbodyProcessor, name.name().as_bytes());
            }
            Effect::RequestBodyAccess(on) => run.state.controls.request_body_access = *on,
            Effect::ResponseBodyAccess(on) => run.state.controls.response_body_access = *on,
            Effect::ForceRequestBody(on) => run.state.controls.force_request_body = *on,
            Effect::Audit(on) => run.state.controls.audit = *on,
            Effect::Remove(rules, which) => {
                let controls = &mut run.state.controls;
                for (word, more) in controls.removed.words_mut().iter_mut().zip(rules.words()) {
                    *word |= more;
                }
                controls.any_removed = true;
                if !matches!(which, Which::Others) {
                    note(&mut run.state.controls.removed_targets, index, position);
                }
            }
            Effect::RemoveTarget(..) => note(&mut run.state.controls.removed_targets, index, position),
            Effect::Sanitise(_) => note(&mut run.state.controls.sanitised, index, position),
        }
    }
}

/// Remembers an effect once, however often its rule matches.
fn note(list: &mut Vec<(u32, usize)>, rule: u32, effect: usize) {
    if !list.contains(&(rule, effect)) {
        list.push((rule, effect));
    }
}

fn set_tx(run: &mut Run<'_>, name: &TxName, change: &Change) {
    let key = match name {
        TxName::Slot(slot) => TxKey::Slot(*slot),
        TxName::Made(text) => {
            let name = expanded(run, text).to_ascii_lowercase();
            let Some(key) = run.state.tx.key_or_new(&run.program.names, &name) else {
                return;
            };
            key
        }
    };
    match change {
        Change::SetNumber(number) => run.state.tx.set(key, TxValue::Number(*number)),
        Change::Set(text) => {
            let mut value = std::mem::take(&mut run.state.scratch.text);
            value.clear();
            expand::expand(run.collections, run.state, text, &mut value);
            value.truncate(LONGEST_VALUE);
            run.state.tx.set_text(key, &value);
            run.state.scratch.text = value;
        }
        Change::Add(text) => add_tx(run, key, text, 1),
        Change::Subtract(text) => add_tx(run, key, text, -1),
        Change::Unset => run.state.tx.set(key, TxValue::Unset),
    }
}

fn add_tx(run: &mut Run<'_>, key: TxKey, text: &Text, sign: i64) {
    let amount = expand::number(run.collections, run.state, text).saturating_mul(sign);
    let sum = run.state.tx.number(key).saturating_add(amount);
    run.state.tx.set(key, TxValue::Number(sum));
}

fn set_persistent(run: &mut Run<'_>, variable: Variable, name: &Text, change: &Change) {
    let name = lossy(expanded(run, name));
    let value;
    let update = match change {
        Change::SetNumber(number) => {
            value = number.to_string().into_bytes();
            Update::Set(&value)
        }
        Change::Set(text) => {
            value = expanded(run, text);
            Update::Set(&value)
        }
        Change::Add(text) => Update::Add(expand::number(run.collections, run.state, text)),
        Change::Subtract(text) => {
            Update::Add(expand::number(run.collections, run.state, text).saturating_neg())
        }
        Change::Unset => Update::Unset,
    };
    if let Some(key) = run.state.key_of(variable) {
        run.collections.update(variable, key, &name, &update, run.state.now);
    }
}

fn expire(run: &mut Run<'_>, variable: Variable, name: &Text, seconds: &Text) {
    let name = lossy(expanded(run, name));
    let seconds = u64::try_from(leading_number(&expanded(run, seconds))).unwrap_or(0);
    if let Some(key) = run.state.key_of(variable) {
        run.collections.update(variable, key, &name, &Update::Expire(seconds), run.state.now);
    }
}

fn open(run: &mut Run<'_>, variable: Variable, key: &Text) {
    let key = expanded(run, key);
    let timeout = std::time::Duration::from_secs(run.program.settings.collection_timeout);
    run.collections.open(variable, &key, timeout, run.state.now);
    run.state.opened.push((variable, key));
}

fn expanded(run: &Run<'_>, text: &Text) -> Vec<u8> {
    let mut buffer = Vec::new();
    expand::expand(run.collections, run.state, text, &mut buffer);
    buffer
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
