//! The gateway's own binary over real sockets: what clients get, what services see, what is on the record.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may stop, and so may what it is made of"
)]
#![allow(unreachable_pub, reason = "nothing is reachable from outside of a test binary")]

mod answers;
mod browser;
mod common;
mod credentials;
mod databases;
mod forwarding;
mod lifecycle;
mod operators;
mod protocol;
mod settings;
mod smuggling;
mod stages;
mod tls;
mod upstreams;
