//! The TLS of a listener, whose files may change while it serves.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use portcullis_pipeline::settings::{ListenerTls, TlsVersion};
use tokio_rustls::rustls::{ServerConfig, version};

use super::clients::Clients;
use super::served::{BySni, Served, certified_key, served};
use super::{TlsError, provider};

/// The TLS of a listener as it is now: HTTP/2 and HTTP/1.1 by ALPN.
#[derive(Debug)]
pub(crate) struct ServerTls {
    pub(crate) config: Arc<ServerConfig>,
    /// What is asked of clients.
    pub(crate) clients: Option<Clients>,
    pub(crate) served: Vec<Served>,
}

impl ServerTls {
    /// # Errors
    /// When a file cannot be read or used.
    pub(crate) fn new(tls: &ListenerTls) -> Result<Self, TlsError> {
        let clients = tls.clients.as_ref().map(Clients::new).transpose()?;
        let mut certificates = None;
        let mut all_served = Vec::new();
        for files in tls.certificates() {
            let key = certified_key(files)?;
            all_served.push(served(files, &key));
            certificates.get_or_insert_with(|| BySni::new(Arc::clone(&key))).add(&key);
        }
        let certificates = certificates.ok_or_else(|| TlsError("there is no certificate".to_owned()))?;
        let versions: &[_] = match tls.minimum_version {
            TlsVersion::Tls12 => &[&version::TLS13, &version::TLS12],
            TlsVersion::Tls13 => &[&version::TLS13],
        };
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .map_err(|error| TlsError(error.to_string()))?;
        let builder = match &clients {
            Some(clients) => builder.with_client_cert_verifier(clients.verifier()),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(certificates));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), clients, served: all_served })
    }
}

/// The TLS of a listener, read again when its files change. Connections that are there keep what they began with; sessions of
/// before are not resumed, so nobody comes past a list by which a certificate is revoked.
#[derive(Debug)]
pub(crate) struct ListenerState {
    settings: ListenerTls,
    current: ArcSwap<ServerTls>,
    seen: Mutex<Vec<Option<FileState>>>,
}

/// What changes of a file when another takes its place or it is written anew.
type FileState = (u64, u64, SystemTime);

impl ListenerState {
    /// # Errors
    /// When a file cannot be read or used.
    pub(crate) fn new(settings: ListenerTls) -> Result<Self, TlsError> {
        // Looked at before they are read: what changes in between is read once too often rather than never.
        let seen = Mutex::new(states(&settings));
        let current = ArcSwap::from_pointee(ServerTls::new(&settings)?);
        Ok(Self { settings, current, seen })
    }

    /// The TLS for the next connection.
    pub(crate) fn current(&self) -> Arc<ServerTls> {
        self.current.load_full()
    }

    /// Reads the files if one has changed; `None` if none has. What cannot be used, as when a certificate was replaced and
    /// its key not yet, leaves everything as it was.
    pub(crate) fn refresh(&self) -> Option<Result<(), TlsError>> {
        let states = states(&self.settings);
        let mut seen = self.seen.lock();
        if *seen == states {
            return None;
        }
        *seen = states;
        Some(ServerTls::new(&self.settings).map(|tls| self.current.store(Arc::new(tls))))
    }
}

fn states(settings: &ListenerTls) -> Vec<Option<FileState>> {
    settings.files().map(|path| state(path)).collect()
}

/// Of what a link leads to: that is how orchestrators replace files.
fn state(path: &Path) -> Option<FileState> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.len(), metadata.modified().ok()?))
}
