//! Why a credential is refused: a reason for the client, the precise cause for the record.

use std::sync::Arc;

use portcullis_core::Reason;
use portcullis_oidc::KeySource;

/// A request that is not authenticated.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// It is refused.
    Denied(Reason),
    /// Keys must be fetched before it can be decided. The driver refreshes the source and asks again; that
    /// the source was just asked is part of its state, so the second answer is not this one.
    KeysNeeded(Arc<KeySource>),
}

impl Refusal {
    /// The reason to answer with if nobody fetches the keys.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Denied(reason) => *reason,
            Self::KeysNeeded(_) => Reason::KeysUnavailable,
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
    KeysNeeded(Arc<KeySource>),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
