//! DPoP: a caller proves with each request that it holds the key to which its token is bound (RFC 9449).
//!
//! The proof is a token of its own, in the header `DPoP`: signed by that key, for this method and this URL, now, and once. Which
//! proofs were taken is remembered for as long as they would be accepted.

mod compile;
mod nonce;
mod proof;
mod raw;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderName, Uri};
use portcullis_core::target::TargetRules;
use portcullis_core::{Digest, Head, Target, Timestamp};
use portcullis_oidc::Algorithm;

pub use raw::{RawDpop, RawNonce};

use crate::fault::Fault;
use crate::replay::{ReplayTable, digest_of};
use nonce::Nonces;
use proof::Proof;

/// The header with the proof.
const DPOP: HeaderName = HeaderName::from_static("dpop");
/// How far a caller's clock may be ahead.
const AHEAD: Duration = Duration::from_secs(30);

/// Which proofs are taken.
#[derive(Debug)]
pub(crate) struct Dpop {
    algorithms: Vec<Algorithm>,
    lifetime: Duration,
    nonces: Option<Nonces>,
    taken: Arc<ReplayTable>,
}

impl Dpop {
    /// Whether the request proves possession of the key with this thumbprint, for this token (RFC 9449 section 4.3).
    pub(crate) fn check(&self, head: &Head<'_>, token: &[u8], thumbprint: &str) -> Result<(), Fault> {
        let mut fields = head.headers.get_all(&DPOP).iter();
        let field = fields.next().ok_or(Fault::proof("proof_missing"))?;
        if fields.next().is_some() {
            return Err(Fault::proof("proof_repeated"));
        }
        let proof = Proof::verify(field.as_bytes(), &self.algorithms)?;
        if proof.thumbprint != thumbprint {
            return Err(Fault::token("bound_to_another"));
        }
        if proof.method != head.method.as_str() {
            return Err(Fault::proof("proof_method"));
        }
        if !is_for_url(&proof.url, head) {
            return Err(Fault::proof("proof_url"));
        }
        let of_token = BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, token));
        if proof.token_hash.as_deref() != Some(of_token.as_str()) {
            return Err(Fault::proof("proof_token"));
        }
        if let Some(nonces) = &self.nonces
            && !proof.nonce.as_deref().is_some_and(|nonce| nonces.is_current(nonce, head.now))
        {
            return Err(Fault::USE_DPOP_NONCE);
        }
        let ends = proof.issued.plus(self.lifetime);
        if head.now >= ends || proof.issued > head.now.plus(AHEAD) {
            return Err(Fault::proof("proof_time"));
        }
        self.taken.take(proof.once(), ends, head.now).map_err(Fault::of_proof)
    }

    /// A nonce for a caller that needs one.
    pub(crate) fn nonce(&self, now: Timestamp) -> Option<String> {
        self.nonces.as_ref().map(|nonces| nonces.at(now))
    }

    /// The names of the algorithms, for challenges (RFC 9449 section 7.1).
    pub(crate) fn algorithms(&self) -> impl Iterator<Item = &'static str> {
        self.algorithms.iter().map(|algorithm| algorithm.name())
    }
}

impl Proof {
    /// What stands for this proof among those that were taken: its key and its `jti`, so that nobody can use up the `jti` of another.
    fn once(&self) -> Digest {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(self.thumbprint.as_bytes());
        context.update(b".");
        context.update(self.id.as_bytes());
        digest_of(context.finish().as_ref())
    }
}

/// Whether `url` is that of the request, without query and fragment, in any spelling (RFC 9449 section 4.3, RFC 3986 section 6.2).
fn is_for_url(url: &str, head: &Head<'_>) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let (Some(given), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return false };
    let usual = head.peer.usual_port();
    let asked_port = head.port.unwrap_or(usual);
    let port = authority.port_u16().unwrap_or(usual);
    let host = authority.host().strip_suffix('.').unwrap_or(authority.host());
    given.eq_ignore_ascii_case(head.peer.scheme())
        && !authority.as_str().contains('@')
        && host.eq_ignore_ascii_case(head.host)
        && port == asked_port
        && is_same_path(uri.path(), head.target.path())
}

fn is_same_path(given: &str, path: &str) -> bool {
    given == path || Target::parse(given, &TargetRules::default()).is_ok_and(|target| target.path() == path)
}
