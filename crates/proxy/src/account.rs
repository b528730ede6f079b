//! What is known of one exchange, told to the record and the metrics once it is over.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::{HeaderValue, Method, StatusCode, Version};
use portcullis_audit::{Event, Record};
use portcullis_core::{Clock, Denial, Notes, Reason, RequestId, StageId, SystemClock, Target, Verdict};
use portcullis_pipeline::Host;
use portcullis_pipeline::settings::TargetAddress;

use crate::body::BodyProgress;
use crate::shared::Current;

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The answer was handed on whole.
    Complete,
    /// The service broke off in the middle of it.
    BrokenOff,
    /// It could not be redacted, in the middle of it.
    NotRedactable,
    /// The client went away before its end.
    ClientGone,
}

/// The account of one exchange. It is closed explicitly wherever an exchange ends; only that the client went
/// away cannot be noticed in any other way than by being dropped.
pub(crate) struct Account(Option<Box<Entry>>);

/// What is known so far.
pub(crate) struct Entry {
    pub(crate) current: Rc<Current>,
    pub(crate) notes: Notes,
    pub(crate) started: Instant,
    pub(crate) socket: SocketAddr,
    pub(crate) method: Method,
    /// The request's target and host, once they are known to have one form.
    pub(crate) received: Option<(Target, Host)>,
    /// The path as it came, of a request that has no one form.
    pub(crate) raw_path: String,
    /// The request's name as it is sent to both sides.
    pub(crate) request_id: HeaderValue,
    pub(crate) version: Version,
    pub(crate) status: Option<StatusCode>,
    pub(crate) denial: Option<Denial>,
    /// The target asked last, and how long its head took.
    pub(crate) upstream: Option<u32>,
    pub(crate) upstream_duration: Option<Duration>,
    pub(crate) request_body: Option<Rc<BodyProgress>>,
    pub(crate) bytes_out: u64,
}

impl Account {
    pub(crate) fn open(entry: Entry) -> Self {
        Self(Some(Box::new(entry)))
    }

    /// Writes the exchange down.
    pub(crate) fn close(mut self, ending: Ending) {
        if let Some(entry) = self.0.take() {
            entry.close(ending);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(entry) = self.0.take() {
            entry.close(Ending::ClientGone);
        }
    }
}

impl std::ops::Deref for Account {
    type Target = Entry;

    #[expect(
        clippy::expect_used,
        reason = "the entry is only taken by `close` and `drop`, which consume the account"
    )]
    fn deref(&self) -> &Entry {
        self.0.as_deref().expect("an account that was not closed")
    }
}

impl std::ops::DerefMut for Account {
    #[expect(
        clippy::expect_used,
        reason = "the entry is only taken by `close` and `drop`, which consume the account"
    )]
    fn deref_mut(&mut self) -> &mut Entry {
        self.0.as_deref_mut().expect("an account that was not closed")
    }
}

impl Entry {
    fn close(&self, ending: Ending) {
        let snapshot = &self.current.snapshot;
        let duration = self.started.elapsed();
        let denial = self.denial.or(match ending {
            Ending::Complete => None,
            Ending::BrokenOff => Some(Denial::new(StageId::Forward, Reason::UpstreamFailed)),
            Ending::NotRedactable => Some(Denial::new(StageId::Forward, Reason::AnswerNotRedactable)),
            Ending::ClientGone => Some(Denial::new(StageId::Forward, Reason::ClientGone)),
        });
        let status = self.status.map_or(Reason::ClientGone.status().as_u16(), |status| status.as_u16());
        snapshot.metrics.record(&self.notes, denial, status, duration);
        if let Some(bill) = &self.notes.bill {
            bill.settle(self.request_bytes().saturating_add(self.bytes_out), &self.notes.costs);
        }
        if snapshot.audit.is_on() {
            self.write(denial, duration);
        }
    }

    fn request_bytes(&self) -> u64 {
        self.request_body.as_ref().map_or(0, |progress| progress.bytes.get())
    }

    fn write(&self, denial: Option<Denial>, duration: Duration) {
        let snapshot = &self.current.snapshot;
        let route = self.notes.route.and_then(|id| snapshot.route(id));
        let service = route.and_then(|route| snapshot.service_of(route));
        let target = self.upstream.and_then(|index| service?.upstream.targets.get(index as usize));
        let record = Record {
            denial,
            peer: Some(self.socket.ip()),
            method: self.method.as_str(),
            path: self
                .received
                .as_ref()
                .map_or(self.raw_path.as_str(), |(target, _)| target.path())
                .as_bytes(),
            host: self.received.as_ref().map_or("", |(_, host)| host.name()).as_bytes(),
            protocol_version: version_name(self.version),
            status: self.status.map(|status| status.as_u16()),
            route: route.map_or("", |route| &route.name),
            service: service.map_or("", |service| &service.name),
            upstream: target.map_or("", TargetAddress::as_str),
            duration,
            upstream_duration: self.upstream_duration,
            request_bytes: self.request_bytes(),
            response_bytes: self.bytes_out,
            generation: snapshot.generation,
            ..Record::of(Event::Request, &self.notes)
        };
        // A record that cannot be written is counted by the log itself; whether requests may go on without a
        // record was asked before this one was forwarded.
        let _: Result<(), portcullis_audit::Unavailable> = snapshot.audit.record(&record);
    }
}

/// Writes down a request that never became one: refused on the wire, before there was a head.
pub(crate) fn record_fault(
    current: &Current,
    id: RequestId,
    socket: SocketAddr,
    version: Version,
    reason: Reason,
) {
    let mut notes = Notes::new(id, SystemClock.now());
    notes.record(StageId::Protocol, Verdict::Denied(reason));
    let status = reason.status().as_u16();
    record_early(current, notes, socket, Denial::new(StageId::Protocol, reason), |record| Record {
        protocol_version: version_name(version),
        status: Some(status),
        ..record
    });
}

/// Writes down a connection that never came about, because of the client's certificate.
pub(crate) fn record_handshake(current: &Current, id: RequestId, socket: SocketAddr, cause: &'static str) {
    let reason = Reason::InvalidCertificate;
    let mut notes = Notes::new(id, SystemClock.now());
    notes.credential_fault = Some(cause);
    notes.record(StageId::Authenticate, Verdict::Denied(reason));
    record_early(current, notes, socket, Denial::new(StageId::Authenticate, reason), |record| record);
}

fn record_early(
    current: &Current,
    mut notes: Notes,
    socket: SocketAddr,
    denial: Denial,
    complete: impl for<'r> FnOnce(Record<'r>) -> Record<'r>,
) {
    let snapshot = &current.snapshot;
    notes.client = socket.ip().to_canonical();
    snapshot.metrics.record(&notes, Some(denial), denial.reason.status().as_u16(), Duration::ZERO);
    let record = Record {
        denial: Some(denial),
        generation: snapshot.generation,
        ..Record::of(Event::Request, &notes)
    };
    // Counted by the log itself if it fails; nothing was forwarded that would have to be recorded.
    let _: Result<(), portcullis_audit::Unavailable> = snapshot.audit.record(&complete(record));
}

const fn version_name(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}
