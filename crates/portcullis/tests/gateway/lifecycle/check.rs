//! `portcullis check`: everything that is wrong, at once, where it is, and what would be right.

use serde_json::{Value, json};

use super::{examples, folder, run};

const WRONG: &str = r#"version: 1
listeners:
  - { name: public, address: "127.0.0.1:0" }
authorization:
  policies: [syntax.cedar, types.cedar]
services:
  - name: shop
    upstream: { targets: ["127.0.0.1:9000"] }
    routes:
      - name: all
        path: orders
        policy:
          authenticate: { methods: [staf] }
          limit: { apply: [per-caller] }
      - { name: all, path: /x }
"#;

const FILES: [(&str, &str); 3] = [
    ("wrong.yaml", WRONG),
    ("syntax.cedar", "permit (principal, action, resource);\n\npermit (principal, action resource);\n"),
    ("types.cedar", "@id(\"x\")\npermit (principal, action, resource)\nwhen { principal.nme == \"x\" };\n"),
];

const REPORT: &str = r#"error: syntax.cedar:3:27: unexpected token `resource`
 --> wrong.yaml:5:14 (authorization.policies[0])
  |
5 |   policies: [syntax.cedar, types.cedar]
  |              ^^^^^^^^^^^^

error: types.cedar:3:8: for policy `x`, attribute `nme` on entity type `Anonymous` not found
 --> wrong.yaml:5:28 (authorization.policies[1])
  |
5 |   policies: [syntax.cedar, types.cedar]
  |                            ^^^^^^^^^^^ did you mean `id`?

error: `127.0.0.1:9000` is not a target; write `http://host:port` or `https://host`, without a path
 --> wrong.yaml:8:27 (services[0].upstream.targets[0])
  |
8 |     upstream: { targets: ["127.0.0.1:9000"] }
  |                           ^^^^^^^^^^^^^^^^

error: `orders` must begin with `/`
  --> wrong.yaml:11:15 (services[0].routes[0].path)
   |
11 |         path: orders
   |               ^^^^^^

error: there is no method `staf`
  --> wrong.yaml:13:37 (services[0].routes[0].policy.authenticate.methods[0])
   |
13 |           authenticate: { methods: [staf] }
   |                                     ^^^^ define it under `authentication`

error: there is no limit named `per-caller`
  --> wrong.yaml:14:28 (services[0].routes[0].policy.limit.apply[0])
   |
14 |           limit: { apply: [per-caller] }
   |                            ^^^^^^^^^^ define it under `limits`

error: the list is empty: nothing says who may use this route
  --> wrong.yaml:15:9 (services[0].routes[1].policy.authenticate.methods)
   |
15 |       - { name: all, path: /x }
   |         ^^ name a method, or write `[anonymous]` to let everybody in

error: there is another route named `all`
  --> wrong.yaml:15:17 (services[0].routes[1].name)
   |
15 |       - { name: all, path: /x }
   |                 ^^^ give each a name of its own

"#;

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let folder = folder(&FILES);
    let printed = run(folder.path(), &["check", "wrong.yaml"]);
    assert_eq!((printed.code, printed.stdout.as_str()), (1, ""));
    assert_eq!(printed.stderr, REPORT);
}

#[test]
fn programs_get_the_same_as_json() {
    let folder = folder(&FILES);
    let printed = run(folder.path(), &["check", "--format", "json", "wrong.yaml"]);
    assert_eq!((printed.code, printed.stderr.as_str()), (1, ""));
    let problems: Vec<Value> = serde_json::from_str(&printed.stdout).unwrap();
    assert_eq!(problems.len(), 8);
    let types = json!({
        "file": "wrong.yaml", "line": 5, "column": 28, "path": "authorization.policies[1]", "severity": "error",
        "message": "types.cedar:3:8: for policy `x`, attribute `nme` on entity type `Anonymous` not found",
        "suggestion": "did you mean `id`?",
    });
    let path = json!({
        "file": "wrong.yaml", "line": 11, "column": 15, "path": "services[0].routes[0].path", "severity": "error",
        "message": "`orders` must begin with `/`", "suggestion": null,
    });
    assert_eq!((&problems[1], &problems[3]), (&types, &path));
}

