//! One request from its head to the head of its answer.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::ORIGIN;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, request};
use hyper::body::{Body, Incoming};
use portcullis_core::{
    ClientCertificate, Clock, Denial, Head, Notes, PrincipalKind, Reason, StageId, SystemClock, Verdict,
};
use portcullis_harden::Exchange;
use portcullis_pipeline::{
    Admitted, AsWritten, Examined, Halt, MOST_NEEDS, Received, RoutePlan, Unobserved, Whole,
};

use crate::account::{Account, Ending, Entry};
use crate::body::{BodyProgress, Lease, RequestBody, ResponseBody};
use crate::client::Client;
use crate::forward::{Answer, Forwarding, redactor_for};
use crate::own;
use crate::respond;
use crate::scan;
use crate::shared::{Current, Worker};
use crate::wire;

/// Answers one request. There always is an answer: failures are answers too.
///
/// The request counts as under way from the call on, not only once the future is polled: hyper reads on in between,
/// and a fault in the next head must wait for this answer.
pub(crate) fn serve(
    worker: Rc<Worker>,
    client: Rc<Client>,
    mut request: Request<Incoming>,
) -> impl Future<Output = Result<Response<ResponseBody>, Infallible>> {
    let mut under_way = client.begin();
    let answering = client.answering();
    if let Some(target) = client.next_target() {
        request.extensions_mut().insert(AsWritten(target));
    }
    async move {
        let awaits_upgrade = wire::awaits_upgrade(request.version(), request.headers());
        let response = answer(worker, Rc::clone(&client), request).await;
        if awaits_upgrade && !client.becomes_tunnel() {
            client.upgraded(false);
        }
        under_way.answered();
        Ok(response.map(|body| body.while_answering(under_way, answering)))
    }
}

async fn answer(
    worker: Rc<Worker>,
    client: Rc<Client>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let current = worker.current();
    let snapshot = &current.snapshot;
    let (mut parts, incoming) = request.into_parts();
    let mut account = open_account(&worker, &current, &client, &parts);
    let received = match snapshot.ingress.receive(&mut parts, client.socket, client.secure) {
        Ok(received) => received,
        Err(fault) => {
            account.notes.client = client.socket.ip().to_canonical();
            account.raw_path = parts.uri.path().to_owned();
            let asker = Asker::of(&parts, client.secure);
            return refuse(&current, Denial::new(fault.stage(), fault.reason()), account, None, &asker);
        }
    };
    note_received(&mut account, &received);
    let head = head_of(&parts, &received, client.certificate.as_ref(), account.notes.received);
    if let Some(answer) = answer_preflight(&current, &head, &mut account) {
        account.close(Ending::Complete);
        return answer;
    }
    let asker = Asker::of(&parts, received.peer.secure);
    if let Some(endpoint) = own::Endpoint::of(snapshot, &head) {
        return own::answer(&worker, &current, endpoint, &head, incoming, account, &asker).await;
    }
    let mut intake = Intake::Waiting(incoming);
    let admitted = match admit(&worker, &current, &client, &head, &mut intake, &mut account).await {
        Ok(admitted) => admitted,
        Err(denial) => return refuse(&current, denial, account, Some(&head), &asker),
    };
    let route = admitted.route();
    await_turn(&account.notes).await;
    if let Err(reason) = may_be_forwarded(&current, route, &intake) {
        return refuse(&current, Denial::new(StageId::Forward, reason), account, Some(&head), &asker);
    }
    let whole = Whole {
        parts: &parts,
        received: &received,
        socket: client.socket,
        local: client.local,
        has_body: intake.has_body(),
        detail: snapshot.scan_detail,
    };
    let examined = snapshot.examine(admitted, &head, &whole, &mut account.notes, &mut Unobserved);
    let examined = match examined {
        Ok(examined) => examined,
        Err(denial) => return refuse(&current, denial, account, Some(&head), &asker),
    };
    let (mut body, progress) = intake.open(&worker, &current, route);
    account.request_body = Some(Rc::clone(&progress));
    let (cleared, body) = match examined {
        Examined::Cleared(cleared) => {
            if cleared.expects_frames()
                && let Err(reason) = body.expect_frames()
            {
                return refuse(&current, Denial::new(StageId::Forward, reason), account, Some(&head), &asker);
            }
            (cleared, body)
        }
        // Boxed, as is what the answer goes through: routes that are not scanned would carry it too.
        Examined::NeedsBody(pending, scanning) => {
            let scan = scan::request(&worker, pending, scanning, body, &client, &mut account);
            match Box::pin(scan).await {
                Ok(judged) => judged,
                Err(denial) => return refuse(&current, denial, account, Some(&head), &asker),
            }
        }
    };
    // Boxed: it is handed through several futures, each of which would hold a place for it.
    let request = Box::new(Request::from_parts(parts, body));
    let forwarding =
        Forwarding { worker: &worker, current: &current, client: &client, received: &received, progress };
    let sent = forwarding.send(&cleared, request, &mut account).await;
    let judged = match cleared.into_answer() {
        None => sent.map_err(|reason| Denial::new(StageId::Forward, reason)),
        Some(examination) => {
            let idle = route.forward.timeouts.idle;
            Box::pin(scan::answer(&worker, examination, sent, idle, &mut account)).await
        }
    };
    match judged {
        Ok(answer) => {
            let (response, spent) = finish(&client, &current, route, answer, account, &asker);
            if let Some(mut lease) = spent {
                std::future::poll_fn(|cx| {
                    lease.give_back(cx);
                    std::task::Poll::Ready(())
                })
                .await;
            }
            response
        }
        Err(denial) => refuse(&current, denial, account, None, &asker),
    }
}

