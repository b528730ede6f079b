//! normalizePath and normalizePathWin: self-references, back-references and repeated slashes go.
//!
//! The end of a segment decides about it, as in libmodsecurity: one that ends in two dots is a back-reference whatever comes
//! before them.

pub(super) fn normalize(input: &[u8], output: &mut Vec<u8>) -> bool {
    normalize_with(|byte| byte == b'/', input, output)
}

/// Backslashes are slashes, and all of them are written as such.
pub(super) fn normalize_windows(input: &[u8], output: &mut Vec<u8>) -> bool {
    normalize_with(|byte| matches!(byte, b'/' | b'\\'), input, output)
}

fn normalize_with(is_slash: impl Fn(u8) -> bool, input: &[u8], output: &mut Vec<u8>) -> bool {
    let (Some(first), Some(last)) = (input.first(), input.last()) else { return false };
    output.reserve(input.len());
    let is_relative = !is_slash(*first);
    let mut at_root = false;
    let mut rest = input;
    while let [byte, after @ ..] = rest {
        rest = after;
        let ends_segment = after.first().is_none_or(|next| is_slash(*next));
        if is_slash(*byte) {
            // Of several slashes the last is written, and none before the first segment of a relative path.
            if !ends_segment || after.is_empty() {
                slash(is_relative, output);
            }
            continue;
        }
        if !ends_segment {
            output.push(*byte);
            continue;
        }
        if *byte != b'.' {
            at_root = at_root && output.is_empty();
            output.push(*byte);
            continue;
        }
        match output.last() {
            Some(b'.') if is_relative && (at_root || output.len() <= 2) => {
                at_root = true;
                output.push(b'.');
            }
            Some(b'.') => {
                back(output);
                if output.is_empty() {
                    at_root = true;
                    if !is_relative && after.is_empty() {
                        output.push(b'/');
                    }
                }
            }
            None => {}
            // The slash before a self-reference is the one after it.
            Some(b'/') if after.is_empty() => {}
            Some(b'/') => {
                output.pop();
            }
            Some(_) => output.push(b'.'),
        }
    }
    if !is_slash(*last) && output.last() == Some(&b'/') {
        output.pop();
    }
    true
}

fn slash(is_relative: bool, output: &mut Vec<u8>) {
    if !is_relative || !output.is_empty() {
        output.push(b'/');
    }
}

/// Takes off the first dot of a back-reference, the segment before it, and the slash before that.
fn back(output: &mut Vec<u8>) {
    let before = output.len().saturating_sub(3);
    let kept = output.get(..=before).unwrap_or_default();
    let at = memchr::memrchr(b'/', kept).unwrap_or(0);
    output.truncate(at);
}
