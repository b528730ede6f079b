//! People who are logged in.

use http::Method;
use portcullis_authn::login::SessionSummary;
use portcullis_store::StoreError;

use super::problem::Problem;
use super::{Call, listed};
use crate::told::Answer;

pub(super) async fn all(call: &Call<'_>) -> Result<Answer, Problem> {
    if *call.request.method != Method::GET {
        return Err(Problem::method("GET"));
    }
    let (after, limit) = call.page()?;
    let subject = call.parameter("subject");
    let mut found = Vec::new();
    for sessions in call.snapshot.authentication.sessions() {
        found.extend(sessions.list(subject.as_deref(), &after, limit, call.now).await?);
    }
    found.sort_by(|one, other| one.id.cmp(&other.id));
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let last = found.last().map(|session| session.id.as_str());
    Ok(listed("sessions", found.iter().map(SessionSummary::json).collect(), last, limit))
}

pub(super) async fn one(call: &Call<'_>, id: &str) -> Result<Answer, Problem> {
    if *call.request.method != Method::DELETE {
        return Err(Problem::method("DELETE"));
    }
    let act = call.act()?;
    for sessions in call.snapshot.authentication.sessions() {
        if sessions.end(id, "ended", &act).await? {
            return Ok(Answer::empty());
        }
    }
    Err(Problem::unknown("there is no such session"))
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::unavailable(error.to_string())
    }
}
