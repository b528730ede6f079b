//! The vectors of ModSecurity's transformations, as Coraza publishes them: `waf-vectors/transformations` in the folder that the
//! variable `PORTCULLIS_SHARED` names, or in `shared` beside the repository. They are not part of it; without them the test
//! says so and passes.

use std::path::{Path, PathBuf};

use portcullis_waf::transform::{Contents, Transformation};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vector {
    input: String,
    output: String,
}

/// Vectors that do not hold, by transformation and input, what comes out instead, and why.
const DIFFERENCES: &[(&str, &str, &[u8], &str)] = &[
    (
        "cssDecode",
        "test\\a\\b\\f\\n\\r\\t\\v\\?\\'\\\"\\\0\\12\\123\\1234\\12345\\123456\\ff01\\ff5e\\\n\\\0  string",
        b"test\n\x0b\x0fnrtv?'\"\0\x12#4EV!~\0  string",
        "Coraza decodes to UTF-8; libmodsecurity takes the lowest byte, and its vector says so",
    ),
    (
        "cssDecode",
        "\\1A\\1 A\\1234567\\123456 7\\1x\\1 x",
        b"\x1a\x01AV7V7\x01x\x01x",
        "Coraza decodes to UTF-8; libmodsecurity takes the lowest byte, and its vector says so",
    ),
    (
        "escapeSeqDecode",
        "\\8\\9\\666\\xag\\xga\\0123",
        b"89\xb6xagxga\n3",
        "Coraza's harness reads neither side of this vector; the backslash of an unknown escape goes",
    ),
    (
        "hexDecode",
        "01234567890z",
        b"\x01\x23\x45\x67\x89\x23",
        "an error in Coraza; libmodsecurity reads what is not a digit as something",
    ),
    ("hexDecode", "54657374004", b"Test\0", "an error in Coraza; libmodsecurity drops the last digit"),
];

#[test]
fn vectors_hold() {
    let Some(folder) = folder() else {
        eprintln!("NOT TESTED: no waf-vectors/transformations in $PORTCULLIS_SHARED or ../shared");
        return;
    };
    let mut wrong = Vec::new();
    let mut differences = 0;
    for transformation in Transformation::ALL {
        let name = transformation.name().replace("normalizePath", "normalisePath");
        let text = std::fs::read(folder.join(format!("{name}.json"))).unwrap();
        let vectors: Vec<Vector> = serde_json::from_slice(&text).unwrap();
        assert!(!vectors.is_empty(), "{name}");
        for Vector { input, output } in vectors {
            let difference = DIFFERENCES
                .iter()
                .find(|(of, on, ..)| *of == name && *on == input)
                .map(|(_, _, ours, _)| *ours);
            differences += usize::from(difference.is_some());
            let expected = difference.map_or_else(|| bytes(&output), <[u8]>::to_vec);
            let value = bytes(&input);
            let result = applied(*transformation, &value);
            if result != expected {
                let [value, result, expected] =
                    [value, result, expected].map(|bytes| bytes.escape_ascii().to_string());
                wrong.push(format!("{name} of {value}\n  is {result}\n not {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(differences, DIFFERENCES.len(), "a difference is listed for a vector that is not there");
}

fn folder() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("PORTCULLIS_SHARED").map_or_else(beside, PathBuf::from);
    Some(shared.join("waf-vectors/transformations")).filter(|folder| folder.is_dir())
}

fn applied(transformation: Transformation, value: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    if transformation.apply(value, &mut output) {
        assert!(transformation.may_change(Contents::of(value)), "{} of {value:?}", transformation.name());
        return output;
    }
    value.to_vec()
}

/// JSON cannot say every byte, so the vectors say some of them a second time: `\xHH` and `\u0000` in the text stand for bytes.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if let Some(tail) = rest.strip_prefix(br"\u0000") {
            bytes.push(0);
            rest = tail;
            continue;
        }
        if let [b'\\', b'x', high, low, tail @ ..] = rest
            && let Ok(digits) = std::str::from_utf8(&[*high, *low])
            && let Ok(byte) = u8::from_str_radix(digits, 16)
        {
            bytes.push(byte);
            rest = tail;
            continue;
        }
        bytes.push(*first);
        rest = tail;
    }
    bytes
}
