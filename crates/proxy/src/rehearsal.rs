//! Whether the TLS of a configuration could be set up, found out before anything is served.

use std::path::Path;
use std::time::Duration;

use portcullis_authn::certificate;
use portcullis_core::{CertificateDetails, ClientCertificate, KeyPath, Problems, Timestamp};
use portcullis_pipeline::settings::{ListenerTls, ServerCertificate, UpstreamProtocol, UpstreamTls};

use crate::tls::{self, Clients, TlsError};

/// Sets up the TLS of a listener, as a start would, and records what is wrong with it. `path` is that of its `tls`.
pub fn rehearse_listener(tls: &ListenerTls, path: &KeyPath, now: Timestamp, problems: &mut Problems) {
    rehearse_certificate(&tls.default, path, now, problems);
    for (index, files) in tls.more.iter().enumerate() {
        rehearse_certificate(files, &path.key("more_certificates").index(index), now, problems);
    }
    let Some(clients) = &tls.clients else { return };
    let place = path.key("client_certificates");
    if let Err(error) = Clients::new(clients) {
        problems
            .error(&place, error.to_string())
            .suggest("name PEM files with authorities in `ca` and with their revocation lists in `crl`");
    }
}

fn rehearse_certificate(files: &ServerCertificate, path: &KeyPath, now: Timestamp, problems: &mut Problems) {
    let chain = tls::certificates(&files.certificate);
    let key = tls::private_key(&files.key);
    if let Err(error) = &chain {
        let suggestion = "name a PEM file with the certificate, followed by those of its issuers";
        problems.error(&path.key("certificate"), error.to_string()).suggest(suggestion);
    }
    if let Err(error) = &key {
        let suggestion = "name a PEM file with the private key, without a password";
        problems.error(&path.key("key"), error.to_string()).suggest(suggestion);
    }
    let (Ok(_), Ok(chain)) = (key, chain) else { return };
    if let Err(error) = tls::certified_key(files) {
        let suggestion = "name the key for which the first certificate of the file was made";
        problems.error(&path.key("key"), error.to_string()).suggest(suggestion);
    }
    let leaf = chain.first().and_then(|leaf| certificate::read(leaf).ok());
    if let Some(leaf) = leaf {
        warn_of_its_end(&leaf, &path.key("certificate"), now, problems);
    }
}

/// The certificate of a client, if a listener with this TLS would take it. `file` is a PEM file with its chain.
///
/// # Errors
/// [`CertificateRefusal`] when it is not taken or cannot be read.
pub fn examine_certificate(tls: &ListenerTls, file: &Path) -> Result<ClientCertificate, CertificateRefusal> {
    let unusable = |error: TlsError| CertificateRefusal::Unusable(error.to_string());
    let rules = tls.clients.as_ref().ok_or(CertificateRefusal::NotAskedFor)?;
    let clients = Clients::new(rules).map_err(unusable)?;
    let chain = tls::certificates(file).map_err(unusable)?;
    clients.examine(&chain).map_err(CertificateRefusal::Refused)
}

/// Why there is no certificate of a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateRefusal {
    /// The listener asks for none.
    #[error("the listener asks clients for no certificate")]
    NotAskedFor,
    /// A file cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// It is refused; the code is that of the record.
    #[error("the certificate is refused: {0}")]
    Refused(&'static str),
}

/// How long before its end a certificate is worth a warning.
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

fn warn_of_its_end(leaf: &CertificateDetails, path: &KeyPath, now: Timestamp, problems: &mut Problems) {
    let left = leaf.not_after.since(now);
    let days = left.as_secs() / (24 * 60 * 60);
    let what = if left.is_zero() {
        "the certificate has ended, and clients refuse it".to_owned()
    } else if left < SOON {
        format!("the certificate ends in {days} days")
    } else {
        return;
    };
    problems.warning(path, what).suggest("put a new one in its place; it is read without a restart");
}

/// The same for the TLS with which `https` targets are spoken to. `path` is that of the upstream.
pub fn rehearse_upstream(
    tls: &UpstreamTls,
    protocol: UpstreamProtocol,
    path: &KeyPath,
    problems: &mut Problems,
) {
    let Err(error) = tls::client_config(tls, protocol) else { return };
    match tls.ca {
        Some(_) => problems
            .error(&path.key("tls").key("ca"), error.to_string())
            .suggest("name a PEM file with the certificates of the authorities"),
        // The sentence says what to do.
        None => {
            problems.error(&path.key("targets"), error.to_string());
        }
    }
}
