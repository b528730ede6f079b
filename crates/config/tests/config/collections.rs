//! Lists and maps.

use insta::assert_snapshot;

use crate::report;

#[test]
fn a_map_for_a_list() {
    assert_snapshot!(report(&["version: 1", "services:", "  name: a"]), @r"
    error: `services` must be a list, found a map
     --> gate.yaml:2:1
      |
    2 | services:
      | ^^^^^^^^ write each item in a line of its own after `- `
    ");
}

#[test]
fn a_text_for_a_map() {
    assert_snapshot!(report(&["version: 1", "listen: 8080"]), @r"
    error: `listen` must be a map, found the number `8080`
     --> gate.yaml:2:9
      |
    2 | listen: 8080
      |         ^^^^ its keys are `address`, `body`, `http2`, `port`, `timeout`
    ");
}

#[test]
fn an_empty_list() {
    assert_snapshot!(report(&["version: 1", "services:", "  - name: a", "    targets: []"]), @r"
    error: `services[0].targets` must have at least 1 item; found 0
     --> gate.yaml:4:5
      |
    4 |     targets: []
      |     ^^^^^^^
    ");
}

#[test]
fn a_list_at_the_top_level() {
    assert_snapshot!(report(&["- version: 1"]), @r"
    error: the configuration must be a map, found a list
     --> gate.yaml:1:1
      |
    1 | - version: …
      | ^
      = its keys are `extra`, `labels`, `listen`, `services`, `version`
    ");
}

#[test]
fn several_faults_in_the_order_of_the_file() {
    assert_snapshot!(report(&["versoin: 1", "listen:", "  port: 0", "  timeout: 5", "  http2: no"]), @r#"
    error: unknown key `versoin` at the top level
     --> gate.yaml:1:1
      |
    1 | versoin: 1
      | ^^^^^^^ did you mean `version`?

    error: `listen.port` must be between 1 and 65535; found `0`
     --> gate.yaml:3:9
      |
    3 |   port: 0
      |         ^

    error: `listen.timeout` must be a duration with its unit, found the number `5`
     --> gate.yaml:4:12
      |
    4 |   timeout: 5
      |            ^ write it like `30s`

    error: `listen.http2` must be `true` or `false`, found the text "no"
     --> gate.yaml:5:10
      |
    5 |   http2: no
      |          ^^ write `false`
    "#);
}
