//! The built-in ruleset: detectors that know the grammar of an attack, over every layer of encoding of a value.
//!
//! A value passes three steps. The gate reads it once and looks for everything that rules wait for; most values
//! end there. Then every encoding that is plausible is taken off, one inside the other, within a budget. Each
//! reading is shown to the detectors whose literals occur in it. Their cues have scores, lower in running text,
//! and a value is an attack when the cues of one family reach the threshold.
//!
//! ```
//! use portcullis_waf::builtin::{Detector, Findings, Place, Settings};
//!
//! let detector = Detector::new(Settings::default());
//! let mut findings = Findings::default();
//! detector.scan_value(Place::QueryValue, b"note", b"select a time; bring O'Neil's card", &mut findings);
//! assert!(!detector.is_attack(&findings));
//! detector.scan_value(Place::QueryValue, b"id", b"1%27%20or%20%271%27%3D%271", &mut findings);
//! assert!(detector.is_attack(&findings));
//! ```

mod code;
mod command;
mod decode;
mod decode_binary;
mod deserialise;
mod detector;
#[cfg(test)]
mod families;
mod gate;
mod header;
mod json;
mod ldap;
mod needs;
mod nosql;
mod prose;
mod protocol;
mod prototype;
mod reader;
mod rules;
mod scanner;
mod score;
mod sql;
mod sql_grammar;
mod sql_query;
mod sql_statement;
mod sql_token;
mod sql_words;
mod ssrf;
mod template;
mod traversal;
mod views;
mod xml;
mod xpath;
mod xss;

pub use detector::Detector;
pub use protocol::COMPLEX as TOO_COMPLEX;
pub use rules::{Family, RuleInfo, rules};
pub use score::{Finding, Findings, HeaderKind, Layer, Layers, Place, Settings, Verdict};
