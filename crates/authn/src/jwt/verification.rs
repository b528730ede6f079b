//! One token, verified by hand: what the gateway would say of it, without a gateway.

use std::borrow::Cow;

use portcullis_core::Timestamp;
use portcullis_oidc::{Algorithm, KeySet};
use serde_json::{Map, Value};

use super::compile::LARGEST_TOKEN;
use super::token::{Parts, Token, media_type};
use super::{claims, raw};
use crate::fault::Fault;
use crate::json;

/// The most signatures of one token: each costs a verification.
const MAX_SIGNATURES: usize = 8;

/// By what a token is verified; for the rest, what methods of the configuration have unless they say otherwise.
#[derive(Debug)]
pub struct Verification {
    /// The keys, each of which is for the algorithms of its kind alone.
    pub keys: KeySet,
    /// The only algorithm that is accepted; `None` for every algorithm that a key permits.
    pub algorithm: Option<Algorithm>,
    /// The issuer that the token must name.
    pub issuer: Option<String>,
    /// The audience that the token must be for.
    pub audience: Option<String>,
    /// Whether nothing but the signature is looked at, whatever is signed.
    pub signature_only: bool,
}

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The claims of a token.
    Claims(Map<String, Value>),
    /// Something else.
    Bytes(Vec<u8>),
}

/// Why a token does not verify: the word that the record of a request has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unverified(pub &'static str);

impl Verification {
    /// What the token `text` says, if it is to be believed. Reads the compact and both JSON serialisations (RFC 7515
    /// section 7), of which requests may only bring the first.
    ///
    /// # Errors
    /// [`Unverified`].
    pub fn verify(&self, text: &[u8], now: Timestamp) -> Result<Content, Unverified> {
        self.check(text, now).map_err(|fault| Unverified(fault.cause))
    }

    fn check(&self, text: &[u8], now: Timestamp) -> Result<Content, Fault> {
        if text.len() as u64 > LARGEST_TOKEN.0 {
            return Err(Fault::token("too_long"));
        }
        if text.first() != Some(&b'{') {
            let token = Token::parse(text)?;
            self.check_signature(&token)?;
            return self.content(&token, now);
        }
        let serialised = Serialised::parse(text)?;
        let mut verified = None;
        for parts in serialised.parts() {
            let token = Token::from_parts(parts)?;
            match self.check_signature(&token) {
                Ok(()) => verified = Some(token),
                // Of several signers one need not know them all; but whom one knows must have signed.
                Err(Fault::UNKNOWN_KEY) if serialised.signatures.len() > 1 => {}
                Err(fault) => return Err(fault),
            }
        }
        self.content(&verified.ok_or(Fault::UNKNOWN_KEY)?, now)
    }

    fn check_signature(&self, token: &Token<'_>) -> Result<(), Fault> {
        if self.algorithm.is_some_and(|only| only != token.algorithm) {
            return Err(Fault::token("algorithm"));
        }
        token.verify(&self.keys)
    }

    fn content(&self, token: &Token<'_>, now: Timestamp) -> Result<Content, Fault> {
        if self.signature_only {
            let content = token.content()?;
            return Ok(json::object(&content).map_or(Content::Bytes(content), Content::Claims));
        }
        if !raw::default_types().iter().any(|accepted| media_type(accepted) == token.kind) {
            return Err(Fault::token("type"));
        }
        let claims = token.claims()?;
        if let Some(issuer) = &self.issuer {
            claims::is_from(&claims, issuer)?;
        }
        if let Some(audience) = &self.audience {
            claims::is_for(&claims, std::slice::from_ref(audience))?;
        }
        claims::subject(&claims)?;
        claims::check_times(&claims, raw::default_leeway().0, now)?;
        Ok(Content::Claims(claims))
    }
}

/// A token in one of the JSON serialisations: flattened is general with one signature.
struct Serialised {
    payload: String,
    signatures: Vec<Signature>,
}

struct Signature {
    protected: String,
    unprotected: Map<String, Value>,
    signature: String,
}

impl Serialised {
    fn parse(text: &[u8]) -> Result<Self, Fault> {
        let malformed = Fault::token("malformed");
        let mut members = json::object(text).ok_or(malformed)?;
        if members.contains_key("ciphertext") {
            return Err(Fault::token("encrypted"));
        }
        let Some(Value::String(payload)) = members.remove("payload") else { return Err(malformed) };
        let signatures = match members.remove("signatures") {
            None => vec![Signature::parse(members)?],
            // RFC 7515 section 7.2.2: the flattened form has no `signatures`, the general one none of its members.
            Some(_)
                if ["signature", "protected", "header"].iter().any(|name| members.contains_key(*name)) =>
            {
                return Err(malformed);
            }
            Some(Value::Array(list)) if (1..=MAX_SIGNATURES).contains(&list.len()) => list
                .into_iter()
                .map(|one| if let Value::Object(one) = one { Signature::parse(one) } else { Err(malformed) })
                .collect::<Result<_, _>>()?,
            Some(_) => return Err(malformed),
        };
        Ok(Self { payload, signatures })
    }

    fn parts(&self) -> impl Iterator<Item = Parts<'_>> {
        self.signatures.iter().map(|one| Parts {
            protected: one.protected.as_bytes(),
            unprotected: one.unprotected.clone(),
            payload: self.payload.as_bytes(),
            signature: one.signature.as_bytes(),
            signed: Cow::Owned([one.protected.as_bytes(), b".", self.payload.as_bytes()].concat()),
        })
    }
}

impl Signature {
    fn parse(mut members: Map<String, Value>) -> Result<Self, Fault> {
        let malformed = Fault::token("malformed");
        let protected = match members.remove("protected") {
            None => String::new(),
            // RFC 7515 section 7.2.1: present only if it is not empty.
            Some(Value::String(protected)) if !protected.is_empty() => protected,
            Some(_) => return Err(malformed),
        };
        let unprotected = match members.remove("header") {
            None => Map::new(),
            Some(Value::Object(header)) if !header.is_empty() => header,
            Some(_) => return Err(malformed),
        };
        let Some(Value::String(signature)) = members.remove("signature") else { return Err(malformed) };
        Ok(Self { protected, unprotected, signature })
    }
}
