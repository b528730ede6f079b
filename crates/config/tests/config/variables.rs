//! Variables, and that their values stay out of messages.

use insta::assert_snapshot;

use crate::{report, report_with};

#[test]
fn an_unset_variable() {
    assert_snapshot!(report(&["version: 1", "listen:", "  port: ${PORT}"]), @r"
    error: the variable `PORT` is not set
     --> gate.yaml:3:9 (listen.port)
      |
    3 |   port: ${PORT}
      |         ^^^^^^^ set it, or give it a default: `${PORT:-…}`
    ");
}

#[test]
fn an_unset_variable_inside_a_block() {
    assert_snapshot!(report(&["version: 1", "labels:", "  a: |", "    one", "    two ${WORD} three"]), @r"
    error: the variable `WORD` is not set
     --> gate.yaml:5:9 (labels.a)
      |
    5 |     two ${WORD} three
      |         ^^^^^^^ set it, or give it a default: `${WORD:-…}`
    ");
}

#[test]
fn an_open_variable() {
    assert_snapshot!(report(&["version: 1", "labels: {a: \"x ${PORT\"}"]), @r#"
    error: `${` is not closed by `}`
     --> gate.yaml:2:16 (labels.a)
      |
    2 | labels: {a: "x ${PORT"}
      |                ^^
      = write `${NAME}` or `${NAME:-default}`; for a dollar itself write `$$`
    "#);
}

#[test]
fn a_malformed_variable() {
    assert_snapshot!(report(&["version: 1", "labels:", "  a: ${PORT?none}"]), @r"
    error: `${PORT?none}` does not name a variable
     --> gate.yaml:3:6 (labels.a)
      |
    3 |   a: ${PORT?none}
      |      ^^^^^^^^^^^^
      = write `${NAME}` or `${NAME:-default}`; for a dollar itself write `$$`
    ");
}

#[test]
fn a_variable_in_a_default() {
    assert_snapshot!(report(&["version: 1", "labels:", "  a: ${PORT:-${OTHER}}"]), @r"
    error: the default of `${PORT}` cannot itself hold a variable
     --> gate.yaml:3:6 (labels.a)
      |
    3 |   a: ${PORT:-${OTHER}}
      |      ^^^^^^^^^^^^^^^^
      = write `${NAME}` or `${NAME:-default}`; for a dollar itself write `$$`
    ");
}

#[test]
fn a_variable_in_a_key() {
    assert_snapshot!(report_with(&["version: 1", "labels:", "  ${A}: b"], &[("A", "b")]), @r"
    error: variables are not put into keys: `${A}`
     --> gate.yaml:3:3 (labels)
      |
    3 |   ${A}: b
      |   ^^^^ write the key out
    ");
}

#[test]
fn a_variable_of_the_wrong_type() {
    let lines = ["version: 1", "listen:", "  port: ${PORT}"];
    assert_snapshot!(report_with(&lines, &[("PORT", "planted-port")]), @r"
    error: `listen.port` must be a whole number, found the text that `${PORT}` stands for
     --> gate.yaml:3:9
      |
    3 |   port: ${PORT}
      |         ^^^^^^^
    ");
}

#[test]
fn a_variable_out_of_range() {
    assert_snapshot!(report_with(&["version: 1", "listen:", "  port: ${PORT}"], &[("PORT", "99999")]), @r"
    error: `listen.port` must be between 1 and 65535; `${PORT}` stands for something else
     --> gate.yaml:3:9
      |
    3 |   port: ${PORT}
      |         ^^^^^^^
    ");
}

#[test]
fn a_variable_that_is_not_in_the_list() {
    let lines =
        ["version: 1", "services:", "  - name: a", "    targets: [x]", "    policy:", "      mode: ${MODE}"];
    assert_snapshot!(report_with(&lines, &[("MODE", "enforced")]), @r"
    error: `services[0].policy.mode` must be one of `enforce`, `shadow`, `off`; `${MODE}` stands for something else
     --> gate.yaml:6:13
      |
    6 |       mode: ${MODE}
      |             ^^^^^^^
    ");
}

#[test]
fn a_variable_in_the_wrong_form() {
    let lines = ["version: 1", "listen:", "  timeout: ${WAIT}"];
    assert_snapshot!(report_with(&lines, &[("WAIT", "planted")]), @r"
    error: `listen.timeout` must be a duration with its unit; `${WAIT}` stands for something else
     --> gate.yaml:3:12
      |
    3 |   timeout: ${WAIT}
      |            ^^^^^^^ write it like `30s`
    ");
}

#[test]
fn a_variable_that_only_its_type_refuses() {
    let lines = ["version: 1", "listen:", "  address: ${HOST}"];
    assert_snapshot!(report_with(&lines, &[("HOST", "planted.example")]), @r"
    error: `listen.address`: invalid IP address syntax
     --> gate.yaml:3:12
      |
    3 |   address: ${HOST}
      |            ^^^^^^^
    ");
}

#[test]
fn a_variable_of_one_letter_that_only_its_type_refuses() {
    assert_snapshot!(report_with(&["version: 1", "listen:", "  timeout: 1${UNIT}"], &[("UNIT", "q")]), @r"
    error: `listen.timeout`: `1${UNIT}` is not a duration
     --> gate.yaml:3:12
      |
    3 |   timeout: 1${UNIT}
      |            ^^^^^^^^ write a number with a unit, such as `250ms`, `30s` or `5m`
    ");
}
