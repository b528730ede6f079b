//! Which header fields do not reach a service.

use std::collections::{HashMap, HashSet};

use http::header::{CONNECTION, EXPECT, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use portcullis_core::{NameSieve, Reason};
use smallvec::SmallVec;

/// What is done with a header field on its way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldRule {
    /// Concerns this connection only (RFC 9110 section 7.6.1).
    HopByHop,
    /// The gateway alone says this to the service.
    Owned,
    /// Read and removed here.
    Expect,
    /// Another spelling of what a policy, a route or a method of authentication judges by.
    Alias,
}

const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Fields by which a service may believe the gateway: never the client's to set. With [`FORWARDED_FAMILY`], they say who
/// the client is and what it asked for; three have a service do another method than the one that was judged, and
/// the last two tell it of a client's certificate (RFC 9440).
const OWNED: [&str; 14] = [
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "x-original-url",
    "x-rewrite-url",
    "x-request-id",
    "x-http-method-override",
    "x-method-override",
    "x-http-method",
    "client-cert",
    "client-cert-chain",
];

/// What all names begin with that proxies use to tell services about the client: there are too many to list.
const FORWARDED_FAMILY: &str = "x-forwarded-";

/// What the gateway itself may put into a request, or what makes a request what it is: no name for anything else.
const NEVER_IDENTITY: [&str; 16] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "content-range",
    "expect",
    "range",
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
    "http2-settings",
    "client-cert",
    "client-cert-chain",
];

/// Whether a header of this name may tell the service who the caller is: it neither makes a request what it is (its
/// host, its framing, the form of its body) nor is the gateway's for something else.
#[must_use]
pub fn may_carry_identity(name: &HeaderName) -> bool {
    let name = folded(name.as_str());
    !NEVER_IDENTITY.contains(&name.as_str()) && !HOP_BY_HOP.contains(&name.as_str())
}

/// Fields that `Connection` may not name: making them vanish would change what the request means
/// (RFC 9110 section 7.6.1 forbids it to senders).
pub(crate) const NEVER_HOP_BY_HOP: [&str; 10] = [
    "host",
    "content-length",
    "transfer-encoding",
    "content-type",
    "content-encoding",
    "authorization",
    "cookie",
    "origin",
    "cache-control",
    "forwarded",
];

/// Which header fields do not pass, found in one walk over the names.
#[derive(Debug)]
pub struct FieldRules {
    sieve: NameSieve,
    rules: HashMap<Box<str>, FieldRule>,
    /// What requests are judged by, as the configuration spells it.
    judged: HashSet<Box<str>>,
    /// Whether someone asks what was removed.
    keeps_removed: bool,
}

/// Under every spelling. Of nearly all names the first letter tells.
fn is_of_forwarded_family(name: &str) -> bool {
    let letters = name.bytes().map(|byte| if byte == b'_' { b'-' } else { byte });
    name.len() > FORWARDED_FAMILY.len() && letters.zip(FORWARDED_FAMILY.bytes()).all(|(a, b)| a == b)
}

/// The one spelling of a name and its aliases.
fn folded(name: &str) -> String {
    name.replace('_', "-")
}

/// What the removed fields said about this connection.
#[derive(Debug, Default)]
pub(crate) struct HopByHop {
    pub(crate) upgrade: Option<HeaderValue>,
    pub(crate) takes_trailers: bool,
    pub(crate) removed: Vec<(HeaderName, HeaderValue)>,
}

