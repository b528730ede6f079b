//! Files: their names with wildcards, and their texts.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

/// The most bytes of one file.
pub(super) const MAX_FILE: u64 = 16 << 20;
/// The most files that one name with wildcards may stand for.
const MAX_MATCHES: usize = 10_000;

/// The files that a name stands for, in alphabetical order. Without wildcards that is the name itself.
pub(super) fn expand(name: &Path) -> Result<Vec<PathBuf>, String> {
    if !name.components().any(|component| has_wildcard(&component)) {
        return Ok(vec![name.to_owned()]);
    }
    let mut found = vec![PathBuf::new()];
    let mut components = name.components().peekable();
    while let Some(component) = components.next() {
        let last = components.peek().is_none();
        if has_wildcard(&component) {
            let pattern = component.as_os_str().to_string_lossy();
            let mut next = Vec::new();
            for folder in &found {
                next.extend(entries(folder, &pattern, last)?);
            }
            found = next;
        } else {
            for path in &mut found {
                path.push(component);
            }
            if last {
                found.retain(|path| path.is_file());
            }
        }
        if found.len() > MAX_MATCHES {
            return Err(format!("`{}` stands for more than {MAX_MATCHES} files", name.display()));
        }
    }
    if found.is_empty() {
        return Err(format!("no file matches `{}`", name.display()));
    }
    Ok(found)
}

fn has_wildcard(component: &Component<'_>) -> bool {
    matches!(component, Component::Normal(name) if name.to_string_lossy().contains(['*', '?']))
}

/// What a pattern matches in a folder: files at the end of a name, folders before. A folder that is not there matches
/// nothing.
fn entries(folder: &Path, pattern: &str, files: bool) -> Result<Vec<PathBuf>, String> {
    let place = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(listing) = place.read_dir() else {
        return if place.is_dir() {
            Err(format!("the folder `{}` cannot be read", place.display()))
        } else {
            Ok(Vec::new())
        };
    };
    let mut found: Vec<PathBuf> = listing
        .filter_map(Result::ok)
        .filter(|entry| matches(pattern, &entry.file_name().to_string_lossy()))
        .map(|entry| folder.join(entry.file_name()))
        .filter(|path| if files { path.is_file() } else { path.is_dir() })
        .collect();
    found.sort();
    Ok(found)
}

/// Whether a pattern of `*` and `?` matches a name. A hidden file is matched by no wildcard.
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n, mut star) = (0, 0, None);
    while let Some(c) = name.get(n) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == c => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((star_p, star_n)) = star else { return false };
                star = Some((star_p, star_n + 1));
                p = star_p + 1;
                n = star_n + 1;
            }
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

/// The bytes of a regular file of bounded size.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| format!("the file cannot be read: {error}");
    // Asked before it is opened: opening a pipe would wait for its writer.
    if !path.metadata().map_err(cannot)?.is_file() {
        return Err("the file cannot be read: it is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes)).map_err(cannot)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("the file is larger than {MAX_FILE} bytes"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, name) in
            [("*.conf", "a.conf"), ("a?c", "abc"), ("*a*b", "xaab"), ("*", "x"), (".*", ".x")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("*.conf", "a.conf.example"), ("a?c", "ac"), ("*", ".x"), ("a*b", "ac"), ("", "a")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn files_come_in_alphabetical_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b/2.conf", "b/1.conf", "a/3.conf", "a/x.data", "a/d.conf/x"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = expand(&folder.path().join("?/*.conf")).unwrap();
        let found: Vec<_> = found.iter().map(|path| path.strip_prefix(folder.path()).unwrap()).collect();
        assert_eq!(found, ["a/3.conf", "b/1.conf", "b/2.conf"].map(Path::new));
        assert!(expand(&folder.path().join("c/*.conf")).unwrap_err().starts_with("no file matches"));
    }

    #[test]
    fn only_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).unwrap_err().contains("not a regular file"));
        assert!(read(&folder.path().join("x")).unwrap_err().contains("cannot be read"));
    }
}
