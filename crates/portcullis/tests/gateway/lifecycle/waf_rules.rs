//! `portcullis waf test` with rules that match: needs the engine.

use std::path::Path;

use super::run;

const RULES: &str = r#"
SecRule ARGS:a "@streq evil" "id:100,phase:2,deny,status:403,t:none,log,msg:'An evil argument'"
SecRule RESPONSE_BODY "@contains secret" "id:101,phase:4,deny,status:403,t:none,log,msg:'A secret'"
SecRule REQUEST_BODY "@rx ^never$" "id:102,phase:2,pass,t:none,nolog"
"#;

const SUITE: &str = r#"
rule_id: 100
tests:
  - test_id: 1
    stages:
      - input: { uri: "/get?a=evil", headers: { Host: localhost } }
        output: { status: 200, isolated: true, log: { expect_ids: [100], no_expect_ids: [101] } }
  - test_id: 2
    stages:
      - input: { method: POST, uri: /post, data: a=evil, headers: { Host: localhost } }
        output: { log: { expect_ids: [100], match_regex: 'id "100"' } }
  - test_id: 3
    stages:
      - input: { method: POST, uri: /post, data: a=good, headers: { Host: localhost } }
        output: { log: { no_expect_ids: [100], no_match_regex: '\[id "\d+"\]' } }
  - test_id: 4
    stages:
      - input:
          method: POST
          uri: /reflect
          headers: { Host: localhost, Content-Type: application/json }
          data: '{"body": "the secret is out"}'
        output: { log: { expect_ids: [101], no_expect_ids: [100] } }
  - test_id: 5
    stages:
      - input: { uri: "/get?a=evil", headers: { Host: localhost } }
        output: { log: { no_expect_ids: [100] } }
"#;

#[test]
fn rules_are_detected_and_block_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("rules/100.conf", RULES);
    write("tests/A/100.yaml", SUITE);
    let printed = test(folder.path());
    assert_eq!(printed.0, 1);
    assert_eq!(printed.1.lines().next(), Some("100-5 failed: expected not to match 100"), "{printed:?}");
    assert_eq!(printed.1.lines().last(), Some("4 passed, 1 failed"), "{printed:?}");
}

#[test]
fn rules_that_cannot_be_loaded_are_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("rules")).unwrap();
    std::fs::create_dir_all(folder.path().join("tests")).unwrap();
    std::fs::write(folder.path().join("rules/a.conf"), "SecRule ARGS \"@nothing x\" \"id:1\"\n").unwrap();
    std::fs::write(folder.path().join("tests/100.yaml"), SUITE).unwrap();
    let printed = run(folder.path(), &["waf", "test", "--rules", "rules", "--tests", "tests"]);
    assert_eq!(printed.code, 1);
    assert!(printed.stdout.is_empty() && printed.stderr.contains("a.conf"), "{printed:?}");
}

fn test(folder: &Path) -> (i32, String) {
    let printed = run(folder, &["waf", "test", "--rules", "rules", "--tests", "tests", "-v"]);
    (printed.code, printed.stdout)
}
