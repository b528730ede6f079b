//! What the configuration says about limits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Rate;

/// A limit on how often requests may come. Routes and services refer to it by its name.
///
/// Each key has a bucket of `burst` tokens, full at first, that refills at `rate`. A request takes one
/// token from every limit that applies to it, or, if one of them has none left, from no limit at all:
/// then it is refused with status 429.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawLimit {
    /// The name: 1 to 64 letters, digits, `-`, `_` and `.`. Clients see it in the `RateLimit` fields.
    pub name: String,
    /// What is counted apart. Several parts together make one key: `[principal, route]` gives every
    /// principal a bucket of its own on every route.
    pub key: Vec<KeyPart>,
    /// How many requests per period: a count, `/`, and a period in `s`, `min`, `h` or `d`, such as
    /// `100/s`, `6000/min` or `50/10s`.
    pub rate: Rate,
    /// How many requests may come at once. Default: the count of the rate.
    #[serde(default)]
    pub burst: Option<u32>,
    /// When the request is counted. Default: `after_authorization`.
    #[serde(default)]
    pub when: When,
    /// How many leading bits of an IPv6 address count as one client, 1 to 128; only for keys with
    /// `address` or `principal`. Default: 64, the least that one subscriber has (RFC 6177).
    #[serde(default)]
    pub ipv6_prefix: Option<u8>,
}

/// One part of a limit's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyPart {
    /// Who asks: issuer and subject of a token, or the id of an API key. Anonymous requests are counted
    /// per client address.
    Principal,
    /// The API key. The limit does not apply to requests without one.
    ApiKey,
    /// The client's address; IPv6 addresses are grouped by `ipv6_prefix`.
    Address,
    /// The route, by name.
    Route,
    /// The service, by name.
    Service,
    /// One bucket for everything. Stands alone.
    Global,
}

impl KeyPart {
    /// The name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::ApiKey => "api_key",
            Self::Address => "address",
            Self::Route => "route",
            Self::Service => "service",
            Self::Global => "global",
        }
    }
}

/// When a request is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Before anyone knows who asks: protects the checking of credentials too. Not for keys with
    /// `principal` or `api_key`.
    BeforeAuthentication,
    /// Only requests that are permitted.
    #[default]
    AfterAuthorization,
}

/// Where the counters of the limits live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawLimitStore {
    /// How many keys each limit tells apart at a time, 1 to 100000000: the memory for
    /// them, up to 48 bytes each, is taken as they come. When more keys than that are in use, new ones share what the least used have
    /// left: a limit may then refuse early, but never late. Default: 1000000.
    pub max_keys: u32,
}

impl Default for RawLimitStore {
    fn default() -> Self {
        Self { max_keys: 1_000_000 }
    }
}
