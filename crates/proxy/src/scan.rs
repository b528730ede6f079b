//! The scanner's place between a client and a service: bodies are held back until the rules have seen them.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body::Body;
use portcullis_core::{Denial, Reason, StageId};
use portcullis_pipeline::{
    AnswerExamination, AnswerExamined, BEGINNING, Cleared, Pending, RoutePlan, Scanning, Unobserved, Wanted,
};
use tokio::sync::Semaphore;

use crate::account::Account;
use crate::body::{HeldBody, NoRoom, RequestBody, Room};
use crate::client::Client;
use crate::deadline::{Timer, before};
use crate::forward::{Answer, AnswerBody};
use crate::shared::{Current, Worker};

/// Bodies that are larger are scanned by another thread: other requests of this one would wait for it.
const LARGEST_HERE: usize = 64 << 10;

/// What a worker needs for the scanner.
#[derive(Debug)]
pub(crate) struct Scanner {
    pub(crate) room: Room,
    /// A worker has one large body scanned at a time, so that scans never take more processors than there are workers.
    turns: Semaphore,
}

impl Default for Scanner {
    fn default() -> Self {
        Self { room: Room::default(), turns: Semaphore::new(1) }
    }
}

impl Scanner {
    /// Does what takes time in proportion to `body`, elsewhere if that is long.
    async fn run<T: Send + 'static>(
        &self,
        body: Bytes,
        what: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> Result<T, Denial> {
        if body.len() <= LARGEST_HERE {
            return Ok(what(&body));
        }
        let failed = || Denial::new(StageId::Scan, Reason::Overloaded);
        let _turn = self.turns.acquire().await.map_err(|_| failed())?;
        tokio::task::spawn_blocking(move || what(&body)).await.map_err(|_| failed())
    }
}

/// Holds the body of a request back, has the rules look at it, and gives it back to be forwarded.
pub(crate) async fn request<'s>(
    worker: &Worker,
    pending: Pending<'s>,
    mut scanning: Box<Scanning>,
    body: RequestBody,
    client: &Client,
    account: &mut Account,
) -> Result<(Cleared<'s>, RequestBody), Denial> {
    let mut is_open = scanning.wants_body() == Wanted::Beginning;
    let goes_on = |held: &mut HeldBody| {
        if is_open {
            if !scanning.wants_rest(&held.joined()) {
                return false;
            }
            is_open = held.len() < BEGINNING as u64;
        }
        true
    };
    let asking = Asking { route: pending.route(), current: &account.current, client, stage: StageId::Scan };
    let (mut held, rest) = hold(worker, body, &asking, goes_on).await?;
    if let Some(rest) = rest {
        scanning.request_body(b"");
        let cleared = pending.conclude(scanning, &mut account.notes, &mut Unobserved)?;
        return Ok((cleared, rest.after(held)));
    }
    let scanned = worker.scanner.run(held.joined(), move |body| {
        scanning.request_body(body);
        scanning
    });
    let cleared = pending.conclude(scanned.await?, &mut account.notes, &mut Unobserved)?;
    Ok((cleared, RequestBody::Held(Box::new(held))))
}

/// For whom a body is held back.
pub(crate) struct Asking<'a> {
    pub(crate) route: &'a RoutePlan,
    /// The configuration by which the request is judged.
    pub(crate) current: &'a Current,
    pub(crate) client: &'a Client,
    pub(crate) stage: StageId,
}

/// Holds all of a body back for a stage; or only its beginning, where `goes_on` says that this is enough.
pub(crate) async fn hold(
    worker: &Worker,
    body: RequestBody,
    asking: &Asking<'_>,
    goes_on: impl FnMut(&mut HeldBody) -> bool,
) -> Result<(HeldBody, Option<RequestBody>), Denial> {
    let mut timer = Timer::after(&worker.deadlines, asking.route.forward.timeouts.total);
    let most = asking.current.snapshot.protocol.buffered_bodies;
    let held = before(&mut timer, collect(worker, body, most, goes_on)).await;
    held.unwrap_or(Err(Reason::RequestTimeout)).map_err(|reason| {
        // What is wrong with the framing, the guard knows better.
        let reason = asking.client.fault().unwrap_or(reason);
        Denial::new(if reason == Reason::Overloaded { asking.stage } else { StageId::Forward }, reason)
    })
}

async fn collect(
    worker: &Worker,
    mut body: RequestBody,
    most: u64,
    mut goes_on: impl FnMut(&mut HeldBody) -> bool,
) -> Result<(HeldBody, Option<RequestBody>), Reason> {
    let is_sized = body.size_hint().exact().is_some();
    let mut held = HeldBody::new(worker.scanner.room.share(), is_sized);
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|fault| fault.0)?;
        held.push(frame, most).map_err(|NoRoom| Reason::Overloaded)?;
        if !goes_on(&mut held) {
            return Ok((held, Some(body)));
        }
    }
    Ok((held, None))
}

/// Has the rules look at what came back. What they want to see of its body is held back until they have.
pub(crate) async fn answer(
    worker: &Worker,
    examination: AnswerExamination,
    answer: Result<Answer, Reason>,
    idle: Duration,
    account: &mut Account,
) -> Result<Answer, Denial> {
    let Answer { head, body } = match answer {
        Ok(answer) => answer,
        Err(reason) => {
            examination.abandon(&mut account.notes);
            return Err(Denial::new(StageId::Forward, reason));
        }
    };
    let has_body = body.is_streaming() && account.method != Method::HEAD;
    let (status, version) = (head.status, head.version);
    let examined = examination.head(status, version, &head.headers, has_body, &mut account.notes)?;
    let AnswerExamined::NeedsBody(examination, wanted) = examined else { return Ok(Answer { head, body }) };
    let AnswerBody::Streaming { mut incoming, mut lease, mut timer, end, .. } = body else {
        return examination.conclude(&mut account.notes).map(|()| Answer { head, body });
    };
    let most = account.current.snapshot.protocol.buffered_bodies;
    let is_sized = incoming.size_hint().exact().is_some();
    let mut held = HeldBody::new(worker.scanner.room.share(), is_sized);
    while held.len() <= wanted && !incoming.is_end_stream() {
        timer.reset(idle);
        timer.end_by(end);
        let frame = before(&mut timer, poll_fn(|cx| lease.poll_next(&mut incoming, cx))).await;
        let frame = match frame {
            Some(Some(Ok(frame))) => frame,
            Some(Some(Err(_))) => return Err(Denial::new(StageId::Forward, Reason::UpstreamFailed)),
            Some(None) => break,
            None => return Err(Denial::new(StageId::Forward, Reason::UpstreamTimeout)),
        };
        held.push(frame, most).map_err(|NoRoom| Denial::new(StageId::Scan, Reason::Overloaded))?;
    }
    let examination = worker.scanner.run(held.joined(), move |body| examination.body(body)).await?;
    examination.conclude(&mut account.notes)?;
    let body = AnswerBody::Streaming { incoming, lease, timer, end, held: Some(Box::new(held)) };
    Ok(Answer { head, body })
}
