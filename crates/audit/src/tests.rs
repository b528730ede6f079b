//! The log as a whole: what is written, what is lost, and what callers are told.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_core::{LimitState, Notes, Principal, PrincipalKind, RequestId, StageId, Timestamp, Verdict};

use crate::*;

/// A disk of limited size that can be watched from outside.
#[derive(Clone)]
struct Disk(Arc<Mutex<DiskState>>);

struct DiskState {
    content: Vec<u8>,
    room: usize,
    reopened: usize,
}

impl Disk {
    fn with_room(room: usize) -> Self {
        Self(Arc::new(Mutex::new(DiskState { content: Vec::new(), room, reopened: 0 })))
    }

    fn make_room(&self, room: usize) {
        self.0.lock().room = room;
    }

    fn ids(&self) -> Vec<u64> {
        ids(std::str::from_utf8(&self.0.lock().content).unwrap())
    }
}

impl Sink for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut disk = self.0.lock();
        // Never everything at once, so that the rest is gone on with.
        let taken = bytes.len().min(disk.room).min(100);
        if taken == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.room -= taken;
        disk.content.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn reopen(&mut self) -> io::Result<()> {
        let mut disk = self.0.lock();
        disk.reopened += 1;
        disk.content.clear();
        Ok(())
    }
}

/// The request ids in a log, each line of which must be JSON.
fn ids(content: &str) -> Vec<u64> {
    let id = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        u64::from_str_radix(line["request_id"].as_str().unwrap(), 16).unwrap()
    };
    assert!(content.is_empty() || content.ends_with('\n'));
    content.lines().map(id).collect()
}

fn ids_in(path: &Path) -> Vec<u64> {
    ids(&fs::read_to_string(path).unwrap())
}

fn record(log: &AuditLog, id: u64) -> Result<(), Unavailable> {
    let notes = Notes::new(RequestId(u128::from(id)), Timestamp::from_secs(1));
    log.record(&Record { path: &[b'a'; 1000], ..Record::of(Event::Request, &notes) })
}

fn settings(on_failure: OnFailure) -> LogSettings {
    LogSettings {
        destination: Destination::Stdout,
        rotation: None,
        on_failure,
        buffer: 64 << 10,
        flush_every: Duration::from_secs(60),
    }
}

fn file_settings(path: &Path) -> LogSettings {
    let destination = Destination::File { path: path.to_owned(), copy_to_stdout: false };
    LogSettings { destination, ..settings(OnFailure::Pass) }
}

fn log_with(disk: &Disk, on_failure: OnFailure) -> AuditLog {
    AuditLog::with_sink(&settings(on_failure), Box::new(disk.clone()))
}

#[test]
fn the_example_is_what_is_written() {
    let mut principal = Principal::new(PrincipalKind::User, "ann", "corporate");
    principal.issuer = Some("https://idp.example".to_owned());
    let mut notes = Notes::new(
        RequestId(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736),
        Timestamp(1_772_366_400_000_123_000),
    );
    notes.client = "192.0.2.7".parse().unwrap();
    notes.principal = Some(Arc::new(principal));
    notes.policies.push("orders-read".into());
    notes.limits.push(LimitState {
        name: "per-user".into(),
        quota: 100,
        window: Duration::from_secs(60),
        remaining: 41,
        reset: Duration::from_secs(1),
        exceeded: false,
        watches: false,
        turn: Duration::ZERO,
        reached: 0,
    });
    for stage in [StageId::Authenticate, StageId::Authorize, StageId::Limit, StageId::Forward] {
        notes.record(stage, Verdict::Passed);
    }
    let record = Record {
        method: "GET",
        path: b"/orders/7",
        host: b"api.example",
        protocol_version: "2",
        status: Some(200),
        route: "orders",
        service: "shop",
        upstream: "10.0.0.5:8080",
        duration: Duration::from_micros(2140),
        upstream_duration: Some(Duration::from_micros(1890)),
        response_bytes: 512,
        generation: 3,
        ..Record::of(Event::Request, &notes)
    };
    let mut formatter = Formatter::default();
    let line = std::str::from_utf8(formatter.format(&record)).unwrap();
    assert_eq!(line, include_str!("example.jsonl"));
}

#[test]
fn off_records_nothing_and_is_always_available() {
    let log = AuditLog::open(&AuditSettings::Off, None).unwrap();
    assert_eq!(record(&log, 1), Ok(()));
    assert!(log.is_available() && !log.is_on());
    assert!(log.flush().is_ok() && log.reopen().is_ok());
    assert_eq!((log.dropped(), log.failures()), (0, 0));
}

