//! jsDecode: the escapes of strings in JavaScript. Of a character beyond a byte the lower half is taken.

use super::escape_seq::{control, octal};
use super::hex::{pair, quad};
use super::rewrite::{keep, rewrite};

pub(super) fn decode(input: &[u8], output: &mut Vec<u8>) -> bool {
    rewrite(input, output, |bytes| memchr::memchr(b'\\', bytes), decode_one)
}

fn decode_one<'a>(special: &'a [u8], output: &mut Vec<u8>) -> &'a [u8] {
    let (byte, rest) = match hexadecimal(special) {
        Some(decoded) => decoded,
        None => match special {
            [b'\\', first @ b'0'..=b'7', ..] => {
                // A third digit belongs to the escape only as long as the value is a byte's.
                let longest = if *first <= b'3' { 3 } else { 2 };
                let (value, rest) = octal(special.get(1..).unwrap_or_default(), longest);
                let [_, byte] = value.to_be_bytes();
                (byte, rest)
            }
            [b'\\', escaped, rest @ ..] => (control(*escaped), rest),
            _ => return keep(special, output),
        },
    };
    output.push(byte);
    rest
}

fn hexadecimal(special: &[u8]) -> Option<(u8, &[u8])> {
    match special {
        [b'\\', b'u', a, b, c, d, rest @ ..] => Some((narrow(quad([*a, *b, *c, *d])?), rest)),
        [b'\\', b'x', high, low, rest @ ..] => Some((pair(*high, *low)?, rest)),
        _ => None,
    }
}

/// The lower half of a code unit; of a full-width character, the ASCII character that it is a form of.
pub(super) const fn narrow(code: u16) -> u8 {
    let [_, low] = code.to_be_bytes();
    if matches!(code, 0xff01..=0xff5e) { low.wrapping_add(0x20) } else { low }
}

#[cfg(test)]
mod tests {
    use crate::transform::{Transformation, tests::applied};

    #[test]
    fn escapes() {
        for (input, output) in [
            (&br"\u003cscript\x3E\uff1c\u013c"[..], &b"<script><<"[..]),
            (br"\U0041\X41", b"U0041X41"),
            (br"\101\4012\47\8", b"A 12'8"),
            (br"\'\/\n\", b"'/\n\\"),
            (br"\u{3c}", b"u{3c}"),
        ] {
            assert_eq!(applied(Transformation::JsDecode, input), output);
        }
    }
}
