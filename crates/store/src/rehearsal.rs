//! Whether a database could be opened, found out without changing it.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::Database;
use crate::location::Location;

/// Why a database cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub suggestion: String,
}

impl Database {
    /// Says why it cannot be opened here and now, if it cannot. Creates nothing and changes no table; a server is asked.
    #[must_use]
    pub fn rehearse(&self) -> Option<Obstacle> {
        if self.is_open() {
            return None;
        }
        if let Location::Sqlite(file) = self.location()
            && (!file.exists() || file.is_dir())
        {
            return in_folder(file);
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

/// Why a new file cannot be created here.
fn in_folder(path: &Path) -> Option<Obstacle> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (file, shown) = (path.display(), folder.display());
    if fs::metadata(path).is_ok_and(|found| found.is_dir()) {
        return Some(Obstacle {
            message: format!("the database `{file}` is a folder"),
            suggestion: format!("name a file in it, such as `sqlite://{file}/state.db`"),
        });
    }
    if !folder.is_dir() {
        return Some(Obstacle {
            message: format!("the database `{file}` cannot be created: there is no folder `{shown}`"),
            suggestion: format!("make it (`mkdir -p {shown}`), or name another file"),
        });
    }
    let wanted = Access::WRITE_OK | Access::EXEC_OK;
    accessat(CWD, folder, wanted, AtFlags::EACCESS).err().map(|error| Obstacle {
        message: format!("the database `{file}` cannot be created: {}", io::Error::from(error)),
        suggestion: format!("give the user that runs the gateway the right to write in `{shown}`"),
    })
}
