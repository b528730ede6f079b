//! trim, compressWhitespace and removeWhitespace. Whitespace is C's: the space, and the control characters from tab to return.

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

pub(super) fn trim(input: &[u8], output: &mut Vec<u8>) -> bool {
    copy_part(after_spaces(before_spaces(input)), input, output)
}

pub(super) fn trim_left(input: &[u8], output: &mut Vec<u8>) -> bool {
    copy_part(after_spaces(input), input, output)
}

pub(super) fn trim_right(input: &[u8], output: &mut Vec<u8>) -> bool {
    copy_part(before_spaces(input), input, output)
}

fn copy_part(part: &[u8], input: &[u8], output: &mut Vec<u8>) -> bool {
    if part.len() == input.len() {
        return false;
    }
    output.extend_from_slice(part);
    true
}

fn after_spaces(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_space(*first)
    {
        bytes = rest;
    }
    bytes
}

fn before_spaces(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., last] = bytes
        && is_space(*last)
    {
        bytes = rest;
    }
    bytes
}

/// A run of whitespace, even of one character, becomes a space.
pub(super) fn compress(input: &[u8], output: &mut Vec<u8>) -> bool {
    output.reserve(input.len());
    let mut rest = input;
    while let Some(start) = rest.iter().position(|byte| is_space(*byte)) {
        let (text, run) = rest.split_at(start);
        output.extend_from_slice(text);
        output.push(b' ');
        rest = after_spaces(run);
    }
    output.extend_from_slice(rest);
    true
}

/// The no-break space goes too, as Latin-1 and as UTF-8 write it. libmodsecurity takes its two bytes for whitespace wherever
/// they stand.
pub(super) fn remove(input: &[u8], output: &mut Vec<u8>) -> bool {
    output.reserve(input.len());
    for run in input.split(|byte| is_space(*byte) || matches!(byte, 0xa0 | 0xc2)) {
        output.extend_from_slice(run);
    }
    true
}

#[cfg(test)]
mod tests {
    use crate::transform::{Transformation, tests::applied};

    #[test]
    fn whitespace_is_that_of_c() {
        let value = b"\x0b\t a \x0c\r\nb\0 \xa0";
        assert_eq!(applied(Transformation::Trim, value), b"a \x0c\r\nb\0 \xa0");
        assert_eq!(applied(Transformation::CompressWhitespace, value), b" a b\0 \xa0");
        assert_eq!(applied(Transformation::RemoveWhitespace, value), b"ab\0");
        assert_eq!(applied(Transformation::RemoveWhitespace, "a\u{a0}b".as_bytes()), b"ab");
        assert_eq!(applied(Transformation::Trim, b" \n "), b"");
    }
}
