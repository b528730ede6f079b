//! API keys in the database.

use std::sync::Arc;

use http::{Method, StatusCode};
use portcullis_authn::api_key::{Details, StoredKeys};
use portcullis_core::{Period, Timestamp};
use serde::Deserialize;
use serde_json::json;

use super::problem::Problem;
use super::{Call, listed};
use crate::told::Answer;

/// What is done with a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    Rotate,
    Enable,
    Disable,
}

impl Action {
    pub(super) fn of(word: &str) -> Option<Self> {
        match word {
            "rotate" => Some(Self::Rotate),
            "enable" => Some(Self::Enable),
            "disable" => Some(Self::Disable),
            _ => None,
        }
    }
}

/// A key that somebody asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    id: String,
    owner: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    addresses: Vec<ipnet::IpNet>,
    #[serde(default)]
    routes: Vec<String>,
    /// A moment, or how long from now.
    expires: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// How long the key before holds beside the new one.
    #[serde(default = "a_day")]
    overlap: Period,
}

const fn a_day() -> Period {
    Period::secs(24 * 60 * 60)
}

pub(super) async fn all(call: &Call<'_>) -> Result<Answer, Problem> {
    let keys = method(call)?;
    match *call.request.method {
        Method::GET => {
            let (after, limit) = call.page()?;
            let records = keys.list(&after, limit).await?;
            let last = records.last().map(|record| record.id.as_str());
            Ok(listed("keys", records.iter().map(|record| record.json()).collect(), last, limit))
        }
        Method::POST => {
            let act = call.act()?;
            let NewKey { id, owner, roles, scopes, addresses, routes, expires } = call.content()?;
            let details = Details { owner, roles, scopes, addresses, routes };
            details.check().map_err(Problem::invalid)?;
            let expires = expires.as_deref().map(|text| moment(text, call.now)).transpose()?;
            let key = keys.create(&id, &details, expires, &act).await?;
            Ok(Answer::json(StatusCode::CREATED, &json!({ "id": id, "key": key.expose() })))
        }
        _ => Err(Problem::method("GET, POST")),
    }
}

pub(super) async fn one(call: &Call<'_>, id: &str) -> Result<Answer, Problem> {
    let keys = method(call)?;
    match *call.request.method {
        Method::GET => Ok(Answer::json(StatusCode::OK, &keys.show(id).await?.json())),
        Method::DELETE => {
            keys.delete(id, &call.act()?).await?;
            Ok(Answer::empty())
        }
        _ => Err(Problem::method("GET, DELETE")),
    }
}

pub(super) async fn act(call: &Call<'_>, id: &str, action: Action) -> Result<Answer, Problem> {
    if *call.request.method != Method::POST {
        return Err(Problem::method("POST"));
    }
    let keys = method(call)?;
    let act = call.act()?;
    match action {
        Action::Rotate => {
            let Rotation { overlap } = call.content()?;
            let key = keys.rotate(id, overlap.0, &act).await?;
            Ok(Answer::json(StatusCode::OK, &json!({ "id": id, "key": key.expose() })))
        }
        Action::Enable | Action::Disable => {
            keys.set_enabled(id, matches!(action, Action::Enable), &act).await?;
            Ok(Answer::empty())
        }
    }
}

/// The keys of the method that `?method=` names; it can be left out if there is one.
fn method<'c>(call: &'c Call<'_>) -> Result<&'c Arc<StoredKeys>, Problem> {
    let all = call.snapshot.authentication.stored_keys();
    match (call.parameter("method").as_deref(), all) {
        (None, [only]) => Ok(only),
        (None, []) => Err(Problem::unknown("no method keeps keys in the database")),
        (None, _) => {
            Err(Problem::invalid("several methods keep keys in the database: say which by `?method=`"))
        }
        (Some(name), _) => all.iter().find(|keys| keys.method() == name).ok_or_else(|| {
            Problem::unknown("there is no method of that name that keeps keys in the database")
        }),
    }
}

fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    Timestamp::from_text(text, now).ok_or_else(|| {
        Problem::invalid(
            "`expires` is neither a moment such as `2027-01-31T00:00:00Z` nor a time such as `90d`",
        )
    })
}
