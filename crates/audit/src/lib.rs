//! The record of every decision: one JSON object on one line for each request.
//!
//! ```json
#![doc = include_str!("example.jsonl")]
//! ```
//!
//! Names are those of OpenTelemetry's semantic conventions where it has one; `route`, `service`,
//! `decision`, `stage`, `reason_code` and the rest are ours. `stages` tells what each stage that ran
//! decided. A field that is not known is not there. Texts are bounded; `truncated` names those that were
//! cut. A [`Record`] has no place for header fields, queries or bodies, so no credential can get here.
//!
//! [`AuditLog::record`] formats on the caller's thread and appends to a bounded buffer; a thread of the
//! log's own writes it out and rotates the file. What happens when the buffer is full or the disk is, is a
//! choice of the configuration ([`OnFailure`]).

mod line;
mod log;
mod moment;
mod off;
mod record;
mod rehearsal;
mod settings;
mod sink;
mod writer;

#[cfg(test)]
mod tests;

pub use log::{AuditLog, Unavailable};
pub use off::OffOr;
pub use record::{Change, Event, Formatter, LONGEST_LINE, Record};
pub use settings::{
    AuditSettings, Destination, LogSettings, Matches, OnFailure, RawAudit, RawAuditLog, RawRotation,
    Rotation, compile,
};
pub use sink::Sink;
