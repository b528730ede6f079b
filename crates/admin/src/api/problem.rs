//! What operators are told when something was not done (RFC 9457).

use http::StatusCode;
use http::header::{ALLOW, WWW_AUTHENTICATE};
use portcullis_authn::api_key::CustodyError;
use portcullis_authn::revocation::RevocationError;
use portcullis_limit::QuotaError;
use serde_json::json;

use crate::told::Answer;

/// Why something was not done.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    allow: Option<&'static str>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), allow: None }
    }

    pub(super) fn no_operators() -> Self {
        let detail = "nobody may use the API: write `admin.operators`";
        Self::new(StatusCode::NOT_FOUND, "no_operators", detail)
    }

    pub(super) fn credential_missing() -> Self {
        let detail = "the token of an operator is needed, in `Authorization: Bearer …`";
        Self::new(StatusCode::UNAUTHORIZED, "credential_missing", detail)
    }

    pub(super) fn invalid_token() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_token", "this is no operator's token")
    }

    pub(super) fn read_only(id: &str) -> Self {
        let detail = format!("the operator `{id}` may look and not change: `may: write` is needed");
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is no such thing in the API")
    }

    pub(super) fn unknown(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", what)
    }

    pub(super) fn method(allow: &'static str) -> Self {
        let detail = format!("this takes {allow}");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail) }
    }

    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", detail)
    }

    pub(super) fn audit_unavailable() -> Self {
        let detail = "changes cannot be recorded at the moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "audit_unavailable", detail)
    }

    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail)
    }

    pub(super) fn answer(self) -> Answer {
        let problem = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        let mut answer = Answer::json(self.status, &problem);
        answer.content_type = "application/problem+json";
        if self.status == StatusCode::UNAUTHORIZED {
            answer.fields.push((WWW_AUTHENTICATE, "Bearer realm=\"admin\""));
        }
        answer.fields.extend(self.allow.map(|allow| (ALLOW, allow)));
        answer
    }
}

impl From<CustodyError> for Problem {
    fn from(error: CustodyError) -> Self {
        let detail = error.to_string();
        match error {
            CustodyError::Generate(_) => Self::invalid(detail),
            CustodyError::Exists(_) | CustodyError::Twice => {
                Self::new(StatusCode::CONFLICT, "exists", detail)
            }
            CustodyError::Unknown(_) => Self::unknown(&detail),
            CustodyError::Store(_) => Self::unavailable(detail),
        }
    }
}

impl From<RevocationError> for Problem {
    fn from(error: RevocationError) -> Self {
        let detail = error.to_string();
        match error {
            RevocationError::Unknown(_) => Self::unknown(&detail),
            RevocationError::Full => Self::new(StatusCode::CONFLICT, "full", detail),
            RevocationError::NoRandomness | RevocationError::Store(_) => Self::unavailable(detail),
        }
    }
}

impl From<QuotaError> for Problem {
    fn from(error: QuotaError) -> Self {
        let detail = error.to_string();
        match error {
            QuotaError::Unknown(_) | QuotaError::Unused { .. } => Self::unknown(&detail),
            QuotaError::BadHolder => Self::invalid(detail),
            QuotaError::NotCountable | QuotaError::Store(_) => Self::unavailable(detail),
        }
    }
}
