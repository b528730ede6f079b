//! The boundary in `Content-Type`.

use memchr::memmem;

use super::{Flags, MultipartError as Error};
use crate::body::is_space;

const TYPE: &[u8] = b"multipart/form-data";
const NAME: &[u8] = b"boundary";

/// The boundary that `content_type` names.
pub(super) fn parse<'a>(content_type: &'a [u8], flags: &mut Flags) -> Result<&'a [u8], Error> {
    if content_type.len() > 1024 {
        return Err(Error::ContentTypeLength);
    }
    let parameters = match content_type.split_at_checked(TYPE.len()) {
        Some((kind, parameters)) if kind.eq_ignore_ascii_case(TYPE) => parameters,
        _ => return Err(Error::MimeType),
    };
    let named = occurrences(content_type);
    if named > 1 {
        return Err(Error::SeveralBoundaries);
    }
    let Some(at) = memmem::find(parameters, NAME) else {
        return Err(if named > 0 { Error::BoundaryCase } else { Error::BoundaryMissing });
    };
    let before = parameters.get(..at).unwrap_or_default();
    match before.iter().copied().filter(|byte| !is_space(*byte)).collect::<Vec<u8>>().as_slice() {
        [] => flags.missing_semicolon = true,
        [b';'] => {}
        _ => return Err(Error::BoundaryMalformed),
    }
    let after = parameters.get(at + NAME.len()..).unwrap_or_default();
    let equals = memchr::memchr(b'=', after).ok_or(Error::BoundaryMalformed)?;
    let between = after.get(..equals).unwrap_or_default();
    if !between.iter().all(|byte| is_space(*byte)) {
        return Err(Error::BoundaryParameterName);
    }
    let value = after.get(equals + 1..).unwrap_or_default();
    flags.boundary_whitespace = !between.is_empty() || value.first().is_some_and(|byte| is_space(*byte));
    let boundary = match value {
        [b'"', quoted @ .., b'"'] => {
            flags.boundary_quoted = true;
            quoted
        }
        [b'"', ..] | [_, .., b'"'] => return Err(Error::BoundaryQuote),
        plain => plain,
    };
    check(boundary)?;
    Ok(boundary)
}

fn check(boundary: &[u8]) -> Result<(), Error> {
    if boundary.is_empty() {
        return Err(Error::BoundaryEmpty);
    }
    if occurrences(boundary) != 0 {
        return Err(Error::BoundaryContent);
    }
    // RFC 2046, section 5.1.1: a space may stand anywhere but at the end.
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b" '()+_,-./:=?".contains(byte);
    if !boundary.iter().all(allowed) || boundary.ends_with(b" ") {
        return Err(Error::BoundaryCharacters);
    }
    Ok(())
}

/// How often the word `boundary`, in any case, stands before a `=`.
fn occurrences(text: &[u8]) -> usize {
    let Some(last) = memchr::memrchr(b'=', text) else { return 0 };
    let text = text.get(..last).unwrap_or_default().to_ascii_lowercase();
    memmem::find_iter(&text, NAME).count()
}
