//! Being a client of a provider: OAuth 2.0 by its current rules (RFC 9700), OpenID Connect where people log in.
//!
//! [`ProviderMetadata`] is what the provider says of itself, [`Client`] who we are there, and [`TokenClient`] asks: codes
//! into tokens, refresh, revocation, introspection, userinfo, client credentials, token exchange. [`Transaction`] and
//! [`AuthorizationRequest`] send people there, [`AuthorizationResponse`] reads what comes back with them.
//! [`TokenCache`] keeps tokens for as long as they hold. The network is whatever [`Fetch`] is given; what an ID token
//! says is verified by whoever has the keys.
//!
//! ```
//! use portcullis_core::{Secret, Timestamp};
//! use portcullis_oidc::{Fetch, client::*};
//!
//! async fn token_for_orders(fetch: &dyn Fetch, secret: Secret, now: Timestamp) -> Result<Secret, TokenClientError> {
//!     let provider = ProviderMetadata::discover(fetch, "https://login.example.com").await?;
//!     let me = Client { id: "reports".to_owned(), authentication: ClientAuthentication::Basic(secret) };
//!     let client = TokenClient { provider: &provider, client: &me, fetch };
//!     let wanted = Wanted { scopes: Scopes::parse("orders.read"), ..Wanted::default() };
//!     Ok(client.client_credentials(&wanted, now).await?.access)
//! }
//! ```

mod authentication;
mod authorization;
mod cache;
pub mod form;
mod metadata;
pub mod random;
mod response;
mod scopes;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use portcullis_core::{Secret, Timestamp};
use serde_json::{Map, Value};

pub use authentication::ClientAuthentication;
pub use authorization::{AuthorizationRequest, AuthorizationResponse, BadResponse, Transaction};
pub use cache::{TokenCache, TokenKey};
pub use metadata::{MetadataError, ProviderMetadata};
pub use response::Tokens;
pub use scopes::Scopes;

use crate::{Fetch, FetchError};
use form::Form;

/// Who we are at a provider.
#[derive(Debug)]
pub struct Client {
    /// The name under which we are registered.
    pub id: String,
    /// The proof of it.
    pub authentication: ClientAuthentication,
}

/// What a token should be good for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Scopes.
    pub scopes: Scopes,
    /// Services, by URL (RFC 8707).
    pub resources: Vec<String>,
    /// Services, by the provider's name for them (RFC 8693).
    pub audiences: Vec<String>,
}

/// Asks a provider for tokens and about them.
#[derive(Clone, Copy)]
pub struct TokenClient<'c> {
    /// The provider.
    pub provider: &'c ProviderMetadata,
    /// Who asks.
    pub client: &'c Client,
    /// The network.
    pub fetch: &'c dyn Fetch,
}

/// Why there is no token. Nothing in it quotes what was sent or received but the name of an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenClientError {
    /// The provider has no such endpoint.
    #[error("the provider has no `{0}`")]
    NoEndpoint(&'static str),
    /// The provider says that it does not know S256.
    #[error("the provider does not know PKCE with S256")]
    NoPkce,
    /// The provider could not be asked.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// What it says of itself cannot be used.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// It refused, and said why (RFC 6749 section 5.2).
    #[error("the provider refused: {error}")]
    Refused {
        /// The status of its answer.
        status: StatusCode,
        /// The name of its error.
        error: String,
    },
    /// It answered something else.
    #[error("the provider answered {0}")]
    Status(StatusCode),
    /// It answered something that is not what was asked for.
    #[error("the answer cannot be used: {0}")]
    BadAnswer(&'static str),
    /// Our own proof could not be made.
    #[error("the client's proof could not be made")]
    Signing,
    /// The system has no randomness to give.
    #[error("there is no randomness to be had")]
    NoRandomness,
}

impl TokenClientError {
    /// Whether the provider has decided: asking again with the same would change nothing. Otherwise it was out of reach or
    /// out of order.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Refused { status, error } => {
                status.is_client_error() && !matches!(error.as_str(), "temporarily_unavailable" | "slow_down")
            }
            Self::NoEndpoint(_) | Self::NoPkce | Self::BadAnswer(_) => true,
            Self::Fetch(_) | Self::Metadata(_) | Self::Status(_) | Self::Signing | Self::NoRandomness => {
                false
            }
        }
    }
}

/// What a provider says of a token (RFC 7662).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Introspection {
    /// It holds, and this is what it says.
    Active(Map<String, Value>),
    /// It does not, whatever the reason.
    Inactive,
}

const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

