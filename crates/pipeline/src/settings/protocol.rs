//! Limits of the protocol: what a client may send, and how slowly.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use portcullis_core::{ByteSize, KeyPath, Period, Problems, Reason};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits on what clients may send and how long they may take.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawProtocol {
    /// The longest request line; longer ones get 414.
    pub request_line: ByteSize,
    /// How many header fields a request may have; more get 431.
    pub header_count: u32,
    /// The longest header field; longer ones get 431.
    pub header_size: ByteSize,
    /// The largest header section; larger ones get 431.
    pub header_total: ByteSize,
    /// The largest request body that any route may take; larger ones get 413. Default: 100MiB, or the largest
    /// `forward.body` if that is more.
    pub body: Option<ByteSize>,
    /// How many bytes of bodies may be held back at once for the scanner, requests and answers together, per processor
    /// core; what would take more gets 503. While it is scanned, a body takes up to four times its size.
    pub buffered_bodies: ByteSize,
    /// How many connections may be open at once; more are closed as soon as they are accepted.
    pub connections: u32,
    /// How many connections one client's address may have open at once (of IPv6, one /64); more are closed. Behind a
    /// load balancer that speaks the PROXY protocol, the client is the address that it names. The connections of
    /// `client_address.trusted_proxies` are not counted by address: each carries many clients.
    pub connections_per_address: u32,
    /// How long a client may take to send a request's header section; then 408, or with HTTP/2 the end of the connection.
    /// No longer may a new connection wait for its first request.
    pub header_timeout: Period,
    /// How long a client may pause while it sends a request body; then 408.
    pub body_timeout: Period,
    /// How long a connection may wait for its next request.
    pub idle_timeout: Period,
    /// How long a TLS handshake or a PROXY protocol header may take.
    pub handshake_timeout: Period,
    /// Limits that only HTTP/2 has.
    pub http2: RawHttp2,
}

/// Limits that only HTTP/2 has.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawHttp2 {
    /// How many streams a connection may have open at once.
    pub streams: u32,
    /// How many streams a client may reset within a minute before they are answered; then the connection is closed
    /// with ENHANCE_YOUR_CALM (CVE-2023-44487, rapid reset).
    pub resets: u32,
}

impl Default for RawProtocol {
    fn default() -> Self {
        Self {
            request_line: ByteSize::kib(8),
            header_count: 100,
            header_size: ByteSize::kib(8),
            header_total: ByteSize::kib(32),
            body: None,
            buffered_bodies: ByteSize::mib(64),
            connections: 20_000,
            connections_per_address: 1_024,
            header_timeout: Period::secs(10),
            body_timeout: Period::secs(30),
            idle_timeout: Period::secs(60),
            handshake_timeout: Period::secs(10),
            http2: RawHttp2::default(),
        }
    }
}

impl Default for RawHttp2 {
    fn default() -> Self {
        Self { streams: 100, resets: 100 }
    }
}

/// More than this is no limit.
pub(super) const LARGEST_BODY: ByteSize = ByteSize(1 << 40);
const DEFAULT_BODY: ByteSize = ByteSize::mib(100);

/// How large the head of a request may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the request line, without its CRLF. Default 8 KiB.
    pub request_line: usize,
    /// Number of fields in a head, and in a trailer section. Default 100, which is also where hyper stops.
    pub header_count: usize,
    /// Bytes of one field line. Default 8 KiB.
    pub header_size: usize,
    /// Bytes of all field lines. Default 32 KiB.
    pub header_total: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { request_line: 8 << 10, header_count: 100, header_size: 8 << 10, header_total: 32 << 10 }
    }
}

