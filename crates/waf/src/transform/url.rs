//! urlDecode, urlDecodeUni and urlEncode. What is not an escape stays as it is.

use memchr::memchr2;

use super::hex::{digits, pair, quad};
use super::rewrite::{keep, rewrite};
use super::unicode::best_fit;

pub(super) fn decode(input: &[u8], output: &mut Vec<u8>) -> bool {
    rewrite(input, output, find, decode_one)
}

/// Also `%uHHHH`, which is JavaScript's escape() and was IIS's.
pub(super) fn decode_unicode(input: &[u8], output: &mut Vec<u8>) -> bool {
    rewrite(input, output, find, |special, output| {
        if let [b'%', b'u' | b'U', a, b, c, d, rest @ ..] = special
            && let Some(code) = quad([*a, *b, *c, *d])
        {
            output.push(best_fit(code));
            return rest;
        }
        decode_one(special, output)
    })
}

fn find(bytes: &[u8]) -> Option<usize> {
    memchr2(b'%', b'+', bytes)
}

fn decode_one<'a>(special: &'a [u8], output: &mut Vec<u8>) -> &'a [u8] {
    match special {
        [b'+', rest @ ..] => {
            output.push(b' ');
            rest
        }
        [b'%', high, low, rest @ ..] => match pair(*high, *low) {
            Some(byte) => {
                output.push(byte);
                rest
            }
            None => keep(special, output),
        },
        _ => keep(special, output),
    }
}

/// Everything but ASCII letters, digits and the star is escaped.
pub(super) fn encode(input: &[u8], output: &mut Vec<u8>) -> bool {
    output.reserve(input.len());
    for byte in input {
        match byte {
            b' ' => output.push(b'+'),
            b'*' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => output.push(*byte),
            _ => {
                let [high, low] = digits(*byte);
                output.extend_from_slice(&[b'%', high, low]);
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use crate::transform::{Transformation, tests::applied};

    #[test]
    fn unicode_escapes_take_the_best_fit() {
        for (input, output) in [
            (&b"%uff1cscript%uFF1E"[..], &b"<script>"[..]),
            (b"%u2018 or %u02bc", b"' or '"),
            (b"%u3008", b"\x08"),
            (b"%U0041%41", b"AA"),
            (b"%u004%41", b"%u004A"),
            (b"%u00", b"%u00"),
            (b"%%41%4", b"%A%4"),
        ] {
            assert_eq!(applied(Transformation::UrlDecodeUni, input), output);
        }
        assert_eq!(applied(Transformation::UrlDecode, b"%u0041+%41"), b"%u0041 A");
    }
}
