//! From a YAML file to a compiled snapshot; nothing here runs per request.
//!
//! [`load()`] reads a file in four steps, each of which reports every fault it finds, in words and at its place:
//!
//! 1. the text becomes a tree whose keys and values know their lines (YAML 1.2 without anchors, aliases,
//!    tags and duplicate keys; bounded in size and depth);
//! 2. variables are put into the scalars of the tree: `${NAME}`, `${NAME:-default}`, `$$`;
//! 3. the tree is checked against the JSON Schema of the root type, and secret files are read;
//! 4. serde makes the typed value.
//!
//! Faults of one step do not end it: where a value cannot be used a default or a placeholder stands in for it, so that the
//! rest is compiled and judged in the same run. What follows from the stand-in is not told.
//!
//! Later steps record [`portcullis_core::Problems`] by key path; [`locate`] gives them their lines.
//! [`report`] shows problems to people and to programs.

mod check;
mod compile;
mod document;
mod faults;
mod inherit;
mod interpolate;
mod load;
mod located;
mod overlay;
mod parse;
mod placeholder;
pub mod raw;
mod reference;
pub mod report;
mod schema;
mod syntax;

pub use compile::{Compiled, Needs, Unopened, Unrecorded, compile_file, compile_text};
pub use document::{Document, Place};
pub use interpolate::{LARGEST_FILLED, LARGEST_SECRET};
pub use load::{Loaded, load, load_text, typed};
pub use located::{Located, locate};
pub use overlay::overlay;
pub use parse::{DEEPEST, LARGEST_CONFIGURATION, LONGEST_KEY, MOST_NODES};
pub use reference::reference;
pub use schema::published_schema;
