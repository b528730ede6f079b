//! Files without faults, and what becomes of their values.

use std::net::IpAddr;

use portcullis_config::{Loaded, load, locate, report};
use portcullis_core::{ByteSize, ConfigFolder, KeyPath, Mode, Period, Problems};
use serde_json::json;

use crate::loaded;
use crate::sample::{Level, Limit, Method, OneOrMany, Root, Workers};

const WHOLE: &str = "\
# The gate.
version: 1
listen: {address: '::1', port: 0x1F90, http2: false, timeout: 1m 30s, body: 2 MiB}
services:
- name: orders
  targets: [\"http://127.0.0.1:9000\"]
  share: 1
  policy:
    mode: shadow
    level: very-high
    limit:
      rate: {count: 5, per: 1s}
    headers: [x-one]
    workers: 4
    authenticate:
      - {type: anonymous}
      - type: jwt
        issuer: >-
          https://id.example/
        key: ~
labels:
  zone: \"1\"
extra: {a: [1, 2.5, null, yes]}
";

fn sound(text: &str, variables: &[(&str, &str)]) -> Loaded<Root> {
    let loaded = loaded(text, &ConfigFolder::new("/nowhere"), variables);
    assert!(loaded.value.is_some(), "{}", report::text(&loaded.document, &loaded.problems, false));
    loaded
}

#[test]
fn a_whole_file_becomes_its_value() {
    for text in [WHOLE.to_owned(), WHOLE.replace('\n', "\r\n"), format!("\u{feff}{WHOLE}")] {
        let root = sound(&text, &[]).value.unwrap();
        assert_eq!(root.version, 1);
        assert_eq!(root.listen.address, IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]));
        assert_eq!((root.listen.port, root.listen.http2), (8080, false));
        assert_eq!((root.listen.timeout, root.listen.body), (Period::secs(90), Some(ByteSize::mib(2))));
        assert_eq!(root.labels.get("zone").map(String::as_str), Some("1"));
        assert_eq!(root.extra, Some(json!({"a": [1, 2.5, null, "yes"]})));
        let service = &root.services[0];
        assert_eq!((service.name.as_str(), service.share), ("orders", Some(1.0)));
        assert_eq!(service.targets, ["http://127.0.0.1:9000"]);
        let policy = service.policy.as_ref().unwrap();
        assert_eq!(policy.mode, Mode::Shadow);
        assert!(matches!(policy.level, Level::VeryHigh));
        assert!(matches!(policy.limit, Some(Limit::Rate { count: 5, per }) if per == Period::secs(1)));
        assert!(matches!(&policy.headers, OneOrMany::Many(names) if names == &["x-one"]));
        assert!(matches!(policy.workers, Workers::Fixed(4)));
        assert!(matches!(policy.authenticate[0], Method::Anonymous));
        let Method::Jwt { issuer, key: None } = &policy.authenticate[1] else {
            panic!("not a jwt without key")
        };
        assert_eq!(issuer, "https://id.example/");
    }
}

#[test]
fn what_is_left_out_has_its_default() {
    let root = sound("version: 1\nservices: []\n", &[]);
    assert!(root.value.is_some_and(|root| root.services.is_empty() && root.listen.port == 8080));
}

