//! What holds for every body, wherever the chunks end.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn rules() -> Arc<Redaction> {
    let raw = RawRedaction {
        fields: texts(&["a.b", "*.c.*", "b"]),
        names: texts(&["secret"]),
        expressions: texts(&[r"\bx\d+\b", "é+"]),
        ..everything()
    };
    compiled(&raw)
}

fn cut<'b>(body: &'b [u8], cuts: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    at.sort_unstable();
    at.push(body.len());
    let mut start = 0;
    at.into_iter().map(|end| &body[std::mem::replace(&mut start, end)..end]).collect()
}

fn any_cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    proptest::collection::vec(any::<prop::sample::Index>(), 0..8)
}

fn any_format() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::Json), Just(Format::Text), Just(Format::EventStream), Just(Format::Undeclared)]
}

/// Pieces that look like what is searched for, and long fillings to move them over block boundaries.
fn lively_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[ -~]{0,6}",
        2 => Just(CARD.to_owned()),
        1 => Just(TOKEN.to_owned()),
        1 => Just(KEY.to_owned()),
        1 => Just("-----BEGIN PRIVATE KEY-----".to_owned()),
        1 => Just("AKIAIOSFODNN7EXAMPLE".to_owned()),
        1 => Just("x12 é 4111-".to_owned()),
        1 => Just("\n\n".to_owned()),
        2 => (0_usize..3 * LONGEST_MATCH).prop_map(|length| "-".repeat(length)),
        1 => (0_usize..3 * LONGEST_MATCH).prop_map(|length| "7".repeat(length)),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn any_json() -> impl Strategy<Value = Value> {
    let name =
        || prop_oneof![Just("a"), Just("b"), Just("c"), Just("secret"), Just("é\n\""), Just("\u{1F600}")];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        Just(Value::from(4_111_111_111_111_111_u64)),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        lively_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((name(), inner), 0..5).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

/// The text with every character outside ASCII, and every n-th inside strings, written as an escape.
fn spelled_otherwise(text: &str, every: usize) -> String {
    let mut result = String::new();
    let (mut in_string, mut after_backslash) = (false, false);
    for (number, character) in text.chars().enumerate() {
        let is_plain = in_string && !after_backslash && character != '"' && character != '\\';
        if is_plain && (number % every == 0 || !character.is_ascii()) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                result.push_str(&format!("\\u{unit:04X}"));
            }
            continue;
        }
        result.push(character);
        if character == '"' && !after_backslash {
            in_string = !in_string;
        }
        after_backslash = character == '\\' && !after_backslash;
    }
    result
}

