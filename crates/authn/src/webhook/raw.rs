//! Webhooks as they are written.

use portcullis_core::{Period, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

/// Requests that another party signs with a secret that both know (HMAC), such as the webhooks of GitHub, Stripe and Slack.
/// The body is held back until the signature is verified, within `forward.body` and `protocol.buffered_bodies`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawWebhook {
    /// The name by which routes refer to this method, and of its principal.
    pub name: String,
    /// Whose format it is. What stands beside it replaces a part of that.
    pub format: Option<WebhookFormat>,
    /// The secrets, of which one must fit; two while one replaces the other.
    pub secrets: Vec<Secret>,
    /// How the secrets are written: `text`, or `base64` after a `whsec_` that may be there. Default: what the format says, or
    /// `text`.
    pub secret_encoding: Option<SecretEncoding>,
    /// The header with the signature.
    pub header: Option<String>,
    /// What separates several items in that header: `,` or a space. Default: what the format says, or one item.
    pub separator: Option<Separator>,
    /// What stands before the signature in its item, such as `sha256=`. Items that begin otherwise are no signatures.
    pub prefix: Option<String>,
    /// The hash. Default `sha256`.
    pub algorithm: Option<HmacAlgorithm>,
    /// How the signature is written. Default `hex`.
    pub encoding: Option<SignatureEncoding>,
    /// What is signed: a text with `{body}`, `{timestamp}`, `{method}`, `{target}` and `{header:NAME}`. Default `{body}`.
    pub signed: Option<String>,
    /// Where the moment of the signature stands, in seconds since 1970. Without one, the method cannot know what comes for the
    /// second time.
    pub timestamp: Option<RawTimestamp>,
    /// How old the signature may be, and how far ahead. Within it the same signature is taken once. Default 5m, at most 1d.
    pub tolerance: Option<Period>,
    /// How many signatures are remembered so that none is taken twice. When all are within `tolerance`, further requests are
    /// refused with 503. Default 100000.
    pub replay_entries: Option<usize>,
    /// Roles of the principal. Default none.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Scopes of the principal. Default none.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// Formats that are known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookFormat {
    /// `X-Hub-Signature-256: sha256=…` over the body. No moment is signed.
    Github,
    /// `Stripe-Signature: t=…,v1=…` over `{timestamp}.{body}`.
    Stripe,
    /// `X-Slack-Signature: v0=…` over `v0:{timestamp}:{body}`, with the moment in `X-Slack-Request-Timestamp`.
    Slack,
    /// Standard Webhooks: `webhook-signature: v1,…` over `{header:webhook-id}.{timestamp}.{body}`.
    Standard,
}

/// How a secret is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretEncoding {
    /// As it is.
    Text,
    /// In base64, after `whsec_` or not.
    Base64,
}

/// What separates items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Separator {
    /// A comma.
    #[serde(rename = ",")]
    Comma,
    /// A space.
    #[serde(rename = " ")]
    Space,
}

/// The hash of an HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HmacAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignatureEncoding {
    /// In hexadecimal digits.
    Hex,
    /// In base64 with padding.
    Base64,
}

/// Where a moment stands.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawTimestamp {
    /// In a header of its own.
    Header(String),
    /// In the header of the signature, in the item that begins so: `t=`.
    Item(String),
}
