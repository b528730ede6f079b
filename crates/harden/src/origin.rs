//! Which origins may read answers: parsed once, compared exactly.
//!
//! Browsers send origins in one spelling: lower case, no default port, no path (RFC 6454 section 6.2).
//! So comparing bytes is both right and safe, and nothing of a request's `Origin` is ever parsed.

use http::HeaderValue;

/// An origin or a family of origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OriginPattern {
    /// Every origin but `null`, which is that of sandboxed and local pages.
    Any,
    /// This origin.
    Exact(HeaderValue),
    /// `https://*.example.com`: exactly one label where the star is.
    OneLabel {
        /// What comes before the label: `https://`.
        before: Box<[u8]>,
        /// What comes after it: `.example.com`, with a port if the pattern has one.
        after: Box<[u8]>,
    },
}

/// Why a text is not an origin, and what would be right if that is known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotAnOrigin {
    pub(crate) message: &'static str,
    pub(crate) right: Option<String>,
}

const fn wrong<T>(message: &'static str, right: Option<String>) -> Result<T, NotAnOrigin> {
    Err(NotAnOrigin { message, right })
}

impl OriginPattern {
    pub(crate) fn parse(text: &str) -> Result<Self, NotAnOrigin> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if text.eq_ignore_ascii_case("null") {
            return wrong("every sandboxed page and local file has the origin `null`", None);
        }
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return wrong("browsers send origins in lower case", Some(text.to_ascii_lowercase()));
        }
        let Some((scheme, authority)) = text.split_once("://") else {
            return wrong("it has no scheme", Some(format!("https://{text}")));
        };
        if !is_scheme(scheme) {
            return wrong("its scheme is not well-formed", None);
        }
        if let Some((authority, _)) = authority.split_once('/') {
            return wrong("an origin has no path", Some(format!("{scheme}://{authority}")));
        }
        let (host, port) = split_port(authority);
        if let Some(port) = port {
            check_port(scheme, host, port)?;
        }
        match host.strip_prefix("*.") {
            Some(domain) => Self::one_label(scheme, domain, port),
            None if is_host(host) => exact(text),
            None => wrong("its host is not well-formed", None),
        }
    }

    fn one_label(scheme: &str, domain: &str, port: Option<&str>) -> Result<Self, NotAnOrigin> {
        if !is_name(domain) || domain.split('.').count() < 2 {
            return wrong("after `*.` a domain of at least two labels must follow", None);
        }
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Ok(Self::OneLabel {
            before: format!("{scheme}://").into_bytes().into(),
            after: format!(".{domain}{port}").into_bytes().into(),
        })
    }

    /// Whether this pattern names `origin`.
    pub(crate) fn matches(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Any => origin != "null",
            Self::Exact(allowed) => allowed == origin,
            Self::OneLabel { before, after } => origin
                .as_bytes()
                .strip_prefix(&**before)
                .and_then(|rest| rest.strip_suffix(&**after))
                .is_some_and(is_label),
        }
    }

    /// Whether pages of these origins come to the browser unencrypted, so that anyone on the way can
    /// put scripts into them. The browser's own machine does not count.
    pub(crate) fn is_insecure(&self) -> bool {
        let insecure = |text: &[u8]| {
            let Some(rest) = text.strip_prefix(b"http://") else { return false };
            let local: [&[u8]; 3] = [b"localhost", b"127.0.0.1", b"[::1]"];
            !local.into_iter().any(|host| {
                rest.strip_prefix(host).is_some_and(|port| matches!(port.first(), None | Some(b':')))
            })
        };
        match self {
            Self::Any => false,
            Self::Exact(origin) => insecure(origin.as_bytes()),
            Self::OneLabel { before, .. } => insecure(before),
        }
    }
}

fn exact(text: &str) -> Result<OriginPattern, NotAnOrigin> {
    match HeaderValue::from_str(text) {
        Ok(origin) => Ok(OriginPattern::Exact(origin)),
        Err(_) => wrong("its host is not well-formed", None),
    }
}

fn check_port(scheme: &str, host: &str, port: &str) -> Result<(), NotAnOrigin> {
    if matches!((scheme, port), ("https", "443") | ("http", "80")) {
        return wrong("browsers leave the default port out", Some(format!("{scheme}://{host}")));
    }
    let well_formed = !port.starts_with('0')
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok();
    if well_formed { Ok(()) } else { wrong("its port is not a number from 1 to 65535", None) }
}

/// Host and port of an authority; colons in the brackets of an IPv6 address are not the port's.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.')
        })
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_name(host),
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(|label| is_label(label.as_bytes()))
}

fn is_label(label: &[u8]) -> bool {
    (1..=63).contains(&label.len())
        && label
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
}
