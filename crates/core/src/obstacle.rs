//! What stands in the way of opening a file, found out beforehand and told to whoever checks a configuration.

use std::io;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat};

/// Why something that a configuration names cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub suggestion: String,
}

impl Obstacle {
    /// Why `file`, which is not there yet, cannot be created by this process, if it cannot. `what` says what it is, as in
    /// `audit file`.
    #[must_use]
    pub fn to_creating(what: &str, file: &Path) -> Option<Self> {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (file, shown) = (file.display(), folder.display());
        if !folder.is_dir() {
            return Some(Self {
                message: format!("the {what} `{file}` cannot be created: there is no folder `{shown}`"),
                suggestion: format!("make it (`mkdir -p {shown}`), or name another file"),
            });
        }
        let wanted = Access::WRITE_OK | Access::EXEC_OK;
        accessat(CWD, folder, wanted, AtFlags::EACCESS).err().map(|error| Self {
            message: format!("the {what} `{file}` cannot be created: {}", io::Error::from(error)),
            suggestion: format!("give the user that runs the gateway the right to write in `{shown}`"),
        })
    }
}
