//! The one thing that is asked of the network: the answer of a provider to a request.

use std::fmt;
use std::net::Ipv4Addr;
use std::pin::Pin;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};

/// The answer that a [`Fetch`] is working on.
pub type Sending<'f> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, FetchError>> + Send + 'f>>;

/// Asks providers.
///
/// An implementation follows no redirect, verifies the server's certificate, gives up within a bounded time,
/// and reads no more than [`MAX_KEY_SET_BYTES`](crate::MAX_KEY_SET_BYTES).
pub trait Fetch: Send + Sync {
    /// The answer to `request`, whose URL is absolute, whatever its status is.
    fn send(&self, request: Request<Bytes>) -> Sending<'_>;
}

/// The body of a `200` answer to `GET url`.
///
/// # Errors
/// When there is no answer, or another.
pub(crate) async fn document(fetch: &dyn Fetch, url: &Uri) -> Result<Bytes, FetchError> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = url.clone();
    let response = fetch.send(request).await?;
    match response.status() {
        StatusCode::OK => Ok(response.into_body()),
        other => Err(FetchError::Status(other)),
    }
}

/// Why there is no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No connection, no TLS, or an answer that is not HTTP.
    #[error("the server could not be reached: {0}")]
    Unreachable(String),
    /// Another status than 200.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// More bytes than are read.
    #[error("the answer is too large")]
    TooLarge,
    /// No complete answer in time.
    #[error("the server did not answer in time")]
    TimedOut,
}

/// Where a provider publishes its keys: `https`, or plain `http` on the machine itself.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySetUrl(Uri);

/// Why a URL is not one that keys are fetched from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetUrlError {
    /// Not an absolute URL.
    #[error("not an absolute URL")]
    NotUrl,
    /// Whoever can change the answer can sign tokens, so it must be authenticated.
    #[error("keys are fetched by `https` only, except from the machine itself")]
    NotHttps,
    /// A name or password before the host.
    #[error("a URL with a user name or a password is not accepted")]
    UserInformation,
    /// 0, or more than 65535.
    #[error("its port is not one from 1 to 65535")]
    Port,
}

impl KeySetUrl {
    /// Reads a URL from the configuration.
    ///
    /// # Errors
    /// When it is not an absolute `https` URL (or `http` to a loopback address), or holds credentials.
    pub fn parse(text: &str) -> Result<Self, KeySetUrlError> {
        let url: Uri = text.parse().map_err(|_| KeySetUrlError::NotUrl)?;
        let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
            return Err(KeySetUrlError::NotUrl);
        };
        if authority.as_str().contains('@') {
            return Err(KeySetUrlError::UserInformation);
        }
        // A port beyond 65535 parses, and would be taken for none.
        if authority.as_str().len() > authority.host().len()
            && authority.port_u16().is_none_or(|port| port == 0)
        {
            return Err(KeySetUrlError::Port);
        }
        match scheme {
            "https" => Ok(Self(url)),
            "http" if is_loopback(authority.host()) => Ok(Self(url)),
            _ => Err(KeySetUrlError::NotHttps),
        }
    }

    /// The URL itself.
    #[must_use]
    pub const fn as_uri(&self) -> &Uri {
        &self.0
    }
}

impl fmt::Display for KeySetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for KeySetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySetUrl({})", self.0)
    }
}

/// Names other than `localhost` may be made to resolve to anything.
fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host == "[::1]"
        || host.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{KeySetUrl, KeySetUrlError};

    #[test]
    fn only_authenticated_places_are_accepted() {
        for good in [
            "https://login.example.com/keys",
            "https://login.example.com:8443/keys?v=1",
            "http://127.0.0.1:9000/keys",
            "http://localhost/keys",
            "http://[::1]:80/keys",
        ] {
            assert!(KeySetUrl::parse(good).is_ok(), "{good}");
        }
        for (bad, expected) in [
            ("http://login.example.com/keys", KeySetUrlError::NotHttps),
            ("http://127.0.0.1.example.com/keys", KeySetUrlError::NotHttps),
            ("http://localhost.example.com/keys", KeySetUrlError::NotHttps),
            ("file:///etc/passwd", KeySetUrlError::NotUrl),
            ("ftp://example.com/keys", KeySetUrlError::NotHttps),
            ("/keys", KeySetUrlError::NotUrl),
            ("", KeySetUrlError::NotUrl),
            ("https://user:password@example.com/keys", KeySetUrlError::UserInformation),
            ("https://example.com:99999/keys", KeySetUrlError::Port),
            ("https://example.com:/keys", KeySetUrlError::Port),
            ("https://[2001:db8::1]:65536/keys", KeySetUrlError::Port),
        ] {
            assert_eq!(KeySetUrl::parse(bad), Err(expected), "{bad}");
        }
    }
}
