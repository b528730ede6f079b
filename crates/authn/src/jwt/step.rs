//! The tokens of one header on one route, from one issuer or several.

use std::sync::Arc;

use http::HeaderName;
use portcullis_core::{Head, KeyPath, Principal, Problems, Timestamp};
use serde_json::Value;
use smallvec::{SmallVec, smallvec};

use super::token::Token;
use super::{JwtMethod, TokenHeader};
use crate::binding;
use crate::cache::{CredentialCache, Verified};
use crate::dpop::Dpop;
use crate::fault::{Failure, Fault};

/// The JWT methods of a route that read the same header. Which of them decides is the issuer's name in the
/// token; only that one then verifies it. No two have the same issuer.
#[derive(Debug)]
pub(crate) struct JwtStep {
    header: TokenHeader,
    longest: usize,
    methods: SmallVec<[Arc<JwtMethod>; 2]>,
}

impl JwtStep {
    pub(crate) fn new(method: Arc<JwtMethod>) -> Self {
        Self { header: method.header.clone(), longest: method.max_token, methods: smallvec![method] }
    }

    pub(crate) fn reads(&self, header: &HeaderName) -> bool {
        self.header.name() == header
    }

    pub(crate) fn has_scheme(&self) -> bool {
        self.header.has_scheme()
    }

    /// Takes another method into this step.
    pub(crate) fn add(&mut self, method: Arc<JwtMethod>, path: &KeyPath, problems: &mut Problems) {
        if let Some(other) = self.methods.iter().find(|other| other.issuer() == method.issuer()) {
            let (a, b) = (other.name(), method.name());
            problems
                .error(path, format!("`{a}` and `{b}` take tokens of the same issuer from the same header"))
                .suggest("name one of them here, or put their audiences into one method");
            return;
        }
        self.longest = self.longest.max(method.max_token);
        self.methods.push(method);
    }

    /// The principal of the request's token; `None` if it has none.
    pub(crate) fn authenticate(
        &self,
        head: &Head<'_>,
        cache: &CredentialCache,
        dpop: Option<&Dpop>,
    ) -> Result<Option<Arc<Principal>>, Failure> {
        let Some(shown) = self.header.token(head)? else { return Ok(None) };
        let text = shown.text;
        if text.len() > self.longest {
            return Err(Fault::token("too_long").into());
        }
        let digest = cache.digest(text);
        if let Some(principal) = cache.get(digest, |verified| self.still_holds(verified, head.now)) {
            binding::check(&principal, shown, head, dpop)?;
            return Ok(Some(principal));
        }
        let token = Token::parse(text)?;
        let method = self.choose(&token)?;
        let (principal, generation) = method.verify(&token, text.len(), head.now)?;
        let principal = Arc::new(principal);
        cache.insert(digest, Verified { method: method.id, generation, principal: Arc::clone(&principal) });
        binding::check(&principal, shown, head, dpop)?;
        Ok(Some(principal))
    }

    /// `None` if the token was verified by a method that this route does not have: with other audiences, other
    /// rules. Otherwise whether its time and the keys that verified it are still the same.
    fn still_holds(&self, verified: &Verified, now: Timestamp) -> Option<bool> {
        let method = self.methods.iter().find(|method| method.id == verified.method)?;
        let same_keys = method.keys.generation(now) == Some(verified.generation);
        Some(same_keys && verified.principal.is_current(now))
    }

    fn choose(&self, token: &Token<'_>) -> Result<&JwtMethod, Fault> {
        if let [only] = self.methods.as_slice() {
            return Ok(only);
        }
        let claims = token.claims()?;
        let issuer = claims.get("iss").and_then(Value::as_str);
        let chosen = self.methods.iter().find(|method| Some(method.issuer()) == issuer);
        chosen.map(Arc::as_ref).ok_or(Fault::token("issuer"))
    }
}