#[test]
fn keys_that_do_not_exist_values_that_cannot_be_and_what_is_not_there_are_named_together() {
    let text =
        "version: 1\nlisteners: []\nworkers: 0\nprotocol:\n  header_timout: 5s\n  body: 10\nservices: []\n";
    let folder = folder(&[("gateway.yaml", text)]);
    let printed = run(folder.path(), &["check", "--format", "json", "gateway.yaml"]);
    assert_eq!(printed.code, 1);
    let problems: Vec<Value> = serde_json::from_str(&printed.stdout).unwrap();
    let place = |problem: &Value| (problem["line"].clone(), problem["path"].clone());
    let told: Vec<_> = problems.iter().map(place).collect();
    let expected = [
        (2, "listeners"),
        (3, "workers"),
        (5, "protocol.header_timout"),
        (6, "protocol.body"),
        (7, "services"),
    ];
    assert_eq!(told, expected.map(|(line, path)| (json!(line), json!(path))));
    assert_eq!(problems[2]["suggestion"], "did you mean `header_timeout`?");
}

const SOUND: &str = r#"version: 1
listeners: [{ name: public, address: "127.0.0.1:0" }]
client_address: { trusted_proxies: [10.0.0.0/8] }
services:
  - name: shop
    upstream: { targets: ["http://127.0.0.1:9000"] }
    routes: [{ name: all, path: /x, policy: { authenticate: { mode: off }, authorize: { mode: off } } }]
"#;

#[test]
fn a_sound_configuration_says_so() {
    let folder = folder(&[("sound.yaml", SOUND)]);
    let printed = run(folder.path(), &["check", "sound.yaml"]);
    assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
    assert_eq!(printed.stdout, "sound.yaml: sound (1 services, 1 routes)\n");
    let printed = run(folder.path(), &["check", "--format", "json", "sound.yaml"]);
    assert_eq!((printed.code, printed.stdout.as_str(), printed.stderr.as_str()), (0, "[]\n", ""));
}

#[test]
fn warnings_are_shown_and_are_no_findings() {
    let folder = folder(&[("warned.yaml", &SOUND.replace("10.0.0.0/8", "0.0.0.0/0"))]);
    let printed = run(folder.path(), &["check", "warned.yaml"]);
    assert_eq!((printed.code, printed.stdout.as_str()), (0, "warned.yaml: sound (1 services, 1 routes)\n"));
    assert!(printed.stderr.starts_with("warning: `0.0.0.0/0` trusts every address"), "{}", printed.stderr);
}

#[test]
fn the_exit_code_tells_findings_from_wrong_usage() {
    let folder = folder(&[("sound.yaml", SOUND)]);
    let printed = run(folder.path(), &["check", "missing.yaml"]);
    assert_eq!(printed.code, 1);
    assert!(
        printed.stderr.contains("missing.yaml") && printed.stderr.contains("No such file"),
        "{printed:?}"
    );
    for usage in [&["check"][..], &["check", "--format", "xml", "sound.yaml"], &["chekc"], &[]] {
        let printed = run(folder.path(), usage);
        assert_eq!((printed.code, printed.stdout.as_str()), (2, ""), "{usage:?}");
        assert!(printed.stderr.contains("--help"), "{usage:?}: {}", printed.stderr);
    }
}

#[test]
fn the_examples_are_sound() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["quickstart.yaml", "../bench/plain.yaml", "../bench/auth.yaml"] {
        let printed = run(folder.path(), &["check", examples().join(name).to_str().unwrap()]);
        assert_eq!((printed.code, printed.stderr.as_str()), (0, ""), "{name}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "checking writes nothing");
}

#[test]
fn a_gateway_does_not_start_with_what_check_refuses() {
    let policies = FILES.iter().skip(1);
    let setup = policies.fold(crate::common::setup(), |setup, (name, text)| setup.file(name, text));
    let refusal = setup.refuse(WRONG);
    assert_eq!(refusal.code, Some(1));
    assert!(refusal.stderr.contains("there is no method `staf`"), "{}", refusal.stderr);
}
