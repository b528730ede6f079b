//! How a route is scanned, and one request on its way through the rules.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use portcullis_core::{Mode, Notes, Reason, RequestId, ScanAnswer, ScanNotes};
use smallvec::SmallVec;

use super::body_types::{self, Wanted, is_text};
use super::{findings, generated};
use crate::builtin::TOO_COMPLEX;
use crate::engine::{Action, Interruption, Ruleset, Transaction, UNREADABLE};

/// How a route's requests and their answers are scanned: by each of its rulesets.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    plans: Vec<Plan>,
}

/// One ruleset of a route.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) name: Arc<str>,
    pub(super) mode: Mode,
    pub(super) ruleset: Ruleset,
    /// Whether it is the one that comes with the gateway, which does not look into every body.
    pub(super) is_builtin: bool,
}

/// A request as the client sent it.
#[derive(Debug, Clone, Copy)]
pub struct RequestView<'r> {
    /// The client: its address, and the port of the connection.
    pub client: SocketAddr,
    /// Where it came to: the gateway's own address.
    pub server: SocketAddr,
    /// When the request came.
    pub now: SystemTime,
    /// The request's name.
    pub id: RequestId,
    /// Who asks, if that is known.
    pub principal: Option<&'r str>,
    /// The method.
    pub method: &'r str,
    /// The target as it came.
    pub target: &'r [u8],
    /// The host and port that the request is for, where no field says so.
    pub host: &'r [u8],
    /// The protocol.
    pub version: Version,
    /// The fields that reach the service.
    pub headers: &'r HeaderMap,
    /// The fields that do not.
    pub removed: &'r [(HeaderName, HeaderValue)],
    /// Whether a body follows.
    pub has_body: bool,
}

/// What a phase came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing speaks against it.
    Passed,
    /// It would be refused if the rules were enforced.
    Shadowed(Reason),
    /// It is refused.
    Refused(Reason),
}

/// How much is told about matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// For the record: masked and cut.
    Record,
    /// For a record for tuning: of every rule a value as it came, and what the rule says and logs.
    Verbatim,
    /// For who asks about a request of their own: every value, with the transformations before it.
    Explanation,
}

/// One request on its way through the rules of each ruleset.
#[derive(Debug)]
pub struct Scanning {
    runs: SmallVec<[Run; 1]>,
    /// Whether all of the request was seen.
    saw_request: bool,
    /// What already spoke against the request, before there was an answer.
    against_request: bool,
}

/// One request on its way through the rules of one ruleset.
#[derive(Debug)]
struct Run {
    ruleset: Arc<str>,
    transaction: Transaction,
    wanted: Wanted,
    /// Whether it only watches, whatever its rules say of that.
    watches: bool,
}

impl Scan {
    /// Nothing is scanned.
    #[must_use]
    pub const fn off() -> Self {
        Self { plans: Vec::new() }
    }

    pub(super) const fn new(plans: Vec<Plan>) -> Self {
        Self { plans }
    }

    /// `enforce` where one ruleset is enforced, otherwise `shadow`, or `off` where there is none.
    #[must_use]
    pub fn mode(&self) -> Mode {
        if self.plans.is_empty() {
            return Mode::Off;
        }
        let enforces = self.plans.iter().any(|plan| plan.mode == Mode::Enforce);
        if enforces { Mode::Enforce } else { Mode::Shadow }
    }

    /// Whether anything is scanned.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.plans.is_empty()
    }

    /// Whether bodies of requests are looked into, whatever their type.
    #[must_use]
    pub fn reads_requests(&self) -> bool {
        self.plans.iter().any(|plan| plan.ruleset.settings().request_body_access)
    }

    /// Whether bodies of answers are looked into: they must then come as they are, not compressed.
    #[must_use]
    pub fn reads_answers(&self) -> bool {
        self.plans.iter().any(|plan| plan.ruleset.settings().response_body_access)
    }

    #[cfg(test)]
    pub(super) fn ruleset(&self, index: usize) -> Ruleset {
        self.plans[index].ruleset.clone()
    }

    /// Runs the rules over the head of a request; nothing if there are none.
    #[must_use]
    pub fn begin(&self, request: &RequestView<'_>) -> Option<Box<Scanning>> {
        if self.plans.is_empty() {
            return None;
        }
        let runs = self.plans.iter().map(|plan| plan.begin(request)).collect();
        Some(Box::new(Scanning { runs, saw_request: false, against_request: false }))
    }
}

