//! An issuer of tokens, API keys, and the configuration that trusts them.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_authn::api_key::{self, GeneratedKey};
use portcullis_authn::mint::SigningKey;
use portcullis_core::{Clock as _, SystemClock};
use portcullis_oidc::Algorithm;
use portcullis_testkit::gateway::Setup;
use serde_json::{Map, Value, json};

use crate::common::{Config, setup};

pub(crate) const ISSUER: &str = "https://idp.test";

/// The issuer's keys are made once for all tests: RSA keys take their time.
pub(crate) static RSA: LazyLock<SigningKey> = LazyLock::new(|| key_pair(Algorithm::Rs256));
pub(crate) static EC: LazyLock<SigningKey> = LazyLock::new(|| key_pair(Algorithm::Es256));

/// The section that takes tokens of [`EC`] (`staff`) and of [`RSA`] (`rsa`), and the API key of [`partner`].
pub(crate) fn section() -> String {
    let method = |name: &str, algorithm: &str| {
        format!(
            "{{ name: {name}, issuer: \"{ISSUER}\", audiences: [shop], algorithms: [{algorithm}], \
             keys: {{ pem: {name}.pem }} }}"
        )
    };
    let keys = format!("[{{ id: acme, hash: \"{}\", roles: [partner], scopes: [read] }}]", PARTNER.hash);
    format!(
        "{{ realm: shop, jwt: [{}, {}], \
         api_keys: [{{ name: partners, header: X-API-Key, query: api_key, keys: {keys} }}] }}",
        method("staff", "ES256"),
        method("rsa", "RS256"),
    )
}

/// A folder with the files that [`section`] names.
pub(crate) fn folder() -> Setup {
    setup().file("staff.pem", EC.public_pem().unwrap()).file("rsa.pem", RSA.public_pem().unwrap())
}

/// `config` with [`section`], authentication enforced with these methods.
pub(crate) fn authenticated(config: Config, methods: &str) -> Config {
    config
        .section("authentication", section())
        .policy("authenticate", format!("{{ mode: enforce, methods: [{methods}] }}"))
}

/// The key of the partner `acme`.
pub(crate) fn partner() -> &'static str {
    PARTNER.key.expose()
}

static PARTNER: LazyLock<GeneratedKey> = LazyLock::new(|| api_key::generate("acme").unwrap());

/// Claims that are right in every way, for this subject.
pub(crate) fn claims(subject: &str) -> Map<String, Value> {
    let now = SystemClock.now().as_secs();
    let claims = json!({ "iss": ISSUER, "aud": "shop", "sub": subject, "iat": now - 60, "exp": now + 3600 });
    claims.as_object().unwrap().clone()
}

/// [`claims`] with some of them added or replaced.
pub(crate) fn claims_with(subject: &str, changes: Value) -> Map<String, Value> {
    let mut claims = claims(subject);
    claims.extend(changes.as_object().unwrap().clone());
    claims
}

/// The header line of a good token for this subject.
pub(crate) fn bearer(subject: &str) -> String {
    bearer_with(subject, json!({}))
}

/// The header line of a good token with further claims.
pub(crate) fn bearer_with(subject: &str, changes: Value) -> String {
    authorization(&EC.mint(None, &claims_with(subject, changes)).unwrap())
}

/// The header line that shows this token.
pub(crate) fn authorization(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// The JSON Web Key of a key pair for ES256, under this `kid`.
pub(crate) fn jwk(key: &SigningKey, kid: &str) -> Value {
    let pem = key.public_pem().unwrap();
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(base64).unwrap();
    // The SubjectPublicKeyInfo of a P-256 key ends with the two coordinates.
    let (x, y) = der[der.len() - 64..].split_at(32);
    let encode = |bytes| URL_SAFE_NO_PAD.encode(bytes);
    json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": encode(x), "y": encode(y) })
}

fn key_pair(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(algorithm).unwrap()
}
