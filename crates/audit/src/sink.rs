//! Where lines end up: a file that makes room for the next one, or standard output.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::settings::Rotation;

/// Takes lines. A seam for tests that need a full disk.
pub trait Sink: Send {
    /// Writes a first part of `bytes` and says how many.
    ///
    /// # Errors
    /// When nothing could be written.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Makes room, if `rotation` asks for it, for a batch of `length` bytes that comes next.
    ///
    /// # Errors
    /// When room could not be made. Lines are still taken.
    fn make_room(&mut self, _length: u64, _rotation: Rotation) -> io::Result<()> {
        Ok(())
    }

    /// Starts anew at the place where it was opened.
    ///
    /// # Errors
    /// When that is not possible. Lines are still taken.
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that is appended to.
pub(crate) struct FileSink {
    path: PathBuf,
    file: File,
    length: u64,
    rotates: bool,
}

impl FileSink {
    /// Opens or creates the file.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let explain = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot open the audit file `{}`: {error}", path.display()))
        };
        Self::try_open(path).map_err(explain)
    }

    fn try_open(path: &Path) -> io::Result<Self> {
        // Readable as well, to look at how an older file ends; and a pipe opened so waits for no reader.
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
        let length = end_last_line(&file)?;
        // `/dev/stdout` leads to whatever it leads to: only what lies at the path itself is moved away.
        let rotates = fs::symlink_metadata(path)?.is_file();
        Ok(Self { path: path.to_owned(), file, length, rotates })
    }

    /// Whether another program has moved the file away.
    fn was_moved(&self) -> io::Result<bool> {
        let ours = self.file.metadata()?;
        match fs::symlink_metadata(&self.path) {
            Ok(found) => Ok((found.dev(), found.ino()) != (ours.dev(), ours.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }
}

impl Sink for FileSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.length = self.length.saturating_add(written as u64);
        Ok(written)
    }

    fn make_room(&mut self, length: u64, rotation: Rotation) -> io::Result<()> {
        let fits = self.length.saturating_add(length) <= rotation.size;
        if fits || self.length == 0 || !self.rotates {
            return Ok(());
        }
        if !self.was_moved()? {
            shift(&self.path, rotation.keep)?;
        }
        self.reopen()
    }

    fn reopen(&mut self) -> io::Result<()> {
        *self = Self::open(&self.path)?;
        Ok(())
    }
}

/// Standard output, without the buffer of `std`: after a failure it must be known what was written.
pub(crate) struct StdoutSink(File);

impl StdoutSink {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self(File::from(io::stdout().as_fd().try_clone_to_owned()?)))
    }
}

impl Sink for StdoutSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The lock keeps two logs from mixing their lines while a reload replaces one by the other.
        let _turn = io::stdout().lock();
        self.0.write(bytes)
    }
}

/// The length of the file, once a last line that was torn by a crash has been ended.
fn end_last_line(mut file: &File) -> io::Result<u64> {
    let metadata = file.metadata()?;
    let length = metadata.len();
    if !metadata.is_file() || length == 0 {
        return Ok(0);
    }
    let mut last = [0];
    file.read_exact_at(&mut last, length - 1)?;
    if last == *b"\n" {
        return Ok(length);
    }
    file.write_all(b"\n")?;
    Ok(length + 1)
}

/// Moves `file` to `file.1`, what was there to `file.2`, and so on; what was at `file.{keep}` is gone.
fn shift(path: &Path, keep: u32) -> io::Result<()> {
    for older in (1..keep).rev() {
        match fs::rename(numbered(path, older), numbered(path, older + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, numbered(path, 1))
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROTATION: Rotation = Rotation { size: 10, keep: 2 };

    fn put(sink: &mut FileSink, text: &str) {
        sink.make_room(text.len() as u64, ROTATION).unwrap();
        assert_eq!(sink.write(text.as_bytes()).unwrap(), text.len());
    }

    fn contents(path: &Path) -> Vec<String> {
        let of = |path: PathBuf| fs::read_to_string(path).unwrap_or_else(|_| "-".to_owned());
        vec![of(path.to_owned()), of(numbered(path, 1)), of(numbered(path, 2)), of(numbered(path, 3))]
    }

    #[test]
    fn a_full_file_makes_room_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let mut sink = FileSink::open(&path).unwrap();
        put(&mut sink, "aaaa\n");
        put(&mut sink, "bbbb\n");
        assert_eq!(contents(&path), ["aaaa\nbbbb\n", "-", "-", "-"]);
        put(&mut sink, "c\n");
        assert_eq!(contents(&path), ["c\n", "aaaa\nbbbb\n", "-", "-"]);
        put(&mut sink, "dddddddd\n");
        put(&mut sink, "e\n");
        assert_eq!(contents(&path), ["e\n", "dddddddd\n", "c\n", "-"]);
    }

    #[test]
    fn the_length_of_an_older_file_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        fs::write(&path, "12345678\n").unwrap();
        put(&mut FileSink::open(&path).unwrap(), "new\n");
        assert_eq!(contents(&path)[..2], ["new\n", "12345678\n"]);
    }

    #[test]
    fn a_torn_last_line_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        fs::write(&path, "{\"a\":").unwrap();
        put(&mut FileSink::open(&path).unwrap(), "{}\n");
        assert_eq!(contents(&path)[0], "{\"a\":\n{}\n");
    }

    #[test]
    fn the_file_is_not_for_everyone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        FileSink::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o027, 0);
    }

    #[test]
    fn what_another_program_moved_is_not_moved_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let mut sink = FileSink::open(&path).unwrap();
        put(&mut sink, "aaaaaaaa\n");
        fs::rename(&path, folder.path().join("elsewhere")).unwrap();
        put(&mut sink, "bbbb\n");
        assert_eq!(contents(&path), ["bbbb\n", "-", "-", "-"]);
    }

    #[test]
    fn devices_and_links_stay_where_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("real"), &path).unwrap();
        let mut sink = FileSink::open(&path).unwrap();
        put(&mut sink, "aaaaaaaa\n");
        put(&mut sink, "bbbbbbbb\n");
        assert_eq!(contents(&path), ["aaaaaaaa\nbbbbbbbb\n", "-", "-", "-"]);
        let mut device = FileSink::open(Path::new("/dev/null")).unwrap();
        device.length = 100;
        device.rotates = fs::symlink_metadata("/dev/null").unwrap().is_file();
        put(&mut device, "x\n");
        assert!(!Path::new("/dev/null.1").exists());
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let error = FileSink::open(Path::new("/nowhere/audit.jsonl")).err().unwrap();
        assert!(
            error.to_string().starts_with("cannot open the audit file `/nowhere/audit.jsonl`"),
            "{error}"
        );
    }
}
