//! Public keys as others read them: JSON Web Keys (RFC 7517, RFC 7518 section 6, RFC 8037 section 2).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::key::kind_of;
use crate::mint::SigningKey;
use crate::{Algorithm, KeyError, KeyKind, ShownKey};

/// A public key for everybody to see, under its thumbprint (RFC 7638) as id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedKey {
    id: String,
    jwk: Value,
}

impl PublishedKey {
    /// The keys of a PEM text: those of its `PUBLIC KEY` blocks or, if it has none, the public half of its private key.
    ///
    /// # Errors
    /// When there is none, or one that cannot be used.
    pub fn from_pem(text: &str) -> Result<Vec<Self>, KeyError> {
        let mut keys = Vec::new();
        for block in SubjectPublicKeyInfoDer::pem_slice_iter(text.as_bytes()) {
            let der = block.map_err(|_| KeyError::BrokenPem)?;
            keys.push(Self::of(&der, None).ok_or(KeyError::Unsupported)?);
        }
        if keys.is_empty() {
            let private = SigningKey::of_its_kind(text).map_err(|_| KeyError::NoPublicKey)?;
            let der = private.public_der().map_err(|_| KeyError::Unsupported)?;
            keys.push(Self::of(&der, None).ok_or(KeyError::Unsupported)?);
        }
        Ok(keys)
    }

    /// The key of a DER-encoded `SubjectPublicKeyInfo`. Of RSA keys others are not told an algorithm unless one is given; the rest
    /// have only one.
    pub(crate) fn of(der: &[u8], algorithm: Option<Algorithm>) -> Option<Self> {
        let kind = kind_of(der)?;
        let mut jwk = members(kind, der)?;
        let id = ShownKey::parse(jwk.clone()).ok()?.thumbprint;
        let only = if kind == KeyKind::Rsa { None } else { kind.algorithms().next() };
        let object = jwk.as_object_mut()?;
        object.insert("kid".to_owned(), id.as_str().into());
        object.insert("use".to_owned(), "sig".into());
        if let Some(algorithm) = algorithm.or(only) {
            object.insert("alg".to_owned(), algorithm.name().into());
        }
        Some(Self { id, jwk })
    }

    /// Its id: the thumbprint.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The document with these keys (RFC 7517 section 5), each once.
    #[must_use]
    pub fn document<'k>(keys: impl IntoIterator<Item = &'k Self>) -> String {
        let mut shown: Vec<&Self> = Vec::new();
        for key in keys {
            if !shown.iter().any(|other| other.id == key.id) {
                shown.push(key);
            }
        }
        json!({ "keys": shown.iter().map(|key| &key.jwk).collect::<Vec<_>>() }).to_string()
    }
}

fn members(kind: KeyKind, der: &[u8]) -> Option<Value> {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    // A SubjectPublicKeyInfo ends with the key, and of these kinds the key has one length.
    let curve = |name: &str, length: usize| {
        let point = der.get(der.len().checked_sub(2 * length + 1)?..)?;
        let (x, y) = point.strip_prefix(&[4])?.split_at_checked(length)?;
        Some(json!({ "kty": "EC", "crv": name, "x": encode(x), "y": encode(y) }))
    };
    match kind {
        KeyKind::Secret => None,
        KeyKind::P256 => curve("P-256", 32),
        KeyKind::P384 => curve("P-384", 48),
        KeyKind::P521 => curve("P-521", 66),
        KeyKind::Ed25519 => {
            let point = der.get(der.len().checked_sub(32)?..)?;
            Some(json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(point) }))
        }
        KeyKind::Rsa => {
            let (n, e) = rsa(der)?;
            Some(json!({ "kty": "RSA", "n": encode(n), "e": encode(e) }))
        }
    }
}

/// Modulus and exponent (RFC 8017 appendix A.1.1), without the zero that keeps them positive.
fn rsa(mut der: &[u8]) -> Option<(&[u8], &[u8])> {
    const INTEGER: u8 = 0x02;
    const BIT_STRING: u8 = 0x03;
    const SEQUENCE: u8 = 0x30;
    let mut info = element(SEQUENCE, &mut der)?;
    element(SEQUENCE, &mut info)?;
    let mut key = element(BIT_STRING, &mut info)?.strip_prefix(&[0])?;
    let mut numbers = element(SEQUENCE, &mut key)?;
    let mut number = || {
        let bytes = element(INTEGER, &mut numbers)?;
        Some(bytes.strip_prefix(&[0]).unwrap_or(bytes))
    };
    Some((number()?, number()?))
}

/// The content of the element with which `der` begins; `der` goes on behind it.
fn element<'d>(tag: u8, der: &mut &'d [u8]) -> Option<&'d [u8]> {
    let (&first, rest) = der.strip_prefix(&[tag])?.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 | 0x82 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *der = rest;
    Some(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Candidates, KeySet};

    #[test]
    fn what_is_published_verifies_what_was_signed() {
        for algorithm in
            Algorithm::ALL.into_iter().filter(|algorithm| algorithm.key_kind() != KeyKind::Secret)
        {
            let name = algorithm.name();
            let key = SigningKey::generate(algorithm).unwrap();
            let published = key.published().unwrap();
            let keys = KeySet::from_jwks(PublishedKey::document([&published]).as_bytes()).unwrap();
            assert_eq!(keys.lookup(Some(published.id()), algorithm), Candidates::Some, "{name}");
            let token = key.mint(Some(published.id()), &json!({ "sub": "ann" })).unwrap();
            let (message, signature) = token.rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            assert!(keys.verify(Some(published.id()), algorithm, message.as_bytes(), &signature), "{name}");
            for pem in [key.public_pem().unwrap(), key.private_pem().unwrap().expose().to_owned()] {
                assert_eq!(PublishedKey::from_pem(&pem).unwrap()[0].id(), published.id(), "{name}");
            }
            assert!(!PublishedKey::document([&published]).contains("\"d\""));
        }
    }

    /// RFC 7638 section 3.1 has the key and its thumbprint.
    #[test]
    fn a_key_is_there_once_and_nothing_else_is_one() {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap().published().unwrap();
        let document: Value = serde_json::from_str(&PublishedKey::document([&key, &key])).unwrap();
        assert_eq!(document["keys"].as_array().unwrap().len(), 1);
        assert_eq!(document["keys"][0]["alg"], "EdDSA");
        assert_eq!(PublishedKey::from_pem("nothing"), Err(KeyError::NoPublicKey));
        for broken in [&[][..], &[0x30], &[0x30, 0x82, 1], &[0x30, 0x84, 1, 1, 1, 1], &[0x30, 0xff]] {
            assert_eq!(rsa(broken), None);
        }
    }
}