#[test]
fn nothing_is_torn_or_repeated_when_a_disk_fills_and_empties() {
    let disk = Disk::with_room(3_333);
    let log = log_with(&disk, OnFailure::Pass);
    for id in 0..10 {
        record(&log, id).unwrap();
    }
    assert!(log.flush().is_err());
    assert_eq!(log.failures(), 1);
    assert!(log.fault().is_some());
    record(&log, 10).unwrap();
    assert!(log.flush().is_err(), "still full");
    disk.make_room(usize::MAX);
    log.flush().unwrap();
    assert_eq!(disk.ids(), (0..=10).collect::<Vec<_>>());
    assert_eq!((log.dropped(), log.failures(), log.fault()), (0, 2, None));
}

#[test]
fn a_full_buffer_loses_the_newest_and_counts_them() {
    let disk = Disk::with_room(0);
    let log = log_with(&disk, OnFailure::Pass);
    for id in 0..100 {
        assert_eq!(record(&log, id), Ok(()), "requests pass");
        if id == 5 {
            assert!(log.flush().is_err());
        }
    }
    assert!(log.is_available(), "requests pass");
    let dropped = log.dropped();
    assert!((1..95).contains(&dropped), "{dropped}");
    disk.make_room(usize::MAX);
    log.flush().unwrap();
    assert_eq!(disk.ids(), (0..100 - dropped).collect::<Vec<_>>());
}

#[test]
fn a_strict_log_refuses_from_the_failure_to_the_next_success() {
    let disk = Disk::with_room(0);
    let log = log_with(&disk, OnFailure::Refuse);
    assert!(log.is_available());
    assert_eq!(record(&log, 1), Ok(()), "what is under way is recorded");
    assert!(log.flush().is_err());
    assert!(!log.is_available());
    assert_eq!(record(&log, 2), Ok(()), "there is room still");
    disk.make_room(usize::MAX);
    assert!(!log.is_available(), "nothing was written yet");
    log.flush().unwrap();
    assert!(log.is_available());
    assert_eq!(disk.ids(), [1, 2]);
}

#[test]
fn a_strict_log_keeps_half_its_buffer_for_requests_under_way() {
    let disk = Disk::with_room(usize::MAX);
    let log = log_with(&disk, OnFailure::Refuse);
    let mut admitted = 0;
    while log.is_available() {
        record(&log, admitted).unwrap();
        admitted += 1;
    }
    for id in admitted..admitted * 2 - 2 {
        assert_eq!(record(&log, id), Ok(()), "{id}");
    }
    let refused = (0..10).filter(|_| record(&log, 0).is_err()).count();
    assert!(refused >= 8, "{refused}");
    assert_eq!(log.dropped(), refused as u64);
    log.flush().unwrap();
    assert!(log.is_available());
}

#[test]
fn a_line_that_was_half_written_is_whole_in_the_reopened_file() {
    let disk = Disk::with_room(2_000);
    let log = log_with(&disk, OnFailure::Pass);
    for id in 0..4 {
        record(&log, id).unwrap();
    }
    assert!(log.flush().is_err());
    disk.make_room(usize::MAX);
    log.reopen().unwrap();
    log.flush().unwrap();
    assert_eq!(disk.ids(), [1, 2, 3], "line 0 is in the file that was moved away, line 1 began there");
}

#[test]
fn dropping_the_last_log_writes_everything() {
    let disk = Disk::with_room(usize::MAX);
    let log = log_with(&disk, OnFailure::Pass);
    let other = log.clone();
    record(&log, 1).unwrap();
    drop(log);
    assert!(disk.ids().is_empty());
    record(&other, 2).unwrap();
    drop(other);
    assert_eq!(disk.ids(), [1, 2]);
}

#[test]
fn threads_share_one_file_and_no_line_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    // All 800 lines, of some 1.3 KiB each, find room even if nothing is written meanwhile.
    let settings = LogSettings { buffer: 2 << 20, ..file_settings(&path) };
    let log = AuditLog::open(&AuditSettings::On(settings), None).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let log = &log;
            scope.spawn(move || (0..200).for_each(|id| record(log, thread * 1000 + id).unwrap()));
        }
    });
    assert_eq!(log.dropped(), 0);
    drop(log);
    let mut found = ids_in(&path);
    found.sort_unstable();
    let expected: Vec<u64> = (0..4).flat_map(|thread| (0..200).map(move |id| thread * 1000 + id)).collect();
    assert_eq!(found, expected);
}

#[test]
fn files_rotate_between_batches_and_keep_their_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let rotation = Some(Rotation { size: 64 << 10, keep: 20 });
    let settings = LogSettings { rotation, ..file_settings(&path) };
    let log = AuditLog::open(&AuditSettings::On(settings), None).unwrap();
    for id in 0..300 {
        record(&log, id).unwrap();
        if id % 10 == 9 {
            log.flush().unwrap();
        }
    }
    drop(log);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert!(entry.metadata().unwrap().len() <= 64 << 10);
        found.extend(ids_in(&entry.path()));
    }
    found.sort_unstable();
    assert_eq!(found, (0..300).collect::<Vec<_>>());
    assert!(folder.path().join("audit.jsonl.4").exists());
}

