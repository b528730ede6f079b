//! Patterns: the dialect, what they require, and all of the Core Rule Set's.
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

use portcullis_waf::pattern::{Captures, Kinds, Outcome, Pattern, is_plain};
use proptest::prelude::*;

fn matches(pattern: &str, value: &[u8]) -> bool {
    Pattern::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")).is_match(value)
}

/// `(pattern, matches, does not match)`.
const DIALECT: &[(&str, &[u8], &[u8])] = &[
    (r"^a.c$", b"x\na\nc\ny", b"abb"),
    (r"^[[a]$", b"[", b"b"),
    (r"^[a&&b]$", b"&", b"c"),
    (r"^[+--]$", b",", b"0"),
    (r"^[a~~b]$", b"~", b"c"),
    (r"^a{,2}$", b"a{,2}", b"aa"),
    (r"^{a}{$", b"{a}{", b"a"),
    (r"^\e\h\H\v$", b"\x1b\ta\n", b"\x1b\t \n"),
    (r"^\e\h\Hv$", b"\x1b\tav", b"\x1b\t\tv"),
    (r"^\R$", b"\r\n", b"a"),
    (r"a\Z", b"a\n", b"a\n\n"),
    (r"\Aa\z", b"a", b"a\n"),
    (r"^\/\-\_\@\i\#\'$", b"/-_@i#'", b"/-_@I#'"),
    (r"^\x5c\x{41}\0\x8$", b"\\A\x00\x08", b"\\A08"),
    (r"^[\x5c\x41-C]$", b"\\", b"D"),
    (r"^\101\07[\0-\10]$", b"A\x07\x08", b"A\x07\x09"),
    (r"^[[:alpha:][:^alnum:]_]+$", b"a-_", b"1"),
    (r"^\Q.*[\E.$", b".*[x", b"a[x"),
    (r"^[\Q]-\E]$", b"]", b"a"),
    (r"^a(?i)b(?-i)c$", b"aBc", b"aBC"),
    (r"^(?i:a)b$", b"Ab", b"AB"),
    (r"^(a(?i)b|c)d$", b"Cd", b"CD"),
    (r"^(?<n>a)(?P<m>b)(?'o'c)$", b"abc", b"ab"),
    (r"^a(?#comment)b$", b"ab", b"a(?#comment)b"),
    ("^\u{e9}$", "\u{e9}".as_bytes(), b"\xe9"),
    ("^[\u{e9}]+$", "\u{e9}".as_bytes(), b"e"),
    (r"^[^\x00]$", b"\xff", b"\x00"),
    (r"^[]a]+$", b"]a", b"^"),
    (r"^[^]a]$", b"b", b"]"),
    (r"^[a-\d]$", b"-", b"b"),
    (r"^[\b]$", b"\x08", b"b"),
    (r"\bfoo\b", b"a foo.", b"xfoo"),
    (r"^(?s-s:.)$", b"a", b"\n"),
    (
        r"^(?x) a b # no
      $",
        b"ab",
        b"a b",
    ),
    (r"^(?U)(a+)", b"a", b"b"),
    (r"^(?:a|b)++c$", b"abc", b"ab"),
    (r"^a++ab$", b"", b"aab"),
    (r"^(?>a|ab)c$", b"ac", b"abc"),
    (r"^(?=a)\w(?!c)", b"ab", b"ac"),
    (r"(?<=\xe9)b(?<!ab)", b"\xe9b", b"eb"),
    (r"^([\x80-\xff])\1$", b"\xe9\xe9", b"\xe9\xe8"),
    (r"^(?i)(a)\1$", b"aA", b"ab"),
    (r"^(?<q>['`])x\k<q>(?P=q)\g{q}\g1\g{-1}$", b"'x'''''", b"'x`"),
    (r"^(?!.*[^\x00-\x7f])\W\b", b".a", b".\xe9"),
    (r"(?-m)a$", b"a\n", b"a\nb"),
    (r"^a{2}{2}$", b"aaaa", b"aaa"),
    (r"(?i)^[^a]$", b"b", b"A"),
];

#[test]
fn dialect() {
    for (pattern, yes, no) in DIALECT {
        if !yes.is_empty() {
            assert!(matches(pattern, yes), "{pattern} matches {:?}", yes.escape_ascii().to_string());
        }
        assert!(!matches(pattern, no), "{pattern} does not match {:?}", no.escape_ascii().to_string());
    }
}

#[test]
fn refused_with_a_place() {
    for (pattern, offset) in [
        ("a(b", 1),
        ("a)", 1),
        ("a[b", 1),
        ("*a", 0),
        ("a\\", 2),
        ("[b-a]", 2),
        ("(a)\\2", 5),
        ("a{3,2}", 1),
        ("(?R)", 0),
    ] {
        let error = Pattern::new(pattern).unwrap_err();
        assert_eq!(error.offset, offset, "{pattern}: {error}");
    }
    assert!(Pattern::new("(?:(?:a{65535}){65535}){65535}").is_err());
    assert!(Pattern::new(&"(".repeat(100_000)).is_err());
}

