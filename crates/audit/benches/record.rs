//! What a record costs the thread that serves the request: formatting and appending, while the log's own
//! thread writes to `/dev/null`. Prints nanoseconds per record, those of the best round; run with
//! `cargo bench -p portcullis-audit`.
#![expect(clippy::print_stdout, reason = "a benchmark reports on standard output")]

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_audit::{
    AuditLog, AuditSettings, Destination, Event, Formatter, LogSettings, OnFailure, Record, Rotation,
};
use portcullis_core::{LimitState, Notes, Principal, PrincipalKind, RequestId, StageId, Timestamp, Verdict};

const ROUNDS: u32 = 10;
const RECORDS: u32 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    let notes = notes();
    let record = Record {
        method: "GET",
        path: b"/api/v1/orders/1234567/items",
        host: b"api.example.com",
        protocol_version: "1.1",
        status: Some(200),
        route: "orders",
        service: "shop",
        upstream: "127.0.0.1:9000",
        duration: Duration::from_micros(840),
        upstream_duration: Some(Duration::from_micros(710)),
        response_bytes: 512,
        generation: 3,
        ..Record::of(Event::Request, &notes)
    };
    let mut formatter = Formatter::default();
    let length = formatter.format(&record).len();
    report("format", length, || {
        black_box(formatter.format(black_box(&record)));
    });
    let log = AuditLog::open(&settings(), None)?;
    report("record", length, || {
        // With `on_failure: pass` nothing is refused; losses are printed below.
        let _ = log.record(black_box(&record));
    });
    println!("dropped: {} of {}", log.dropped(), ROUNDS * RECORDS);
    Ok(())
}

fn report(what: &str, length: usize, mut step: impl FnMut()) {
    let mut round = || {
        let start = Instant::now();
        (0..RECORDS).for_each(|_| step());
        start.elapsed() / RECORDS
    };
    let best = (0..ROUNDS).map(|_| round()).min().unwrap_or_default();
    println!("{what}: {} ns for a line of {length} bytes", best.as_nanos());
}

fn notes() -> Notes {
    let mut principal = Principal::new(PrincipalKind::User, "user-0042", "corporate");
    principal.issuer = Some("https://idp.example.com/realms/main".to_owned());
    let mut notes = Notes::new(RequestId(u128::MAX / 3), Timestamp(1_772_366_400_000_123_000));
    notes.principal = Some(Arc::new(principal));
    notes.policies.push("orders-read".into());
    for name in ["per-user", "global"] {
        notes.limits.push(LimitState {
            name: name.into(),
            quota: 1_000_000,
            window: Duration::from_secs(1),
            remaining: 999_000,
            reset: Duration::ZERO,
            exceeded: false,
            watches: false,
            turn: Duration::ZERO,
            reached: 0,
        });
    }
    for stage in [StageId::Authenticate, StageId::Authorize, StageId::Limit, StageId::Forward] {
        notes.record(stage, Verdict::Passed);
    }
    notes
}

fn settings() -> AuditSettings {
    AuditSettings::On(LogSettings {
        destination: Destination::File { path: "/dev/null".into(), copy_to_stdout: false },
        rotation: Some(Rotation { size: 100 << 20, keep: 10 }),
        on_failure: OnFailure::Pass,
        buffer: 1 << 20,
        flush_every: Duration::from_secs(1),
    })
}
