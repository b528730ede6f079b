//! Who is asking.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};

use crate::{Secret, Timestamp};

/// How the principal came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    /// Nobody said who they are. Policies decide about this principal as about any other.
    Anonymous,
    /// The subject of a verified JWT.
    User,
    /// The holder of an API key.
    ApiKey,
    /// The holder of a client certificate.
    Certificate,
    /// Who signed the request itself, such as the sender of a webhook.
    Signer,
}

impl PrincipalKind {
    /// The name in logs and policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::User => "user",
            Self::ApiKey => "api_key",
            Self::Certificate => "certificate",
            Self::Signer => "signer",
        }
    }
}

/// A verified identity. Made by `authn` only, shared by reference, dropped with its credential.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Unique in this process for each verification of a credential; never reused. Whatever is derived
    /// from a principal may be cached under it: a new credential has a new number.
    pub serial: u64,
    /// How it came to be known.
    pub kind: PrincipalKind,
    /// The identity: a token's `sub`, a key's id, the name in a certificate, the name of a signer, or `anonymous`.
    pub id: String,
    /// A token's `iss`; the issuer of a certificate.
    pub issuer: Option<String>,
    /// The name of the authentication method in the configuration.
    pub method: String,
    /// Roles, from the configured claim or the key's record.
    pub roles: Vec<String>,
    /// Scopes, from `scope`/`scp` or the key's record.
    pub scopes: Vec<String>,
    /// All claims of a token, what a certificate says; empty for others.
    pub claims: Map<String, Value>,
    /// When the credential ends.
    pub expires: Option<Timestamp>,
    /// The token that the provider gave for whoever is logged in, for services.
    pub access_token: Option<Secret>,
}

impl Principal {
    /// A principal of `kind` with nothing but its identity; fields are public for the rest.
    #[must_use]
    pub fn new(kind: PrincipalKind, id: impl Into<String>, method: impl Into<String>) -> Self {
        static NEXT_SERIAL: AtomicU64 = AtomicU64::new(1);
        Self {
            serial: NEXT_SERIAL.fetch_add(1, Ordering::Relaxed),
            kind,
            id: id.into(),
            issuer: None,
            method: method.into(),
            roles: Vec::new(),
            scopes: Vec::new(),
            claims: Map::new(),
            expires: None,
            access_token: None,
        }
    }

    /// The principal of those who show no credential.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::new(PrincipalKind::Anonymous, "anonymous", "anonymous")
    }

    /// Whether the credential behind this principal still holds at `now`.
    #[must_use]
    pub fn is_current(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|end| now < end)
    }
}
