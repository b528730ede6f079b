//! Sending a person to the provider, and what comes back with them.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_core::Secret;

use super::form::{self, Form};
use super::{ProviderMetadata, Scopes, TokenClientError, random};

/// What ties an authorization to the one who asked for it: kept by the client until the person comes back, and used once.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// Comes back as it was sent: against forged responses (RFC 6749 section 10.12).
    pub state: String,
    /// Comes back inside the ID token: against tokens from elsewhere (OpenID Connect Core section 3.1.2.1).
    pub nonce: String,
    /// Shown with the code alone: against stolen and injected codes (RFC 7636).
    pub verifier: Secret,
}

impl Transaction {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn new() -> Result<Self, TokenClientError> {
        Ok(Self { state: random::token()?, nonce: random::token()?, verifier: Secret::new(random::token()?) })
    }

    /// The S256 challenge of the verifier (RFC 7636 section 4.2). `plain` does not exist here.
    #[must_use]
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier.expose().as_bytes()))
    }
}

/// What is asked of the provider beside the transaction.
#[derive(Debug, Clone, Default)]
pub struct AuthorizationRequest<'r> {
    /// The client.
    pub client_id: &'r str,
    /// Where the person comes back to: exactly as the provider has it registered.
    pub redirect_uri: &'r str,
    /// What is asked for.
    pub scopes: Scopes,
    /// Authentication contexts that would do, best first.
    pub acr_values: &'r [String],
    /// How old the authentication may be, in seconds.
    pub max_age: Option<u64>,
    /// What the provider should ask of the person.
    pub prompt: Option<&'r str>,
    /// For which services tokens are wanted (RFC 8707).
    pub resources: &'r [String],
}

impl AuthorizationRequest<'_> {
    /// The URL to send the person to.
    ///
    /// # Errors
    /// When the provider has no authorization endpoint, or says that it does not know S256: a login without PKCE would be a
    /// downgrade (RFC 9700 section 2.1.1).
    pub fn url(
        &self,
        provider: &ProviderMetadata,
        transaction: &Transaction,
    ) -> Result<String, TokenClientError> {
        let endpoint = provider
            .authorization_endpoint
            .as_ref()
            .ok_or(TokenClientError::NoEndpoint("authorization_endpoint"))?;
        if provider
            .code_challenge_methods
            .as_ref()
            .is_some_and(|known| !known.iter().any(|name| name == "S256"))
        {
            return Err(TokenClientError::NoPkce);
        }
        let mut form = Form::default()
            .with("response_type", "code")
            .with("client_id", self.client_id)
            .with("redirect_uri", self.redirect_uri)
            .with("scope", &self.scopes.to_string())
            .with("state", &transaction.state)
            .with("nonce", &transaction.nonce)
            .with("code_challenge", &transaction.challenge())
            .with("code_challenge_method", "S256");
        if !self.acr_values.is_empty() {
            form.add("acr_values", &self.acr_values.join(" "));
        }
        form.add_optional("max_age", self.max_age.map(|seconds| seconds.to_string()).as_deref());
        // OpenID Connect Core section 11: without it, offline access need not be given.
        let prompt = self.prompt.or(self.scopes.contains("offline_access").then_some("consent"));
        form.add_optional("prompt", prompt);
        for resource in self.resources {
            form.add("resource", resource);
        }
        let separator = if endpoint.query().is_some() { '&' } else { '?' };
        Ok(format!("{endpoint}{separator}{}", form.into_string()))
    }
}

/// What a provider says when it sends a person back.
#[derive(Debug, Clone)]
pub struct AuthorizationResponse {
    /// The `state`, which is looked at before anything else.
    pub state: String,
    /// The code, or the error's name.
    pub outcome: Result<Secret, String>,
    issuer: Option<String>,
}

/// Why a response is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadResponse {
    /// A parameter is missing or appears twice.
    #[error("the response has not exactly one `state`, and one `code` or `error`")]
    Malformed,
    /// It comes from another provider than the person was sent to (RFC 9207): a mix-up.
    #[error("the response is of another issuer")]
    OtherIssuer,
    /// The provider says that it names itself, and this response does not.
    #[error("the response does not name its issuer")]
    NoIssuer,
}

