//! `detectXSS`, over a translation of libinjection.

use crate::pattern::{ByteSet, Captures};

/// Whether the value is cross-site scripting; it captures the value.
pub(super) fn detect(value: &[u8], captures: &mut Captures) -> bool {
    let detected =
        memchr::memchr2(b'<', b'=', value).is_some() && libinjectionrs::detect_xss(value).is_injection();
    if detected {
        captures.push(Some(0..value.len()));
    }
    detected
}

/// Tags, comments and document types begin with `<`, and an attribute is judged when its value comes, behind a `=`.
pub(super) fn needs() -> ByteSet {
    ByteSet::of(b"<=")
}
