//! No text makes the loader panic, loop or grow.

use portcullis_config::{DEEPEST, MOST_NODES, load_text, report};
use portcullis_core::ConfigFolder;
use proptest::prelude::*;

use crate::loaded;
use crate::sample::Root;

/// Loads and reports in both ways; every place must be in the file.
fn survives(text: &str) -> Vec<String> {
    let loaded = loaded(text, &ConfigFolder::new("/nowhere"), &[("A", "${A}"), ("B", "x: [y"), ("C", "1")]);
    let _ = report::text(&loaded.document, &loaded.problems, true);
    let _ = report::json(&loaded.document, &loaded.problems);
    assert_eq!(loaded.value.is_none(), !loaded.problems.is_empty());
    let lines = text.split(['\n', '\r']).count();
    for located in &loaded.problems {
        assert!(located.place.is_none_or(|place| (1..=lines).contains(&place.line)), "{located:?}");
    }
    loaded.problems.into_iter().map(|located| located.problem.message).collect()
}

proptest! {
    #[test]
    fn any_text(text in any::<String>()) {
        survives(&text);
    }

    #[test]
    fn texts_like_yaml(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        survives(&pieces.concat());
    }

    #[test]
    fn files_with_a_piece_replaced(at in 0..SOUND.len(), length in 0..12_usize, piece in prop::sample::select(PIECES)) {
        let end = (at + length).min(SOUND.len());
        // It is all ASCII.
        let (before, after) = (SOUND.get(..at).unwrap_or_default(), SOUND.get(end..).unwrap_or_default());
        survives(&format!("{before}{piece}{after}"));
    }
}

const PIECES: &[&str] = &[
    "version: 1\n",
    "listen:",
    "services:\n",
    "policy:",
    "  ",
    "    ",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "- ",
    "? ",
    ": ",
    ":",
    "a",
    "port",
    "port: ",
    "mode: off",
    "'",
    "\"",
    "\\",
    "\\u12",
    "[",
    "]",
    "{",
    "}",
    ",",
    "|\n",
    ">-\n",
    "|2+\n",
    "&a",
    "*a",
    "!!int ",
    "!",
    "!<x>",
    "%YAML 1.2\n",
    "%TAG ! x\n",
    "---\n",
    "--- ",
    "...\n",
    "#",
    " #x\n",
    "<<: ",
    "~",
    "null",
    "${",
    "${A}",
    "${B}",
    "${C}",
    "${D:-",
    "$$",
    "}",
    "file://",
    "file:///dev/null",
    "0x",
    "1e999",
    ".nan",
    "-",
    "é",
    "\u{2028}",
    "\u{85}",
    "\u{feff}",
    "\u{0}",
    "\u{7f}",
    "type: api_key",
    "key: ",
    "limit: {rate: ",
];

const SOUND: &str = "\
version: 1
listen: {port: 1, timeout: 5s}
services:
- name: a
  targets: ['b', \"c\"]
  policy:
    authenticate: [{type: api_key, key: ${C}}, {type: anonymous}]
    limit: {rate: {count: 5, per: 1s}}
labels:
  text: |
    one
    two
";

#[test]
fn depth_is_bounded_in_blocks_and_brackets() {
    let too_deep = "maps and lists stand more than 64 deep in one another";
    let steps: String = (0..70).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    for text in ["- ".repeat(100_000), "[".repeat(200), "{a: ".repeat(200), "? ".repeat(100_000), steps] {
        let messages = survives(&text);
        assert_eq!(messages.len(), 1, "{messages:?}");
    }
    let nested =
        |depth: usize| format!("version: 1\nextra: {}1{}\n", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(survives(&nested(DEEPEST)).is_empty());
    assert_eq!(survives(&nested(DEEPEST + 1)), [too_deep]);
}

#[test]
fn size_is_bounded() {
    let many = "- a\n".repeat(MOST_NODES);
    assert_eq!(survives(&many), ["the file has more than 100000 keys and values"]);
    let long_key = format!("{}: 1\n", "k".repeat(257));
    assert_eq!(survives(&long_key), ["this key is longer than 256 characters"]);
}

#[test]
fn laughs_are_refused() {
    let text = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
    assert_eq!(survives(text), ["anchors (`&name`) are not supported"]);
}

#[test]
fn variables_cannot_fill_the_memory() {
    let text = format!(
        "version: 1\nlabels:\n{}",
        (0..300).map(|n| format!("  k{n}: ${{BIG}}\n")).collect::<String>()
    );
    let big = "x".repeat(100_000);
    let loaded =
        load_text::<Root>("gate.yaml", &text, &ConfigFolder::new("/nowhere"), &|_| Some(big.clone()));
    let message = "the variables put more than 16MiB into this configuration";
    assert!(
        loaded.problems.iter().all(|located| located.problem.message == message || located.place.is_none())
    );
    assert!(!loaded.problems.is_empty());
}

#[test]
fn a_report_is_bounded() {
    let text: String = (0..5_000).map(|n| format!("k{n}: 1\n")).collect();
    let messages = survives(&text);
    assert_eq!(messages.len(), 101);
    assert_eq!(messages.last().map(String::as_str), Some("4901 more problems are not shown"));
}
