//! An answer to an operator.

use http::{HeaderName, StatusCode};
use serde_json::Value;

/// An answer to an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The content's type.
    pub content_type: &'static str,
    /// More fields.
    pub fields: Vec<(HeaderName, &'static str)>,
    /// The content.
    pub body: String,
}

impl Answer {
    pub(crate) fn json(status: StatusCode, content: &Value) -> Self {
        Self { status, content_type: "application/json", fields: Vec::new(), body: format!("{content}\n") }
    }

    /// That it was done, and that there is nothing to say of it.
    pub(crate) const fn empty() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            content_type: "application/json",
            fields: Vec::new(),
            body: String::new(),
        }
    }
}
