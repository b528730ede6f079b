//! What the configuration says about a Redis.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{ClientTlsConfig, ConnectionAddr, ConnectionInfo, TlsCertificates};
use portcullis_core::{ConfigFolder, KeyPath, Period, Problems, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Redis, connect};

const SHORTEST_TIMEOUT: Duration = Duration::from_millis(1);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A Redis 6.2 or newer, or a Valkey, that several gateways share: one of `url`, `sentinel` and `cluster`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawRedis {
    /// One server: `redis://host:6379`, `redis://user:password@host:6379/0`, or with TLS `rediss://…`.
    pub url: Option<Secret>,
    /// The master that Sentinels name.
    pub sentinel: Option<RawSentinel>,
    /// Some of the nodes of a cluster, as `host:port`; they name the others.
    pub cluster: Option<Vec<String>>,
    /// Speak TLS with `sentinel` and `cluster` nodes, and how servers are verified. A `rediss` URL needs it only for what differs
    /// from the default.
    pub tls: Option<RawRedisTls>,
    /// The name for AUTH, if it is not in the URL.
    pub username: Option<String>,
    /// The password for AUTH, if it is not in the URL.
    pub password: Option<Secret>,
    /// The number of the database, if it is not in the URL. Clusters have only 0.
    pub database: Option<u16>,
    /// How long a call may take before the request goes on without its answer, 1ms to 10s. Default: 50ms.
    pub timeout: Option<Period>,
    /// What every key begins with. Gateways that share it share their counters. Default: `portcullis:`.
    pub prefix: Option<String>,
}

/// Sentinels and what they watch.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawSentinel {
    /// The name of the master.
    pub master: String,
    /// The Sentinels, as `host:port`.
    pub nodes: Vec<String>,
    /// The name for AUTH at the Sentinels.
    #[serde(default)]
    pub username: Option<String>,
    /// The password for AUTH at the Sentinels.
    #[serde(default)]
    pub password: Option<Secret>,
}

/// How servers are verified, and how they verify the gateway.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawRedisTls {
    /// PEM file with the certificate authorities to trust instead of the system's.
    pub ca: Option<String>,
    /// PEM file with the gateway's own certificate, for servers that ask for one; with `key`.
    pub certificate: Option<String>,
    /// PEM file with the key of `certificate`.
    pub key: Option<String>,
}

/// Compiled settings.
pub(super) struct Settings {
    pub(super) topology: Topology,
    pub(super) tls: Option<TlsCertificates>,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) database: i64,
    pub(super) timeout: Duration,
    pub(super) prefix: String,
    /// All of it as it was written: equal texts mean the same store.
    fingerprint: Secret,
}

pub(super) enum Topology {
    One(ConnectionInfo),
    Sentinel { master: String, nodes: Vec<Node>, username: Option<String>, password: Option<Secret> },
    Cluster(Vec<Node>),
}

/// A host with a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    host: String,
    port: u16,
}

impl Node {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = port.parse().ok().filter(|port| *port > 0)?;
        let plain = !host.is_empty() && !host.contains(['/', '@', ' ']);
        plain.then(|| Self { host: host.to_owned(), port })
    }

    pub(super) fn address(&self, secure: bool) -> ConnectionAddr {
        let (host, port) = (self.host.clone(), self.port);
        if secure {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        }
    }
}

impl Settings {
    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self.topology, Topology::Cluster(_))
    }
}

/// Where it is, and nothing that proves who asks.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Settings");
        match &self.topology {
            Topology::One(info) => shown.field("server", &info.addr().to_string()),
            Topology::Sentinel { master, nodes, .. } => {
                shown.field("master", master).field("sentinels", nodes)
            }
            Topology::Cluster(nodes) => shown.field("cluster", nodes),
        };
        shown.field("tls", &self.tls.is_some()).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Redis {
    pub(crate) fn compile(
        raw: &RawRedis,
        folder: &ConfigFolder,
        path: &KeyPath,
        problems: &mut Problems,
        previous: Option<&Arc<Self>>,
    ) -> Option<Arc<Self>> {
        let settings = Compiler { raw, folder, path, problems }.run()?;
        let same = |known: &&Arc<Self>| known.settings.fingerprint.expose() == settings.fingerprint.expose();
        Some(previous.filter(same).map_or_else(|| Self::new(settings), Arc::clone))
    }
}

struct Compiler<'c> {
    raw: &'c RawRedis,
    folder: &'c ConfigFolder,
    path: &'c KeyPath,
    problems: &'c mut Problems,
}