impl Plan {
    fn begin(&self, request: &RequestView<'_>) -> Run {
        let mut transaction = self.ruleset.transaction(request.client, request.server, request.now);
        transaction.unique_id(&request.id.hex());
        if let Some(principal) = request.principal {
            transaction.remote_user(principal.as_bytes());
        }
        transaction.request_line(request.method.as_bytes(), request.target, protocol(request.version));
        if !request.headers.contains_key(http::header::HOST) {
            transaction.request_header(b"host", request.host);
        }
        let removed = request.removed.iter().map(|(name, value)| (name, value));
        for (name, value) in request.headers.iter().chain(removed) {
            transaction.request_header(name.as_str().as_bytes(), value.as_bytes());
        }
        transaction.request_headers_done();
        let wanted = if !request.has_body || transaction.wants_request_body().is_none() {
            Wanted::Nothing
        } else if self.is_builtin {
            wanted_by_builtin(request.headers)
        } else {
            Wanted::All
        };
        Run { ruleset: Arc::clone(&self.name), transaction, wanted, watches: self.mode == Mode::Shadow }
    }
}

impl Run {
    fn refusal(&self) -> Option<&Interruption> {
        self.transaction.interruption().filter(|_| !self.watches)
    }

    /// What it would refuse for. `ctl:ruleEngine=On` turns no shadow into a refusal.
    fn shadow(&self) -> Option<&Interruption> {
        self.transaction.would_interrupt().or_else(|| self.transaction.interruption())
    }
}

