//! TLS on both sides, by rustls.

mod clients;
mod listener;
mod served;

use std::path::Path;
use std::sync::Arc;

use portcullis_pipeline::settings::{UpstreamProtocol, UpstreamTls};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

pub(crate) use clients::{Clients, refused_certificate};
pub(crate) use listener::{ListenerState, ServerTls};
pub(crate) use served::certified_key;

/// A TLS set-up that cannot be used; the sentence names the file and says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(pub(crate) String);

/// The set-up for the targets of an upstream. Certificates are always verified.
///
/// # Errors
/// When the authorities cannot be read, or the system has none.
pub(crate) fn client_config(
    tls: &UpstreamTls,
    protocol: UpstreamProtocol,
) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    match &tls.ca {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| TlsError(format!("`{}`: {error}", path.display())))?;
            }
        }
        None => {
            let system = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(system.certs);
            if roots.is_empty() {
                return Err(TlsError(
                    "the system has no certificate authorities; install `ca-certificates` or name a file in `tls.ca`".to_owned(),
                ));
            }
        }
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![match protocol {
        UpstreamProtocol::Http1 => b"http/1.1".to_vec(),
        UpstreamProtocol::Http2 => b"h2".to_vec(),
    }];
    Ok(Arc::new(config))
}

/// Some of the parser's words are lists of bytes.
fn in_words(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a block is not closed by its `-----END` line".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "a `-----BEGIN` line is not complete".to_owned(),
        pem::Error::NoItemsFound => "it must be a PEM file".to_owned(),
        other => other.to_string(),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| TlsError(format!("no private key in `{}`: {}", path.display(), in_words(&error))))
}

pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable =
        |error| TlsError(format!("no certificate in `{}`: {}", path.display(), in_words(&error)));
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(unreadable)?
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    if chain.is_empty() {
        return Err(TlsError(format!("no certificate in `{}`; it must be a PEM file", path.display())));
    }
    Ok(chain)
}
