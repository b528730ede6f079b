use proptest::prelude::*;

use super::*;
use crate::body::json;
use crate::body::limits::JsonLimits;

fn list(pairs: &Pairs) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    pairs.iter().map(|(name, value)| (text(name), text(value))).collect()
}

fn parsed(document: &str, limits: &GraphqlLimits) -> (Vec<(String, String)>, Result<(), GraphqlError>) {
    let mut out = Pairs::new();
    let result = parse(document.as_bytes(), limits, &mut out);
    (list(&out), result)
}

#[test]
fn literals_are_named_by_where_they_stand() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("", &[]),
        ("{ id name }", &[]),
        (r#"{ user(name: "x") { id } }"#, &[("graphql.user.name", "x")]),
        (
            r#"{ me: user(name: "x", n: -1.5e3) { id } }"#,
            &[("graphql.user.name", "x"), ("graphql.user.n", "-1.5e3")],
        ),
        (
            r#"mutation { add(item: {sku: "x", tags: ["y", [z]], o: {p: true}}, last: null) { id } }"#,
            &[
                ("graphql.add.item.sku", "x"),
                ("graphql.add.item.tags", "y"),
                ("graphql.add.item.tags", "z"),
                ("graphql.add.item.o.p", "true"),
                ("graphql.add.last", "null"),
            ],
        ),
        (
            r#"{ a(l: [{k: "x"}, {k: "y"}], m: "z") }"#,
            &[("graphql.a.l.k", "x"), ("graphql.a.l.k", "y"), ("graphql.a.m", "z")],
        ),
        (
            r#"query Q($n: [String!]! = ["x"], $m: Int = 3 @d(e: "f"), $o: T) @g(h: "i") { user(name: $n, s: "y") }"#,
            &[
                ("graphql.$n", "x"),
                ("graphql.$m", "3"),
                ("graphql.@d.e", "f"),
                ("graphql.@g.h", "i"),
                ("graphql.user.s", "y"),
            ],
        ),
        ("query ($n: T!) { a }", &[]),
        ("{ id @include(if: true) b(c: \"d\") }", &[("graphql.@include.if", "true"), ("graphql.b.c", "d")]),
        ("{ ...F } fragment F on User { f(a: \"x\") }", &[("graphql.f.a", "x")]),
        (
            "{ a(b: \"# no comment\") # c(d: \"e\")\n f(g: 1) }",
            &[("graphql.a.b", "# no comment"), ("graphql.f.g", "1")],
        ),
        (r#"{ a(b: "") { c(d: "x") } }"#, &[("graphql.a.b", ""), ("graphql.c.d", "x")]),
        (r#"{ a(b: "\u0027\u{27}\ud83d\ude00\n\"\/") }"#, &[("graphql.a.b", "''😀\n\"/")]),
        (r#"{ a(b: "\x\ud800\u{}\u12") }"#, &[("graphql.a.b", r"\x\ud800\u{}\u12")]),
        ("{ a(b: \"\"\"x \"y\" \\n\n \\\"\"\" z\"\"\") }", &[("graphql.a.b", "x \"y\" \\n\n \"\"\" z")]),
        ("\"about\" { a }", &[("graphql", "about")]),
    ];
    for (document, expected) in cases {
        let (found, result) = parsed(document, &GraphqlLimits::default());
        assert_eq!(result, Ok(()), "{document}");
        let found: Vec<(&str, &str)> = found.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(&found, expected, "{document}");
    }
}

#[test]
fn what_is_found_before_an_error_stays() {
    for document in [
        "{ a(b: \"x\"",
        "{ a(b: \"x\") } }",
        "{ a(b: \"x\", c: \"y) }",
        "{ a(b: \"x\" } }",
        "{ a(b: \"x\") %",
        "{ a(b: \"x\") { (",
    ] {
        let (found, result) = parsed(document, &GraphqlLimits::default());
        assert_eq!(result, Err(GraphqlError::Malformed), "{document}");
        assert_eq!(found, [("graphql.a.b".to_owned(), "x".to_owned())], "{document}");
    }
}

#[test]
fn documents_in_json() {
    let run = |body: &str| {
        let (mut arguments, mut out) = (Pairs::new(), Pairs::new());
        json::parse(body.as_bytes(), &JsonLimits::default(), &mut arguments).unwrap();
        from_json(&arguments, &GraphqlLimits::default(), &mut out).unwrap();
        list(&out)
    };
    let one = [("graphql.a.b".to_owned(), "' or 1=1".to_owned())];
    assert_eq!(run(r#"{"query":"{ a(b: \"' or 1\\u003d1\") }"}"#), one);
    assert_eq!(run(r#"[{"query":"query { a(b: \"' or 1=1\") }"},{"id":1}]"#), one);
    for other in [
        r#"{"query":"cats (and: \"dogs\")"}"#,
        r#"{"other":"{ a(b: \"x\") }"}"#,
        r#"{"a":{"query":"{ a(b: \"x\") }"}}"#,
        r#"{"query":"querying(a: \"x\")"}"#,
    ] {
        assert!(run(other).is_empty(), "{other}");
    }
}

#[test]
fn limits_hold() {
    let limits = GraphqlLimits { depth: 3, tokens: 12, name_bytes: 40 };
    assert_eq!(parsed("{ a { b { c } } }", &limits).1, Ok(()));
    assert_eq!(parsed("{ a { b { c { d } } } }", &limits).1, Err(GraphqlError::TooDeep));
    assert_eq!(parsed("{ a a a a a a a a a a a }", &limits).1, Err(GraphqlError::TooManyTokens));
    assert_eq!(parsed("{ aaaaaaaaaaaa(bbbbbbb: [1, 2]) }", &limits).1, Err(GraphqlError::NamesTooLong));
    let deep = "{a".repeat(5_000_000);
    assert_eq!(parsed(&deep, &GraphqlLimits::default()).1, Err(GraphqlError::TooDeep));
}

proptest! {
    #[test]
    fn never_panics(pieces in prop::collection::vec(prop_oneof![
        Just("{"), Just("}"), Just("("), Just(")"), Just("["), Just("]"), Just("$"), Just("@"), Just(":"), Just("="), Just("..."),
        Just("a"), Just("\""), Just("\"\"\""), Just("\\"), Just("u"), Just("1"), Just(" "), Just("#"), Just("\n"),
    ], 0..40)) {
        let document = pieces.concat();
        let (found, _) = parsed(&document, &GraphqlLimits::default());
        prop_assert!(found.iter().map(|(_, value)| value.len()).sum::<usize>() <= document.len());
        let _ = is_document(document.as_bytes());
    }

    #[test]
    fn strings_come_back(text in any::<String>()) {
        let literal = serde_json::to_string(&text).unwrap();
        let (found, result) = parsed(&format!("{{ a(b: {literal}) }}"), &GraphqlLimits::default());
        prop_assert_eq!(result, Ok(()));
        prop_assert_eq!(found, [("graphql.a.b".to_owned(), text)]);
    }
}
