//! Cross-origin resource sharing (Fetch, section "CORS protocol"), answered by the gateway.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use portcullis_core::{KeyPath, Period, Problems};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::origin::OriginPattern;

/// Which other origins browsers may call this API from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawCors {
    /// The origins that may: `https://app.example.com`, `https://*.example.com` (one label for the
    /// star), or `*` for all but `null`. When the list has an entry the gateway answers preflights and replaces
    /// whatever the service says about CORS; when it is empty CORS is left to the service.
    /// Default: none.
    pub origins: Vec<String>,
    /// Methods that may be used. Default: `GET`, `HEAD`, `POST`.
    pub methods: Vec<String>,
    /// Request header fields that may be sent, beyond those that browsers always allow.
    /// Default: `Authorization`, `Content-Type`.
    pub request_headers: Vec<String>,
    /// Response header fields that scripts may read, beyond those that browsers always show.
    /// Default: none.
    pub exposed_headers: Vec<String>,
    /// Whether browsers may send cookies and client certificates along. Not together with a `*`.
    /// Default: `false`.
    pub credentials: bool,
    /// How long browsers may remember a preflight's answer, in whole seconds. Default: `10m`.
    pub max_age: Period,
}

impl Default for RawCors {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            methods: ["GET", "HEAD", "POST"].map(str::to_owned).to_vec(),
            request_headers: ["Authorization", "Content-Type"].map(str::to_owned).to_vec(),
            exposed_headers: Vec::new(),
            credentials: false,
            max_age: Period::secs(600),
        }
    }
}

/// The gateway's answer to a preflight. It has no content.
#[derive(Debug, Clone)]
pub struct Preflight {
    /// 204.
    pub status: StatusCode,
    /// What is granted; nothing, if the origin is not allowed.
    pub headers: HeaderMap,
}

/// The CORS policy of a route for which the gateway answers.
#[derive(Debug, Clone)]
pub(crate) struct Cors {
    origins: Vec<OriginPattern>,
    credentials: bool,
    exposed: Option<HeaderValue>,
    /// What every granted preflight says besides origin and credentials.
    granted: Vec<(HeaderName, HeaderValue)>,
}

/// What services may say about CORS, and may not when the gateway does.
const OWNED: [HeaderName; 7] = [
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_MAX_AGE,
    HeaderName::from_static("access-control-allow-private-network"),
];

impl Cors {
    pub(crate) fn compile(raw: &RawCors, path: &KeyPath, problems: &mut Problems) -> Option<Self> {
        let origins = compile_origins(raw, &path.key("origins"), problems);
        let methods = compile_list(raw, &raw.methods, &path.key("methods"), problems, method_fault);
        let request_headers =
            compile_list(raw, &raw.request_headers, &path.key("request_headers"), problems, name_fault);
        let exposed =
            compile_list(raw, &raw.exposed_headers, &path.key("exposed_headers"), problems, name_fault);
        if raw.max_age > LONGEST_MAX_AGE {
            problems
                .warning(&path.key("max_age"), "no browser remembers a preflight for more than `1day`")
                .suggest("write `1day` or less");
        }
        let granted = [
            (ACCESS_CONTROL_ALLOW_METHODS, methods),
            (ACCESS_CONTROL_ALLOW_HEADERS, request_headers),
            (ACCESS_CONTROL_MAX_AGE, Some(HeaderValue::from(raw.max_age.0.as_secs()))),
        ];
        let granted = granted.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        (!raw.origins.is_empty()).then_some(Self { origins, credentials: raw.credentials, exposed, granted })
    }

