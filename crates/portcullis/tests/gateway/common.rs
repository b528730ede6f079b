//! A configuration with everything switched off, and the gateway that runs it.

use std::net::{Ipv4Addr, SocketAddr};

use portcullis_testkit::gateway::{Gateway, Setup};
use socket2::{Domain, Socket, Type};

/// The gateway's own binary.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_portcullis");

/// A configuration in the making: a plain proxy before one service. Each method replaces or adds one piece of
/// YAML in flow style, so that a test shows nothing but what it is about.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    listeners: Vec<String>,
    sections: Vec<(String, String)>,
    policy: Vec<(String, String)>,
    upstream: Vec<(String, String)>,
    routes: Vec<String>,
    services: Vec<String>,
}

/// A plain proxy before the service at this URL.
pub(crate) fn plain(upstream_url: &str) -> Config {
    targets(&[upstream_url])
}

/// A plain proxy before several targets of one service.
pub(crate) fn targets(urls: &[&str]) -> Config {
    let list: Vec<String> = urls.iter().map(|url| format!("\"{url}\"")).collect();
    let off = |stage: &str| (stage.to_owned(), "{ mode: off }".to_owned());
    Config {
        listeners: vec!["{ name: public, address: \"127.0.0.1:0\" }".to_owned()],
        sections: vec![
            ("admin".to_owned(), "{ address: \"127.0.0.1:0\" }".to_owned()),
            // A pool of connections belongs to a worker: with one it is known which connection is used again.
            ("workers".to_owned(), "1".to_owned()),
            ("audit".to_owned(), "{ file: audit.jsonl, flush_every: 5ms }".to_owned()),
        ],
        policy: ["authenticate", "authorize", "limit", "scan", "response"].map(off).into(),
        upstream: vec![("targets".to_owned(), format!("[{}]", list.join(", ")))],
        routes: vec!["{ name: all, path: \"/{*rest}\" }".to_owned()],
        services: Vec::new(),
    }
}

impl Config {
    /// Replaces the listener: `{ name: public, address: "127.0.0.1:0", … }`.
    pub(crate) fn listener(mut self, flow: impl Into<String>) -> Self {
        self.listeners = vec![flow.into()];
        self
    }

    /// Adds a listener.
    pub(crate) fn another_listener(mut self, flow: impl Into<String>) -> Self {
        self.listeners.push(flow.into());
        self
    }

    /// Sets a section at the top: `protocol`, `client_address`, `audit`.
    pub(crate) fn section(mut self, key: &str, flow: impl Into<String>) -> Self {
        set(&mut self.sections, key, flow.into());
        self
    }

    /// Sets a part of the policy for all routes: `forward`, `authenticate`, `response`.
    pub(crate) fn policy(mut self, key: &str, flow: impl Into<String>) -> Self {
        set(&mut self.policy, key, flow.into());
        self
    }

    /// Sets a key of the upstream: `protocol`, `tls`, `active_health`.
    pub(crate) fn upstream(mut self, key: &str, flow: impl Into<String>) -> Self {
        set(&mut self.upstream, key, flow.into());
        self
    }

    /// Replaces the routes, of which there is one for everything.
    pub(crate) fn routes(mut self, flows: &[&str]) -> Self {
        self.routes = flows.iter().map(|&flow| flow.to_owned()).collect();
        self
    }

    /// Adds a service beside `shop`.
    pub(crate) fn another_service(mut self, flow: impl Into<String>) -> Self {
        self.services.push(flow.into());
        self
    }

    /// The configuration as YAML.
    pub(crate) fn text(&self) -> String {
        let block = |pieces: &[(String, String)], indent: &str| -> String {
            pieces.iter().map(|(key, flow)| format!("{indent}{key}: {flow}\n")).collect()
        };
        let list = |flows: &[String], indent: &str| -> String {
            flows.iter().map(|flow| format!("{indent}- {flow}\n")).collect()
        };
        format!(
            "version: 1\nlisteners:\n{}{}policy:\n{}services:\n  - name: shop\n    upstream:\n{}    routes:\n{}{}",
            list(&self.listeners, "  "),
            block(&self.sections, ""),
            block(&self.policy, "  "),
            block(&self.upstream, "      "),
            list(&self.routes, "      "),
            list(&self.services, "  "),
        )
    }

    /// Starts the gateway; it needs no other files.
    pub(crate) fn start(&self) -> Gateway {
        Gateway::start(BINARY, &self.text())
    }

    /// Starts the gateway in a folder that holds the files it names.
    pub(crate) fn start_in(&self, setup: Setup) -> Gateway {
        setup.start(&self.text())
    }
}

/// A folder for a gateway, to put files into.
pub(crate) fn setup() -> Setup {
    Setup::new(BINARY)
}

/// An address at which nobody listens but whom the test tells to. It stays taken as long as the process lives: a port
/// that was only free a moment ago may be another test's by now.
pub(crate) fn dead_address() -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // Lets the test itself bind it once more, to listen there.
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    std::mem::forget(socket);
    address
}

fn set(pieces: &mut Vec<(String, String)>, key: &str, flow: String) {
    match pieces.iter_mut().find(|(have, _)| have == key) {
        Some((_, old)) => *old = flow,
        None => pieces.push((key.to_owned(), flow)),
    }
}
