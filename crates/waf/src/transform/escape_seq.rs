//! escapeSeqDecode: the escape sequences of ANSI C.

use super::hex::pair;
use super::rewrite::{keep, rewrite};

pub(super) fn decode(input: &[u8], output: &mut Vec<u8>) -> bool {
    rewrite(input, output, |bytes| memchr::memchr(b'\\', bytes), decode_one)
}

fn decode_one<'a>(special: &'a [u8], output: &mut Vec<u8>) -> &'a [u8] {
    if let [b'\\', b'x' | b'X', high, low, rest @ ..] = special
        && let Some(byte) = pair(*high, *low)
    {
        output.push(byte);
        return rest;
    }
    let (byte, rest) = match special {
        [b'\\', b'0'..=b'7', ..] => {
            // Three digits can say more than a byte holds, and libmodsecurity then keeps the lower bits.
            let (value, rest) = octal(special.get(1..).unwrap_or_default(), 3);
            let [_, byte] = value.to_be_bytes();
            (byte, rest)
        }
        [b'\\', escaped, rest @ ..] => (control(*escaped), rest),
        _ => return keep(special, output),
    };
    output.push(byte);
    rest
}

/// The control character that a letter after the backslash stands for; anything else stands for itself.
pub(super) const fn control(escaped: u8) -> u8 {
    match escaped {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        _ => escaped,
    }
}

/// The number that at most `longest` octal digits are.
pub(super) fn octal(bytes: &[u8], longest: usize) -> (u16, &[u8]) {
    let count = bytes.iter().take(longest).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    let (digits, rest) = bytes.split_at(count);
    (digits.iter().fold(0, |value, digit| value << 3 | u16::from(digit & 7)), rest)
}

#[cfg(test)]
mod tests {
    use crate::transform::{Transformation, tests::applied};

    #[test]
    fn sequences() {
        for (input, output) in [
            (&br#"\a\b\f\n\r\t\v\\\?\'\""#[..], &b"\x07\x08\x0c\n\r\t\x0b\\?'\""[..]),
            (br"\x41\X42\x4", b"ABx4"),
            (br"\xag\xga", b"xagxga"),
            (br"\101\1018\777\8", b"AA8\xff8"),
            (br"\0\12", b"\0\n"),
            (br"c\at\", b"c\x07t\\"),
        ] {
            assert_eq!(applied(Transformation::EscapeSeqDecode, input), output);
        }
    }
}
