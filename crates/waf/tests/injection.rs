//! `detectSQLi` and `detectXSS` refuse quickly what the library would refuse slowly, and nothing else; and the library, a
//! translation from C, neither panics nor hangs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may stop, and say why"
)]

mod shared;

use portcullis_waf::operator::{DataFiles, Operator, OperatorName};
use portcullis_waf::pattern::Captures;
use proptest::prelude::*;

struct NoFiles;

impl DataFiles for NoFiles {
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        Err(name.to_owned())
    }
}

fn agrees(value: &[u8]) {
    let mut captures = Captures::new();
    let operator = |name| Operator::new(name, "", &NoFiles).unwrap();
    let text = value.escape_ascii().to_string();
    let (sqli, xss) = (operator(OperatorName::DetectSqli), operator(OperatorName::DetectXss));
    let whole = libinjectionrs::detect_sqli(value).is_injection();
    assert_eq!(sqli.matches(value, false, &mut captures), whole, "SQL injection: {text}");
    assert_eq!(sqli.fingerprint(value).is_some(), whole);
    let whole = libinjectionrs::detect_xss(value).is_injection();
    assert_eq!(xss.matches(value, false, &mut captures), whole, "cross-site scripting: {text}");
}

#[test]
fn payloads() {
    shared::payloads().iter().for_each(|payload| agrees(payload));
}

#[test]
fn words_and_numbers_are_no_sql() {
    let operator = Operator::new(OperatorName::DetectSqli, "", &NoFiles).unwrap();
    let needs = operator.needs().unwrap();
    let words = "union select or and null true not like in is b x n q u e 0b1 0b12 0x1 1e1 1f 1 2 having user into \
                 current_date collate binary localtime xor unknown if \u{e9} 0x 1d 9e";
    let words: Vec<&str> = words.split_ascii_whitespace().collect();
    for first in &words {
        for second in &words {
            for third in &words {
                let value = format!("{first}{second}{third}").into_bytes();
                assert!(!needs.any_in(&value));
                assert!(!libinjectionrs::detect_sqli(&value).is_injection(), "{first}{second}{third}");
            }
        }
    }
}

#[test]
fn a_long_word_of_dots_costs_little() {
    let operator = Operator::new(OperatorName::DetectSqli, "", &NoFiles).unwrap();
    let mut captures = Captures::new();
    for dots in [b".".as_slice(), b"`", b"a."] {
        // Some hundred thousand of them would take the library minutes.
        let word = [b"(a".as_slice(), &dots.repeat(200_000)].concat();
        assert!(!operator.matches(&word, false, &mut captures));
        let attack = [b"1' or '1'='1' -- ".as_slice(), &word].concat();
        assert!(operator.matches(&attack, false, &mut captures));
    }
}

/// Bytes and words that the tokenizers look at.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&[u8]> = vec![
        b"'",
        b"\"",
        b"`",
        b"\\",
        b"--",
        b"-",
        b"#",
        b"/*",
        b"*/",
        b"/*!",
        b"(",
        b")",
        b"{",
        b"}",
        b"[",
        b"]",
        b";",
        b",",
        b".",
        b"=",
        b"<",
        b">",
        b"<=>",
        b"!",
        b"?",
        b"%",
        b"&",
        b"|",
        b"||",
        b"^",
        b"~",
        b"@",
        b"@@",
        b":",
        b":=",
        b"$",
        b"$$",
        b"$a$",
        b" ",
        b"\n",
        b"\t",
        b"\0",
        b"\xa0",
        b"\xff",
        b"\xc3\xa9",
        b"0x",
        b"0b",
        b"1",
        b"1e",
        b"1.5",
        b"e'",
        b"n'",
        b"q'(",
        b")'",
        b"nq'<",
        b"u&'",
        b"x'",
        b"b'",
        b"\\N",
        b"a",
        b"or",
        b"and",
        b"union",
        b"all",
        b"select",
        b"from",
        b"not",
        b"like",
        b"in",
        b"if",
        b"binary",
        b"collate",
        b"having",
        b"sp_password",
        b"user",
        b"int",
        b"case",
        b"when",
        b"declare",
        b"<script",
        b"<!--",
        b"-->",
        b"--!>",
        b"<![CDATA[",
        b"]]>",
        b"<!DOCTYPE",
        b"</",
        b"/>",
        b"<?",
        b"<%",
        b"%>",
        b"onload",
        b"href",
        b"style",
        b"javascript:",
        b"&#",
        b"&#x",
        b"6a",
        b"xmlns",
        b"<svg",
        b"\x0b",
        b"[if",
        b"import",
        b"<a",
        b"attributename",
    ];
    prop_oneof![
        4 => prop::collection::vec(prop::sample::select(words.clone()), 0..16).prop_map(|words| words.concat()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => "[a-zA-Z0-9_]{0,12}".prop_map(String::into_bytes),
        1 => (prop::sample::select(words), 0..200usize).prop_map(|(word, count)| word.repeat(count)),
    ]
}

proptest! {
    // `PROPTEST_CASES=2000000` with --release is how the library was looked at.
    #![proptest_config(ProptestConfig { max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn agrees_on_hostile_values(values in prop::collection::vec(hostile(), 64)) {
        values.iter().for_each(|value| agrees(value));
    }
}
