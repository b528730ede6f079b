//! The annotations of a policy: `@id`, `@audit`, `@challenge`, `@message`.
//!
//! ```cedar
//! @id("refunds-need-a-passkey")
//! @challenge("acr=phr phrh; max_age=300; scope=orders:write")
//! @message("Refunds need a recent sign-in with a passkey.")
//! forbid (principal, action == Action::"refund", resource)
//! unless { principal.claims has acr && principal.claims.acr == "phr" };
//! ```

use std::sync::Arc;

use cedar_policy::{Effect, Policy};
use portcullis_core::Challenge;
use portcullis_core::problem::nearest;

/// The longest id or message: both go into records and answers.
const LONGEST_TEXT: usize = 500;
const KNOWN: [&str; 4] = ["audit", "challenge", "id", "message"];
const CHALLENGE_KEYS: [&str; 3] = ["acr", "max_age", "scope"];

/// What the annotations of one policy say.
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    pub(crate) id: Option<Arc<str>>,
    pub(crate) audit: bool,
    pub(crate) challenge: Option<Challenge>,
    pub(crate) message: Option<Arc<str>>,
}

/// What is wrong with one annotation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Whether the policy can do without it.
    pub(crate) is_warning: bool,
    /// What is wrong.
    pub(crate) message: String,
    /// What would be right.
    pub(crate) suggestion: String,
}

impl Annotations {
    /// Reads the annotations of `policy`; what is wrong goes to `faults`.
    pub(crate) fn read(policy: &Policy, faults: &mut Vec<Fault>) -> Self {
        let mut found = Self::default();
        for (name, value) in policy.annotations() {
            let read = match name {
                "id" => text(name, value).map(|id| found.id = Some(id)),
                "message" => text(name, value).map(|message| found.message = Some(message)),
                "audit" => audit(policy, value).map(|()| found.audit = true),
                "challenge" => challenge(policy, value).map(|challenge| found.challenge = Some(challenge)),
                _ => Err(unknown(name)),
            };
            faults.extend(read.err());
        }
        if let Some(challenge) = &mut found.challenge {
            challenge.message = found.message.as_deref().map(str::to_owned);
            if is_empty(challenge) {
                faults.push(error(
                    "`@challenge` does not say what the caller lacks",
                    "write it as in `@challenge(\"acr=phr\")`, or explain it in a `@message`",
                ));
            }
        }
        found
    }
}

fn text(name: &str, value: &str) -> Result<Arc<str>, Fault> {
    if value.is_empty() || value.len() > LONGEST_TEXT || value.chars().any(char::is_control) {
        return Err(error(
            format!("`@{name}` must be a text of 1 to {LONGEST_TEXT} bytes without control characters"),
            format!("write it as in `@{name}(\"a text\")`"),
        ));
    }
    Ok(value.into())
}

fn audit(policy: &Policy, value: &str) -> Result<(), Fault> {
    if policy.effect() == Effect::Forbid {
        return Err(error("`@audit` stands on a forbid", "denials are always recorded; put it on a permit"));
    }
    if !value.is_empty() {
        return Err(error(format!("`@audit` takes no value, found `{value}`"), "write `@audit`"));
    }
    Ok(())
}

/// `key=value` pairs, separated by `;`.
fn challenge(policy: &Policy, value: &str) -> Result<Challenge, Fault> {
    if policy.effect() == Effect::Permit {
        return Err(error(
            "`@challenge` stands on a permit",
            "put it on a forbid, with what is asked for in its `unless`",
        ));
    }
    let mut challenge =
        Challenge { acr_values: Vec::new(), max_age: None, scopes: Vec::new(), message: None };
    let mut seen = Vec::new();
    for part in value.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let (key, value) = (key.trim(), value.trim());
        if seen.contains(&key) {
            return Err(error(
                format!("`@challenge` says `{key}` twice"),
                "separate several values by spaces",
            ));
        }
        seen.push(key);
        match key {
            "acr" => challenge.acr_values = tokens(key, value)?,
            "scope" => challenge.scopes = tokens(key, value)?,
            "max_age" => challenge.max_age = Some(seconds(value)?),
            _ => return Err(unknown_key(key)),
        }
    }
    Ok(challenge)
}

/// Values separated by spaces. They go into quoted strings of `WWW-Authenticate`, so they hold what a scope
/// may hold (RFC 6749 section 3.3).
fn tokens(key: &str, value: &str) -> Result<Vec<String>, Fault> {
    let is_allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    let tokens: Vec<String> = value.split(' ').filter(|token| !token.is_empty()).map(str::to_owned).collect();
    if tokens.is_empty()
        || value.len() > LONGEST_TEXT
        || !value.bytes().all(|byte| byte == b' ' || is_allowed(byte))
    {
        return Err(error(
            format!("`{value}` is not a list of `{key}` values"),
            "write visible ASCII without quotes and backslashes, separated by spaces",
        ));
    }
    Ok(tokens)
}

fn seconds(value: &str) -> Result<u64, Fault> {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|_| is_number).ok_or_else(|| {
        error(format!("`{value}` is not a `max_age`"), "write whole seconds, as in `max_age=300`")
    })
}

