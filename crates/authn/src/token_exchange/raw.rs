//! The exchange of tokens as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::introspection::RawClient;

/// An issuer that exchanges callers' tokens for others (RFC 8693), which routes hand to their services (`forward.exchanged_token`).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTokenExchange {
    /// The name by which routes refer to it.
    pub name: String,
    /// The issuer, as a URL. It says where it is asked, unless `endpoint` does.
    pub issuer: String,
    /// Its token endpoint. Default: what the issuer says of itself.
    pub endpoint: Option<String>,
    /// Who we are to the issuer.
    pub client: RawClient,
}

/// A token for which the caller's own is exchanged at its issuer. Callers who show no credential get none, and what clients send
/// in its place never reaches the service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawExchangedToken {
    /// Where it is exchanged: a name of `authentication.token_exchange`.
    pub by: String,
    /// The service, by the issuer's name for it.
    pub audience: Option<String>,
    /// The service, by its URL (RFC 8707).
    pub resource: Option<String>,
    /// Scopes that the token should have. Default: what the issuer gives.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The header with the token. Default `Authorization`, behind `Bearer`, in place of what the caller showed; any other header
    /// holds the token alone.
    #[serde(default = "default_header")]
    pub header: String,
}

fn default_header() -> String {
    "Authorization".to_owned()
}