impl AuthorizationResponse {
    /// Reads the query that the person came back with.
    ///
    /// # Errors
    /// When it is not a response.
    pub fn parse(query: &str) -> Result<Self, BadResponse> {
        let single = |name| form::single(query, name).map_err(|_| BadResponse::Malformed);
        let state = single("state")?.ok_or(BadResponse::Malformed)?;
        let outcome = match (single("code")?, single("error")?) {
            (Some(code), None) if !code.is_empty() => Ok(Secret::new(code)),
            (None, Some(error)) => Err(error.into_owned()),
            _ => return Err(BadResponse::Malformed),
        };
        Ok(Self { state: state.into_owned(), outcome, issuer: single("iss")?.map(Into::into) })
    }

    /// Whether the response comes from this provider, as far as it says so (RFC 9207 section 2.4).
    ///
    /// # Errors
    /// When it names another, or none though the provider always does.
    pub fn check_issuer(&self, provider: &ProviderMetadata) -> Result<(), BadResponse> {
        match &self.issuer {
            Some(issuer) if *issuer != provider.issuer => Err(BadResponse::OtherIssuer),
            None if provider.names_issuer_in_responses => Err(BadResponse::NoIssuer),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(more: &str) -> ProviderMetadata {
        let text = format!(
            r#"{{"issuer":"https://a.example","authorization_endpoint":"https://a.example/auth?x=1"{more}}}"#
        );
        ProviderMetadata::parse(text.as_bytes(), "https://a.example").unwrap()
    }

    #[test]
    fn the_url_asks_for_a_code_with_everything_that_protects_it() {
        let transaction = Transaction {
            state: "S".into(),
            nonce: "N".into(),
            verifier: Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        };
        let request = AuthorizationRequest {
            client_id: "me",
            redirect_uri: "https://me.example/cb",
            scopes: Scopes::parse("openid offline_access"),
            max_age: Some(60),
            ..AuthorizationRequest::default()
        };
        let url = request.url(&provider(""), &transaction).unwrap();
        // The challenge is the example of RFC 7636 appendix B.
        assert_eq!(
            url,
            "https://a.example/auth?x=1&response_type=code&client_id=me&redirect_uri=https%3A%2F%2Fme.example%2Fcb\
             &scope=offline_access+openid&state=S&nonce=N&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM\
             &code_challenge_method=S256&max_age=60&prompt=consent"
        );
        let plain = provider(r#","code_challenge_methods_supported":["plain"]"#);
        assert!(matches!(request.url(&plain, &transaction), Err(TokenClientError::NoPkce)));
    }

    #[test]
    fn a_response_is_of_the_provider_that_was_asked() {
        let names = provider(r#","authorization_response_iss_parameter_supported":true"#);
        let silent = provider("");
        let check =
            |query: &str, provider| AuthorizationResponse::parse(query).unwrap().check_issuer(provider);
        assert_eq!(check("state=s&code=c&iss=https%3A%2F%2Fa.example", &names), Ok(()));
        assert_eq!(
            check("state=s&code=c&iss=https%3A%2F%2Fb.example", &names),
            Err(BadResponse::OtherIssuer)
        );
        assert_eq!(
            check("state=s&code=c&iss=https%3A%2F%2Fb.example", &silent),
            Err(BadResponse::OtherIssuer)
        );
        assert_eq!(check("state=s&code=c", &names), Err(BadResponse::NoIssuer));
        assert_eq!(check("state=s&code=c", &silent), Ok(()));
        for wrong in [
            "",
            "state=s",
            "code=c",
            "state=s&code=",
            "state=s&code=c&code=d",
            "state=s&state=s&code=c",
            "state=s&code=c&error=e",
        ] {
            assert_eq!(AuthorizationResponse::parse(wrong).unwrap_err(), BadResponse::Malformed, "{wrong}");
        }
    }
}
