//! Client certificates as a method, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

/// A method that takes the certificate that the client showed when its connection was made. Listeners ask for it, and say
/// which authorities are believed: `listeners[].tls.client_certificates`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawCertificates {
    /// The name by which routes refer to this method.
    pub name: String,
    /// Who the holder is: a text with `{spiffe}`, `{uri}`, `{dns}`, `{email}` (alternative names), `{subject}` (as RFC 4514
    /// writes it), `{subject:cn}` (a part of it, by its short name or number), `{issuer}`, `{serial}` or `{sha256}`. A certificate
    /// without such a name, or with several, is refused.
    pub principal: String,
    /// Principals that are taken; `*` stands for any characters. Default all.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Roles and scopes, by principal: what fits adds up. Default none.
    #[serde(default)]
    pub grants: Vec<RawGrant>,
}

/// What some principals may.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawGrant {
    /// Which; `*` stands for any characters.
    pub principal: String,
    /// Their roles. Default none.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Their scopes. Default none.
    #[serde(default)]
    pub scopes: Vec<String>,
}
