//! removeNulls and replaceNulls.

use super::rewrite::rewrite;

pub(super) fn remove_nulls(input: &[u8], output: &mut Vec<u8>) -> bool {
    rewrite(input, output, find, |special, _| special.get(1..).unwrap_or_default())
}

pub(super) fn replace_nulls(input: &[u8], output: &mut Vec<u8>) -> bool {
    rewrite(input, output, find, |special, output| {
        output.push(b' ');
        special.get(1..).unwrap_or_default()
    })
}

fn find(bytes: &[u8]) -> Option<usize> {
    memchr::memchr(0, bytes)
}
