//! What the configuration says about authorization.

use std::collections::BTreeMap;

use portcullis_core::Mode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Authorization by Cedar policies, for all routes. A request passes only if a policy permits it and none forbids it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawAuthorization {
    /// Files of Cedar policies, relative to this configuration. Default: none, which denies every request.
    pub policies: Vec<String>,
    /// A file with a Cedar schema (`.cedarschema`) that replaces the built-in one. Default: the built-in schema.
    pub schema: Option<String>,
    /// Request headers that policies may read, as `context.headers["x-tenant"]`. A header that is absent is an
    /// absent attribute; one that is repeated or not UTF-8 denies where a policy reads it. Default: none.
    pub context_headers: Vec<String>,
    /// Token claims that policies may read, as `principal.claims.tenant`, with their types. A claim that is absent
    /// is an absent attribute; one of another type denies where a policy reads it. Default: none.
    pub claims: BTreeMap<String, ClaimType>,
    /// The memory of decisions.
    pub cache: RawCache,
}

/// The type of a claim, as policies see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClaimType {
    /// A string: `String`.
    String,
    /// A whole number of 64 bits: `Long`.
    Long,
    /// `true` or `false`: `Bool`.
    Bool,
    /// A list of strings: `Set<String>`. A single string is a list of one.
    Strings,
}

/// The memory of decisions. It changes how fast a decision is had, never which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawCache {
    /// How many decisions are kept, about 200 bytes each; 0 keeps none. Of the callers they are about, which take a few
    /// kilobytes each, at most an eighth as many are kept. Default: 100000.
    pub max_entries: usize,
}

impl Default for RawCache {
    fn default() -> Self {
        Self { max_entries: 100_000 }
    }
}

/// Authorization of one route.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawAuthorize {
    /// Whether denials refuse (`enforce`), are only recorded (`shadow`) or nothing is decided (`off`). Default: `enforce`.
    pub mode: Mode,
    /// The name of the action that a request to this route is, such as `refund` for `Action::"refund"`.
    /// Default: the method, as in `Action::"GET"`.
    pub action: Option<String>,
}
