//! How a rule looks: `@name argument`, `!@name argument`, or a bare pattern.

use super::piece::Part;
use super::template::template;
use super::value::unknown;
use super::{Blame, Diagnostic, Located, OperatorText};
use crate::operator::OperatorName;

/// Operators of ModSecurity that are not here, with the reason.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("inspectFile", "no program is run for a request"),
    ("fuzzyHash", "there are no fuzzy hashes"),
    ("gsbLookup", "nothing is looked up over the network for a request"),
    ("rsub", "a rule does not change what it looks at"),
    ("validateDTD", "XML is not validated against a grammar"),
    ("validateSchema", "XML is not validated against a schema"),
    ("validateHash", "links are not signed"),
];

/// Why an operator never matches here, for those that do not. Rules of the Core Rule Set 3 use them, switched off unless
/// somebody configures them, so they load with a warning.
pub(super) const fn never_matches(name: OperatorName) -> Option<&'static str> {
    match name {
        OperatorName::GeoLookup => Some("there is no database of places"),
        OperatorName::Rbl => Some("nothing is looked up over the network for a request"),
        _ => None,
    }
}

/// The second argument of `SecRule`.
pub(super) fn operator(written: Part<'_>) -> Result<Located<OperatorText>, Diagnostic> {
    let text = written.text();
    let mut part = written.slice(text.len() - text.trim_start().len(), text.len());
    let negated = part.strip('!');
    if let Some(rest) = negated {
        part = rest;
        let trimmed = rest.trim();
        // `! @name` is an operator, but `! a` is the pattern with its blank.
        if trimmed.text().starts_with('@') {
            part = rest.slice(rest.text().len() - rest.text().trim_start().len(), rest.text().len());
        }
    }
    let (name, argument) = match part.strip('@') {
        Some(call) => {
            let all = call.text();
            let length = all.find(char::is_whitespace).unwrap_or(all.len());
            let rest = all.get(length..).unwrap_or_default();
            let blanks = rest.len() - rest.trim_start().len();
            (named(part.slice(0, length + 1), call.slice(0, length))?, call.slice(length + blanks, all.len()))
        }
        None => (OperatorName::Rx, part),
    };
    // What the argument means is the operator's to say, but a macro is a macro in all of those that expand it.
    if expands_macros(name) {
        template(argument)?;
    }
    let value = OperatorText { negated: negated.is_some(), name, argument: argument.text().to_owned() };
    Ok(Located { value, span: written.span() })
}

fn named(at: Part<'_>, part: Part<'_>) -> Result<OperatorName, Diagnostic> {
    let name = part.text();
    if let Some(operator) = OperatorName::named(name) {
        return Ok(operator);
    }
    if let Some((name, reason)) =
        UNSUPPORTED.iter().find(|(unsupported, _)| unsupported.eq_ignore_ascii_case(name))
    {
        return Err(at.fault(Blame::Unsupported, format!("the operator @{name} is not supported: {reason}")));
    }
    if name.is_empty() {
        return Err(at.fault(Blame::Syntax, "the name of an operator is missing after the `@`"));
    }
    Err(unknown(part, "operator", OperatorName::ALL.iter().map(|operator| operator.name())))
}

/// Whether macros in the argument of an operator are replaced.
const fn expands_macros(name: OperatorName) -> bool {
    use OperatorName as O;
    matches!(
        name,
        O::BeginsWith
            | O::Contains
            | O::ContainsWord
            | O::EndsWith
            | O::Eq
            | O::Ge
            | O::Gt
            | O::Le
            | O::Lt
            | O::Rx
            | O::RxGlobal
            | O::StrEq
            | O::StrMatch
            | O::Within
    )
}

#[cfg(test)]
mod tests {
    use super::super::piece::Piece;
    use super::*;

    fn read(text: &str) -> Result<(bool, OperatorName, String), String> {
        let mut piece = Piece::new(0, 0);
        for (at, c) in text.char_indices() {
            piece.push(c, u32::try_from(at).unwrap());
        }
        operator(piece.whole())
            .map(|operator| (operator.value.negated, operator.value.name, operator.value.argument))
            .map_err(|fault| format!("{}: {}", fault.span.start, fault.message))
    }

    #[test]
    fn forms() {
        for (text, negated, name, argument) in [
            ("@rx ^a ", false, OperatorName::Rx, "^a "),
            ("!@eq 0", true, OperatorName::Eq, "0"),
            ("! @eq  0", true, OperatorName::Eq, "0"),
            ("^a b", false, OperatorName::Rx, "^a b"),
            ("!^a", true, OperatorName::Rx, "^a"),
            ("@PMF a.data", false, OperatorName::PmFromFile, "a.data"),
            ("@detectSQLi", false, OperatorName::DetectSqli, ""),
            ("@rx %{2}", false, OperatorName::Rx, "%{2}"),
            ("", false, OperatorName::Rx, ""),
        ] {
            assert_eq!(read(text), Ok((negated, name, argument.to_owned())), "{text}");
        }
    }

    #[test]
    fn faults() {
        let fault = |text: &str| read(text).unwrap_err();
        assert_eq!(fault("@detectSQL x"), "1: unknown operator `detectSQL`; did you mean `detectSQLi`?");
        assert_eq!(fault("@ x"), "0: the name of an operator is missing after the `@`");
        assert_eq!(
            fault("!@gsblookup"),
            "1: the operator @gsbLookup is not supported: nothing is looked up over the network for a request"
        );
        assert_eq!(fault("@gt %{txy.a}"), "4: unknown variable `txy` in a macro; did you mean `TX`?");
        for (name, _) in UNSUPPORTED {
            assert!(fault(&format!("@{name} x")).contains("is not supported"));
        }
    }
}
