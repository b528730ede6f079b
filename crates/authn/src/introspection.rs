//! Opaque tokens: the issuer is asked what they are worth (RFC 7662).
//!
//! Deciding does no I/O: a token that nothing is known of needs a question, which the driver has asked by [`Need`] (`questions.rs`).
//! Answers are never kept beyond the end of the token.

mod compile;
mod raw;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::{Digest, Head, Principal, PrincipalKind, Secret, Timestamp};
use portcullis_oidc::Fetch;
use portcullis_oidc::client::{Client, Introspection, TokenClient, TokenClientError};
use serde_json::{Map, Value};

pub(crate) use compile::{client, unknown, url};
pub use raw::{RawAnswerCache, RawClient, RawIntrospection, SecretPlace};

use crate::binding;
use crate::dpop::Dpop;
use crate::fault::{Failure, Fault, Need};
use crate::jwt::TokenHeader;
use crate::jwt::claims::{ClaimPath, is_for, names, numeric_date, scopes};
use crate::provider::Provider;
use crate::questions::{Found, Questions, Unanswered};

/// The longest token.
const LONGEST_TOKEN: usize = 8 << 10;

/// An issuer that is asked about its tokens.
pub struct IntrospectionMethod {
    name: String,
    header: TokenHeader,
    issuer: String,
    audiences: Vec<String>,
    roles: ClaimPath,
    client: Client,
    /// Where it is asked, if that is written.
    provider: Provider,
    /// What it says of itself, and until when that is believed.
    active: Duration,
    inactive: Duration,
    questions: Questions<Answer>,
}

/// What is known of a token.
#[derive(Debug, Clone)]
enum Answer {
    /// It holds, and this is whose it is.
    Active(Arc<Principal>),
    /// It does not, or not here.
    Inactive(&'static str),
}

/// A token that an issuer must be asked about.
#[derive(Clone)]
pub struct Question {
    method: Arc<IntrospectionMethod>,
    token: Secret,
}

impl Question {
    /// Asks, unless somebody has just done so. What came of it shows when the request is judged again.
    pub async fn ask(&self, fetch: &dyn Fetch, now: Timestamp) {
        self.method.ask(&self.token, fetch, now).await;
    }
}

impl IntrospectionMethod {
    pub(crate) const fn header(&self) -> &TokenHeader {
        &self.header
    }

    /// The principal of the request's token; `None` if it has none.
    pub(crate) fn authenticate(
        self: &Arc<Self>,
        head: &Head<'_>,
        dpop: Option<&Dpop>,
    ) -> Result<Option<Arc<Principal>>, Failure> {
        let Some(shown) = self.header.token(head)? else { return Ok(None) };
        let token = shown.text;
        if token.len() > LONGEST_TOKEN {
            return Err(Fault::token("too_long").into());
        }
        // RFC 6750 section 2.1: nothing else is a bearer token, and nothing else is worth a question.
        let token = std::str::from_utf8(token).ok().filter(|token| is_bearer_token(token));
        let token = token.ok_or(Fault::token("malformed"))?;
        match self.questions.find(&self.digest(token), head.now) {
            Found::Answer(Answer::Active(principal)) => {
                if !principal.is_current(head.now) {
                    return Err(Fault::EXPIRED.into());
                }
                binding::check(&principal, shown, head, dpop)?;
                Ok(Some(principal))
            }
            Found::Answer(Answer::Inactive(cause)) => Err(Fault::token(cause).into()),
            Found::Unavailable => Err(Fault::ISSUER_UNAVAILABLE.into()),
            Found::Unknown => {
                let question = Question { method: Arc::clone(self), token: Secret::new(token.to_owned()) };
                Err(Failure::Needs(Need::Introspection(question)))
            }
        }
    }

    fn digest(&self, token: &str) -> Digest {
        self.questions.digest(&[token.as_bytes()])
    }

    async fn ask(&self, token: &Secret, fetch: &dyn Fetch, now: Timestamp) {
        let question = async {
            match self.introspect(token, fetch, now).await {
                Ok(said) => Ok(self.answer(said, now)),
                Err(_) => Err(Unanswered::Away),
            }
        };
        self.questions.ask(self.digest(token.expose()), now, question).await;
    }

    /// What is made of what the issuer says, and until when it is believed.
    fn answer(&self, said: Introspection, now: Timestamp) -> (Answer, Timestamp) {
        let judged = match said {
            Introspection::Active(members) => self.judge(members, now).map_err(|fault| fault.cause),
            Introspection::Inactive => Err("inactive"),
        };
        match judged {
            Ok(principal) => {
                let until = now.plus(self.active);
                let end = principal.expires.map_or(until, |end| end.min(until));
                (Answer::Active(Arc::new(principal)), end)
            }
            Err(cause) => (Answer::Inactive(cause), now.plus(self.inactive)),
        }
    }

    async fn introspect(
        &self,
        token: &Secret,
        fetch: &dyn Fetch,
        now: Timestamp,
    ) -> Result<Introspection, TokenClientError> {
        let provider = self.provider.metadata(fetch, now).await?;
        TokenClient { provider: &provider, client: &self.client, fetch }.introspect(token, now).await
    }

    /// The principal of a token that the issuer calls active (RFC 7662 section 2.2).
    fn judge(&self, claims: Map<String, Value>, now: Timestamp) -> Result<Principal, Fault> {
        if claims.get("iss").is_some_and(|issuer| issuer.as_str() != Some(self.issuer.as_str())) {
            return Err(Fault::token("issuer"));
        }
        if !self.audiences.is_empty() {
            is_for(&claims, &self.audiences)?;
        }
        let moment = |name| match claims.get(name) {
            None => Ok(None),
            Some(value) => numeric_date(value).map(Some).ok_or(Fault::token("malformed_time")),
        };
        if moment("nbf")?.is_some_and(|begins| now < begins) {
            return Err(Fault::token("not_before"));
        }
        let expires = moment("exp")?;
        if expires.is_some_and(|end| end <= now) {
            return Err(Fault::token("expired"));
        }
        // A token that a client got for itself may have no subject.
        let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let subject = text("sub").or_else(|| text("client_id")).ok_or(Fault::token("subject"))?;
        let mut principal = Principal::new(PrincipalKind::User, subject, self.name.as_str());
        principal.issuer = Some(self.issuer.clone());
        principal.roles = self.roles.find(&claims).map(names).unwrap_or_default();
        principal.scopes = scopes(&claims);
        principal.expires = expires;
        principal.claims = claims;
        Ok(principal)
    }
}

/// `b64token` of RFC 6750 section 2.1.
fn is_bearer_token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

impl fmt::Debug for IntrospectionMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionMethod").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("method", &self.method.name).finish_non_exhaustive()
    }
}
