//! One key that verifies signatures, bound to the algorithms it may be used with.

use std::fmt;

use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::ParsedPublicKey;
use aws_lc_rs::{constant_time, hmac};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;

use crate::{Algorithm, KeyKind};

/// A key and, for each algorithm that is permitted for it, what verifies with it.
pub struct VerifyingKey {
    id: Option<String>,
    kind: KeyKind,
    verifiers: Vec<(Algorithm, Verifier)>,
}

/// A signature that is not by this key over this message with this algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no public key in the PEM text.
    #[error(
        "no `PUBLIC KEY` block; extract it with `openssl pkey -in KEY -pubout` or `openssl x509 -pubkey -noout -in CERTIFICATE`"
    )]
    NoPublicKey,
    /// The PEM text is broken.
    #[error("the PEM text is broken")]
    BrokenPem,
    /// Not a key that this gateway verifies with.
    #[error("neither an RSA key of 2048 to 8192 bits nor one on P-256, P-384, P-521 or Ed25519")]
    Unsupported,
    /// A secret that is shorter than the hash of its algorithm (RFC 7518 section 3.2).
    #[error("a secret of {bytes} bytes is too short for {algorithm}; it needs {needed} random bytes at least", algorithm = .algorithm.name())]
    ShortSecret {
        /// The length of the secret.
        bytes: usize,
        /// The least length.
        needed: usize,
        /// The algorithm that needs it.
        algorithm: Algorithm,
    },
    /// An algorithm that does not work with this kind of key.
    #[error("{algorithm} does not work with this key (it is a {kind})", algorithm = .algorithm.name(), kind = .kind.name())]
    WrongAlgorithm {
        /// The algorithm.
        algorithm: Algorithm,
        /// The kind of the key.
        kind: KeyKind,
    },
}

impl VerifyingKey {
    /// The public keys of a PEM text (RFC 7468, `PUBLIC KEY` blocks), each permitted for all algorithms of
    /// its kind.
    ///
    /// # Errors
    /// When there is none, or one that cannot be used.
    pub fn from_pem(text: &str) -> Result<Vec<Self>, KeyError> {
        let mut keys = Vec::new();
        for block in SubjectPublicKeyInfoDer::pem_slice_iter(text.as_bytes()) {
            let der = block.map_err(|_| KeyError::BrokenPem)?;
            keys.push(Self::from_public_key_info(None, &der)?);
        }
        if keys.is_empty() { Err(KeyError::NoPublicKey) } else { Ok(keys) }
    }

    /// A shared secret for the given HMAC algorithms.
    ///
    /// # Errors
    /// When the secret is too short for one of them, or one is not an HMAC algorithm.
    pub fn from_secret(secret: &[u8], algorithms: &[Algorithm]) -> Result<Self, KeyError> {
        let kind = KeyKind::Secret;
        let mut verifiers = Vec::with_capacity(algorithms.len());
        for &algorithm in algorithms {
            let (Some(hash), Some(needed)) = (algorithm.hmac(), algorithm.shortest_secret()) else {
                return Err(KeyError::WrongAlgorithm { algorithm, kind });
            };
            if secret.len() < needed {
                return Err(KeyError::ShortSecret { bytes: secret.len(), needed, algorithm });
            }
            verifiers.push((algorithm, Verifier::Secret(Box::new(hmac::Key::new(hash, secret)))));
        }
        Ok(Self { id: None, kind, verifiers })
    }

    /// A shared secret for the HMAC algorithms that it is long enough for, under a key id.
    pub(crate) fn from_shared_secret(id: Option<String>, secret: &[u8]) -> Result<Self, KeyError> {
        let is_enough =
            |algorithm: &Algorithm| algorithm.shortest_secret().is_some_and(|least| secret.len() >= least);
        let algorithms: Vec<_> = KeyKind::Secret.algorithms().filter(is_enough).collect();
        // For the shortest of them, if it is enough for none, so that the error says what is missing.
        let algorithms = if algorithms.is_empty() { &[Algorithm::Hs256][..] } else { &algorithms };
        Ok(Self { id, ..Self::from_secret(secret, algorithms)? })
    }

