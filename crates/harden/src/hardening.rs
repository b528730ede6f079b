//! The whole of one route's response hardening: what is configured, and what runs per answer.

use std::sync::Arc;

use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use portcullis_core::{KeyPath, Mode, NameSieve, Problems};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::cache::CacheRule;
use crate::cookies::CookieRules;
use crate::cors::Cors;
use crate::security_headers::SecurityHeaders;
use crate::{Preflight, RawCache, RawCookies, RawCors, RawRedaction, RawSecurityHeaders, Redaction};

/// How answers are hardened before they go to the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawResponse {
    /// `enforce` or `off`. `off` passes the service's answers on as they are: no headers, no CORS, no
    /// redaction. There is no `shadow`, because hardening refuses nothing. Default: `enforce`.
    pub mode: Mode,
    /// Header fields that tell browsers to be careful.
    pub security_headers: RawSecurityHeaders,
    /// Header fields of the service that are removed, because they tell what it is made of. This list
    /// replaces the default one; use `remove_more` to add to it. Fields that the gateway itself sets are
    /// set after this.
    pub remove: Vec<String>,
    /// Header fields to remove besides those in `remove`. Default: none.
    pub remove_more: Vec<String>,
    /// What is added to cookies that the service sets.
    pub cookies: RawCookies,
    /// Which other origins browsers may call this API from.
    pub cors: RawCors,
    /// What caches may keep.
    pub cache: RawCache,
    /// What is blotted out of response bodies.
    pub redact: RawRedaction,
}

impl Default for RawResponse {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            security_headers: RawSecurityHeaders::default(),
            remove: REMOVED.map(str::to_owned).to_vec(),
            remove_more: Vec::new(),
            cookies: RawCookies::default(),
            cors: RawCors::default(),
            cache: RawCache::default(),
            redact: RawRedaction::default(),
        }
    }
}

/// Fields that name products and versions, and `Via`, which names hosts behind the gateway (RFC 9110
/// section 7.6.3). `X-XSS-Protection` is here because its filter made holes of its own in the browsers
/// that had it.
const REMOVED: [&str; 10] = [
    "Server",
    "X-Powered-By",
    "X-AspNet-Version",
    "X-AspNetMvc-Version",
    "X-Generator",
    "X-Runtime",
    "X-Envoy-Upstream-Service-Time",
    "X-SourceMap",
    "Via",
    "X-XSS-Protection",
];

/// What must be known of an exchange to harden its answer.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'r> {
    /// Whether the client's connection is encrypted.
    pub secure: bool,
    /// Whether the request was made by someone known, that is, not by the anonymous principal.
    pub authenticated: bool,
    /// The request's `Origin`, if it had exactly one.
    pub origin: Option<&'r HeaderValue>,
    /// The answer's status.
    pub status: StatusCode,
}

/// The hardening of one route's answers, ready to run.
#[derive(Debug, Clone)]
pub struct Hardening {
    rules: Option<Rules>,
}

#[derive(Debug, Clone)]
struct Rules {
    remove: Removal,
    security_headers: SecurityHeaders,
    cookies: CookieRules,
    cors: Option<Cors>,
    authenticated_answers: CacheRule,
    redaction: Option<Arc<Redaction>>,
}

impl Hardening {
    /// Compiles what the configuration says at `path`, recording every fault.
    #[must_use]
    pub fn compile(raw: &RawResponse, path: &KeyPath, problems: &mut Problems) -> Self {
        if raw.mode == Mode::Shadow {
            problems
                .error(&path.key("mode"), "response hardening cannot run in `shadow`: it refuses nothing")
                .suggest("write `enforce` or `off`");
        }
        let mut remove = compile_names(&raw.remove, &path.key("remove"), problems);
        remove.extend(compile_names(&raw.remove_more, &path.key("remove_more"), problems));
        let rules = Rules {
            remove: Removal::of(remove),
            security_headers: SecurityHeaders::compile(
                &raw.security_headers,
                &path.key("security_headers"),
                problems,
            ),
            cookies: CookieRules::compile(&raw.cookies, &path.key("cookies"), problems),
            cors: Cors::compile(&raw.cors, &path.key("cors"), problems),
            authenticated_answers: raw.cache.authenticated,
            redaction: Redaction::compile(&raw.redact, &path.key("redact"), problems).map(Arc::new),
        };
        Self { rules: (raw.mode != Mode::Off).then_some(rules) }
    }

    /// Hardens the head of an answer, the service's or the gateway's own.
    pub fn apply(&self, exchange: &Exchange<'_>, headers: &mut HeaderMap) {
        let Some(rules) = &self.rules else { return };
        rules.remove.apply(headers);
        rules.cookies.apply(exchange.secure, headers);
        // After 101 the connection speaks another protocol: there is no content to protect.
        if exchange.status == StatusCode::SWITCHING_PROTOCOLS {
            return;
        }
        rules.security_headers.apply(exchange.secure, headers);
        if let Some(cors) = &rules.cors {
            cors.apply(exchange.origin, headers);
        }
        if exchange.authenticated {
            rules.authenticated_answers.apply(headers);
        }
    }

    /// The answer to a CORS preflight, if this request is one and the gateway answers them on this
    /// route. It is complete: [`Self::apply`] must not be called on it.
    #[must_use]
    pub fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Preflight> {
        self.rules.as_ref()?.cors.as_ref()?.preflight(method, headers)
    }

    /// What is blotted out of bodies, if anything is.
    #[must_use]
    pub fn redaction(&self) -> Option<&Arc<Redaction>> {
        self.rules.as_ref()?.redaction.as_ref()
    }
}

/// Names of fields to take out. Most answers have none of them, which one walk over their names shows.
#[derive(Debug, Clone)]
struct Removal {
    sieve: NameSieve,
    names: Vec<HeaderName>,
}

impl Removal {
    fn of(names: Vec<HeaderName>) -> Self {
        Self { sieve: NameSieve::new(names.iter().map(HeaderName::as_str)), names }
    }

    fn apply(&self, headers: &mut HeaderMap) {
        let removed = |name: &&HeaderName| self.sieve.passes(name) && self.names.contains(name);
        let found: SmallVec<[HeaderName; 4]> = headers.keys().filter(removed).cloned().collect();
        for name in found {
            headers.remove(name);
        }
    }
}

/// Without these an answer cannot be read, or is read wrongly.
const NEEDED: [HeaderName; 7] =
    [CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRAILER, TRANSFER_ENCODING, UPGRADE];

fn compile_names(raw: &[String], path: &KeyPath, problems: &mut Problems) -> Vec<HeaderName> {
    let mut names = Vec::with_capacity(raw.len());
    for (index, text) in raw.iter().enumerate() {
        match HeaderName::from_bytes(text.as_bytes()) {
            Ok(name) if NEEDED.contains(&name) => {
                problems.error(
                    &path.index(index),
                    format!("`{text}` cannot be removed: without it clients misread the answer"),
                );
            }
            Ok(name) => names.push(name),
            Err(_) => {
                problems
                    .error(&path.index(index), format!("`{text}` is not a header field name"))
                    .suggest("write a name such as `X-Powered-By`");
            }
        }
    }
    names
}

#[cfg(test)]
mod tests;