fn open_account(worker: &Worker, current: &Rc<Current>, client: &Client, parts: &request::Parts) -> Account {
    let notes = Notes::new(worker.next_id(), SystemClock.now());
    Account::open(Entry {
        current: Rc::clone(current),
        started: Instant::now(),
        socket: client.socket,
        method: parts.method.clone(),
        received: None,
        raw_path: String::new(),
        request_id: respond::request_id_value(notes.request_id),
        notes,
        version: parts.version,
        status: None,
        denial: None,
        upstream: None,
        upstream_duration: None,
        request_body: None,
        bytes_out: 0,
    })
}

fn note_received(account: &mut Account, received: &Received) {
    account.notes.client = received.peer.client;
    account.notes.record(StageId::Protocol, Verdict::Passed);
    account.notes.record(StageId::Target, Verdict::Passed);
    account.received = Some((received.target.clone(), received.host.clone()));
}

fn head_of<'r>(
    parts: &'r request::Parts,
    received: &'r Received,
    certificate: Option<&'r Arc<ClientCertificate>>,
    now: portcullis_core::Timestamp,
) -> Head<'r> {
    Head {
        method: &parts.method,
        host: received.host.name(),
        port: received.host.port(),
        target: &received.target,
        headers: &parts.headers,
        version: parts.version,
        peer: received.peer,
        certificate,
        body: None,
        now,
    }
}

/// The body of a request until it is known what becomes of it.
enum Intake {
    /// Nothing of it was read.
    Waiting(Incoming),
    /// A stage asked for all of it before the request was admitted.
    Held(RequestBody, Rc<BodyProgress>),
    /// It is being read.
    Reading,
}

impl Intake {
    fn has_body(&self) -> bool {
        match self {
            Self::Waiting(incoming) => !incoming.is_end_stream(),
            Self::Held(body, _) => !body.is_empty(),
            Self::Reading => true,
        }
    }

    /// How long it is at least.
    fn announced(&self) -> u64 {
        match self {
            Self::Waiting(incoming) => incoming.size_hint().lower(),
            Self::Held(body, _) => body.size_hint().lower(),
            Self::Reading => 0,
        }
    }

