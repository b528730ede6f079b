//! The configuration as it is written.

use portcullis_core::{Mode, Period};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::api_key::RawApiKeys;
use crate::certificate::RawCertificates;
use crate::dpop::RawDpop;
use crate::introspection::RawIntrospection;
use crate::jwt::RawJwt;
use crate::login::RawLogin;
use crate::message_signature::RawMessageSignatures;
use crate::token_exchange::RawTokenExchange;
use crate::webhook::RawWebhook;

/// The ways in which callers may prove who they are. Routes refer to them by name.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawAuthentication {
    /// What the `realm` of a `WWW-Authenticate` answer says. Default `api`.
    pub realm: String,
    /// Methods that take signed tokens (JSON Web Tokens).
    pub jwt: Vec<RawJwt>,
    /// Methods that take API keys.
    pub api_keys: Vec<RawApiKeys>,
    /// Methods that take tokens about which the issuer is asked.
    pub introspection: Vec<RawIntrospection>,
    /// Providers at which people log in, with a browser.
    pub login: Vec<RawLogin>,
    /// Methods that take the certificates of clients.
    pub certificates: Vec<RawCertificates>,
    /// Methods that take requests that their senders sign (RFC 9421).
    pub signatures: Vec<RawMessageSignatures>,
    /// Methods that take requests signed with a shared secret, such as the webhooks of GitHub, Stripe and Slack.
    pub webhooks: Vec<RawWebhook>,
    /// Proofs of possession for tokens (RFC 9449). Default none: tokens that are bound to a key are refused.
    pub dpop: Option<RawDpop>,
    /// Issuers that exchange callers' tokens for those that services get.
    pub token_exchange: Vec<RawTokenExchange>,
    /// The cache of tokens that were verified.
    pub cache: RawCredentialCache,
}

impl Default for RawAuthentication {
    fn default() -> Self {
        Self {
            realm: "api".to_owned(),
            jwt: Vec::new(),
            api_keys: Vec::new(),
            introspection: Vec::new(),
            login: Vec::new(),
            certificates: Vec::new(),
            signatures: Vec::new(),
            webhooks: Vec::new(),
            dpop: None,
            token_exchange: Vec::new(),
            cache: RawCredentialCache::default(),
        }
    }
}

/// The cache of tokens that were verified. It saves the signature check when a token comes again.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawCredentialCache {
    /// The most tokens that are remembered; 0 switches the cache off. Default 100000.
    pub max_entries: usize,
}

impl Default for RawCredentialCache {
    fn default() -> Self {
        Self { max_entries: 100_000 }
    }
}

/// Who may use a route, as far as that is a matter of credentials.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawAuthenticate {
    /// `enforce` refuses callers without a valid credential, `shadow` only records that it would, `off` asks
    /// for none. Default `enforce`.
    pub mode: Mode,
    /// Names of methods in order; the first whose credential is present decides. `anonymous` lets callers in
    /// who show no credential at all.
    pub methods: Vec<String>,
    /// Scopes that the credential must carry.
    pub scopes: RawScopes,
    /// How strongly, and how recently, people must have logged in. What their tokens do not say they have not done.
    pub step_up: Option<RawStepUp>,
    /// Whether the client must have shown a certificate when its connection was made, whatever method says who it is.
    /// Default `false`.
    pub require_certificate: bool,
    /// Whether tokens must be bound to their holder: to the client certificate (RFC 8705), or to a key that is proved with each
    /// request (`authentication.dpop`). Default `false`.
    pub require_bound_tokens: bool,
}

/// How people must have logged in (RFC 9470). Callers who show no token of an issuer are refused.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawStepUp {
    /// Accepted values of the token's `acr`, best first. Default any.
    pub acr: Vec<String>,
    /// How long ago they may have logged in, by the token's `auth_time`. Default any time.
    pub max_age: Option<Period>,
}

/// Scopes that a credential must carry, whichever method it is for.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawScopes {
    /// Every one of these.
    pub all: Vec<String>,
    /// At least one of these, unless the list is empty.
    pub any: Vec<String>,
}
