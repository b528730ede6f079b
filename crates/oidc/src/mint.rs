//! Making tokens: those that services get of the gateway, proofs of who we are at a provider, and what tests need.

use crate::{Algorithm, KeyKind, PublishedKey};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding};
use aws_lc_rs::{error, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_core::Secret;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;
use serde_json::{Value, json};

/// Why there is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// Not a private key that the algorithm signs with.
    #[error("not a private key in PKCS#8 PEM that this algorithm signs with")]
    WrongKey,
    /// Claims that are not JSON.
    #[error("the claims cannot be written as JSON")]
    BadClaims,
    /// The signature could not be made.
    #[error("the signature could not be made")]
    Signing,
}

/// A token with `claims`, signed with a private key in PEM. `typ` is `JWT`.
///
/// # Errors
/// When the key is not one for `algorithm`, or the claims are not JSON.
pub fn mint_jwt(
    key_pem: &str,
    algorithm: Algorithm,
    kid: Option<&str>,
    claims: &impl Serialize,
) -> Result<String, MintError> {
    SigningKey::from_pem(key_pem, algorithm)?.mint(kid, claims)
}

/// A private key or a shared secret, for one algorithm.
pub struct SigningKey {
    algorithm: Algorithm,
    key: Key,
}

enum Key {
    Secret(Box<hmac::Key>),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// A new key pair.
    ///
    /// # Errors
    /// For HMAC algorithms, which have no key pairs, or when there is no randomness.
    pub fn generate(algorithm: Algorithm) -> Result<Self, MintError> {
        let key = match algorithm.key_kind() {
            KeyKind::Secret => return Err(MintError::WrongKey),
            KeyKind::Rsa => Key::Rsa(RsaKeyPair::generate(KeySize::Rsa2048)?, rsa_encoding(algorithm)?),
            KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => {
                Key::Ecdsa(EcdsaKeyPair::generate(curve(algorithm)?)?)
            }
            KeyKind::Ed25519 => Key::Ed25519(Ed25519KeyPair::generate()?),
        };
        Ok(Self { algorithm, key })
    }

