//! The third argument of a rule: `id:1,phase:2,t:none,msg:'...'`.

use super::control::control;
use super::diagnostic::suggestion;
use super::piece::{Part, Piece};
use super::template::template;
use super::value::{choice, id, number, unknown};
use super::variable::{expire_var, init_col, key, set_env, set_var};
use super::{Action, AllowScope, Blame, Diagnostic, Located, Selector, Target, Variable};
use crate::transform::Transformation;

/// Every action, for suggestions.
const NAMES: &[&str] = &[
    "accuracy",
    "allow",
    "auditlog",
    "block",
    "capture",
    "chain",
    "ctl",
    "deny",
    "drop",
    "expirevar",
    "id",
    "initcol",
    "log",
    "logdata",
    "maturity",
    "msg",
    "multiMatch",
    "noauditlog",
    "nolog",
    "pass",
    "phase",
    "redirect",
    "rev",
    "sanitiseArg",
    "sanitiseMatched",
    "sanitiseMatchedBytes",
    "sanitiseRequestHeader",
    "sanitiseResponseHeader",
    "setenv",
    "setrsc",
    "setsid",
    "setuid",
    "setvar",
    "severity",
    "skip",
    "skipAfter",
    "status",
    "t",
    "tag",
    "ver",
    "xmlns",
];

const UNSUPPORTED: [(&str, &str); 6] = [
    ("exec", "no program is run for a request"),
    ("proxy", "where a request goes is the route's to say"),
    ("pause", "a request that waits costs the gateway more than its sender"),
    ("append", "responses are not changed by rules"),
    ("prepend", "responses are not changed by rules"),
    ("deprecatevar", "use expirevar"),
];

const PHASES: [(&str, u8); 8] =
    [("1", 1), ("2", 2), ("3", 3), ("4", 4), ("5", 5), ("request", 2), ("response", 4), ("logging", 5)];

const SEVERITIES: [(&str, u8); 16] = [
    ("EMERGENCY", 0),
    ("ALERT", 1),
    ("CRITICAL", 2),
    ("ERROR", 3),
    ("WARNING", 4),
    ("NOTICE", 5),
    ("INFO", 6),
    ("DEBUG", 7),
    ("0", 0),
    ("1", 1),
    ("2", 2),
    ("3", 3),
    ("4", 4),
    ("5", 5),
    ("6", 6),
    ("7", 7),
];

/// The actions of a rule, in order; what is wrong with the others goes to `faults`.
pub(super) fn actions(list: Part<'_>, faults: &mut Vec<Diagnostic>) -> Vec<Located<Action>> {
    let mut found = Vec::new();
    let mut rest = list;
    while let Some(first) = rest.characters().find(|(_, c, _)| !c.is_whitespace() && *c != ',') {
        rest = rest.slice(first.0, rest.text().len());
        let entry = match Entry::read(rest) {
            Ok(entry) => entry,
            Err((fault, length)) => {
                faults.push(fault);
                rest = rest.slice(length, rest.text().len());
                continue;
            }
        };
        match action(&entry) {
            Ok(action) => found.push(Located { value: action, span: entry.whole.span() }),
            Err(fault) => faults.push(fault),
        }
        rest = rest.slice(entry.length, rest.text().len());
    }
    found
}

/// One action as written.
struct Entry<'a> {
    whole: Part<'a>,
    name: Part<'a>,
    value: Option<Piece>,
    /// How much of the list it takes.
    length: usize,
}

impl<'a> Entry<'a> {
    /// Reads the action that `list` begins with, or tells the fault and how much of the list to skip.
    fn read(list: Part<'a>) -> Result<Self, (Diagnostic, usize)> {
        let text = list.text();
        let name_length = text.find([':', ',']).unwrap_or(text.len());
        let name = list.slice(0, name_length).trim();
        if let Some((first, second)) = name.split_once(char::is_whitespace) {
            return Err((missing_comma(first, second.trim()), name_length));
        }
        let Some(after) = text.get(name_length..).and_then(|rest| rest.strip_prefix(':')) else {
            return Ok(Self { whole: name, name, value: None, length: name_length });
        };
        let value = list.slice(text.len() - after.trim_start().len(), text.len());
        if value.text().starts_with('\'') {
            Self::quoted(list, name, value)
        } else {
            Self::bare(list, name, value)
        }
    }