#[test]
fn a_variable_takes_the_type_that_its_key_asks_for() {
    let text = "\
version: ${VERSION}
listen: {port: \"${PORT}\", http2: \"${HTTP2:-false}\"}
labels:
  digits: ${DIGITS}
  both: a-${DIGITS}-${WORD:-b}-${EMPTY:-c}
  dollars: $5 $$6 $${DIGITS}
  structure: \"${STRUCTURE}\"
extra: {number: \"${DIGITS}\"}
";
    let variables = [
        ("VERSION", "1"),
        ("PORT", "8443"),
        ("DIGITS", "012"),
        ("EMPTY", ""),
        ("STRUCTURE", "x\nadmin: true\n# ${PORT} [1, 2]"),
    ];
    let root = sound(text, &variables).value.unwrap();
    assert_eq!((root.version, root.listen.port, root.listen.http2), (1, 8443, false));
    let label = |name: &str| root.labels.get(name).cloned().unwrap_or_default();
    assert_eq!(label("digits"), "012");
    assert_eq!(label("both"), "a-012-b-c");
    assert_eq!(label("dollars"), "$5 $6 ${DIGITS}");
    assert_eq!(label("structure"), "x\nadmin: true\n# ${PORT} [1, 2]");
    assert_eq!(root.extra, Some(json!({"number": "012"})));
}

#[test]
fn a_variable_may_choose_an_alternative() {
    let text = "\
version: 1
services:
- name: a
  targets: [b]
  policy:
    limit: {parallel: \"${PARALLEL:-5}\"}
    workers: ${WORKERS}
    mode: ${MODE}
    authenticate: [{type: \"${TYPE}\"}]
";
    for (workers, fixed) in [("3", true), ("auto", false)] {
        let root =
            sound(text, &[("WORKERS", workers), ("MODE", "off"), ("TYPE", "anonymous")]).value.unwrap();
        let policy = root.services[0].policy.as_ref().unwrap();
        assert_eq!(matches!(policy.workers, Workers::Fixed(3)), fixed);
        assert_eq!(policy.mode, Mode::Off);
        assert!(matches!(policy.limit, Some(Limit::Parallel(5))));
    }
}

#[test]
fn a_file_is_read_and_its_folder_is_where_its_paths_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gate.yaml");
    std::fs::write(folder.path().join("key"), "from a file\r\n").unwrap();
    let text = "\
version: 1
labels: {path: file://key}
services:
- name: a
  targets: [b]
  policy:
    headers: x-one
    authenticate: [{type: api_key, key: file://key}, {type: jwt, issuer: i, key: file://key}]
";
    std::fs::write(&path, text).unwrap();
    let root: Root = load(&path, &|_| None).value.unwrap();
    let policy = root.services[0].policy.as_ref().unwrap();
    assert!(matches!(&policy.headers, OneOrMany::One(name) if name == "x-one"));
    let Method::ApiKey { key } = &policy.authenticate[0] else { panic!("not an api key") };
    assert_eq!(key.expose(), "from a file");
    let Method::Jwt { key: Some(key), .. } = &policy.authenticate[1] else { panic!("not a jwt with a key") };
    assert_eq!(key.expose(), "from a file");
    // Where no secret is expected, it stays a path.
    assert_eq!(root.labels.get("path").map(String::as_str), Some("file://key"));
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gate.yaml");
    let message = |loaded: Loaded<Root>| {
        assert!(loaded.value.is_none());
        loaded.problems[0].problem.message.clone()
    };
    assert!(message(load(&path, &|_| None)).starts_with("the configuration cannot be read: No such file"));
    std::fs::write(&path, b"version: 1\nlabels: {a: \xff}\n").unwrap();
    assert_eq!(
        message(load(&path, &|_| None)),
        "the configuration cannot be read: it is not UTF-8 text (line 2)"
    );
    std::fs::write(&path, vec![b'#'; portcullis_config::LARGEST_CONFIGURATION + 1]).unwrap();
    assert_eq!(message(load(&path, &|_| None)), "the file is larger than 4MiB");
}

#[test]
fn later_problems_find_their_lines() {
    let text = "\
version: 1
listen:
  port: 81
services:
- name: a
  targets: [b, '${HOST}']
labels:
  a.b: x
  a: y
";
    let document = sound(text, &[("HOST", "planted.example")]).document;
    let root = KeyPath::root();
    let targets = root.key("services").index(0).key("targets");
    for (path, expected) in [
        (root.clone(), (1, 1)),
        (root.key("listen"), (2, 1)),
        (root.key("listen").key("port"), (3, 9)),
        (root.key("listen").key("timeout"), (2, 1)),
        (root.key("services").index(0), (5, 3)),
        (targets.clone(), (6, 3)),
        (targets.index(0), (6, 13)),
        (targets.index(7), (6, 3)),
        (root.key("services").index(0).key("policy").key("mode"), (5, 3)),
        (root.key("labels").key("a.b"), (8, 8)),
        (root.key("labels").key("a"), (9, 6)),
        (root.key("nowhere"), (1, 1)),
    ] {
        assert_eq!(document.position(&path), Some(expected), "{path}");
    }
    let mut problems = Problems::default();
    problems.error(&targets.index(1), "`planted.example` is not known").suggest("ask PLANTED.example");
    problems.warning(&root.key("listen"), "nobody listens");
    insta::assert_snapshot!(report::text(&document, &locate(&document, &problems), false), @r"
    error: `${HOST}` is not known
     --> gate.yaml:6:16 (services[0].targets[1])
      |
    6 |   targets: [b, '${HOST}']
      |                ^^^^^^^^^ ask ${HOST}

    warning: nobody listens
     --> gate.yaml:2:1 (listen)
      |
    2 | listen:
      | ^^^^^^
    ");
}

#[test]
fn reports_are_also_for_programs_and_in_colour() {
    let loaded = loaded("version: one\n", &ConfigFolder::new("/nowhere"), &[]);
    assert_eq!(
        report::json(&loaded.document, &loaded.problems),
        json!([{
            "file": "gate.yaml",
            "line": 1,
            "column": 10,
            "path": "version",
            "severity": "error",
            "message": "`version` must be a whole number, found the text \"one\"",
            "suggestion": null,
        }])
    );
    let coloured = report::text(&loaded.document, &loaded.problems, true);
    assert!(coloured.starts_with("\u{1b}[1;31merror\u{1b}[0m"), "{coloured:?}");
}

#[test]
fn long_lines_are_shown_in_part() {
    let text = format!("version: 1\nlabels: {{a: {}, b: 5, c: {}}}\n", "x".repeat(500), "y".repeat(500));
    let loaded = loaded(&text, &ConfigFolder::new("/nowhere"), &[]);
    let report = report::text(&loaded.document, &loaded.problems, false);
    assert!(report.lines().all(|line| line.chars().count() < 130), "{report}");
    let marked = report.lines().nth(3).unwrap();
    let mark = report.lines().nth(4).unwrap().find('^').unwrap();
    assert_eq!(marked.as_bytes()[mark], b'5', "{report}");
}
