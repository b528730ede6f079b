//! The certificate that a client showed when its connection was made.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Principal, Timestamp};

/// A client certificate that was verified with its chain, when the connection was made: possession of its key was proved,
/// and an authority of the listener vouched for it. Shared by all requests of the connection.
pub struct ClientCertificate {
    /// The certificate itself, in DER.
    pub leaf: Box<[u8]>,
    /// Its SHA-256: the `x5t#S256` of RFC 8705 section 3.1, before base64url.
    pub sha256: [u8; 32],
    /// The certificates that came after it, in DER: those of its issuers, seldom the last.
    pub chain: Vec<Box<[u8]>>,
    /// What it says, or why nobody should be told by it who that is.
    pub details: Result<CertificateDetails, CertificateFault>,
    /// Who it stands for, by the methods that have found it out.
    known: Mutex<Vec<(u64, Arc<Principal>)>>,
}

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateDetails {
    /// Whom it is for, as RFC 4514 writes it: `CN=worker-1,O=Example`. Empty if it has alternative names only.
    pub subject: String,
    /// The parts of the subject in the order of the certificate: short names in lower case (`cn`, `o`, `ou`), or the dotted
    /// numbers of those that have none.
    pub subject_parts: Vec<(String, String)>,
    /// Who made it.
    pub issuer: String,
    /// Its number, in lower-case hexadecimal digits.
    pub serial: String,
    /// From when on it holds.
    pub not_before: Timestamp,
    /// Until when it holds.
    pub not_after: Timestamp,
    /// Alternative names: DNS names in lower case, as they stand otherwise.
    pub dns: Vec<String>,
    /// URIs among the alternative names.
    pub uris: Vec<String>,
    /// E-mail addresses among the alternative names.
    pub emails: Vec<String>,
}

/// Why the names of a certificate are not to be believed, though an authority signed them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateFault {
    /// It is not an X.509 certificate as RFC 5280 has it.
    Malformed,
    /// An extension appears twice.
    RepeatedExtension,
    /// A name has a control character, NUL above all: some programs read it up to there (CVE-2009-2408).
    ControlCharacter,
    /// An alternative name is no text of its kind.
    MalformedName,
    /// An alternative name appears twice.
    RepeatedName,
    /// It has a SPIFFE ID and another URI (SPIFFE X.509-SVID section 2).
    SeveralUris,
    /// A SPIFFE ID that is none, or one of a certificate that may sign others.
    MalformedSpiffeId,
}

impl CertificateFault {
    /// The code in records and explanations.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed_certificate",
            Self::RepeatedExtension => "repeated_extension",
            Self::ControlCharacter => "control_character_in_name",
            Self::MalformedName => "malformed_name",
            Self::RepeatedName => "repeated_name",
            Self::SeveralUris => "several_uris",
            Self::MalformedSpiffeId => "malformed_spiffe_id",
        }
    }
}

/// How many methods may remember whom a certificate stands for.
const MOST_KNOWN: usize = 8;

impl ClientCertificate {
    /// A certificate with what is known of it.
    #[must_use]
    pub fn new(
        leaf: &[u8],
        sha256: [u8; 32],
        chain: Vec<Box<[u8]>>,
        details: Result<CertificateDetails, CertificateFault>,
    ) -> Self {
        Self { leaf: leaf.into(), sha256, chain, details, known: Mutex::default() }
    }

    /// Whom it stands for by the method with this number, if that was found out before.
    #[must_use]
    pub fn known_to(&self, method: u64) -> Option<Arc<Principal>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(number, _)| *number == method).map(|(_, principal)| Arc::clone(principal))
    }

    /// Remembers whom it stands for by the method with this number. Numbers are never used again, so that a method of a
    /// configuration before this one cannot be meant.
    pub fn remember(&self, method: u64, principal: Arc<Principal>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            known.remove(0);
        }
        known.push((method, principal));
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("details", &self.details).finish_non_exhaustive()
    }
}
