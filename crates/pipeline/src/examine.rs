//! What is judged after the head: the whole request by the scanner's rules, and then its answer.

use std::borrow::Cow;
use std::net::SocketAddr;

use http::{HeaderMap, StatusCode, Version, request};
use portcullis_core::{Denial, Head, Notes, PrincipalKind, Reason, StageId, Verdict};
use portcullis_waf::stage::{Detail, Outcome, RequestView, Scanning, Wanted};

use crate::admit::{Admitted, Observer};
use crate::receive::Received;
use crate::snapshot::{RoutePlan, Snapshot};

/// The proof that every stage let the whole request pass (or only shadows it). Only [`Snapshot::examine`] and
/// [`Pending::conclude`] make one, and forwarding takes one: what was not judged cannot be forwarded.
#[derive(Debug)]
pub struct Cleared<'s> {
    route: &'s RoutePlan,
    scanning: Option<Box<Scanning>>,
    expects_frames: bool,
    detail: Detail,
}

/// How far an examination came with the head alone.
#[derive(Debug)]
pub enum Examined<'s> {
    /// To its end.
    Cleared(Cleared<'s>),
    /// The rules want to see the body.
    NeedsBody(Pending<'s>, Box<Scanning>),
}

/// An examination that goes on once the rules have seen the body: wherever that is, since it may take long.
#[derive(Debug)]
pub struct Pending<'s> {
    route: &'s RoutePlan,
    detail: Detail,
}

/// The examination of an answer.
#[derive(Debug)]
pub struct AnswerExamination {
    scanning: Box<Scanning>,
    detail: Detail,
}

/// How far the examination of an answer came with its head alone.
#[derive(Debug)]
pub enum AnswerExamined {
    /// To its end.
    Cleared,
    /// The rules want to see so many bytes of the body.
    NeedsBody(AnswerExamination, u64),
}

/// Among the extensions of a request: its target as the client wrote it, where `http::Uri` cannot hold that.
#[derive(Debug, Clone)]
pub struct AsWritten(pub Box<[u8]>);

/// The request that is examined, beside its head.
#[derive(Debug, Clone, Copy)]
pub struct Whole<'r> {
    /// Its head as it came, but for the fields, and for the target if [`AsWritten`] is among its extensions.
    pub parts: &'r request::Parts,
    /// What became of it on the way in.
    pub received: &'r Received,
    /// The client's end of the connection.
    pub socket: SocketAddr,
    /// The gateway's end of it.
    pub local: SocketAddr,
    /// Whether a body follows.
    pub has_body: bool,
    /// How much is told.
    pub detail: Detail,
}

impl Snapshot {
    /// Runs the rules of the scanner over the head of a request that was admitted, and over its body if it has none or they
    /// need none.
    ///
    /// # Errors
    /// When a rule refuses.
    pub fn examine<'s, O: Observer>(
        &self,
        admitted: Admitted<'s>,
        head: &Head<'_>,
        whole: &Whole<'_>,
        notes: &mut Notes,
        observer: &mut O,
    ) -> Result<Examined<'s>, Denial> {
        let route = admitted.into_route();
        if !route.scan.is_on() {
            notes.record(StageId::Scan, Verdict::Off);
            observer.done(StageId::Scan, notes);
            return Ok(Examined::Cleared(Cleared::unscanned(route, whole.detail)));
        }
        let principal = notes.principal.clone().filter(|it| it.kind != PrincipalKind::Anonymous);
        let target = as_written(whole.parts);
        let view = RequestView {
            client: SocketAddr::new(head.peer.client, whole.socket.port()),
            server: whole.local,
            now: head.now.to_system_time(),
            id: notes.request_id,
            principal: principal.as_ref().map(|principal| principal.id.as_str()),
            method: head.method.as_str(),
            target: &target,
            host: whole.received.host.authority().as_bytes(),
            version: head.version,
            headers: head.headers,
            removed: &whole.received.removed,
            has_body: whole.has_body,
        };
        let pending = Pending { route, detail: whole.detail };
        let Some(mut scanning) = route.scan.begin(&view) else {
            return Ok(Examined::Cleared(Cleared::unscanned(route, whole.detail)));
        };
        let wanted = scanning.wants_body();
        if wanted.is_of_content() && !matches!(scanning.outcome(), Outcome::Refused(_)) {
            return Ok(Examined::NeedsBody(pending, scanning));
        }
        scanning.request_body(b"");
        let mut cleared = pending.conclude(scanning, notes, observer)?;
        cleared.expects_frames = wanted == Wanted::Framing;
        Ok(Examined::Cleared(cleared))
    }
}

