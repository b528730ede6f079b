//! Signed requests, as they are written.

use portcullis_core::{Period, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::method::USUALLY_REMEMBERED;

/// Those who sign their requests (RFC 9421).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawMessageSignatures {
    /// The name by which routes refer to this method.
    pub name: String,
    /// Keys, and whose they are.
    pub keys: Vec<RawSignatureKey>,
    /// What a signature must be over: header fields in small letters, and `@method`, `@target-uri`, `@authority`, `@scheme`,
    /// `@request-target`, `@path`, `@query`. Default `@method`, `@authority`, `@path`, `@query`.
    #[serde(default = "default_required")]
    pub required: Vec<String>,
    /// Whether a body must be covered by its digest (`Content-Digest`, RFC 9530). Default `true`.
    #[serde(default = "yes")]
    pub require_digest: bool,
    /// How old a signature may be, by its `created`. Default 5m, at most 24h.
    #[serde(default = "default_tolerance")]
    pub tolerance: Period,
    /// The `tag` that a signature must have. Default any.
    pub tag: Option<String>,
    /// How many signatures are remembered so that none passes twice; when there are more at a time, the answer is 503. Default
    /// 1000000.
    #[serde(default = "default_remembered")]
    pub remembered: usize,
}

/// A key of somebody who signs.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawSignatureKey {
    /// The `keyid` of signatures, and the name of the signer.
    pub id: String,
    /// What it signs with.
    pub algorithm: SignatureAlgorithm,
    /// A PEM file with the public key.
    pub pem: Option<String>,
    /// The secret, for `hmac-sha256`: at least 32 bytes.
    pub secret: Option<Secret>,
}

/// What signatures are made with (RFC 9421 section 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum SignatureAlgorithm {
    /// EdDSA with Curve25519.
    #[serde(rename = "ed25519")]
    Ed25519,
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ecdsa-p256-sha256")]
    EcdsaP256Sha256,
    /// ECDSA with P-384 and SHA-384.
    #[serde(rename = "ecdsa-p384-sha384")]
    EcdsaP384Sha384,
    /// RSASSA-PSS with SHA-512.
    #[serde(rename = "rsa-pss-sha512")]
    RsaPssSha512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "rsa-v1_5-sha256")]
    RsaV15Sha256,
    /// HMAC with SHA-256.
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
}

fn default_required() -> Vec<String> {
    ["@method", "@authority", "@path", "@query"].map(str::to_owned).to_vec()
}

const fn yes() -> bool {
    true
}

const fn default_tolerance() -> Period {
    Period::secs(300)
}

const fn default_remembered() -> usize {
    USUALLY_REMEMBERED
}

impl RawMessageSignatures {
    /// The header fields by which requests are judged.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        let of_body = self.require_digest.then_some(super::CONTENT_DIGEST);
        self.required.iter().map(String::as_str).filter(|name| !name.starts_with('@')).chain(of_body)
    }
}
