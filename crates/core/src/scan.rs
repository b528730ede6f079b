//! What the scanner found in a request and its answer.

use std::sync::Arc;

use http::StatusCode;

/// What the scanner found. There are only notes where a rule matched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanNotes {
    /// Every rule that matched and asks for a log entry, in the order in which they matched.
    pub rule_ids: Vec<u32>,
    /// The anomaly score of the request or of its answer, whichever is higher; 0 if the rules keep none.
    pub score: u64,
    /// What they matched, of the first of them.
    pub matches: Vec<ScanMatch>,
    /// The rule that refused, or would have.
    pub refused_by: Option<u32>,
    /// The ruleset that it belongs to.
    pub ruleset: Option<Arc<str>>,
    /// How it wants the refusal answered, if not with the status of the reason.
    pub answer: Option<ScanAnswer>,
}

/// What one rule matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanMatch {
    /// The rule.
    pub rule: u32,
    /// Its ruleset.
    pub ruleset: Arc<str>,
    /// The variable and its name, such as `ARGS:comment`; cut.
    pub target: String,
    /// What was found in it: cut, and masked as far as the record or the explanation asks.
    pub value: String,
    /// Names of the transformations it went through. Only kept for explanations.
    pub transformations: Vec<&'static str>,
    /// What the rule says of itself (`msg`). Only kept for explanations and verbatim records.
    pub message: String,
    /// What the rule logs of the request (`logdata`). Only kept for verbatim records.
    pub data: String,
}

/// How a rule wants a refusal answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanAnswer {
    /// The status: 3xx with a location, otherwise 4xx or 5xx.
    pub status: StatusCode,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// Whether the connection is closed.
    pub closes: bool,
}
