//! Redaction as a whole. Properties over arbitrary bodies and cuts are in `properties`.

mod properties;

use http::header::CONTENT_TYPE;

use super::*;

const CARD: &str = "4111 1111 1111 1111";
const TOKEN: &str =
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
const KEY: &str = "-----BEGIN RSA PRIVATE KEY-----\nMIIB+/==\n-----END RSA PRIVATE KEY-----";

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}

fn everything() -> RawRedaction {
    use BuiltInPattern::{AwsKey, CardNumber, Jwt, PrivateKey};
    RawRedaction {
        patterns: vec![CardNumber, AwsKey, PrivateKey, Jwt],
        mask: "#".to_owned(),
        ..RawRedaction::default()
    }
}

fn compiled(raw: &RawRedaction) -> Arc<Redaction> {
    let mut problems = Problems::default();
    let redaction = Redaction::compile(raw, &KeyPath::root(), &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    Arc::new(redaction.unwrap())
}

fn redacted(rules: &Arc<Redaction>, format: Format, chunks: &[&[u8]]) -> Result<Vec<u8>, Malformed> {
    let mut out = BytesMut::new();
    let mut redactor = Redactor::new(rules, format);
    for chunk in chunks {
        redactor.push(chunk, &mut out)?;
    }
    redactor.finish(&mut out);
    Ok(out.to_vec())
}

fn json(rules: &Arc<Redaction>, body: &str) -> String {
    String::from_utf8(redacted(rules, Format::Json, &[body.as_bytes()]).unwrap()).unwrap()
}

fn text(rules: &Arc<Redaction>, body: &str) -> String {
    String::from_utf8(redacted(rules, Format::Text, &[body.as_bytes()]).unwrap()).unwrap()
}

fn faults(raw: &RawRedaction) -> Vec<String> {
    let mut problems = Problems::default();
    let _redaction = Redaction::compile(raw, &KeyPath::root().key("redact"), &mut problems);
    let line = |p: &portcullis_core::Problem| {
        format!("{}: {}; {}", p.path, p.message, p.suggestion.as_deref().unwrap_or_default())
    };
    problems.iter().map(line).collect()
}

#[test]
fn fields_are_redacted_by_path() {
    let raw = RawRedaction {
        fields: texts(&["user.ssn", "orders.*.card", "*.deep.*.x", "a"]),
        mask: "#".to_owned(),
        ..RawRedaction::default()
    };
    let rules = compiled(&raw);
    for (body, expected) in [
        (r#"{"user": {"ssn" : "1", "name":"n"}}"#, r##"{"user": {"ssn" : "#", "name":"n"}}"##),
        (r#"{"ssn":1,"x":{"user":{"ssn":1}}}"#, r#"{"ssn":1,"x":{"user":{"ssn":1}}}"#),
        (
            r#"{"orders":[{"card":1},{"card":[1,{"b":"]"}]},3]}"#,
            r##"{"orders":[{"card":"#"},{"card":"#"},3]}"##,
        ),
        (r#"{"orders":{"k":{"card":{"y":"}"}}},"z":1}"#, r##"{"orders":{"k":{"card":"#"}},"z":1}"##),
        (r#"{"q":{"deep":[{"x":1}]}}"#, r##"{"q":{"deep":[{"x":"#"}]}}"##),
        (r#"[{"deep":{"k":{"x":null}}}]"#, r##"[{"deep":{"k":{"x":"#"}}}]"##),
        (r#"{"a":1,"a":"2","a":true}"#, r##"{"a":"#","a":"#","a":"#"}"##),
        (r#"{"a":"\"}","b":[]}"#, r##"{"a":"#","b":[]}"##),
        (r#"{"A":1,"aa":2,"":3}"#, r#"{"A":1,"aa":2,"":3}"#),
        (r#"{"user.ssn":1}"#, r#"{"user.ssn":1}"#),
        // Escapes in names do not hide them.
        (r#"{"\u0061":1,"\u0075ser":{"s\u0073n":2}}"#, r##"{"\u0061":"#","\u0075ser":{"s\u0073n":"#"}}"##),
        // Several values: newline-delimited JSON, and the sequences of RFC 7464.
        ("{\"a\":1}\n{\"a\":2}\n", "{\"a\":\"#\"}\n{\"a\":\"#\"}\n"),
        ("\u{1e}{\"a\":1}\n\u{1e}[]\n", "\u{1e}{\"a\":\"#\"}\n\u{1e}[]\n"),
        ("\u{feff}{\"a\":1}", "\u{feff}{\"a\":\"#\"}"),
        ("", ""),
        (" 12 ", " 12 "),
        (r#"{"a":-1.5e+3,"b":NaN}"#, r##"{"a":"#","b":NaN}"##),
    ] {
        assert_eq!(json(&rules, body), expected);
    }
}

#[test]
fn fields_are_redacted_by_name_wherever_they_stand() {
    let raw = RawRedaction { names: texts(&["password", "p\u{1F600}"]), ..RawRedaction::default() };
    let rules = compiled(&raw);
    for (body, expected) in [
        (r#"[[{"password":"x"}]]"#, r#"[[{"password":"[redacted]"}]]"#),
        (r#"{"Password":1,"pass\u0077ord":2}"#, r#"{"Password":"[redacted]","pass\u0077ord":"[redacted]"}"#),
        (r#"{"password ":1,"passwor":2}"#, r#"{"password ":1,"passwor":2}"#),
        (r#"{"p\ud83d\ude00":1}"#, r#"{"p\ud83d\ude00":"[redacted]"}"#),
        (r#"{"p\ud83d":1,"p\ud83dx":2,"p\ud83d\n":3}"#, r#"{"p\ud83d":1,"p\ud83dx":2,"p\ud83d\n":3}"#),
        ("{\"p\u{1F600}\":1}", "{\"p\u{1F600}\":\"[redacted]\"}"),
    ] {
        assert_eq!(json(&rules, body), expected);
    }
    let long = format!("{{\"{}password\":1,\"password\":2}}", "x".repeat(300));
    assert_eq!(json(&rules, &long), long.replace(":2", ":\"[redacted]\""));
}

#[test]
fn json_that_is_none_is_not_passed_on() {
    let rules = compiled(&RawRedaction { names: texts(&["a"]), ..RawRedaction::default() });
    let deep = "[".repeat(129);
    for body in [
        "{a:1}",
        "{'a':1}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1,}",
        "[1,]",
        "{,}",
        "]",
        "}",
        "[}",
        "{]",
        "{\"a\":1]",
        "/* */{}",
        "[1 2]",
        "1,2",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\ud83d\\x\"",
        ":",
        "{:1}",
        "<html>",
        "\u{0}",
        &deep,
        "{\"a\":[}",
        "\u{feff}\u{feff}{}",
        "{\u{1e}}",
    ] {
        assert_eq!(redacted(&rules, Format::Json, &[body.as_bytes()]), Err(Malformed), "{body}");
    }
    let mut redactor = Redactor::new(&rules, Format::Json);
    let mut out = BytesMut::new();
    assert_eq!(redactor.push(b"}", &mut out), Err(Malformed));
    assert_eq!(redactor.push(b"{\"a\":1}", &mut out), Err(Malformed), "a failure is final");
    assert!(out.is_empty());
    let nested = format!("{}{}", "[".repeat(128), "]".repeat(128));
    assert_eq!(json(&rules, &nested), nested);
}

#[test]
fn patterns_are_redacted_in_text() {
    let rules = compiled(&everything());
    for (body, expected) in [
        (format!("card {CARD}, token {TOKEN}"), "card #, token #"),
        (format!("{KEY} and {KEY}"), "# and #"),
        ("-----BEGIN PRIVATE KEY-----\nMII".to_owned(), "#"),
        ("-----BEGIN PUBLIC KEY-----".to_owned(), "-----BEGIN PUBLIC KEY-----"),
        ("id AKIAIOSFODNN7EXAMPLE.".to_owned(), "id #."),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(), "#"),
        ("XAKIAIOSFODNN7EXAMPLE".to_owned(), "XAKIAIOSFODNN7EXAMPLE"),
        ("eyJhbGciOiJkaXIifQ..aGVsbG8gd29ybGQ.Y2lwaGVy.dGFn!".to_owned(), "#!"),
        ("eyJust a word. eyJ.eyJ".to_owned(), "eyJust a word. eyJ.eyJ"),
        (String::new(), ""),
    ] {
        assert_eq!(text(&rules, &body), expected, "{body}");
    }
}

#[test]
fn each_built_in_pattern_is_its_own_switch() {
    use BuiltInPattern::{AwsKey, CardNumber, Jwt, PrivateKey};
    let samples = [(CardNumber, CARD), (AwsKey, "AKIAIOSFODNN7EXAMPLE"), (PrivateKey, KEY), (Jwt, TOKEN)];
    for (pattern, _) in samples {
        let rules = compiled(&RawRedaction { patterns: vec![pattern], ..everything() });
        for (of, sample) in samples {
            let expected = if of == pattern { "#" } else { sample };
            assert_eq!(text(&rules, sample), expected, "{pattern:?} on {of:?}");
        }
    }
}

#[test]
fn patterns_are_redacted_in_json_and_leave_it_json() {
    let raw = RawRedaction { expressions: texts(&["\u{1F600}+", "true", "a.c"]), ..everything() };
    let rules = compiled(&raw);
    for (body, expected) in [
        (r#"{"a":"x 4111111111111111 y"}"#, r##"{"a":"x # y"}"##),
        (r#"{"a":4111111111111111}"#, r##"{"a":"#"}"##),
        (
            r#"[4111111111111111,0.4111111111111111,4111111111111112]"#,
            r##"["#",0.4111111111111111,4111111111111112]"##,
        ),
        (r#"{"4111111111111111":1}"#, r##"{"#":1}"##),
        (r#"["4111\u002d1111-1111-111\u0031\n"]"#, r##"["#\n"]"##),
        (
            r#"["-----BEGIN PRIVATE KEY-----\nMII\u002b\n-----END PRIVATE KEY-----\n<\u003c\/"]"#,
            r##"["#\n<\u003c\/"]"##,
        ),
        (r#"["x-----BEGIN PRIVATE KEY-----","y"]"#, r##"["x#","y"]"##),
        (
            r#"["\ud83d\ude00\uD83D\uDE00!","\ud83d!","\ud83d\ud83d\ude00"]"#,
            r##"["#!","\ud83d!","\ud83d#"]"##,
        ),
        (r#"["a\"c","a\\c","\\","\""]"#, r##"["#","#","\\","\""]"##),
        (r#"[true,false,"4111","1111 1111 1111"]"#, r##"["#",false,"4111","1111 1111 1111"]"##),
    ] {
        assert_eq!(json(&rules, body), expected, "{body}");
        assert!(serde_json::from_str::<serde::de::IgnoredAny>(expected).is_ok());
    }
    let digits = format!("[{},1]", "7".repeat(2 * LONGEST_MATCH + 1));
    assert_eq!(json(&rules, &digits), r##"["#",1]"##, "too long to be looked at");
}

#[test]
fn matches_longer_than_the_window_are_followed_to_their_ends() {
    let rules = compiled(&everything());
    for length in [100, LONGEST_MATCH, 2 * LONGEST_MATCH, 5 * LONGEST_MATCH + 3] {
        let filling = "A".repeat(length);
        let key = format!("-----BEGIN PRIVATE KEY-----\n{filling}\n-----END PRIVATE KEY-----");
        assert_eq!(text(&rules, &format!("a {key} b")), "a # b", "{length}");
        let token = format!("eyJhbGciOiJub25lIn0.{filling}.{filling}");
        assert_eq!(text(&rules, &format!("a {token} b {CARD}")), "a # b #", "{length}");
        assert_eq!(json(&rules, &format!("[\"{token}\",\"{filling}\"]")), format!("[\"#\",\"{filling}\"]"));
    }
}

#[test]
fn overlapping_matches_have_one_mask() {
    let raw = RawRedaction { expressions: texts(&["bcd", "ab", "de"]), ..everything() };
    assert_eq!(text(&compiled(&raw), "xabcdexabx"), "x#x#x");
}

#[test]
fn events_leave_when_they_are_complete() {
    let rules = compiled(&everything());
    for newline in ["\n", "\r\n"] {
        let mut redactor = Redactor::new(&rules, Format::EventStream);
        let mut out = BytesMut::new();
        let event = format!("data: {CARD}{newline}id: 1{newline}{newline}");
        for byte in event.as_bytes() {
            redactor.push(&[*byte], &mut out).unwrap();
        }
        assert_eq!(out, format!("data: #{newline}id: 1{newline}{newline}"), "{newline:?}");
    }
}

#[test]
fn a_body_that_does_not_say_what_it_is_is_read_as_it_looks() {
    let rules = compiled(&RawRedaction { names: texts(&["a"]), ..everything() });
    for (body, expected) in [
        (" \n{\"a\":1}", " \n{\"a\":\"#\"}"),
        ("\u{feff}[{\"a\":1}]", "\u{feff}[{\"a\":\"#\"}]"),
        ("plain 4111111111111111", "plain #"),
        ("  ", "  "),
    ] {
        let chunks: Vec<_> = body.as_bytes().chunks(1).collect();
        assert_eq!(redacted(&rules, Format::Undeclared, &chunks), Ok(expected.as_bytes().to_vec()));
    }
    assert_eq!(redacted(&rules, Format::Undeclared, &[b"{broken"]), Err(Malformed));
}

fn head(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for &(name, value) in fields {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers
}

#[test]
fn the_head_decides_what_is_read() {
    let patterns = compiled(&everything());
    let fields = compiled(&RawRedaction { names: texts(&["a"]), ..RawRedaction::default() });
    for (media, with_patterns, with_fields) in [
        ("application/json", Applies::Yes(Format::Json), Applies::Yes(Format::Json)),
        ("Application/JSON; charset=UTF-8", Applies::Yes(Format::Json), Applies::Yes(Format::Json)),
        ("application/problem+json", Applies::Yes(Format::Json), Applies::Yes(Format::Json)),
        ("application/x-ndjson", Applies::Yes(Format::Json), Applies::Yes(Format::Json)),
        ("text/json", Applies::Yes(Format::Json), Applies::Yes(Format::Json)),
        ("text/plain", Applies::Yes(Format::Text), Applies::No),
        ("text/html;charset=\"iso-8859-1\"", Applies::Yes(Format::Text), Applies::No),
        ("text/event-stream", Applies::Yes(Format::EventStream), Applies::No),
        ("image/png", Applies::No, Applies::No),
        ("application/jsonp", Applies::No, Applies::No),
        ("application/json; charset=utf-16", Applies::Unreadable, Applies::Unreadable),
        ("text/plain; charset=utf-7", Applies::Unreadable, Applies::Unreadable),
        ("", Applies::Unreadable, Applies::Unreadable),
        ("json", Applies::Unreadable, Applies::Unreadable),
        ("*/*", Applies::Unreadable, Applies::Unreadable),
    ] {
        let headers = head(&[("content-type", media)]);
        assert_eq!(patterns.applies_to(&headers), with_patterns, "{media}");
        assert_eq!(fields.applies_to(&headers), with_fields, "{media}");
    }
    assert_eq!(fields.applies_to(&head(&[])), Applies::Yes(Format::Undeclared));
}

#[test]
fn what_cannot_be_read_is_told_apart() {
    let rules = compiled(&everything());
    const JSON: (&str, &str) = ("content-type", "application/json");
    for (more, expected) in [
        (("content-encoding", "identity"), Applies::Yes(Format::Json)),
        (("content-encoding", "gzip"), Applies::Unreadable),
        (("content-encoding", "identity, br"), Applies::Unreadable),
        (("content-range", "bytes 0-9/100"), Applies::Unreadable),
        (("content-type", "application/json"), Applies::Unreadable),
    ] {
        assert_eq!(rules.applies_to(&head(&[JSON, more])), expected, "{more:?}");
    }
    let twice = head(&[JSON, ("content-encoding", "identity"), ("content-encoding", "gzip")]);
    assert_eq!(rules.applies_to(&twice), Applies::Unreadable);
    assert_eq!(
        rules.applies_to(&head(&[("content-type", "image/png"), ("content-encoding", "br")])),
        Applies::No
    );
}

#[test]
fn the_configured_media_types_are_the_ones_read() {
    let raw =
        RawRedaction { content_types: texts(&["Application/Vnd.Own", "+xml", "model/*"]), ..everything() };
    let rules = compiled(&raw);
    for (media, expected) in [
        ("application/vnd.own", Applies::Yes(Format::Text)),
        ("application/vnd.owner", Applies::No),
        ("image/svg+xml", Applies::Yes(Format::Text)),
        ("model/obj", Applies::Yes(Format::Text)),
        ("application/json", Applies::No),
    ] {
        assert_eq!(rules.applies_to(&head(&[("content-type", media)])), expected, "{media}");
    }
}

#[test]
fn heads_are_made_ready() {
    let rules = compiled(&everything());
    let mut request = head(&[
        ("range", "bytes=0-9"),
        ("if-range", "\"x\""),
        ("accept-encoding", "gzip"),
        ("accept-encoding", "br"),
        ("accept", "*/*"),
    ]);
    rules.prepare_request(&mut request);
    assert_eq!(request, head(&[("accept-encoding", "identity, *;q=0"), ("accept", "*/*")]));
    let mut response = head(&[
        ("content-length", "10"),
        ("etag", "\"x\""),
        ("accept-ranges", "bytes"),
        ("content-digest", "sha-256=:x:"),
        ("repr-digest", "sha-256=:x:"),
        ("digest", "x"),
        ("content-md5", "x"),
        ("content-type", "application/json"),
    ]);
    remove_fields_of_the_whole_body(&mut response);
    assert_eq!(response.keys().collect::<Vec<_>>(), [CONTENT_TYPE]);
}

#[test]
fn nothing_configured_is_nothing_to_do() {
    let mut problems = Problems::default();
    assert!(Redaction::compile(&RawRedaction::default(), &KeyPath::root(), &mut problems).is_none());
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn what_cannot_be_configured_is_refused_with_what_is_right() {
    let raw = RawRedaction {
        fields: texts(&["a..b", "$.a", "a[0]"]),
        names: texts(&[""]),
        patterns: vec![BuiltInPattern::Jwt, BuiltInPattern::Jwt],
        expressions: texts(&["(", "a*", "(?-u:\\xff)", "[a-z]{1000}{1000}", "fine"]),
        mask: "a\"b".to_owned(),
        content_types: texts(&["*/*", "json"]),
    };
    let path = "write the names from the top with dots between, such as `orders.*.card`";
    let expression = "write a regular expression of the Rust `regex` crate that matches some text";
    let media =
        "write a type such as `application/json`, a group such as `text/*` or an ending such as `+json`";
    assert_eq!(
        faults(&raw),
        [
            format!("redact.fields[0]: `a..b` is not a path: it has an empty name; {path}"),
            format!("redact.fields[1]: `$.a` is not a path: it is not JSONPath; `*` stands for the elements of an array; {path}"),
            format!("redact.fields[2]: `a[0]` is not a path: it is not JSONPath; `*` stands for the elements of an array; {path}"),
            "redact.names[0]: a name has 1 to 256 bytes; write a name such as `password`".to_owned(),
            "redact.patterns[1]: the pattern is listed twice; leave it out here".to_owned(),
            format!("redact.expressions[0]: `(` cannot be used: unclosed group; {expression}"),
            format!("redact.expressions[1]: `a*` cannot be used: it matches where there is nothing; {expression}"),
            format!("redact.expressions[2]: `(?-u:\\xff)` cannot be used: pattern can match invalid UTF-8; {expression}"),
            format!("redact.expressions[3]: `[a-z]{{1000}}{{1000}}` cannot be used: it needs more than 1MiB; {expression}"),
            "redact.mask: `a\"b` cannot stand in for what is redacted; write 1 to 64 visible ASCII characters without quotes, `\\`, `<`, `>` and `&`".to_owned(),
            format!("redact.content_types[0]: `*/*` does not name media types; {media}"),
            format!("redact.content_types[1]: `json` does not name media types; {media}"),
        ]
    );
    let many = RawRedaction {
        fields: vec!["a".to_owned(); 65],
        names: vec!["a".to_owned(); 257],
        expressions: vec!["a".to_owned(); 33],
        ..RawRedaction::default()
    };
    assert_eq!(
        faults(&many),
        [
            "redact.fields: there are more than 64 paths; use `names` for some",
            "redact.names: there are more than 256 names; list only names of fields that must not be seen",
            "redact.expressions: there are more than 32 expressions; join some of them with `|`",
        ]
    );
}
