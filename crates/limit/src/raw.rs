//! What the configuration says about limits.

use std::collections::BTreeMap;

use ipnet::IpNet;
use portcullis_core::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Hours, KeyPart, Rate};

/// A limit on how often requests may come. Routes and services refer to it by its name.
///
/// By default each key has a bucket of `burst` tokens, full at first, that refills at `rate`. A request takes from every
/// limit that applies to it, or, if one of them has no room left, from no limit at all: then it is refused with status 429.
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
    /// How requests are counted.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// How many requests may come at once; only with buckets. Default: the count of the rate.
    #[serde(default)]
    pub burst: Option<u32>,
    /// How long a request waits for its turn at most, up to 60s; only with `leaky_bucket`, and then without `burst`. Requests
    /// go on one by one at the pace of `rate`; those that would wait longer are refused.
    #[serde(default)]
    pub queue: Option<Period>,
    /// How much a request takes. Default: 1.
    #[serde(default)]
    pub cost: Option<u32>,
    /// `shadow` counts and records, and never refuses.
    #[serde(default)]
    pub mode: LimitMode,
    /// Count in the Redis under `store.redis`, together with all gateways that use it. Without it this process counts alone.
    #[serde(default)]
    pub shared: Option<RawShared>,
    /// Who is not counted. Default: nobody.
    #[serde(default)]
    pub exempt: RawExempt,
    /// Others for whom, or times at which, another rate holds; the first that fits. They are counted apart.
    #[serde(default)]
    pub overrides: Vec<RawOverride>,
    /// When the request is counted. Default: `after_authorization`.
    #[serde(default)]
    pub when: When,
    /// How many leading bits of an IPv6 address count as one client, 1 to 128; only for keys with
    /// `address` or `principal`. Default: 64, the least that one subscriber has (RFC 6177).
    #[serde(default)]
    pub ipv6_prefix: Option<u8>,
}

/// Another rate for some. All conditions that are written must fit; of the values of one condition, one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawOverride {
    /// Claims of the token and their values, such as `{ tier: [gold, platinum] }`. A claim that is a list fits with one of its items.
    #[serde(default)]
    pub claims: BTreeMap<String, Vec<String>>,
    /// Roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Principals by their id.
    #[serde(default)]
    pub principals: Vec<String>,
    /// Routes by their name.
    #[serde(default)]
    pub routes: Vec<String>,
    /// Networks of clients.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub addresses: Vec<IpNet>,
    /// A time of each day in UTC, such as `08:00-18:00`; over midnight where the second is earlier.
    #[serde(default)]
    pub hours: Option<Hours>,
    /// The rate that holds instead.
    pub rate: Rate,
    /// The burst that goes with it. Default: the count of the rate.
    #[serde(default)]
    pub burst: Option<u32>,
}

/// Who is not counted by a limit, and so never refused by it: whoever fits one of the lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawExempt {
    /// Networks of clients, such as `10.0.0.0/8`.
    #[schemars(with = "Vec<String>")]
    pub addresses: Vec<IpNet>,
    /// Principals by their id: the subject of a token, the id of a key, the name in a certificate.
    pub principals: Vec<String>,
    /// Principals by a role.
    pub roles: Vec<String>,
}

/// How requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// A bucket of tokens that come back one by one at the pace of the rate. Exact to the nanosecond.
    #[default]
    TokenBucket,
    /// A bucket that every request fills and that leaks at the pace of the rate: a token bucket seen from the other side. With
    /// `queue` requests wait in it for their turn.
    LeakyBucket,
    /// The count of the rate in each period of the clock. Around the end of a period twice as many may come.
    FixedWindow,
    /// The count of the rate in the period before each request, estimated from two fixed windows: the earlier counts by as
    /// much of it as is still covered. The estimate errs by no more than what of the earlier window came unevenly.
    SlidingWindow,
}

/// What going over a limit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitMode {
    /// The request is refused.
    #[default]
    Enforce,
    /// It is recorded that the request would have been refused.
    Shadow,
}

/// How a limit is counted together with other gateways.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawShared {
    /// How the store is asked.
    pub mode: SharedMode,
    /// How many tokens are taken ahead, 1 to 500000; only with `leased`. Default: a tenth of the burst.
    pub batch: Option<u32>,
    /// What holds while the store is lost.
    pub outage: OutageMode,
    /// How many gateways share the limit, 1 to 100; only with `outage: local`. Each counts its part of the limit while the store is
    /// lost. Default 1: each allows all of it.
    pub nodes: Option<u32>,
}

/// How the store is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SharedMode {
    /// For each request: all gateways together never allow more than the limit.
    #[default]
    Exact,
    /// For a batch of tokens ahead, which are used up within a second: most requests ask nobody. In any period all gateways
    /// together allow at most the limit and one batch each; tokens that a gateway does not use are lost to the others.
    Leased,
}

/// What holds while the store is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutageMode {
    /// Requests are refused with status 503.
    #[default]
    Deny,
    /// This gateway's part of the limit is counted here. The store is told once it is back.
    Local,
}

/// When a request is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Before anyone knows who asks: protects the checking of credentials too. Not for keys with
    /// `principal`, `api_key` or a claim.
    BeforeAuthentication,
    /// Only requests that are permitted.
    #[default]
    AfterAuthorization,
}

/// How much the counters of the limits may hold in this process.
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
