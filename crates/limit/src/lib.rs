//! Rate limits: exact, atomic over several limits, bounded in memory.
//!
//! [`Limits::compile`] turns the configured [`RawLimit`]s into [`Limits`]; [`Limits::take`] decides
//! about one request: it takes one token of every limit that applies, or none at all. [`fields`]
//! writes what a decision says into the `RateLimit` fields of the answer.
//!
//! Limits may be counted in a store that several gateways share: then [`Limits::count`] says what to ask, and
//! [`Limits::conclude`] decides with the answer.
//!
//! How it is built, from the inside out:
//!
//! - `gcra`, `window`: the arithmetic. Whole numbers only; a state is a point in time, or fits into one.
//! - `rule`: one of the algorithms.
//! - `table`: where states live. Bounded memory, and no way to win by filling it.
//! - `lease`, `shared`, `count.lua`: counting together with other gateways.
//! - `key`: which state a request belongs to.
//! - `exception`: for whom another rate of a limit holds.
//! - `limits`: all of it together, under one lock order.
//! - `concurrency`: how many requests may be under way at once.
//! - `quota`: how much callers have in a month; counted in the database.

mod concurrency;
mod exception;
pub mod fields;
mod gcra;
mod hours;
mod key;
mod key_part;
mod lease;
mod limits;
mod quota;
mod rate;
mod raw;
mod rule;
mod shared;
mod table;
#[cfg(test)]
mod tests;
mod window;

pub use concurrency::{Concurrency, Held, Permit, RawConcurrency};
pub use hours::Hours;
pub use key::Subject;
pub use key_part::{KeyPart, NoKeyPart};
pub use limits::{Counted, LimitId, LimitStore, Limits, Refused};
pub use quota::{
    Crossing, Every, NoPeriod, OnFailure, QuotaAsk, QuotaError, QuotaId, QuotaUnit, Quotas, RawCost,
    RawQuota, RawQuotaWebhook, TOPIC as QUOTA_TOPIC, Usage,
};
pub use rate::Rate;
pub use raw::{
    Algorithm, LimitMode, OutageMode, RawExempt, RawLimit, RawLimitStore, RawOverride, RawShared, SharedMode,
    When,
};
pub use shared::Ask;
