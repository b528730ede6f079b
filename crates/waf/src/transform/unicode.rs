//! utf8toUnicode, and how urlDecodeUni turns a character into a byte.

use super::hex::digits;
use super::rewrite::rewrite;

/// The byte that stands for the UTF-16 code unit `code`: its best fit in US-ASCII (Windows' code page 20127, which is what the
/// recommended configuration of ModSecurity sets), else its lower half.
pub(super) fn best_fit(code: u16) -> u8 {
    let [high, low] = code.to_be_bytes();
    if matches!(code, 0xff01..=0xff5e) {
        return low.wrapping_add(0x20);
    }
    let index = BEST_FIT.partition_point(|(first, _)| *first <= code).checked_sub(1);
    let fit = index.and_then(|index| BEST_FIT.get(index)).and_then(|(first, fits)| {
        let offset = usize::from(code.checked_sub(*first)?);
        fits.get(offset).copied().filter(|fit| *fit != NONE)
    });
    debug_assert!(high != 0 || low >= 0x80 || fit.is_none(), "ASCII is its own best fit");
    fit.unwrap_or(low)
}

/// No best fit.
const NONE: u8 = b'\0';

/// Runs of code units by their first one, with the best fit of each. Full-width characters are a rule and not listed.
static BEST_FIT: [(u16, &[u8]); 17] = [
    (
        0xa0,
        b" !c\0$Y|\0\0Ca<\0-R\0\0\x0023\0\0\0.,1o>\0\0\0\0AAAAAAACEEEEIIIIDNOOOOO\0OUUUUY\0\0\
        aaaaaaaceeeeiiii\0nooooo\0ouuuuy\0yAaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIi\0\0Jj\
        Kk\0LlLlLl\0\0LlNnNnNn\0\0\0OoOoOoOoRrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZ\0ZzZz\0b",
    ),
    (0x189, b"D"),
    (0x191, b"Ff\0\0\0\0I\0\0l\0\0\0\0OOo"),
    (0x1ab, b"t\0\0TUu"),
    (0x1b6, b"z"),
    (0x1cd, b"AaIiOoUuUuUuUuUu\0Aa\0\0\0\0GgGgKkOoOo\0\0j"),
    (0x261, b"g"),
    (0x2b9, b"'\"\0'"),
    (0x2c4, b"^\0^\0'\0\0`\0_"),
    (0x2dc, b"~"),
    (0x300, b"`\0^~"),
    (0x30e, b"\""),
    (0x331, b"__"),
    (0x2000, b"       "),
    (0x2010, b"--\0--\0\0\0'',\0\"\"\"\0\0\0.\0\0\0."),
    (0x2032, b"'\0\0`\0\0\0<>"),
    (0x2122, b"T"),
];

/// Sequences of UTF-8 become `%uHHHH`. ASCII stays, except for NUL, which vanishes.
///
/// Sequences are checked as leniently as libmodsecurity checks them, because overlong forms and surrogates are how attacks are
/// hidden: those are decoded, and followed by their first byte as a mark. The first byte of a sequence that is cut off vanishes;
/// bytes that cannot start one stay.
pub(super) fn from_utf8(input: &[u8], output: &mut Vec<u8>) -> bool {
    rewrite(input, output, |bytes| bytes.iter().position(|byte| *byte == 0 || !byte.is_ascii()), convert)
}

fn convert<'a>(special: &'a [u8], output: &mut Vec<u8>) -> &'a [u8] {
    let [first, rest @ ..] = special else { return special };
    // The bytes that follow the first, its own bits, and the least character that needs so long a sequence.
    let (length, bits, least) = match first {
        0 => return rest,
        0xc0..=0xdf => (1, first & 0x1f, 0x80),
        0xe0..=0xef => (2, first & 0x0f, 0x800),
        0xf0..=0xf7 => (3, first & 0x07, 0x1_0000),
        _ => {
            output.push(*first);
            return rest;
        }
    };
    if *first >= 0xf5 {
        output.push(*first);
    }
    let Some((following, after)) = rest.split_at_checked(length) else { return rest };
    let mut character = u32::from(bits);
    for byte in following {
        if byte & 0xc0 != 0x80 {
            return rest;
        }
        character = character << 6 | u32::from(byte & 0x3f);
    }
    escape(character, output);
    if character < least || matches!(character, 0xd800..=0xdfff) {
        output.push(*first);
    }
    after
}

/// `%u` and at least four digits.
fn escape(character: u32, output: &mut Vec<u8>) {
    output.extend_from_slice(b"%u");
    let [_, plane, high, low] = character.to_be_bytes();
    let [tens, ones] = digits(plane);
    if tens != b'0' {
        output.push(tens);
    }
    if plane != 0 {
        output.push(ones);
    }
    output.extend_from_slice(&digits(high));
    output.extend_from_slice(&digits(low));
}

#[cfg(test)]
mod tests {
    use super::best_fit;
    use crate::transform::{Transformation, tests::applied};

    #[test]
    fn best_fits() {
        for (code, byte) in [
            (0x41, b'A'),
            (0xa0, b' '),
            (0xb2, b'2'),
            (0xb3, b'3'),
            (0xd7, 0xd7),
            (0xff, b'y'),
            (0x100, b'A'),
            (0x180, b'b'),
            (0x181, 0x81),
            (0x1b6, b'z'),
            (0x1f0, b'j'),
            (0x2006, b' '),
            (0x2007, 7),
            (0x2026, b'.'),
            (0x203a, b'>'),
            (0x2122, b'T'),
            (0xff00, 0),
            (0xff01, b'!'),
            (0xff1f, b'?'),
            (0xff5e, b'~'),
            (0xff5f, 0x5f),
            (0xffff, 0xff),
        ] {
            assert_eq!(best_fit(code), byte, "{code:04x}");
        }
    }

    #[test]
    fn sequences_of_every_length_and_broken_ones() {
        for (input, output) in [
            ("é €".as_bytes(), &b"%u00e9 %u20ac"[..]),
            ("\u{1f600}\u{10ffff}".as_bytes(), b"%u1f600%u10ffff"),
            (b"a\0b", b"ab"),
            (b"\xc0\xbc", b"%u003c\xc0"),
            (b"\xe0\x80\xbc", b"%u003c\xe0"),
            (b"\xed\xa0\x80", b"%ud800\xed"),
            (b"\xf7\xbf\xbf\xbf", b"\xf7%u1fffff"),
            (b"sel\xc3ect\xe2\x82", b"select\x82"),
            (b"\x80\xf8", b"\x80\xf8"),
        ] {
            let mut bytes = Vec::new();
            let changed = Transformation::Utf8ToUnicode.apply(input, &mut bytes);
            assert_eq!(changed, input != output, "{input:?}");
            assert_eq!(applied(Transformation::Utf8ToUnicode, input), output, "{input:?}");
        }
    }
}
