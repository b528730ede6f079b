//! What services get instead of the caller's token: one for their own audience, for which the issuer exchanges it (RFC 8693).
//!
//! Deciding does no I/O: a token for which none is known yet needs a question, which the driver has asked by [`ExchangeQuestion`]
//! (`questions.rs`). The caller's token was judged before what came of it is looked up here.

mod compile;
mod raw;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use portcullis_core::{Digest, Reason, Secret, Timestamp};
use portcullis_oidc::Fetch;
use portcullis_oidc::client::{Client, TokenClient, TokenClientError, Tokens, Wanted};

pub(crate) use compile::{TokenExchanges, compile_all};
pub use raw::{RawExchangedToken, RawTokenExchange};

use crate::internal_token::token_value;
use crate::provider::Provider;
use crate::questions::{Found, Questions, Unanswered};

/// How many tokens are kept.
const MOST_KEPT: usize = 50_000;
/// How long a refusal is believed.
const REFUSED: Duration = Duration::from_secs(10);
/// How long before its end a token is given up: it must still hold when it arrives.
const MARGIN: Duration = Duration::from_secs(5);
/// How long a token is kept whose end is not known, and any token at most.
const UNKNOWN: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// An issuer that exchanges tokens.
pub struct TokenExchange {
    name: String,
    client: Client,
    provider: Provider,
    questions: Questions<Outcome>,
}

/// What came of a question.
#[derive(Debug, Clone)]
enum Outcome {
    /// The header's value for the service.
    Token(HeaderValue),
    /// The issuer does not want it.
    Refused,
}

/// The token that the service of a route gets.
#[derive(Clone)]
pub struct ExchangedToken {
    exchange: Arc<TokenExchange>,
    header: HeaderName,
    wanted: Arc<Wanted>,
    /// What tells it from others, in words.
    mark: Arc<str>,
}

/// Why there is no token yet, or none at all.
#[derive(Debug)]
pub enum NoToken {
    /// The request is refused.
    Denied(Reason),
    /// The issuer must be asked first.
    Needs(ExchangeQuestion),
}

/// A token that an issuer must be asked for.
#[derive(Clone)]
pub struct ExchangeQuestion {
    token: ExchangedToken,
    subject: Secret,
}

impl ExchangeQuestion {
    /// Asks, unless somebody has just done so. What came of it shows when the request is judged again.
    pub async fn ask(&self, fetch: &dyn Fetch, now: Timestamp) {
        let questions = &self.token.exchange.questions;
        questions.ask(self.token.digest(self.subject.expose()), now, self.question(fetch, now)).await;
    }

    async fn question(&self, fetch: &dyn Fetch, now: Timestamp) -> Result<(Outcome, Timestamp), Unanswered> {
        match self.tokens(fetch, now).await {
            Ok(tokens) => {
                let (value, kept) = self.token.value(&tokens).ok_or(Unanswered::Useless)?;
                Ok((Outcome::Token(value), now.plus(kept)))
            }
            Err(error) if is_about_the_caller(&error) => Ok((Outcome::Refused, now.plus(REFUSED))),
            Err(_) => Err(Unanswered::Away),
        }
    }

    async fn tokens(&self, fetch: &dyn Fetch, now: Timestamp) -> Result<Tokens, TokenClientError> {
        let exchange = &self.token.exchange;
        let provider = exchange.provider.metadata(fetch, now).await?;
        let client = TokenClient { provider: &provider, client: &exchange.client, fetch };
        client.exchange_token(&self.subject, &self.token.wanted, now).await
    }
}

/// RFC 6749 section 5.2, RFC 8693 section 2.2.2: of these errors the caller's token is the cause, or what it was asked for. That
/// the issuer does not know us is not the caller's affair.
fn is_about_the_caller(error: &TokenClientError) -> bool {
    const NAMES: [&str; 5] =
        ["invalid_request", "invalid_grant", "access_denied", "invalid_target", "invalid_scope"];
    matches!(error, TokenClientError::Refused { error, .. } if NAMES.contains(&error.as_str()))
}

impl ExchangedToken {
    /// The header in which the service gets it. What clients send under this name never reaches the service.
    #[must_use]
    pub const fn header(&self) -> &HeaderName {
        &self.header
    }

    /// The header's value for the caller with this token. `subject` must have been judged for this request.
    ///
    /// # Errors
    /// When the issuer refuses, cannot be asked, or must be asked first.
    pub fn find(&self, subject: Option<&str>, now: Timestamp) -> Result<HeaderValue, NoToken> {
        let subject = subject.ok_or(NoToken::Denied(Reason::TokenRefused))?;
        match self.exchange.questions.find(&self.digest(subject), now) {
            Found::Answer(Outcome::Token(value)) => Ok(value),
            Found::Answer(Outcome::Refused) => Err(NoToken::Denied(Reason::TokenRefused)),
            Found::Unavailable => Err(NoToken::Denied(Reason::TokenUnavailable)),
            Found::Unknown => {
                let subject = Secret::new(subject.to_owned());
                Err(NoToken::Needs(ExchangeQuestion { token: self.clone(), subject }))
            }
        }
    }

    fn digest(&self, subject: &str) -> Digest {
        self.exchange.questions.digest(&[subject.as_bytes(), self.mark.as_bytes()])
    }

    /// The header's value, and how long it is kept.
    fn value(&self, tokens: &Tokens) -> Option<(HeaderValue, Duration)> {
        let kept = match tokens.lifetime {
            None => UNKNOWN,
            Some(Duration::ZERO) => return None,
            Some(lifetime) => lifetime.saturating_sub(MARGIN).max(lifetime / 2).min(LONGEST),
        };
        Some((token_value(&tokens.access, &self.header)?, kept))
    }
}

impl fmt::Debug for TokenExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchange").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for ExchangedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExchangedToken").field("exchange", &self.exchange.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for ExchangeQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExchangeQuestion").field("token", &self.token).finish_non_exhaustive()
    }
}