    /// A DER-encoded `SubjectPublicKeyInfo` (RFC 5280 section 4.1), under a key id.
    pub(crate) fn from_public_key_info(id: Option<String>, der: &[u8]) -> Result<Self, KeyError> {
        let kind = kind_of(der).ok_or(KeyError::Unsupported)?;
        let verifiers = kind
            .algorithms()
            .map(|algorithm| Ok((algorithm, Verifier::Public(parse(algorithm, der)?))))
            .collect::<Result<_, _>>()?;
        Ok(Self { id, kind, verifiers })
    }

    /// The same key, permitted for one algorithm only (a JWK's `alg`, RFC 7517 section 4.4).
    ///
    /// # Errors
    /// When the algorithm does not work with a key of this kind.
    pub(crate) fn only_for(mut self, algorithm: Algorithm) -> Result<Self, KeyError> {
        self.verifiers.retain(|(permitted, _)| *permitted == algorithm);
        if self.verifiers.is_empty() {
            return Err(KeyError::WrongAlgorithm { algorithm, kind: self.kind });
        }
        Ok(self)
    }

    /// The key id, if it has one (RFC 7517 section 4.5).
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// What kind of key it is.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Whether `algorithm` is permitted for this key.
    #[must_use]
    pub fn permits(&self, algorithm: Algorithm) -> bool {
        self.verifier(algorithm).is_some()
    }

    /// Verifies `signature` over `message`.
    ///
    /// # Errors
    /// When it does not verify, or the algorithm is not permitted for this key.
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        match self.verifier(algorithm) {
            Some(Verifier::Public(key)) => key.verify_sig(message, signature).map_err(|_| BadSignature),
            Some(Verifier::Secret(key)) => hmac::verify(key, message, signature).map_err(|_| BadSignature),
            None => Err(BadSignature),
        }
    }

    /// Whether `other` is the same key with the same id and the same permissions.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.id == other.id
            && self.verifiers.len() == other.verifiers.len()
            && self.verifiers.iter().zip(&other.verifiers).all(|(mine, theirs)| same_verifier(mine, theirs))
    }

    fn verifier(&self, algorithm: Algorithm) -> Option<&Verifier> {
        self.verifiers.iter().find(|(permitted, _)| *permitted == algorithm).map(|(_, verifier)| verifier)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

enum Verifier {
    Secret(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

/// Secrets are never compared: a set that holds one is fixed and has no successor.
fn same_verifier(mine: &(Algorithm, Verifier), theirs: &(Algorithm, Verifier)) -> bool {
    match (&mine.1, &theirs.1) {
        (Verifier::Public(a), Verifier::Public(b)) => {
            mine.0 == theirs.0 && constant_time::verify_slices_are_equal(a.as_ref(), b.as_ref()).is_ok()
        }
        _ => false,
    }
}

/// aws-lc tells kinds apart by the algorithm identifier inside the DER; RSA keys are also checked for size
/// and for a sane exponent. Where it takes bare points too, those must not get in: any 32 bytes are one for
/// Ed25519, a small RSA key in DER for instance. Every point in DER is longer, and DER begins with a SEQUENCE.
pub(crate) fn kind_of(der: &[u8]) -> Option<KeyKind> {
    const SEQUENCE: u8 = 0x30;
    const BARE_ED25519_POINT: usize = 32;
    if der.first() != Some(&SEQUENCE) || der.len() == BARE_ED25519_POINT {
        return None;
    }
    if PublicEncryptingKey::from_der(der).is_ok() {
        return Some(KeyKind::Rsa);
    }
    [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512, Algorithm::EdDsa]
        .into_iter()
        .find(|&algorithm| parse(algorithm, der).is_ok())
        .map(Algorithm::key_kind)
}

fn parse(algorithm: Algorithm, der: &[u8]) -> Result<ParsedPublicKey, KeyError> {
    let verification = algorithm.verification().ok_or(KeyError::Unsupported)?;
    ParsedPublicKey::new(verification, der).map_err(|_| KeyError::Unsupported)
}
