//! The record's file: rotated by the gateway, or by somebody else who says so.

use std::path::Path;

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Connection};
use serde_json::Value;

use crate::common::{plain, setup};

/// The paths of the requests in a file of records, in order.
fn paths(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.map(|record| record["url.path"].as_str().unwrap().to_owned()).collect()
}

/// A gateway with a small file, after four hundred requests.
fn after_many_requests(keep: usize) -> Gateway {
    let upstream = Upstream::start();
    let rotate = format!("rotate: {{ size: 64KiB, keep: {keep} }}");
    let settings = format!("{{ file: audit.jsonl, flush_every: 1ms, buffer: 64KiB, {rotate} }}");
    let mut gateway = plain(&upstream.url()).section("audit", settings).start();
    let mut client = Connection::open(gateway.address("public"));
    for number in 0..400 {
        let answer = client.send(format!("GET /status/204/{number} HTTP/1.1\r\nHost: a\r\n\r\n")).response();
        assert_eq!(answer.status, 204);
    }
    assert!(gateway.stop().success());
    gateway
}

#[test]
fn a_full_file_makes_room_and_no_record_is_lost() {
    let gateway = after_many_requests(20);
    let older = (1..).map(|number| gateway.folder().join(format!("audit.jsonl.{number}")));
    let mut files: Vec<_> = older.take_while(|path| path.exists()).collect();
    assert!(files.len() >= 2, "the file was rotated {} times", files.len());
    files.reverse();
    files.push(gateway.folder().join("audit.jsonl"));
    assert!(files.iter().all(|path| std::fs::metadata(path).unwrap().len() <= 64 << 10));
    let recorded: Vec<String> = files.iter().flat_map(|path| paths(path)).collect();
    let expected: Vec<String> = (0..400).map(|number| format!("/status/204/{number}")).collect();
    assert_eq!(recorded, expected, "every record, the oldest file first");
}

#[test]
fn only_so_many_older_files_are_kept() {
    let gateway = after_many_requests(1);
    let exists = |name: &str| gateway.folder().join(name).exists();
    assert_eq!(
        (exists("audit.jsonl"), exists("audit.jsonl.1"), exists("audit.jsonl.2")),
        (true, true, false)
    );
}

#[test]
fn a_file_that_was_moved_away_is_opened_anew_on_sigusr1() {
    let upstream = Upstream::start();
    let settings = "{ file: audit.jsonl, rotate: off, flush_every: 1ms }";
    let mut gateway = plain(&upstream.url()).section("audit", settings).start();
    let (file, moved) = (gateway.folder().join("audit.jsonl"), gateway.folder().join("moved.jsonl"));
    assert_eq!(raw::get(gateway.address("public"), "/before", "").status, 200);
    std::fs::rename(&file, &moved).unwrap();
    assert_eq!(raw::get(gateway.address("public"), "/meanwhile", "").status, 200);
    gateway.reopen_log();
    let _ = gateway.wait_for_event("audit_reopened", 0);
    assert_eq!(raw::get(gateway.address("public"), "/after", "").status, 200);
    assert!(gateway.stop().success());
    let (old, new) = (paths(&moved), paths(&file));
    // What waited to be written when the file was opened may be in either; nothing is lost or out of place.
    assert!(!old.contains(&"/after".to_owned()) && new.contains(&"/after".to_owned()), "{old:?}, {new:?}");
    assert_eq!([old, new].concat(), ["/before", "/meanwhile", "/after"]);
}

#[test]
fn a_file_that_cannot_be_opened_prevents_the_start() {
    let config = plain("http://127.0.0.1:9").section("audit", "{ file: missing/audit.jsonl }");
    let refusal = setup().refuse(&config.text());
    assert_eq!(refusal.code, Some(1));
    assert!(refusal.stderr.contains("missing/audit.jsonl"), "{}", refusal.stderr);
}
