//! What tests need: an upstream that records what reached it, clients that write bytes rather than
//! requests, a certificate authority, and the gateway's own binary as a child process.
//!
//! Nothing here sleeps. Whoever waits blocks on a socket, a pipe or a condition, with [`PATIENCE`] as a
//! safety net: a test that meets it has failed, and says for what it waited.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "the callers are tests, and a test whose surroundings fail must stop at once"
)]

use std::time::Duration;

pub use rcgen;

pub mod ca;
pub mod corpus;
pub mod echo;
pub mod gateway;
pub mod h2;
pub mod h2raw;
pub mod hpack;
pub mod postgres;
pub mod provider;
pub mod raw;
pub mod redis;
pub mod relay;
mod wait;

/// How long anything here waits before it gives up. Long, because it only ends tests that have failed.
pub const PATIENCE: Duration = Duration::from_secs(20);
