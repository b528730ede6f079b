//! What a token must say, and the principal that it then speaks of.

use std::time::Duration;

use portcullis_core::{Principal, PrincipalKind, Timestamp};
use serde_json::{Map, Value};

use crate::fault::Fault;

type Claims = Map<String, Value>;

/// What is asked of the claims of one issuer.
#[derive(Debug)]
pub(crate) struct ClaimRules {
    pub(crate) issuer: String,
    pub(crate) audiences: Vec<String>,
    pub(crate) leeway: Duration,
    pub(crate) required: Vec<ClaimPath>,
    pub(crate) roles: ClaimPath,
}

impl ClaimRules {
    /// The principal of a token whose signature was verified.
    pub(crate) fn principal(&self, claims: Claims, method: &str, now: Timestamp) -> Result<Principal, Fault> {
        is_from(&claims, &self.issuer)?;
        is_for(&claims, &self.audiences)?;
        let subject = subject(&claims)?;
        if self.required.iter().any(|path| path.find(&claims).is_none_or(Value::is_null)) {
            return Err(Fault::token("required_claim"));
        }
        let end = check_times(&claims, self.leeway, now)?;

        let mut principal = Principal::new(PrincipalKind::User, subject, method);
        principal.issuer = Some(self.issuer.clone());
        principal.roles = self.roles.find(&claims).map(names).unwrap_or_default();
        principal.scopes = scopes(&claims);
        principal.expires = Some(end);
        principal.leeway = self.leeway;
        principal.claims = claims;
        Ok(principal)
    }
}

/// Whether the token is `issuer`'s.
pub(crate) fn is_from(claims: &Claims, issuer: &str) -> Result<(), Fault> {
    let is_theirs = claims.get("iss").and_then(Value::as_str) == Some(issuer);
    is_theirs.then_some(()).ok_or(Fault::token("issuer"))
}

/// Whether the token is for one of `audiences`. RFC 7519 section 4.1.3: a string, or a list of strings.
pub(crate) fn is_for(claims: &Claims, audiences: &[String]) -> Result<(), Fault> {
    let is_ours = |name: &str| audiences.iter().any(|ours| ours == name);
    let is_for_us = match claims.get("aud") {
        Some(Value::String(name)) => is_ours(name),
        Some(Value::Array(names)) => {
            names.iter().all(Value::is_string) && names.iter().filter_map(Value::as_str).any(is_ours)
        }
        _ => false,
    };
    is_for_us.then_some(()).ok_or(Fault::token("audience"))
}

/// Whom the token speaks of.
pub(crate) fn subject(claims: &Claims) -> Result<&str, Fault> {
    let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
    if subject.is_empty() { Err(Fault::token("subject")) } else { Ok(subject) }
}

/// The moment from which the token is refused: `exp` with the leeway. RFC 7519 section 4.1.4 asks that
/// `exp` itself be no longer within.
pub(crate) fn check_times(claims: &Claims, leeway: Duration, now: Timestamp) -> Result<Timestamp, Fault> {
    let latest = now.plus(leeway);
    for (name, fault) in [("nbf", Fault::token("not_before")), ("iat", Fault::token("issued_in_future"))] {
        if let Some(value) = claims.get(name)
            && numeric_date(value).ok_or(Fault::token("malformed_time"))? > latest
        {
            return Err(fault);
        }
    }
    let expires = claims.get("exp").ok_or(Fault::token("no_expiry"))?;
    let end = numeric_date(expires).ok_or(Fault::token("malformed_time"))?.plus(leeway);
    if now >= end { Err(Fault::EXPIRED) } else { Ok(end) }
}

/// A claim by its name, or by a path of names with dots between them.
#[derive(Debug, Clone)]
pub(crate) struct ClaimPath(String);

impl ClaimPath {
    pub(crate) fn new(path: &str) -> Self {
        Self(path.to_owned())
    }

    /// A claim of that very name comes first: names that are URLs have dots in them.
    pub(crate) fn find<'c>(&self, claims: &'c Claims) -> Option<&'c Value> {
        claims.get(&self.0).or_else(|| {
            let (first, rest) = self.0.split_once('.')?;
            rest.split('.').try_fold(claims.get(first)?, |value, name| value.get(name))
        })
    }
}

/// RFC 8693 section 4.2 has `scope` as one string; some issuers write `scp`, some of them as a list.
pub(crate) fn scopes(claims: &Claims) -> Vec<String> {
    match claims.get("scope").or_else(|| claims.get("scp")) {
        Some(Value::String(scopes)) => scopes.split_ascii_whitespace().map(str::to_owned).collect(),
        Some(list) => names(list),
        None => Vec::new(),
    }
}

/// A name, or a list of them; what is not a string gives no rights.
pub(crate) fn names(value: &Value) -> Vec<String> {
    match value {
        Value::String(name) => vec![name.clone()],
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// RFC 7519 section 2: seconds since the epoch, with or without a fraction. Nothing before the epoch.
pub(crate) fn numeric_date(value: &Value) -> Option<Timestamp> {
    if let Some(seconds) = value.as_u64() {
        return Some(Timestamp::from_secs(seconds));
    }
    let seconds = value.as_f64().filter(|seconds| *seconds >= 0.0)?;
    // A cast from a float saturates, so what is beyond the year 2554 is the end of that year.
    Some(Timestamp((seconds * 1e9) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Claims {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_path_finds_exact_names_first() {
        let claims = object(json!({
            "https://example.com/roles": ["a"],
            "realm_access": { "roles": ["b"], "deep": { "er": ["c"] } },
            "flat.name": ["d"], "flat": { "name": ["e"] },
        }));
        for (path, expected) in [
            ("https://example.com/roles", "a"),
            ("realm_access.roles", "b"),
            ("realm_access.deep.er", "c"),
            ("flat.name", "d"),
        ] {
            assert_eq!(ClaimPath::new(path).find(&claims), Some(&json!([expected])), "{path}");
        }
        for path in ["", ".", "realm_access.", "realm_access.roles.0", "nothing", "nothing.at.all"] {
            assert_eq!(ClaimPath::new(path).find(&claims), None, "{path}");
        }
    }

    #[test]
    fn scopes_are_read_in_the_forms_that_issuers_use() {
        for (claims, expected) in [
            (json!({ "scope": "read  write" }), vec!["read", "write"]),
            (json!({ "scp": ["read", "write"] }), vec!["read", "write"]),
            (json!({ "scp": "read write" }), vec!["read", "write"]),
            (json!({ "scope": ["read", 7, "write"] }), vec!["read", "write"]),
            (json!({ "scope": "read", "scp": "write" }), vec!["read"]),
            (json!({ "scope": 7 }), vec![]),
            (json!({}), vec![]),
        ] {
            assert_eq!(scopes(&object(claims.clone())), expected, "{claims}");
        }
    }

    #[test]
    fn dates_are_numbers_of_seconds() {
        for (value, expected) in [
            (json!(1_800_000_000), Some(Timestamp::from_secs(1_800_000_000))),
            (json!(1.5), Some(Timestamp(1_500_000_000))),
            (json!(0), Some(Timestamp(0))),
            (json!(u64::MAX), Some(Timestamp(u64::MAX))),
            (json!(1e300), Some(Timestamp(u64::MAX))),
            (json!(-1), None),
            (json!(-0.5), None),
            (json!("1800000000"), None),
            (json!(null), None),
            (json!([1]), None),
        ] {
            assert_eq!(numeric_date(&value), expected, "{value}");
        }
    }
}
