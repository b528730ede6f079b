//! What a ruleset was made of, to tell whether it would be the same if it were loaded again.

use std::path::PathBuf;

use aws_lc_rs::digest::{Context, Digest, SHA256, digest};

use crate::seclang::{Document, read_file};

/// The texts and data files of a ruleset.
#[derive(Debug)]
pub(crate) struct Origin {
    texts: Digest,
    data: Vec<DataFile>,
}

/// A file that a rule names, such as that of `@pmFromFile`, as it was when it was read.
#[derive(Debug)]
pub(crate) struct DataFile {
    path: PathBuf,
    content: Digest,
}

impl Origin {
    pub(crate) fn new(document: &Document, data: Vec<DataFile>) -> Self {
        Self { texts: texts(document), data }
    }

    /// Whether rules with these texts come to the same. Reads the data files again.
    pub(crate) fn is_of(&self, document: &Document) -> bool {
        self.texts.as_ref() == texts(document).as_ref() && self.data.iter().all(DataFile::is_unchanged)
    }
}

impl DataFile {
    pub(crate) fn new(path: PathBuf, bytes: &[u8]) -> Self {
        Self { path, content: digest(&SHA256, bytes) }
    }

    fn is_unchanged(&self) -> bool {
        read_file(&self.path).is_ok_and(|bytes| digest(&SHA256, &bytes).as_ref() == self.content.as_ref())
    }
}

/// Names count as well: they stand in messages, and data files are looked for beside the text.
fn texts(document: &Document) -> Digest {
    let mut context = Context::new(&SHA256);
    for source in &document.sources {
        let folder = source.folder.as_ref().map_or(&[][..], |folder| folder.as_os_str().as_encoded_bytes());
        for part in [source.name.as_bytes(), folder, source.text.as_bytes()] {
            context.update(&part.len().to_le_bytes());
            context.update(part);
        }
    }
    context.finish()
}
