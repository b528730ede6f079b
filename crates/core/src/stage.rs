//! The stages of the pipeline, by name and by index.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A step of the pipeline, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum StageId {
    /// Reading the request off the wire: framing, sizes, times.
    Protocol,
    /// Normalising the request target.
    Target,
    /// Finding the route.
    Route,
    /// What is decided from the peer's address alone.
    Peer,
    /// A credential becomes a principal.
    Authenticate,
    /// May this principal do this?
    Authorize,
    /// Does it come too often?
    Limit,
    /// Is there anything left of what was agreed on for this month?
    Quota,
    /// Does it, or the service's answer, look like an attack?
    Scan,
    /// Handing the request to the service.
    Forward,
}

impl StageId {
    /// Every stage in order.
    pub const ALL: [Self; 10] = [
        Self::Protocol,
        Self::Target,
        Self::Route,
        Self::Peer,
        Self::Authenticate,
        Self::Authorize,
        Self::Limit,
        Self::Quota,
        Self::Scan,
        Self::Forward,
    ];

    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The name in logs, metrics, audit records and explanations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::Target => "target",
            Self::Route => "route",
            Self::Peer => "peer",
            Self::Authenticate => "authenticate",
            Self::Authorize => "authorize",
            Self::Limit => "limit",
            Self::Quota => "quota",
            Self::Scan => "scan",
            Self::Forward => "forward",
        }
    }
}

/// What a stage's decision does to the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Decide, and refuse what is denied.
    #[default]
    Enforce,
    /// Decide and record, but let pass.
    Shadow,
    /// Do not run.
    Off,
}
