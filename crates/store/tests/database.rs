//! A database as those who use it see it: the same whether it is SQLite or PostgreSQL.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use portcullis_core::{ConfigFolder, KeyPath, Problems, Secret, Timestamp};
use portcullis_store::{Change, Database, News, Query, RawStore, Store, StoreError};
use portcullis_testkit::postgres;
use tempfile::TempDir;

fn compiled(folder: &Path, url: &str, previous: Option<&Store>) -> Store {
    let mut problems = Problems::default();
    let raw = RawStore { database: Some(Secret::new(url)), ..RawStore::default() };
    let store = Store::compile(&raw, &ConfigFolder::new(folder), &KeyPath::root(), &mut problems, previous);
    assert!(!problems.has_errors(), "{problems:?}");
    store
}

fn database(folder: &Path, url: &str) -> Arc<Database> {
    compiled(folder, url, None).database.unwrap()
}

/// Runs a test over SQLite and, if there is a server, over PostgreSQL.
fn on_both(test: impl Fn(&dyn Fn() -> Arc<Database>)) {
    let folder = TempDir::new().unwrap();
    test(&|| database(folder.path(), "sqlite://state.db"));
    if let Some(url) = postgres::database() {
        test(&|| database(folder.path(), &url));
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn counter(topic: &'static str, last: i64) -> Query {
    Query::new("INSERT INTO change_counters (topic, last) VALUES ($1, $2)").with(topic).with(last)
}

async fn counters(database: &Database) -> Vec<(String, i64)> {
    let query = Query::new("SELECT topic, last FROM change_counters ORDER BY topic");
    let rows = database.rows(query).await.unwrap();
    rows.iter().map(|row| (row.column(0).unwrap(), row.column(1).unwrap())).collect()
}

#[test]
fn what_is_written_is_there_for_whoever_opens_it_next() {
    on_both(|make| {
        let first = make();
        first.open().unwrap();
        first.open().unwrap();
        run(async {
            assert_eq!(first.execute(counter("a", i64::MAX)).await, Ok(1));
            assert_eq!(first.execute(counter("a", 1)).await, Err(StoreError::Exists));
            let second = make();
            assert_eq!(second.rows(Query::new("SELECT 1")).await.err(), Some(StoreError::NotOpen));
            second.open().unwrap();
            assert_eq!(counters(&second).await, [("a".to_owned(), i64::MAX)]);
        });
    });
}

#[test]
fn a_transaction_happens_whole_or_not_at_all() {
    on_both(|make| {
        let database = make();
        database.open().unwrap();
        run(async {
            let raise =
                |topic| Query::new("UPDATE change_counters SET last = last + 1 WHERE topic = $1").with(topic);
            let done = database.transact(vec![counter("a", 1), raise("a").must_change(), raise("b")]).await;
            assert_eq!(done, Ok(vec![1, 1, 0]));
            let undone = database.transact(vec![raise("a"), raise("b").must_change()]).await;
            assert_eq!(undone, Err(StoreError::NothingChanged));
            let undone = database.transact(vec![raise("a"), counter("a", 7)]).await;
            assert_eq!(undone, Err(StoreError::Exists));
            let refused = database.transact(vec![raise("a"), Query::new("SELECT nothing")]).await;
            assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
            assert_eq!(counters(&database).await, [("a".to_owned(), 2)]);
            let raised = database
                .changed_rows(
                    Query::new("UPDATE change_counters SET last = 5 WHERE topic = $1 RETURNING last")
                        .with("a"),
                )
                .await
                .unwrap();
            assert_eq!(raised[0].column::<i64>(0), Ok(5));
        });
    });
}

#[test]
fn values_of_every_type_come_back() {
    on_both(|make| {
        let database = make();
        database.open().unwrap();
        run(async {
            let moment = Timestamp::from_secs(1_800_000_000);
            let query = Query::new("SELECT CAST($1 AS BIGINT), CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS BIGINT), CAST($5 AS TEXT)")
                .with(moment)
                .with("O'Brien \u{1f512}")
                .with(true)
                .with(Timestamp(u64::MAX))
                .with(None::<String>);
            let rows = database.rows(query).await.unwrap();
            assert_eq!(rows[0].column::<Timestamp>(0), Ok(moment));
            assert_eq!(rows[0].column::<Option<String>>(1), Ok(Some("O'Brien \u{1f512}".to_owned())));
            assert_eq!(rows[0].column::<bool>(2), Ok(true));
            assert!(rows[0].column::<Timestamp>(3).unwrap() > Timestamp::from_secs(18_000_000_000));
            assert_eq!(rows[0].column::<Option<String>>(4), Ok(None));
            assert!(matches!(rows[0].column::<i64>(1), Err(StoreError::Refused(_))));
            assert!(matches!(rows[0].column::<i64>(9), Err(StoreError::Refused(_))));
        });
    });
}

#[test]
fn who_follows_the_changes_overlooks_none_however_many_write() {
    on_both(|make| {
        let database = make();
        database.open().unwrap();
        let write = |subject: String| {
            let change = Change {
                sequence: 0,
                moment: Timestamp::from_secs(1),
                action: "made".to_owned(),
                subject,
                actor: "test".to_owned(),
                origin: "here".to_owned(),
            };
            database.transact(change.statements("things").into())
        };
        run(async {
            assert_eq!(database.latest_change("things").await, Ok(0));
            let many: Vec<_> = (0..40).map(|number| write(number.to_string())).collect();
            for written in many {
                written.await.unwrap();
            }
            assert_eq!(database.latest_change("things").await, Ok(40));
            let News::Changes(changes) = database.changes_after("things", 30).await.unwrap() else {
                panic!()
            };
            assert_eq!(
                changes.iter().map(|it| it.sequence).collect::<Vec<_>>(),
                (31..=40).collect::<Vec<_>>()
            );
            assert_eq!(database.changes_after("things", 40).await, Ok(News::Changes(vec![])));
            database.execute(Query::new("DELETE FROM changes WHERE sequence < 35")).await.unwrap();
            assert_eq!(database.changes_after("things", 30).await, Ok(News::Everything { last: 40 }));
        });
    });
}

#[test]
fn a_reload_keeps_what_is_open_at_the_same_place() {
    let folder = TempDir::new().unwrap();
    let first = compiled(folder.path(), "sqlite://state.db", None);
    let kept = compiled(folder.path(), "sqlite://state.db", Some(&first));
    let moved = compiled(folder.path(), "sqlite://other.db", Some(&first));
    let [first, kept, moved] = [first, kept, moved].map(|store| store.database.unwrap());
    assert!(Arc::ptr_eq(&first, &kept) && !Arc::ptr_eq(&first, &moved));
}

#[test]
fn a_file_is_made_for_its_owner_alone_and_only_by_those_who_open_it() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("state.db");
    let database = database(folder.path(), "sqlite://state.db");
    assert_eq!(database.rehearse(), None);
    assert!(database.attach().unwrap_err().to_string().contains("state.db"));
    assert!(!file.exists(), "looking creates nothing");
    database.open().unwrap();
    run(database.execute(counter("a", 1))).unwrap();
    for name in ["state.db", "state.db-wal"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn what_cannot_be_opened_is_said_without_secrets() {
    let folder = TempDir::new().unwrap();
    std::fs::write(
        folder.path().join("text.db"),
        "this is no database, but a text of some length".repeat(40),
    )
    .unwrap();
    for (url, expected) in [
        ("sqlite://gone/state.db", "there is no folder"),
        ("sqlite://.", "is a folder"),
        ("sqlite://text.db", "file is not a database"),
        ("postgres://ann:hunter2@127.0.0.1:9/gate", "postgres://127.0.0.1:9/gate"),
    ] {
        let database = database(folder.path(), url);
        let obstacle = database.rehearse().unwrap();
        assert!(obstacle.message.contains(expected), "{url}: {obstacle:?}");
        let error = database.open().unwrap_err().to_string();
        let shown = format!("{error} {obstacle:?} {database:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

/// A database that a newer version of the program has changed may mean something else.
#[test]
fn tables_of_a_newer_version_are_refused() {
    on_both(|make| {
        let database = make();
        database.open().unwrap();
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     SELECT 9999, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
        run(database.execute(Query::new(newer))).unwrap();
        let error = make().open().unwrap_err().to_string();
        assert!(error.contains("newer version"), "{error}");
    });
}
