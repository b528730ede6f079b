//! Tokens that are refused before they end.

use std::sync::Arc;

use http::{Method, StatusCode};
use portcullis_authn::revocation::{NewRevocation, Revocation, RevocationError, Revocations};

use super::problem::Problem;
use super::{Call, listed};
use crate::told::Answer;

pub(super) async fn all(call: &Call<'_>) -> Result<Answer, Problem> {
    let revocations = revocations(call)?;
    match *call.request.method {
        Method::GET => {
            let (after, limit) = call.page()?;
            let page = revocations.page(&after, call.now, limit).await.map_err(RevocationError::from)?;
            let last = page.last().map(|revocation| revocation.id.as_str());
            Ok(listed("revocations", page.iter().map(Revocation::json).collect(), last, limit))
        }
        Method::POST => {
            let act = call.act()?;
            let new = NewRevocation::of(&call.content()?, call.now).map_err(Problem::invalid)?;
            let made = revocations.revoke(new, &act).await?;
            Ok(Answer::json(StatusCode::CREATED, &made.json()))
        }
        _ => Err(Problem::method("GET, POST")),
    }
}

pub(super) async fn one(call: &Call<'_>, id: &str) -> Result<Answer, Problem> {
    let revocations = revocations(call)?;
    match *call.request.method {
        Method::DELETE => {
            revocations.take_back(id, &call.act()?).await?;
            Ok(Answer::empty())
        }
        _ => Err(Problem::method("DELETE")),
    }
}

fn revocations<'c>(call: &'c Call<'_>) -> Result<&'c Arc<Revocations>, Problem> {
    let known = call.snapshot.authentication.revocations();
    known.ok_or_else(|| {
        Problem::unknown("there is no database to keep revocations in: write `store.database`")
    })
}
