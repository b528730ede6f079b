//! One key of a JWKS document (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2).

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    EcdsaVerificationAlgorithm, ParsedPublicKey, RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

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
