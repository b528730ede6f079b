//! API keys as they are written.

use portcullis_core::Secret;
use schemars::JsonSchema;
use serde::Deserialize;

/// API keys, written here or kept in the database. `portcullis` makes keys of the form `pcl_<id>_<secret>`; only their hashes are
/// kept.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawApiKeys {
    /// The name by which routes refer to this method.
    pub name: String,
    /// The header with the key. Default `X-API-Key`.
    #[serde(default = "default_header")]
    pub header: String,
    /// A query parameter that is read as well, and taken out of what the service gets. Keys in URLs end up in
    /// logs and histories: leave it out if you can. Default none.
    pub query: Option<String>,
    /// The keys.
    #[serde(default)]
    pub keys: Vec<RawApiKey>,
    /// A JSON file with a list of further keys, each an object as under `keys`. Default none.
    pub keys_file: Option<String>,
    /// Keys in the database (`store.database`), which `portcullis keys create` and others look after. Default none.
    pub stored: Option<RawStoredKeys>,
}

/// Keys in the database.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawStoredKeys {
    /// With what keys are hashed before they are stored: at least 32 bytes, the same for all gateways. If it is lost or changed
    /// no stored key is accepted any more.
    pub pepper: Secret,
}

/// One API key.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawApiKey {
    /// The visible part of the key, which names it in logs and policies: letters, digits, `-`, `.`, `_`, at
    /// most 64.
    pub id: String,
    /// The SHA-256 of the whole key: `sha256:` and 64 hexadecimal digits.
    pub hash: String,
    /// Who holds the key; policies see it as the claim `owner`. Default nobody in particular.
    pub owner: Option<String>,
    /// Roles for policies. Default none.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Scopes that the key carries. Default none.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The moment from which the key is refused, in UTC: `2027-01-31T00:00:00Z`. Default never.
    pub expires: Option<String>,
    /// Whether the key is accepted; `false` withdraws it without losing its record. Default `true`.
    #[serde(default = "enabled")]
    pub enabled: bool,
}

fn default_header() -> String {
    "X-API-Key".to_owned()
}

const fn enabled() -> bool {
    true
}
