//! Tokens that somebody made up.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use portcullis_core::{PrincipalKind, Reason};
use portcullis_oidc::Algorithm;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::fixture::*;
use crate::mint::SigningKey;

fn payload() -> String {
    json!(claims()).to_string()
}

/// A token with this header, signed by the issuer itself.
fn signed(header: &str) -> String {
    RSA.sign(header.as_bytes(), payload().as_bytes()).unwrap()
}

/// A token with these claims as they stand, signed by the issuer itself.
fn claiming(claims: &str) -> String {
    RSA.sign(br#"{"alg":"RS256"}"#, claims.as_bytes()).unwrap()
}

fn changed(changes: Value) -> String {
    RSA.mint(None, &claims_with(changes)).unwrap()
}

/// A token without a signature.
fn unsigned(algorithm: &str, signature: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#));
    format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(payload()))
}

/// RFC 8725 section 2.1: the public key, which everybody has, as an HMAC secret.
fn signed_with_public_key(secret: &[u8]) -> String {
    SigningKey::from_secret(secret, Algorithm::Hs256).unwrap().mint(None, &claims()).unwrap()
}

fn made_up_headers() -> Vec<(String, &'static str)> {
    let pem = RSA.public_pem().unwrap();
    let stranger = SigningKey::generate(Algorithm::Rs256).unwrap();
    let mut tokens = vec![
        (signed_with_public_key(pem.as_bytes()), "algorithm"),
        (signed_with_public_key(pem.trim().as_bytes()), "algorithm"),
        (stranger.mint(None, &claims()).unwrap(), "signature"),
        (EC.mint(None, &claims()).unwrap(), "algorithm"),
        (signed(r#"{"alg":"RS512"}"#), "algorithm"),
        (signed(r#"{"alg":"PS256"}"#), "algorithm"),
        (signed(r#"{"alg":"rs256"}"#), "algorithm"),
        (signed(r#"{"alg":["RS256"]}"#), "algorithm"),
        (signed(r#"{"alg":null}"#), "algorithm"),
        (signed(r#"{"typ":"JWT"}"#), "algorithm"),
        (signed(r#"{"alg":"RS256","crit":["exp"],"exp":1}"#), "critical_header"),
        (signed(r#"{"alg":"RS256","crit":[]}"#), "critical_header"),
        (signed(r#"{"alg":"RS256","b64":false,"crit":["b64"]}"#), "critical_header"),
        (signed(r#"{"alg":"RS256","jwk":{"kty":"RSA","n":"AQ","e":"AQAB"}}"#), "key_in_header"),
        (signed(r#"{"alg":"RS256","jku":"https://evil.example/keys"}"#), "key_in_header"),
        (signed(r#"{"alg":"RS256","x5u":"https://evil.example/cert"}"#), "key_in_header"),
        (signed(r#"{"alg":"RS256","typ":"dpop+jwt"}"#), "type"),
        (signed(r#"{"alg":"RS256","typ":"logout+jwt"}"#), "type"),
        (signed(r#"{"alg":"RS256","typ":""}"#), "type"),
        (signed(r#"{"alg":"RS256","typ":7}"#), "malformed"),
        (signed(r#"{"alg":"RS256","kid":7}"#), "malformed"),
        (signed(r#"{"alg":"RS256","alg":"RS256"}"#), "malformed"),
        (signed(r#"{"alg":"none","alg":"RS256"}"#), "malformed"),
        (signed(r#"{"alg":"RS256"} x"#), "malformed"),
        (signed(r#"["RS256"]"#), "malformed"),
        (signed(""), "malformed"),
    ];
    for none in ["none", "None", "NONE", "nOnE", "none ", ""] {
        tokens.push((unsigned(none, ""), "algorithm"));
        tokens.push((unsigned(none, "AAAA"), "algorithm"));
    }
    tokens.push((unsigned("RS256", ""), "signature"));
    tokens.push((unsigned("RS256", "AAAA"), "signature"));
    tokens
}

fn made_up_claims() -> Vec<(String, &'static str)> {
    let twice = |name: &str, value: &str| {
        let text = payload();
        format!("{},\"{name}\":{value}}}", text.strip_suffix('}').unwrap())
    };
    vec![
        (changed(json!({ "iss": "https://login.example.com" })), "issuer"),
        (changed(json!({ "iss": "https://LOGIN.example.com/" })), "issuer"),
        (changed(json!({ "iss": [ISSUER] })), "issuer"),
        (changed(json!({ "iss": null })), "issuer"),
        (changed(json!({ "aud": "other" })), "audience"),
        (changed(json!({ "aud": "ORDERS" })), "audience"),
        (changed(json!({ "aud": "orders " })), "audience"),
        (changed(json!({ "aud": [] })), "audience"),
        (changed(json!({ "aud": ["other"] })), "audience"),
        (changed(json!({ "aud": ["orders", 7] })), "audience"),
        (changed(json!({ "aud": { "orders": true } })), "audience"),
        (changed(json!({ "aud": null })), "audience"),
        (changed(json!({ "sub": null })), "subject"),
        (changed(json!({ "sub": "" })), "subject"),
        (changed(json!({ "sub": 7 })), "subject"),
        (changed(json!({ "cnf": { "jkt": "x" } })), "sender_constrained"),
        (claiming(&twice("sub", "\"mallory\"")), "malformed"),
        (claiming(&twice("s\\u0075b", "\"mallory\"")), "malformed"),
        (claiming(&twice("x", "{\"a\":1,\"a\":2}")), "malformed"),
        (claiming(&(payload() + " {}")), "malformed"),
        (claiming("\"text\""), "malformed"),
        (claiming(""), "malformed"),
        (claiming(&format!("{{\"a\":{}", "[".repeat(2_000))), "malformed"),
    ]
}

fn made_up_forms() -> Vec<(String, &'static str)> {
    let good = RSA.mint(None, &claims()).unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!() };
    let standard = |part: &str| STANDARD.encode(URL_SAFE_NO_PAD.decode(part).unwrap());
    let padded = |part: &str| URL_SAFE.encode(URL_SAFE_NO_PAD.decode(part).unwrap());
    vec![
        (String::new(), "malformed"),
        ("..".to_owned(), "malformed"),
        ("...".to_owned(), "malformed"),
        (format!("{header}.{claims}"), "malformed"),
        (format!("{good}."), "malformed"),
        (format!(".{good}"), "malformed"),
        (format!("{good}.{signature}"), "malformed"),
        (format!("{good}.{header}.{signature}"), "malformed"),
        (format!("{header}..{signature}"), "signature"),
        (format!("{}.{claims}.{signature}", padded(r"eyJhbGciOiJSUzI1NiJ9AA")), "malformed"),
        (format!("{header}.{claims}.{}", padded(signature)), "malformed"),
        (format!("{header}.{claims}.{}", standard(signature)), "malformed"),
        (format!("{header}.{claims}. {signature}"), "malformed"),
        (format!("{good} "), "malformed"),
        (format!("{good}\t"), "malformed"),
        (format!("{good},{good}"), "malformed"),
        (format!("{good} {good}"), "malformed"),
        (format!("\"{good}\""), "malformed"),
        (json!({ "protected": header, "payload": claims, "signature": signature }).to_string(), "malformed"),
        (format!("{good}{}", "A".repeat(8 << 10)), "too_long"),
        (format!("{header}.{}.{signature}", "A".repeat(8 << 10)), "too_long"),
    ]
}

#[test]
fn no_made_up_token_is_accepted() {
    let (gateway, route) = gateway_with(json!({}));
    assert!(gateway.ask(&route, &Request::bearer(&RSA.mint(None, &claims()).unwrap())).is_ok());
    for (token, expected) in [made_up_headers(), made_up_claims(), made_up_forms()].concat() {
        let refused = gateway.ask(&route, &Request::bearer(&token)).unwrap_err();
        assert_eq!(refused.cause, Some(expected), "{token}");
        assert_eq!(refused.reason(), Reason::InvalidToken, "{token}");
    }
}

/// The last character of a signature has bits that no byte takes up: were they ignored, one signature would
/// have several spellings.
#[test]
fn a_token_has_one_spelling() {
    let (gateway, route) = gateway_with(json!({}));
    let good = RSA.mint(None, &claims()).unwrap();
    let (body, last) = good.split_at(good.len() - 1);
    let spellings: Vec<char> = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        .chars()
        .filter(|c| gateway.ask(&route, &Request::bearer(&format!("{body}{c}"))).is_ok())
        .collect();
    assert_eq!(spellings, last.chars().collect::<Vec<_>>());
}

#[test]
fn a_key_id_is_a_name_and_nothing_else() {
    let jwks = {
        let pem = RSA.public_pem().unwrap();
        let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(der).unwrap();
        // SubjectPublicKeyInfo of a 2048-bit RSA key: the modulus starts at 33, the exponent is the end.
        let modulus = URL_SAFE_NO_PAD.encode(&der[33..33 + 256]);
        json!({ "keys": [{ "kty": "RSA", "kid": "current", "n": modulus, "e": "AQAB" }] }).to_string()
    };
    let method = method_with(json!({ "keys": { "jwks": "keys.json" } }));
    let gateway = Gateway::new(json!({ "jwt": [method] }), &[("keys.json", &jwks)]);
    let route = gateway.route(json!({ "methods": ["main"] }));
    assert!(gateway.ask(&route, &Request::bearer(&RSA.mint(Some("current"), &claims()).unwrap())).is_ok());
    assert!(gateway.ask(&route, &Request::bearer(&RSA.mint(None, &claims()).unwrap())).is_ok());
    for kid in [
        "",
        "Current",
        "current ",
        "other",
        "../../dev/null",
        "/etc/passwd",
        "keys.json",
        "current\0",
        "' OR 1=1 --",
        "https://evil.example/keys",
    ] {
        let token = RSA.mint(Some(kid), &claims()).unwrap();
        let refused = gateway.ask(&route, &Request::bearer(&token)).unwrap_err();
        assert_eq!(refused.cause, Some("unknown_kid"), "{kid:?}");
    }
}

#[test]
fn embedded_certificates_are_ignored() {
    let (gateway, route) = gateway_with(json!({}));
    let token = signed(r#"{"alg":"RS256","x5c":["AAAA"],"x5t":"AAAA"}"#);
    assert!(gateway.ask(&route, &Request::bearer(&token)).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever stands in the header, nobody becomes a user by it; and nobody who sends it is anonymous.
    #[test]
    fn arbitrary_bytes_never_authenticate(
        prefix in prop_oneof![Just(""), Just("Bearer "), Just("bearer  "), Just("Basic ")],
        noise in proptest::collection::vec(any::<u8>(), 0..200),
        cut in any::<proptest::sample::Index>(),
        of_token in any::<bool>(),
    ) {
        let (gateway, _) = &*SHARED;
        let plan = gateway.route(json!({ "methods": ["main", "anonymous"] }));
        let mut value = prefix.as_bytes().to_vec();
        if of_token {
            let token = &*GOOD_TOKEN;
            value.extend_from_slice(&token.as_bytes()[..cut.index(token.len())]);
        }
        value.extend(noise);
        if http::HeaderValue::from_bytes(&value).is_ok() {
            let request = Request::to("/").header("authorization", &value);
            prop_assert!(gateway.ask(&plan, &request).is_err());
        }
    }

    /// A token with any one byte changed is no token.
    #[test]
    fn a_changed_token_never_authenticates(at in any::<proptest::sample::Index>(), byte in 0x21_u8..0x7f) {
        let (gateway, plan) = &*SHARED;
        let mut token = GOOD_TOKEN.as_bytes().to_vec();
        let at = at.index(token.len());
        prop_assume!(token[at] != byte);
        token[at] = byte;
        let request = Request::bearer(std::str::from_utf8(&token).unwrap());
        prop_assert!(gateway.ask(plan, &request).is_err());
    }
}

static SHARED: std::sync::LazyLock<(Gateway, crate::Authenticate)> =
    std::sync::LazyLock::new(|| gateway_with(json!({})));
static GOOD_TOKEN: std::sync::LazyLock<String> =
    std::sync::LazyLock::new(|| RSA.mint(None, &claims()).unwrap());

#[test]
fn the_token_of_the_properties_is_good() {
    let (gateway, plan) = &*SHARED;
    let principal = gateway.ask(plan, &Request::bearer(&GOOD_TOKEN)).unwrap();
    assert_eq!(principal.kind, PrincipalKind::User);
}
