//! Whether the TLS of a configuration could be set up, found out before anything is served.

use portcullis_core::{KeyPath, Problems};
use portcullis_pipeline::settings::{ListenerTls, UpstreamProtocol, UpstreamTls};

use crate::tls;

/// Sets up the TLS of a listener, as a start would, and records what is wrong with it. `path` is that of its `tls`.
pub fn rehearse_listener(tls: &ListenerTls, path: &KeyPath, problems: &mut Problems) {
    let chain = tls::certificates(&tls.certificate);
    let key = tls::private_key(&tls.key);
    if let Err(error) = &chain {
        let suggestion = "name a PEM file with the certificate, followed by those of its issuers";
        problems.error(&path.key("certificate"), error.to_string()).suggest(suggestion);
    }
    if let Err(error) = &key {
        let suggestion = "name a PEM file with the private key, without a password";
        problems.error(&path.key("key"), error.to_string()).suggest(suggestion);
    }
    if chain.is_ok()
        && key.is_ok()
        && let Err(error) = tls::server_config(tls)
    {
        let suggestion = "name the key for which the first certificate of the file was made";
        problems.error(&path.key("key"), error.to_string()).suggest(suggestion);
    }
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
