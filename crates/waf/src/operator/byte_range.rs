//! `validateByteRange`.

use super::OperatorError;
use crate::pattern::ByteSet;

/// Reads `10,13,32-126`: the bytes that may occur.
pub(super) fn parse(argument: &str) -> Result<ByteSet, OperatorError> {
    let mut allowed = ByteSet::NONE;
    let mut offset = 0;
    for part in argument.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.trim().parse::<u8>(), last.trim().parse::<u8>()) {
            (Ok(first), Ok(last)) if first <= last => allowed = allowed.union(ByteSet::range(first, last)),
            // As in ModSecurity, nothing allows nothing.
            _ if argument.trim().is_empty() => {}
            _ => {
                return Err(OperatorError::new(
                    format!(
                        "{part:?} is no range of bytes: write numbers from 0 to 255 such as `9,10,32-126`"
                    ),
                    offset,
                ));
            }
        }
        offset += part.len() + 1;
    }
    Ok(allowed)
}
