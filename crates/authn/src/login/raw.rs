//! Logins, as they are written.

use portcullis_core::{Period, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::introspection::RawClient;

/// A provider at which people log in (OpenID Connect).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawLogin {
    /// The name by which routes refer to this method, and the name of its cookie: letters, digits, `-` and `_`.
    pub name: String,
    /// The provider, as a URL.
    pub issuer: String,
    /// Who we are to it.
    pub client: RawClient,
    /// Where browsers see the gateway, such as `https://app.example.com`: `https`, or `http` on the machine itself.
    pub origin: String,
    /// The path under which the gateway answers itself: `/callback`, `/start`, `/logout` and `/backchannel-logout` below it.
    /// Default `/.auth/` and the name.
    pub path: Option<String>,
    /// What the provider is asked for. Default `openid`. With `offline_access`, most providers give a refresh token, and the session
    /// goes on for as long as it is renewed.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// The claim with the person's roles, a string or a list; a dot leads into an object. Default `roles`.
    #[serde(default = "default_roles_claim")]
    pub roles_claim: String,
    /// Whether the provider is asked for more claims (userinfo). Default `false`: those of the ID token.
    #[serde(default)]
    pub userinfo: bool,
    /// What cookies and sessions are sealed with: at least 32 bytes, the same for all gateways.
    pub secret: Secret,
    /// How long people stay logged in.
    #[serde(default)]
    pub session: RawSession,
    /// The path of the page after a logout, or a URL that the provider knows. Default `/`.
    #[serde(default = "default_after_logout")]
    pub after_logout: String,
}

/// How long people stay logged in.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawSession {
    /// Without a request. Default 30m, at least 5m.
    pub idle: Period,
    /// At all. Default 12h, at most 30d.
    pub absolute: Period,
}

impl Default for RawSession {
    fn default() -> Self {
        Self { idle: Period::secs(30 * 60), absolute: Period::secs(12 * 60 * 60) }
    }
}

fn default_scopes() -> Vec<String> {
    vec!["openid".to_owned()]
}

fn default_roles_claim() -> String {
    "roles".to_owned()
}

fn default_after_logout() -> String {
    "/".to_owned()
}
