//! From what is written about an issuer to what verifies its tokens.

use std::sync::Arc;

use portcullis_core::{ByteSize, ConfigFolder, KeyPath, Problems, Secret};
use portcullis_oidc::{Algorithm, Candidates, KeyKind, KeySet, KeySetUrl, KeySource, RefreshRules};

use super::claims::{ClaimPath, ClaimRules};
use super::token::media_type;
use super::{JwtMethod, MAX_LEEWAY, RawJwt, RawKeys, TokenHeader};
use crate::method::{Compiling, MethodId};

/// A header section is not larger anywhere.
pub(super) const LARGEST_TOKEN: ByteSize = ByteSize::kib(64);

impl JwtMethod {
    /// Checks what is written; `None` if something is missing without which no token can be verified.
    pub(crate) fn compile(
        raw: &RawJwt,
        id: MethodId,
        path: &KeyPath,
        compiling: &mut Compiling<'_>,
    ) -> Option<Self> {
        check_names(raw, path, compiling.problems);
        check_bounds(raw, path, compiling.problems);
        let header = TokenHeader::parse(&raw.header);
        if header.is_none() {
            let message = format!("`{}` is not a header name", raw.header);
            compiling
                .problems
                .error(&path.key("header"), message)
                .suggest("leave it out for `Authorization`");
        }
        let keys = compile_keys(raw, path, compiling);
        Some(Self {
            id,
            name: raw.name.clone(),
            header: header?,
            max_token: raw.max_token.bytes(),
            algorithms: raw.algorithms.clone(),
            types: raw.types.iter().map(|name| media_type(name)).collect(),
            keys: keys?,
            claims: ClaimRules {
                issuer: raw.issuer.clone(),
                audiences: raw.audiences.clone(),
                leeway: raw.leeway.0,
                required: raw.required_claims.iter().map(|name| ClaimPath::new(name)).collect(),
                roles: ClaimPath::new(&raw.roles_claim),
            },
        })
    }
}

fn check_names(raw: &RawJwt, path: &KeyPath, problems: &mut Problems) {
    if raw.issuer.is_empty() {
        problems
            .error(&path.key("issuer"), "the issuer is empty")
            .suggest("write the `iss` of its tokens, for example `https://login.example.com/`");
    }
    for (key, names, example) in [
        ("audiences", &raw.audiences, "the name by which the issuer knows this API"),
        ("types", &raw.types, "`JWT` or `at+jwt`"),
    ] {
        if names.is_empty() {
            problems
                .error(&path.key(key), "the list is empty, so every token would be refused")
                .suggest(format!("add {example}"));
        }
    }
    for (key, names) in
        [("audiences", &raw.audiences), ("types", &raw.types), ("required_claims", &raw.required_claims)]
    {
        for (index, _) in names.iter().enumerate().filter(|(_, name)| name.is_empty()) {
            problems
                .error(&path.key(key).index(index), "an empty name")
                .suggest("remove it, or write out the variable that it comes from");
        }
    }
}

fn check_bounds(raw: &RawJwt, path: &KeyPath, problems: &mut Problems) {
    if raw.leeway.0 > MAX_LEEWAY {
        problems
            .error(&path.key("leeway"), format!("`{}` is longer than 5m", raw.leeway))
            .suggest("set the clocks right and leave it out for 30s");
    }
    if raw.max_token > LARGEST_TOKEN || raw.max_token.0 == 0 {
        problems
            .error(&path.key("max_token"), format!("`{}` is not between 1B and 64KiB", raw.max_token))
            .suggest("leave it out for 8KiB");
    }
    if raw.algorithms.is_empty() {
        problems
            .error(&path.key("algorithms"), "the list is empty, so every token would be refused")
            .suggest("write the algorithm that the issuer signs with, for example `[RS256]`");
    }
    if raw.refresh.is_some() && !matches!(raw.keys, RawKeys::JwksUrl(_) | RawKeys::Discovery) {
        problems
            .error(&path.key("refresh"), "only keys from a `jwks_url` or by `discovery` are refreshed")
            .suggest("remove it, or write `keys: discovery`");
    }
}

fn compile_keys(raw: &RawJwt, path: &KeyPath, compiling: &mut Compiling<'_>) -> Option<Arc<KeySource>> {
    let keys = path.key("keys");
    let fixed = match &raw.keys {
        RawKeys::Secret(secret) => from_secret(secret, raw, &keys.key("secret"), compiling.problems),
        RawKeys::Pem(file) => from_pem(file, raw, &keys.key("pem"), compiling),
        RawKeys::Jwks(file) => from_jwks(file, raw, &keys.key("jwks"), compiling),
        RawKeys::JwksUrl(_) | RawKeys::Discovery => return from_network(raw, path, compiling),
    };
    fixed.map(|keys| Arc::new(KeySource::fixed(keys)))
}

