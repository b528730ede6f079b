//! Which bodies the rules that come with the gateway look into. Pictures, archives and streams of messages hold nothing that
//! they could read, and holding them back would cost memory and break protocols that talk in both directions.

/// How much of a body is looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing of it.
    Nothing,
    /// Nothing of it, but its first byte must be that of a gRPC message: a client that only says so is not to pass text.
    Framing,
    /// Its beginning, which tells about the rest.
    Beginning,
    /// All of it.
    All,
}

impl Wanted {
    /// Whether the body, or some of it, has to be there before the rules can decide.
    #[must_use]
    pub const fn is_of_content(self) -> bool {
        matches!(self, Self::Beginning | Self::All)
    }
}

/// Types that are binary, or ought to be.
const BINARY: [&str; 13] = [
    "image/",
    "audio/",
    "video/",
    "font/",
    "application/octet-stream",
    "application/zip",
    "application/gzip",
    "application/x-gzip",
    "application/x-tar",
    "application/x-7z-compressed",
    "application/pdf",
    "application/zstd",
    "application/wasm",
];

/// How far a body is looked at to tell text from anything else.
pub const BEGINNING: usize = 1024;

/// What a body of this type is to the built-in rules. A body with a content coding is taken for text.
pub(super) fn wanted(content_type: &[u8], is_coded: bool) -> Wanted {
    let end = content_type.iter().position(|byte| *byte == b';').unwrap_or(content_type.len());
    let kind = content_type.get(..end).unwrap_or_default().trim_ascii().to_ascii_lowercase();
    if is_grpc(&kind) {
        return Wanted::Framing;
    }
    let is_binary = BINARY.iter().any(|known| match known.strip_suffix('/') {
        Some(_) => kind.starts_with(known.as_bytes()),
        None => kind == known.as_bytes(),
    });
    if is_binary && !is_coded && !kind.ends_with(b"+xml") { Wanted::Beginning } else { Wanted::All }
}

/// `application/grpc-web-text` is not among them: it is base64.
fn is_grpc(kind: &[u8]) -> bool {
    ["application/grpc", "application/grpc-web"].iter().any(|known| {
        kind.strip_prefix(known.as_bytes()).is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'+'))
    })
}

/// Whether a body that begins so is text, whatever its type says: then a service may read it as such. Zero bytes do not speak
/// against it, since some parsers take UTF-16.
pub(super) fn is_text(beginning: &[u8]) -> bool {
    let seen = beginning.get(..BEGINNING).unwrap_or(beginning);
    if seen.starts_with(&[0xff, 0xfe]) || seen.starts_with(&[0xfe, 0xff]) {
        return true;
    }
    let is_odd = |byte: &u8| matches!(byte, 1..=8 | 14..=26 | 28..=31 | 127);
    if seen.iter().any(is_odd) {
        return false;
    }
    match std::str::from_utf8(seen) {
        Ok(_) => true,
        // The cut may have gone through a character.
        Err(error) => error.error_len().is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Wanted, is_text, wanted};

    #[test]
    fn types_that_are_looked_into() {
        for (kind, expected) in [
            ("application/json", Wanted::All),
            ("", Wanted::All),
            ("application/x-msgpack", Wanted::All),
            ("image/svg+xml", Wanted::All),
            ("Image/PNG; q=1", Wanted::Beginning),
            ("application/octet-stream", Wanted::Beginning),
            ("application/octet-streams", Wanted::All),
            ("application/grpc", Wanted::Framing),
            ("application/grpc+proto", Wanted::Framing),
            ("application/grpc-web+proto", Wanted::Framing),
            ("application/grpc-web-text", Wanted::All),
        ] {
            assert_eq!(wanted(kind.as_bytes(), false), expected, "{kind}");
        }
        assert_eq!(wanted(b"image/png", true), Wanted::All);
    }

    #[test]
    fn what_text_looks_like() {
        for text in ["", "{\"a\": 1}", "a=1&b=2", "\r\n\t<x/>", "größe"] {
            assert!(is_text(text.as_bytes()), "{text}");
        }
        assert!(is_text(b"{\0\"\0a\0\"\0") && is_text("gr\u{f6}\u{df}e".as_bytes().get(..3).unwrap()));
        for binary in [b"\x89PNG\r\n\x1a\n".as_slice(), b"PK\x03\x04", b"\xff\xd8\xff\xe0", b"\0\0\0\x18ftyp"]
        {
            assert!(!is_text(binary), "{binary:?}");
        }
    }
}
