//! Files that a configuration names, relative to the folder the configuration stands in.

use std::io::Read;
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
}
