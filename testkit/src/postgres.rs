//! Databases of a real PostgreSQL server, which `testkit/postgres` runs for the tests.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// The variable that holds the URL of the server.
const SERVER: &str = "PORTCULLIS_TEST_POSTGRES";

/// The URL of a new, empty database. Without a server there is none, and the test has nothing to say: that is told loudly, and
/// in continuous integration it is a failure.
///
/// # Panics
/// When there is no server in continuous integration (`CI=true`), or it makes no database.
#[must_use]
pub fn database() -> Option<String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let Ok(server) = std::env::var(SERVER) else {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "{SERVER} is not set: run `testkit/postgres cargo test`"
        );
        skipped();
        return None;
    };
    let name = format!("test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let made = Command::new("psql").args([&server, "-qc", &format!("CREATE DATABASE {name}")]).output();
    let made = made.unwrap_or_else(|error| panic!("cannot run psql: {error}"));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (base, _) = server.rsplit_once('/').unwrap_or_else(|| panic!("{SERVER} is no URL with a database"));
    Some(format!("{base}/{name}"))
}

#[expect(clippy::print_stderr, reason = "whoever reads the test's output must know what was not tested")]
fn skipped() {
    eprintln!("SKIPPED on PostgreSQL: {SERVER} is not set. Run `testkit/postgres cargo test`.");
}
