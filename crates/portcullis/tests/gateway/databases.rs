//! What tests of things in the database have in common.

use portcullis_testkit::postgres;

/// Runs a test over SQLite and, if there is a server, over PostgreSQL.
pub(crate) fn on_both(test: impl Fn(&str)) {
    test("sqlite://state.db");
    if let Some(url) = postgres::database() {
        test(&url);
    }
}
