//! Which certificates of clients are taken.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis_authn::certificate::client_certificate;
use portcullis_core::ClientCertificate;
use portcullis_pipeline::settings::{ClientCertificateMode, ClientCertificates, CrlScope, Leniency};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{CertificateError, Error, RootCertStore};

use super::{TlsError, certificates, in_words, provider};

/// What is asked of certificates of clients.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    verifier: Arc<dyn ClientCertVerifier>,
    mode: ClientCertificateMode,
}

impl Clients {
    /// # Errors
    /// When a file cannot be read or used.
    pub(crate) fn new(rules: &ClientCertificates) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for path in &rules.ca {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| TlsError(format!("`{}`: {error}", path.display())))?;
            }
        }
        let mut lists = Vec::new();
        for path in &rules.crl {
            lists.extend(revocation_lists(path)?);
        }
        let mut builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).with_crls(lists);
        if rules.mode == ClientCertificateMode::Optional {
            builder = builder.allow_unauthenticated();
        }
        if rules.crl_scope == CrlScope::Leaf {
            builder = builder.only_check_end_entity_revocation();
        }
        if rules.unlisted == Leniency::Accept {
            builder = builder.allow_unknown_revocation_status();
        }
        if rules.expired_crl == Leniency::Refuse {
            builder = builder.enforce_revocation_expiration();
        }
        let verifier = builder.build().map_err(|error| {
            TlsError(format!("the authorities or revocation lists cannot be used: {error}"))
        })?;
        Ok(Self { verifier, mode: rules.mode })
    }

    pub(crate) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier)
    }

    /// Judges a chain again: a session that is resumed brings along the certificates of its first handshake, and they may
    /// have ended or been revoked since.
    pub(crate) fn judge(&self, chain: Option<&[CertificateDer<'_>]>) -> Result<(), Error> {
        match chain {
            Some([leaf, issuers @ ..]) => {
                self.verifier.verify_client_cert(leaf, issuers, UnixTime::now()).map(drop)
            }
            _ if self.mode == ClientCertificateMode::Required => Err(Error::NoCertificatesPresented),
            _ => Ok(()),
        }
    }

    /// What a chain says that was shown without a handshake, if it would be taken.
    ///
    /// # Errors
    /// The code that a refusal of it has in the record.
    pub(crate) fn examine(&self, chain: &[CertificateDer<'_>]) -> Result<ClientCertificate, &'static str> {
        self.judge(Some(chain)).map_err(|error| refusal_of(&error).unwrap_or("invalid_certificate"))?;
        client_certificate(chain.iter().map(AsRef::as_ref)).ok_or("certificate_missing")
    }
}

fn revocation_lists(path: &PathBuf) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let unreadable = |error: pem::Error| {
        TlsError(format!("no revocation list in `{}`: {}", path.display(), in_words(&error)))
    };
    let lists: Vec<_> = CertificateRevocationListDer::pem_file_iter(path)
        .map_err(unreadable)?
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    if lists.is_empty() {
        return Err(unreadable(pem::Error::NoItemsFound));
    }
    Ok(lists)
}

/// Why a handshake failed, if it was over the client's certificate: a code for the record.
pub(crate) fn refusal_of(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::NoCertificatesPresented => "certificate_missing",
        Error::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "certificate_expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "certificate_not_yet_valid"
            }
            CertificateError::Revoked => "certificate_revoked",
            CertificateError::UnknownIssuer => "unknown_authority",
            CertificateError::UnknownRevocationStatus => "revocation_unknown",
            CertificateError::ExpiredRevocationList
            | CertificateError::ExpiredRevocationListContext { .. } => "revocation_list_expired",
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                "certificate_not_for_clients"
            }
            CertificateError::BadSignature => "certificate_bad_signature",
            _ => "invalid_certificate",
        },
        _ => return None,
    })
}

/// The same for what came of a handshake.
pub(crate) fn refused_certificate(error: &io::Error) -> Option<&'static str> {
    error.get_ref()?.downcast_ref::<Error>().and_then(refusal_of)
}