    /// A private key in PEM (`PRIVATE KEY`, PKCS#8).
    ///
    /// # Errors
    /// When it is not one for `algorithm`.
    pub fn from_pem(text: &str, algorithm: Algorithm) -> Result<Self, MintError> {
        let der = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| MintError::WrongKey)?;
        let PrivateKeyDer::Pkcs8(der) = der else { return Err(MintError::WrongKey) };
        let der = der.secret_pkcs8_der();
        let key = match algorithm.key_kind() {
            KeyKind::Secret => return Err(MintError::WrongKey),
            KeyKind::Rsa => Key::Rsa(RsaKeyPair::from_pkcs8(der)?, rsa_encoding(algorithm)?),
            KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => {
                Key::Ecdsa(EcdsaKeyPair::from_pkcs8(curve(algorithm)?, der)?)
            }
            KeyKind::Ed25519 => Key::Ed25519(Ed25519KeyPair::from_pkcs8(der)?),
        };
        Ok(Self { algorithm, key })
    }

    /// A private key in PEM (`PRIVATE KEY`, PKCS#8), for the algorithm that goes with it: RS256 for RSA, and the only one for
    /// the others.
    ///
    /// # Errors
    /// When it is no private key that anything signs with.
    pub fn of_its_kind(text: &str) -> Result<Self, MintError> {
        let algorithms =
            [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256, Algorithm::Es384, Algorithm::Es512];
        let mut keys = algorithms.into_iter().map(|algorithm| Self::from_pem(text, algorithm));
        keys.find_map(Result::ok).ok_or(MintError::WrongKey)
    }

    /// A shared secret.
    ///
    /// # Errors
    /// When `algorithm` is not an HMAC algorithm.
    pub fn from_secret(secret: &[u8], algorithm: Algorithm) -> Result<Self, MintError> {
        let hash = algorithm.hmac().ok_or(MintError::WrongKey)?;
        Ok(Self { algorithm, key: Key::Secret(Box::new(hmac::Key::new(hash, secret))) })
    }

    /// The algorithm that it signs with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// A token with `claims`; `typ` is `JWT`.
    ///
    /// # Errors
    /// When the claims are not JSON.
    pub fn mint(&self, kid: Option<&str>, claims: &impl Serialize) -> Result<String, MintError> {
        self.mint_as("JWT", kid, claims)
    }

    /// A token with `claims` whose `typ` is `kind`.
    ///
    /// # Errors
    /// When the claims are not JSON.
    pub fn mint_as(
        &self,
        kind: &str,
        kid: Option<&str>,
        claims: &impl Serialize,
    ) -> Result<String, MintError> {
        let mut header = json!({ "alg": self.algorithm.name(), "typ": kind });
        if let (Some(kid), Some(members)) = (kid, header.as_object_mut()) {
            members.insert("kid".to_owned(), Value::from(kid));
        }
        let claims = serde_json::to_vec(claims).map_err(|_| MintError::BadClaims)?;
        self.sign(header.to_string().as_bytes(), &claims)
    }

    /// Signs any two parts as they are (RFC 7515 section 7.1): tokens that are wrong are made with this.
    ///
    /// # Errors
    /// When the signature cannot be made.
    pub fn sign(&self, header: &[u8], payload: &[u8]) -> Result<String, MintError> {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.signature(message.as_bytes())?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The public key in PEM, for the gateway's configuration.
    ///
    /// # Errors
    /// For a shared secret, which has none.
    pub fn public_pem(&self) -> Result<String, MintError> {
        Ok(pem("PUBLIC KEY", &self.public_der()?))
    }

    /// The public key for everybody to see, with the algorithm that it is for.
    ///
    /// # Errors
    /// For a shared secret, which has none.
    pub fn published(&self) -> Result<PublishedKey, MintError> {
        PublishedKey::of(&self.public_der()?, Some(self.algorithm)).ok_or(MintError::WrongKey)
    }

    /// The `SubjectPublicKeyInfo` in DER.
    pub(crate) fn public_der(&self) -> Result<Vec<u8>, MintError> {
        let der = match &self.key {
            Key::Secret(_) => return Err(MintError::WrongKey),
            Key::Rsa(pair, _) => pair.public_key().as_der()?,
            Key::Ecdsa(pair) => pair.public_key().as_der()?,
            Key::Ed25519(pair) => pair.public_key().as_der()?,
        };
        Ok(der.as_ref().to_vec())
    }

    /// The private key in PEM (PKCS#8).
    ///
    /// # Errors
    /// For a shared secret, which has no such form.
    pub fn private_pem(&self) -> Result<Secret, MintError> {
        let text = match &self.key {
            Key::Secret(_) => return Err(MintError::WrongKey),
            Key::Rsa(pair, _) => pem("PRIVATE KEY", pair.as_der()?.as_ref()),
            Key::Ecdsa(pair) => pem("PRIVATE KEY", pair.to_pkcs8v1()?.as_ref()),
            Key::Ed25519(pair) => pem("PRIVATE KEY", pair.to_pkcs8v1()?.as_ref()),
        };
        Ok(Secret::new(text))
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, MintError> {
        match &self.key {
            Key::Secret(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            Key::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &SystemRandom::new(), message, &mut signature)?;
                Ok(signature)
            }
            Key::Ecdsa(pair) => Ok(pair.sign(&SystemRandom::new(), message)?.as_ref().to_vec()),
            Key::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl From<error::Unspecified> for MintError {
    fn from(_: error::Unspecified) -> Self {
        Self::Signing
    }
}

impl From<error::KeyRejected> for MintError {
    fn from(_: error::KeyRejected) -> Self {
        Self::WrongKey
    }
}

fn rsa_encoding(algorithm: Algorithm) -> Result<&'static dyn RsaEncoding, MintError> {
    Ok(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
        _ => return Err(MintError::WrongKey),
    })
}

fn curve(algorithm: Algorithm) -> Result<&'static EcdsaSigningAlgorithm, MintError> {
    match algorithm {
        Algorithm::Es256 => Ok(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::Es384 => Ok(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        Algorithm::Es512 => Ok(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
        _ => Err(MintError::WrongKey),
    }
}

/// RFC 7468: lines of 64 characters.
fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----");
    for (at, character) in STANDARD.encode(der).chars().enumerate() {
        if at % 64 == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text + &format!("\n-----END {label}-----\n")
}
