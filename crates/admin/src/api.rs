//! The admin API: what operators look at and change while the gateway runs, under `/v1`.
//!
//! Each request shows the token of an operator, whoever can reach the listener. What is changed goes into the database, to where
//! every gateway sees it, and from there on the record.

mod keys;
mod problem;
mod quotas;
mod revocations;
mod sessions;

use std::borrow::Cow;

use http::{HeaderMap, Method};
use portcullis_authn::{Act, NoOperator, Operator, Permission};
use portcullis_core::Timestamp;
use portcullis_oidc::client::form;
use portcullis_pipeline::Snapshot;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::told::Answer;
use problem::Problem;

/// A request to the API.
#[derive(Debug, Clone, Copy)]
pub struct ApiRequest<'r> {
    /// The method.
    pub method: &'r Method,
    /// The path.
    pub path: &'r str,
    /// What stands behind the `?`.
    pub query: &'r str,
    /// The fields.
    pub headers: &'r HeaderMap,
    /// The content.
    pub body: &'r [u8],
}

/// What the API begins with.
const PREFIX: &str = "/v1/";
/// How many things a list has, unless it is asked for less.
const PAGE: i64 = 1000;

/// A thing of the API, by its path.
enum Resource<'p> {
    Keys,
    Key(&'p str),
    KeyAction(&'p str, keys::Action),
    Quotas,
    Usage(&'p str),
    UsageAction(&'p str, quotas::Action),
    Revocations,
    Revocation(&'p str),
    Sessions,
    Session(&'p str),
}

/// Whether this is for the API.
#[must_use]
pub fn is_api(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Answers a request to the API.
pub async fn respond(request: ApiRequest<'_>, snapshot: &Snapshot, now: Timestamp) -> Answer {
    match answer(request, snapshot, now).await {
        Ok(answer) => answer,
        Err(problem) => problem.answer(),
    }
}

async fn answer(request: ApiRequest<'_>, snapshot: &Snapshot, now: Timestamp) -> Result<Answer, Problem> {
    if snapshot.operators.is_empty() {
        return Err(Problem::no_operators());
    }
    let operator = snapshot.operators.identify(request.headers).map_err(|error| match error {
        NoOperator::Missing => Problem::credential_missing(),
        NoOperator::Unknown => Problem::invalid_token(),
    })?;
    let resource = Resource::of(request.path).ok_or_else(Problem::not_found)?;
    check_query(request.query)?;
    let call = Call { request, snapshot, operator, now };
    match resource {
        Resource::Keys => keys::all(&call).await,
        Resource::Key(id) => keys::one(&call, id).await,
        Resource::KeyAction(id, action) => keys::act(&call, id, action).await,
        Resource::Quotas => quotas::names(&call),
        Resource::Usage(quota) => quotas::usage(&call, quota).await,
        Resource::UsageAction(quota, action) => quotas::act(&call, quota, action).await,
        Resource::Revocations => revocations::all(&call).await,
        Resource::Revocation(id) => revocations::one(&call, id).await,
        Resource::Sessions => sessions::all(&call).await,
        Resource::Session(id) => sessions::one(&call, id).await,
    }
}

/// What queries may hold, of whatever resource.
const PARAMETERS: [&str; 4] = ["after", "limit", "method", "subject"];

/// A filter that is not understood is not taken for none: whoever ends what is listed would end everything.
fn check_query(query: &str) -> Result<(), Problem> {
    let mut names: Vec<_> = form::pairs(query).map(|(name, _)| name).collect();
    if names.len() != query.split('&').filter(|pair| !pair.is_empty()).count() {
        return Err(Problem::invalid("the query is not percent-encoded UTF-8"));
    }
    if let Some(unknown) = names.iter().find(|name| !PARAMETERS.contains(&name.as_ref())) {
        let known = PARAMETERS.join("`, `");
        let message = format!("there is no parameter `{}`; there are `{known}`", unknown.escape_debug());
        return Err(Problem::invalid(message));
    }
    names.sort_unstable();
    if names.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
        return Err(Problem::invalid("a parameter is written more than once"));
    }
    Ok(())
}

impl<'p> Resource<'p> {
    fn of(path: &'p str) -> Option<Self> {
        let segments: Vec<&str> = path.strip_prefix(PREFIX)?.split('/').collect();
        Some(match *segments.as_slice() {
            ["keys"] => Self::Keys,
            ["keys", id] => Self::Key(id),
            ["keys", id, action] => Self::KeyAction(id, keys::Action::of(action)?),
            ["quotas"] => Self::Quotas,
            ["quotas", quota, "usage"] => Self::Usage(quota),
            ["quotas", quota, action] => Self::UsageAction(quota, quotas::Action::of(action)?),
            ["revocations"] => Self::Revocations,
            ["revocations", id] => Self::Revocation(id),
            ["sessions"] => Self::Sessions,
            ["sessions", id] => Self::Session(id),
            _ => return None,
        })
    }
}

/// A request by an operator who is known.
struct Call<'c> {
    request: ApiRequest<'c>,
    snapshot: &'c Snapshot,
    operator: &'c Operator,
    now: Timestamp,
}

impl Call<'_> {
    /// That something is to be changed, by somebody who may.
    fn act(&self) -> Result<Act, Problem> {
        if self.operator.may < Permission::Write {
            return Err(Problem::read_only(&self.operator.id));
        }
        // What cannot be recorded must not be done.
        if !self.snapshot.audit.is_available() {
            return Err(Problem::audit_unavailable());
        }
        Ok(Act { actor: self.operator.id.clone(), origin: "api", now: self.now })
    }

    /// The content, as JSON of a form that is known.
    fn content<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let body = if self.request.body.is_empty() { b"{}".as_slice() } else { self.request.body };
        serde_json::from_slice(body)
            .map_err(|error| Problem::invalid(format!("the content is not as it should be: {error}")))
    }

    /// A parameter of the query.
    fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        form::single(self.request.query, name).ok().flatten()
    }

    /// Which part of a list: what it begins after, and how many things it has.
    fn page(&self) -> Result<(Cow<'_, str>, i64), Problem> {
        let limit = self.parameter("limit").map_or(Ok(PAGE), |text| text.parse());
        let limit = limit.ok().filter(|limit| (1..=PAGE).contains(limit));
        let limit =
            limit.ok_or_else(|| Problem::invalid(format!("`limit` is not a number between 1 and {PAGE}")))?;
        Ok((self.parameter("after").unwrap_or_default(), limit))
    }
}

/// A part of a list, and what the next begins after.
fn listed(name: &str, items: Vec<Value>, last: Option<&str>, limit: i64) -> Answer {
    let is_full = i64::try_from(items.len()).is_ok_and(|count| count == limit);
    let mut members = serde_json::Map::from_iter([(name.to_owned(), items.into())]);
    if let Some(last) = last.filter(|_| is_full) {
        members.insert("next".to_owned(), last.into());
    }
    Answer::json(http::StatusCode::OK, &members.into())
}
