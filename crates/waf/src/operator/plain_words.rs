//! Text that cannot be SQL injection, told without the tokenizer of libinjection: most of what people send.
//!
//! libinjection turns a value into at most five tokens and looks their types up in a list of fingerprints. No fingerprint on
//! the list consists of barewords, numbers, operators, commas, dots and colons alone. So text of such characters of which no word
//! is one that libinjection gives another type is none of them. The library's own check costs a microsecond for a short
//! sentence, this one a twentieth.

use std::sync::LazyLock;

use libinjectionrs::sqli::sqli_data::SQL_KEYWORDS;

/// A run of digits and letters that is longer is left to the library.
const LONGEST_MIXED: usize = 24;

/// Bits of [`WORDS`].
const BITS: usize = 1 << 16;

/// A bit for each word that occurs in libinjection's list, by a hash of its first eight letters. Other words can share a bit:
/// then the library decides.
static WORDS: LazyLock<Box<[u64]>> = LazyLock::new(|| {
    let mut bits = vec![0_u64; BITS / 64];
    for keyword in SQL_KEYWORDS.iter().filter(|keyword| keyword.token_type != b'F') {
        for word in keyword.word.as_bytes().split(|&byte| !is_word(byte)) {
            let bit = hash(word);
            if let Some(place) = bits.get_mut(bit / 64) {
                *place |= 1 << (bit % 64);
            }
        }
    }
    bits.into()
});

/// Whether `value` consists of words, numbers and simple punctuation only, none of the words known to SQL.
pub(super) fn is_plain(value: &[u8]) -> bool {
    let mut rest = value;
    loop {
        let end = rest.iter().position(|&byte| !is_word(byte)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if !is_plain_word(word) {
            return false;
        }
        rest = match after {
            [] => return true,
            // `--` and `/*` begin comments.
            [b'-', b'-', ..] | [b'/', b'*', ..] => return false,
            [b' ' | b',' | b'.' | b':' | b'-' | b'/' | b'+' | b'=', rest @ ..] => rest,
            _ => return false,
        };
    }
}

/// A word is plain if it is not known; one that begins with a digit, if no part of it that could be left over from reading
/// a number is.
fn is_plain_word(word: &[u8]) -> bool {
    match word {
        [first, ..] if first.is_ascii_digit() => {
            word.len() <= LONGEST_MIXED
                && (1..word.len()).all(|start| {
                    let part = word.get(start..).unwrap_or_default();
                    part.first().is_some_and(u8::is_ascii_digit) || !is_known(part)
                })
        }
        _ => word.is_empty() || !is_known(word),
    }
}

/// Whether a word may occur in libinjection's list.
pub(super) fn is_known(word: &[u8]) -> bool {
    let bit = hash(word);
    WORDS.get(bit / 64).is_none_or(|place| place & (1 << (bit % 64)) != 0)
}

fn hash(word: &[u8]) -> usize {
    let mut key = 0_u64;
    for byte in word.iter().take(8) {
        key = key << 8 | u64::from(byte.to_ascii_lowercase());
    }
    usize::try_from(key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48).unwrap_or(0)
}

/// What libinjection reads as one word, dots and backticks apart.
pub(super) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || (byte >= 0x80 && byte != 0xa0)
}

#[cfg(test)]
mod tests {
    use libinjectionrs::{SqliFlags, SqliState};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prose_is_plain_and_sql_is_not() {
        for plain in [
            "Blue widget",
            "Please leave the parcel near my door. Ring twice, the bell is quiet.",
            "2f1c6d0e-5c7b-4a53-9f0e-1b2c3d4e5f60",
            "json.address.street",
            "2026-12-01",
        ] {
            let seen = super::super::sqli::tokenized(plain.as_bytes());
            assert!(seen.is_none(), "{plain}");
        }
        for sql in ["1 or 1", "union select", "admin'", "a--b", "x/**/y", "1;drop"] {
            assert!(!is_plain(sql.as_bytes()), "{sql}");
        }
        assert!(is_plain(b"Blue widget") && is_plain(b"json.address.street"));
    }

    #[test]
    fn no_fingerprint_is_made_of_plain_tokens_alone() {
        for keyword in SQL_KEYWORDS.iter().filter(|keyword| keyword.token_type == b'F') {
            let types = keyword.word.get(1..).unwrap();
            assert!(!types.chars().all(|kind| "N1O,.:".contains(kind)), "{types}");
        }
    }

    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => "[a-z0-9_.,:/+= -]{1,6}",
            2 => proptest::sample::select(
                vec![
                    "or", "and", "select", "union", "1", "0x1f", "1e5", "not", "in", "group", "by", "2f", "e", "x", "b", "n",
                    "-", "=", ":", "is", "null", "order", "like", "cross", "join", "if", "case", "when", "end", "div", "mod",
                ]
            ).prop_map(str::to_owned),
            1 => Just(" ".to_owned()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn what_is_plain_is_no_injection_to_libinjection(pieces in proptest::collection::vec(piece(), 0..12)) {
            let text = pieces.concat();
            if is_plain(text.as_bytes()) {
                let mut state = SqliState::new(text.as_bytes(), SqliFlags::FLAG_NONE);
                prop_assert!(!state.detect(), "{text}");
            }
        }
    }
}
