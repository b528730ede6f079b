//! `portcullis waf`: a suite is run, its backend answers, and the exit code tells how it went.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use portcullis_testkit::raw;
use tempfile::TempDir;

use super::run;
use crate::common::{BINARY, plain};

/// A running backend. It is killed when it is dropped.
struct Backend {
    child: Child,
    address: SocketAddr,
}

impl Backend {
    fn start() -> Self {
        let mut child = Command::new(BINARY)
            .args(["waf", "backend", "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
        Self { child, address }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _: std::io::Result<()> = self.child.kill();
        let _: std::io::Result<_> = self.child.wait();
    }
}

/// A folder with a suite of this text in `tests`, and a rule in `rules`.
fn suite(cases: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("tests/REQUEST-1/100.yaml", &format!("rule_id: 100\ntests:\n{cases}"));
    write("rules/100.conf", "SecRule ARGS:a \"@streq evil\" \"id:100,phase:2,pass,t:none,log\"\n");
    folder
}

const REFLECTED: &str = r#"
  - test_id: 1
    stages:
      - input:
          method: POST
          uri: /reflect
          headers: { Host: localhost, Content-Type: application/json }
          data: '{"status": 418, "body": "short and stout"}'
        output: { status: 418, response_contains: stout, log: { no_expect_ids: [100] } }
"#;
const BROKEN: &str =
    "  - { test_id: 2, stages: [{ input: { headers: { Host: 'a b' } }, output: { status: 400 } }] }\n";
const HOLLOW: &str = "  - { test_id: 3, stages: [{ input: { headers: { Host: 'a b' } }, output: { log: { no_expect_ids: [100] } } }] }\n";
const WRONG: &str =
    "  - { test_id: 4, stages: [{ input: { headers: { Host: localhost } }, output: { status: 500 } }] }\n";

#[test]
fn a_suite_runs_in_process_and_the_last_line_counts() {
    let folder = suite(&format!("{REFLECTED}{BROKEN}{HOLLOW}{WRONG}"));
    let printed = run(folder.path(), &["waf", "test", "--rules", "rules", "--tests", "tests", "-v"]);
    assert_eq!(printed.code, 1, "{printed:?}");
    assert_eq!(printed.stdout.lines().next(), Some("100-4 failed: expected status 500, got 200"));
    assert_eq!(printed.stdout.lines().last(), Some("3 passed, 1 failed"));
    let only =
        run(folder.path(), &["waf", "test", "--rules", "rules", "--tests", "tests", "--only", "-[123]$"]);
    assert_eq!((only.code, only.stdout.lines().last()), (0, Some("3 passed, 0 failed")));
    let json =
        run(folder.path(), &["waf", "test", "--rules", "rules", "--tests", "tests", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (&json["passed"], &json["failed"], &json["cases"][3]["outcome"]),
        (&3.into(), &1.into(), &"failed".into())
    );
}

#[test]
fn what_the_overrides_list_does_not_fail_a_run() {
    let folder = suite(WRONG);
    let with = |overrides: &str| {
        std::fs::write(folder.path().join("o.yaml"), overrides).unwrap();
        let printed = run(
            folder.path(),
            &["waf", "test", "--rules", "rules", "--tests", "tests", "--overrides", "o.yaml"],
        );
        (printed.code, printed.stdout.lines().last().unwrap_or_default().to_owned())
    };
    let listed = "test_overrides: [{ rule_id: 100, test_ids: [4], reason: known }]";
    assert_eq!(with(listed), (0, "0 passed, 1 failed".to_owned()));
    let replaced = "test_overrides: [{ rule_id: 100, test_ids: [4], reason: ours, output: { status: 200 } }]";
    assert_eq!(with(replaced), (0, "1 passed, 0 failed".to_owned()));
    assert_eq!(with("test_overrides: []"), (1, "0 passed, 1 failed".to_owned()));
}

#[test]
fn a_suite_runs_over_the_wire() {
    let backend = Backend::start();
    let gateway = plain(&format!("http://{}", backend.address)).start();
    let folder = suite(&format!("{REFLECTED}{BROKEN}{HOLLOW}{WRONG}"));
    let url = format!("http://{}", gateway.address("public"));
    let log = gateway.folder().join("audit.jsonl");
    let printed = run(
        folder.path(),
        &["waf", "test", "--tests", "tests", "--url", &url, "--log", log.to_str().unwrap(), "-v"],
    );
    let lines: Vec<&str> = printed.stdout.lines().collect();
    assert!(lines[0].starts_with("100-3 refused: no rule saw the request (refused: "), "{printed:?}");
    assert_eq!(lines[1], "100-4 failed: expected status 500, got 200");
    assert_eq!(lines.last(), Some(&"2 passed, 2 failed"), "{printed:?}");
}

#[test]
fn the_backend_answers_what_breaks_the_grammar() {
    let backend = Backend::start();
    for (bytes, status) in [
        (&b"GET /status/404 HTTP/1.1\r\n\r\n"[..], 404),
        (b"  GET /a b TEST\nHost\n\n", 200),
        (b"POST /reflect HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{ \"status\": 201 \r\n1\r\n}\r\n0\r\n\r\n", 201),
    ] {
        let response = raw::request(backend.address, bytes);
        assert_eq!(response.status, status);
    }
}

#[test]
fn a_suite_that_is_none_is_told_apart_from_one_that_fails() {
    let folder = suite("  - { stages: [{ output: { log: { expect_id: [1] } } }] }\n");
    let printed = run(folder.path(), &["waf", "test", "--rules", "rules", "--tests", "tests"]);
    assert_eq!(printed.code, 1);
    assert!(printed.stdout.is_empty() && printed.stderr.contains("100.yaml"), "{printed:?}");
    let empty = Path::new("rules");
    let printed =
        run(folder.path(), &["waf", "test", "--rules", "tests", "--tests", empty.to_str().unwrap()]);
    assert!(printed.stderr.contains("there are no tests"), "{printed:?}");
    let usage = run(folder.path(), &["waf", "test", "--tests", "tests"]);
    assert_eq!(usage.code, 2);
}