/// With a secret there are HMAC algorithms only, with public keys none: a public key as an HMAC secret would
/// let everybody sign (RFC 8725 section 2.1).
fn refuse_algorithms(
    raw: &RawJwt,
    path: &KeyPath,
    problems: &mut Problems,
    why: &str,
    is_wrong: impl Fn(Algorithm) -> bool,
) -> bool {
    let wrong: Vec<_> = raw.algorithms.iter().copied().filter(|&algorithm| is_wrong(algorithm)).collect();
    for algorithm in &wrong {
        problems
            .error(path, format!("{} does not work with {why}", algorithm.name()))
            .suggest("put it into a method of its own with keys of its own");
    }
    !wrong.is_empty()
}

fn from_secret(secret: &Secret, raw: &RawJwt, path: &KeyPath, problems: &mut Problems) -> Option<KeySet> {
    if refuse_algorithms(raw, path, problems, "a shared secret", |a| a.key_kind() != KeyKind::Secret) {
        return None;
    }
    match KeySet::from_secret(secret.expose().as_bytes(), &raw.algorithms) {
        Ok(keys) => Some(keys),
        Err(error) => {
            let problem = problems.error(path, error.to_string());
            problem.suggest("make one with `openssl rand -base64 48`");
            None
        }
    }
}

fn from_pem(file: &str, raw: &RawJwt, path: &KeyPath, compiling: &mut Compiling<'_>) -> Option<KeySet> {
    let text = read(file, path, compiling.folder, compiling.problems)?;
    let keys = match KeySet::from_pem(&text) {
        Ok(keys) => keys,
        Err(error) => {
            compiling.problems.error(path, format!("`{file}`: {error}"));
            return None;
        }
    };
    let permitted = |algorithm| keys.keys().iter().any(|key| key.permits(algorithm));
    let kind = keys.keys().first().map_or("these keys", |key| key.kind().name());
    let refused =
        refuse_algorithms(raw, path, compiling.problems, &format!("the key in `{file}` ({kind})"), |a| {
            !permitted(a)
        });
    (!refused).then_some(keys)
}

fn from_jwks(file: &str, raw: &RawJwt, path: &KeyPath, compiling: &mut Compiling<'_>) -> Option<KeySet> {
    let text = read(file, path, compiling.folder, compiling.problems)?;
    if refuse_secrets(raw, path, compiling.problems) {
        return None;
    }
    let keys = match KeySet::from_jwks(text.as_bytes()) {
        Ok(keys) => keys,
        Err(error) => {
            compiling.problems.error(path, format!("`{file}`: {error}"));
            return None;
        }
    };
    for skipped in keys.skipped() {
        let message = format!("`{file}`: key {} is not used: {}", skipped.position, skipped.reason);
        compiling.problems.warning(path, message);
    }
    for &algorithm in &raw.algorithms {
        if keys.lookup(None, algorithm) != Candidates::Some {
            let message = format!("`{file}` has no key for {}", algorithm.name());
            compiling.problems.warning(path, message).suggest("remove the algorithm, or add its key");
        }
    }
    Some(keys)
}

fn from_network(raw: &RawJwt, path: &KeyPath, compiling: &mut Compiling<'_>) -> Option<Arc<KeySource>> {
    let (place, written, url) = match &raw.keys {
        RawKeys::JwksUrl(url) => (path.key("keys").key("jwks_url"), path.key("keys").key("jwks_url"), url),
        _ => (path.key("keys"), path.key("issuer"), &raw.issuer),
    };
    let refresh = raw.refresh.clone().unwrap_or_default();
    let rules = RefreshRules::compile(&refresh, &path.key("refresh"), compiling.problems);
    let refused = refuse_secrets(raw, &place, compiling.problems);
    match KeySetUrl::parse(url) {
        Ok(_) if refused => None,
        Ok(url) if matches!(raw.keys, RawKeys::Discovery) => {
            Some(compiling.remote(KeySource::discovered(&raw.issuer, url, rules)))
        }
        Ok(url) => Some(compiling.remote(KeySource::remote(url, rules))),
        Err(error) => {
            let suggestion = match raw.keys {
                RawKeys::Discovery => "write the `jwks_url` of an issuer that is no URL, or name a file",
                _ => "write the `jwks_uri` of the issuer, for example `https://login.example.com/keys`",
            };
            compiling.problems.error(&written, error.to_string()).suggest(suggestion);
            None
        }
    }
}

fn refuse_secrets(raw: &RawJwt, path: &KeyPath, problems: &mut Problems) -> bool {
    refuse_algorithms(raw, path, problems, "published keys", |a| a.key_kind() == KeyKind::Secret)
}

fn read(file: &str, path: &KeyPath, folder: &ConfigFolder, problems: &mut Problems) -> Option<String> {
    folder.read(file).map_err(|message| problems.error(path, message)).ok()
}
