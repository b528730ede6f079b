//! The whole configuration as it is written. Each part's own type stands with the part.

use portcullis_audit::RawAudit;
use portcullis_authn::internal_token::RawInternalTokens;
use portcullis_authn::{RawAuthenticate, RawAuthentication, RawOperator};
use portcullis_authz::{RawAuthorization, RawAuthorize};
use portcullis_core::{Mode, Period, TargetRules};
use portcullis_harden::RawResponse;
use portcullis_limit::fields::RawLimitFields;
use portcullis_limit::{RawConcurrency, RawLimit, RawLimitStore, RawQuota, RawQuotaWebhook};
use portcullis_pipeline::settings::{RawClientAddress, RawForward, RawListener, RawProtocol, RawUpstream};
use portcullis_store::RawStore;
use portcullis_waf::stage::{RawRuleset, RawScan};
use schemars::JsonSchema;
use serde::Deserialize;

/// The configuration of a gateway: where it listens, which services stand behind it, and what requests to
/// them must bring.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// The version of this format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// Where clients are served.
    pub listeners: Vec<RawListener>,
    /// Where operators are served.
    #[serde(default)]
    pub admin: RawAdmin,
    /// How many threads serve. Default: one per processor core.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1024))]
    pub workers: Option<u16>,
    /// How long requests under way may take once the gateway is told to stop.
    #[serde(default = "default_drain_timeout")]
    pub drain_timeout: Period,
    /// Where state is kept that outlives the gateway.
    #[serde(default)]
    pub store: RawStore,
    /// What clients may send, and how slowly.
    #[serde(default)]
    pub protocol: RawProtocol,
    /// Spellings of the request target that services read differently.
    #[serde(default)]
    pub target: TargetRules,
    /// Who is believed about the client's address.
    #[serde(default)]
    pub client_address: RawClientAddress,
    /// The ways in which callers prove who they are; routes name those they take.
    #[serde(default)]
    pub authentication: RawAuthentication,
    /// The tokens that services get of the gateway. Default none.
    #[serde(default)]
    pub internal_tokens: Option<RawInternalTokens>,
    /// The policies that say who may do what.
    #[serde(default)]
    pub authorization: RawAuthorization,
    /// The limits; routes name those that count them.
    #[serde(default)]
    pub limits: Vec<RawLimit>,
    /// How many requests may be under way at once; routes name those that hold for them.
    #[serde(default)]
    pub concurrency: Vec<RawConcurrency>,
    /// How many requests callers have in a period of the calendar; routes name those that hold for them.
    #[serde(default)]
    pub quotas: Vec<RawQuota>,
    /// Who is told when a threshold of a quota is reached. Default: nobody.
    #[serde(default)]
    pub quota_webhook: Option<RawQuotaWebhook>,
    /// How much the counters of the limits may hold in this process.
    #[serde(default)]
    pub limit_store: RawLimitStore,
    /// In which fields clients are told how their limits stand.
    #[serde(default)]
    pub limit_fields: RawLimitFields,
    /// Rules of the scanner; routes name the set they use.
    #[serde(default)]
    pub rulesets: Vec<RawRuleset>,
    /// The record of every decision.
    #[serde(default)]
    pub audit: RawAudit,
    /// What holds for every route, unless its service or the route itself says otherwise. Maps are merged key by
    /// key; lists and single values replace.
    #[serde(default)]
    pub policy: RawPolicy,
    /// The services behind the gateway.
    pub services: Vec<RawService>,
}

/// Where operators are served: health, readiness, metrics, the admin API.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawAdmin {
    /// A loopback address with a port, or `off`. Others are refused: most of what is served here needs no credential.
    pub address: String,
    /// Who may use the admin API. Without any, nobody may.
    pub operators: Vec<RawOperator>,
}

impl Default for RawAdmin {
    fn default() -> Self {
        Self { address: "127.0.0.1:9901".to_owned(), operators: Vec::new() }
    }
}

/// A service behind the gateway.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawService {
    /// Its name: in policies, metrics and the record.
    pub name: String,
    /// Its targets.
    pub upstream: RawUpstream,
    /// What holds for this service's routes, over what holds for all.
    #[serde(default)]
    pub policy: RawPolicy,
    /// What of it can be reached.
    pub routes: Vec<RawRoute>,
}

/// A part of a service that can be reached.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRoute {
    /// Its name, unique in the configuration: in policies, metrics and the record.
    pub name: String,
    /// Host names, such as `api.example.com`, or `*.example.com` for all names below it. Empty: any.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The path: literal segments, `{name}` for any one segment, `{*name}` at the end for all that follows.
    pub path: String,
    /// Methods. Empty: any. GET stands for HEAD too.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Header fields that must be there with exactly this value.
    #[serde(default)]
    pub headers: std::collections::BTreeMap<String, String>,
    /// What holds for this route, over what holds for its service.
    #[serde(default)]
    pub policy: RawPolicy,
}

/// What requests must bring and what is done with them.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawPolicy {
    /// Who may call.
    pub authenticate: RawAuthenticate,
    /// Whether policies are asked.
    pub authorize: RawAuthorize,
    /// Which limits count.
    pub limit: RawRouteLimits,
    /// Which quotas its requests use.
    pub quota: RawRouteQuotas,
    /// How requests and answers are scanned.
    pub scan: RawScan,
    /// How requests reach the service.
    pub forward: RawForward,
    /// What is done to answers.
    pub response: RawResponse,
}

/// Which limits count a route's requests.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawRouteLimits {
    /// `enforce` refuses requests over a limit, `shadow` only records that it would, `off` counts nothing.
    pub mode: Mode,
    /// Names of limits. All of them are taken for a request, or none.
    pub apply: Vec<String>,
    /// Names of limits of `concurrency`: how many requests may be under way at once.
    pub concurrency: Vec<String>,
}

/// Which quotas a route's requests use.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawRouteQuotas {
    /// `enforce` refuses requests when a quota is used up, `shadow` counts them and only records that it would, `off` counts
    /// nothing.
    pub mode: Mode,
    /// Names of quotas. A request takes from all of them, or from none.
    pub apply: Vec<String>,
}

const fn default_drain_timeout() -> Period {
    Period::secs(30)
}
