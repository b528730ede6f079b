//! Which certificate of a listener a client sees.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_authn::certificate;
use portcullis_core::Timestamp;
use portcullis_pipeline::settings::ServerCertificate;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::{TlsError, certificates, private_key, provider};

/// The certificates of a listener by the hosts that they are for.
#[derive(Debug)]
pub(super) struct BySni {
    default: Arc<CertifiedKey>,
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// By what follows `*.`.
    wildcard: HashMap<String, Vec<Arc<CertifiedKey>>>,
}

/// A certificate that is shown, and when it ends.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    /// Its file.
    pub(crate) file: String,
    /// Its end; `None` if it cannot be read.
    pub(crate) not_after: Option<Timestamp>,
}

impl BySni {
    pub(super) fn new(default: Arc<CertifiedKey>) -> Self {
        Self { default, exact: HashMap::new(), wildcard: HashMap::new() }
    }

    /// Shows a certificate to clients that name a host for which it is. Of several for one host the first is shown whose kind
    /// of key the client knows.
    pub(super) fn add(&mut self, key: &Arc<CertifiedKey>) {
        let leaf = key.cert.first().and_then(|leaf| certificate::read(leaf).ok());
        for name in leaf.into_iter().flat_map(|leaf| leaf.dns) {
            match name.strip_prefix("*.") {
                Some(parent) => self.wildcard.entry(parent.to_owned()).or_default().push(Arc::clone(key)),
                None => self.exact.entry(name).or_default().push(Arc::clone(key)),
            }
        }
    }

    fn for_host(&self, host: &str) -> Option<&[Arc<CertifiedKey>]> {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let by_wildcard = || self.wildcard.get(host.split_once('.')?.1);
        self.exact.get(&host).or_else(by_wildcard).map(Vec::as_slice)
    }
}

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let keys = hello.server_name().and_then(|host| self.for_host(host)).unwrap_or_default();
        let is_known = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        Some(Arc::clone(keys.iter().find(is_known).or(keys.first()).unwrap_or(&self.default)))
    }
}

/// A certificate with its key.
///
/// # Errors
/// When a file cannot be read, holds no certificate or key, or the two do not fit.
pub(crate) fn certified_key(files: &ServerCertificate) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = certificates(&files.certificate)?;
    let key = private_key(&files.key)?;
    let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        TlsError(format!("`{certificate}` and `{key}` do not fit: {error}"))
    })?;
    Ok(Arc::new(key))
}

pub(super) fn served(files: &ServerCertificate, key: &CertifiedKey) -> Served {
    let leaf = key.cert.first().and_then(|leaf| certificate::read(leaf).ok());
    Served { file: files.certificate.display().to_string(), not_after: leaf.map(|leaf| leaf.not_after) }
}
