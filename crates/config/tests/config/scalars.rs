//! Scalars of the wrong type, range or form.

use insta::assert_snapshot;

use crate::report;

#[test]
fn a_text_for_a_number() {
    assert_snapshot!(report(&["version: 1", "listen:", "  port: abc"]), @r#"
    error: `listen.port` must be a whole number, found the text "abc"
     --> gate.yaml:3:9
      |
    3 |   port: abc
      |         ^^^
    "#);
}

#[test]
fn a_quoted_number() {
    assert_snapshot!(report(&["version: 1", "listen:", "  port: \"8080\""]), @r#"
    error: `listen.port` must be a whole number, found the text "8080"
     --> gate.yaml:3:9
      |
    3 |   port: "8080"
      |         ^^^^^^ remove the quotes: `8080`
    "#);
}

#[test]
fn a_number_for_a_text() {
    assert_snapshot!(report(&["version: 1", "labels:", "  zone: 012"]), @r#"
    error: `labels.zone` must be text, found the number `012`
     --> gate.yaml:3:9
      |
    3 |   zone: 012
      |         ^^^ put it in quotes: `"012"`
    "#);
}

#[test]
fn a_word_for_a_truth_value() {
    assert_snapshot!(report(&["version: 1", "listen:", "  http2: yes"]), @r#"
    error: `listen.http2` must be `true` or `false`, found the text "yes"
     --> gate.yaml:3:10
      |
    3 |   http2: yes
      |          ^^^ write `true`
    "#);
}

#[test]
fn nothing_for_a_number() {
    assert_snapshot!(report(&["version: 1", "listen:", "  port:"]), @r"
    error: `listen.port` must be a whole number, found nothing
     --> gate.yaml:3:3
      |
    3 |   port:
      |   ^^^^
    ");
}

#[test]
fn a_fraction() {
    assert_snapshot!(report(&["version: 1.0"]), @r"
    error: `version` must be a whole number; found `1.0`
     --> gate.yaml:1:10
      |
    1 | version: 1.0
      |          ^^^
    ");
}

#[test]
fn a_number_out_of_range() {
    assert_snapshot!(report(&["version: 1", "listen:", "  port: 70000"]), @r"
    error: `listen.port` must be between 1 and 65535; found `70000`
     --> gate.yaml:3:9
      |
    3 |   port: 70000
      |         ^^^^^
    ");
}

#[test]
fn a_number_too_large_for_its_type() {
    assert_snapshot!(report(&["version: 99999999999"]), @r"
    error: `version` must be between 0 and 4294967295; found `99999999999`
     --> gate.yaml:1:10
      |
    1 | version: 99999999999
      |          ^^^^^^^^^^^
    ");
}

#[test]
fn a_number_too_large_for_any_type() {
    assert_snapshot!(report(&["version: 99999999999999999999999"]), @r"
    error: `version` is a larger number than can be read; found `99999999999999999999999`
     --> gate.yaml:1:10
      |
    1 | version: 99999999999999999999999
      |          ^^^^^^^^^^^^^^^^^^^^^^^
    ");
}

#[test]
fn a_share_out_of_range() {
    let lines = ["version: 1", "services:", "  - name: a", "    targets: [x]", "    share: 1.5"];
    assert_snapshot!(report(&lines), @r"
    error: `services[0].share` must be between 0 and 1; found `1.5`
     --> gate.yaml:5:12
      |
    5 |     share: 1.5
      |            ^^^
    ");
}

#[test]
fn a_text_too_long() {
    let lines = ["version: 1", "services:", "  - name: abcdefghijklmnopqrstuvwxyz", "    targets: [x]"];
    assert_snapshot!(report(&lines), @r"
    error: `services[0].name` must have 1 to 20 characters; found `abcdefghijklmnopqrstuvwxyz`
     --> gate.yaml:3:11
      |
    3 |   - name: abcdefghijklmnopqrstuvwxyz
      |           ^^^^^^^^^^^^^^^^^^^^^^^^^^
    ");
}

#[test]
fn a_duration_without_a_unit() {
    assert_snapshot!(report(&["version: 1", "listen:", "  timeout: 30"]), @r"
    error: `listen.timeout` must be a duration with its unit, found the number `30`
     --> gate.yaml:3:12
      |
    3 |   timeout: 30
      |            ^^ write it like `30s`
    ");
}

#[test]
fn a_duration_in_the_wrong_form() {
    assert_snapshot!(report(&["version: 1", "listen:", "  timeout: soon"]), @r"
    error: `listen.timeout` must be a duration with its unit; found `soon`
     --> gate.yaml:3:12
      |
    3 |   timeout: soon
      |            ^^^^ write it like `30s`
    ");
}

#[test]
fn a_duration_with_an_unknown_unit() {
    assert_snapshot!(report(&["version: 1", "listen:", "  timeout: 30 parsecs"]), @r"
    error: `listen.timeout`: `30 parsecs` is not a duration
     --> gate.yaml:3:12
      |
    3 |   timeout: 30 parsecs
      |            ^^^^^^^^^^ write a number with a unit, such as `250ms`, `30s` or `5m`
    ");
}

#[test]
fn a_size_without_a_unit() {
    assert_snapshot!(report(&["version: 1", "listen:", "  body: 1000000"]), @r"
    error: `listen.body` must be a size with its unit, found the number `1000000`
     --> gate.yaml:3:9
      |
    3 |   body: 1000000
      |         ^^^^^^^ write it like `1MiB`
    ");
}

#[test]
fn a_value_that_only_its_type_refuses() {
    assert_snapshot!(report(&["version: 1", "listen:", "  address: localhost"]), @r"
    error: `listen.address`: invalid IP address syntax
     --> gate.yaml:3:12
      |
    3 |   address: localhost
      |            ^^^^^^^^^
    ");
}
