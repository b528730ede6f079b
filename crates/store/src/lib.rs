//! State that outlives a process or is shared by several.
//!
//! A [`Database`] is for what must not be lost: SQLite in a file or PostgreSQL, chosen by one line of configuration; whoever
//! uses it writes one text of SQL for both. Its connections live on a thread of its own: whoever asks awaits the answer,
//! from whatever runtime. Every question has a time limit, and connections are few. Tables are made by the scripts in
//! the folder `migrations`, which are part of the program: a new table is one script for each of the two, and one line in
//! `migrations.rs`.
//!
//! [`redis`] is the shared, fast and forgetful part: counters.

mod changes;
mod database;
mod location;
mod migrations;
mod query;
pub mod redis;
mod rehearsal;
mod settings;
mod transaction;

pub use changes::{Act, Change, News};
pub use database::{Database, OpenError, StoreError};
pub use query::{Column, Query, Row, Value};
pub use settings::{RawStore, Store};
pub use transaction::Transaction;
