//! sqlHexDecode: the hexadecimal strings of SQL, `0x414243`.

use super::hex::pair;
use super::rewrite::{keep, rewrite};

/// What is not part of such a string stays. libmodsecurity also drops the last byte of a value that does not end in such a string,
/// and all that follows a NUL; both would hide an attack, and no rule can mean them.
pub(super) fn decode_hex(input: &[u8], output: &mut Vec<u8>) -> bool {
    rewrite(
        input,
        output,
        |bytes| memchr::memchr(b'0', bytes),
        |special, output| {
            let [b'0', b'x' | b'X', digits @ ..] = special else { return keep(special, output) };
            let mut rest = digits;
            while let [high, low, tail @ ..] = rest
                && let Some(byte) = pair(*high, *low)
            {
                output.push(byte);
                rest = tail;
            }
            if rest.len() == digits.len() {
                return keep(special, output);
            }
            rest
        },
    )
}

#[cfg(test)]
mod tests {
    use crate::transform::{Transformation, tests::applied};

    #[test]
    fn strings() {
        for (input, output) in [
            (&b"SELECT 0x414243, 0X44"[..], &b"SELECT ABC, D"[..]),
            (b"0x4142c", b"ABc"),
            (b"0x4 0xg1 0x 0", b"0x4 0xg1 0x 0"),
            (b"a\x000x41b", b"a\0Ab"),
            (b"00x41", b"0A"),
        ] {
            assert_eq!(applied(Transformation::SqlHexDecode, input), output);
        }
    }
}
