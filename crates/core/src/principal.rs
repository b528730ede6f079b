//! Who is asking.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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
    /// When the credential is no longer taken.
    pub expires: Option<Timestamp>,
    /// How much later that is than the credential itself says, since clocks differ.
    pub leeway: Duration,
    /// The token that the provider gave for whoever is logged in, for services.
    pub access_token: Option<Secret>,
}

impl Principal {
    /// A principal of `kind` with nothing but its identity; fields are public for the rest.
    #[must_use]
    pub fn new(kind: PrincipalKind, id: impl Into<String>, method: impl Into<String>) -> Self {
        Self {
            serial: next_serial(),
            kind,
            id: id.into(),
            issuer: None,
            method: method.into(),
            roles: Vec::new(),
            scopes: Vec::new(),
            claims: Map::new(),
            expires: None,
            leeway: Duration::ZERO,
            access_token: None,
        }
    }

    /// The same as far as is known, for a credential that was verified anew.
    #[must_use]
    pub fn renewed(&self) -> Self {
        Self { serial: next_serial(), ..self.clone() }
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

    /// When the credential ends by its own words.
    #[must_use]
    pub fn ends(&self) -> Option<Timestamp> {
        self.expires.map(|end| end.minus(self.leeway))
    }
}

fn next_serial() -> u64 {
    static NEXT_SERIAL: AtomicU64 = AtomicU64::new(1);
    NEXT_SERIAL.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewed_principal_is_another_one() {
        let mut ann = Principal::new(PrincipalKind::User, "ann", "web");
        ann.roles.push("clerk".to_owned());
        let renewed = ann.renewed();
        assert_eq!((&renewed.id, &renewed.roles), (&ann.id, &ann.roles));
        assert_ne!(renewed.serial, ann.serial);
    }

    #[test]
    fn the_end_is_that_of_the_credential() {
        let mut ann = Principal::new(PrincipalKind::User, "ann", "staff");
        assert_eq!(ann.ends(), None);
        ann.expires = Some(Timestamp::from_secs(130));
        ann.leeway = Duration::from_secs(30);
        assert_eq!(ann.ends(), Some(Timestamp::from_secs(100)));
    }
}
