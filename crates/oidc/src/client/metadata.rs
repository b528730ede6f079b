//! What a provider says of itself: OpenID Connect Discovery 1.0, RFC 8414.

use http::Uri;
use portcullis_core::Secret;
use serde_json::{Map, Value};

use super::form::Form;
use crate::fetch::document;
use crate::{Fetch, FetchError, KeySetUrl, KeySetUrlError, json};

/// What a provider says of itself. Every endpoint is an `https` URL, or a plain one on the machine itself.
#[derive(Debug, Clone)]
pub struct ProviderMetadata {
    /// The issuer, exactly as it was configured.
    pub issuer: String,
    /// Where people are sent to log in.
    pub authorization_endpoint: Option<Uri>,
    /// Where tokens are asked for.
    pub token_endpoint: Option<Uri>,
    /// Where the keys are that sign.
    pub jwks_uri: Option<KeySetUrl>,
    /// Where more is said of a person.
    pub userinfo_endpoint: Option<Uri>,
    /// Where tokens are withdrawn (RFC 7009).
    pub revocation_endpoint: Option<Uri>,
    /// Where tokens are asked about (RFC 7662).
    pub introspection_endpoint: Option<Uri>,
    /// Where people are sent to log out (RP-initiated logout).
    pub end_session_endpoint: Option<Uri>,
    /// Whether every authorization response names its issuer (RFC 9207).
    pub names_issuer_in_responses: bool,
    /// The methods of PKCE, if it says which it knows.
    pub code_challenge_methods: Option<Vec<String>>,
}

/// Why a document is not the metadata of a provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// There is no document.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It is not a JSON object.
    #[error("the document is not a JSON object without repeated members")]
    NotObject,
    /// It is another issuer's (OpenID Connect Discovery section 4.3): believing it would be a mix-up.
    #[error("the document is of another issuer")]
    OtherIssuer,
    /// An endpoint at which nobody can be believed.
    #[error("`{0}`: {1}")]
    Endpoint(&'static str, KeySetUrlError),
    /// An endpoint that is needed and not there.
    #[error("the provider has no `{0}`")]
    Missing(&'static str),
}

impl ProviderMetadata {
    /// Reads a document.
    ///
    /// # Errors
    /// When it is not the metadata of `issuer`, or names an endpoint that is not authenticated.
    pub fn parse(text: &[u8], issuer: &str) -> Result<Self, MetadataError> {
        let document = json::object(text).ok_or(MetadataError::NotObject)?;
        if document.get("issuer").and_then(Value::as_str) != Some(issuer) {
            return Err(MetadataError::OtherIssuer);
        }
        let url = |name| endpoint(&document, name);
        let endpoint = |name| url(name).map(|url| url.map(|url| url.as_uri().clone()));
        Ok(Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: endpoint("authorization_endpoint")?,
            token_endpoint: endpoint("token_endpoint")?,
            jwks_uri: url("jwks_uri")?,
            userinfo_endpoint: endpoint("userinfo_endpoint")?,
            revocation_endpoint: endpoint("revocation_endpoint")?,
            introspection_endpoint: endpoint("introspection_endpoint")?,
            end_session_endpoint: endpoint("end_session_endpoint")?,
            names_issuer_in_responses: document.get("authorization_response_iss_parameter_supported")
                == Some(&Value::Bool(true)),
            code_challenge_methods: document.get("code_challenge_methods_supported").map(strings),
        })
    }

    /// Where a person is sent to log out there (OpenID Connect RP-Initiated Logout section 2), and comes back to `after`.
    #[must_use]
    pub fn end_session_url(&self, client_id: &str, id_token: &Secret, after: &str) -> Option<String> {
        let endpoint = self.end_session_endpoint.as_ref()?;
        let form = Form::default()
            .with("client_id", client_id)
            .with("id_token_hint", id_token.expose())
            .with("post_logout_redirect_uri", after);
        let separator = if endpoint.query().is_some() { '&' } else { '?' };
        Some(format!("{endpoint}{separator}{}", form.into_string()))
    }

    /// Asks a provider: at `/.well-known/openid-configuration` below the issuer, or where RFC 8414 section 3 has it.
    ///
    /// # Errors
    /// When neither is there, or it is not the metadata of this issuer.
    pub async fn discover(fetch: &dyn Fetch, issuer: &str) -> Result<Self, MetadataError> {
        let url = KeySetUrl::parse(issuer).map_err(|error| MetadataError::Endpoint("issuer", error))?;
        let [first, second] = well_known(&url);
        let text = match document(fetch, &first.ok_or(MetadataError::NotObject)?).await {
            Err(FetchError::Status(status)) if status.is_client_error() => {
                document(fetch, &second.ok_or(MetadataError::NotObject)?).await?
            }
            other => other?,
        };
        Self::parse(&text, issuer)
    }
}