impl Scanning {
    /// What the phases so far came to: refused if one ruleset refuses.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.deciding() {
            Some((_, interruption, true)) => Outcome::Refused(self.reason(interruption)),
            Some((_, interruption, false)) => Outcome::Shadowed(self.reason(interruption)),
            None => Outcome::Passed,
        }
    }

    /// The ruleset that decides, its interruption, and whether that is enforced: the first that refuses, or else the first
    /// that would.
    fn deciding(&self) -> Option<(usize, &Interruption, bool)> {
        let runs = || self.runs.iter().enumerate();
        let refused = runs().find_map(|(at, run)| Some((at, run.refusal()?, true)));
        refused.or_else(|| runs().find_map(|(at, run)| Some((at, run.shadow()?, false))))
    }

    /// How much of the request's body the rules want to see: as much as any ruleset does.
    #[must_use]
    pub fn wants_body(&self) -> Wanted {
        let wants = |wanted| self.runs.iter().any(|run| run.wanted == wanted);
        let order = [Wanted::All, Wanted::Beginning, Wanted::Framing];
        order.into_iter().find(|wanted| wants(*wanted)).unwrap_or(Wanted::Nothing)
    }

    /// Whether the rules still want to see more of a body that begins so. What looks like text after
    /// [`BEGINNING`](super::BEGINNING) bytes is wanted to its end.
    pub fn wants_rest(&mut self, beginning: &[u8]) -> bool {
        if !is_text(beginning) {
            for run in self.runs.iter_mut().filter(|run| run.wanted == Wanted::Beginning) {
                run.wanted = Wanted::Nothing;
            }
        }
        self.runs.iter().any(|run| run.wanted.is_of_content())
    }

    /// Says that an argument conforms to a schema by which it holds no attack: see
    /// [`Transaction::conforms`](crate::engine::Transaction::conforms).
    pub fn conforms(&mut self, argument: &[u8]) {
        self.runs.iter_mut().for_each(|run| run.transaction.conforms(argument));
    }

    /// Runs the rules over the body of the request. What takes long, takes it here.
    pub fn request_body(&mut self, body: &[u8]) {
        for run in &mut self.runs {
            run.transaction.request_body(if run.wanted.is_of_content() { body } else { b"" });
        }
        self.saw_request = true;
        self.against_request = self.deciding().is_some();
    }

    /// Whether all of the request was seen.
    #[must_use]
    pub const fn saw_request(&self) -> bool {
        self.saw_request
    }

    /// Runs the rules over the head of the answer.
    pub fn answer_head(&mut self, status: StatusCode, version: Version, headers: &HeaderMap) {
        for run in &mut self.runs {
            run.transaction.response_line(status.as_u16(), protocol(version));
            for (name, value) in headers {
                run.transaction.response_header(name.as_str().as_bytes(), value.as_bytes());
            }
            run.transaction.response_headers_done();
        }
    }

    /// How many bytes of the answer's body the rules want to see.
    #[must_use]
    pub fn wants_answer(&self) -> Option<u64> {
        self.runs.iter().filter_map(|run| run.transaction.wants_response_body()).max()
    }

    /// Runs the rules over the body of the answer, or what there is of it.
    pub fn answer_body(&mut self, body: &[u8]) {
        for run in &mut self.runs {
            run.transaction.response_body(body);
        }
    }

    /// Runs the rules of the last phase, which keep what outlives the request, and puts all that matched in the notes.
    pub fn finish(&mut self, notes: &mut Notes, detail: Detail) {
        self.runs.iter_mut().for_each(|run| run.transaction.finish());
        self.note(notes, detail);
    }

    /// Puts what matched so far in the notes, of the ruleset that decides first.
    pub fn note(&self, notes: &mut Notes, detail: Detail) {
        let deciding = self.deciding();
        if deciding.is_none() && self.runs.iter().all(|run| run.transaction.matches().is_empty()) {
            return;
        }
        let mut found = ScanNotes::default();
        let first = deciding.map_or(0, |(at, ..)| at);
        let others = self.runs.iter().enumerate().filter(|(at, _)| *at != first).map(|(_, run)| run);
        for run in self.runs.get(first).into_iter().chain(others) {
            findings::add(&mut found, &run.ruleset, &run.transaction, detail);
        }
        if let Some((_, interruption, _)) = deciding {
            found.refused_by = Some(interruption.rule_id);
            found.ruleset = self.runs.get(first).map(|run| Arc::clone(&run.ruleset));
            found.answer = answer(interruption);
        }
        notes.scan = Some(Box::new(found));
    }

    fn reason(&self, interruption: &Interruption) -> Reason {
        match interruption.rule_id {
            0 if interruption.status == StatusCode::PAYLOAD_TOO_LARGE.as_u16() => Reason::BodyTooLarge,
            0 if interruption.status == UNREADABLE => Reason::UnreadableAnswer,
            TOO_COMPLEX => Reason::TooComplex,
            rule if generated::is_about_reading(rule) => Reason::UnreadableBody,
            _ if self.saw_request && !self.against_request => Reason::ResponseBlocked,
            _ => Reason::AttackDetected,
        }
    }
}

/// A type that is given twice may be read as either.
fn wanted_by_builtin(headers: &HeaderMap) -> Wanted {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    match (types.next(), types.next()) {
        (Some(kind), None) => body_types::wanted(kind.as_bytes(), headers.contains_key(CONTENT_ENCODING)),
        _ => Wanted::All,
    }
}

/// How the rule wants the refusal answered, if not by the status of the reason.
fn answer(interruption: &Interruption) -> Option<ScanAnswer> {
    let status = StatusCode::from_u16(interruption.status).ok();
    match &interruption.action {
        Action::Deny => {
            let status = status.filter(|status| status.is_client_error() || status.is_server_error())?;
            // The status of the reason, which is not that of an attack.
            let is_usual = status == StatusCode::FORBIDDEN || interruption.rule_id == TOO_COMPLEX;
            (!is_usual).then_some(ScanAnswer { status, location: None, closes: false })
        }
        Action::Drop => Some(ScanAnswer { status: StatusCode::FORBIDDEN, location: None, closes: true }),
        Action::Redirect(location) => Some(ScanAnswer {
            status: status.filter(StatusCode::is_redirection).unwrap_or(StatusCode::FOUND),
            location: Some(location.clone()),
            closes: false,
        }),
    }
}

const fn protocol(version: Version) -> &'static [u8] {
    match version {
        Version::HTTP_10 => b"HTTP/1.0",
        Version::HTTP_2 => b"HTTP/2.0",
        _ => b"HTTP/1.1",
    }
}
