//! One proof: what it says, once its own key has verified that it says so.

use portcullis_core::Timestamp;
use portcullis_oidc::{Algorithm, ShownKey};
use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::json;
use crate::jwt::claims::numeric_date;
use crate::jwt::{Parts, decode, media_type};

/// The longest proof: one with an RSA key of 8192 bits has some 3 KiB.
const LONGEST: usize = 8 << 10;
/// The longest `jti`: 128 bits need 22 characters.
const LONGEST_ID: usize = 256;

/// What a proof says.
#[derive(Debug)]
pub(super) struct Proof {
    /// The thumbprint of the key that signed it.
    pub(super) thumbprint: String,
    /// `jti`.
    pub(super) id: String,
    /// `htm`.
    pub(super) method: String,
    /// `htu`.
    pub(super) url: String,
    /// `iat`.
    pub(super) issued: Timestamp,
    /// `ath`.
    pub(super) token_hash: Option<String>,
    pub(super) nonce: Option<String>,
}

impl Proof {
    /// Reads a proof and verifies it by the key that it shows (RFC 9449 sections 4.2 and 4.3, 1 to 7).
    pub(super) fn verify(text: &[u8], algorithms: &[Algorithm]) -> Result<Self, Fault> {
        let malformed = Fault::proof("proof_malformed");
        if text.len() > LONGEST {
            return Err(malformed);
        }
        let Parts { protected, payload, signature, signed, .. } = Parts::of_compact(text).ok_or(malformed)?;
        let signature = decode(signature).ok_or(malformed)?;
        let mut header = object(protected).ok_or(malformed)?;
        if header.contains_key("crit") {
            return Err(malformed);
        }
        let kind = header.get("typ").and_then(Value::as_str).map(media_type);
        if kind.as_deref() != Some("dpop+jwt") {
            return Err(Fault::proof("proof_type"));
        }
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(Algorithm::from_name);
        let algorithm = algorithm.filter(|algorithm| algorithms.contains(algorithm));
        let algorithm = algorithm.ok_or(Fault::proof("proof_algorithm"))?;
        let shown = header.remove("jwk").ok_or(Fault::proof("proof_key"))?;
        let ShownKey { key, thumbprint } = ShownKey::parse(shown).map_err(|_| Fault::proof("proof_key"))?;
        key.verify(algorithm, &signed, &signature).map_err(|_| Fault::proof("proof_signature"))?;
        let claims = object(payload).ok_or(malformed)?;
        Self::of(&claims, thumbprint).ok_or(malformed)
    }

    fn of(claims: &Map<String, Value>, thumbprint: String) -> Option<Self> {
        let text = |name| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        let optional = |name| match claims.get(name) {
            None => Some(None),
            Some(value) => value.as_str().map(|text| Some(text.to_owned())),
        };
        Some(Self {
            thumbprint,
            id: text("jti").filter(|id| (1..=LONGEST_ID).contains(&id.len()))?,
            method: text("htm")?,
            url: text("htu")?,
            issued: claims.get("iat").and_then(numeric_date)?,
            token_hash: optional("ath")?,
            nonce: optional("nonce")?,
        })
    }
}

fn object(part: &[u8]) -> Option<Map<String, Value>> {
    json::object(&decode(part)?)
}
