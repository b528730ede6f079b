//! What services get instead of the caller's credential: a short token that the gateway signs, which says who asks.
//!
//! One configuration has one issuer with one key that signs ([`InternalTokens`]); each route says for which audience, and with which
//! claims ([`InternalToken`]). Tokens are kept for half of their time, by caller and kind, so that not every request costs a
//! signature. They are looked at only after the caller's credential was: one that is revoked gets none.

mod compile;
mod raw;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use parking_lot::Mutex;
use portcullis_core::{IdentitySource, Principal, Reason, Secret, Timestamp};
use portcullis_oidc::client::random;
use portcullis_oidc::mint::{MintError, SigningKey};
use serde_json::{Map, Value, json};

pub(crate) use compile::header as token_header;
pub use raw::{RawInternalToken, RawInternalTokens};

use crate::expiring::Expiring;

/// How many tokens are kept.
const MOST_KEPT: usize = 50_000;
/// How long a token is kept at least, whatever is left of it: a credential at its end must not cost a signature a request.
const LEAST_KEPT: Duration = Duration::from_secs(1);

/// The issuer of the tokens that services get.
pub struct InternalTokens {
    issuer: String,
    key: SigningKey,
    key_id: String,
    lifetime: Duration,
    key_set: KeySetEndpoint,
    /// The kinds of tokens that routes ask for, to tell which are the same.
    recipes: Mutex<Vec<Arc<Recipe>>>,
    /// By the caller and the place of the recipe.
    kept: Expiring<(u64, usize), HeaderValue>,
}

/// Where the public keys are, and what is there.
#[derive(Debug, Clone)]
pub struct KeySetEndpoint {
    path: String,
    document: Bytes,
    cache_control: HeaderValue,
}

/// The token that the service of a route gets.
#[derive(Clone)]
pub struct InternalToken {
    tokens: Arc<InternalTokens>,
    header: HeaderName,
    recipe: Arc<Recipe>,
    place: usize,
}

/// What makes one token another than the next, for one caller.
#[derive(Debug, PartialEq, Eq)]
struct Recipe {
    audience: String,
    claims: Vec<(String, IdentitySource)>,
    /// Whether `Bearer` stands before it.
    is_bearer: bool,
}

impl InternalTokens {
    /// Where the public keys are, and what is there.
    #[must_use]
    pub const fn key_set(&self) -> &KeySetEndpoint {
        &self.key_set
    }

    /// The place of a recipe, shared by all routes with the same.
    fn place_of(&self, recipe: Recipe) -> (Arc<Recipe>, usize) {
        let mut recipes = self.recipes.lock();
        if let Some(place) = recipes.iter().position(|known| **known == recipe)
            && let Some(known) = recipes.get(place)
        {
            return (Arc::clone(known), place);
        }
        let recipe = Arc::new(recipe);
        recipes.push(Arc::clone(&recipe));
        (recipe, recipes.len() - 1)
    }

    /// A new token, and when it ends.
    fn make(
        &self,
        recipe: &Recipe,
        principal: &Principal,
        now: Timestamp,
    ) -> Option<(HeaderValue, Timestamp)> {
        let end = now.plus(self.lifetime);
        let end = principal.ends().map_or(end, |credential| credential.min(end));
        let claims = self.claims(recipe, principal, now, end)?;
        let token = Secret::new(self.sign(&claims).ok()?);
        Some((value(&token, recipe.is_bearer)?, end))
    }

    fn sign(&self, claims: &Map<String, Value>) -> Result<String, MintError> {
        self.key.mint(Some(&self.key_id), claims)
    }

    /// `sub` alone does not say who it is: two issuers may have an `ann` each. `principal` says the rest.
    fn claims(
        &self,
        recipe: &Recipe,
        principal: &Principal,
        now: Timestamp,
        end: Timestamp,
    ) -> Option<Map<String, Value>> {
        let further = recipe.claims.iter();
        let mut claims: Map<String, Value> =
            further.filter_map(|(name, source)| Some((name.clone(), source.json(principal)?))).collect();
        let mut known = json!({ "kind": principal.kind.name(), "method": principal.method });
        if let (Some(issuer), Some(members)) = (&principal.issuer, known.as_object_mut()) {
            members.insert("issuer".to_owned(), issuer.as_str().into());
        }
        let own = [
            ("iss", self.issuer.as_str().into()),
            ("sub", principal.id.as_str().into()),
            ("aud", recipe.audience.as_str().into()),
            ("iat", now.as_secs().into()),
            ("exp", end.as_secs().into()),
            ("jti", random::token().ok()?.into()),
            (PRINCIPAL, known),
        ];
        claims.extend(own.map(|(name, value)| (name.to_owned(), value)));
        Some(claims)
    }
}

/// A token as it stands in this header.
pub(crate) fn token_value(token: &Secret, header: &HeaderName) -> Option<HeaderValue> {
    value(token, *header == AUTHORIZATION)
}

/// A token, behind `Bearer` or alone.
fn value(token: &Secret, is_bearer: bool) -> Option<HeaderValue> {
    let value = if is_bearer {
        HeaderValue::try_from(format!("Bearer {}", token.expose()))
    } else {
        HeaderValue::try_from(token.expose())
    };
    let mut value = value.ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The claim that says how the subject came to be known.
const PRINCIPAL: &str = "principal";

/// Claims that the gateway alone decides about. `cnf` would bind the token to a key that the gateway does not have.
const OWN_CLAIMS: [&str; 9] = ["iss", "sub", "aud", "iat", "exp", "nbf", "jti", "cnf", PRINCIPAL];

impl InternalToken {
    /// The header in which the service gets it. What clients send under this name never reaches the service.
    #[must_use]
    pub const fn header(&self) -> &HeaderName {
        &self.header
    }

    /// The header's value for this caller.
    ///
    /// # Errors
    /// When the token cannot be made.
    pub fn issue(&self, principal: &Principal, now: Timestamp) -> Result<HeaderValue, Reason> {
        let InternalTokens { kept, .. } = &*self.tokens;
        let key = (principal.serial, self.place);
        if let Some(token) = kept.find(&key, now) {
            return Ok(token);
        }
        let made = self.tokens.make(&self.recipe, principal, now);
        let (token, end) = made.ok_or(Reason::TokenUnavailable)?;
        let until = now.plus((end.since(now) / 2).max(LEAST_KEPT));
        kept.insert(key, token.clone(), until, now);
        Ok(token)
    }
}

impl KeySetEndpoint {
    /// Where it is, on every listener and for every host.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The key set (RFC 7517 section 5).
    #[must_use]
    pub const fn document(&self) -> &Bytes {
        &self.document
    }

    /// For how long it may be kept.
    #[must_use]
    pub const fn cache_control(&self) -> &HeaderValue {
        &self.cache_control
    }
}

impl Recipe {
    fn new(audience: String, claims: Vec<(String, IdentitySource)>, header: &HeaderName) -> Self {
        Self { audience, claims, is_bearer: *header == AUTHORIZATION }
    }
}

impl fmt::Debug for InternalTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InternalTokens").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl fmt::Debug for InternalToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InternalToken").field("header", &self.header).finish_non_exhaustive()
    }
}
