//! md5, sha1 and length: what a value becomes that only its identity or size matters of. The digests are raw bytes; rules follow
//! them with hexEncode.

use std::io::Write as _;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use md5::{Digest as _, Md5};

pub(super) fn md5(input: &[u8], output: &mut Vec<u8>) -> bool {
    output.extend_from_slice(&Md5::digest(input));
    true
}

pub(super) fn sha1(input: &[u8], output: &mut Vec<u8>) -> bool {
    output.extend_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, input).as_ref());
    true
}

pub(super) fn length(input: &[u8], output: &mut Vec<u8>) -> bool {
    write!(output, "{}", input.len()).is_ok()
}
