//! From what hyper parsed to the one view of the request that every stage judges and the service receives.

use std::net::SocketAddr;

use http::header::{CONTENT_LENGTH, COOKIE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use portcullis_core::{Peer, Reason, StageId, Target, TargetError, TargetRules};

use crate::fields::FieldRules;
use crate::settings::{ClientAddress, HeadLimits};

/// How requests are brought into their one form.
#[derive(Debug)]
pub struct Ingress {
    /// How large a head may be. Those of HTTP/1 are judged as they come, before they are parsed.
    pub limits: HeadLimits,
    /// What is refused in targets.
    pub target: TargetRules,
    /// Who is believed about the client's address.
    pub client_address: ClientAddress,
    /// Which header fields do not pass.
    pub fields: FieldRules,
}

/// A request in its one form. The header map was cleaned in place.
#[derive(Debug)]
pub struct Received {
    /// The normalised target.
    pub target: Target,
    /// The host.
    pub host: Host,
    /// The client.
    pub peer: Peer,
    /// The protocol that the client would like to change to (HTTP/1.1 only).
    pub upgrade: Option<HeaderValue>,
    /// Whether the client takes trailers (`TE: trailers`), which gRPC asks for.
    pub takes_trailers: bool,
    /// The fields that were removed, if [`FieldRules::keeping_removed`] asks for them.
    pub removed: Vec<(HeaderName, HeaderValue)>,
}

/// A request that has no one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreceivable {
    /// The head is at fault.
    Head(Reason),
    /// The target is at fault.
    Target(TargetError),
}

impl Unreceivable {
    /// The reason for the client and the record.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Head(reason) => reason,
            Self::Target(_) => Reason::AmbiguousTarget,
        }
    }

    /// The stage that refuses.
    #[must_use]
    pub const fn stage(self) -> StageId {
        match self {
            Self::Head(_) => StageId::Protocol,
            Self::Target(_) => StageId::Target,
        }
    }
}

impl std::fmt::Display for Unreceivable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Head(reason) => f.write_str(reason.detail()),
            Self::Target(error) => error.fmt(f),
        }
    }
}

impl Ingress {
    /// Cleans the headers of `parts` in place and reads what the stages need to know.
    ///
    /// # Errors
    /// When the request is ambiguous or asks for something that is never forwarded.
    pub fn receive(
        &self,
        parts: &mut http::request::Parts,
        socket: SocketAddr,
        secure: bool,
    ) -> Result<Received, Unreceivable> {
        if parts.version >= Version::HTTP_2 {
            self.limits.judge(parts).map_err(Unreceivable::Head)?;
            refuse_ambiguous_length(&parts.headers).map_err(Unreceivable::Head)?;
            join_cookies(&mut parts.headers);
        }
        if matches!(parts.method, Method::TRACE | Method::CONNECT) {
            return Err(Unreceivable::Head(Reason::MethodRefused));
        }
        let host = Host::read(parts).map_err(Unreceivable::Head)?;
        let path = parts.uri.path_and_query().ok_or(Unreceivable::Target(TargetError::NotAbsolute))?;
        let target = Target::normalise(path, &self.target).map_err(Unreceivable::Target)?;
        let peer = self.client_address.resolve(socket, secure, &parts.headers);
        let hop = self.fields.clean(&mut parts.headers, parts.version).map_err(Unreceivable::Head)?;
        Ok(Received {
            target,
            host,
            peer,
            upgrade: hop.upgrade,
            takes_trailers: hop.takes_trailers,
            removed: hop.removed,
        })
    }
}

/// What the wire guard refuses in HTTP/1, for HTTP/2, which comes past it: the service may speak HTTP/1.
fn refuse_ambiguous_length(headers: &HeaderMap) -> Result<(), Reason> {
    let is_repeated = headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some();
    let is_misspelt = ["content_length", "transfer_encoding"].iter().any(|name| headers.contains_key(*name));
    if is_repeated || is_misspelt { Err(Reason::Smuggling) } else { Ok(()) }
}

/// RFC 9113 section 8.2.3: cookies that came in several fields are joined before they are judged or passed on.
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(mut joined) = HeaderValue::from_bytes(&crumbs.join(b"; ".as_slice())) {
        joined.set_sensitive(true);
        headers.insert(COOKIE, joined);
    }
}

/// The host that a request is for, in lower case and without the final dot of an absolute name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    authority: HeaderValue,
    name_end: usize,
    is_the_field: bool,
}

impl Host {
    /// The name or address, without the port.
    #[must_use]
    pub fn name(&self) -> &str {
        self.authority.to_str().ok().and_then(|text| text.get(..self.name_end)).unwrap_or_default()
    }