impl TokenClient<'_> {
    /// The tokens for a code (RFC 6749 section 4.1.3).
    ///
    /// # Errors
    /// [`TokenClientError`].
    pub async fn exchange_code(
        &self,
        code: &Secret,
        redirect_uri: &str,
        transaction: &Transaction,
        now: Timestamp,
    ) -> Result<Tokens, TokenClientError> {
        let form = Form::default()
            .with("grant_type", "authorization_code")
            .with("code", code.expose())
            .with("redirect_uri", redirect_uri)
            .with("code_verifier", transaction.verifier.expose());
        self.tokens(form, now).await
    }

    /// New tokens for a refresh token (RFC 6749 section 6).
    ///
    /// # Errors
    /// [`TokenClientError`]; if it [`is_final`](TokenClientError::is_final), the refresh token is of no use any more.
    pub async fn refresh(&self, refresh_token: &Secret, now: Timestamp) -> Result<Tokens, TokenClientError> {
        let form =
            Form::default().with("grant_type", "refresh_token").with("refresh_token", refresh_token.expose());
        self.tokens(form, now).await
    }

    /// A token for ourselves (RFC 6749 section 4.4).
    ///
    /// # Errors
    /// [`TokenClientError`].
    pub async fn client_credentials(
        &self,
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<Tokens, TokenClientError> {
        let mut form = Form::default().with("grant_type", "client_credentials");
        wanted.add_to(&mut form);
        self.tokens(form, now).await
    }

    /// A token for another service in the name of whom `subject` speaks of (RFC 8693).
    ///
    /// # Errors
    /// [`TokenClientError`].
    pub async fn exchange_token(
        &self,
        subject: &Secret,
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<Tokens, TokenClientError> {
        let mut form = Form::default()
            .with("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
            .with("subject_token", subject.expose())
            .with("subject_token_type", ACCESS_TOKEN_TYPE)
            .with("requested_token_type", ACCESS_TOKEN_TYPE);
        wanted.add_to(&mut form);
        self.tokens(form, now).await
    }

    /// Withdraws a token (RFC 7009). That it was none is not an error.
    ///
    /// # Errors
    /// [`TokenClientError`].
    pub async fn revoke(&self, token: &Secret, now: Timestamp) -> Result<(), TokenClientError> {
        let endpoint = self.provider.revocation_endpoint.as_ref();
        let form = Form::default().with("token", token.expose());
        let response = self.post(endpoint, "revocation_endpoint", form, now).await?;
        if response.status() == StatusCode::OK {
            return Ok(());
        }
        Err(response::object(&response).err().unwrap_or(TokenClientError::Status(response.status())))
    }

    /// What the provider says of a token (RFC 7662).
    ///
    /// # Errors
    /// [`TokenClientError`].
    pub async fn introspect(
        &self,
        token: &Secret,
        now: Timestamp,
    ) -> Result<Introspection, TokenClientError> {
        let endpoint = self.provider.introspection_endpoint.as_ref();
        let form = Form::default().with("token", token.expose()).with("token_type_hint", "access_token");
        let response = self.post(endpoint, "introspection_endpoint", form, now).await?;
        let members = response::object(&response)?;
        match members.get("active") {
            Some(Value::Bool(true)) => Ok(Introspection::Active(members)),
            Some(Value::Bool(false)) => Ok(Introspection::Inactive),
            _ => Err(TokenClientError::BadAnswer("its `active` is neither true nor false")),
        }
    }

    /// What the provider says of a person. It must speak of `subject` (OpenID Connect Core section 5.3.2): a token that was
    /// swapped would otherwise make them another.
    ///
    /// # Errors
    /// [`TokenClientError`].
    pub async fn userinfo(
        &self,
        access_token: &Secret,
        subject: &str,
    ) -> Result<Map<String, Value>, TokenClientError> {
        let endpoint = self.provider.userinfo_endpoint.as_ref();
        let endpoint = endpoint.ok_or(TokenClientError::NoEndpoint("userinfo_endpoint"))?;
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = endpoint.clone();
        let bearer = Secret::new(format!("Bearer {}", access_token.expose()));
        let mut bearer = HeaderValue::try_from(bearer.expose())
            .map_err(|_| TokenClientError::BadAnswer("the access token cannot stand in a header"))?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let members = response::object(&self.fetch.send(request).await?)?;
        if members.get("sub").and_then(Value::as_str) == Some(subject) {
            Ok(members)
        } else {
            Err(TokenClientError::BadAnswer("the userinfo speaks of another subject"))
        }
    }

    async fn tokens(&self, form: Form, now: Timestamp) -> Result<Tokens, TokenClientError> {
        let endpoint = self.provider.token_endpoint.as_ref();
        Tokens::parse(&self.post(endpoint, "token_endpoint", form, now).await?)
    }

    async fn post(
        &self,
        endpoint: Option<&Uri>,
        name: &'static str,
        mut form: Form,
        now: Timestamp,
    ) -> Result<Response<Bytes>, TokenClientError> {
        let endpoint = endpoint.ok_or(TokenClientError::NoEndpoint(name))?;
        let mut request = Request::new(Bytes::new());
        let proof = &self.client.authentication;
        proof.apply(&self.client.id, self.provider, now, &mut form, request.headers_mut())?;
        *request.method_mut() = Method::POST;
        *request.uri_mut() = endpoint.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        *request.body_mut() = Bytes::from(form.into_string());
        Ok(self.fetch.send(request).await?)
    }
}

impl Wanted {
    fn add_to(&self, form: &mut Form) {
        if !self.scopes.is_empty() {
            form.add("scope", &self.scopes.to_string());
        }
        for resource in &self.resources {
            form.add("resource", resource);
        }
        for audience in &self.audiences {
            form.add("audience", audience);
        }
    }
}
