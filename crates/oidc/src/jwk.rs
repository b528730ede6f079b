//! One key of a JWKS document (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2).

use std::fmt::Write as _;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    EcdsaVerificationAlgorithm, ParsedPublicKey, RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Algorithm, VerifyingKey};

/// The longest key id that is kept; a token's `kid` beyond it cannot match.
pub(crate) const MAX_KEY_ID: usize = 256;

/// The members that are read. Others are ignored, as RFC 7517 section 4 asks; a member that appears twice
/// is refused.
#[derive(Deserialize)]
struct RawJwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    intended_use: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

/// Who may read a document with keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readership {
    /// Everybody: a shared secret in it is none.
    Public,
    /// Whoever has the file.
    Private,
}

/// The key that `value` describes, or why it is of no use here.
pub(crate) fn parse(value: Value, readership: Readership) -> Result<VerifyingKey, String> {
    let jwk: RawJwk = serde_json::from_value(value).map_err(|error| format!("not a JWK: {error}"))?;
    check_purpose(&jwk)?;
    if jwk.kid.as_ref().is_some_and(|kid| kid.is_empty() || kid.len() > MAX_KEY_ID) {
        return Err(format!("its `kid` is empty or longer than {MAX_KEY_ID} bytes"));
    }
    let key = if jwk.kty == "oct" && readership == Readership::Private {
        let secret = decode("k", jwk.k.as_deref())?;
        VerifyingKey::from_shared_secret(jwk.kid.clone(), &secret)
    } else {
        VerifyingKey::from_public_key_info(jwk.kid.clone(), &public_key_info(&jwk)?)
    };
    let key = key.map_err(|error| error.to_string())?;
    match jwk.alg.as_deref() {
        None => Ok(key),
        Some(name) => {
            let algorithm = Algorithm::from_name(name)
                .ok_or_else(|| format!("its `alg` `{}` is not supported", name.escape_debug()))?;
            key.only_for(algorithm).map_err(|error| error.to_string())
        }
    }
}

/// A public key that somebody shows us, and its thumbprint.
#[derive(Debug)]
pub struct ShownKey {
    /// The key.
    pub key: VerifyingKey,
    /// The SHA-256 of its required members, in base64url (RFC 7638).
    pub thumbprint: String,
}

/// Members that a public key has none of (RFC 7518 section 6).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl ShownKey {
    /// Reads a public key that stands in a message by itself, as a proof of possession has it (RFC 9449 section 4.2).
    ///
    /// # Errors
    /// Why it is of no use: above all if it is, or holds, a private key.
    pub fn parse(jwk: Value) -> Result<Self, String> {
        let members = jwk.as_object().ok_or("it is not an object")?;
        if PRIVATE_MEMBERS.iter().any(|name| members.contains_key(*name)) {
            return Err("it is a private key".to_owned());
        }
        let thumbprint = thumbprint(members).ok_or("its members are not those of a public key")?;
        Ok(Self { key: parse(jwk, Readership::Public)?, thumbprint })
    }
}

/// RFC 7638 section 3: the required members in the order of their names, and nothing else.
fn thumbprint(members: &Map<String, Value>) -> Option<String> {
    let names: &[&str] = match members.get("kty")?.as_str()? {
        "RSA" => &["e", "kty", "n"],
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        _ => return None,
    };
    let mut text = String::from("{");
    for (index, name) in names.iter().enumerate() {
        let value = members.get(*name)?.as_str()?;
        let comma = if index == 0 { "" } else { "," };
        // Serialised, since what it holds is not known to be base64url yet.
        write!(text, "{comma}\"{name}\":{}", Value::from(value)).ok()?;
    }
    text.push('}');
    Some(URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes())))
}

