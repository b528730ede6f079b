//! Step-up authentication: a route asks for a stronger or more recent login than the token speaks of (RFC 9470).

use std::time::Duration;

use portcullis_core::{Challenge, KeyPath, Principal, Problems, Timestamp};
use serde_json::Value;

use crate::RawStepUp;
use crate::jwt::claims::numeric_date;

/// How people must have logged in.
#[derive(Debug)]
pub(crate) struct StepUp {
    acr: Vec<String>,
    max_age: Option<Duration>,
}

/// How far the clock of the issuer may be ahead.
const LEEWAY: Duration = Duration::from_secs(30);

impl StepUp {
    pub(crate) fn compile(raw: &RawStepUp, path: &KeyPath, problems: &mut Problems) -> Self {
        if raw.acr.is_empty() && raw.max_age.is_none() {
            problems.error(path, "nothing is asked for").suggest("write `acr` or `max_age`, or leave it out");
        }
        // RFC 9470 section 3: they stand in a list with spaces, between quotes.
        let is_plain = |text: &String| crate::plan::is_scope(text);
        for (index, value) in raw.acr.iter().enumerate().filter(|(_, value)| !is_plain(value)) {
            problems
                .error(
                    &path.key("acr").index(index),
                    format!("`{}` is not a value of `acr`", value.escape_debug()),
                )
                .suggest("write visible ASCII characters without space, quote and backslash");
        }
        if raw.max_age.is_some_and(|age| age.0.as_secs() == 0) {
            problems
                .error(&path.key("max_age"), "nobody logged in less than a second ago")
                .suggest("write a longer time, such as `15m`");
        }
        Self { acr: raw.acr.clone(), max_age: raw.max_age.map(|age| age.0) }
    }

    /// What the login of `principal` lacks, if anything. A token that does not say it, lacks it.
    pub(crate) fn missing(&self, principal: &Principal, now: Timestamp) -> Option<Challenge> {
        let acr = principal.claims.get("acr").and_then(Value::as_str);
        let is_strong =
            self.acr.is_empty() || acr.is_some_and(|acr| self.acr.iter().any(|known| known == acr));
        let moment = principal.claims.get("auth_time").and_then(numeric_date);
        let is_recent = self.max_age.is_none_or(|age| {
            moment.is_some_and(|moment| moment <= now.plus(LEEWAY) && now.since(moment) <= age)
        });
        (!is_strong || !is_recent).then(|| Challenge {
            acr_values: self.acr.clone(),
            max_age: self.max_age.map(|age| age.as_secs()),
            scopes: Vec::new(),
            message: None,
        })
    }
}
