//! Webhooks: requests signed by HMAC with a secret that both sides know (RFC 2104), in the formats that senders have.
//!
//! What can be refused by the head is refused before the body is read: a header that is no signature, a moment that is out of
//! bounds. Then the driver is asked for the body. Every signature of the header is compared with that of every secret, in
//! constant time. A signature with a moment is taken once.

mod compile;
mod raw;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderName;
use portcullis_core::{Digest, Head, Principal, Timestamp};
use smallvec::SmallVec;

pub use raw::{
    HmacAlgorithm, RawTimestamp, RawWebhook, SecretEncoding, Separator, SignatureEncoding, WebhookFormat,
};

use crate::fault::{Failure, Fault};
use crate::hexadecimal::from_hexadecimal;
use crate::replay::{ReplayTable, digest_of};
use crate::template::{Piece, Template};

/// How many items of a header are looked at: each costs a comparison.
const MOST_ITEMS: usize = 16;

/// A sender of webhooks.
#[derive(Debug)]
pub(crate) struct WebhookMethod {
    header: HeaderName,
    separator: Option<Separator>,
    prefix: String,
    encoding: SignatureEncoding,
    signed: Template<Part>,
    moment: Option<Moment>,
    tolerance: Duration,
    replays: Arc<ReplayTable>,
    keys: Vec<hmac::Key>,
    principal: Arc<Principal>,
}

/// Where the moment of a signature stands.
#[derive(Debug)]
enum Moment {
    Header(HeaderName),
    /// In an item of the header of the signature, after this.
    Item(String),
}

/// A part of what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Body,
    Timestamp,
    Method,
    Target,
    Header(HeaderName),
}

impl Part {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "body" => Self::Body,
            "timestamp" => Self::Timestamp,
            "method" => Self::Method,
            "target" => Self::Target,
            _ => Self::Header(HeaderName::from_bytes(name.strip_prefix("header:")?.as_bytes()).ok()?),
        })
    }
}

impl WebhookMethod {
    pub(crate) const fn header(&self) -> &HeaderName {
        &self.header
    }

    /// The sender of a request that it has signed; `None` without a signature.
    pub(crate) fn authenticate(&self, head: &Head<'_>) -> Result<Option<Arc<Principal>>, Failure> {
        let Some(value) = head.single(&self.header).map_err(|_| Fault::AMBIGUOUS)? else { return Ok(None) };
        let value = value.to_str().map_err(|_| Fault::signature("malformed"))?;
        let signatures = self.signatures(value)?;
        let moment = self.moment(head, value)?;
        let ends = match &moment {
            Some((seconds, _)) => Some(self.end_of(*seconds, head.now)?),
            None => None,
        };
        let body = head.body.ok_or(Failure::NeedsBody)?;
        let text = moment.as_ref().map_or("", |(_, text)| *text);
        let message = self.verify(head, body, text, &signatures)?;
        if let Some(ends) = ends {
            self.replays.take(message, ends, head.now).map_err(Fault::of_signature)?;
        }
        Ok(Some(Arc::clone(&self.principal)))
    }

    /// The items of the header that are signatures, decoded.
    fn signatures(&self, value: &str) -> Result<SmallVec<[Vec<u8>; 2]>, Fault> {
        let mut found = SmallVec::new();
        for (index, item) in self.items(value).enumerate() {
            if index == MOST_ITEMS {
                return Err(Fault::signature("too_many_signatures"));
            }
            let Some(text) = item.strip_prefix(self.prefix.as_str()) else { continue };
            let signature = match self.encoding {
                SignatureEncoding::Hex => from_hexadecimal(text),
                SignatureEncoding::Base64 => BASE64_STANDARD.decode(text).ok(),
            };
            found.push(signature.filter(|it| !it.is_empty()).ok_or(Fault::signature("malformed"))?);
        }
        if found.is_empty() { Err(Fault::signature("no_signature")) } else { Ok(found) }
    }

    fn items<'v>(&self, value: &'v str) -> impl Iterator<Item = &'v str> {
        let separator = match self.separator {
            Some(Separator::Comma) => ',',
            Some(Separator::Space) => ' ',
            // No header has it.
            None => '\0',
        };
        value.split(separator).map(|item| item.trim_matches(' '))
    }

    /// The moment of the signature, in seconds since 1970 and as it is written.
    fn moment<'r>(&self, head: &Head<'r>, value: &'r str) -> Result<Option<(u64, &'r str)>, Fault> {
        let text = match &self.moment {
            None => return Ok(None),
            Some(Moment::Header(name)) => {
                let value = head.single(name).map_err(|_| Fault::AMBIGUOUS)?;
                value.and_then(|value| value.to_str().ok())
            }
            Some(Moment::Item(prefix)) => {
                let mut items = self.items(value).filter_map(|item| item.strip_prefix(prefix.as_str()));
                let first = items.next();
                if items.next().is_some() {
                    return Err(Fault::AMBIGUOUS);
                }
                first
            }
        };
        let text = text.ok_or(Fault::signature("timestamp_missing"))?;
        let is_plain = (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = text.parse().ok().filter(|_| is_plain);
        Ok(Some((seconds.ok_or(Fault::signature("malformed_timestamp"))?, text)))
    }

    /// Until when a signature of this moment holds.
    fn end_of(&self, seconds: u64, now: Timestamp) -> Result<Timestamp, Fault> {
        let moment = Timestamp::from_secs(seconds);
        if moment > now.plus(self.tolerance) {
            return Err(Fault::signature("timestamp_ahead"));
        }
        // The whole second counts.
        let end = moment.plus(self.tolerance).plus(Duration::from_secs(1));
        if end <= now { Err(Fault::signature("timestamp_too_old")) } else { Ok(end) }
    }

    /// Compares each signature with that of each secret. Gives what stands for the message, whichever of its signatures were
    /// shown: who sends it again may leave some out.
    fn verify(
        &self,
        head: &Head<'_>,
        body: &[u8],
        timestamp: &str,
        signatures: &[Vec<u8>],
    ) -> Result<Digest, Fault> {
        let mut is_signed = false;
        let mut message = None;
        for key in &self.keys {
            let mut context = hmac::Context::with_key(key);
            for piece in &self.signed.pieces {
                match piece {
                    Piece::Text(text) => context.update(text.as_bytes()),
                    Piece::Part(Part::Body) => context.update(body),
                    Piece::Part(Part::Timestamp) => context.update(timestamp.as_bytes()),
                    Piece::Part(Part::Method) => context.update(head.method.as_str().as_bytes()),
                    Piece::Part(Part::Target) => {
                        context.update(head.target.as_path_and_query().as_str().as_bytes());
                    }
                    Piece::Part(Part::Header(name)) => {
                        let value = head.single(name).map_err(|_| Fault::AMBIGUOUS)?;
                        context.update(value.ok_or(Fault::signature("signed_header_missing"))?.as_bytes());
                    }
                }
            }
            let tag = context.sign();
            for signature in signatures {
                is_signed |= constant_time::verify_slices_are_equal(tag.as_ref(), signature).is_ok();
            }
            message.get_or_insert(digest_of(tag.as_ref()));
        }
        message.filter(|_| is_signed).ok_or(Fault::signature("wrong_signature"))
    }
}
