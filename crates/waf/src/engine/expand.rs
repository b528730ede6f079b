//! Macros: the value of a variable where text mentions it.

use crate::seclang::Variable;

use super::clock::write_time;
use super::collections::Collections;
use super::items::bases_of;
use super::program::{Text, TextPart};
use super::state::State;
use super::tx::{TxKey, leading_number, write_number};

/// Appends `text` with its macros replaced. A variable that does not exist leaves nothing.
pub(crate) fn expand(collections: &Collections, state: &State, text: &Text, output: &mut Vec<u8>) {
    for part in &text.parts {
        match part {
            TextPart::Fixed(text) => output.extend_from_slice(text.as_bytes()),
            TextPart::Slot(slot) => state.tx.write(TxKey::Slot(*slot), output),
            TextPart::Variable(variable, name) => {
                write_variable(collections, state, *variable, name.as_deref(), output);
            }
        }
    }
}

/// The number that `text` stands for.
pub(crate) fn number(collections: &Collections, state: &State, text: &Text) -> i64 {
    match &*text.parts {
        [TextPart::Fixed(text)] => leading_number(text.as_bytes()),
        [TextPart::Slot(slot)] => state.tx.number(TxKey::Slot(*slot)),
        _ => {
            let mut buffer = Vec::new();
            expand(collections, state, text, &mut buffer);
            leading_number(&buffer)
        }
    }
}

fn write_variable(
    collections: &Collections,
    state: &State,
    variable: Variable,
    name: Option<&str>,
    output: &mut Vec<u8>,
) {
    let bases = bases_of(variable);
    if bases.is_empty() {
        write_made(collections, state, variable, name, output);
        return;
    }
    for &base in bases {
        let (start, end) = state.items.range(base);
        for index in start..end {
            let item = state.items.get(index);
            let wanted =
                name.is_none_or(|name| state.items.text(item.name).eq_ignore_ascii_case(name.as_bytes()));
            if wanted {
                output.extend_from_slice(state.items.text(item.value));
                return;
            }
        }
    }
}

/// The variables that are made on demand.
pub(crate) fn write_made(
    collections: &Collections,
    state: &State,
    variable: Variable,
    name: Option<&str>,
    output: &mut Vec<u8>,
) {
    match variable {
        Variable::MatchedVar => {
            if let Some(last) = state.matched.last() {
                output.extend_from_slice(state.matched.text(last.value));
            }
        }
        Variable::MatchedVarName => {
            if let Some(last) = state.matched.last() {
                output.extend_from_slice(state.matched.text(last.name));
            }
        }
        Variable::HighestSeverity => write_number(i64::from(state.highest_severity), output),
        Variable::ModsecBuild => output.extend_from_slice(b"030000100"),
        Variable::Env => {
            let value = state
                .environment
                .iter()
                .rev()
                .find(|(key, _)| name.is_some_and(|name| key.eq_ignore_ascii_case(name)));
            if let Some((_, value)) = value {
                output.extend_from_slice(value);
            }
        }
        Variable::Ip | Variable::Global | Variable::Session | Variable::User | Variable::Resource => {
            if let (Some(key), Some(name)) = (state.key_of(variable), name) {
                collections.write(variable, key, name, state.now, output);
            }
        }
        Variable::SessionId => output.extend_from_slice(state.key_of(Variable::Session).unwrap_or_default()),
        Variable::UserId => output.extend_from_slice(state.key_of(Variable::User).unwrap_or_default()),
        _ => write_time(variable, state.now, output),
    }
}

impl State {
    /// The key under which a persistent collection was opened.
    pub(crate) fn key_of(&self, variable: Variable) -> Option<&[u8]> {
        self.opened.iter().rev().find(|(opened, _)| *opened == variable).map(|(_, key)| key.as_slice())
    }
}
