//! Secrets, and that they stay out of messages and out of the lines shown.

use insta::assert_snapshot;

use crate::{report, report_with};

#[test]
fn a_secret_of_the_wrong_type() {
    assert_snapshot!(report(&["version: 1", "services:", "  - name: a", "    targets: [x]", "    policy:", "      authenticate:", "        - {type: api_key, key: 12345678}"]), @r"
    error: `services[0].policy.authenticate[0].key` must be text, found a number
     --> gate.yaml:7:32
      |
    7 |         - {type: api_key, key: …}
      |                                ^ put it in quotes
    ");
}

#[test]
fn a_secret_on_the_line_of_another_fault() {
    assert_snapshot!(report(&["version: 1", "services:", "  - name: a", "    targets: [x]", "    policy:", "      authenticate:", "        - {key: hunter2, type: api_key, kez: \"hunter3\"}"]), @r"
    error: unknown key `kez` in `services[0].policy.authenticate[0]`
     --> gate.yaml:7:41
      |
    7 |         - {key: …, type: api_key, kez: …}
      |                                   ^^^ did you mean `key`?
    ");
}

#[test]
fn a_secret_file_that_is_not_there() {
    assert_snapshot!(report_with(&["version: 1", "services:", "  - name: a", "    targets: [x]", "    policy:", "      authenticate:", "        - {type: api_key, key: \"file://${DIRECTORY}/none\"}"], &[("DIRECTORY", "/planted-directory")]), @r#"
    error: `services[0].policy.authenticate[0].key`: the secret `file://${DIRECTORY}/none` is not available: the file cannot be read (entity not found)
     --> gate.yaml:7:32
      |
    7 |         - {type: api_key, key: "file://${DIRECTORY}/none"}
      |                                ^^^^^^^^^^^^^^^^^^^^^^^^^^ relative paths start at the folder of the configuration file
    "#);
}