    /// Puts this policy in the place of whatever the service said.
    pub(crate) fn apply(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        for name in &OWNED {
            headers.remove(name);
        }
        if self.grant_origin(origin, headers)
            && let Some(exposed) = &self.exposed
        {
            set(headers, ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
        }
    }

    /// The answer to a preflight. Browsers compare what they want with what is granted, so it is the
    /// same whatever method and fields they ask for.
    pub(crate) fn preflight(&self, method: &Method, request: &HeaderMap) -> Option<Preflight> {
        let is_preflight = method == Method::OPTIONS
            && request.contains_key(ORIGIN)
            && request.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight {
            return None;
        }
        let mut values = request.get_all(ORIGIN).iter();
        let origin = values.next().filter(|_| values.next().is_none());
        let mut headers = HeaderMap::with_capacity(8);
        if self.grant_origin(origin, &mut headers) {
            for (name, value) in &self.granted {
                set(&mut headers, name.clone(), value.clone());
            }
        }
        Some(Preflight { status: StatusCode::NO_CONTENT, headers })
    }

    /// Says who may read the answer; whether `origin` may.
    fn grant_origin(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) -> bool {
        // Also where nothing is granted: caches must not hand that answer to an origin that is.
        add_vary_origin(headers);
        let Some(origin) = origin else { return false };
        let Some(pattern) = self.origins.iter().find(|pattern| pattern.matches(origin)) else {
            return false;
        };
        let granted = match pattern {
            OriginPattern::Any => HeaderValue::from_static("*"),
            OriginPattern::Exact(listed) => listed.clone(),
            OriginPattern::OneLabel { .. } => origin.clone(),
        };
        set(headers, ACCESS_CONTROL_ALLOW_ORIGIN, granted);
        if self.credentials {
            set(headers, ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        true
    }
}

/// Firefox's cap, the longest of any browser's.
const LONGEST_MAX_AGE: Period = Period::secs(24 * 60 * 60);

fn set(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    // Fails only when the map holds its maximum of 32768 fields; no such head gets this far.
    let _full = headers.try_insert(name, value);
}

fn add_vary_origin(headers: &mut HeaderMap) {
    let names_origin = |member: &[u8]| {
        let member = member.trim_ascii();
        member == b"*" || member.eq_ignore_ascii_case(b"origin")
    };
    let listed = headers
        .get_all(VARY)
        .iter()
        .any(|value| value.as_bytes().split(|&byte| byte == b',').any(names_origin));
    if !listed {
        let _full = headers.try_append(VARY, HeaderValue::from_static("Origin"));
    }
}

fn compile_origins(raw: &RawCors, path: &KeyPath, problems: &mut Problems) -> Vec<OriginPattern> {
    let mut origins = Vec::with_capacity(raw.origins.len());
    for (index, text) in raw.origins.iter().enumerate() {
        let path = path.index(index);
        let pattern = match OriginPattern::parse(text) {
            Ok(pattern) => pattern,
            Err(fault) => {
                let problem = problems.error(&path, format!("`{text}` cannot be allowed: {}", fault.message));
                let right = fault.right.unwrap_or_else(|| "https://app.example.com".to_owned());
                problem.suggest(format!("write an origin such as `{right}`"));
                continue;
            }
        };
        if pattern == OriginPattern::Any && raw.credentials {
            problems
                .error(&path, "`*` with `credentials` would let every site act as its visitors")
                .suggest("list the origins, or write `credentials: false`");
        } else if pattern == OriginPattern::Any && raw.origins.len() > 1 {
            problems
                .error(&path, "`*` allows every origin, so the others mean nothing")
                .suggest("write either `*` alone or the origins");
        } else if raw.credentials && pattern.is_insecure() {
            problems
                .warning(&path, format!("whoever is on the way can act as visitors of `{text}`"))
                .suggest("use an origin with `https`");
        }
        origins.push(pattern);
    }
    origins
}

/// The entries as one header value, or `None` if there are none.
fn compile_list(
    raw: &RawCors,
    entries: &[String],
    path: &KeyPath,
    problems: &mut Problems,
    fault: fn(&str) -> Option<(String, &'static str)>,
) -> Option<HeaderValue> {
    for (index, entry) in entries.iter().enumerate() {
        let path = path.index(index);
        if entry == "*" && raw.credentials {
            problems
                .error(&path, "with `credentials` browsers take `*` for a name, not for all names")
                .suggest("list the names");
        } else if entry != "*"
            && let Some((message, right)) = fault(entry)
        {
            problems.error(&path, message).suggest(right);
        }
    }
    if entries.is_empty() { None } else { HeaderValue::from_str(&entries.join(", ")).ok() }
}

fn method_fault(text: &str) -> Option<(String, &'static str)> {
    if Method::from_bytes(text.as_bytes()).is_err() {
        return Some((format!("`{text}` is not a method"), "write a method such as `PUT`"));
    }
    if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Some((
            format!("`{text}` is not the method that is meant: methods are case-sensitive"),
            "write it in upper case",
        ));
    }
    let forbidden = matches!(text, "CONNECT" | "TRACE" | "TRACK");
    forbidden.then(|| (format!("browsers never send `{text}`"), "leave it out"))
}

fn name_fault(text: &str) -> Option<(String, &'static str)> {
    HeaderName::from_bytes(text.as_bytes())
        .is_err()
        .then(|| (format!("`{text}` is not a header field name"), "write a name such as `X-Request-Id`"))
}

#[cfg(test)]
mod tests;
