//! What the configuration says about quotas.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::calendar::Every;
use crate::KeyPart;
use crate::raw::{LimitMode, RawExempt};

/// How many requests a caller has in a period of the calendar, how many bytes, or how much of what requests cost. Routes and services refer to it by its name.
///
/// It is counted in the database under `store.database`, before the request is forwarded: what was counted is not lost with the
/// gateway, and all gateways with that database count together. A request takes from every quota that applies to it, or, if
/// one of them is used up, from none: then it is refused with status 429 until the period ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawQuota {
    /// The name: 1 to 64 letters, digits, `-`, `_` and `.`. Clients see it in the `RateLimit` fields. What was used stands in the
    /// database under this name.
    pub name: String,
    /// What is counted apart, as with `limits[].key`.
    pub key: Vec<KeyPart>,
    /// How many requests, or other units, each key has in a period, up to 999999999999999.
    pub limit: u64,
    /// What is counted.
    #[serde(default)]
    pub unit: QuotaUnit,
    /// What requests cost; only with `unit: cost`.
    #[serde(default)]
    pub cost: Option<RawCost>,
    /// How long a period is: `day`, `week`, `month`, `year`, or some of them, such as `2 weeks` or `6 hours`.
    pub period: Every,
    /// The time zone by whose clock periods begin: a name of the IANA database, such as `Europe/Berlin`. Default: `UTC`.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// When one of the periods begins, in that time zone: a day such as `2026-01-31`, or with a time, `2026-01-31T06:00`; the others
    /// follow from it. Months from the 29th, 30th or 31st begin on the last day where there is no such day. Default: days at
    /// midnight, weeks on Monday, months on the first, years in January.
    #[serde(default)]
    pub anchor: Option<String>,
    /// How many units beyond `limit` still pass. Default: 0.
    #[serde(default)]
    pub grace: u64,
    /// How many units that were left over are added to the next period, at most. They are used first, and what is left of
    /// them then ends. A period without any request leaves nothing over. Default: 0.
    #[serde(default)]
    pub carry_over: u64,
    /// Thresholds in percent of what there is, such as `[50, 80, 100]`. The first request of a holder in a period to reach one is
    /// an event, on the record of every gateway and in the metrics; answers then have a `Quota-Warning` field. Default: none.
    #[serde(default)]
    pub warn_at: Vec<u16>,
    /// `shadow` makes it a soft quota: it counts and records, and never refuses.
    #[serde(default)]
    pub mode: LimitMode,
    /// What holds while the database is not available.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Who is not counted. Default: nobody.
    #[serde(default)]
    pub exempt: RawExempt,
    /// How many leading bits of an IPv6 address count as one client, 1 to 128; only for keys with
    /// `address` or `principal`. Default: 64.
    #[serde(default)]
    pub ipv6_prefix: Option<u8>,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuotaUnit {
    /// Requests.
    #[default]
    Requests,
    /// The bytes of the bodies of requests and answers, as the record has them. Requests pass while something is left; what they take
    /// is known, and counted, when they end.
    Bytes,
    /// What requests cost.
    Cost,
}

/// What a request costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawCost {
    /// What is taken before the request is forwarded. Default: 1.
    pub request: u64,
    /// The field of the service's answer that says what the request cost, as a whole number. The difference is added or given
    /// back when the request ends; clients do not get the field. Default: none.
    pub header: Option<String>,
}

impl Default for RawCost {
    fn default() -> Self {
        Self { request: 1, header: None }
    }
}

/// What holds while the database is not available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Requests are refused with status 503.
    #[default]
    Deny,
    /// Requests pass, whatever is used. They are counted when the database is back; those that were not counted yet when the
    /// gateway ends are not counted at all.
    Allow,
}
