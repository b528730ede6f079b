//! Faults in YAML's syntax, in words that say what to change.

use portcullis_core::KeyPath;
use saphyr_parser::ScanError;

use crate::document::{Place, lines};
use crate::located::Located;

/// A parser's complaint (its beginning), what it means, and what to do.
const MEANINGS: &[(&str, &str, &str)] = &[
    ("tab", "a tab stands where only spaces may", "indent with spaces"),
    (
        "mapping values are not allowed",
        "a `:` stands where no key can be",
        "put text that contains `: ` in quotes, give each key its own line, and write a space after its `:`",
    ),
    ("while parsing a block mapping", "this line is not indented like a line above it", LINE_UP),
    ("while parsing a block collection", "a list item without `-`, or a key indented like the list", LINE_UP),
    ("simple key expect", "a line without `:` stands where a key must be", "write `key: value`"),
    ("simple key", "a `:` or a value is missing", "write `key: value`"),
    (
        "while parsing a flow mapping",
        "the `{…}` is not closed, or `,` is missing in it",
        "write `}` or `,` here",
    ),
    (
        "while parsing a flow sequence",
        "the `[…]` is not closed, or `,` is missing in it",
        "write `]` or `,` here",
    ),
    (
        "illegal placement of ':'",
        "the `[…]` or `{…}` above is not closed",
        "write `]` or `}` before this line",
    ),
    (
        "invalid indentation in flow",
        "the `[…]` or `{…}` above is not closed",
        "write `]` or `}` before this line",
    ),
    ("misplaced bracket", "a closing `]` or `}` without its opening", "remove it, or put the text in quotes"),
    ("recursion limit", "lists and maps stand too deep in one another", "at most 64 levels are read"),
    ("while parsing a node", "a value is missing", "write a value, or remove the extra `,`"),
    ("invalid indentation in quoted", NOT_CLOSED, CLOSE),
    ("while scanning a quoted scalar", NOT_CLOSED, CLOSE),
    ("invalid trailing content", "text follows the closing quote", "put the whole value in quotes"),
    (
        "while parsing a quoted scalar",
        "a `\\` in double quotes begins no known escape",
        "write `\\\\` for a backslash, or use single quotes",
    ),
    ("while parsing node, found unknown anchor", "aliases (`*name`) are not supported", QUOTE),
    ("while scanning an anchor", "anchors and aliases are not supported", QUOTE),
    ("unexpected character", "a value cannot begin with this character", QUOTE),
    ("comment intercepting", "a text over several lines has a comment within", "use quotes or a `|` block"),
    ("block sequence entries", "a list item cannot stand here", "begin the list in a line of its own"),
    (
        "did not find expected <document",
        "a second value begins after the first",
        "keep one map at the top level",
    ),
    ("found incompatible", "only YAML 1.2 is read", "remove the `%YAML` line"),
];

const LINE_UP: &str = "give the keys of one map, and the `-` of one list, the same number of spaces";
const NOT_CLOSED: &str = "the quoted text is not closed";
const CLOSE: &str = "write the closing quote";
const QUOTE: &str = "put the value in quotes if text is meant";

/// What the parser's error means.
pub(crate) fn explain(error: &ScanError, text: &str) -> Located {
    let (line, column) = (error.marker().line(), error.marker().col() + 1);
    let mut place = Some(Place { line, column, width: 1 });
    if error.info() == "simple key expect ':'" {
        // The parser notices in the line after.
        place = last_line_before(line, text).or(place);
    }
    let written = line.checked_sub(1).and_then(|before| lines(text).nth(before)).unwrap_or_default();
    if written.is_empty() {
        // The parser noticed at the end of the file, after the last line that has something.
        place = last_line_before(line, text)
            .map(|last| Place { column: last.column + last.width, width: 1, ..last })
            .or(Some(Place { line: 1, column: 1, width: 1 }));
    }
    if written.contains("${") && error.info().contains("flow") {
        return Located::error(&KeyPath::root(), place, "a variable inside `{…}` or `[…]` needs quotes")
            .suggest("write `\"${NAME}\"`");
    }
    let known = MEANINGS.iter().find(|(beginning, _, _)| {
        error.info().starts_with(beginning) || *beginning == "tab" && error.info().contains("tab")
    });
    match known {
        Some((_, meaning, remedy)) => Located::error(&KeyPath::root(), place, *meaning).suggest(*remedy),
        None => Located::error(&KeyPath::root(), place, format!("this is not YAML: {}", error.info())),
    }
}

/// The last line before `line` that has more than a comment.
fn last_line_before(line: usize, text: &str) -> Option<Place> {
    let before = lines(text).enumerate().take(line.saturating_sub(1));
    let (index, found) =
        before.filter(|(_, text)| !text.trim().is_empty() && !text.trim_start().starts_with('#')).last()?;
    let column = found.chars().take_while(|c| c.is_whitespace()).count() + 1;
    Some(Place { line: index + 1, column, width: found.trim().chars().count() })
}

/// The first character that no YAML file may contain (YAML 1.2.2, section 5.1). The parser would take a
/// NUL for the end of the file and drop what follows.
pub(crate) fn unprintable(text: &str) -> Option<Located> {
    for (index, line) in lines(text).enumerate() {
        if let Some((before, found)) = line.chars().enumerate().find(|&(_, c)| !is_printable(c)) {
            let place = Place { line: index + 1, column: before + 1, width: 1 };
            let message = format!("the character U+{:04X} cannot stand in YAML", u32::from(found));
            return Some(
                Located::error(&KeyPath::root(), Some(place), message)
                    .suggest("remove it, or write it as an escape in double quotes"),
            );
        }
    }
    None
}

fn is_printable(c: char) -> bool {
    matches!(c, '\t' | '\u{85}' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
        && c != '\u{feff}'
}
