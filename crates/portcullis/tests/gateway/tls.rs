//! TLS of listeners: the certificates that clients show, and those that they are shown.

mod clients;
mod identity;
mod reload;
mod served;

use std::sync::Arc;

use portcullis_testkit::ca::{Authority, ClientConfig, Identity};
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::{Gateway, Setup};
use portcullis_testkit::raw::{Connection, Response};

use crate::common::{Config, plain, setup};

const GET: &str = "GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n";

/// Authorities, a service and the certificate of the gateway.
struct Stage {
    /// Whose certificate the gateway has.
    servers: Authority,
    /// Who vouches for clients.
    clients: Authority,
    upstream: Upstream,
}

impl Stage {
    fn new() -> Self {
        Self { servers: Authority::new(), clients: Authority::new(), upstream: Upstream::start() }
    }

    /// A folder with the gateway's certificate (`gate.pem`, `gate.key`) and the clients' authority (`clients.pem`).
    fn folder(&self) -> Setup {
        let gate = self.servers.server(&["gate.test"]);
        setup()
            .file("gate.pem", &gate.certificate_pem)
            .file("gate.key", &gate.key_pem)
            .file("clients.pem", self.clients.pem())
    }

    /// A listener for TLS with further keys of `tls`.
    fn config(&self, tls: &str) -> Config {
        let listener = format!(
            "{{ name: public, address: \"127.0.0.1:0\", tls: {{ certificate: gate.pem, key: gate.key, {tls} }} }}"
        );
        plain(&self.upstream.url()).listener(listener)
    }

    fn client(&self, identity: Option<&Identity>) -> Arc<ClientConfig> {
        self.servers.client_config(identity, &["http/1.1"])
    }
}

fn connect(gateway: &Gateway, config: &Arc<ClientConfig>) -> Connection {
    Connection::open_tls(gateway.address("public"), "gate.test", Arc::clone(config))
}

/// What comes of one request on a connection of its own.
fn ask(gateway: &Gateway, config: &Arc<ClientConfig>) -> std::io::Result<Response> {
    connect(gateway, config).try_exchange(GET)
}

fn status(gateway: &Gateway, config: &Arc<ClientConfig>) -> Option<u16> {
    ask(gateway, config).ok().map(|answer| answer.status)
}
