//! Where the gateway listens.

use std::net::SocketAddr;
use std::path::PathBuf;

use portcullis_core::{ConfigFolder, KeyPath, Problems};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::listener_tls::{ListenerTls, RawListenerTls};

/// An address at which clients are served.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawListener {
    /// A name for logs.
    pub name: String,
    /// Address and port, such as `0.0.0.0:8443` or `[::]:8080`. Port 0 takes any free port.
    pub address: String,
    /// The certificates to show and to ask for; without them the listener speaks plain HTTP/1.1 and HTTP/2 with prior knowledge.
    #[serde(default)]
    pub tls: Option<RawListenerTls>,
    /// Whether each connection begins with a PROXY protocol v2 header that names the client. Switch it on only
    /// where nothing but your load balancer can connect.
    #[serde(default)]
    pub proxy_protocol: bool,
}

/// A compiled listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: SocketAddr,
    /// Its TLS.
    pub tls: Option<ListenerTls>,
    /// Whether PROXY protocol v2 is required.
    pub proxy_protocol: bool,
}

impl Listener {
    /// Checks and compiles all listeners.
    pub fn compile(
        raw: &[RawListener],
        folder: &ConfigFolder,
        path: &KeyPath,
        problems: &mut Problems,
    ) -> Vec<Self> {
        if raw.is_empty() {
            problems
                .error(path, "there is no listener")
                .suggest("add one, such as `- { name: public, address: 127.0.0.1:8080 }`");
        }
        let mut compiled: Vec<Self> = Vec::new();
        for (index, listener) in raw.iter().enumerate() {
            let place = path.index(index);
            let Ok(address) = listener.address.parse::<SocketAddr>() else {
                problems
                    .error(&place.key("address"), not_an_address(&listener.address))
                    .suggest("write `127.0.0.1:8080` or `[::]:8080`");
                continue;
            };
            if let Some(earlier) =
                compiled.iter().find(|earlier| earlier.address == address && address.port() != 0)
            {
                problems.error(
                    &place.key("address"),
                    format!("`{address}` is taken by the listener `{}` already", earlier.name),
                );
            }
            let tls = listener
                .tls
                .as_ref()
                .map(|tls| ListenerTls::compile(tls, folder, &place.key("tls"), problems));
            compiled.push(Self {
                name: listener.name.clone(),
                address,
                tls,
                proxy_protocol: listener.proxy_protocol,
            });
        }
        compiled
    }
}

/// What is wrong with a text that should be an address with a port.
#[must_use]
pub fn not_an_address(text: &str) -> String {
    match text.rsplit_once(':') {
        Some((host, port))
            if format!("{host}:0").parse::<SocketAddr>().is_ok()
                && !port.is_empty()
                && port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            format!("`{text}` has a port that is not one from 0 to 65535")
        }
        _ => format!("`{text}` is not an address with a port"),
    }
}

pub(super) fn existing(
    folder: &ConfigFolder,
    named: &str,
    place: &KeyPath,
    problems: &mut Problems,
) -> PathBuf {
    if let Err(problem) = folder.read(named) {
        problems
            .error(place, problem)
            .suggest("name a PEM file; relative paths start at the folder of the configuration");
    }
    folder.resolve(named)
}
