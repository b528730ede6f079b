//! cssDecode: the escapes of CSS 2. Of a character beyond a byte the lower half is taken.

use super::hex::digit;
use super::js::narrow;
use super::rewrite::rewrite;

/// As many hexadecimal digits as an escape can have.
const LONGEST: usize = 6;

pub(super) fn decode(input: &[u8], output: &mut Vec<u8>) -> bool {
    rewrite(input, output, |bytes| memchr::memchr(b'\\', bytes), decode_one)
}

fn decode_one<'a>(special: &'a [u8], output: &mut Vec<u8>) -> &'a [u8] {
    let [b'\\', escaped @ ..] = special else { return special };
    let digits = escaped.iter().take(LONGEST).map_while(|byte| digit(*byte));
    let (count, character) =
        digits.fold((0_usize, 0_u32), |(count, value), digit| (count + 1, value << 4 | u32::from(digit)));
    if count == 0 {
        return match escaped {
            // A backslash at the end of a line joins it with the next; one at the end of the value is nothing.
            [b'\n', rest @ ..] => rest,
            [byte, rest @ ..] => {
                output.push(*byte);
                rest
            }
            [] => escaped,
        };
    }
    output.push(match u16::try_from(character) {
        Ok(code) => narrow(code),
        Err(_) => character.to_le_bytes()[0],
    });
    let rest = escaped.get(count..).unwrap_or_default();
    match rest {
        // One whitespace character ends the digits, so that what follows may look like one.
        [b' ' | b'\t'..=b'\r', after @ ..] => after,
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use crate::transform::{Transformation, tests::applied};

    #[test]
    fn escapes() {
        for (input, output) in [
            (&br"\a\b\f\n\r\t\v\?\'"[..], &b"\n\x0b\x0fnrtv?'"[..]),
            (br"\12\123\1234\12345\123456\ff01\ff5e", b"\x12#4EV!~"),
            (br"\00ff1c\0ff1c\1ff1c", b"<<\x1c"),
            (br"\1A\1 A\1234567\123456 7\1x\1 x", b"\x1a\x01AV7V7\x01x\x01x"),
            (b"\\3c \\3c  \\3c\r\n", b"<< <\n"),
            (b"ja\\vasc\\\nript\\", b"javascript"),
        ] {
            assert_eq!(applied(Transformation::CssDecode, input), output);
        }
    }
}
