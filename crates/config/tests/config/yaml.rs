//! What YAML refuses, and what this dialect of it refuses.

use insta::assert_snapshot;

use crate::{report, report_with};

#[test]
fn a_tab() {
    assert_snapshot!(report(&["version: 1", "listen:", "\tport: 1"]), @r"
    error: a tab stands where only spaces may
     --> gate.yaml:3:2
      |
    3 | \tport: 1
      |   ^ indent with spaces
    ");
}

#[test]
fn two_colons() {
    assert_snapshot!(report(&["version: 1: 2"]), @r"
    error: a `:` stands where no key can be
     --> gate.yaml:1:11
      |
    1 | version: 1: 2
      |           ^
      = put text that contains `: ` in quotes, give each key its own line, and write a space after its `:`
    ");
}

#[test]
fn a_crooked_indentation() {
    assert_snapshot!(report(&["listen:", "    port: 1", "   http2: true", "version: 1"]), @r"
    error: this line is not indented like a line above it
     --> gate.yaml:3:4
      |
    3 |    http2: true
      |    ^
      = give the keys of one map, and the `-` of one list, the same number of spaces
    ");
}

#[test]
fn an_open_bracket() {
    assert_snapshot!(report(&["services: [a, b", "version: 1"]), @r"
    error: the `[…]` or `{…}` above is not closed
     --> gate.yaml:2:8
      |
    2 | version: 1
      |        ^ write `]` or `}` before this line
    ");
}

#[test]
fn an_open_quote() {
    assert_snapshot!(report(&["labels: {a: \"x", "version: 1"]), @r#"
    error: the quoted text is not closed
     --> gate.yaml:1:13
      |
    1 | labels: {a: "x
      |             ^ write the closing quote
    "#);
}

#[test]
fn a_line_without_a_colon() {
    assert_snapshot!(report(&["version: 1", "listen", "services: []"]), @r"
    error: a line without `:` stands where a key must be
     --> gate.yaml:2:1
      |
    2 | listen
      | ^^^^^^ write `key: value`
    ");
}

#[test]
fn a_reserved_character() {
    assert_snapshot!(report(&["version: @one"]), @r"
    error: a value cannot begin with this character
     --> gate.yaml:1:10
      |
    1 | version: @one
      |          ^ put the value in quotes if text is meant
    ");
}

#[test]
fn a_variable_in_a_flow_map() {
    assert_snapshot!(report_with(&["listen: {port: ${PORT}}"], &[("PORT", "1")]), @r#"
    error: a variable inside `{…}` or `[…]` needs quotes
     --> gate.yaml:1:17
      |
    1 | listen: {port: ${PORT}}
      |                 ^ write `"${NAME}"`
    "#);
}

#[test]
fn a_key_twice() {
    assert_snapshot!(report(&["version: 1", "listen:", "  port: 1", "  http2: true", "  port: 2"]), @r"
    error: the key `port` stands twice in `listen`
     --> gate.yaml:5:3
      |
    5 |   port: 2
      |   ^^^^ it stands first in line 3; keep one of them
    ");
}

#[test]
fn a_second_document() {
    assert_snapshot!(report(&["version: 1", "---", "version: 2"]), @r"
    error: a second document begins here (`---`)
     --> gate.yaml:2:1
      |
    2 | ---
      | ^^^ keep one configuration in a file
    ");
}

#[test]
fn an_anchor() {
    assert_snapshot!(report(&["labels: &all {a: b}", "version: 1"]), @r"
    error: anchors (`&name`) are not supported
     --> gate.yaml:1:9
      |
    1 | labels: &all {a: b}
      |         ^^^^^^ repeat the value; put text that starts with `&` in quotes
    ");
}

#[test]
fn an_alias() {
    assert_snapshot!(report(&["labels: *all"]), @r"
    error: aliases (`*name`) are not supported
     --> gate.yaml:1:9
      |
    1 | labels: *all
      |         ^ put the value in quotes if text is meant
    ");
}

#[test]
fn a_merge_key() {
    assert_snapshot!(report(&["version: 1", "labels:", "  <<: {a: b}"]), @r"
    error: merge keys (`<<`) are not supported
     --> gate.yaml:3:3 (labels)
      |
    3 |   <<: {a: b}
      |   ^^ repeat the keys that are meant
    ");
}

#[test]
fn a_tag() {
    assert_snapshot!(report(&["version: !!int 1"]), @r"
    error: tags (`!name`) are not supported
     --> gate.yaml:1:10
      |
    1 | version: !!int 1
      |          ^^^^^^^ leave the tag out; put text that starts with `!` in quotes
    ");
}

#[test]
fn a_list_as_a_key() {
    assert_snapshot!(report(&["version: 1", "? [a, b]", ": c"]), @r"
    error: a list or map cannot be a key
     --> gate.yaml:2:3
      |
    2 | ? [a, b]
      |   ^ write a name as the key
    ");
}

#[test]
fn a_control_character() {
    assert_snapshot!(report(&["version: 1", "# bell: \u{7}"]), @r"
    error: the character U+0007 cannot stand in YAML
     --> gate.yaml:2:9
      |
    2 | # bell: \u{7}
      |         ^^^^^ remove it, or write it as an escape in double quotes
    ");
}

#[test]
fn a_key_that_reorders_text() {
    assert_snapshot!(report(&["version: 1", "listen:", "  \"a\\u202Eb\": 1"]), @r#"
    error: unknown key `a\u{202e}b` in `listen`
     --> gate.yaml:3:3
      |
    3 |   "a\u202Eb": …
      |   ^^^^^^^^^^
      = known keys here: `address`, `body`, `http2`, `port`, `timeout`
    "#);
}
