//! Actions that change collections: `setvar`, `expirevar`, `initcol`, and those that open one by a key.

use super::piece::Part;
use super::template::template;
use super::value::choice;
use super::{Action, Blame, Change, Diagnostic, SetVar, Template, Variable};

/// Collections that outlive a transaction.
const PERSISTENT: [(&str, Variable); 5] = [
    ("IP", Variable::Ip),
    ("GLOBAL", Variable::Global),
    ("SESSION", Variable::Session),
    ("USER", Variable::User),
    ("RESOURCE", Variable::Resource),
];

const CHANGEABLE: [(&str, Variable); 6] = [
    ("TX", Variable::Tx),
    ("IP", Variable::Ip),
    ("GLOBAL", Variable::Global),
    ("SESSION", Variable::Session),
    ("USER", Variable::User),
    ("RESOURCE", Variable::Resource),
];

/// `setvar:`.
pub(super) fn set_var(part: Part<'_>) -> Result<Action, Diagnostic> {
    if let Some(rest) = part.strip('!') {
        let (collection, name) = variable(rest.trim(), "the collection of a setvar", &CHANGEABLE)?;
        return Ok(Action::SetVar(SetVar { collection, name, change: Change::Unset }));
    }
    let (left, right) = match part.split_once(|c| c == '=') {
        Some((left, right)) => (left.trim(), Some(right)),
        None => (part, None),
    };
    let (collection, name) = variable(left, "the collection of a setvar", &CHANGEABLE)?;
    let change = match right {
        None => Change::Set(Template::parse("1").unwrap_or_default()),
        Some(value) => match (value.strip('+'), value.strip('-')) {
            (Some(value), _) => Change::Add(amount(value)?),
            (_, Some(value)) => Change::Subtract(amount(value)?),
            _ => Change::Set(template(value)?),
        },
    };
    Ok(Action::SetVar(SetVar { collection, name, change }))
}

/// What is added or subtracted: a number, or macros that give one.
fn amount(part: Part<'_>) -> Result<Template, Diagnostic> {
    let amount = template(part.trim())?;
    match amount.as_text() {
        Some(text) if text.parse::<i64>().is_err() => {
            Err(part.fault(Blame::Value, format!("only a number can be added or subtracted, not `{text}`")))
        }
        _ => Ok(amount),
    }
}

/// `expirevar:`.
pub(super) fn expire_var(part: Part<'_>) -> Result<Action, Diagnostic> {
    let Some((left, seconds)) = part.split_once(|c| c == '=') else {
        return Err(part.fault(Blame::Syntax, "expirevar says after how many seconds: expirevar:ip.name=60"));
    };
    let (collection, name) = variable(left.trim(), "the collection of an expirevar", &PERSISTENT)?;
    let seconds = seconds.trim();
    let after = template(seconds)?;
    if let Some(text) = after.as_text().filter(|text| text.parse::<u32>().is_err()) {
        return Err(
            seconds.fault(Blame::Value, format!("the time to expiry is a number of seconds, not `{text}`"))
        );
    }
    Ok(Action::ExpireVar(collection, name, after))
}

/// `initcol:`.
pub(super) fn init_col(part: Part<'_>) -> Result<Action, Diagnostic> {
    let Some((collection, key)) = part.split_once(|c| c == '=') else {
        return Err(part.fault(Blame::Syntax, "initcol says by which key: initcol:ip=%{REMOTE_ADDR}"));
    };
    let collection = choice(collection.trim(), "the collection of an initcol", &PERSISTENT)?;
    Ok(Action::InitCol(collection, self::key(key)?))
}

/// The key of a collection.
pub(super) fn key(part: Part<'_>) -> Result<Template, Diagnostic> {
    if part.text().trim().is_empty() {
        return Err(part.fault(Blame::Syntax, "the key of the collection is missing"));
    }
    template(part)
}

/// `setenv:`.
pub(super) fn set_env(part: Part<'_>) -> Result<Action, Diagnostic> {
    let (name, value) = match part.split_once(|c| c == '=') {
        Some((name, value)) => (name.trim(), template(value)?),
        None => (part.trim(), Template::parse("1").unwrap_or_default()),
    };
    if name.text().is_empty() {
        return Err(part.fault(Blame::Syntax, "setenv names no variable: setenv:name=value"));
    }
    Ok(Action::SetEnv(name.text().to_owned(), value))
}

/// `collection.name`.
fn variable(
    part: Part<'_>,
    what: &str,
    collections: &[(&str, Variable)],
) -> Result<(Variable, Template), Diagnostic> {
    let Some((collection, name)) = part.split_once(|c| c == '.' || c == ':') else {
        return Err(part.fault(Blame::Syntax, "a collection and a name belong here: tx.name"));
    };
    let collection = choice(collection, what, collections)?;
    if name.text().is_empty() {
        return Err(part.fault(Blame::Syntax, "the name of the variable is missing"));
    }
    Ok((collection, template(name)?))
}
