//! Opaque tokens as a method, as it is written.

use portcullis_core::{Period, Secret};
use portcullis_oidc::Algorithm;
use schemars::JsonSchema;
use serde::Deserialize;

/// An issuer whose tokens say nothing by themselves: it is asked about them (RFC 7662).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawIntrospection {
    /// The name by which routes refer to this method.
    pub name: String,
    /// The issuer, as a URL. It says where it is asked, unless `endpoint` does; where its answers name an issuer, it must be
    /// this one.
    pub issuer: String,
    /// Where it is asked. Default: what the issuer says of itself.
    pub endpoint: Option<String>,
    /// Who we are to the issuer.
    pub client: RawClient,
    /// Accepted audiences: the answer's `aud` must name one of them. Without any, tokens for every service of the issuer are
    /// taken, and `check` warns.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The member of the answer with the caller's roles, a string or a list; a dot leads into an object. Default `roles`.
    #[serde(default = "default_roles_claim")]
    pub roles_claim: String,
    /// The header with the token. Default `Authorization`, with the scheme `Bearer`; any other header holds the token alone.
    #[serde(default = "default_header")]
    pub header: String,
    /// How long answers are believed.
    #[serde(default)]
    pub cache: RawAnswerCache,
}

/// Who we are to an issuer: with a `secret`, or with a `private_key`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawClient {
    /// The name under which we are registered.
    pub id: String,
    /// The secret that both sides know.
    pub secret: Option<Secret>,
    /// Where the secret is sent. Default `basic`.
    pub authentication: Option<SecretPlace>,
    /// A PEM file (PKCS #8) with the key that signs a statement instead (RFC 7523, `private_key_jwt`).
    pub private_key: Option<String>,
    /// What it signs with. Default `ES256`.
    pub algorithm: Option<Algorithm>,
    /// The id under which the issuer knows the public key. Default none.
    pub key_id: Option<String>,
}

/// Where a client's secret is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretPlace {
    /// In `Authorization`.
    Basic,
    /// In the body.
    Post,
}

/// How long answers are believed. Never longer than the token holds, and a token that is withdrawn passes that long.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawAnswerCache {
    /// That a token holds. Default 60s, at most 1h.
    pub active: Period,
    /// That it does not. Default 10s, at most 1h.
    pub inactive: Period,
    /// How many answers are kept. Default 100000.
    pub max_entries: usize,
}

impl Default for RawAnswerCache {
    fn default() -> Self {
        Self { active: Period::secs(60), inactive: Period::secs(10), max_entries: 100_000 }
    }
}

fn default_roles_claim() -> String {
    "roles".to_owned()
}

fn default_header() -> String {
    "Authorization".to_owned()
}
