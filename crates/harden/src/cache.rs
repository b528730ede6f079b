//! What caches may keep of answers that were made for one caller.

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What caches may keep.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawCache {
    /// When answers to authenticated requests get `Cache-Control: no-store`: `if_absent` (the service
    /// sent no `Cache-Control`), `always` or `off`. Default: `if_absent`.
    pub authenticated: CacheRule,
}

/// When answers to authenticated requests get `Cache-Control: no-store`.
///
/// `Vary: Authorization` is not added. What has `no-store` is not kept at all; shared caches keep no
/// answer to a request with `Authorization` unless the service says so (RFC 9111 section 3.5); and a
/// service that does say so means it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheRule {
    /// When the service sent no `Cache-Control`.
    #[default]
    IfAbsent,
    /// In any case; what the service sent is replaced.
    Always,
    /// Never.
    Off,
}

/// Fields that content delivery networks put before `Cache-Control` (RFC 9213 section 2).
const TARGETED: [HeaderName; 2] =
    [HeaderName::from_static("cdn-cache-control"), HeaderName::from_static("surrogate-control")];

impl CacheRule {
    pub(crate) fn apply(self, headers: &mut HeaderMap) {
        match self {
            Self::Off => return,
            Self::IfAbsent if headers.contains_key(CACHE_CONTROL) => return,
            Self::IfAbsent => {}
            Self::Always => {
                for name in &TARGETED {
                    headers.remove(name);
                }
            }
        }
        // Fails only when the map holds its maximum of 32768 fields; no such head gets this far.
        let _full = headers.try_insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}
