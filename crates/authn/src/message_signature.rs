//! HTTP message signatures (RFC 9421): requests signed by the key of whoever sends them, bodies by their digest (RFC 9530).
//!
//! A signature says itself what it is over, so the configuration says what it must be over. The body comes last: only of a request
//! whose signature is right is it read and its digest compared. A signature is taken once.

mod base;
mod compile;
mod digest;
mod raw;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use portcullis_core::{Head, Principal, Timestamp};
use portcullis_oidc::{Algorithm, VerifyingKey};
use sfv::{BareItem, Dictionary, InnerList, ListEntry, Parameters, Parser};

pub use raw::{RawMessageSignatures, RawSignatureKey, SignatureAlgorithm};

use crate::fault::{Failure, Fault};
use crate::replay::{ReplayTable, digest_of};
use base::Component;

const SIGNATURE: HeaderName = HeaderName::from_static("signature");
const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
const CONTENT_DIGEST: &str = "content-digest";
/// How long both fields may be together with all their lines, and how many signatures and components are looked at.
const LONGEST_FIELD: usize = 16 << 10;
const MOST_SIGNATURES: usize = 8;
const MOST_COMPONENTS: usize = 64;
/// How far a sender's clock may be ahead.
const AHEAD: Duration = Duration::from_secs(30);

/// Those who sign their requests.
#[derive(Debug)]
pub(crate) struct MessageSignatureMethod {
    keys: Vec<Signer>,
    required: Vec<Component>,
    requires_digest: bool,
    tolerance: Duration,
    tag: Option<String>,
    taken: Arc<ReplayTable>,
}

/// A key and whose it is.
#[derive(Debug)]
struct Signer {
    id: String,
    algorithm: SignatureAlgorithm,
    key: VerifyingKey,
    principal: Arc<Principal>,
}

impl MessageSignatureMethod {
    /// The header by which a signed request is known.
    pub(crate) const fn header() -> HeaderName {
        SIGNATURE_INPUT
    }

    /// The signer of a request; `None` without a signature.
    pub(crate) fn authenticate(&self, head: &Head<'_>) -> Result<Option<Arc<Principal>>, Failure> {
        if !head.headers.contains_key(SIGNATURE_INPUT) {
            return Ok(None);
        }
        let inputs = dictionary(head.headers, &SIGNATURE_INPUT)?;
        let signatures = dictionary(head.headers, &SIGNATURE)?;
        let (label, input, signer) = self.choose(&inputs)?;
        let signature = match signatures.get(label) {
            Some(ListEntry::Item(item)) => item.bare_item.as_byte_sequence(),
            _ => None,
        };
        let signature = signature.ok_or(Fault::signature("no_signature"))?;
        let components = components(input)?;
        if !self.required.iter().all(|needed| components.contains(needed)) {
            return Err(Fault::signature("component_not_covered").into());
        }
        let ends = self.end_of(&input.params, head.now)?;
        let base = base::of(&components, input, head)?;
        let verified = signer.key.verify(signer.algorithm.as_jose(), base.as_bytes(), signature);
        verified.map_err(|_| Fault::signature("wrong_signature"))?;
        self.check_body(&components, head)?;
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, base.as_bytes());
        self.taken.take(digest_of(hash.as_ref()), ends, head.now).map_err(Fault::of_signature)?;
        Ok(Some(Arc::clone(&signer.principal)))
    }

    /// The one signature by a key of ours. Others are somebody else's matter (RFC 9421 section 4.3).
    fn choose<'s, 'i>(
        &'s self,
        inputs: &'i Dictionary,
    ) -> Result<(&'i str, &'i InnerList, &'s Signer), Fault> {
        if inputs.len() > MOST_SIGNATURES {
            return Err(Fault::signature("too_many_signatures"));
        }
        let mut ours = inputs.iter().filter_map(|(label, entry)| {
            let ListEntry::InnerList(input) = entry else { return None };
            let text = |name: &str| text_of(&input.params, name);
            let signer = self.keys.iter().find(|signer| text("keyid") == Some(signer.id.as_str()))?;
            (self.tag.is_none() || text("tag") == self.tag.as_deref()).then_some((
                label.as_str(),
                input,
                signer,
            ))
        });
        let first = ours.next().ok_or(Fault::signature("unknown_key"))?;
        if ours.next().is_some() {
            return Err(Fault::signature("several_signatures"));
        }
        let (_, input, signer) = first;
        // RFC 9421 section 3.2: the algorithm belongs to the key, and must not be another in the signature.
        match input.params.get("alg").map(|name| name.as_string().map(sfv::StringRef::as_str)) {
            None => Ok(first),
            Some(Some(name)) if name == signer.algorithm.name() => Ok(first),
            Some(_) => Err(Fault::signature("algorithm")),
        }
    }

    /// Until when the signature is taken.
    fn end_of(&self, params: &Parameters, now: Timestamp) -> Result<Timestamp, Fault> {
        let moment = |name: &str| match params.get(name) {
            None => Ok(None),
            Some(value) => {
                let seconds = value.as_integer().and_then(|seconds| u64::try_from(i64::from(seconds)).ok());
                seconds
                    .map(|seconds| Some(Timestamp::from_secs(seconds)))
                    .ok_or(Fault::signature("malformed"))
            }
        };
        let created = moment("created")?.ok_or(Fault::signature("no_moment"))?;
        let expires = moment("expires")?;
        let latest = created.plus(self.tolerance);
        let ends = expires.map_or(latest, |expires| expires.min(latest));
        if created > now.plus(AHEAD) || now >= ends {
            return Err(Fault::signature("out_of_time"));
        }
        Ok(ends)
    }

    /// Whether the body is the one that was signed. One that nobody signed is refused, if there is any of it.
    fn check_body(&self, components: &[Component], head: &Head<'_>) -> Result<(), Failure> {
        let is_covered = components.iter().any(|component| component.is_field(CONTENT_DIGEST));
        if !is_covered && !self.requires_digest {
            return Ok(());
        }
        let body = head.body.ok_or(Failure::NeedsBody)?;
        if is_covered {
            Ok(digest::check(&dictionary(head.headers, &HeaderName::from_static(CONTENT_DIGEST))?, body)?)
        } else if body.is_empty() {
            Ok(())
        } else {
            Err(Fault::signature("body_not_covered").into())
        }
    }
}

