//! Secrets, and that they stay out of messages and out of the lines shown.

use insta::assert_snapshot;

use portcullis_config::{locate, report as reports};
use portcullis_core::{ConfigFolder, KeyPath, Problems};

use crate::{loaded, report, report_with};

#[test]
fn a_secret_of_the_wrong_type() {
    let lines = [
        "version: 1",
        "services:",
        "  - name: a",
        "    targets: [x]",
        "    policy:",
        "      authenticate:",
        "        - {type: api_key, key: 12345678}",
    ];
    assert_snapshot!(report(&lines), @r"
    error: `services[0].policy.authenticate[0].key` must be text, found a number
     --> gate.yaml:7:32
      |
    7 |         - {type: api_key, key: …}
      |                                ^ put it in quotes
    ");
}

#[test]
fn a_secret_on_the_line_of_another_fault() {
    let lines = [
        "version: 1",
        "services:",
        "  - name: a",
        "    targets: [x]",
        "    policy:",
        "      authenticate:",
        "        - {key: hunter2, type: api_key, kez: \"hunter3\"}",
    ];
    assert_snapshot!(report(&lines), @r"
    error: unknown key `kez` in `services[0].policy.authenticate[0]`
     --> gate.yaml:7:41
      |
    7 |         - {key: …, type: api_key, kez: …}
      |                                   ^^^ did you mean `key`?
    ");
}

#[test]
fn a_secret_file_that_is_not_there() {
    let lines = [
        "version: 1",
        "services:",
        "  - name: a",
        "    targets: [x]",
        "    policy:",
        "      authenticate:",
        "        - {type: api_key, key: \"file://${DIRECTORY}/none\"}",
    ];
    assert_snapshot!(report_with(&lines, &[("DIRECTORY", "/planted-directory")]), @r#"
    error: `services[0].policy.authenticate[0].key`: the secret `file://${DIRECTORY}/none` is not available: the file cannot be read (entity not found)
     --> gate.yaml:7:32
      |
    7 |         - {type: api_key, key: "file://${DIRECTORY}/none"}
      |                                ^^^^^^^^^^^^^^^^^^^^^^^^^^ relative paths start at the folder of the configuration file
    "#);
}

#[test]
fn an_optional_secret_of_the_wrong_type() {
    let lines = [
        "version: 1",
        "services:",
        "  - name: a",
        "    targets: [x]",
        "    policy:",
        "      authenticate:",
        "        - {type: jwt, issuer: i, key: 12345678}",
    ];
    assert_snapshot!(report(&lines), @r"
    error: `services[0].policy.authenticate[0].key` must be text, found a number
     --> gate.yaml:7:39
      |
    7 |         - {type: jwt, issuer: i, key: …}
      |                                       ^ put it in quotes if it is text
    ");
}

#[test]
fn a_secret_beside_a_missing_tag() {
    let lines = [
        "version: 1",
        "services:",
        "  - name: a",
        "    targets: [x]",
        "    policy:",
        "      authenticate: [{key: hunter2}]",
    ];
    assert_snapshot!(report(&lines), @r"
    error: `type` is missing in `services[0].policy.authenticate[0]`
     --> gate.yaml:6:22
      |
    6 |       authenticate: [{key: …}]
      |                      ^ it must be one of `jwt`, `api_key`, `anonymous`
    ");
}

#[test]
fn a_secret_in_a_block_is_hidden_in_every_line() {
    let text = "\
version: 1
services:
- name: a
  targets: [x]
  policy:
    authenticate:
    - type: api_key
      key: |
        hunter
        2
";
    let loaded = loaded(text, &ConfigFolder::new("/nowhere"), &[]);
    assert!(loaded.value.is_some());
    let key = KeyPath::root().key("services").index(0).key("policy").key("authenticate").index(0).key("key");
    let mut problems = Problems::default();
    problems.error(&key, "`hunter\n2\n` is too short");
    let report = reports::text(&loaded.document, &locate(&loaded.document, &problems), false);
    assert!(!report.contains("hunter"), "{report}");
}

#[test]
fn a_secret_from_a_file_stays_out_of_later_messages() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "planted\n").unwrap();
    let text = "\
version: 1
services:
- name: a
  targets: [x]
  policy:
    authenticate: [{type: api_key, key: file://key}]
";
    let loaded = loaded(text, &ConfigFolder::new(folder.path()), &[]);
    assert!(loaded.value.is_some());
    let mut problems = Problems::default();
    problems.error(&KeyPath::root().key("services"), "the key `Planted` is too short");
    assert_eq!(locate(&loaded.document, &problems)[0].problem.message, "the key `file://key` is too short");
    assert!(!format!("{:?}", loaded.document).contains("planted"));
}