/// Field redaction done the plain way, on a parsed document.
fn without_fields(value: &Value, path: &[&str]) -> Value {
    let matches = |pattern: &[&str]| {
        pattern.len() == path.len() && pattern.iter().zip(path).all(|(p, s)| *p == "*" || p == s)
    };
    let by_path = matches(&["a", "b"]) || matches(&["*", "c", "*"]) || matches(&["b"]);
    if by_path || path.last() == Some(&"secret") {
        return Value::from("#");
    }
    match value {
        Value::Array(elements) => {
            elements.iter().map(|element| without_fields(element, &[path, &["[]"]].concat())).collect()
        }
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), without_fields(value, &[path, &[name]].concat())))
            .collect(),
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn where_chunks_end_changes_nothing_in_text(body in lively_text(), cuts in any_cuts(), format in any_format()) {
        let rules = rules();
        let whole = redacted(&rules, format, &[body.as_bytes()]);
        prop_assert_eq!(redacted(&rules, format, &cut(body.as_bytes(), &cuts)), whole);
    }

    #[test]
    fn where_chunks_end_changes_nothing_in_json(value in any_json(), every in 1_usize..9, cuts in any_cuts()) {
        let rules = rules();
        let body = spelled_otherwise(&value.to_string(), every);
        let whole = redacted(&rules, Format::Json, &[body.as_bytes()]);
        prop_assert!(whole.is_ok());
        prop_assert_eq!(&redacted(&rules, Format::Json, &cut(body.as_bytes(), &cuts)), &whole);
        let bytes: Vec<_> = body.as_bytes().chunks(1).collect();
        prop_assert_eq!(redacted(&rules, Format::Json, &bytes), whole);
    }

    #[test]
    fn redacted_json_is_json(value in any_json(), every in 1_usize..9) {
        let body = spelled_otherwise(&value.to_string(), every);
        let result = json(&rules(), &body);
        prop_assert!(serde_json::from_str::<Value>(&result).is_ok(), "{}", result);
    }

    #[test]
    fn fields_are_those_that_a_parser_finds(value in any_json(), every in 1_usize..9) {
        let raw = RawRedaction {
            fields: texts(&["a.b", "*.c.*", "b"]),
            names: texts(&["secret"]),
            mask: "#".to_owned(),
            ..RawRedaction::default()
        };
        let body = spelled_otherwise(&value.to_string(), every);
        let result: Value = serde_json::from_str(&json(&compiled(&raw), &body)).unwrap();
        let parsed: Value = serde_json::from_str(&body).unwrap();
        prop_assert_eq!(result, without_fields(&parsed, &[]));
    }

    /// The window finds what a search through the whole text finds.
    #[test]
    fn the_window_finds_what_a_whole_search_finds(
        pieces in proptest::collection::vec(
            prop_oneof![
                (0_usize..LONGEST_MATCH).prop_map(|length| format!(" x{} ", "1".repeat(length))),
                (0_usize..LONGEST_MATCH / 2).prop_map(|length| "é".repeat(length)),
                "[a-z0-9 é]{0,40}",
            ],
            0..8,
        ),
    ) {
        let body = pieces.join(" ");
        let raw = RawRedaction { expressions: texts(&[r"\bx\d+\b"]), mask: "#".to_owned(), ..RawRedaction::default() };
        let expected = regex::Regex::new(r"\bx\d+\b").unwrap().replace_all(&body, "#").into_owned();
        prop_assert_eq!(text(&compiled(&raw), &body), expected);
    }

    #[test]
    fn a_planted_card_number_never_survives(
        before in 0_usize..3 * LONGEST_MATCH,
        after in 0_usize..LONGEST_MATCH,
        word in "[a-z =:,]{0,8}",
        cuts in any_cuts(),
        in_json in any::<bool>(),
    ) {
        let planted = format!("{}{word}{CARD}{}", "-".repeat(before), ".".repeat(after));
        let (format, body) =
            if in_json { (Format::Json, format!("[\"{planted}\"]")) } else { (Format::Text, planted.clone()) };
        let rules = compiled(&everything());
        let result = redacted(&rules, format, &cut(body.as_bytes(), &cuts)).unwrap();
        prop_assert_eq!(String::from_utf8(result).unwrap(), body.replace(CARD, "#"));
    }

    #[test]
    fn no_bytes_do_harm(body in proptest::collection::vec(any::<u8>(), 0..600), cuts in any_cuts(), format in any_format()) {
        let rules = rules();
        let whole = redacted(&rules, format, &[&body]);
        prop_assert_eq!(redacted(&rules, format, &cut(&body, &cuts)), whole);
    }

    #[test]
    fn no_json_like_bytes_do_harm(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("{"), Just("}"), Just("["), Just("]"), Just("\""), Just("\\"), Just(":"), Just(","),
                Just("\\u"), Just("d83d"), Just("\\ude00"), Just("\"b\":"), Just("\"secret\""), Just("1"),
                Just("true"), Just(" "), Just("4111111111111111"), Just("\u{1e}"),
            ],
            0..30,
        ),
        cuts in any_cuts(),
    ) {
        let rules = rules();
        let body = pieces.concat();
        let whole = redacted(&rules, Format::Json, &[body.as_bytes()]);
        prop_assert_eq!(redacted(&rules, Format::Json, &cut(body.as_bytes(), &cuts)), whole);
    }
}

/// Every single cut, not only drawn ones.
#[test]
fn a_card_number_survives_no_cut() {
    let rules = rules();
    for (format, body) in [
        (Format::Text, format!("x {CARD} y")),
        (Format::Json, format!("{{\"k\":\"{CARD}\",\"n\":[4111111111111111]}}")),
        (Format::Json, r#"{"k":"4111\u002D11\u00311 1111\u00201111"}"#.to_owned()),
    ] {
        for at in 0..=body.len() {
            let (first, second) = body.as_bytes().split_at(at);
            let result = redacted(&rules, format, &[first, second]).unwrap();
            let result = String::from_utf8(result).unwrap();
            assert!(!result.contains("11"), "{at}: {result}");
        }
    }
}
