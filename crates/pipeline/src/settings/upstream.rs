//! Where requests go: the targets of a service and how they are chosen.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use portcullis_core::{ConfigFolder, KeyPath, Period, Problems};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::listener::existing;
use super::protocol::positive;

/// The targets of a service and how they are chosen.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawUpstream {
    /// Addresses of the service, such as `http://10.0.0.5:8080` or `https://orders.internal`.
    pub targets: Vec<String>,
    /// How a target is chosen for each request.
    #[serde(default)]
    pub balance: Balance,
    /// The protocol spoken with the targets.
    #[serde(default)]
    pub protocol: UpstreamProtocol,
    /// How `https` targets are verified.
    #[serde(default)]
    pub tls: RawUpstreamTls,
    /// How many idle connections are kept open to each target, per processor core.
    #[serde(default = "default_idle_connections")]
    pub idle_connections: u32,
    /// How many requests may be under way to each target at once, per processor core; more get 503.
    #[serde(default = "default_requests")]
    pub requests: u32,
    /// Ask each target regularly whether it is well.
    #[serde(default)]
    pub active_health: Option<RawActiveHealth>,
    /// Leave a target alone for a while after it failed.
    #[serde(default)]
    pub passive_health: RawPassiveHealth,
}

/// How a target is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one with the fewest requests under way.
    LeastRequests,
}

/// The protocol spoken with the targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: by ALPN over TLS, with prior knowledge in plain text. gRPC needs this.
    Http2,
}

/// How `https` targets are verified.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawUpstreamTls {
    /// PEM file with the certificate authorities to trust instead of the system's.
    pub ca: Option<String>,
    /// The name that the certificate must carry, if it is not the target's host.
    pub server_name: Option<String>,
}

/// Regular questions to each target.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawActiveHealth {
    /// The path to ask for; any 2xx or 3xx answer is well.
    pub path: String,
    /// The time between two questions.
    #[serde(default = "default_interval")]
    pub interval: Period,
    /// How long an answer may take.
    #[serde(default = "default_health_timeout")]
    pub timeout: Period,
    /// How many failures in a row take a target out.
    #[serde(default = "default_unhealthy_after")]
    pub unhealthy_after: u32,
    /// How many successes in a row bring it back.
    #[serde(default = "default_healthy_after")]
    pub healthy_after: u32,
}

/// What a target's own failures do to it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawPassiveHealth {
    /// How many failures in a row (no connection, no answer, reset) open the breaker.
    pub failures: u32,
    /// How long the breaker stays open; then one request tries the target again.
    pub open_for: Period,
}

impl Default for RawPassiveHealth {
    fn default() -> Self {
        Self { failures: 5, open_for: Period::secs(10) }
    }
}

const fn default_idle_connections() -> u32 {
    256
}
const fn default_requests() -> u32 {
    4_096
}
const fn default_interval() -> Period {
    Period::secs(5)
}
const fn default_health_timeout() -> Period {
    Period::secs(2)
}
const fn default_unhealthy_after() -> u32 {
    3
}
const fn default_healthy_after() -> u32 {
    2
}

/// A compiled upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// At least one target.
    pub targets: Vec<TargetAddress>,
    /// How one is chosen.
    pub balance: Balance,
    /// How to speak with it.
    pub protocol: UpstreamProtocol,
    /// How to verify it.
    pub tls: UpstreamTls,
    /// Idle connections kept per target and worker.
    pub idle_connections: usize,
    /// Requests under way per target and worker.
    pub requests: usize,
    /// Regular questions.
    pub active_health: Option<ActiveHealth>,
    /// The breaker.
    pub passive_health: PassiveHealth,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TargetAddress {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether TLS is spoken.
    pub secure: bool,
    /// All of it, as records name it: written once, not for every request.
    text: Box<str>,
}

impl TargetAddress {
    /// Reads `http://host:port` or `https://host`.
    ///
    /// # Errors
    /// A sentence, when the text is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is not a target; write `http://host:port` or `https://host`, without a path")
        };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || authority.as_str().contains('@') {
            return Err(wrong());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        // A port beyond 65535 parses, and would be taken for none.
        let port = match authority.port_u16() {
            Some(port) if port > 0 => port,
            None if authority.as_str().len() == authority.host().len() => {
                if secure {
                    443
                } else {
                    80
                }
            }
            _ => return Err(format!("`{text}` has a port that is not one from 1 to 65535")),
        };
        let scheme = if secure { "https" } else { "http" };
        let text = if host.contains(':') {
            format!("{scheme}://[{host}]:{port}")
        } else {
            format!("{scheme}://{host}:{port}")
        };
        Ok(Self { host, port, secure, text: text.into() })
    }

    /// `scheme://host:port`.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Display for TargetAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// How a target is verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Authorities, instead of the system's.
    pub ca: Option<PathBuf>,
    /// The name in the certificate, instead of the host.
    pub server_name: Option<String>,
}

