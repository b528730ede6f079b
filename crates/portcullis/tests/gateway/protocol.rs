//! Clients that break the protocol or strain its limits: they are refused, and nobody else notices.

mod http1;
mod http2;
mod limits;
mod slow;
