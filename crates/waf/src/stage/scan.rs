//! How a route is scanned, and one request on its way through the rules.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use portcullis_core::{Mode, Notes, Reason, RequestId, ScanAnswer};

use super::{findings, generated};
use crate::engine::{Action, Interruption, Ruleset, Transaction};

/// How a route's requests and their answers are scanned.
#[derive(Debug, Clone)]
pub struct Scan {
    plan: Option<Plan>,
}

#[derive(Debug, Clone)]
struct Plan {
    mode: Mode,
    ruleset: Ruleset,
}

/// A request as the client sent it.
#[derive(Debug, Clone, Copy)]
pub struct RequestView<'r> {
    /// The client: its address, and the port of the connection.
    pub client: SocketAddr,
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
    /// For who asks about a request of their own: every value, with the transformations before it.
    Explanation,
}

/// One request on its way through the rules.
#[derive(Debug)]
pub struct Scanning {
    transaction: Transaction,
    /// Whether all of the request was seen.
    saw_request: bool,
    /// What already spoke against the request, before there was an answer.
    against_request: bool,
}

impl Scan {
    /// Nothing is scanned.
    #[must_use]
    pub const fn off() -> Self {
        Self { plan: None }
    }

    pub(super) const fn new(mode: Mode, ruleset: Ruleset) -> Self {
        Self { plan: Some(Plan { mode, ruleset }) }
    }

    /// `enforce`, `shadow` or `off`.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.plan.as_ref().map_or(Mode::Off, |plan| plan.mode)
    }

    /// Whether anything is scanned.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.plan.is_some()
    }

    /// Whether bodies of requests are looked into.
    #[must_use]
    pub fn reads_requests(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.ruleset.settings().request_body_access)
    }

    /// Whether bodies of answers are looked into: they must then come as they are, not compressed.
    #[must_use]
    pub fn reads_answers(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.ruleset.settings().response_body_access)
    }

    /// The rules, if there are any.
    #[must_use]
    pub fn ruleset(&self) -> Option<&Ruleset> {
        self.plan.as_ref().map(|plan| &plan.ruleset)
    }

    /// Runs the rules over the head of a request; nothing if there are none.
    #[must_use]
    pub fn begin(&self, request: &RequestView<'_>) -> Option<Box<Scanning>> {
        let plan = self.plan.as_ref()?;
        let server = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let mut transaction = plan.ruleset.transaction(request.client, server, request.now);
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
        Some(Box::new(Scanning { transaction, saw_request: false, against_request: false }))
    }
}

impl Scanning {
    /// What the phases so far came to.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let interruption = self.transaction.interruption();
        if let Some(interruption) = interruption {
            return Outcome::Refused(self.reason(interruption));
        }
        let would = self.transaction.would_interrupt();
        would.map_or(Outcome::Passed, |interruption| Outcome::Shadowed(self.reason(interruption)))
    }

    /// Whether the rules want to see the request's body.
    #[must_use]
    pub fn wants_body(&self) -> bool {
        self.transaction.wants_request_body().is_some()
    }

    /// Runs the rules over the body of the request. What takes long, takes it here.
    pub fn request_body(&mut self, body: &[u8]) {
        self.transaction.request_body(body);
        self.saw_request = true;
        self.against_request =
            self.transaction.interruption().or_else(|| self.transaction.would_interrupt()).is_some();
    }

    /// Whether all of the request was seen.
    #[must_use]
    pub const fn saw_request(&self) -> bool {
        self.saw_request
    }

    /// Runs the rules over the head of the answer.
    pub fn answer_head(&mut self, status: StatusCode, version: Version, headers: &HeaderMap) {
        self.transaction.response_line(status.as_u16(), protocol(version));
        for (name, value) in headers {
            self.transaction.response_header(name.as_str().as_bytes(), value.as_bytes());
        }
        self.transaction.response_headers_done();
    }

    /// How many bytes of the answer's body the rules want to see.
    #[must_use]
    pub fn wants_answer(&self) -> Option<u64> {
        self.transaction.wants_response_body()
    }

    /// Runs the rules over the body of the answer, or what there is of it.
    pub fn answer_body(&mut self, body: &[u8]) {
        self.transaction.response_body(body);
    }

    /// Runs the rules of the last phase, which keep what outlives the request, and puts all that matched in the notes.
    pub fn finish(&mut self, notes: &mut Notes, detail: Detail) {
        self.transaction.finish();
        self.note(notes, detail);
    }

    /// Puts what matched so far in the notes.
    pub fn note(&self, notes: &mut Notes, detail: Detail) {
        let interruption = self.transaction.interruption().or_else(|| self.transaction.would_interrupt());
        if self.transaction.matches().is_empty() && interruption.is_none() {
            return;
        }
        let mut found = findings::notes(&self.transaction, detail);
        found.refused_by = interruption.map(|interruption| interruption.rule_id);
        found.answer = interruption.and_then(answer);
        notes.scan = Some(Box::new(found));
    }

    fn reason(&self, interruption: &Interruption) -> Reason {
        match interruption.rule_id {
            0 if interruption.status == StatusCode::PAYLOAD_TOO_LARGE.as_u16() => Reason::BodyTooLarge,
            rule if generated::is_about_reading(rule) => Reason::UnreadableBody,
            _ if self.saw_request && !self.against_request => Reason::ResponseBlocked,
            _ => Reason::AttackDetected,
        }
    }
}

/// How the rule wants the refusal answered, if not by the status of the reason.
fn answer(interruption: &Interruption) -> Option<ScanAnswer> {
    let status = StatusCode::from_u16(interruption.status).ok();
    match &interruption.action {
        Action::Deny => {
            let status = status.filter(|status| status.is_client_error() || status.is_server_error())?;
            let is_usual = status == StatusCode::FORBIDDEN;
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
