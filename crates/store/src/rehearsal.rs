//! Whether a database could be opened, found out without changing it.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use portcullis_core::Obstacle;

use crate::Database;
use crate::location::Location;

impl Database {
    /// Says why it cannot be opened here and now, if it cannot. Creates nothing and changes no table; a server is asked.
    #[must_use]
    pub fn rehearse(&self) -> Option<Obstacle> {
        if self.is_open() {
            return None;
        }
        if let Location::Sqlite(file) = self.location() {
            if file.is_dir() {
                let shown = file.display();
                return Some(Obstacle {
                    message: format!("the database `{shown}` is a folder"),
                    suggestion: format!("name a file in it, such as `sqlite://{shown}/state.db`"),
                });
            }
            if !file.exists() {
                return Obstacle::to_creating("database", file);
            }
        }
        // A handle of its own: what is tried here must not stay open.
        let trial = Self::new(self.location().clone());
        trial.attach().err().map(|error| Obstacle {
            message: error.to_string(),
            suggestion: match self.location() {
                Location::Sqlite(_) => {
                    "give the user that runs the gateway the right to read and write the file and its folder"
                }
                Location::Postgres { .. } => "start the server, and try the same URL with `psql`",
            }
            .to_owned(),
        })
    }
}

/// Makes the file if there is none, for nobody but the user that runs the gateway: it holds hashes of keys, and sessions.
/// What SQLite puts beside it has the same rights.
pub(crate) fn create_private(file: &Path) -> io::Result<()> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
