//! What comes over the wire before hyper sees it.
//!
//! hyper reads HTTP/1 leniently where a gateway must not: bare LF ends a line, a Content-Length beside
//! Transfer-Encoding is dropped in silence, `gzip, chunked` counts as chunked, chunk extensions may hold
//! anything. Every such place is one where the next server may read another message than we did
//! (RFC 9112 section 11.2). So the bytes of a client first pass [`Framing`], which keeps to the grammar and
//! tracks the boundaries of messages itself; [`Guard`] puts it around a connection, and hyper reads only
//! what it accepted. It accepts a subset of what hyper accepts, and inside it both agree on every
//! boundary; tests hold them to that.
//!
//! [`proxy_protocol`] reads the header with which a load balancer tells the client's address.

mod body;
mod fault;
mod fields;
mod framing;
mod guard;
mod handle;
mod head;
pub mod proxy_protocol;
#[cfg(test)]
mod tests;

pub(crate) use body::is_head_only;
pub use fault::{Fault, Place};
pub use framing::{Framing, Limits, Phase};
pub use guard::Guard;
pub use handle::{Answering, CoarseClock, GuardHandle};

use http::{HeaderMap, Version, header};

/// Whether the guard waits for [`GuardHandle::upgraded`] after this request: it is HTTP/1.1, names an
/// `Upgrade` and has no body. The driver answers that question once for each such request.
#[must_use]
pub fn awaits_upgrade(version: Version, headers: &HeaderMap) -> bool {
    version == Version::HTTP_11
        && headers.contains_key(header::UPGRADE)
        && !headers.contains_key(header::TRANSFER_ENCODING)
        && headers
            .get(header::CONTENT_LENGTH)
            .is_none_or(|length| length.as_bytes().iter().all(|digit| *digit == b'0'))
}
