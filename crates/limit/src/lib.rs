//! Rate limits: exact, atomic over several limits, bounded in memory.
//!
//! [`Limits::compile`] turns the configured [`RawLimit`]s into [`Limits`]; [`Limits::take`] decides
//! about one request: it takes one token of every limit that applies, or none at all. [`fields`]
//! writes what a decision says into the `RateLimit` fields of the answer.
//!
//! How it is built, from the inside out:
//!
//! - `gcra`: the arithmetic. One point in time per bucket, whole numbers only, no rounding.
//! - `table`: where those points in time live. Bounded memory, and no way to win by filling it.
//! - `key`: which bucket a request belongs to.
//! - `limits`: all of it together, under one lock order.

pub mod fields;
mod gcra;
mod key;
mod limits;
mod rate;
mod raw;
mod table;
#[cfg(test)]
mod tests;

pub use key::Subject;
pub use limits::{LimitId, LimitStore, Limits, Refused};
pub use rate::Rate;
pub use raw::{KeyPart, RawLimit, RawLimitStore, When};
