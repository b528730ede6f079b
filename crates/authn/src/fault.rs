//! Why a credential is refused: a reason for the client, the precise cause for the record.

use std::sync::Arc;

use portcullis_core::Reason;
use portcullis_oidc::KeySource;

use crate::api_key::KeyQuestion;
use crate::introspection::Question;
use crate::login::LoginQuestion;

/// A request that is not authenticated.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// It is refused.
    Denied(Reason),
    /// Something must be fetched before it can be decided.
    Needs(Need),
    /// The whole body of the request is needed, in [`Head::body`](portcullis_core::Head::body).
    NeedsBody,
}

/// What must be fetched before a credential can be judged: deciding does no I/O. The driver fetches it and asks again; that
/// it was just fetched is part of the state of whatever asked, so the next answer is not this one.
#[derive(Debug, Clone)]
pub enum Need {
    /// The keys of an issuer.
    Keys(Arc<KeySource>),
    /// What an issuer says of a token.
    Introspection(Question),
    /// What the database says of a key.
    ApiKey(KeyQuestion),
    /// What a login or a session needs.
    Login(LoginQuestion),
}

impl Need {
    /// The reason to refuse with when it cannot be had.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Keys(_) | Self::Introspection(_) | Self::ApiKey(_) | Self::Login(_) => {
                Reason::KeysUnavailable
            }
        }
    }
}

impl Refusal {
    /// The reason to answer with if nobody fetches what is needed.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Denied(reason) => *reason,
            Self::Needs(need) => need.reason(),
            Self::NeedsBody => Reason::UnreadableBody,
        }
    }
}

/// What is wrong with a credential. The cause goes into the record only: told to a client, it would say how
/// far a forgery got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    pub(crate) cause: &'static str,
}

impl Fault {
    pub(crate) const AMBIGUOUS: Self = Self { reason: Reason::AmbiguousCredential, cause: "ambiguous" };
    pub(crate) const MISSING: Self = Self { reason: Reason::CredentialMissing, cause: "missing" };
    pub(crate) const EXPIRED: Self = Self { reason: Reason::ExpiredToken, cause: "expired" };
    pub(crate) const KEYS_UNAVAILABLE: Self =
        Self { reason: Reason::KeysUnavailable, cause: "keys_unavailable" };

    pub(crate) const ISSUER_UNAVAILABLE: Self =
        Self { reason: Reason::KeysUnavailable, cause: "issuer_unavailable" };

    pub(crate) const STORE_UNAVAILABLE: Self =
        Self { reason: Reason::KeysUnavailable, cause: "store_unavailable" };

    /// A credential that is right, and not for this place.
    pub(crate) const fn elsewhere(cause: &'static str) -> Self {
        Self { reason: Reason::Forbidden, cause }
    }

    pub(crate) const NO_CERTIFICATE: Self =
        Self { reason: Reason::CertificateRequired, cause: "certificate_missing" };

    pub(crate) const fn certificate(cause: &'static str) -> Self {
        Self { reason: Reason::InvalidCertificate, cause }
    }

    pub(crate) const fn signature(cause: &'static str) -> Self {
        Self { reason: Reason::InvalidSignature, cause }
    }

    pub(crate) const CROSS_SITE: Self = Self { reason: Reason::CrossSite, cause: "cross_site" };

    /// A session that does not hold.
    pub(crate) const fn login(cause: &'static str) -> Self {
        Self { reason: Reason::LoginRequired, cause }
    }

    /// A login that did not come to its end.
    pub(crate) const fn login_failed(cause: &'static str) -> Self {
        Self { reason: Reason::LoginFailed, cause }
    }

    /// Whether a token is refused, rather than that something is missing to judge it.
    pub(crate) const fn is_of_token(&self) -> bool {
        matches!(self.reason, Reason::InvalidToken | Reason::ExpiredToken)
    }

    /// A proof of possession that is not right.
    pub(crate) const fn proof(cause: &'static str) -> Self {
        Self { reason: Reason::InvalidDpopProof, cause }
    }

    pub(crate) const USE_DPOP_NONCE: Self = Self { reason: Reason::UseDpopNonce, cause: "proof_nonce" };

    pub(crate) const UNKNOWN_KEY: Self = Self { reason: Reason::InvalidToken, cause: "unknown_kid" };

    pub(crate) const fn token(cause: &'static str) -> Self {
        Self { reason: Reason::InvalidToken, cause }
    }

    pub(crate) const fn key(cause: &'static str) -> Self {
        Self { reason: Reason::InvalidKey, cause }
    }
}

/// What a method answers to a credential that it does not accept.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    Fault(Fault),
    Needs(Need),
    NeedsBody,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
