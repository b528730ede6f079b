//! The scanner as a stage of the gateway: named rulesets, what routes make of them, and one request's way through them.
//!
//! - `raw`: what the configuration says.
//! - `generated`: the rules that follow from it, around the files it names.
//! - `rulesets`: all of it compiled; what routes have in common is compiled once.
//! - `body_types`: which bodies the built-in rules look into.
//! - `scan`: one request and its answer.
//! - `findings`: what is told about them, without what must not be told.

mod body_types;
mod findings;
mod generated;
mod raw;
mod rulesets;
mod scan;
#[cfg(test)]
mod tests;

pub use body_types::{BEGINNING, Wanted};
pub use generated::PREAMBLE;
pub use raw::{
    RawExclusion, RawRefinedRuleset, RawRouteRuleset, RawRouteRulesets, RawRouteThresholds, RawRuleset,
    RawScan, RawThresholds, RuleIds, TooComplex,
};
pub use rulesets::{KeptRulesets, Rulesets};
pub use scan::{Detail, Outcome, RequestView, Scan, Scanning};
