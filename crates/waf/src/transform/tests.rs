//! What holds for every transformation and every value.

use proptest::prelude::*;

use crate::pattern::Kinds;

use super::{Contents, Transformation};

/// The value that a rule sees after the transformation.
pub(super) fn applied(transformation: Transformation, input: &[u8]) -> Vec<u8> {
    let mut output = b"left over".to_vec();
    if transformation.apply(input, &mut output) { output } else { input.to_vec() }
}

fn check(input: &[u8]) {
    let contents = Contents::of(input);
    let mut output = Vec::new();
    for transformation in Transformation::ALL {
        let name = transformation.name();
        output.clear();
        output.extend_from_slice(b"left over");
        if transformation.apply(input, &mut output) {
            assert_ne!(output, input, "{name} answers that it changed {input:?}");
            assert!(transformation.may_change(contents), "{name} would not run for {input:?}");
            let longest = transformation.longest_output(input.len());
            assert!(output.len() <= longest, "{name} of {input:?} is {} long", output.len());
            if transformation.folds_case_only() {
                assert!(output.eq_ignore_ascii_case(input), "{name} of {input:?} is {output:?}");
            }
        }
    }
}

/// Strings of what the transformations look for, whole escapes among them.
fn special() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        &b"%"[..],
        b"%u",
        b"%4",
        b"%41",
        b"%uff1c",
        b"+",
        b"\\",
        b"\\x",
        b"\\u",
        b"\\0",
        b"\\77",
        b"\n",
        b"&",
        b"&#",
        b"&#x",
        b"&lt",
        b";",
        b"3c",
        b"0",
        b"0x",
        b"/",
        b"/*",
        b"*/",
        b"*",
        b"<!--",
        b"-->",
        b"--",
        b"#",
        b".",
        b"..",
        b"/../",
        b" ",
        b"\t",
        b"\r",
        b"\x0b",
        b"\0",
        b"\"",
        b"'",
        b"^",
        b",",
        b"(",
        b"a",
        b"f",
        b"F",
        b"Z",
        b"=",
        b"_",
        b"\x80",
        b"\xa0",
        b"\xc2",
        b"\xc0\xbc",
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
        b"\xf7\xbf\xbf\xbf",
        b"\xe2\x82",
    ]);
    prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn of_arbitrary_bytes(input in prop::collection::vec(any::<u8>(), 0..64)) {
        check(&input);
    }

    #[test]
    fn of_special_strings(input in special()) {
        check(&input);
    }

    #[test]
    fn what_two_values_hold(one in special(), other in special()) {
        let both = Contents::of(&one).union(Contents::of(&other));
        for transformation in Transformation::ALL {
            for value in [&one, &other] {
                prop_assert!(!transformation.may_change(Contents::of(value)) || transformation.may_change(both));
            }
        }
    }
}

#[test]
fn of_short_values() {
    check(b"");
    for first in 0..=255 {
        check(&[first]);
        for second in 0..=255 {
            check(&[first, second]);
        }
    }
}

#[test]
fn ordinary_values_need_no_work() {
    let may_change = |value: &[u8]| -> Vec<&str> {
        let contents = Contents::of(value);
        let always = |transformation: &&Transformation| !transformation.may_change(Contents::default());
        Transformation::ALL
            .iter()
            .filter(always)
            .filter(|transformation| transformation.may_change(contents))
            .map(|transformation| transformation.name())
            .collect()
    };
    let parity = ["parityEven7bit", "parityOdd7bit"];
    assert_eq!(may_change(b"/a/b.html"), [&parity[..], &["uppercase", "urlEncode"]].concat());
    assert_eq!(
        may_change(b"two words-here"),
        [&parity[..], &["removeWhitespace", "uppercase", "urlEncode"]].concat()
    );
    assert_eq!(may_change(b"12345"), parity);
}

#[test]
fn parity_counts_the_bit_that_is_there() {
    assert_eq!(applied(Transformation::ParityEven7bit, b"ac\xe1\x80"), b"\xe1ca\x80");
    assert_eq!(applied(Transformation::ParityOdd7bit, b"ac\xe1\x80"), b"a\xe3\xe1\x00");
    assert_eq!(applied(Transformation::ParityZero7bit, b"ac\xe1\x80"), b"aca\0");
}

#[test]
fn digests_are_raw() {
    let hex = |transformation| applied(Transformation::HexEncode, &applied(transformation, b"abc"));
    assert_eq!(hex(Transformation::Md5), b"900150983cd24fb0d6963f7d28e17f72");
    assert_eq!(hex(Transformation::Sha1), b"a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_eq!(applied(Transformation::Length, b"abc"), b"3");
}

#[test]
fn paths() {
    let posix =
        |path: &str| String::from_utf8(applied(Transformation::NormalizePath, path.as_bytes())).unwrap();
    let windows =
        |path: &str| String::from_utf8(applied(Transformation::NormalizePathWin, path.as_bytes())).unwrap();
    for (path, normal) in [
        ("/etc/./passwd", "/etc/passwd"),
        ("/a/b/../../../c", "/c"),
        ("/..", ""),
        ("/a/..", ""),
        ("a/../", ""),
        ("//", "/"),
        ("///a", "/a"),
        ("a.", "a."),
        ("a./b", "a./b"),
        (".a", ".a"),
        ("foo..", ""),
        ("/x/foo../b", "/x/b"),
        ("\\a\\..", ""),
    ] {
        assert_eq!(posix(path), normal, "{path}");
    }
    assert_eq!(windows("c:\\a\\\\\\b/..\\c"), "c:/a/c");
    assert_eq!(windows("\\a\\..\\"), "/");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn nothing_comes_out_that_was_neither_in_nor_brought(
        value in proptest::collection::vec(proptest::sample::select(b"aA09 +%26u&#x;lt\\./*-<!\0\xc2\xa0\xe9'\",;^(=\t".to_vec()), 0..16),
    ) {
        let held = Kinds::of(&value);
        for transformation in Transformation::ALL {
            let output = Kinds::of(&applied(*transformation, &value));
            prop_assert!(held.union(transformation.brings(held)).holds(output), "{}", transformation.name());
        }
    }
}
