//! From what is written about signers to what verifies their requests.

use std::collections::HashSet;
use std::sync::Arc;

use portcullis_core::{KeyPath, Period, Principal, PrincipalKind};
use portcullis_oidc::VerifyingKey;

use super::base::Component;
use super::raw::{RawMessageSignatures, RawSignatureKey, SignatureAlgorithm};
use super::{MessageSignatureMethod, Signer};
use crate::method::{Compiling, MethodId, USUALLY_REMEMBERED};

const LONGEST: Period = Period::secs(24 * 60 * 60);
const COMPONENTS: &str = "a header field in small letters, `@method`, `@target-uri`, `@authority`, `@scheme`, `@request-target`, `@path` or `@query`";

impl MessageSignatureMethod {
    pub(crate) fn compile(
        raw: &RawMessageSignatures,
        _: MethodId,
        path: &KeyPath,
        compiling: &mut Compiling<'_>,
    ) -> Option<Self> {
        let required = compile_required(raw, &path.key("required"), compiling);
        if raw.tolerance.0.is_zero() || raw.tolerance.0 > LONGEST.0 {
            compiling
                .problems
                .error(
                    &path.key("tolerance"),
                    format!("`{}` is not between 1ms and {LONGEST}", raw.tolerance),
                )
                .suggest("leave it out for 5m");
        }
        let remembered = compiling.remembered(raw.remembered, USUALLY_REMEMBERED, &path.key("remembered"));
        if raw.keys.is_empty() {
            compiling
                .problems
                .error(&path.key("keys"), "there is no key, so every signature would be refused")
                .suggest("add one with `id`, `algorithm` and `pem` or `secret`");
        }
        let mut seen = HashSet::new();
        let mut keys = Vec::new();
        for (index, key) in raw.keys.iter().enumerate() {
            let path = path.key("keys").index(index);
            if !seen.insert(key.id.as_str()) || key.id.is_empty() {
                compiling
                    .problems
                    .error(&path.key("id"), format!("`{}` is empty, or twice", key.id.escape_debug()))
                    .suggest("write the `keyid` by which the signer names this key");
            }
            keys.extend(compile_key(key, &raw.name, &path, compiling));
        }
        Some(Self {
            keys,
            required,
            requires_digest: raw.require_digest,
            tolerance: raw.tolerance.0,
            tag: raw.tag.clone(),
            taken: compiling.replays(&raw.name, remembered),
        })
    }
}

fn compile_required(
    raw: &RawMessageSignatures,
    path: &KeyPath,
    compiling: &mut Compiling<'_>,
) -> Vec<Component> {
    let mut required = Vec::new();
    for (index, name) in raw.required.iter().enumerate() {
        match Component::named(name) {
            Some(component) => required.push(component),
            None => {
                compiling
                    .problems
                    .error(
                        &path.index(index),
                        format!("`{}` is no component of a request", name.escape_debug()),
                    )
                    .suggest(format!("write {COMPONENTS}"));
            }
        }
    }
    let has = |names: &[&str]| names.iter().any(|name| raw.required.iter().any(|known| known == name));
    if !has(&["@method"]) || !has(&["@path", "@target-uri", "@request-target"]) {
        compiling
            .problems
            .warning(
                path,
                "a signature need not say which method or which path it is for, and is good for others",
            )
            .suggest("require `@method` and `@path`, or `@target-uri`");
    }
    required
}

fn compile_key(
    raw: &RawSignatureKey,
    method: &str,
    path: &KeyPath,
    compiling: &mut Compiling<'_>,
) -> Option<Signer> {
    let algorithm = raw.algorithm.as_jose();
    let read = match (&raw.pem, &raw.secret, raw.algorithm) {
        (None, Some(secret), SignatureAlgorithm::HmacSha256) => {
            let key = VerifyingKey::from_secret(secret.expose().as_bytes(), &[algorithm]);
            key.map_err(|error| (path.key("secret"), error.to_string()))
        }
        (Some(file), None, kind) if kind != SignatureAlgorithm::HmacSha256 => {
            let keys = compiling
                .folder
                .read(file)
                .and_then(|text| VerifyingKey::from_pem(&text).map_err(|error| format!("`{file}`: {error}")));
            keys.and_then(|mut keys| {
                match keys.pop().filter(|key| keys.is_empty() && key.permits(algorithm)) {
                    Some(key) => Ok(key),
                    None => Err(format!("`{file}` does not hold one key for {}", kind.name())),
                }
            })
            .map_err(|message| (path.key("pem"), message))
        }
        _ => Err((path.clone(), "it needs `secret` for `hmac-sha256`, and `pem` for all others".to_owned())),
    };
    match read {
        Ok(key) => {
            let principal = Principal::new(PrincipalKind::Signer, raw.id.as_str(), method);
            Some(Signer { id: raw.id.clone(), algorithm: raw.algorithm, key, principal: Arc::new(principal) })
        }
        Err((place, message)) => {
            compiling
                .problems
                .error(&place, message)
                .suggest("write a PEM file with a `PUBLIC KEY` block, or a secret");
            None
        }
    }
}