fn unknown(name: &str) -> Fault {
    let suggestion = nearest(name, KNOWN).map_or_else(
        || format!("known are `@{}`", KNOWN.join("`, `@")),
        |nearest| format!("did you mean `@{nearest}`?"),
    );
    Fault { is_warning: true, message: format!("the annotation `@{name}` means nothing here"), suggestion }
}

fn unknown_key(key: &str) -> Fault {
    let suggestion = nearest(key, CHALLENGE_KEYS).map_or_else(
        || {
            format!(
                "known are `{}`; a sentence for the caller goes into `@message`",
                CHALLENGE_KEYS.join("`, `")
            )
        },
        |nearest| format!("did you mean `{nearest}`?"),
    );
    error(format!("`@challenge` knows no `{key}`"), suggestion)
}

fn is_empty(challenge: &Challenge) -> bool {
    let Challenge { acr_values, max_age, scopes, message } = challenge;
    acr_values.is_empty() && max_age.is_none() && scopes.is_empty() && message.is_none()
}

fn error(message: impl Into<String>, suggestion: impl Into<String>) -> Fault {
    Fault { is_warning: false, message: message.into(), suggestion: suggestion.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(annotations: &str, effect: &str) -> (Annotations, Vec<Fault>) {
        let text = format!("{annotations} {effect}(principal, action, resource);");
        let mut faults = Vec::new();
        let found = Annotations::read(&Policy::parse(None, text).unwrap(), &mut faults);
        (found, faults)
    }

    #[test]
    fn a_challenge_names_what_is_lacking() {
        let (found, faults) = read(
            r#"@id("a") @challenge("acr=phr phrh; max_age=300;scope=orders:write") @message("Sign in again.")"#,
            "forbid",
        );
        assert_eq!(faults, []);
        assert_eq!(found.id.as_deref(), Some("a"));
        let expected = Challenge {
            acr_values: vec!["phr".to_owned(), "phrh".to_owned()],
            max_age: Some(300),
            scopes: vec!["orders:write".to_owned()],
            message: Some("Sign in again.".to_owned()),
        };
        assert_eq!(found.challenge, Some(expected));
    }

    #[test]
    fn a_message_alone_is_a_challenge_too() {
        let (found, faults) = read(r#"@challenge @message("Accept the terms first.")"#, "forbid");
        assert_eq!(faults, []);
        assert!(found.challenge.is_some_and(|challenge| challenge.message.is_some()));
    }

    #[test]
    fn faults_name_what_would_be_right() {
        for (annotations, effect, message, suggestion) in [
            ("@audti", "permit", "the annotation `@audti` means nothing here", "did you mean `@audit`?"),
            (
                "@zzz",
                "permit",
                "the annotation `@zzz` means nothing here",
                "known are `@audit`, `@challenge`, `@id`, `@message`",
            ),
            (
                "@audit",
                "forbid",
                "`@audit` stands on a forbid",
                "denials are always recorded; put it on a permit",
            ),
            ("@audit(\"x\")", "permit", "`@audit` takes no value, found `x`", "write `@audit`"),
            (
                "@challenge(\"acr=a\")",
                "permit",
                "`@challenge` stands on a permit",
                "put it on a forbid, with what is asked for in its `unless`",
            ),
            (
                "@challenge",
                "forbid",
                "`@challenge` does not say what the caller lacks",
                "write it as in `@challenge(\"acr=phr\")`, or explain it in a `@message`",
            ),
            ("@challenge(\"scopes=a\")", "forbid", "`@challenge` knows no `scopes`", "did you mean `scope`?"),
            (
                "@challenge(\"acr=a;acr=b\")",
                "forbid",
                "`@challenge` says `acr` twice",
                "separate several values by spaces",
            ),
            (
                "@challenge(\"max_age=+5\")",
                "forbid",
                "`+5` is not a `max_age`",
                "write whole seconds, as in `max_age=300`",
            ),
            (
                "@challenge(\"acr=a\\\"b\")",
                "forbid",
                "`a\"b` is not a list of `acr` values",
                "write visible ASCII without quotes and backslashes, separated by spaces",
            ),
            (
                "@id",
                "permit",
                "`@id` must be a text of 1 to 500 bytes without control characters",
                "write it as in `@id(\"a text\")`",
            ),
        ] {
            let (_, faults) = read(annotations, effect);
            assert_eq!(faults.len(), 1, "{annotations}: {faults:?}");
            assert_eq!((faults[0].message.as_str(), faults[0].suggestion.as_str()), (message, suggestion));
            assert_eq!(faults[0].is_warning, message.contains("means nothing"));
        }
    }

    proptest! {
        /// Whatever is accepted can stand in a quoted string of a header field.
        #[test]
        fn what_is_accepted_fits_into_a_header(value in "\\PC*|(acr|scope|max_age)=[ -~;]{0,20}") {
            let policy = Policy::parse(None, "forbid(principal, action, resource);").unwrap();
            if let Ok(found) = challenge(&policy, &value) {
                for token in found.acr_values.iter().chain(&found.scopes) {
                    prop_assert!(!token.is_empty());
                    prop_assert!(token.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte)));
                }
            }
        }
    }
}