impl Compiler<'_> {
    fn run(&mut self) -> Option<Settings> {
        let raw = self.raw;
        let tls = self.tls();
        let topology = self.topology();
        let timeout = raw.timeout.map_or(Duration::from_millis(50), |timeout| timeout.0);
        if !(SHORTEST_TIMEOUT..=LONGEST_TIMEOUT).contains(&timeout) {
            self.problems
                .error(&self.path.key("timeout"), "a call must have from 1ms to 10s")
                .suggest("write `50ms`; requests wait that long for a store that does not answer");
        }
        let prefix = raw.prefix.clone().unwrap_or_else(|| "portcullis:".to_owned());
        if prefix.len() > 64
            || prefix.bytes().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'{' | b'}'))
        {
            self.problems
                .error(
                    &self.path.key("prefix"),
                    format!("`{}` is not a beginning for keys", prefix.escape_debug()),
                )
                .suggest("write at most 64 letters, digits and signs other than `{` and `}`");
        }
        Some(Settings {
            topology: topology?,
            tls,
            username: raw.username.clone(),
            password: raw.password.clone(),
            database: raw.database.map_or(0, i64::from),
            timeout,
            prefix,
            fingerprint: self.fingerprint(),
        })
    }

    fn topology(&mut self) -> Option<Topology> {
        let raw = self.raw;
        match (&raw.url, &raw.sentinel, &raw.cluster) {
            (Some(url), None, None) => self.one(url),
            (None, Some(sentinel), None) => {
                let path = self.path.key("sentinel");
                if sentinel.master.is_empty() {
                    self.problems
                        .error(&path.key("master"), "the master has no name")
                        .suggest("write the name that the Sentinels know it by, such as `mymaster`");
                }
                let nodes = self.nodes(&sentinel.nodes, &path.key("nodes"))?;
                let (username, password) = (sentinel.username.clone(), sentinel.password.clone());
                Some(Topology::Sentinel { master: sentinel.master.clone(), nodes, username, password })
            }
            (None, None, Some(nodes)) => {
                if raw.database.is_some_and(|database| database != 0) {
                    self.problems
                        .error(&self.path.key("database"), "a cluster has only the database 0")
                        .suggest("remove `database`");
                }
                self.nodes(nodes, &self.path.key("cluster")).map(Topology::Cluster)
            }
            _ => {
                self.problems
                    .error(self.path, "where the store is must be said once")
                    .suggest("write one of `url`, `sentinel` and `cluster`");
                None
            }
        }
    }

    fn one(&mut self, url: &Secret) -> Option<Topology> {
        let raw = self.raw;
        let path = self.path.key("url");
        let password = raw.password.as_ref().map(Secret::expose);
        let info =
            connect::info_of(url.expose(), raw.username.as_deref(), password, raw.database.map(i64::from));
        let known = ["redis://", "rediss://"].iter().any(|scheme| url.expose().starts_with(scheme));
        // The URL may hold a password, so no message repeats it.
        let Some(info) = info.ok().filter(|_| known) else {
            self.problems
                .error(&path, "this is not the URL of a Redis")
                .suggest("write `redis://host:6379`, or `rediss://host:6379` for TLS");
            return None;
        };
        if raw.tls.is_some() && url.expose().starts_with("redis://") {
            self.problems
                .error(&self.path.key("tls"), "the URL says `redis`, which is plain text")
                .suggest("write `rediss://`, or remove `tls`");
        }
        Some(Topology::One(info))
    }

    fn nodes(&mut self, texts: &[String], path: &KeyPath) -> Option<Vec<Node>> {
        if texts.is_empty() {
            self.problems.error(path, "there is no node").suggest("write at least one as `host:port`");
        }
        let mut nodes = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match Node::parse(text) {
                Some(node) => nodes.push(node),
                None => {
                    self.problems
                        .error(&path.index(index), format!("`{text}` is not a node"))
                        .suggest("write `host:port`");
                }
            }
        }
        (!nodes.is_empty()).then_some(nodes)
    }

    fn tls(&mut self) -> Option<TlsCertificates> {
        let raw = self.raw.tls.as_ref()?;
        let path = self.path.key("tls");
        let root_cert = raw.ca.as_ref().and_then(|file| self.file(file, &path.key("ca")));
        let client_tls = match (&raw.certificate, &raw.key) {
            (Some(certificate), Some(key)) => {
                let client_cert = self.file(certificate, &path.key("certificate"));
                let client_key = self.file(key, &path.key("key"));
                client_cert
                    .zip(client_key)
                    .map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key })
            }
            (None, None) => None,
            _ => {
                self.problems
                    .error(&path, "a certificate and its key go together")
                    .suggest("write both `certificate` and `key`, or neither");
                None
            }
        };
        Some(TlsCertificates { client_tls, root_cert })
    }

    fn file(&mut self, name: &str, path: &KeyPath) -> Option<Vec<u8>> {
        match self.folder.read(name) {
            Ok(text) => Some(text.into_bytes()),
            Err(problem) => {
                self.problems.error(path, problem).suggest("write the name of a PEM file");
                None
            }
        }
    }

    fn fingerprint(&self) -> Secret {
        let raw = self.raw;
        let shown = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
        let sentinel = raw.sentinel.as_ref().map(|sentinel| {
            (&sentinel.master, &sentinel.nodes, &sentinel.username, shown(&sentinel.password))
        });
        let tls = raw.tls.as_ref().map(|tls| {
            [&tls.ca, &tls.certificate, &tls.key]
                .map(|file| file.as_ref().map(|file| self.folder.read(file).unwrap_or_default()))
        });
        let place = (shown(&raw.url), sentinel, &raw.cluster, tls);
        let rest = (&raw.username, shown(&raw.password), raw.database, raw.timeout, &raw.prefix);
        Secret::new(format!("{place:?}{rest:?}"))
    }
}
