//! Enumerations and alternatives: the fault is reported in the one that was meant.

use insta::assert_snapshot;

use crate::report;

#[test]
fn a_word_that_is_not_in_the_list() {
    let lines =
        ["version: 1", "services:", "  - name: a", "    targets: [x]", "    policy: {mode: enforced}"];
    assert_snapshot!(report(&lines), @r"
    error: `services[0].policy.mode` must be one of `enforce`, `shadow`, `off`; found `enforced`
     --> gate.yaml:5:20
      |
    5 |     policy: {mode: enforced}
      |                    ^^^^^^^^ did you mean `enforce`?
    ");
}

#[test]
fn a_word_in_the_wrong_case() {
    let lines =
        ["version: 1", "services:", "  - name: a", "    targets: [x]", "    policy: {level: Very_High}"];
    assert_snapshot!(report(&lines), @r"
    error: `services[0].policy.level` must be one of `low`, `very-high`; found `Very_High`
     --> gate.yaml:5:21
      |
    5 |     policy: {level: Very_High}
      |                     ^^^^^^^^^ did you mean `very-high`?
    ");
}

#[test]
fn a_list_for_a_word() {
    let lines = ["version: 1", "services:", "  - name: a", "    targets: [x]", "    policy: {mode: [off]}"];
    assert_snapshot!(report(&lines), @r"
    error: `services[0].policy.mode` must be one of `enforce`, `shadow`, `off`, found a list
     --> gate.yaml:5:14
      |
    5 |     policy: {mode: […]}
      |              ^^^^
    ");
}

#[test]
fn an_unknown_tag() {
    let lines = [
        "version: 1",
        "services:",
        "  - name: a",
        "    targets: [x]",
        "    policy:",
        "      authenticate:",
        "        - {type: jwtt, key: hunter2}",
    ];
    assert_snapshot!(report(&lines), @r"
    error: `services[0].policy.authenticate[0].type` must be one of `jwt`, `api_key`, `anonymous`; found `jwtt`
     --> gate.yaml:7:18
      |
    7 |         - {type: jwtt, key: …}
      |                  ^^^^ did you mean `jwt`?
    ");
}

#[test]
fn a_missing_tag() {
    let lines = [
        "version: 1",
        "services:",
        "  - name: a",
        "    targets: [x]",
        "    policy:",
        "      authenticate:",
        "        - issuer: b",
        "          key: hunter2",
    ];
    assert_snapshot!(report(&lines), @r"
    error: `type` is missing in `services[0].policy.authenticate[0]`
     --> gate.yaml:7:11
      |
    7 |         - issuer: …
      |           ^ it must be one of `jwt`, `api_key`, `anonymous`
    ");
}

#[test]
fn a_fault_within_the_tagged_alternative() {
    let lines = [
        "version: 1",
        "services:",
        "  - name: a",
        "    targets: [x]",
        "    policy:",
        "      authenticate:",
        "        - type: jwt",
        "          isuer: b",
    ];
    assert_snapshot!(report(&lines), @r"
    error: unknown key `isuer` in `services[0].policy.authenticate[0]`
     --> gate.yaml:8:11
      |
    8 |           isuer: b
      |           ^^^^^ did you mean `issuer`?
    ");
}

#[test]
fn an_alternative_by_key_misspelled() {
    let lines = [
        "version: 1",
        "services:",
        "  - name: a",
        "    targets: [x]",
        "    policy:",
        "      limit: {rates: {count: 1, per: 1s}}",
    ];
    assert_snapshot!(report(&lines), @r"
    error: unknown key `rates` in `services[0].policy.limit`
     --> gate.yaml:6:15
      |
    6 |       limit: {rates: {count: …, per: …}}
      |               ^^^^^ did you mean `rate`?
    ");
}

#[test]
fn two_alternatives_by_key() {
    let lines = [
        "version: 1",
        "services:",
        "  - name: a",
        "    targets: [x]",
        "    policy:",
        "      limit:",
        "        rate: {count: 1, per: 1s}",
        "        parallel: 3",
    ];
    assert_snapshot!(report(&lines), @r"
    error: `services[0].policy.limit` can have only one of `rate` and `parallel`
     --> gate.yaml:6:7
      |
    6 |       limit:
      |       ^^^^^ keep one of them
    ");
}

#[test]
fn an_alternative_by_key_without_its_value() {
    let lines =
        ["version: 1", "services:", "  - name: a", "    targets: [x]", "    policy:", "      limit: rate"];
    assert_snapshot!(report(&lines), @r#"
    error: `services[0].policy.limit` must be a map or `unlimited`, found the text "rate"
     --> gate.yaml:6:14
      |
    6 |       limit: rate
      |              ^^^^ write `rate:` with its value
    "#);
}

#[test]
fn a_word_written_as_a_key() {
    let lines = [
        "version: 1",
        "services:",
        "  - name: a",
        "    targets: [x]",
        "    policy:",
        "      limit: {unlimited: {}}",
    ];
    assert_snapshot!(report(&lines), @r"
    error: unknown key `unlimited` in `services[0].policy.limit`
     --> gate.yaml:6:15
      |
    6 |       limit: {unlimited: {}}
      |               ^^^^^^^^^ write `unlimited` alone, as a value
    ");
}

#[test]
fn a_fault_within_the_alternative_by_key() {
    let lines = [
        "version: 1",
        "services:",
        "  - name: a",
        "    targets: [x]",
        "    policy:",
        "      limit: {rate: {count: -1}}",
    ];
    assert_snapshot!(report(&lines), @r"
    error: `per` is missing in `services[0].policy.limit.rate`
     --> gate.yaml:6:15
      |
    6 |       limit: {rate: {count: -1}}
      |               ^^^^ add `per:` (In how long)

    error: `services[0].policy.limit.rate.count` must be between 0 and 4294967295; found `-1`
     --> gate.yaml:6:29
      |
    6 |       limit: {rate: {count: -1}}
      |                             ^^
    ");
}

#[test]
fn one_or_many_of_the_wrong_kind() {
    let lines = [
        "version: 1",
        "services:",
        "  - name: a",
        "    targets: [x]",
        "    policy:",
        "      headers: {a: b}",
    ];
    assert_snapshot!(report(&lines), @r"
    error: `services[0].policy.headers` must be text or a list, found a map
     --> gate.yaml:6:7
      |
    6 |       headers: {a: …}
      |       ^^^^^^^
    ");
}

#[test]
fn a_fault_within_one_of_many() {
    let lines = [
        "version: 1",
        "services:",
        "  - name: a",
        "    targets: [x]",
        "    policy:",
        "      headers: [a, 5]",
    ];
    assert_snapshot!(report(&lines), @r#"
    error: `services[0].policy.headers[1]` must be text, found the number `5`
     --> gate.yaml:6:20
      |
    6 |       headers: [a, 5]
      |                    ^ put it in quotes: `"5"`
    "#);
}

#[test]
fn a_number_or_a_word() {
    let lines = ["version: 1", "services:", "  - name: a", "    targets: [x]", "    policy: {workers: many}"];
    assert_snapshot!(report(&lines), @r#"
    error: `services[0].policy.workers` must be a whole number or `auto`, found the text "many"
     --> gate.yaml:5:23
      |
    5 |     policy: {workers: many}
      |                       ^^^^
    "#);
}