    /// The port, if one is named.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        let text = self.authority.to_str().ok()?;
        text.get(self.name_end..)?.strip_prefix(':')?.parse().ok()
    }

    /// Name and port, as they are sent to the service.
    #[must_use]
    pub const fn authority(&self) -> &HeaderValue {
        &self.authority
    }

    /// Whether the request's `Host` field says exactly this.
    #[must_use]
    pub const fn is_the_field(&self) -> bool {
        self.is_the_field
    }

    /// From `Host`, or the authority of an absolute target or of HTTP/2. If both are there they must agree:
    /// RFC 9112 section 3.2.2 has the target win, and services that read the field would disagree with us.
    fn read(parts: &http::request::Parts) -> Result<Self, Reason> {
        let mut fields = parts.headers.get_all(HOST).iter();
        let field = fields.next();
        if fields.next().is_some() {
            return Err(Reason::BadHost);
        }
        let authority = parts.uri.authority().map(http::uri::Authority::as_str);
        match (field, authority) {
            (Some(field), None) => Self::parse(field.clone()),
            (Some(field), Some(authority)) if field.as_bytes().eq_ignore_ascii_case(authority.as_bytes()) => {
                Self::parse(field.clone())
            }
            (None, Some(authority)) => {
                let host =
                    HeaderValue::try_from(authority).map_err(|_| Reason::BadHost).and_then(Self::parse)?;
                Ok(Self { is_the_field: false, ..host })
            }
            _ => Err(Reason::BadHost),
        }
    }

    /// Reads `name`, `name:port`, `[v6]:port`.
    ///
    /// # Errors
    /// [`Reason::BadHost`] when it is none of these.
    pub fn parse(value: HeaderValue) -> Result<Self, Reason> {
        let bytes = value.as_bytes();
        let name_end = if bytes.first() == Some(&b'[') {
            bytes.iter().position(|&byte| byte == b']').map(|at| at + 1).ok_or(Reason::BadHost)?
        } else {
            bytes.iter().position(|&byte| byte == b':').unwrap_or(bytes.len())
        };
        let (name, port) = bytes.split_at_checked(name_end).ok_or(Reason::BadHost)?;
        let port_is_fine = match port {
            [] => true,
            [b':', digits @ ..] => {
                digits.iter().all(u8::is_ascii_digit)
                    && digits.len() <= 5
                    && std::str::from_utf8(digits).is_ok_and(|digits| digits.parse::<u16>().is_ok())
            }
            _ => false,
        };
        // A final dot says that the name is absolute (RFC 1034 section 3.1), which every host of a request is. It is taken
        // off once, here: routes, policies and the service see one name.
        let absolute = name.strip_suffix(b".");
        let name = absolute.unwrap_or(name);
        if name.is_empty() || name.ends_with(b".") || !port_is_fine || !is_host_name(name) {
            return Err(Reason::BadHost);
        }
        if absolute.is_some() {
            let authority = HeaderValue::from_bytes(&[name, port].concat().to_ascii_lowercase());
            let authority = authority.map_err(|_| Reason::BadHost)?;
            return Ok(Self { authority, name_end: name.len(), is_the_field: false });
        }
        if bytes.iter().any(u8::is_ascii_uppercase) {
            let lower = HeaderValue::from_bytes(&bytes.to_ascii_lowercase()).map_err(|_| Reason::BadHost)?;
            return Ok(Self { authority: lower, name_end, is_the_field: false });
        }
        Ok(Self { authority: value, name_end, is_the_field: true })
    }
}