impl FieldRules {
    /// The rules, with further names: those that the configuration gives to the gateway, and those that it judges
    /// requests by. Of the latter other spellings, `_` for `-`, are removed: the service might read what nobody judged.
    #[must_use]
    pub fn new<'n>(
        owned_by_configuration: impl IntoIterator<Item = &'n HeaderName>,
        judged: impl IntoIterator<Item = &'n HeaderName>,
    ) -> Self {
        let mut rules: HashMap<Box<str>, FieldRule> = HashMap::new();
        // A name of one word has no other spelling.
        let judged = judged.into_iter().map(HeaderName::as_str).filter(|name| name.contains(['-', '_']));
        let judged: HashSet<Box<str>> = judged.map(Into::into).collect();
        rules.extend(judged.iter().map(|name| (folded(name).into(), FieldRule::Alias)));
        rules.extend(HOP_BY_HOP.map(|name| (name.into(), FieldRule::HopByHop)));
        rules.extend(OWNED.map(|name| (name.into(), FieldRule::Owned)));
        rules.insert("expect".into(), FieldRule::Expect);
        rules.extend(
            owned_by_configuration.into_iter().map(|name| (folded(name.as_str()).into(), FieldRule::Owned)),
        );
        let sieve = NameSieve::new(rules.keys().map(AsRef::as_ref));
        Self { sieve, rules, judged, keeps_removed: false }
    }

    /// Has the removed fields kept beside the others, for the scanner, which sees requests as they came.
    #[must_use]
    pub fn keeping_removed(self, keeps_removed: bool) -> Self {
        Self { keeps_removed, ..self }
    }

    /// Whether a field of this name must not reach a service. Services that read their headers from an
    /// environment (CGI, WSGI) take `_` for `-`, so both spellings are one name.
    #[must_use]
    pub fn removes(&self, name: &HeaderName) -> bool {
        self.rule(name).is_some()
    }

    fn rule(&self, name: &HeaderName) -> Option<FieldRule> {
        if is_of_forwarded_family(name.as_str()) {
            return Some(FieldRule::Owned);
        }
        if !self.sieve.passes(name) {
            return None;
        }
        let text = name.as_str();
        let rule =
            if text.contains('_') { self.rules.get(folded(text).as_str()) } else { self.rules.get(text) };
        rule.copied().filter(|rule| *rule != FieldRule::Alias || !self.judged.contains(text))
    }

    /// Removes what does not pass.
    pub(crate) fn clean(&self, headers: &mut HeaderMap, version: Version) -> Result<HopByHop, Reason> {
        let mut hop = HopByHop::default();
        let mut removed: SmallVec<[HeaderName; 8]> = SmallVec::new();
        for name in headers.keys() {
            match self.rule(name) {
                None => {}
                Some(FieldRule::HopByHop) if name == CONNECTION => {
                    nominated(headers, &mut removed)?;
                    removed.push(CONNECTION);
                }
                Some(FieldRule::HopByHop | FieldRule::Owned | FieldRule::Alias) => removed.push(name.clone()),
                Some(FieldRule::Expect) => {
                    let is_continue =
                        |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
                    if name == EXPECT && !headers.get_all(EXPECT).iter().all(is_continue) {
                        return Err(Reason::ExpectationFailed);
                    }
                    removed.push(name.clone());
                }
            }
        }
        if removed.is_empty() {
            return Ok(hop);
        }
        hop.takes_trailers = has_token(headers, &http::header::TE, "trailers");
        if version == Version::HTTP_11 && has_token(headers, &CONNECTION, "upgrade") {
            hop.upgrade = headers.get(UPGRADE).cloned();
        }
        for name in removed {
            if self.keeps_removed {
                let values = headers.get_all(&name).iter();
                hop.removed.extend(values.map(|value| (name.clone(), value.clone())));
            }
            headers.remove(name);
        }
        Ok(hop)
    }
}

/// The fields that `Connection` declares to concern this connection only.
fn nominated(headers: &HeaderMap, removed: &mut SmallVec<[HeaderName; 8]>) -> Result<(), Reason> {
    for token in tokens(headers, &CONNECTION) {
        if token.eq_ignore_ascii_case("close")
            || token.eq_ignore_ascii_case("keep-alive")
            || token.eq_ignore_ascii_case("upgrade")
        {
            continue;
        }
        if NEVER_HOP_BY_HOP.iter().any(|name| token.eq_ignore_ascii_case(name)) {
            return Err(Reason::Smuggling);
        }
        removed.push(HeaderName::try_from(token).map_err(|_| Reason::MalformedRequest)?);
    }
    Ok(())
}

fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

fn tokens<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}
