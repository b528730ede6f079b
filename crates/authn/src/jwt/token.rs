//! The form of a token: three parts of base64url, of which the first says how the last was made.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_oidc::{Algorithm, Candidates, KeySet};
use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::json;

/// Headers that bring a key or say where to get one (RFC 7515 sections 4.1.2, 4.1.3, 4.1.5).
const KEY_HEADERS: [&str; 3] = ["jwk", "jku", "x5u"];

/// A token whose header is acceptable. Nothing is verified.
pub(crate) struct Token<'t> {
    /// What the signature is over: the first two parts with the dot between them.
    signed: Cow<'t, [u8]>,
    signature: Vec<u8>,
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
    /// `typ` in lower case and without `application/`; `jwt` if there is none.
    pub(crate) kind: String,
    payload: &'t [u8],
}

/// What a JSON Web Signature consists of, in either serialisation; each part but `unprotected` in base64url.
pub(crate) struct Parts<'t> {
    /// The header that is signed; empty if there is none.
    pub(crate) protected: &'t [u8],
    /// The header that is not (RFC 7515 section 7.2.1).
    pub(crate) unprotected: Map<String, Value>,
    pub(crate) payload: &'t [u8],
    pub(crate) signature: &'t [u8],
    /// The first and the third with a dot between them.
    pub(crate) signed: Cow<'t, [u8]>,
}

impl<'t> Token<'t> {
    /// Reads the compact serialisation (RFC 7515 section 7.1).
    pub(crate) fn parse(text: &'t [u8]) -> Result<Self, Fault> {
        let cause = || if is_encrypted(text) { "encrypted" } else { "malformed" };
        Self::from_parts(Parts::of_compact(text).ok_or_else(|| Fault::token(cause()))?)
    }

    /// Looks at the header: both of its halves, which say nothing twice (RFC 7515 section 7.2.1).
    pub(crate) fn from_parts(parts: Parts<'t>) -> Result<Self, Fault> {
        let malformed = Fault::token("malformed");
        let mut header = parts.unprotected;
        if !parts.protected.is_empty() || header.is_empty() {
            for (name, value) in
                decode(parts.protected).and_then(|header| json::object(&header)).ok_or(malformed)?
            {
                if header.insert(name, value).is_some() {
                    return Err(malformed);
                }
            }
        }
        if header.contains_key("crit") {
            return Err(Fault::token("critical_header"));
        }
        if KEY_HEADERS.iter().any(|name| header.contains_key(*name)) {
            return Err(Fault::token("key_in_header"));
        }
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(Algorithm::from_name);
        Ok(Self {
            signed: parts.signed,
            signature: decode(parts.signature).ok_or(malformed)?,
            algorithm: algorithm.ok_or(Fault::token("algorithm"))?,
            key_id: text_member(&header, "kid")?.map(str::to_owned),
            kind: media_type(text_member(&header, "typ")?.unwrap_or("JWT")),
            payload: parts.payload,
        })
    }

    /// Whether one of `keys` made the signature.
    pub(crate) fn verify(&self, keys: &KeySet) -> Result<(), Fault> {
        let key_id = self.key_id.as_deref();
        match keys.lookup(key_id, self.algorithm) {
            Candidates::UnknownId => Err(Fault::UNKNOWN_KEY),
            Candidates::WrongAlgorithm => Err(Fault::token("algorithm")),
            Candidates::Some if keys.verify(key_id, self.algorithm, &self.signed, &self.signature) => Ok(()),
            Candidates::Some => Err(Fault::token("signature")),
        }
    }

    /// What was signed, whatever it is.
    pub(crate) fn content(&self) -> Result<Vec<u8>, Fault> {
        decode(self.payload).ok_or(Fault::token("malformed"))
    }

    /// The claims, as yet nobody's word.
    pub(crate) fn claims(&self) -> Result<Map<String, Value>, Fault> {
        json::object(&self.content()?).ok_or(Fault::token("malformed"))
    }
}

impl<'t> Parts<'t> {
    /// Those of the compact serialisation (RFC 7515 section 7.1).
    pub(crate) fn of_compact(text: &'t [u8]) -> Option<Self> {
        let mut parts = text.split(|&byte| byte == b'.');
        let (protected, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let signed = text.get(..protected.len() + 1 + payload.len())?.into();
        Some(Self { protected, unprotected: Map::new(), payload, signature, signed })
    }
}

/// Whether this looks like an encrypted token (RFC 7516 section 9): five parts, and a header that names how the content is encrypted.
fn is_encrypted(text: &[u8]) -> bool {
    let mut parts = text.split(|&byte| byte == b'.');
    let header = parts.next().and_then(decode).and_then(|header| json::object(&header));
    parts.count() == 4 && header.is_some_and(|header| header.contains_key("enc"))
}

/// A media type as it is compared (RFC 7515 section 4.1.9): without case, `application/` left out.
pub(crate) fn media_type(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    match name.strip_prefix("application/") {
        Some(rest) if !rest.contains('/') => rest.to_owned(),
        _ => name,
    }
}

/// No padding, no line breaks, and no bits left over at the end.
pub(crate) fn decode(part: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

fn text_member<'h>(header: &'h Map<String, Value>, name: &str) -> Result<Option<&'h str>, Fault> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Fault::token("malformed")),
    }
}
