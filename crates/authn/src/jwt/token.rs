//! The form of a token: three parts of base64url, of which the first says how the last was made.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_oidc::Algorithm;
use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::json;

/// Headers that bring a key or say where to get one (RFC 7515 sections 4.1.2, 4.1.3, 4.1.5).
const KEY_HEADERS: [&str; 3] = ["jwk", "jku", "x5u"];

/// A token in compact serialisation (RFC 7515 section 7.1) whose header is acceptable. Nothing is verified.
pub(crate) struct Token<'t> {
    /// What the signature is over: the first two parts with the dot between them.
    pub(crate) signed: &'t [u8],
    pub(crate) signature: Vec<u8>,
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
    /// `typ` in lower case and without `application/`; `jwt` if there is none.
    pub(crate) kind: String,
    text: &'t [u8],
    payload: &'t [u8],
}

impl<'t> Token<'t> {
    pub(crate) fn parse(text: &'t [u8]) -> Result<Self, Fault> {
        let malformed = Fault::token("malformed");
        let mut parts = text.split(|&byte| byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed);
        };
        let signed = text.get(..header.len() + 1 + payload.len()).ok_or(malformed)?;
        let header = decode(header).and_then(|header| json::object(&header)).ok_or(malformed)?;
        if header.contains_key("crit") {
            return Err(Fault::token("critical_header"));
        }
        if KEY_HEADERS.iter().any(|name| header.contains_key(*name)) {
            return Err(Fault::token("key_in_header"));
        }
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(Algorithm::from_name);
        Ok(Self {
            signed,
            signature: decode(signature).ok_or(malformed)?,
            algorithm: algorithm.ok_or(Fault::token("algorithm"))?,
            key_id: text_member(&header, "kid")?.map(str::to_owned),
            kind: media_type(text_member(&header, "typ")?.unwrap_or("JWT")),
            text,
            payload,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// The claims, as yet nobody's word.
    pub(crate) fn claims(&self) -> Result<Map<String, Value>, Fault> {
        decode(self.payload).and_then(|claims| json::object(&claims)).ok_or(Fault::token("malformed"))
    }
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
fn decode(part: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

fn text_member<'h>(header: &'h Map<String, Value>, name: &str) -> Result<Option<&'h str>, Fault> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Fault::token("malformed")),
    }
}