impl<'s> Pending<'s> {
    /// The plan by which the request was admitted.
    #[must_use]
    pub const fn route(&self) -> &'s RoutePlan {
        self.route
    }

    /// Ends the examination of a request whose body the rules have seen.
    ///
    /// # Errors
    /// When a rule refuses, or has not seen the body.
    pub fn conclude<O: Observer>(
        self,
        mut scanning: Box<Scanning>,
        notes: &mut Notes,
        observer: &mut O,
    ) -> Result<Cleared<'s>, Denial> {
        let outcome = match scanning.outcome() {
            Outcome::Passed if !scanning.saw_request() => Outcome::Refused(Reason::UnreadableBody),
            outcome => outcome,
        };
        notes.record(StageId::Scan, verdict(outcome));
        let refusal = match outcome {
            Outcome::Refused(reason) => {
                scanning.finish(notes, self.detail);
                Some(reason)
            }
            Outcome::Passed | Outcome::Shadowed(_) => {
                scanning.note(notes, self.detail);
                None
            }
        };
        observer.done(StageId::Scan, notes);
        match refusal {
            Some(reason) => Err(Denial::new(StageId::Scan, reason)),
            None => Ok(Cleared {
                route: self.route,
                scanning: Some(scanning),
                expects_frames: false,
                detail: self.detail,
            }),
        }
    }
}

impl<'s> Cleared<'s> {
    const fn unscanned(route: &'s RoutePlan, detail: Detail) -> Self {
        Self { route, scanning: None, expects_frames: false, detail }
    }

    /// The plan by which the request was admitted.
    #[must_use]
    pub const fn route(&self) -> &'s RoutePlan {
        self.route
    }

    /// Whether the rules want bodies of answers, which must then not be compressed.
    #[must_use]
    pub fn reads_answer(&self) -> bool {
        self.scanning.is_some() && self.route.scan.reads_answers()
    }

    /// Whether the body was let pass as messages of gRPC, and must be refused if its first byte says that it is none.
    #[must_use]
    pub const fn expects_frames(&self) -> bool {
        self.expects_frames
    }

    /// Goes on with the answer, if there are rules.
    #[must_use]
    pub fn into_answer(self) -> Option<AnswerExamination> {
        let detail = self.detail;
        self.scanning.map(|scanning| AnswerExamination { scanning, detail })
    }
}

impl AnswerExamination {
    /// Runs the rules over the head of the answer, and over its body if it has none or they need none.
    ///
    /// # Errors
    /// When a rule refuses.
    pub fn head(
        mut self,
        status: StatusCode,
        version: Version,
        headers: &HeaderMap,
        has_body: bool,
        notes: &mut Notes,
    ) -> Result<AnswerExamined, Denial> {
        self.scanning.answer_head(status, version, headers);
        let is_refused = matches!(self.scanning.outcome(), Outcome::Refused(_));
        if let Some(most) = self.scanning.wants_answer().filter(|_| has_body && !is_refused) {
            return Ok(AnswerExamined::NeedsBody(self, most));
        }
        self.scanning.answer_body(b"");
        self.conclude(notes).map(|()| AnswerExamined::Cleared)
    }

    /// Runs the rules over the body of the answer, or its beginning. What takes long, takes it here.
    #[must_use]
    pub fn body(mut self, body: &[u8]) -> Self {
        self.scanning.answer_body(body);
        self
    }

    /// Ends the examination.
    ///
    /// # Errors
    /// When a rule refuses.
    pub fn conclude(mut self, notes: &mut Notes) -> Result<(), Denial> {
        self.scanning.finish(notes, self.detail);
        let outcome = self.scanning.outcome();
        notes.record(StageId::Scan, verdict(outcome));
        match outcome {
            Outcome::Refused(reason) => Err(Denial::new(StageId::Scan, reason)),
            Outcome::Passed | Outcome::Shadowed(_) => Ok(()),
        }
    }

    /// Ends the examination of a request that got no answer.
    pub fn abandon(mut self, notes: &mut Notes) {
        self.scanning.finish(notes, self.detail);
    }
}

const fn verdict(outcome: Outcome) -> Verdict {
    match outcome {
        Outcome::Passed => Verdict::Passed,
        Outcome::Shadowed(reason) => Verdict::Shadowed(reason),
        Outcome::Refused(reason) => Verdict::Denied(reason),
    }
}

/// Whether a body may be one of gRPC: each message begins with whether it is compressed, 0 or 1, and a trailer of gRPC-Web with
/// 128 or 129.
#[must_use]
pub fn is_grpc_message(beginning: &[u8]) -> bool {
    matches!(beginning.first(), None | Some(0 | 1 | 128 | 129))
}

/// The target as the client wrote it. In HTTP/2 it is written in pieces.
fn as_written(parts: &request::Parts) -> Cow<'_, [u8]> {
    if let Some(AsWritten(target)) = parts.extensions.get() {
        return Cow::Borrowed(target);
    }
    match (parts.uri.authority(), parts.uri.path_and_query()) {
        (Some(_), _) if parts.version < Version::HTTP_2 => parts.uri.to_string().into_bytes().into(),
        (_, Some(target)) => target.as_str().as_bytes().into(),
        (_, None) => b"/".into(),
    }
}