#[test]
fn backtracks_only_where_it_must() {
    for pattern in ["a++", "[0-9]++x", "(?>a|b)", "(?>abc)d", "[a-z]*+[0-9]", "(?:a|b)*+", "a?+$|b"] {
        assert!(!Pattern::new(pattern).unwrap().backtracks() || pattern.contains('$'), "{pattern}");
    }
    for pattern in ["a++a", "(?=a)", r"(a)\1", "(?>a|ab)c", "(?:a++b?)*c", r"\Ka"] {
        assert!(Pattern::new(pattern).unwrap().backtracks(), "{pattern}");
    }
}

#[test]
fn groups() {
    let mut captures = Captures::new();
    let pattern = Pattern::new("(a)|(b)(.)").unwrap();
    assert!(pattern.captures(b"xb\xff", &mut captures));
    assert_eq!(captures.as_slice(), [Some(1..3), None, Some(1..2), Some(2..3)]);
    assert!(!pattern.captures(b"x", &mut captures));
    assert!(captures.is_empty());
    // Offsets of a backtracking pattern are those of bytes, too.
    let pattern = Pattern::new("(?<=\u{e9})(b)(?=c)").unwrap();
    assert!(pattern.captures("\u{e9}\u{e9}bc".as_bytes(), &mut captures));
    assert_eq!(captures.as_slice(), [Some(4..5), Some(4..5)]);
    let pattern = Pattern::new(&"(a)".repeat(12)).unwrap();
    assert!(pattern.captures(b"aaaaaaaaaaaa", &mut captures));
    assert_eq!(captures.len(), 10);
}

#[test]
fn a_budget_bounds_backtracking() {
    let pattern = Pattern::new(r"^(?=((a+)+)+\1b$)").unwrap();
    let value = [b"a".repeat(5000), b"c".to_vec()].concat();
    assert_eq!(pattern.evaluate(&value, None), Outcome::BudgetExceeded);
    assert!(!pattern.is_match(&value));
}

#[test]
fn required_literals() {
    let required = |pattern: &str| {
        Pattern::new(pattern).unwrap().required().map(|literals| {
            literals
                .iter()
                .map(|literal| String::from_utf8_lossy(literal).into_owned())
                .collect::<Vec<_>>()
                .join(" ")
        })
    };
    assert_eq!(required("(?i)SELECT"), Some("select".to_owned()));
    assert_eq!(required("[Ss]elect|(?:union|into)x*"), Some("into union select".to_owned()));
    assert_eq!(required(r"\bon(?:load|error)\s*="), Some("onload onerror".to_owned()));
    assert_eq!(required("a*b?"), None);
    assert_eq!(required("."), None);
    assert_eq!(required("a|bc"), None);
    assert_eq!(required(r"\d+'"), Some("'".to_owned()));
    assert_eq!(required("x=(?!foo)bar"), Some("x=bar".to_owned()));
    assert_eq!(required("(?:ab){2,}"), Some("abab".to_owned()));
    assert_eq!(required("a{0}"), None);
    // What stands beside an inexact part counts with what that begins or ends with.
    assert_eq!(required(r"d(?:eclare.+x|iv.*y)"), Some("div declare".to_owned()));
    assert_eq!(required(r"(?:.*x+y|.+z)w"), Some("zw xyw".to_owned()));
    assert_eq!(required(r"(?:a\d*b){2,}c"), Some("bc".to_owned()));
}

/// One of the literals is in every value that matches.
fn sound(pattern: &Pattern, value: &[u8]) -> bool {
    let kinds = Kinds::of(value);
    if !pattern.is_match(value) {
        return true;
    }
    let required =
        if is_plain(kinds) { pattern.plainly_required().or(pattern.required()) } else { pattern.required() };
    if !pattern.ways().allow(kinds) {
        return false;
    }
    let Some(required) = required else { return true };
    let lower = value.to_ascii_lowercase();
    required.iter().any(|literal| memchr::memmem::find(&lower, literal).is_some())
}

#[test]
fn core_rule_set() {
    let patterns: Vec<Pattern> = shared::crs_patterns()
        .iter()
        .map(|text| {
            Pattern::new(text).unwrap_or_else(|error| panic!("{text}: {} at {}", error, error.offset))
        })
        .collect();
    // All payloads are for the statistics; here every fortieth does.
    for payload in shared::payloads().iter().step_by(40) {
        for pattern in &patterns {
            assert!(sound(pattern, payload), "{pattern:?} {:?}", payload.escape_ascii().to_string());
        }
    }
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4
}

