//! From what is written about tokens for services to their issuer, and to what each route has of it.

use std::sync::Arc;

use bytes::Bytes;
use http::header::COOKIE;
use http::{HeaderName, HeaderValue};
use parking_lot::Mutex;
use portcullis_core::{ConfigFolder, IdentitySource, KeyPath, Period, Problems, Target, TargetRules};
use portcullis_oidc::PublishedKey;
use portcullis_oidc::mint::SigningKey;

use super::raw::{RawInternalToken, RawInternalTokens};
use super::{InternalToken, InternalTokens, KeySetEndpoint, MOST_KEPT, OWN_CLAIMS, Recipe};
use crate::expiring::Expiring;
use crate::method::check_period;

const SHORTEST: Period = Period::secs(5);
const LONGEST: Period = Period::secs(600);
const LONGEST_MAX_AGE: Period = Period::secs(24 * 60 * 60);

impl InternalTokens {
    /// Checks what is written and reads the keys.
    #[must_use]
    pub fn compile(
        raw: &RawInternalTokens,
        folder: &ConfigFolder,
        path: &KeyPath,
        problems: &mut Problems,
    ) -> Option<Self> {
        if raw.issuer.is_empty() {
            problems.error(&path.key("issuer"), "it is empty").suggest(
                "write the name by which services know this gateway, such as `https://gateway.internal`",
            );
        }
        check_period(raw.lifetime, SHORTEST, LONGEST, &path.key("lifetime"), problems);
        check_period(raw.jwks_max_age, Period::secs(0), LONGEST_MAX_AGE, &path.key("jwks_max_age"), problems);
        check_path(&raw.jwks_path, &path.key("jwks_path"), problems);
        let more = more_keys(raw, folder, &path.key("more_keys"), problems);
        let key = signing_key(raw, folder, &path.key("key"), problems)?;
        let published = key.published().ok()?;
        let max_age = format!("public, max-age={}", raw.jwks_max_age.0.as_secs());
        let key_set = KeySetEndpoint {
            path: raw.jwks_path.clone(),
            document: Bytes::from(PublishedKey::document(std::iter::once(&published).chain(&more))),
            cache_control: HeaderValue::try_from(max_age).ok()?,
        };
        Some(Self {
            issuer: raw.issuer.clone(),
            key,
            key_id: published.id().to_owned(),
            lifetime: raw.lifetime.0,
            key_set,
            recipes: Mutex::default(),
            kept: Expiring::new(MOST_KEPT),
        })
    }
}

fn signing_key(
    raw: &RawInternalTokens,
    folder: &ConfigFolder,
    path: &KeyPath,
    problems: &mut Problems,
) -> Option<SigningKey> {
    let text = match folder.read_private(&raw.key) {
        Ok(text) => text,
        Err(message) => {
            problems
                .error(path, message)
                .suggest("make one with `openssl genpkey -algorithm ed25519 -out key.pem`");
            return None;
        }
    };
    let (key, what) = match raw.algorithm {
        Some(algorithm) => (SigningKey::from_pem(&text, algorithm), format!(" for {}", algorithm.name())),
        None => (SigningKey::of_its_kind(&text), String::new()),
    };
    key.map_err(|_| {
        problems
            .error(path, format!("`{}` holds no private key{what}", raw.key))
            .suggest("write a PEM file with a `PRIVATE KEY` block: Ed25519, P-256, P-384, P-521 or RSA");
    })
    .ok()
}

fn more_keys(
    raw: &RawInternalTokens,
    folder: &ConfigFolder,
    path: &KeyPath,
    problems: &mut Problems,
) -> Vec<PublishedKey> {
    let mut keys = Vec::new();
    for (index, file) in raw.more_keys.iter().enumerate() {
        let read = folder.read(file).and_then(|text| {
            // What signs next, or did until lately, is as secret as what signs.
            let text = if text.contains("PRIVATE KEY") { folder.read_private(file)? } else { text };
            PublishedKey::from_pem(&text).map_err(|error| format!("`{file}` cannot be published: {error}"))
        });
        match read {
            Ok(read) => keys.extend(read),
            Err(message) => problems
                .error(&path.index(index), message)
                .suggest("name a PEM file with a key: Ed25519, P-256, P-384, P-521 or RSA"),
        }
    }
    keys
}

/// It is compared with normalised paths.
fn check_path(text: &str, path: &KeyPath, problems: &mut Problems) {
    let is_normal = Target::parse(text, &TargetRules::default())
        .is_ok_and(|target| target.query().is_none() && target.path() == text && text.len() > 1);
    if !is_normal {
        problems
            .error(path, format!("`{}` is not the path of a document", text.escape_debug()))
            .suggest("leave it out for `/.portcullis/jwks.json`");
    }
}

impl InternalToken {
    /// Checks what is written for a route. Without `tokens`, which were not configured or have faults of their own, there is none.
    #[must_use]
    pub fn compile(
        raw: &RawInternalToken,
        tokens: Option<&Arc<InternalTokens>>,
        path: &KeyPath,
        problems: &mut Problems,
    ) -> Option<Self> {
        if raw.audience.is_empty() {
            problems
                .error(&path.key("audience"), "it is empty: the token would be for every service")
                .suggest("write the name by which the service knows itself");
        }
        let header = header(&raw.header, &path.key("header"), problems);
        let claims = claims(raw, &path.key("claims"), problems);
        let (tokens, header) = (Arc::clone(tokens?), header?);
        let (recipe, place) = tokens.place_of(Recipe::new(raw.audience.clone(), claims, &header));
        Some(Self { tokens, header, recipe, place })
    }
}

pub(crate) fn header(name: &str, path: &KeyPath, problems: &mut Problems) -> Option<HeaderName> {
    match HeaderName::from_bytes(name.as_bytes()) {
        Ok(header) if header == COOKIE => {
            problems
                .error(path, "`Cookie` has a structure of its own and cannot hold a token")
                .suggest("leave it out for `Authorization`");
            None
        }
        Ok(header) => Some(header),
        Err(_) => {
            problems
                .error(path, format!("`{}` is not a header name", name.escape_debug()))
                .suggest("leave it out for `Authorization`");
            None
        }
    }
}

fn claims(raw: &RawInternalToken, path: &KeyPath, problems: &mut Problems) -> Vec<(String, IdentitySource)> {
    let mut claims = Vec::new();
    for (name, source) in &raw.claims {
        let place = path.key(name);
        match IdentitySource::parse(source) {
            _ if name.is_empty() || OWN_CLAIMS.contains(&name.as_str()) => problems
                .error(&place, format!("the claim `{name}` is the gateway's own"))
                .suggest("choose another name"),
            Some(source) => claims.push((name.clone(), source)),
            None => problems
                .error(&place, format!("`{source}` is nothing that a caller has"))
                .suggest(format!("write {}", IdentitySource::NAMES)),
        }
    }
    claims
}