fn text_of<'p>(params: &'p Parameters, name: &str) -> Option<&'p str> {
    params.get(name).and_then(BareItem::as_string).map(sfv::StringRef::as_str)
}

/// A dictionary field (RFC 9651 section 3.2), all its lines together.
fn dictionary(headers: &HeaderMap, name: &HeaderName) -> Result<Dictionary, Fault> {
    let malformed = Fault::signature("malformed");
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(http::HeaderValue::as_bytes).collect();
    let text = lines.join(&b", "[..]);
    if text.len() > LONGEST_FIELD {
        return Err(malformed);
    }
    Parser::new(&text).parse().map_err(|_| malformed)
}

/// What a signature is over; nothing twice (RFC 9421 section 2).
fn components(input: &InnerList) -> Result<Vec<Component>, Fault> {
    if input.items.len() > MOST_COMPONENTS {
        return Err(Fault::signature("too_many_components"));
    }
    let mut components: Vec<Component> = Vec::with_capacity(input.items.len());
    for item in &input.items {
        let component = Component::of(item).ok_or(Fault::signature("component"))?;
        if components.contains(&component) {
            return Err(Fault::signature("component"));
        }
        components.push(component);
    }
    Ok(components)
}

impl SignatureAlgorithm {
    /// The same algorithm by the name that JOSE has for it: both sign the same bytes in the same form.
    const fn as_jose(self) -> Algorithm {
        match self {
            Self::Ed25519 => Algorithm::EdDsa,
            Self::EcdsaP256Sha256 => Algorithm::Es256,
            Self::EcdsaP384Sha384 => Algorithm::Es384,
            Self::RsaPssSha512 => Algorithm::Ps512,
            Self::RsaV15Sha256 => Algorithm::Rs256,
            Self::HmacSha256 => Algorithm::Hs256,
        }
    }

    /// Its name (RFC 9421 section 6.2.2).
    const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::EcdsaP384Sha384 => "ecdsa-p384-sha384",
            Self::RsaPssSha512 => "rsa-pss-sha512",
            Self::RsaV15Sha256 => "rsa-v1_5-sha256",
            Self::HmacSha256 => "hmac-sha256",
        }
    }
}
