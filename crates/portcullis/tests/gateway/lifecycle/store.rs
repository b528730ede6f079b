//! The database: made where the configuration says, kept over reloads, and missed before anything is served.

use portcullis_testkit::postgres;

use super::run;
use crate::common::{plain, setup};

/// A plain proxy with a database.
fn with_database(url: &str) -> String {
    plain("http://127.0.0.1:9").section("store", format!("{{ database: \"{url}\" }}")).text()
}

#[test]
fn a_database_is_made_where_the_configuration_says() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gateway.yaml"), with_database("sqlite://state.db")).unwrap();
    assert_eq!(run(folder.path(), &["check", "gateway.yaml"]).code, 0);
    assert!(!folder.path().join("state.db").exists(), "checking creates nothing");

    let gateway = setup().start(&with_database("sqlite://state.db"));
    assert!(gateway.folder().join("state.db").exists());
    let gateway = setup().start(&with_database("sqlite://sub.db"));
    gateway.rewrite(&with_database("sqlite://other.db"));
    gateway.hang_up();
    let _ = gateway.wait_for_event("reloaded", 0);
    assert!(gateway.folder().join("other.db").exists(), "a reload opens what is new");
}

#[test]
fn a_database_that_cannot_be_opened_keeps_the_gateway_from_starting() {
    let refusal = setup().refuse(&with_database("sqlite://gone/state.db"));
    assert_eq!(refusal.code, Some(1));
    assert!(
        refusal.stderr.contains("store.database") && refusal.stderr.contains("mkdir -p"),
        "{}",
        refusal.stderr
    );
    let refusal = setup().refuse(&with_database("mysql://ann:hunter2@a/b"));
    assert!(refusal.stderr.contains("sqlite:///var/lib/portcullis/state.db"), "{}", refusal.stderr);
    assert!(!refusal.stderr.contains("hunter2"), "{}", refusal.stderr);
}

#[test]
fn postgresql_is_one_line_away_and_its_password_is_not_told() {
    let Some(url) = postgres::database() else { return };
    let text = with_database(&url.replace("portcullis:portcullis@", "portcullis:${DB_PASSWORD}@"));
    drop(setup().variable("DB_PASSWORD", "portcullis").start(&text));
    let refusal = setup().variable("DB_PASSWORD", "hunter2").refuse(&text);
    assert!(refusal.stderr.contains("password authentication failed"), "{}", refusal.stderr);
    assert!(!refusal.stderr.contains("hunter2"), "{}", refusal.stderr);
}
