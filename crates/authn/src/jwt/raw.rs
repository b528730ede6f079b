//! A JWT method as it is written.

use portcullis_core::{ByteSize, Period, Secret};
use portcullis_oidc::{Algorithm, RawRefresh};
use schemars::JsonSchema;
use serde::Deserialize;

/// One issuer whose tokens are accepted.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawJwt {
    /// The name by which routes refer to this method.
    pub name: String,
    /// The `iss` claim, exactly as the issuer writes it.
    pub issuer: String,
    /// Accepted audiences: the token's `aud` must name one of them. At least one.
    pub audiences: Vec<String>,
    /// Accepted signature algorithms. At least one, all of the kind of the keys.
    pub algorithms: Vec<Algorithm>,
    /// The keys that verify the signatures: `discovery`, or one of `pem`, `jwks`, `jwks_url`, `secret`.
    pub keys: RawKeys,
    /// When keys are fetched. Only with `jwks_url` and `discovery`.
    pub refresh: Option<RawRefresh>,
    /// Accepted values of the token's `typ`; a token without one counts as `JWT`. Default `JWT` and `at+jwt`;
    /// write `[at+jwt]` if the issuer follows RFC 9068.
    #[serde(default = "default_types")]
    pub types: Vec<String>,
    /// How far the issuer's clock may be off, for `exp`, `nbf` and `iat`. Default 30s, at most 5m.
    #[serde(default = "default_leeway")]
    pub leeway: Period,
    /// Claims that must be present besides `iss`, `sub`, `aud` and `exp`; a dot leads into an object.
    #[serde(default)]
    pub required_claims: Vec<String>,
    /// The claim with the caller's roles, a string or a list; a dot leads into an object, as in
    /// `realm_access.roles`. Default `roles`.
    #[serde(default = "default_roles_claim")]
    pub roles_claim: String,
    /// The longest token. Default 8KiB, at most 64KiB.
    #[serde(default = "default_max_token")]
    pub max_token: ByteSize,
    /// The header with the token. Default `Authorization`, with the scheme `Bearer`; any other header holds
    /// the token alone.
    #[serde(default = "default_header")]
    pub header: String,
}

/// Where the keys of an issuer come from.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawKeys {
    /// A file with public keys in PEM (`PUBLIC KEY` blocks).
    Pem(String),
    /// A file with a JSON Web Key Set.
    Jwks(String),
    /// The URL of the issuer's JSON Web Key Set: `https`, or `http` on the machine itself.
    JwksUrl(String),
    /// The issuer says where they are: at `/.well-known/openid-configuration` below its URL, or where RFC 8414 has it.
    Discovery,
    /// A secret shared with the issuer, for HS256 (at least 32 bytes), HS384 (48) and HS512 (64) only.
    Secret(Secret),
}

pub(super) fn default_types() -> Vec<String> {
    vec!["JWT".to_owned(), "at+jwt".to_owned()]
}

pub(super) const fn default_leeway() -> Period {
    Period::secs(30)
}

fn default_roles_claim() -> String {
    "roles".to_owned()
}

const fn default_max_token() -> ByteSize {
    ByteSize::kib(8)
}

fn default_header() -> String {
    "Authorization".to_owned()
}
