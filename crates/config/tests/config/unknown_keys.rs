//! Keys that are unknown or missing.

use insta::assert_snapshot;

use crate::report;

#[test]
fn an_unknown_key_names_the_nearest() {
    let lines = [
        "version: 1",
        "services:",
        "  - name: a",
        "    targets: [x]",
        "    policy:",
        "      authentciate: {}",
    ];
    assert_snapshot!(report(&lines), @r"
    error: unknown key `authentciate` in `services[0].policy`
     --> gate.yaml:6:7
      |
    6 |       authentciate: {}
      |       ^^^^^^^^^^^^ did you mean `authenticate`?
    ");
}

#[test]
fn an_unknown_key_without_a_likeness_lists_the_known() {
    assert_snapshot!(report(&["version: 1", "listen:", "  zzz: 5"]), @r"
    error: unknown key `zzz` in `listen`
     --> gate.yaml:3:3
      |
    3 |   zzz: …
      |   ^^^
      = known keys here: `address`, `body`, `http2`, `port`, `timeout`
    ");
}

#[test]
fn an_unknown_key_at_the_top_level() {
    assert_snapshot!(report(&["version: 1", "listen_on: 5", "qqq: {password: hunter2}"]), @r"
    error: unknown key `listen_on` at the top level
     --> gate.yaml:2:1
      |
    2 | listen_on: 5
      | ^^^^^^^^^ did you mean `listen`?

    error: unknown key `qqq` at the top level
     --> gate.yaml:3:1
      |
    3 | qqq: {password: …}
      | ^^^
      = known keys here: `extra`, `labels`, `listen`, `services`, `version`
    ");
}

#[test]
fn a_missing_key_is_described() {
    assert_snapshot!(report(&["version: 1", "services:", "  - targets: [x]"]), @r"
    error: `name` is missing in `services[0]`
     --> gate.yaml:3:5
      |
    3 |   - targets: [x]
      |     ^ add `name:` (A name for logs and metrics)
    ");
}

#[test]
fn a_misspelled_required_key_is_reported_once() {
    assert_snapshot!(report(&["version: 1", "services:", "  - nam: a", "    targets: [x]"]), @r"
    error: unknown key `nam` in `services[0]`
     --> gate.yaml:3:5
      |
    3 |   - nam: a
      |     ^^^ did you mean `name`?
    ");
}

#[test]
fn an_empty_file() {
    assert_snapshot!(report(&["# nothing"]), @r"
    error: the configuration must be a map, found nothing
     --> gate.yaml:1:1
      |
    1 | # nothing
      | ^
      = its keys are `extra`, `labels`, `listen`, `services`, `version`
    ");
}