    fn quoted(list: Part<'a>, name: Part<'a>, value: Part<'a>) -> Result<Self, (Diagnostic, usize)> {
        let all = list.text().len();
        let before = all - value.text().len();
        let Some(inner) = quoted_length(value.text()) else {
            let message = format!("the value of `{}` is not closed by a '", name.text());
            return Err((value.slice(0, 1).fault(Blame::Syntax, message), all));
        };
        let length = before + inner + 2;
        let whole = list.slice(0, length);
        let behind = list.slice(length, all);
        let next = behind.text().trim_start();
        if !next.is_empty() && !next.starts_with(',') {
            let place = behind.slice(behind.text().len() - next.len(), behind.text().len());
            let message = format!(
                "a comma is missing after the value of `{}`; inside the value a ' is written \\'",
                name.text()
            );
            let skipped = behind.text().find(',').unwrap_or(behind.text().len());
            return Err((place.slice(0, 1).fault(Blame::Syntax, message), length + skipped));
        }
        let value = value.slice(1, inner + 1).unescape(&['\'', '\\']);
        Ok(Self { whole, name, value: Some(value), length })
    }

    fn bare(list: Part<'a>, name: Part<'a>, value: Part<'a>) -> Result<Self, (Diagnostic, usize)> {
        let before = list.text().len() - value.text().len();
        let length = bare_length(value.text(), name.text().eq_ignore_ascii_case("ctl"));
        let value = value.slice(0, length).trim();
        let inside_quotes = value.text().contains(":'");
        if let Some((first, second)) = value.split_once(char::is_whitespace).filter(|_| !inside_quotes) {
            return Err((missing_comma(first, second.trim()), before + length));
        }
        let whole = list.slice(0, before + value.text().len());
        Ok(Self { whole, name, value: Some(value.unescape(&[])), length: before + length })
    }

    fn value(&self) -> Result<Part<'_>, Diagnostic> {
        match &self.value {
            Some(value) if !value.text().is_empty() => Ok(value.whole()),
            _ => Err(self
                .whole
                .fault(Blame::Syntax, format!("the action `{0}` needs a value: {0}:...", self.name.text()))),
        }
    }

    fn text(&self) -> Result<String, Diagnostic> {
        self.value().map(|value| value.text().to_owned())
    }

    fn alone(&self, action: Action) -> Result<Action, Diagnostic> {
        match self.value {
            Some(_) => Err(self
                .whole
                .fault(Blame::Syntax, format!("the action `{}` takes no value", self.name.text()))),
            None => Ok(action),
        }
    }
}

fn missing_comma(first: Part<'_>, second: Part<'_>) -> Diagnostic {
    let (first, then) = (first.text(), second.text());
    let message = format!(
        "a comma is missing between `{first}` and `{then}`; a value with blanks is written in quotes: '...'"
    );
    second.fault(Blame::Syntax, message)
}