impl HeadLimits {
    /// Judges a head that came without lines, over HTTP/2, as if it were written in lines of HTTP/1.1. The section as
    /// a whole is HTTP/2's own to judge (SETTINGS_MAX_HEADER_LIST_SIZE).
    ///
    /// # Errors
    /// Names the part that is too large.
    pub fn judge(&self, parts: &http::request::Parts) -> Result<(), Reason> {
        let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
        if parts.method.as_str().len() + " ".len() + target + " HTTP/1.1".len() > self.request_line {
            return Err(Reason::TargetTooLong);
        }
        let line =
            |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + ": ".len() + value.len();
        if parts.headers.len() > self.header_count
            || parts.headers.iter().map(line).any(|line| line > self.header_size)
        {
            return Err(Reason::HeadersTooLarge);
        }
        Ok(())
    }
}

/// The compiled limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol {
    /// Sizes of a head.
    pub head: HeadLimits,
    /// Bytes of a body.
    pub body: u64,
    /// Bytes of all bodies that are held back, per worker.
    pub buffered_bodies: u64,
    /// Connections in all.
    pub connections: usize,
    /// Connections of one address.
    pub connections_per_address: usize,
    /// Time for a header section.
    pub header_timeout: Duration,
    /// Time between two pieces of a body.
    pub body_timeout: Duration,
    /// Time between two requests.
    pub idle_timeout: Duration,
    /// Time for TLS and PROXY protocol.
    pub handshake_timeout: Duration,
    /// HTTP/2.
    pub http2: Http2Limits,
}

/// Compiled limits of HTTP/2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http2Limits {
    /// Open streams per connection.
    pub streams: u32,
    /// Resets before an answer, per connection and minute.
    pub resets: u32,
}

impl Protocol {
    /// Checks and compiles the limits.
    pub fn compile(raw: &RawProtocol, path: &KeyPath, problems: &mut Problems) -> Self {
        let mut size = |key: &str, value: ByteSize, least: u64, most: u64| {
            if value.0 < least || value.0 > most {
                problems.error(&path.key(key), format!("`{key}` is {value}")).suggest(format!(
                    "write a size from {} to {}",
                    ByteSize(least),
                    ByteSize(most)
                ));
            }
            value.bytes()
        };
        let request_line = size("request_line", raw.request_line, 64, 64 << 10);
        let header_size = size("header_size", raw.header_size, 256, 256 << 10);
        let header_total = size("header_total", raw.header_total, 1 << 10, 1 << 20);
        size("buffered_bodies", raw.buffered_bodies, 1 << 16, LARGEST_BODY.0);
        let body = raw.body.map_or(DEFAULT_BODY, |body| {
            size("body", body, 0, LARGEST_BODY.0);
            body
        });
        let mut at_least_one = |key: &str, value: u32| {
            if value == 0 {
                problems.error(&path.key(key), format!("`{key}` is 0")).suggest("write at least 1");
            }
            value as usize
        };
        let header_count = at_least_one("header_count", raw.header_count);
        let connections = at_least_one("connections", raw.connections);
        let connections_per_address = at_least_one("connections_per_address", raw.connections_per_address);
        at_least_one("http2.streams", raw.http2.streams);
        at_least_one("http2.resets", raw.http2.resets);
        Self {
            head: HeadLimits { request_line, header_count, header_size, header_total },
            body: body.0,
            buffered_bodies: raw.buffered_bodies.0,
            connections,
            connections_per_address,
            header_timeout: positive("header_timeout", raw.header_timeout, path, problems),
            body_timeout: positive("body_timeout", raw.body_timeout, path, problems),
            idle_timeout: positive("idle_timeout", raw.idle_timeout, path, problems),
            handshake_timeout: positive("handshake_timeout", raw.handshake_timeout, path, problems),
            http2: Http2Limits { streams: raw.http2.streams, resets: raw.http2.resets },
        }
    }
}

/// A time limit of zero would refuse everything, and one of a year nothing.
pub(super) fn positive(key: &str, period: Period, path: &KeyPath, problems: &mut Problems) -> Duration {
    if period.0 < Duration::from_millis(10) || period.0 > Duration::from_secs(86_400) {
        problems
            .error(&path.key(key), format!("`{key}` is {period}"))
            .suggest("write a duration from 10ms to 24h");
    }
    period.0
}
