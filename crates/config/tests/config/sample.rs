//! A root type with one of everything that real configuration types use.

use std::collections::BTreeMap;
use std::net::IpAddr;

use portcullis_core::{ByteSize, Mode, Period, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

/// The whole configuration of the sample gateway.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Root {
    /// The version of this format. Always `1`.
    pub(crate) version: u32,
    /// Where to listen.
    #[serde(default)]
    pub(crate) listen: Listen,
    /// The services behind the gateway.
    #[serde(default)]
    pub(crate) services: Vec<Service>,
    /// Labels that are copied into every log line.
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    /// Anything at all, kept as it is.
    #[serde(default)]
    pub(crate) extra: Option<serde_json::Value>,
}

/// One address and port.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Listen {
    /// The address to bind.
    #[schemars(with = "String")]
    pub(crate) address: IpAddr,
    /// The port to bind. Default `8080`.
    #[schemars(range(min = 1))]
    pub(crate) port: u16,
    /// Whether to speak HTTP/2.
    pub(crate) http2: bool,
    /// How long a request may take.
    pub(crate) timeout: Period,
    /// The largest accepted body.
    pub(crate) body: Option<ByteSize>,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: IpAddr::from([127, 0, 0, 1]),
            port: 8080,
            http2: true,
            timeout: Period::secs(30),
            body: None,
        }
    }
}

/// A service and what is asked of its callers.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    /// A name for logs and metrics.
    #[schemars(length(min = 1, max = 20))]
    pub(crate) name: String,
    /// Where requests go.
    #[schemars(length(min = 1))]
    pub(crate) targets: Vec<String>,
    /// What is asked of callers.
    #[serde(default)]
    pub(crate) policy: Option<Policy>,
    /// A share of all requests, between 0 and 1.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) share: Option<f64>,
}

/// What is asked of callers.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Policy {
    /// Whether this policy decides.
    pub(crate) mode: Mode,
    /// The ways in which a caller may prove who it is.
    pub(crate) authenticate: Vec<Method>,
    /// How callers are counted.
    pub(crate) limit: Option<Limit>,
    /// What a page may load.
    pub(crate) level: Level,
    /// One header or several.
    pub(crate) headers: OneOrMany,
    /// Numbers of workers, or `auto`.
    pub(crate) workers: Workers,
}

/// How strict to be.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Level {
    /// Nothing is refused.
    #[default]
    Low,
    /// Everything odd is refused.
    VeryHigh,
}

/// One way to prove who is calling.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Method {
    /// A signed token.
    Jwt {
        /// Who signs it.
        issuer: String,
        /// The shared key.
        #[serde(default)]
        key: Option<Secret>,
    },
    /// A key in a header.
    ApiKey {
        /// The key itself.
        key: Secret,
    },
    /// Nothing is asked.
    Anonymous,
}

/// How callers are counted.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Limit {
    /// Not at all.
    Unlimited,
    /// So many in a period.
    Rate {
        /// How many.
        count: u32,
        /// In how long.
        per: Period,
    },
    /// So many at once.
    Parallel(u32),
}

/// One or several.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

/// A number of workers.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Workers {
    /// As many as this.
    Fixed(u16),
    /// As many as there are cores.
    Word(WorkersWord),
}

impl Default for Workers {
    fn default() -> Self {
        Self::Word(WorkersWord::Auto)
    }
}

/// The word for as many workers as there are cores.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WorkersWord {
    /// As many as there are cores.
    Auto,
}