    /// The body as the service gets it.
    fn open(
        self,
        worker: &Worker,
        current: &Rc<Current>,
        route: &RoutePlan,
    ) -> (RequestBody, Rc<BodyProgress>) {
        match self {
            Self::Waiting(incoming) => {
                let pause = current.snapshot.protocol.body_timeout;
                RequestBody::new(incoming, route.forward.body, pause, current, &worker.deadlines)
            }
            Self::Held(body, progress) => (body, progress),
            Self::Reading => (RequestBody::Empty, Rc::new(BodyProgress::default())),
        }
    }

    /// Reads all of it for the stage that says who asks. It stays here to be forwarded.
    async fn read(
        &mut self,
        worker: &Worker,
        current: &Rc<Current>,
        client: &Client,
        route: &RoutePlan,
    ) -> Result<Bytes, Denial> {
        if self.announced() > route.forward.body {
            return Err(Denial::new(StageId::Forward, Reason::BodyTooLarge));
        }
        let (body, progress) = std::mem::replace(self, Self::Reading).open(worker, current, route);
        if body.is_empty() {
            *self = Self::Held(body, progress);
            return Ok(Bytes::new());
        }
        let asking = scan::Asking { route, current, client, stage: StageId::Authenticate };
        let (mut held, _) = scan::hold(worker, body, &asking, |_| true).await?;
        let whole = held.joined();
        *self = Self::Held(RequestBody::Held(Box::new(held)), progress);
        Ok(whole)
    }
}

/// Runs the stages; if they need something that is not there yet, fetches it and asks again.
async fn admit<'s>(
    worker: &Worker,
    current: &'s Rc<Current>,
    client: &Client,
    head: &Head<'_>,
    intake: &mut Intake,
    account: &mut Account,
) -> Result<Admitted<'s>, Denial> {
    let notes = &mut account.notes;
    let snapshot = &current.snapshot;
    let mut whole: Option<Bytes> = None;
    let mut rounds = 0;
    loop {
        let head = Head { body: whole.as_deref(), ..*head };
        match snapshot.admit(&head, notes, &mut Unobserved) {
            Ok(admitted) => return Ok(admitted),
            Err(Halt::Denied(denial)) => return Err(denial),
            Err(Halt::Needs(need)) if rounds == MOST_NEEDS => return Err(need.denial()),
            // Whether it brought anything shows when the stages run again.
            Err(Halt::Needs(need)) => worker.fetch(&need, snapshot, notes).await,
            Err(Halt::NeedsBody) => {
                let route = notes.route.and_then(|id| snapshot.route(id)).filter(|_| whole.is_none());
                let unread = Denial::new(StageId::Authenticate, Reason::UnreadableBody);
                let route = route.ok_or(unread)?;
                // Boxed: few requests come here, and all would carry it.
                whole = Some(Box::pin(intake.read(worker, current, client, route)).await?);
                continue;
            }
        }
        rounds += 1;
    }
}

/// Waits as long as the limits say that are queues.
async fn await_turn(notes: &Notes) {
    let turn = notes.limits.iter().map(|limit| limit.turn).max().unwrap_or_default();
    if !turn.is_zero() {
        tokio::time::sleep(turn).await;
    }
}

/// What can only be known once the route is: whether it may go unrecorded, and how large its body may be.
fn may_be_forwarded(current: &Current, route: &RoutePlan, intake: &Intake) -> Result<(), Reason> {
    if !current.snapshot.audit.is_available() {
        return Err(Reason::AuditUnavailable);
    }
    if intake.announced() > route.forward.body { Err(Reason::BodyTooLarge) } else { Ok(()) }
}

