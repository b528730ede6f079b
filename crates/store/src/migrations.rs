//! The scripts that make and change the tables, oldest first.

use std::borrow::Cow;

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// The number of a script, what it does, its text for SQLite and its text for PostgreSQL. A script that has been
/// released is never changed: what was wrong with it is the next one's to mend.
type Script = (i64, &'static str, &'static str, &'static str);

macro_rules! scripts {
    ($($number:literal $name:literal,)*) => {
        &[$((
            $number,
            $name,
            include_str!(concat!("../migrations/sqlite/", $name, ".sql")),
            include_str!(concat!("../migrations/postgres/", $name, ".sql")),
        )),*]
    };
}

const SCRIPTS: &[Script] = scripts! {
    1 "0001_changes",
    2 "0002_api_keys",
    3 "0003_revocations",
    4 "0004_sessions",
    5 "0005_quotas",
    7 "0007_quota_notices",
};

/// The scripts for SQLite.
pub(crate) fn sqlite() -> Migrator {
    migrator(|script| script.2)
}

/// The scripts for PostgreSQL.
pub(crate) fn postgres() -> Migrator {
    migrator(|script| script.3)
}

fn migrator(text: fn(&Script) -> &'static str) -> Migrator {
    let made = SCRIPTS.iter().map(|script| {
        let (number, name, ..) = *script;
        Migration::new(number, Cow::Borrowed(name), MigrationType::Simple, text(script).into_sql_str(), false)
    });
    Migrator::with_migrations(made.collect())
}