fn is_host_name(name: &[u8]) -> bool {
    match name {
        [b'[', inner @ .., b']'] => {
            inner.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
        }
        _ => name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;
    use crate::fields::NEVER_HOP_BY_HOP;

    fn ingress() -> Ingress {
        let configured = [HeaderName::from_static("x-auth-subject")];
        let judged = ["x-tenant", "x_version"].map(HeaderName::from_static);
        Ingress {
            limits: HeadLimits::default(),
            target: TargetRules::default(),
            client_address: ClientAddress::default(),
            fields: FieldRules::new(configured.iter(), judged.iter()),
        }
    }

    fn receive(request: http::request::Builder) -> (Result<Received, Unreceivable>, HeaderMap) {
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let result = ingress().receive(&mut parts, SocketAddr::from(([192, 0, 2, 1], 1)), false);
        (result, parts.headers)
    }

    fn request() -> http::request::Builder {
        http::Request::builder().uri("/a").header("host", "API.example.com:8080")
    }

    #[test]
    fn headers_that_the_gateway_owns_are_removed_under_every_spelling() {
        let (received, headers) = receive(
            request()
                .header("x-forwarded-for", "1.1.1.1")
                .header("x_forwarded_for", "1.1.1.1")
                .header("x-auth-subject", "root")
                .header("x-auth_subject", "root")
                .header("x_auth_subject", "root")
                .header("forwarded", "for=1.1.1.1")
                .header("x-request-id", "mine")
                .header("accept", "*/*")
                .header("x_custom", "kept"),
        );
        let received = received.unwrap();
        assert_eq!(received.host.name(), "api.example.com");
        assert_eq!(received.host.authority(), "api.example.com:8080");
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "host", "x_custom"]);
    }

    #[test]
    fn of_what_is_judged_only_the_judged_spelling_passes() {
        let (received, headers) = receive(
            request()
                .header("x-tenant", "mine")
                .header("x_tenant", "yours")
                .header("x_version", "1")
                .header("x-version", "2")
                .header("x-other_name", "kept"),
        );
        assert!(received.is_ok());
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["host", "x-other_name", "x-tenant", "x_version"]);
    }

    #[test]
    fn over_http2_cookies_are_joined_and_lengths_are_one() {
        let http2 = || request().version(Version::HTTP_2);
        let (_, headers) = receive(http2().header("cookie", "a=1").header("cookie", "b=2"));
        assert_eq!(headers.get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=1; b=2"]);
        let refused = |request: http::request::Builder| receive(request).0.err().map(Unreceivable::reason);
        let twice = http2().header("content-length", "3").header("content-length", "3");
        assert_eq!(refused(twice), Some(Reason::Smuggling));
        assert_eq!(refused(http2().header("content_length", "3")), Some(Reason::Smuggling));
        assert_eq!(refused(http2().header("transfer_encoding", "chunked")), Some(Reason::Smuggling));
        assert_eq!(refused(http2().header("content-length", "3")), None);
    }

    #[test]
    fn what_connection_names_goes_and_what_it_must_not_name_is_refused() {
        let (received, headers) =
            receive(request().header("connection", "close, X-Private").header("x-private", "1"));
        assert!(received.is_ok());
        assert!(!headers.contains_key("x-private") && !headers.contains_key("connection"));
        for name in NEVER_HOP_BY_HOP {
            let (received, _) = receive(request().header("connection", name));
            assert_eq!(received.unwrap_err().reason(), Reason::Smuggling, "{name}");
        }
    }

    #[test]
    fn an_upgrade_is_seen_only_where_both_fields_say_so() {
        let (received, headers) =
            receive(request().header("connection", "Upgrade").header("upgrade", "websocket"));
        assert_eq!(received.unwrap().upgrade.unwrap(), "websocket");
        assert!(!headers.contains_key("upgrade"));
        let (received, _) = receive(request().header("upgrade", "websocket"));
        assert!(received.unwrap().upgrade.is_none());
    }

    #[test]
    fn hosts_are_one_and_valid() {
        let refused = |request: http::request::Builder| receive(request).0.err().map(Unreceivable::reason);
        let builder = http::Request::builder;
        assert_eq!(refused(builder().uri("/a")), Some(Reason::BadHost));
        assert_eq!(
            refused(builder().uri("/a").header("host", "a").header("host", "b")),
            Some(Reason::BadHost)
        );
        assert_eq!(refused(builder().uri("http://a/x").header("host", "b")), Some(Reason::BadHost));
        assert_eq!(refused(builder().uri("http://a/x").header("host", "A")), None);
        assert_eq!(refused(builder().uri("http://a/x")), None);
        for wrong in [
            "", "a b", "a/b", "a:", "a:65536", "a:123456", "a:1:2", "[::1", "[::1]x", "user@a", "a\\b", ".",
            "a..", "..", ".:80",
        ] {
            assert_eq!(refused(builder().uri("/a").header("host", wrong)), Some(Reason::BadHost), "{wrong}");
        }
        assert_eq!(refused(builder().uri("/a").header("host", "[::1]:80")), None);
    }

    #[test]
    fn methods_and_expectations_that_are_never_forwarded() {
        for method in ["TRACE", "CONNECT"] {
            let (received, _) = receive(request().method(method));
            assert_eq!(received.unwrap_err().reason(), Reason::MethodRefused);
        }
        let (received, _) = receive(request().header("expect", "a-miracle"));
        assert_eq!(received.unwrap_err().reason(), Reason::ExpectationFailed);
        let (received, _) = receive(request().header("expect", "100-continue").header("expect", "a-miracle"));
        assert_eq!(received.unwrap_err().reason(), Reason::ExpectationFailed);
        let (received, headers) = receive(request().header("expect", "100-continue"));
        assert!(received.is_ok() && !headers.contains_key("expect"));
    }
}