#[test]
fn a_reload_keeps_the_file_open_and_takes_the_new_settings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let first = AuditLog::open(&AuditSettings::On(file_settings(&path)), None).unwrap();
    let settings = LogSettings {
        rotation: Some(Rotation { size: 64 << 10, keep: 1 }),
        on_failure: OnFailure::Refuse,
        buffer: 128 << 10,
        ..file_settings(&path)
    };
    fs::rename(&path, folder.path().join("moved")).unwrap();
    let second = AuditLog::open(&AuditSettings::On(settings), Some(&first)).unwrap();
    record(&first, 1).unwrap();
    record(&second, 2).unwrap();
    second.flush().unwrap();
    assert_eq!(ids_in(&folder.path().join("moved")), [1, 2], "not opened anew");
    assert!(!path.exists());
    second.reopen().unwrap();
    drop(first);
    record(&second, 3).unwrap();
    drop(second);
    assert_eq!(ids_in(&path), [3]);
}

#[test]
fn a_reload_to_another_file_leaves_the_first_complete_and_the_counts_grow() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let disk = Disk::with_room(0);
    let failing = log_with(&disk, OnFailure::Pass);
    record(&failing, 0).unwrap();
    assert!(failing.flush().is_err());
    let first = AuditLog::open(&AuditSettings::On(file_settings(&old)), Some(&failing)).unwrap();
    drop(failing);
    record(&first, 1).unwrap();
    let second = AuditLog::open(&AuditSettings::On(file_settings(&new)), Some(&first)).unwrap();
    drop(first);
    record(&second, 2).unwrap();
    second.flush().unwrap();
    assert_eq!((ids_in(&old), ids_in(&new)), (vec![1], vec![2]));
    assert_eq!(second.dropped(), 1, "what the first log had to give up");
    assert_eq!(second.failures(), 2);
}

#[test]
fn the_rotation_of_a_reload_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let rotation = Some(Rotation { size: 64 << 10, keep: 1 });
    let first = AuditLog::open(&AuditSettings::On(file_settings(&path)), None).unwrap();
    let second =
        AuditLog::open(&AuditSettings::On(LogSettings { rotation, ..file_settings(&path) }), Some(&first))
            .unwrap();
    for id in 0..100 {
        record(&second, id).unwrap();
        second.flush().unwrap();
    }
    assert!(folder.path().join("audit.jsonl.1").exists(), "the rotation of the second settings");
}

/// Tells how many lines came, from the thread that writes.
struct Announcing(mpsc::Sender<usize>);

impl Sink for Announcing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.iter().filter(|&&byte| byte == b'\n').count()).map_err(io::Error::other)?;
        Ok(bytes.len())
    }
}

/// Far longer than anything here takes, so that a failure ends the test rather than hanging it.
const NEVER: Duration = Duration::from_secs(60);

#[test]
fn the_thread_writes_when_the_interval_is_over() {
    let (sender, written) = mpsc::channel();
    let settings = LogSettings { flush_every: Duration::from_millis(1), ..settings(OnFailure::Pass) };
    let log = AuditLog::start(&settings, Box::new(Announcing(sender)), None).unwrap();
    record(&log, 1).unwrap();
    assert_eq!(written.recv_timeout(NEVER), Ok(1));
}

#[test]
fn the_thread_writes_early_when_much_waits() {
    let (sender, written) = mpsc::channel();
    let settings = LogSettings { flush_every: NEVER * 60, ..settings(OnFailure::Pass) };
    let log = AuditLog::start(&settings, Box::new(Announcing(sender)), None).unwrap();
    let (mut recorded, mut found) = (0, 0);
    while found == 0 && recorded < 30 {
        record(&log, recorded).unwrap();
        recorded += 1;
        // An eighth of the buffer is 8 KiB, which no more than eight of these lines fill.
        let patience = if recorded < 8 { Duration::ZERO } else { NEVER };
        found += written.recv_timeout(patience).unwrap_or_default();
    }
    assert!((1..=8).contains(&found), "{found}");
}

#[test]
fn a_broken_copy_never_holds_the_file_up() {
    let (disk, copy) = (Disk::with_room(usize::MAX), Disk::with_room(150));
    let log =
        AuditLog::start(&settings(OnFailure::Refuse), Box::new(disk.clone()), Some(Box::new(copy.clone())))
            .unwrap();
    record(&log, 1).unwrap();
    log.flush().unwrap();
    record(&log, 2).unwrap();
    log.flush().unwrap();
    assert!(log.is_available());
    assert_eq!(log.failures(), 2);
    copy.make_room(usize::MAX);
    record(&log, 3).unwrap();
    log.flush().unwrap();
    assert_eq!(disk.ids(), [1, 2, 3]);
    let copied = String::from_utf8(copy.0.lock().content.clone()).unwrap();
    let (torn, rest) = copied.split_once('\n').unwrap();
    assert_eq!(torn.len(), 150);
    assert_eq!(ids(rest), [3], "after a torn line the next begins on its own");
}
