//! Which database, and where it is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use portcullis_core::{ConfigFolder, KeyPath, Problems, Secret};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

/// How long SQLite waits for a lock that another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long PostgreSQL works on one statement, in milliseconds: less than the caller waits.
const STATEMENT_TIMEOUT: &str = "4000";
/// How much of a SQLite file is mapped rather than copied. Only what is used takes memory.
const MAPPED: &str = "1073741824";

/// Where a database is. Shown without what a URL may hold of secrets.
#[derive(Clone)]
pub(crate) enum Location {
    /// A file of this machine.
    Sqlite(PathBuf),
    /// A server.
    Postgres {
        /// As it was written, to tell whether it changed.
        url: Secret,
        options: Box<PgConnectOptions>,
    },
}

impl Location {
    pub(crate) fn compile(
        url: &Secret,
        folder: &ConfigFolder,
        place: &KeyPath,
        problems: &mut Problems,
    ) -> Option<Self> {
        let text = url.expose();
        if let Some(file) = text.strip_prefix("sqlite://") {
            return Self::sqlite(file, folder, place, problems);
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Self::postgres(url, place, problems);
        }
        problems.error(place, "the URL is not one of SQLite or PostgreSQL").suggest(
            "write `sqlite:///var/lib/portcullis/state.db` or `postgres://user:${DB_PASSWORD}@host/name`",
        );
        None
    }

    fn sqlite(file: &str, folder: &ConfigFolder, place: &KeyPath, problems: &mut Problems) -> Option<Self> {
        if file.is_empty() || file.contains(['?', '#']) || file.ends_with('/') {
            problems
                .error(place, "the URL does not end in the name of a file, which holds neither `?` nor `#`")
                .suggest("write `sqlite:///var/lib/portcullis/state.db`");
            return None;
        }
        Some(Self::Sqlite(folder.resolve(file)))
    }

    fn postgres(url: &Secret, place: &KeyPath, problems: &mut Problems) -> Option<Self> {
        // The parser's own words may quote the URL, and with it the password.
        let Ok(options) = PgConnectOptions::from_str(url.expose()) else {
            problems
                .error(place, "the URL of the PostgreSQL database cannot be read")
                .suggest("write `postgres://user:${DB_PASSWORD}@host:5432/name?sslmode=verify-full`; escape what is special in the password");
            return None;
        };
        let host = options.get_host();
        let is_near = options.get_socket().is_some()
            || host.starts_with('/')
            || host == "localhost"
            || host.trim_matches(['[', ']']).parse().is_ok_and(|it: std::net::IpAddr| it.is_loopback());
        let is_verified = matches!(options.get_ssl_mode(), PgSslMode::VerifyFull | PgSslMode::VerifyCa);
        if !is_near && !is_verified {
            problems
                .warning(
                    place,
                    format!("whoever stands between here and `{host}` can read and change what is sent"),
                )
                .suggest("add `?sslmode=verify-full`, and `sslrootcert` if the authority is your own");
        }
        let options = options
            .application_name("portcullis")
            .options([("statement_timeout", STATEMENT_TIMEOUT), ("lock_timeout", STATEMENT_TIMEOUT)])
            .disable_statement_logging();
        Some(Self::Postgres { url: url.clone(), options: Box::new(options) })
    }

    /// Whether `other` was written the same way.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sqlite(one), Self::Sqlite(other)) => one == other,
            // Both are the operator's own: there is nobody to hide the time of the comparison from.
            (Self::Postgres { url: one, .. }, Self::Postgres { url: other, .. }) => {
                one.expose() == other.expose()
            }
            _ => false,
        }
    }
}

/// A SQLite file that several processes read while one writes, and which survives a crash of any of them.
pub(crate) fn sqlite_options(file: &std::path::Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        // With the write-ahead log the file stays whole whatever happens; the last commits may be lost with the power.
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("mmap_size", MAPPED)
        .pragma("trusted_schema", "OFF")
        .disable_statement_logging()
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "sqlite://{}", file.display()),
            Self::Postgres { options, .. } => {
                let host =
                    options.get_socket().map_or_else(|| options.get_host().into(), |it| it.to_string_lossy());
                let name = options.get_database().unwrap_or_else(|| options.get_username());
                write!(f, "postgres://{host}:{}/{name}", options.get_port())
            }
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(url: &str) -> (Option<Location>, Vec<String>) {
        let mut problems = Problems::default();
        let folder = ConfigFolder::new("/etc/portcullis");
        let location =
            Location::compile(&Secret::new(url), &folder, &KeyPath::root().key("database"), &mut problems);
        (location, problems.iter().map(|it| it.message.clone()).collect())
    }

    #[test]
    fn a_place_is_shown_without_its_secrets() {
        for (url, shown) in [
            ("sqlite:///var/lib/state.db", "sqlite:///var/lib/state.db"),
            ("sqlite://state.db", "sqlite:///etc/portcullis/state.db"),
            ("postgres://ann:hunter2@localhost/gate", "postgres://localhost:5432/gate"),
            (
                "postgresql://ann:hunter2@127.0.0.1:6000/gate?sslmode=disable",
                "postgres://127.0.0.1:6000/gate",
            ),
            ("postgres://ann:hunter2@db.example/gate?sslmode=verify-full", "postgres://db.example:5432/gate"),
        ] {
            let (location, problems) = compiled(url);
            assert_eq!(
                (location.map(|it| it.to_string()), problems),
                (Some(shown.to_owned()), vec![]),
                "{url}"
            );
        }
    }

    #[test]
    fn what_is_no_database_is_refused_without_being_quoted() {
        for url in [
            "mysql://hunter2@a/b",
            "hunter2",
            "sqlite://",
            "sqlite://hunter2/",
            "sqlite://hunter2?mode=rw",
            "postgres://a:hunter2@b:port/c",
        ] {
            let (location, problems) = compiled(url);
            assert!(location.is_none() && problems.len() == 1, "{url}: {problems:?}");
            assert!(!problems[0].contains("hunter2"), "{problems:?}");
        }
    }

    #[test]
    fn a_server_that_is_far_away_must_prove_who_it_is() {
        let (_, problems) = compiled("postgres://ann:hunter2@db.example/gate");
        assert_eq!(
            problems,
            ["whoever stands between here and `db.example` can read and change what is sent"]
        );
    }
}
