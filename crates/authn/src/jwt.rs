//! JSON Web Tokens: signed statements of an issuer about a caller (RFC 7519, RFC 8725, RFC 9068).
//!
//! What is refused beyond the RFCs' minimum, and why:
//! - Only compact serialisation, base64url without padding, and JSON in which no member appears twice: a token
//!   has one reading.
//! - `crit` (RFC 7515 section 4.1.11): no extension is understood here.
//! - A header with `jwk`, `jku` or `x5u`: keys come from the configuration and are never taken or fetched on a
//!   token's word. Ignoring them would do for the gateway, but not for a service behind it that believes them.
//!   `x5c` and `x5t` are ignored.
//! - A token without `exp` or `sub`: it would name nobody, or last for ever.
//! - A token with `cnf` (RFC 7800) that is bound to anything but the certificate of the connection (RFC 8705) or the key of a proof
//!   (RFC 9449): possession is not proved by sending it.

pub(crate) mod claims;
mod compile;
mod header;
mod raw;
mod step;
mod token;
mod verification;

use std::sync::Arc;
use std::time::Duration;

use portcullis_core::{Principal, Timestamp};
use portcullis_oidc::{Algorithm, Generation, KeySource};
use serde_json::{Map, Value};

pub use raw::{RawJwt, RawKeys};
pub use verification::{Content, Unverified, Verification};

use crate::fault::{Failure, Fault, Need};
use crate::method::MethodId;
use claims::ClaimRules;
pub(crate) use header::{Scheme, ShownToken, TokenHeader};
pub(crate) use step::JwtStep;
pub(crate) use token::{Parts, Token, decode, media_type};

/// One issuer whose tokens are accepted, and under which conditions.
#[derive(Debug)]
pub(crate) struct JwtMethod {
    id: MethodId,
    name: String,
    header: TokenHeader,
    max_token: usize,
    algorithms: Vec<Algorithm>,
    /// Accepted values of `typ`, in lower case and without `application/`.
    types: Vec<String>,
    keys: Arc<KeySource>,
    claims: ClaimRules,
}

/// The longest tolerance for clocks that disagree.
const MAX_LEEWAY: Duration = Duration::from_secs(300);

impl JwtMethod {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn header(&self) -> &TokenHeader {
        &self.header
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.claims.issuer
    }

    /// Whoever the token speaks of, and the generation of the keys that say so. The signature is checked
    /// before the claims are looked at.
    /// `length` is that of the whole token.
    pub(crate) fn verify(
        &self,
        token: &Token<'_>,
        length: usize,
        now: Timestamp,
    ) -> Result<(Principal, Generation), Failure> {
        if length > self.max_token {
            return Err(Fault::token("too_long").into());
        }
        let generation = self.verify_signature(token, now)?;
        let principal = self.claims.principal(token.claims()?, &self.name, now)?;
        Ok((principal, generation))
    }

    pub(crate) const fn keys(&self) -> &Arc<KeySource> {
        &self.keys
    }

    /// The roles that these claims name.
    pub(crate) fn roles(&self, claims: &Map<String, Value>) -> Vec<String> {
        self.claims.roles.find(claims).map(claims::names).unwrap_or_default()
    }

    fn verify_signature(&self, token: &Token<'_>, now: Timestamp) -> Result<Generation, Failure> {
        if !self.algorithms.contains(&token.algorithm) {
            return Err(Fault::token("algorithm").into());
        }
        if !self.types.contains(&token.kind) {
            return Err(Fault::token("type").into());
        }
        let Ok(published) = self.keys.current(now) else {
            return Err(self.without_keys(Fault::KEYS_UNAVAILABLE, now));
        };
        match token.verify(&published.keys) {
            Ok(()) => Ok(published.generation),
            Err(Fault::UNKNOWN_KEY) => Err(self.without_keys(Fault::UNKNOWN_KEY, now)),
            Err(fault) => Err(fault.into()),
        }
    }

    /// The key may be so new that it has not been fetched; but after a fetch there is none for a while.
    fn without_keys(&self, otherwise: Fault, now: Timestamp) -> Failure {
        if self.keys.may_refresh(now) {
            Failure::Needs(Need::Keys(Arc::clone(&self.keys)))
        } else {
            otherwise.into()
        }
    }
}
