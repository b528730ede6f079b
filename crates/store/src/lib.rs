//! State that outlives a process or is shared by several.
//!
//! [`redis`] is the shared, fast and forgetful part: counters, replay caches, revocations.

pub mod redis;
mod settings;

pub use settings::{RawStore, Store};
