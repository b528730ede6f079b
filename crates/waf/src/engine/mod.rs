//! The engine: a loaded ruleset, and the transaction that runs it over one request and its response.

mod bits;
mod chains;
mod clock;
mod collections;
mod compile;
mod detect;
mod effects;
mod evaluate;
mod expand;
mod formed;
mod hits;
mod items;
mod memo;
mod origin;
mod prefilter;
mod program;
mod report;
mod request_body;
mod ruleset;
mod settings;
mod state;
mod transaction;
mod transformed;
mod tx;
mod working;

pub use collections::PersistentCollections;
pub use report::{MatchedValue, Printable, RuleMatch};
pub use ruleset::{Builder, LoadError, RuleSummary, Ruleset};
pub use settings::Settings;
pub use transaction::Transaction;
pub(crate) use transaction::UNREADABLE;

/// A rule ended the transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interruption {
    /// The rule; 0 for a limit of the engine itself, such as `SecRequestBodyLimit`.
    pub rule_id: u32,
    /// The status with which to answer.
    pub status: u16,
    /// What to do.
    pub action: Action,
}

/// How a transaction ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Answer with the status.
    Deny,
    /// Close the connection.
    Drop,
    /// Answer with the status and this `Location`.
    Redirect(String),
}

/// What all transactions of a ruleset share.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) program: program::Program,
    pub(crate) collections: PersistentCollections,
    /// The built-in ruleset, if it runs beside the rules.
    pub(crate) detector: Option<crate::builtin::Detector>,
    /// States of transactions that ended, for those to come.
    pub(crate) states: working::Shelf<transaction::Pooled>,
    /// What phases work with, for those to come.
    pub(crate) working: working::Shelf<working::Working>,
    /// What is known of values, by the prefilter.
    pub(crate) memos: [working::Shelf<memo::Memo>; 2],
}
