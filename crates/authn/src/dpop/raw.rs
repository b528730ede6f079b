//! Proofs of possession, as they are written.

use portcullis_core::{Period, Secret};
use portcullis_oidc::Algorithm;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::method::USUALLY_REMEMBERED;

/// Proofs of possession for tokens (RFC 9449). With this, tokens that name the key they are bound to (`cnf.jkt`) are taken with a
/// proof, and behind `Authorization: DPoP` alone.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawDpop {
    /// With what proofs may be signed. Default `ES256`, `ES384`, `ES512`, `EdDSA`, `PS256`, `RS256`.
    pub algorithms: Vec<Algorithm>,
    /// How old a proof may be. Default 60s, at most 10m.
    pub lifetime: Period,
    /// How many proofs are remembered so that none passes twice; when there are more at a time, requests with a proof get
    /// 503. Default 1000000.
    pub remembered: usize,
    /// Asks for a value of ours in each proof, so that none can be made ahead of time. Default none.
    pub nonce: Option<RawNonce>,
}

impl Default for RawDpop {
    fn default() -> Self {
        Self {
            algorithms: vec![
                Algorithm::Es256,
                Algorithm::Es384,
                Algorithm::Es512,
                Algorithm::EdDsa,
                Algorithm::Ps256,
                Algorithm::Rs256,
            ],
            lifetime: Period::secs(60),
            remembered: USUALLY_REMEMBERED,
            nonce: None,
        }
    }
}

/// A value of ours in proofs (RFC 9449 section 9).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawNonce {
    /// What they are made with: at least 32 bytes, the same for all gateways of a fleet. Default: made up at the start, for
    /// one gateway alone.
    pub secret: Option<Secret>,
    /// How long one serves. Default 5m.
    #[serde(default = "default_lifetime")]
    pub lifetime: Period,
}

const fn default_lifetime() -> Period {
    Period::secs(300)
}
