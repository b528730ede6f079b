//! Tokens for services as they are written.

use std::collections::BTreeMap;

use portcullis_core::Period;
use portcullis_oidc::Algorithm;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tokens that the gateway signs for services, so that they know who asks and believe nobody else. Which routes have one is said
/// there (`forward.internal_token`).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawInternalTokens {
    /// What `iss` says: the name by which services know this gateway, the same for all gateways of a fleet.
    pub issuer: String,
    /// A PEM file (PKCS #8) with the private key that signs: Ed25519, P-256, P-384, P-521 or RSA. Whoever else reads it can be
    /// anybody to every service: a file that is open to everybody on the machine is refused.
    pub key: String,
    /// What it signs with. Default: what goes with the key, and `RS256` for RSA.
    pub algorithm: Option<Algorithm>,
    /// PEM files with keys, public or private, that are published beside it and sign nothing: the one that will sign next, and the
    /// one that did until a moment ago.
    #[serde(default)]
    pub more_keys: Vec<String>,
    /// How long a token holds; never longer than the caller's credential. Default 60s, from 5s to 10m.
    #[serde(default = "default_lifetime")]
    pub lifetime: Period,
    /// Where the public keys are, on every listener and for every host. Default `/.portcullis/jwks.json`.
    #[serde(default = "default_jwks_path")]
    pub jwks_path: String,
    /// How long services may keep the public keys (`Cache-Control`). A key must be published that long before it signs. Default
    /// 5m, at most 1d.
    #[serde(default = "default_jwks_max_age")]
    pub jwks_max_age: Period,
}

/// A token of the gateway's own that says who the caller is (`internal_tokens`). Callers without a credential get none, and what
/// clients send in its place never reaches the service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawInternalToken {
    /// What `aud` says: the name by which the service knows itself.
    pub audience: String,
    /// The header with the token. Default `Authorization`, behind `Bearer`, in place of what the caller showed; any other header
    /// holds the token alone.
    #[serde(default = "default_header")]
    pub header: String,
    /// Further claims: from a claim's name to what it carries, as for `identity`. Roles are a list, and claims are what they were.
    #[serde(default)]
    pub claims: BTreeMap<String, String>,
}

const fn default_lifetime() -> Period {
    Period::secs(60)
}

fn default_jwks_path() -> String {
    "/.portcullis/jwks.json".to_owned()
}

const fn default_jwks_max_age() -> Period {
    Period::secs(300)
}

fn default_header() -> String {
    "Authorization".to_owned()
}
