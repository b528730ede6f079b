//! The engine: a loaded ruleset, and the transaction that runs it over one request and its response.

use std::net::SocketAddr;
use std::path::Path;
use std::time::SystemTime;

/// Loaded rules, compiled; shared by all transactions.
#[derive(Debug)]
pub struct Ruleset {}

/// Everything that is wrong with rules; its `Display` names file, line and column, with the line and a caret.
#[derive(Debug, thiserror::Error)]
#[error("rules are wrong")]
pub struct LoadError {}

impl Ruleset {
    /// Loads rule files in order; a name may hold `*` and `?`.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn from_files(files: &[&Path]) -> Result<Self, LoadError> {
        let _ = files;
        Ok(Self {})
    }

    /// Begins the transaction of one request.
    #[must_use]
    pub fn transaction(&self, client: SocketAddr, server: SocketAddr, now: SystemTime) -> Transaction<'_> {
        let _ = (client, server, now);
        Transaction { _ruleset: self }
    }
}

/// One request and its response on their way through the rules.
#[derive(Debug)]
pub struct Transaction<'r> {
    _ruleset: &'r Ruleset,
}

/// A rule ended the transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interruption {
    /// The rule.
    pub rule_id: u32,
    /// The status with which to answer.
    pub status: u16,
}

/// A rule that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleMatch {
    /// The rule.
    pub rule_id: u32,
}

impl Transaction<'_> {
    /// The request line: the method, the target as received, and the protocol such as `HTTP/1.1`.
    pub fn request_line(&mut self, method: &[u8], target: &[u8], protocol: &[u8]) {
        let _ = (method, target, protocol);
    }
    /// One field of the request's head.
    pub fn request_header(&mut self, name: &[u8], value: &[u8]) {
        let _ = (name, value);
    }
    /// Runs phase 1.
    pub fn request_headers_done(&mut self) -> Option<Interruption> {
        None
    }
    /// Whether the rules want to see the request's body.
    #[must_use]
    pub fn wants_request_body(&self) -> bool {
        true
    }
    /// Takes the body apart and runs phase 2.
    pub fn request_body(&mut self, body: &[u8]) -> Option<Interruption> {
        let _ = body;
        None
    }
    /// The response's status and protocol.
    pub fn response_line(&mut self, status: u16, protocol: &[u8]) {
        let _ = (status, protocol);
    }
    /// One field of the response's head.
    pub fn response_header(&mut self, name: &[u8], value: &[u8]) {
        let _ = (name, value);
    }
    /// Runs phase 3.
    pub fn response_headers_done(&mut self) -> Option<Interruption> {
        None
    }
    /// Whether the rules want to see the response's body.
    #[must_use]
    pub fn wants_response_body(&self) -> bool {
        false
    }
    /// Runs phase 4.
    pub fn response_body(&mut self, body: &[u8]) -> Option<Interruption> {
        let _ = body;
        None
    }
    /// Runs phase 5.
    pub fn finish(&mut self) {}
    /// Every rule that matched so far and is to be logged, in order.
    #[must_use]
    pub fn matches(&self) -> &[RuleMatch] {
        &[]
    }
}