/// The gateway answers preflights itself.
fn answer_preflight(
    current: &Current,
    head: &Head<'_>,
    account: &mut Account,
) -> Option<Response<ResponseBody>> {
    let (id, preflight) = current.snapshot.preflight(head)?;
    account.notes.route = Some(id);
    account.notes.record(StageId::Route, Verdict::Passed);
    account.status = Some(preflight.status);
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = preflight.status;
    *response.headers_mut() = preflight.headers;
    Some(response)
}

/// Turns a denial into an answer and closes the account.
pub(crate) fn refuse(
    current: &Current,
    denial: Denial,
    mut account: Account,
    head: Option<&Head<'_>>,
    asker: &Asker,
) -> Response<ResponseBody> {
    let snapshot = &current.snapshot;
    let mut response = respond::refusal(snapshot, denial, &account.notes, head);
    let route = account.notes.route.and_then(|id| snapshot.route(id));
    let hardening = route.map_or(&snapshot.unrouted, |route| &route.hardening);
    let exchange = asker.exchange(&account.notes, response.status());
    hardening.apply(&exchange, response.headers_mut());
    account.status = Some(response.status());
    account.denial = Some(denial);
    account.close(Ending::Complete);
    // RFC 9110 section 9.3.2: the fields of the answer and no body.
    response.map(|body| if asker.is_head { ResponseBody::empty() } else { ResponseBody::own(body) })
}

/// What the answer must know of the request, which may have been handed on by then.
pub(crate) struct Asker {
    secure: bool,
    is_head: bool,
    origin: Option<HeaderValue>,
}

impl Asker {
    fn of(parts: &request::Parts, secure: bool) -> Self {
        let mut origins = parts.headers.get_all(ORIGIN).iter();
        let origin = origins.next().filter(|_| origins.next().is_none()).cloned();
        Self { secure, is_head: parts.method == Method::HEAD, origin }
    }

    pub(crate) const fn is_head(&self) -> bool {
        self.is_head
    }

    pub(crate) fn exchange(&self, notes: &Notes, status: StatusCode) -> Exchange<'_> {
        let principal = notes.principal.as_ref();
        let authenticated = principal.is_some_and(|principal| principal.kind != PrincipalKind::Anonymous);
        Exchange { secure: self.secure, authenticated, origin: self.origin.as_ref(), status }
    }
}

/// Takes out what the service says that the request cost. A field that is there twice or is no number says nothing.
fn take_costs(notes: &mut Notes, headers: &mut HeaderMap) {
    let Some(bill) = &notes.bill else { return };
    let said = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        let value = values.next().filter(|_| values.next().is_none())?;
        value.to_str().ok()?.trim().parse().ok()
    };
    notes.costs = bill.cost_fields().iter().map(said).collect();
    for name in bill.cost_fields() {
        headers.remove(name);
    }
}

/// Hardens the service's answer and hands its body on. A connection that no body comes from is given back.
fn finish(
    client: &Client,
    current: &Rc<Current>,
    route: &RoutePlan,
    answer: Answer,
    mut account: Account,
    asker: &Asker,
) -> (Response<ResponseBody>, Option<Lease>) {
    let Answer { mut head, body } = answer;
    take_costs(&mut account.notes, &mut head.headers);
    let redactor = match redactor_for(route, &mut head.headers) {
        Ok(redactor) => redactor,
        Err(reason) => {
            return (refuse(current, Denial::new(StageId::Forward, reason), account, None, asker), None);
        }
    };
    let exchange = asker.exchange(&account.notes, head.status);
    route.hardening.apply(&exchange, &mut head.headers);
    respond::add_limit_fields(&current.snapshot, &account.notes, &mut head.headers);
    head.headers.insert(respond::X_REQUEST_ID, account.request_id.clone());
    account.notes.record(StageId::Forward, Verdict::Passed);
    account.status = Some(head.status);
    let (body, spent) = body.into_response(client, &route.forward.timeouts, account, redactor);
    (Response::from_parts(head, body), spent)
}
