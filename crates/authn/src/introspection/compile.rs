//! From what is written about an issuer of opaque tokens to a method.

use http::Uri;
use portcullis_core::{KeyPath, Period, Problems};
use portcullis_oidc::client::{Client, ClientAuthentication, ProviderMetadata};
use portcullis_oidc::mint::SigningKey;
use portcullis_oidc::{Algorithm, KeySetUrl};

use super::IntrospectionMethod;
use super::raw::{RawAnswerCache, RawClient, RawIntrospection, SecretPlace};
use crate::jwt::TokenHeader;
use crate::jwt::claims::ClaimPath;
use crate::method::{Compiling, MethodId};
use crate::provider::Provider;
use crate::questions::Questions;

const LONGEST: Period = Period::secs(60 * 60);

impl IntrospectionMethod {
    pub(crate) fn compile(
        raw: &RawIntrospection,
        _: MethodId,
        path: &KeyPath,
        compiling: &mut Compiling<'_>,
    ) -> Option<Self> {
        let header = TokenHeader::parse(&raw.header);
        if header.is_none() {
            compiling
                .problems
                .error(&path.key("header"), format!("`{}` is not a header name", raw.header.escape_debug()))
                .suggest("leave it out for `Authorization`");
        }
        let issuer = url(&raw.issuer, &path.key("issuer"), compiling.problems);
        let endpoint =
            raw.endpoint.as_deref().map(|text| url(text, &path.key("endpoint"), compiling.problems));
        let client = client(&raw.client, &path.key("client"), compiling);
        check_cache(&raw.cache, &path.key("cache"), compiling.problems);
        if raw.audiences.is_empty() {
            compiling
                .problems
                .warning(&path.key("audiences"), "tokens for every service of the issuer are taken")
                .suggest("name the audience by which the issuer knows this API");
        }
        let hash = compiling.keyed_hash(path);
        let provider = match endpoint {
            None => Provider::new(raw.issuer.clone()),
            Some(endpoint) => Provider::fixed(ProviderMetadata {
                introspection_endpoint: Some(endpoint?),
                ..unknown(&raw.issuer)
            }),
        };
        issuer?;
        Some(Self {
            name: raw.name.clone(),
            header: header?,
            issuer: raw.issuer.clone(),
            audiences: raw.audiences.clone(),
            roles: ClaimPath::new(&raw.roles_claim),
            client: client?,
            provider,
            active: raw.cache.active.0,
            inactive: raw.cache.inactive.0,
            questions: Questions::new(hash?, raw.cache.max_entries),
        })
    }
}

/// An issuer of which nothing is known.
pub(crate) fn unknown(issuer: &str) -> ProviderMetadata {
    ProviderMetadata {
        issuer: issuer.to_owned(),
        authorization_endpoint: None,
        token_endpoint: None,
        jwks_uri: None,
        userinfo_endpoint: None,
        revocation_endpoint: None,
        introspection_endpoint: None,
        end_session_endpoint: None,
        names_issuer_in_responses: false,
        code_challenge_methods: None,
    }
}

pub(crate) fn url(text: &str, path: &KeyPath, problems: &mut Problems) -> Option<Uri> {
    match KeySetUrl::parse(text) {
        Ok(url) => Some(url.as_uri().clone()),
        Err(error) => {
            problems
                .error(path, error.to_string())
                .suggest("write a URL, such as `https://login.example.com`");
            None
        }
    }
}

pub(crate) fn client(raw: &RawClient, path: &KeyPath, compiling: &mut Compiling<'_>) -> Option<Client> {
    if raw.id.is_empty() {
        compiling
            .problems
            .error(&path.key("id"), "it is empty")
            .suggest("write the name that the issuer gave us");
    }
    let only_for_a_key = [("algorithm", raw.algorithm.is_some()), ("key_id", raw.key_id.is_some())];
    for (key, _) in
        only_for_a_key.into_iter().filter(|(_, is_written)| *is_written && raw.private_key.is_none())
    {
        compiling
            .problems
            .error(&path.key(key), "there is no `private_key`")
            .suggest("name one, or leave this out");
    }
    let authentication = match (&raw.secret, &raw.private_key) {
        (Some(secret), None) => match raw.authentication.unwrap_or(SecretPlace::Basic) {
            SecretPlace::Basic => ClientAuthentication::Basic(secret.clone()),
            SecretPlace::Post => ClientAuthentication::Post(secret.clone()),
        },
        (None, Some(file)) => {
            if raw.authentication.is_some() {
                compiling
                    .problems
                    .error(&path.key("authentication"), "it says where a secret is sent, and there is none")
                    .suggest("leave it out");
            }
            let algorithm = raw.algorithm.unwrap_or(Algorithm::Es256);
            let read = compiling.folder.read(file).and_then(|text| {
                SigningKey::from_pem(&text, algorithm)
                    .map_err(|_| format!("`{file}` holds no private key for {}", algorithm.name()))
            });
            match read {
                Ok(key) => {
                    ClientAuthentication::PrivateKeyJwt { key: Box::new(key), key_id: raw.key_id.clone() }
                }
                Err(message) => {
                    compiling
                        .problems
                        .error(&path.key("private_key"), message)
                        .suggest("write a PEM file with a `PRIVATE KEY` block of the kind of `algorithm`");
                    return None;
                }
            }
        }
        _ => {
            compiling
                .problems
                .error(path, "an issuer answers those only who prove who they are, by one of two ways")
                .suggest("write `secret`, or `private_key`");
            return None;
        }
    };
    Some(Client { id: raw.id.clone(), authentication })
}

fn check_cache(raw: &RawAnswerCache, path: &KeyPath, problems: &mut Problems) {
    for (key, period) in [("active", raw.active), ("inactive", raw.inactive)] {
        if period.0.is_zero() || period.0 > LONGEST.0 {
            problems
                .error(&path.key(key), format!("`{period}` is not between 1ms and {LONGEST}"))
                .suggest("leave it out");
        }
    }
    const MOST: usize = 10_000_000;
    if raw.max_entries == 0 || raw.max_entries > MOST {
        problems
            .error(&path.key("max_entries"), format!("{} is not between 1 and {MOST}", raw.max_entries))
            .suggest("leave it out for 100000");
    }
}
