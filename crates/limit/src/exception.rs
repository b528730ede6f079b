//! For whom, and when, another rate of a limit holds.

use portcullis_core::{PrincipalKind, Timestamp};
use serde_json::Value;

use crate::key::Subject;
use crate::raw::RawOverride;

impl RawOverride {
    /// Whether a condition is about who asks.
    pub(crate) fn is_of_callers(&self) -> bool {
        !(self.claims.is_empty() && self.roles.is_empty() && self.principals.is_empty())
    }

    /// Whether there is any condition.
    pub(crate) fn has_conditions(&self) -> bool {
        self.is_of_callers() || !self.routes.is_empty() || !self.addresses.is_empty() || self.hours.is_some()
    }

    /// Whether this holds for a request.
    pub(crate) fn holds(&self, subject: &Subject<'_>, now: Timestamp) -> bool {
        let Self { claims, roles, principals, routes, addresses, hours, .. } = self;
        let known = subject.principal.filter(|principal| principal.kind != PrincipalKind::Anonymous);
        let of_caller = || {
            let Some(principal) = known else { return false };
            claims.iter().all(|(name, values)| {
                principal.claims.get(name.as_str()).is_some_and(|claim| fits(claim, values))
            }) && (roles.is_empty() || roles.iter().any(|role| principal.roles.contains(role)))
                && (principals.is_empty() || principals.contains(&principal.id))
        };
        (routes.is_empty() || routes.iter().any(|route| route == subject.route))
            && (addresses.is_empty() || addresses.iter().any(|network| network.contains(&subject.address)))
            && hours.is_none_or(|hours| hours.contain(now))
            && (!self.is_of_callers() || of_caller())
    }
}

/// A text is one of the values, and so is an item of a list; numbers and truths as they are written.
fn fits(claim: &Value, values: &[String]) -> bool {
    match claim {
        Value::String(text) => values.contains(text),
        Value::Array(items) => items.iter().any(|item| !item.is_array() && fits(item, values)),
        Value::Number(number) => values.contains(&number.to_string()),
        Value::Bool(truth) => values.contains(&truth.to_string()),
        Value::Null | Value::Object(_) => false,
    }
}
