//! Whether a log could be opened, found out without opening it.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use portcullis_core::Obstacle;

use crate::settings::{AuditSettings, Destination};

impl AuditSettings {
    /// Says why the log cannot be opened here and now, if it cannot. Creates and changes nothing.
    #[must_use]
    pub fn rehearse(&self) -> Option<Obstacle> {
        let Self::On(settings) = self else { return None };
        let Destination::File { path, .. } = &settings.destination else { return None };
        obstacle(path)
    }
}

fn obstacle(path: &Path) -> Option<Obstacle> {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Some(Obstacle {
            message: format!("the audit file `{shown}` is a folder"),
            suggestion: format!("name a file in it, such as `{shown}/audit.jsonl`"),
        }),
        // As the log opens it, except that nothing is created and a torn last line stays as it is.
        Ok(_) => OpenOptions::new().read(true).append(true).open(path).err().map(|error| Obstacle {
            message: format!("the audit file `{shown}` cannot be written: {error}"),
            suggestion: "give the user that runs the gateway the right to read and write it".to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Obstacle::to_creating("audit file", &where_created(path))
        }
        Err(error) => Some(Obstacle {
            message: format!("the audit file `{shown}` cannot be reached: {error}"),
            suggestion: "name a file in a folder that the gateway may use".to_owned(),
        }),
    }
}

/// A link that leads nowhere yet is followed when the file is created.
fn where_created(path: &Path) -> PathBuf {
    let link = fs::read_link(path).ok();
    link.and_then(|link| Some(path.parent()?.join(link))).unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_written_has_no_obstacle_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let torn = folder.path().join("torn.jsonl");
        fs::write(&torn, "{\"a\":").unwrap();
        assert_eq!(obstacle(&torn), None);
        assert_eq!(fs::read_to_string(&torn).unwrap(), "{\"a\":");
        assert_eq!(obstacle(&folder.path().join("new.jsonl")), None);
        assert_eq!(obstacle(Path::new("/dev/null")), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is created");
    }

    #[test]
    fn what_cannot_be_written_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(folder.path().join("gone/audit.jsonl"), folder.path().join("link"))
            .unwrap();
        for (path, expected) in [
            (folder.path().to_owned(), "is a folder"),
            (folder.path().join("gone/audit.jsonl"), "there is no folder"),
            (folder.path().join("link"), "there is no folder"),
            (file.join("audit.jsonl"), "cannot be reached"),
        ] {
            let found = obstacle(&path).unwrap().message;
            assert!(found.contains(expected), "{found}");
        }
    }
}
