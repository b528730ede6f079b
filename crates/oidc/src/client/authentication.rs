//! How a client proves to a provider who it is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use portcullis_core::{Secret, Timestamp};
use serde_json::json;

use super::form::{self, Form};
use super::random;
use super::{ProviderMetadata, TokenClientError};
use crate::mint::SigningKey;

/// How a client proves to a provider who it is.
#[derive(Debug)]
pub enum ClientAuthentication {
    /// Not at all: a public client, which PKCE alone protects.
    None,
    /// Its secret in `Authorization` (RFC 6749 section 2.3.1).
    Basic(Secret),
    /// Its secret in the body.
    Post(Secret),
    /// A statement that it signs (RFC 7523): the provider knows only the public key.
    PrivateKeyJwt {
        /// The private key.
        key: Box<SigningKey>,
        /// The id under which the provider knows the public key.
        key_id: Option<String>,
    },
}

/// How long a signed statement holds: it is used at once.
const ASSERTION_SECONDS: u64 = 60;

/// What `client_assertion_type` says of a JWT (RFC 7523 section 2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl ClientAuthentication {
    /// Puts the proof into a request.
    pub(crate) fn apply(
        &self,
        client_id: &str,
        provider: &ProviderMetadata,
        now: Timestamp,
        form: &mut Form,
        headers: &mut HeaderMap,
    ) -> Result<(), TokenClientError> {
        match self {
            Self::None => form.add("client_id", client_id),
            Self::Basic(secret) => {
                headers.insert(AUTHORIZATION, basic(client_id, secret)?);
            }
            Self::Post(secret) => {
                form.add("client_id", client_id);
                form.add("client_secret", secret.expose());
            }
            Self::PrivateKeyJwt { key, key_id } => {
                // The issuer as the one audience: a statement for one provider is of no use to another.
                let claims = json!({
                    "iss": client_id, "sub": client_id, "aud": provider.issuer, "jti": random::token()?,
                    "iat": now.as_secs(), "exp": now.as_secs() + ASSERTION_SECONDS,
                });
                let assertion =
                    key.mint(key_id.as_deref(), &claims).map_err(|_| TokenClientError::Signing)?;
                form.add("client_id", client_id);
                form.add("client_assertion_type", JWT_BEARER);
                form.add("client_assertion", &assertion);
            }
        }
        Ok(())
    }
}

/// RFC 6749 section 2.3.1 has both halves form-encoded first.
fn basic(client_id: &str, secret: &Secret) -> Result<HeaderValue, TokenClientError> {
    let pair = Secret::new(format!("{}:{}", form::encode(client_id), form::encode(secret.expose())));
    let text = Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())));
    let mut value = HeaderValue::try_from(text.expose()).map_err(|_| TokenClientError::Signing)?;
    value.set_sensitive(true);
    Ok(value)
}