fn endpoint(document: &Map<String, Value>, name: &'static str) -> Result<Option<KeySetUrl>, MetadataError> {
    let Some(value) = document.get(name) else { return Ok(None) };
    let url = KeySetUrl::parse(value.as_str().unwrap_or_default());
    url.map(Some).map_err(|error| MetadataError::Endpoint(name, error))
}

/// The strings of a list.
fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// OpenID Connect Discovery section 4 appends to the issuer's path; RFC 8414 section 3.1 inserts before it.
fn well_known(issuer: &KeySetUrl) -> [Option<Uri>; 2] {
    let uri = issuer.as_uri();
    let base =
        format!("{}://{}", uri.scheme_str().unwrap_or("https"), uri.authority().map_or("", |a| a.as_str()));
    let path = uri.path().trim_end_matches('/');
    [
        format!("{base}{path}/.well-known/openid-configuration").parse().ok(),
        format!("{base}/.well-known/oauth-authorization-server{path}").parse().ok(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_must_be_of_the_issuer_that_was_asked() {
        let document =
            |issuer: &str| format!(r#"{{"issuer":"{issuer}","token_endpoint":"https://a.example/t"}}"#);
        let parse = |text: String| ProviderMetadata::parse(text.as_bytes(), "https://a.example");
        assert!(parse(document("https://a.example")).unwrap().token_endpoint.is_some());
        assert_eq!(parse(document("https://a.example/")).unwrap_err(), MetadataError::OtherIssuer);
        assert_eq!(parse(document("https://b.example")).unwrap_err(), MetadataError::OtherIssuer);
        assert_eq!(parse("{}".to_owned()).unwrap_err(), MetadataError::OtherIssuer);
        assert_eq!(parse("[]".to_owned()).unwrap_err(), MetadataError::NotObject);
    }

    #[test]
    fn an_endpoint_without_encryption_is_refused() {
        for wrong in ["\"http://a.example/t\"", "\"/t\"", "7"] {
            let text = format!(r#"{{"issuer":"https://a.example","revocation_endpoint":{wrong}}}"#);
            let error = ProviderMetadata::parse(text.as_bytes(), "https://a.example").unwrap_err();
            assert!(matches!(error, MetadataError::Endpoint("revocation_endpoint", _)), "{error}");
        }
    }

    #[test]
    fn documents_are_looked_for_in_both_places() {
        for (issuer, expected) in [
            (
                "https://a.example",
                [
                    "https://a.example/.well-known/openid-configuration",
                    "https://a.example/.well-known/oauth-authorization-server",
                ],
            ),
            (
                "https://a.example/t/",
                [
                    "https://a.example/t/.well-known/openid-configuration",
                    "https://a.example/.well-known/oauth-authorization-server/t",
                ],
            ),
        ] {
            let found = well_known(&KeySetUrl::parse(issuer).unwrap());
            assert_eq!(found.map(|uri| uri.unwrap().to_string()), expected);
        }
    }
}
