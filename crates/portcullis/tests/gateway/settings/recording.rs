//! The record while it cannot be written, and while it waits to be.

use std::time::Instant;

use portcullis_testkit::PATIENCE;
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Connection, Response};

use crate::common::{plain, setup};

/// A gateway with this section; everything written to `/dev/full` fails as on a full disk.
fn recording(upstream: &Upstream, audit: &str) -> Gateway {
    plain(&upstream.url()).section("audit", audit).start()
}

fn get(gateway: &Gateway) -> Response {
    raw::get(gateway.address("public"), "/status/204", "")
}

fn metric(gateway: &Gateway, name: &str) -> u64 {
    let text = raw::get(gateway.address("admin"), "/metrics", "").text();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// Asks again and again until something holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what} never happens");
    }
}

/// Scenario 20: strict, nothing passes that is not on the record.
#[test]
fn while_nothing_can_be_recorded_requests_are_refused_or_pass() {
    let upstream = Upstream::start();
    let strict = recording(&upstream, "{ file: /dev/full, flush_every: 1ms, on_failure: refuse }");
    until("a refusal", || get(&strict).status == 503);
    upstream.forget();
    let answer = get(&strict);
    assert_eq!((answer.status, answer.code().as_str()), (503, "audit_unavailable"));
    upstream.assert_no_contact();

    let lenient = recording(&upstream, "{ file: /dev/full, flush_every: 1ms, on_failure: pass }");
    until("a failure", || {
        assert_eq!(get(&lenient).status, 204);
        metric(&lenient, "portcullis_audit_failures_total ") > 0
    });
    assert_eq!(get(&lenient).status, 204);
}

#[test]
fn a_buffer_holds_what_it_is_given_room_for_and_the_rest_is_counted() {
    let upstream = Upstream::start();
    for (size, all_are_held) in [("64KiB", false), ("16MiB", true)] {
        let gateway =
            recording(&upstream, &format!("{{ file: /dev/full, flush_every: 1ms, buffer: {size} }}"));
        let mut client = Connection::open(gateway.address("public"));
        // A record takes some hundred bytes.
        for _ in 0..500 {
            let answer = client.send("GET /status/204 HTTP/1.1\r\nHost: a\r\n\r\n").response();
            assert_eq!(answer.status, 204);
        }
        let dropped = metric(&gateway, "portcullis_audit_dropped_total ");
        assert_eq!(dropped == 0, all_are_held, "{dropped} of {size}");
    }
}

#[test]
fn records_are_written_when_their_time_has_come() {
    let upstream = Upstream::start();
    let leisurely = recording(&upstream, "{ file: audit.jsonl, flush_every: 1m }");
    assert_eq!(get(&leisurely).status, 204);
    // Two that began later are done, the second after the usual time.
    for settings in ["{ file: audit.jsonl, flush_every: 1ms }", "{ file: audit.jsonl }"] {
        let gateway = recording(&upstream, settings);
        assert_eq!(get(&gateway).status, 204);
        until("a record", || gateway.audit().len() == 1);
    }
    assert!(leisurely.audit().is_empty());
    assert_eq!(leisurely.stop_and_audit().len(), 1, "but not lost");
}

/// A file of the usual size makes room for a new one, unless somebody else sees to that.
#[test]
fn a_file_that_another_program_rotates_is_left_alone() {
    let upstream = Upstream::start();
    for (rotate, is_rotated) in [("", true), (", rotate: off", false)] {
        let setup = setup();
        // 100 MiB of nothing, which takes no room on most disks.
        let older = std::fs::File::create(setup.folder().join("audit.jsonl")).unwrap();
        older.set_len(100 << 20).unwrap();
        let mut gateway = plain(&upstream.url())
            .section("audit", format!("{{ file: audit.jsonl{rotate} }}"))
            .start_in(setup);
        assert_eq!(get(&gateway).status, 204);
        assert!(gateway.stop().success());
        assert_eq!(gateway.folder().join("audit.jsonl.1").exists(), is_rotated, "{rotate}");
    }
}
