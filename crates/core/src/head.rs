//! The borrowed view of a request's head that every stage judges.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::{HeaderMap, Method, Version};

use crate::{ClientCertificate, Target, Timestamp};

/// Who is at the other end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The address of the connection itself (after PROXY protocol, if the listener takes it).
    pub socket: SocketAddr,
    /// The client's address: the connection's, or what trusted proxies say of it.
    pub client: IpAddr,
    /// Whether the client's connection to us (or to the trusted proxy) is encrypted.
    pub secure: bool,
}

impl Peer {
    /// The scheme of the URLs that the client asks for.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// The port that goes without saying in such URLs (RFC 9110 section 4.2).
    #[must_use]
    pub const fn usual_port(&self) -> u16 {
        if self.secure { 443 } else { 80 }
    }
}

/// A request's head as the stages see it: after normalisation, with hop-by-hop fields and every field
/// that the gateway owns removed. The very same values are sent to the service.
#[derive(Debug, Clone, Copy)]
pub struct Head<'r> {
    /// The method.
    pub method: &'r Method,
    /// The host without its port, in lower case.
    pub host: &'r str,
    /// The port that was named with it; none where the one of the scheme goes without saying.
    pub port: Option<u16>,
    /// The normalised target.
    pub target: &'r Target,
    /// The header fields.
    pub headers: &'r HeaderMap,
    /// The protocol version in which the client spoke.
    pub version: Version,
    /// The client.
    pub peer: Peer,
    /// The certificate that it showed; none where the listener asks for none or speaks plain text.
    pub certificate: Option<&'r Arc<ClientCertificate>>,
    /// The whole body, where a stage has asked for it.
    pub body: Option<&'r [u8]>,
    /// When the head was complete.
    pub now: Timestamp,
}

impl<'r> Head<'r> {
    /// The value of a header that may appear only once. `Err` if it appears more often: whoever picks
    /// one of two values may pick another than the service does.
    ///
    /// # Errors
    /// [`Repeated`] when the field appears more than once.
    pub fn single(&self, name: &http::HeaderName) -> Result<Option<&'r http::HeaderValue>, Repeated> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next();
        if values.next().is_some() { Err(Repeated) } else { Ok(first) }
    }
}

/// A header field that must be single appears more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeated;