/// The length of what stands between the quote that a text begins with and the one that closes it.
fn quoted_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == '\'' && !escaped {
            return Some(at - 1);
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

/// The length of a value without quotes: to the next comma, but a `ctl` may name a target in quotes.
fn bare_length(text: &str, names_target: bool) -> usize {
    let comma = |start: usize| {
        start + text.get(start..).and_then(|rest| rest.find(',')).unwrap_or(text.len() - start)
    };
    let end = comma(0);
    let quote = text.find(":'").filter(|quote| names_target && *quote < end);
    let inner = quote.and_then(|quote| Some((quote, quoted_length(text.get(quote + 1..)?)?)));
    inner.map_or(end, |(quote, inner)| comma(quote + inner + 3))
}

fn action(entry: &Entry<'_>) -> Result<Action, Diagnostic> {
    let name = entry.name.text().to_ascii_lowercase();
    match name.as_str() {
        "id" => id(entry.value()?).map(Action::Id),
        "phase" => choice(entry.value()?, "the phase", &PHASES).map(Action::Phase),
        "t" => transformation(entry.value()?),
        "chain" => entry.alone(Action::Chain),
        "block" => entry.alone(Action::Block),
        "deny" => entry.alone(Action::Deny),
        "drop" => entry.alone(Action::Drop),
        "pass" => entry.alone(Action::Pass),
        "allow" if entry.value.is_none() => Ok(Action::Allow(AllowScope::All)),
        "allow" => {
            let scopes = [("phase", AllowScope::Phase), ("request", AllowScope::Request)];
            choice(entry.value()?, "how far `allow` goes", &scopes).map(Action::Allow)
        }
        "redirect" => template(entry.value()?).map(Action::Redirect),
        "status" => number(entry.value()?, "the status", 100..=599).map(Action::Status),
        "capture" => entry.alone(Action::Capture),
        "multimatch" => entry.alone(Action::MultiMatch),
        "log" => entry.alone(Action::Log),
        "nolog" => entry.alone(Action::NoLog),
        "auditlog" => entry.alone(Action::AuditLog),
        "noauditlog" => entry.alone(Action::NoAuditLog),
        "skip" => number(entry.value()?, "how many rules are skipped", 1..=u32::MAX).map(Action::Skip),
        "skipafter" => entry.text().map(Action::SkipAfter),
        "setvar" => set_var(entry.value()?),
        "expirevar" => expire_var(entry.value()?),
        "initcol" => init_col(entry.value()?),
        "setenv" => set_env(entry.value()?),
        "setuid" => Ok(Action::SetKey(Variable::User, key(entry.value()?)?)),
        "setsid" => Ok(Action::SetKey(Variable::Session, key(entry.value()?)?)),
        "setrsc" => Ok(Action::SetKey(Variable::Resource, key(entry.value()?)?)),
        "ctl" => control(entry.value()?).map(Action::Control),
        "xmlns" => xml_namespace(entry.value()?),
        _ => metadata(entry, &name),
    }
}

/// Actions that describe a rule or what is recorded of it.
fn metadata(entry: &Entry<'_>, name: &str) -> Result<Action, Diagnostic> {
    match name {
        "msg" => template(entry.value()?).map(Action::Message),
        "logdata" => template(entry.value()?).map(Action::LogData),
        "tag" => template(entry.value()?).map(Action::Tag),
        "severity" => choice(entry.value()?, "the severity", &SEVERITIES).map(Action::Severity),
        "ver" => entry.text().map(Action::Version),
        "rev" => entry.text().map(Action::Revision),
        "maturity" => number(entry.value()?, "the maturity", 0..=9).map(Action::Maturity),
        "accuracy" => number(entry.value()?, "the accuracy", 0..=9).map(Action::Accuracy),
        "sanitisearg" | "sanitizearg" => sanitise(Variable::Args, Some(entry.text()?)),
        "sanitiserequestheader" | "sanitizerequestheader" => {
            sanitise(Variable::RequestHeaders, Some(entry.text()?))
        }
        "sanitiseresponseheader" | "sanitizeresponseheader" => {
            sanitise(Variable::ResponseHeaders, Some(entry.text()?))
        }
        "sanitisematched" | "sanitizematched" | "sanitisematchedbytes" | "sanitizematchedbytes" => {
            sanitise(Variable::MatchedVar, None)
        }
        _ => Err(refused(entry.name)),
    }
}

fn refused(name: Part<'_>) -> Diagnostic {
    match UNSUPPORTED.iter().find(|(unsupported, _)| unsupported.eq_ignore_ascii_case(name.text())) {
        Some((action, reason)) => {
            name.fault(Blame::Unsupported, format!("the action `{action}` is not supported: {reason}"))
        }
        None if name.text().is_empty() => {
            name.fault(Blame::Syntax, "the name of an action is missing before the `:`")
        }
        None => unknown(name, "action", NAMES.iter().copied()),
    }
}

fn transformation(part: Part<'_>) -> Result<Action, Diagnostic> {
    if part.text().eq_ignore_ascii_case("none") {
        return Ok(Action::NoTransformation);
    }
    Transformation::named(part.text()).map(Action::Transformation).ok_or_else(|| {
        let names = Transformation::ALL.iter().map(|transformation| transformation.name()).chain(["none"]);
        let hint = suggestion(part.text(), names);
        part.fault(Blame::Name, format!("unknown transformation `{}`{hint}", part.text()))
    })
}

fn xml_namespace(part: Part<'_>) -> Result<Action, Diagnostic> {
    let parts =
        part.split_once(|c| c == '=').map(|(prefix, name)| (prefix.trim().text(), name.trim().text()));
    match parts {
        Some((prefix, name)) if !prefix.is_empty() && !name.trim_matches('\'').is_empty() => {
            Ok(Action::XmlNamespace(prefix.to_owned(), name.trim_matches('\'').to_owned()))
        }
        _ => Err(part.fault(Blame::Syntax, "a prefix and its namespace belong here: xmlns:soap=http://...")),
    }
}

fn sanitise(variable: Variable, name: Option<String>) -> Result<Action, Diagnostic> {
    let selector = name.map(Selector::Name);
    Ok(Action::Sanitise(Target { variable, selector, count: false, exclude: false }))
}
