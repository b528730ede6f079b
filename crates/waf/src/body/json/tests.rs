use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

fn parsed(input: &[u8], limits: &JsonLimits) -> (Vec<(String, String)>, Result<(), JsonError>) {
    let mut out = Pairs::new();
    let result = parse(input, limits, &mut out);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (out.iter().map(|(name, value)| (text(name), text(value))).collect(), result)
}

fn problem(input: &[u8]) -> JsonProblem {
    parsed(input, &JsonLimits::default()).1.unwrap_err().problem
}

#[test]
fn names_are_those_of_libmodsecurity() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("", &[]),
        ("{}", &[]),
        (" [ ] ", &[]),
        ("\"x\"", &[("json", "x")]),
        ("-1.50E+2", &[("json", "-1.50E+2")]),
        (
            r#"{"a":{"b":"x"},"c":true,"d":null,"e":false}"#,
            &[("json.a.b", "x"), ("json.c", "true"), ("json.d", ""), ("json.e", "false")],
        ),
        (
            r#"{"items":[{"sku":"x"},1,[2,[]],{},"z"],"y":3}"#,
            &[
                ("json.items.array_0.sku", "x"),
                ("json.items.array_1", "1"),
                ("json.items.array_2.array_0", "2"),
                ("json.items.array_4", "z"),
                ("json.y", "3"),
            ],
        ),
        (r#"["x",["y"]]"#, &[("json.array_0", "x"), ("json.array_1.array_0", "y")]),
        (
            r#"{"":"x","a.b":1,"":{"":2}}"#,
            &[("json.empty-key", "x"), ("json.a.b", "1"), ("json.empty-key.empty-key", "2")],
        ),
        (r#"{"a":1,"a":2}"#, &[("json.a", "1"), ("json.a", "2")]),
        (r#"{"\u0061\/":"\ud83d\ude00\u0000\b\f\n\r\t\"\\"}"#, &[("json.a/", "😀\0\u{8}\u{c}\n\r\t\"\\")]),
        ("[\"\u{7f}é\"]", &[("json.array_0", "\u{7f}é")]),
    ];
    for (input, expected) in cases {
        let (found, result) = parsed(input.as_bytes(), &JsonLimits::default());
        assert_eq!(result, Ok(()), "{input}");
        let found: Vec<(&str, &str)> = found.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(&found, expected, "{input}");
    }
}

#[test]
fn what_rfc_8259_does_not_allow_is_an_error() {
    use JsonProblem::*;
    let cases: &[(&[u8], JsonProblem)] = &[
        (b" ", UnexpectedEnd),
        (b"{", UnexpectedEnd),
        (b"[1", UnexpectedEnd),
        (b"[1,", UnexpectedEnd),
        (b"tru", UnexpectedEnd),
        (b"\"a", UnexpectedEnd),
        (b"-", UnexpectedEnd),
        (b"[1,]", UnexpectedByte),
        (b"[,1]", UnexpectedByte),
        (b"{\"a\":1,}", UnexpectedByte),
        (b"{a:1}", UnexpectedByte),
        (b"{\"a\" 1}", UnexpectedByte),
        (b"[1}", UnexpectedByte),
        (b"{\"a\":1]", UnexpectedByte),
        (b"'a'", UnexpectedByte),
        (b"\xef\xbb\xbf1", UnexpectedByte),
        (b"[1 2]", UnexpectedByte),
        (b"// c\n1", UnexpectedByte),
        (b"1 2", TrailingBytes),
        (b"{}}", TrailingBytes),
        (b"truex", TrailingBytes),
        (b"NaN", InvalidLiteral),
        (b"TRUE", InvalidLiteral),
        (b"01", InvalidNumber),
        (b"1. ", InvalidNumber),
        (b"1e,", InvalidNumber),
        (b"-a", InvalidNumber),
        (b"0x1", InvalidNumber),
        (br#""\x41""#, InvalidEscape),
        (br#""\u12g4""#, InvalidEscape),
        (br#""\ud800""#, InvalidEscape),
        (br#""\ud800\n""#, InvalidEscape),
        (br#""\ud800\ud800""#, InvalidEscape),
        (br#""\udc00""#, InvalidEscape),
        (b"\"\n\"", ControlCharacter),
        (b"\"\0\"", ControlCharacter),
        (b"\"\xff\"", InvalidUtf8),
        (b"\"\xc0\xaf\"", InvalidUtf8),
        (b"\"\xed\xa0\x80\"", InvalidUtf8),
        (b"\"a\\n\xe2\x82\"", InvalidUtf8),
    ];
    for (input, expected) in cases {
        assert_eq!(problem(input), *expected, "{}", input.escape_ascii());
    }
}

#[test]
fn what_stands_before_an_error_is_kept() {
    let (found, result) = parsed(br#"{"a":"x","b":}"#, &JsonLimits::default());
    assert_eq!(found, [("json.a".to_owned(), "x".to_owned())]);
    let error = result.unwrap_err();
    assert_eq!(error.at, 13);
    assert_eq!(error.to_string(), "JSON parsing error at byte 13: a byte that cannot stand there");
}

#[test]
fn limits_hold() {
    let limits = JsonLimits { depth: 2, values: 3, name_bytes: 100 };
    assert_eq!(parsed(b"[[1]]", &limits).1, Ok(()));
    assert_eq!(parsed(b"[[[1]]]", &limits).1.unwrap_err().problem, JsonProblem::TooDeep);
    assert_eq!(parsed(b"[1,2,3]", &limits).1, Ok(()));
    assert_eq!(parsed(b"[1,2,3,4]", &limits).1.unwrap_err().problem, JsonProblem::TooManyValues);
    let long = format!("{{\"{}\":[1,2]}}", "k".repeat(60));
    assert_eq!(parsed(long.as_bytes(), &limits).1.unwrap_err().problem, JsonProblem::NamesTooLong);
}

#[test]
fn a_deep_document_is_refused_where_it_is_too_deep() {
    let mut input = vec![b'['; 100_000];
    input.resize(10_000_000, b' ');
    let error = parsed(&input, &JsonLimits::default()).1.unwrap_err();
    assert_eq!(error, JsonError { at: 513, problem: JsonProblem::TooDeep });
}

#[test]
fn a_long_key_around_many_values_costs_no_product() {
    let mut input = format!("{{\"{}\":[", "k".repeat(1_000_000));
    for _ in 0..50_000 {
        write!(input, "1,").unwrap();
    }
    input.push_str("1]}");
    let (found, result) = parsed(input.as_bytes(), &JsonLimits::default());
    assert_eq!(result.unwrap_err().problem, JsonProblem::NamesTooLong);
    assert!(found.len() < 20);
}

/// `serde_json` agrees about what is valid, but for two things: it has a range of numbers, and an empty body is no document.
fn agrees(input: &[u8]) {
    let ours = parsed_raw(input);
    match serde_json::from_slice::<serde_json::Value>(input) {
        Ok(_) => assert_eq!(ours, Ok(()), "{}", input.escape_ascii()),
        Err(error) if error.to_string().contains("out of range") => {}
        Err(error) => assert!(ours.is_err() || input.is_empty(), "{}: {error}", input.escape_ascii()),
    }
}

fn parsed_raw(input: &[u8]) -> Result<(), JsonError> {
    parse(input, &JsonLimits { depth: 127, ..JsonLimits::default() }, &mut Pairs::new())
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

fn leaves(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(list) => list.iter().map(leaves).sum(),
        serde_json::Value::Object(members) => members.values().map(leaves).sum(),
        _ => 1,
    }
}

proptest! {
    #[test]
    fn every_leaf_is_an_argument(value in value()) {
        let text = serde_json::to_vec(&value).unwrap();
        let mut out = Pairs::new();
        prop_assert_eq!(parse(&text, &JsonLimits::default(), &mut out), Ok(()));
        prop_assert_eq!(out.len(), leaves(&value));
    }

    #[test]
    fn agrees_with_serde_json_about_mutations(value in value(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 0..4)) {
        let mut text = serde_json::to_vec(&value).unwrap();
        agrees(&text);
        for (at, byte, kind) in changes {
            if text.is_empty() {
                break;
            }
            let at = at.index(text.len());
            match kind {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                _ => drop(text.remove(at)),
            }
            agrees(&text);
        }
    }

    #[test]
    fn agrees_with_serde_json_about_noise(text in r#"[\[\]{}:,"\\u0-9a-f. eE+\-trulsn\n]{0,24}"#) {
        agrees(text.as_bytes());
    }

    #[test]
    fn any_bytes(input in any::<Vec<u8>>()) {
        agrees(&input);
    }
}
