//! htmlEntityDecode: numeric entities and the five names that libmodsecurity knows, with or without the semicolon, in any case.

use super::rewrite::{keep, rewrite};

const NO_BREAK_SPACE: u8 = 0xa0;

pub(super) fn decode(input: &[u8], output: &mut Vec<u8>) -> bool {
    rewrite(input, output, |bytes| memchr::memchr(b'&', bytes), decode_one)
}

fn decode_one<'a>(special: &'a [u8], output: &mut Vec<u8>) -> &'a [u8] {
    let (byte, rest) = match special {
        [b'&', b'#', b'x' | b'X', digits @ ..] => number(digits, 16),
        [b'&', b'#', digits @ ..] => number(digits, 10),
        [b'&', name @ ..] => named(name),
        _ => (None, special),
    };
    let Some(byte) = byte else { return keep(special, output) };
    output.push(byte);
    rest.strip_prefix(b";").unwrap_or(rest)
}

/// The lowest byte of the number. One beyond what strtol() reads is read as the largest it does.
fn number(bytes: &[u8], radix: u32) -> (Option<u8>, &[u8]) {
    let mut rest = bytes;
    let mut value = 0_i64;
    while let [first, tail @ ..] = rest
        && let Some(digit) = char::from(*first).to_digit(radix)
    {
        value = value.saturating_mul(i64::from(radix)).saturating_add(i64::from(digit));
        rest = tail;
    }
    let [.., lowest] = value.to_be_bytes();
    ((rest.len() < bytes.len()).then_some(lowest), rest)
}

fn named(bytes: &[u8]) -> (Option<u8>, &[u8]) {
    let end = bytes.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(bytes.len());
    let (name, rest) = bytes.split_at(end);
    let known =
        [(&b"quot"[..], b'"'), (b"amp", b'&'), (b"lt", b'<'), (b"gt", b'>'), (b"nbsp", NO_BREAK_SPACE)];
    let byte = known.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, byte)| *byte);
    (byte, rest)
}

#[cfg(test)]
mod tests {
    use crate::transform::{Transformation, tests::applied};

    #[test]
    fn entities() {
        for (input, output) in [
            (&b"&lt;a&GT&quot;&amp;lt;&nbsp;"[..], &b"<a>\"&lt;\xa0"[..]),
            (b"&#60&#x3c;&#X03C;&#0000060;", b"<<<<"),
            (b"&#x13c;", b"<"),
            (b"&#99999999999999999999;&#xffffffffffffffffff", b"\xff\xff"),
            (b"&lta;&apos;&;&", b"&lta;&apos;&;&"),
            (b"&#;&#x;&#x", b"&#;&#x;&#x"),
            (b"&&lt;&#&lt;&foo&lt;", b"&<&#<&foo<"),
            (b"&#10", b"\n"),
        ] {
            assert_eq!(applied(Transformation::HtmlEntityDecode, input), output);
        }
    }
}
