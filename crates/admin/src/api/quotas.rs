//! What callers have used of their quotas.

use http::{Method, StatusCode};
use portcullis_limit::Usage;
use serde::Deserialize;
use serde_json::Value;

use super::problem::Problem;
use super::{Call, listed};
use crate::told::Answer;

/// What is done with what a holder has used.
#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    Reset,
    Refund,
    Consume,
}

impl Action {
    pub(super) fn of(word: &str) -> Option<Self> {
        match word {
            "reset" => Some(Self::Reset),
            "refund" => Some(Self::Refund),
            "consume" => Some(Self::Consume),
            _ => None,
        }
    }
}

/// Whose usage is to be set to nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Holder {
    holder: String,
}

/// How much is given back or taken.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Amount {
    holder: String,
    amount: u64,
}

/// The greatest amount.
const MOST: u64 = 999_999_999_999_999;

pub(super) fn names(call: &Call<'_>) -> Result<Answer, Problem> {
    match *call.request.method {
        Method::GET => {
            let names: Vec<Value> = call.snapshot.quotas.names().map(Value::from).collect();
            Ok(Answer::json(StatusCode::OK, &serde_json::json!({ "quotas": names })))
        }
        _ => Err(Problem::method("GET")),
    }
}

pub(super) async fn usage(call: &Call<'_>, name: &str) -> Result<Answer, Problem> {
    let quotas = &call.snapshot.quotas;
    match *call.request.method {
        Method::GET => {
            let (after, limit) = call.page()?;
            let page = quotas.usage(name, &after, limit, call.now).await?;
            let last = page.last().map(|usage| usage.holder.as_str());
            Ok(listed("usage", page.iter().map(Usage::json).collect(), last, limit))
        }
        _ => Err(Problem::method("GET")),
    }
}

pub(super) async fn act(call: &Call<'_>, name: &str, action: Action) -> Result<Answer, Problem> {
    if *call.request.method != Method::POST {
        return Err(Problem::method("POST"));
    }
    let (quotas, act) = (&call.snapshot.quotas, call.act()?);
    let holder = match action {
        Action::Reset => {
            let Holder { holder } = call.content()?;
            quotas.reset(name, &holder, &act).await?;
            holder
        }
        Action::Refund | Action::Consume => {
            let Amount { holder, amount } = call.content()?;
            if !(1..=MOST).contains(&amount) {
                return Err(Problem::invalid(format!("`amount` is not a number from 1 to {MOST}")));
            }
            if matches!(action, Action::Refund) {
                quotas.refund(name, &holder, amount, &act).await?;
            } else {
                quotas.consume(name, &holder, amount, &act).await?;
            }
            holder
        }
    };
    let usage = quotas.usage_of(name, &holder, call.now).await?;
    Ok(Answer::json(StatusCode::OK, &usage.json()))
}