/// RFC 7517 sections 4.2 and 4.3: a key for encryption is no key for signatures.
fn check_purpose(jwk: &RawJwk) -> Result<(), String> {
    if jwk.intended_use.as_deref().is_some_and(|purpose| purpose != "sig") {
        return Err("its `use` is not `sig`".to_owned());
    }
    if jwk.key_ops.as_ref().is_some_and(|operations| !operations.iter().any(|name| name == "verify")) {
        return Err("its `key_ops` do not include `verify`".to_owned());
    }
    Ok(())
}

fn public_key_info(jwk: &RawJwk) -> Result<Vec<u8>, String> {
    match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => {
            let components = RsaPublicKeyComponents {
                n: decode("n", jwk.n.as_deref())?,
                e: decode("e", jwk.e.as_deref())?,
            };
            let der = components.as_der().map_err(|_| "its `n` and `e` form no RSA key".to_owned())?;
            Ok(der.as_ref().to_vec())
        }
        ("EC", Some("P-256")) => elliptic_point(&ECDSA_P256_SHA256_FIXED, 32, jwk),
        ("EC", Some("P-384")) => elliptic_point(&ECDSA_P384_SHA384_FIXED, 48, jwk),
        ("EC", Some("P-521")) => elliptic_point(&ECDSA_P521_SHA512_FIXED, 66, jwk),
        ("OKP", Some("Ed25519")) => {
            let point = decode("x", jwk.x.as_deref())?;
            if point.len() != 32 {
                return Err("its `x` does not have 32 bytes".to_owned());
            }
            reencode(&ED25519, &point)
        }
        // A secret that is published is none.
        ("oct", _) => Err("it is a shared secret, which has no place in a key set".to_owned()),
        _ => Err("its `kty` and `crv` are not supported".to_owned()),
    }
}

/// RFC 7518 section 6.2.1: both coordinates have the full length of the field.
fn elliptic_point(
    algorithm: &'static EcdsaVerificationAlgorithm,
    length: usize,
    jwk: &RawJwk,
) -> Result<Vec<u8>, String> {
    let (x, y) = (decode("x", jwk.x.as_deref())?, decode("y", jwk.y.as_deref())?);
    if x.len() != length || y.len() != length {
        return Err(format!("its `x` and `y` do not have {length} bytes each"));
    }
    let uncompressed = [&[4], x.as_slice(), y.as_slice()].concat();
    reencode(algorithm, &uncompressed)
}

fn reencode(algorithm: &'static dyn VerificationAlgorithm, point: &[u8]) -> Result<Vec<u8>, String> {
    let not_on_curve = || "its point is not on the curve".to_owned();
    let key = ParsedPublicKey::new(algorithm, point).map_err(|_| not_on_curve())?;
    let der = key.as_der().map_err(|_| not_on_curve())?;
    Ok(der.as_ref().to_vec())
}

fn decode(name: &str, text: Option<&str>) -> Result<Vec<u8>, String> {
    let text = text.ok_or_else(|| format!("its `{name}` is missing"))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("its `{name}` is not base64url without padding"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// RFC 7638 section 3.1, and RFC 8037 appendix A.3.
    #[test]
    fn thumbprints_are_those_of_the_examples() {
        let rsa = json!({
            "kty": "RSA", "alg": "RS256", "kid": "2011-04-29", "e": "AQAB",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3\
                  oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6\
                  qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        });
        assert_eq!(ShownKey::parse(rsa).unwrap().thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        let ed25519 =
            json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        assert_eq!(
            ShownKey::parse(ed25519).unwrap().thumbprint,
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn private_keys_and_secrets_are_not_shown() {
        let ed25519 =
            json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        for name in PRIVATE_MEMBERS {
            let mut key = ed25519.clone();
            key[name] = "AA".into();
            assert!(ShownKey::parse(key).is_err(), "{name}");
        }
        for wrong in [
            json!([]),
            json!("x"),
            json!({}),
            json!({ "kty": "oct" }),
            json!({ "kty": "EC", "crv": "P-256", "x": 1 }),
        ] {
            assert!(ShownKey::parse(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
