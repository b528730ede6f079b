//! Files that a configuration names, relative to the folder the configuration stands in.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The folder against which relative paths in a configuration are resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFolder(PathBuf);

/// The largest file that a configuration may name: policies, keys and schemas are far smaller.
pub const LARGEST_FILE: u64 = 16 << 20;

impl ConfigFolder {
    /// Relative paths start in `folder`.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// The path that `named` stands for. A leading `file://` is dropped.
    #[must_use]
    pub fn resolve(&self, named: &str) -> PathBuf {
        self.0.join(Path::new(named.strip_prefix("file://").unwrap_or(named)))
    }

    /// The text of a file.
    ///
    /// # Errors
    /// A sentence that names the file and says what to do, when it cannot be read, is larger than
    /// [`LARGEST_FILE`] or is not UTF-8.
    pub fn read(&self, named: &str) -> Result<String, String> {
        let path = self.resolve(named);
        let shown = path.display();
        let file = std::fs::File::open(&path).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
        let mut text = String::new();
        file.take(LARGEST_FILE + 1)
            .read_to_string(&mut text)
            .map_err(|error| format!("cannot read `{shown}`: {error}"))?;
        if text.len() as u64 > LARGEST_FILE {
            return Err(format!("`{shown}` is larger than 16MiB"));
        }
        Ok(text)
    }

    /// The text of a file with a secret: only the user and the group that own it may get at it.
    ///
    /// # Errors
    /// As [`Self::read`], and when everybody may read or write the file.
    pub fn read_private(&self, named: &str) -> Result<String, String> {
        let path = self.resolve(named);
        let shown = path.display();
        let found = std::fs::metadata(&path).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
        if is_open_to_everybody(&found) {
            return Err(format!("`{shown}` is open to everybody on this machine: `chmod o= {shown}`"));
        }
        self.read(named)
    }
}

fn is_open_to_everybody(file: &std::fs::Metadata) -> bool {
    const OTHERS: u32 = 0o006;
    file.permissions().mode() & OTHERS != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_everybody_may_read_or_write_is_none() {
        let folder = std::env::temp_dir().join(format!("portcullis-files-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("key.pem");
        std::fs::write(&path, "secret").unwrap();
        let config = ConfigFolder::new(&folder);
        for (mode, is_private) in
            [(0o600, true), (0o640, true), (0o604, false), (0o602, false), (0o644, false)]
        {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(config.read_private("key.pem").is_ok(), is_private, "{mode:o}");
        }
        assert!(config.read_private("none.pem").unwrap_err().contains("none.pem"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