/// Compiled regular questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveHealth {
    /// Path.
    pub path: String,
    /// Time between questions.
    pub interval: Duration,
    /// Time for an answer.
    pub timeout: Duration,
    /// Failures in a row that take it out.
    pub unhealthy_after: u32,
    /// Successes in a row that bring it back.
    pub healthy_after: u32,
}

/// The compiled breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassiveHealth {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open.
    pub open_for: Duration,
}

impl Upstream {
    /// Checks and compiles an upstream.
    pub fn compile(
        raw: &RawUpstream,
        folder: &ConfigFolder,
        path: &KeyPath,
        problems: &mut Problems,
    ) -> Self {
        let mut targets = Vec::new();
        if raw.targets.is_empty() {
            problems
                .error(&path.key("targets"), "there is no target")
                .suggest("add one, such as `http://127.0.0.1:9000`");
        }
        for (index, text) in raw.targets.iter().enumerate() {
            match TargetAddress::parse(text) {
                Ok(target) if targets.contains(&target) => {
                    problems.error(&path.key("targets").index(index), format!("`{text}` appears twice"));
                }
                Ok(target) => targets.push(target),
                Err(problem) => {
                    problems.error(&path.key("targets").index(index), problem);
                }
            }
        }
        let tls_path = path.key("tls");
        let tls = UpstreamTls {
            ca: raw.tls.ca.as_deref().map(|named| existing(folder, named, &tls_path.key("ca"), problems)),
            server_name: raw.tls.server_name.clone(),
        };
        if (tls.ca.is_some() || tls.server_name.is_some()) && !targets.iter().any(|target| target.secure) {
            problems
                .error(&tls_path, "TLS settings have no effect: no target is `https`")
                .suggest("write `https://` targets or remove `tls`");
        }
        for (key, value) in
            [("requests", raw.requests), ("passive_health.failures", raw.passive_health.failures)]
        {
            if value == 0 {
                problems.error(&path.key(key), format!("`{key}` is 0")).suggest("write at least 1");
            }
        }
        let active_health =
            raw.active_health.as_ref().map(|raw| compile_active(raw, &path.key("active_health"), problems));
        let passive_path = path.key("passive_health");
        Self {
            targets,
            balance: raw.balance,
            protocol: raw.protocol,
            tls,
            idle_connections: raw.idle_connections as usize,
            requests: raw.requests as usize,
            active_health,
            passive_health: PassiveHealth {
                failures: raw.passive_health.failures,
                open_for: positive("open_for", raw.passive_health.open_for, &passive_path, problems),
            },
        }
    }
}

fn compile_active(raw: &RawActiveHealth, path: &KeyPath, problems: &mut Problems) -> ActiveHealth {
    if !raw.path.starts_with('/') || raw.path.parse::<Uri>().is_err() {
        problems
            .error(&path.key("path"), format!("`{}` is not a path", raw.path))
            .suggest("write a path such as `/healthz`");
    }
    for (key, value) in [("unhealthy_after", raw.unhealthy_after), ("healthy_after", raw.healthy_after)] {
        if value == 0 {
            problems.error(&path.key(key), format!("`{key}` is 0")).suggest("write at least 1");
        }
    }
    ActiveHealth {
        path: raw.path.clone(),
        interval: positive("interval", raw.interval, path, problems),
        timeout: positive("timeout", raw.timeout, path, problems),
        unhealthy_after: raw.unhealthy_after,
        healthy_after: raw.healthy_after,
    }
}

#[cfg(test)]
mod tests {
    use super::TargetAddress;

    #[test]
    fn targets_are_scheme_host_and_port() {
        for (text, shown) in [
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
            ("https://orders.internal", "https://orders.internal:443"),
            ("http://[::1]:80/", "http://[::1]:80"),
        ] {
            assert_eq!(TargetAddress::parse(text).unwrap().to_string(), shown);
        }
        for wrong in
            ["", "127.0.0.1:9000", "ftp://x", "http://x/path", "http://x?y", "http://user@x", "http://"]
        {
            assert!(TargetAddress::parse(wrong).is_err(), "{wrong}");
        }
        for port in ["http://x:99999", "https://[::1]:65536", "http://x:0", "http://x:"] {
            let problem = TargetAddress::parse(port).unwrap_err();
            assert!(problem.contains("a port that is not one from 1 to 65535"), "{problem}");
        }
    }
}
