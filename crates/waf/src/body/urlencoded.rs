//! `application/x-www-form-urlencoded`: query strings and bodies.

use super::hex_pair;
use crate::pairs::Pairs;

/// What was peculiar about an input; the arguments themselves are in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UrlEncoded {
    /// A `%` was not followed by two hexadecimal digits: `URLENCODED_ERROR`.
    pub invalid_encoding: bool,
    /// There were more arguments than the limit, and the rest was not looked at.
    pub too_many: bool,
}

/// Appends the arguments of `input` to `out`, at most `limit` of them.
///
/// As in ModSecurity 3: arguments are separated by `separator` (`SecArgumentSeparator`, normally `&`) and divided at their
/// first `=`; one without `=` has an empty value. Two separators in a row enclose an argument with an empty name and value,
/// and only the end of the input after a separator does not. `+` is a space. An invalid `%` stays as it is.
pub fn parse(input: &[u8], separator: u8, limit: usize, out: &mut Pairs) -> UrlEncoded {
    let mut found = UrlEncoded::default();
    let mut rest = input;
    let mut count = 0;
    while !rest.is_empty() {
        if count == limit {
            found.too_many = true;
            break;
        }
        count += 1;
        let argument;
        (argument, rest) = split_at(rest, separator);
        let (name, value) = split_at(argument, b'=');
        let (mut valid_name, mut valid_value) = (true, true);
        out.push_with(
            |buffer| valid_name = decode(name, buffer),
            |buffer| valid_value = decode(value, buffer),
        );
        found.invalid_encoding |= !valid_name || !valid_value;
    }
    found
}

/// What stands before and behind the first `byte`; everything and nothing where there is none.
fn split_at(input: &[u8], byte: u8) -> (&[u8], &[u8]) {
    memchr::memchr(byte, input)
        .and_then(|at| Some((input.get(..at)?, input.get(at + 1..)?)))
        .unwrap_or((input, &[]))
}

/// Appends `input` with `%xx` and `+` decoded, and tells whether every `%` was valid.
pub fn decode(input: &[u8], out: &mut Vec<u8>) -> bool {
    let mut valid = true;
    let mut rest = input;
    out.reserve(input.len());
    while let Some(at) = memchr::memchr2(b'%', b'+', rest) {
        let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        let (byte, length) = match special {
            [b'+', ..] => (Some(b' '), 1),
            [_, high, low, ..] => (hex_pair(*high, *low), 3),
            _ => (None, 1),
        };
        valid &= byte.is_some();
        out.push(byte.unwrap_or(b'%'));
        rest = special.get(if byte.is_some() { length } else { 1 }..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    valid
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(input: &str) -> (Vec<(String, String)>, UrlEncoded) {
        let mut out = Pairs::new();
        let found = parse(input.as_bytes(), b'&', 1000, &mut out);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (out.iter().map(|(name, value)| (text(name), text(value))).collect(), found)
    }

    #[test]
    fn splits_as_modsecurity_does() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("", &[]),
            ("&", &[("", "")]),
            ("&&", &[("", ""), ("", "")]),
            ("a", &[("a", "")]),
            ("=", &[("", "")]),
            ("=b", &[("", "b")]),
            ("a=1&", &[("a", "1")]),
            ("a=1&&b=2", &[("a", "1"), ("", ""), ("b", "2")]),
            ("a=b=c", &[("a", "b=c")]),
            ("a=1&a=2", &[("a", "1"), ("a", "2")]),
            ("a%3Db=c%26d", &[("a=b", "c&d")]),
            ("a+b=%2B+%2b", &[("a b", "+ +")]),
            ("a;b=1", &[("a;b", "1")]),
        ];
        for (input, expected) in cases {
            let (found, flags) = parsed(input);
            let found: Vec<(&str, &str)> = found.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            assert_eq!(&found, expected, "{input:?}");
            assert_eq!(flags, UrlEncoded::default(), "{input:?}");
        }
    }

    #[test]
    fn invalid_sequences_stay_and_are_flagged() {
        for (input, value) in [
            ("a=%", "%"),
            ("a=%4", "%4"),
            ("a=%zz", "%zz"),
            ("a=%%41", "%A"),
            ("a=%4%41", "%4A"),
            ("a=%u0041", "%u0041"),
        ] {
            let (found, flags) = parsed(input);
            assert_eq!(found, [("a".to_owned(), value.to_owned())]);
            assert!(flags.invalid_encoding, "{input:?}");
        }
        assert!(parsed("%=a").1.invalid_encoding);
    }

    #[test]
    fn the_limit_holds() {
        let mut out = Pairs::new();
        assert!(!parse(b"a&b", b'&', 2, &mut out).too_many);
        assert!(parse(b"a&b&c", b'&', 2, &mut out).too_many);
        assert_eq!(out.len(), 4);
        assert!(parse(b"a", b'&', 0, &mut out).too_many);
    }

    #[test]
    fn another_separator() {
        let mut out = Pairs::new();
        parse(b"a=1;b=2&c", b';', 9, &mut out);
        assert_eq!(out.iter().collect::<Vec<_>>(), [(&b"a"[..], &b"1"[..]), (b"b", b"2&c")]);
    }

    fn encode(input: &[u8]) -> String {
        input.iter().map(|byte| format!("%{byte:02x}")).collect()
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(list in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..9), any::<Vec<u8>>()), 0..9)) {
            let text: Vec<String> = list.iter().map(|(n, v)| format!("{}={}", encode(n), encode(v))).collect();
            let mut out = Pairs::new();
            let found = parse(text.join("&").as_bytes(), b'&', 100, &mut out);
            prop_assert_eq!(found, UrlEncoded::default());
            let back: Vec<(Vec<u8>, Vec<u8>)> = out.iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
            prop_assert_eq!(back, list);
        }

        #[test]
        fn never_panics_and_never_grows(input in "[%+&=a-f0-9]{0,64}") {
            let mut out = Pairs::new();
            parse(input.as_bytes(), b'&', 100, &mut out);
            prop_assert!(out.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>() <= input.len());
        }
    }
}