#[test]
#[ignore = "prints statistics"]
fn statistics() {
    let texts = shared::crs_patterns();
    let payloads = shared::payloads();
    let before = resident();
    let patterns: Vec<Pattern> = texts.iter().map(|text| Pattern::new(text).unwrap()).collect();
    println!("{} patterns, compiled: {} KiB", patterns.len(), resident() - before);
    let mut captures = Captures::new();
    for payload in payloads.iter().step_by(4) {
        for pattern in &patterns {
            assert!(sound(pattern, payload));
            if pattern.is_match(payload) {
                pattern.captures(payload, &mut captures);
            }
        }
    }
    println!("with caches: {} KiB; {} payloads", resident() - before, payloads.len());
    println!("backtracking: {}", patterns.iter().filter(|pattern| pattern.backtracks()).count());
    let sets: Vec<_> = patterns.iter().filter_map(Pattern::required).collect();
    let literals: usize = sets.iter().map(Vec::len).sum();
    let short = |length| sets.iter().filter(|set| set.iter().map(Vec::len).min() == Some(length)).count();
    println!(
        "required: {} sets of {literals} literals; {} of length 1, {} of 2",
        sets.len(),
        short(1),
        short(2)
    );
    for (text, pattern) in texts.iter().zip(&patterns) {
        let kind = if pattern.backtracks() { "backtracks" } else { "" };
        match pattern.required() {
            Some(set) => println!("{:4} {kind} {text:.90}", set.len()),
            None => println!("none {kind} {text:.160}"),
        }
    }
}

/// Small patterns over few letters, so that values often match. Nothing that may match nothing is repeated: there the engines
/// differ in where a match ends (a backtracking one leaves the loop after a round without a character), though not in
/// whether there is one.
fn pattern() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[abAB'<]{1,4}".prop_map(|text| (text, false)),
        prop::sample::select(vec!["[ab]", "[^a]", "[Aa'(]", ".", r"\xe9", r"\W"])
            .prop_map(|text| (text.to_owned(), false)),
        prop::sample::select(vec![r"\b", "^", "$"]).prop_map(|text| (text.to_owned(), true)),
    ];
    let wrapped = |begin: &'static str| {
        move |(part, may_be_empty): (String, bool)| (format!("{begin}{part})"), may_be_empty)
    };
    let nested = leaf.prop_recursive(4, 24, 4, move |inner| {
        let several = || prop::collection::vec(inner.clone(), 1..4);
        let texts = |parts: &[(String, bool)]| parts.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>();
        prop_oneof![
            several().prop_map(move |parts| (texts(&parts).concat(), parts.iter().all(|(_, empty)| *empty))),
            several().prop_map(move |parts| {
                (format!("(?:{})", texts(&parts).join("|")), parts.iter().any(|(_, empty)| *empty))
            }),
            (inner.clone(), "[*+?]|\\{[0-2],[2-3]\\}|\\{2\\}", "[?+]?").prop_map(
                |((part, may_be_empty), count, kind)| {
                    let something = if may_be_empty { "a" } else { "" };
                    let may_be_left_out = count.starts_with(['*', '?']) || count.starts_with("{0");
                    (format!("(?:{part}{something}){count}{kind}"), may_be_left_out)
                }
            ),
            inner.clone().prop_map(wrapped("(")),
            inner.clone().prop_map(wrapped("(?i:")),
            inner.clone().prop_map(wrapped("(?>")),
            (prop::sample::select(vec!["(?=", "(?!"]), inner)
                .prop_map(|(kind, (part, _))| (format!("{kind}{part})"), true)),
        ]
    });
    nested.prop_map(|(text, _)| text)
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(b"aabbAB'<( \n\xe9\xff".to_vec()), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn required_literals_are_in_what_matches(pattern in pattern(), values in prop::collection::vec(value(), 8)) {
        if let Ok(pattern) = Pattern::new(&pattern) {
            for value in values {
                prop_assert!(sound(&pattern, &value), "{:?} {:?}", pattern.required(), value);
            }
        }
    }

    /// An empty look-ahead changes nothing but the engine.
    #[test]
    fn both_engines_agree(text in pattern(), values in prop::collection::vec(value(), 8)) {
        if let (Ok(linear), Ok(fancy)) = (Pattern::new(&text), Pattern::new(&format!("(?=)(?:{text})"))) {
            prop_assert!(fancy.backtracks());
            for value in values {
                let (mut left, mut right) = (Captures::new(), Captures::new());
                let outcome = fancy.evaluate(&value, Some(&mut right));
                if outcome != Outcome::BudgetExceeded {
                    prop_assert_eq!(linear.evaluate(&value, Some(&mut left)), outcome, "{:?}", &value);
                    prop_assert_eq!(left.first(), right.first(), "{:?}", &value);
                    prop_assert_eq!(linear.is_match(&value), fancy.is_match(&value));
                }
            }
        }
    }

    #[test]
    fn any_text_compiles_or_is_refused(text in r"[\[\]()?*+{},\\^$|:<>=!PabxdQEik0-9&~#' é-]{0,24}", value in value()) {
        if let Ok(pattern) = Pattern::new(&text) {
            let mut captures = Captures::new();
            let outcome = pattern.evaluate(&value, Some(&mut captures));
            prop_assert_eq!(outcome, pattern.evaluate(&value, None));
            prop_assert!(sound(&pattern, &value));
        }
    }
}
