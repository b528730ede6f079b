//! One request, stage by stage: what was seen, what was decided, by which rule, how long it took.
//!
//! The stages are the very ones that serve live traffic, run on counters of their own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, request};
use portcullis_core::{
    ClientCertificate, Decision, Denial, Head, Judgement, Notes, Reason, RequestId, RouteId, StageId,
    Timestamp, Verdict,
};
use portcullis_harden::Preflight;
use portcullis_waf::stage::Detail;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::admit::{Admitted, Halt, MOST_NEEDS, Need, Observer};
use crate::examine::{Examined, Whole, is_grpc_message};
use crate::receive::{Received, Unreceivable};
use crate::snapshot::Snapshot;

/// What became of a request and why.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// `allow`, `flag`, `shadow_deny`, `deny` or `error`.
    pub decision: &'static str,
    /// The status of the gateway's own answer, a preflight's too; none when the service answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The stage that decided, unless the request simply passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<&'static str>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<&'static str>,
    /// Every stage that was reached, in order.
    pub stages: Vec<StageStory>,
}

/// One stage's part in it.
#[derive(Debug, Clone, Serialize)]
pub struct StageStory {
    /// The stage.
    pub stage: &'static str,
    /// What it did: `pass`, `flag`, `off`, `shadow_deny`, `deny`.
    pub verdict: &'static str,
    /// Why it refused, or would have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<&'static str>,
    /// By which rules: names of routes, methods, policies, limits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// What it looked at. Never a credential.
    pub seen: Map<String, Value>,
    /// How long it took, in microseconds. The first request through a stage pays for its caches.
    pub took_us: f64,
}

/// The connection on which a request is thought to come.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The other end of it.
    pub socket: SocketAddr,
    /// Whether it is encrypted.
    pub secure: bool,
    /// The certificate that the client showed.
    pub certificate: Option<Arc<ClientCertificate>>,
}

/// Explains a request.
///
/// `fetch` is called when something must be fetched first, as the key that a token names; afterwards the stages go on.
pub fn explain(
    snapshot: &Snapshot,
    mut parts: request::Parts,
    body: &[u8],
    connection: &Connection,
    now: Timestamp,
    mut fetch: impl FnMut(&Need, &mut Notes),
) -> Explanation {
    let &Connection { socket, secure, ref certificate } = connection;
    let mut notes = Notes::new(RequestId::default(), now);
    let mut teller =
        Teller { snapshot, stories: Vec::new(), since: Instant::now(), target: None, limits_told: 0 };
    let raw = parts.clone();
    let ingress = &snapshot.ingress;
    let length = content_length(&parts.headers);
    let announced = if length > Some(snapshot.protocol.body) { Err(Reason::BodyTooLarge) } else { Ok(()) };
    let sizes = announced.and_then(|()| ingress.limits.judge(&parts)).map_err(Unreceivable::Head);
    let received = match sizes.and_then(|()| ingress.receive(&mut parts, socket, secure)) {
        Ok(received) => received,
        Err(fault) => {
            let stage = fault.stage();
            notes.record(stage, Verdict::Denied(fault.reason()));
            let seen = Map::from_iter([
                ("method".to_owned(), json!(raw.method.as_str())),
                ("target".to_owned(), json!(raw.uri.to_string())),
                ("fault".to_owned(), json!(fault.to_string())),
            ]);
            teller.tell(stage, &notes, Vec::new(), seen);
            return conclude(&notes, Some(Denial::new(stage, fault.reason())), teller.stories);
        }
    };
    notes.client = received.peer.client;
    tell_receipt(&mut teller, &mut notes, &raw, &parts, &received, certificate.as_deref());
    let head = Head {
        method: &parts.method,
        host: received.host.name(),
        port: received.host.port(),
        target: &received.target,
        headers: &parts.headers,
        version: parts.version,
        peer: received.peer,
        certificate: certificate.as_ref(),
        body: None,
        now,
    };
    teller.target = Some(received.target.path().to_owned());
    if let Some((id, preflight)) = snapshot.preflight(&head) {
        notes.route = Some(id);
        notes.record(StageId::Route, Verdict::Passed);
        teller.tell_preflight(&notes, &head, &preflight);
        return Explanation {
            status: Some(preflight.status.as_u16()),
            ..conclude(&notes, None, teller.stories)
        };
    }
    let mut asked = head;
    let mut outcome = snapshot.admit(&asked, &mut notes, &mut teller);
    for _ in 0..=MOST_NEEDS {
        match &outcome {
            Err(Halt::Needs(need)) => fetch(need, &mut notes),
            Err(Halt::NeedsBody) => asked.body = Some(body),
            _ => break,
        }
        outcome = snapshot.admit(&asked, &mut notes, &mut teller);
    }
    let denial = match outcome {
        Ok(admitted) => match teller.tell_length(&mut notes, length, admitted.route().forward.body) {
            Some(denial) => Some(denial),
            None => {
                let whole = Whole {
                    parts: &parts,
                    received: &received,
                    socket,
                    local: snapshot.listeners.first().map_or(socket, |listener| listener.address),
                    has_body: !body.is_empty(),
                    detail: Detail::Explanation,
                };
                examine(snapshot, admitted, &head, &whole, body, &mut notes, &mut teller).err()
            }
        },
        Err(Halt::Denied(denial)) => Some(denial),
        Err(Halt::Needs(need)) => Some(need.denial()),
        Err(Halt::NeedsBody) => Some(Denial::new(StageId::Authenticate, Reason::UnreadableBody)),
    };
    conclude(&notes, denial, teller.stories)
}

/// What becomes of a client whose certificate ends the handshake: no request is ever read. `cause` is the code of the record.
#[must_use]
pub fn refused_connection(cause: &'static str) -> Explanation {
    let (stage, reason) = (StageId::Authenticate, Reason::InvalidCertificate);
    let story = StageStory {
        stage: stage.name(),
        verdict: Verdict::Denied(reason).name(),
        reason_code: Some(reason.code()),
        rules: Vec::new(),
        seen: Map::from_iter([("fault".to_owned(), json!(cause))]),
        took_us: 0.0,
    };
    Explanation {
        decision: Decision::Deny.name(),
        status: None,
        stage: Some(stage.name()),
        reason_code: Some(reason.code()),
        stages: vec![story],
    }
}

/// Lets the scanner see the request.
fn examine(
    snapshot: &Snapshot,
    admitted: Admitted<'_>,
    head: &Head<'_>,
    whole: &Whole<'_>,
    body: &[u8],
    notes: &mut Notes,
    teller: &mut Teller<'_>,
) -> Result<(), Denial> {
    if body.len() as u64 > admitted.route().forward.body {
        return Err(Denial::new(StageId::Forward, Reason::BodyTooLarge));
    }
    match snapshot.examine(admitted, head, whole, notes, teller)? {
        Examined::Cleared(cleared) if cleared.expects_frames() && !is_grpc_message(body) => {
            Err(Denial::new(StageId::Forward, Reason::UnreadableBody))
        }
        Examined::Cleared(_) => Ok(()),
        Examined::NeedsBody(pending, mut scanning) => {
            let is_wanted = scanning.wants_rest(body);
            scanning.request_body(if is_wanted { body } else { b"" });
            pending.conclude(scanning, notes, teller).map(drop)
        }
    }
}

fn conclude(notes: &Notes, denial: Option<Denial>, stages: Vec<StageStory>) -> Explanation {
    let judgement = Judgement::of(notes, denial);
    Explanation {
        decision: judgement.decision.name(),
        status: denial.map(|denial| notes.status_of(denial.reason).as_u16()),
        stage: judgement.stage.map(StageId::name),
        reason_code: judgement.reason.map(Reason::code),
        stages,
    }
}

/// How long the body is said to be.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Tells what was received and in which form the stages see it.
fn tell_receipt(
    teller: &mut Teller<'_>,
    notes: &mut Notes,
    raw: &request::Parts,
    clean: &request::Parts,
    received: &Received,
    certificate: Option<&ClientCertificate>,
) {
    notes.record(StageId::Protocol, Verdict::Passed);
    let removed: Vec<&str> = raw
        .headers
        .keys()
        .filter(|name| !clean.headers.contains_key(*name))
        .map(http::HeaderName::as_str)
        .collect();
    let mut seen = Map::from_iter([
        ("method".to_owned(), json!(raw.method.as_str())),
        ("host".to_owned(), json!(received.host.name())),
        ("client".to_owned(), json!(received.peer.client.to_string())),
        ("removed_headers".to_owned(), json!(removed)),
    ]);
    if let Some(certificate) = certificate {
        seen.insert(
            "certificate".to_owned(),
            json!(match &certificate.details {
                Ok(details) => details.subject.as_str(),
                Err(fault) => fault.code(),
            }),
        );
    }
    teller.tell(StageId::Protocol, notes, Vec::new(), seen);
    notes.record(StageId::Target, Verdict::Passed);
    let seen = Map::from_iter([
        ("received".to_owned(), json!(raw.uri.path())),
        ("normalised".to_owned(), json!(received.target.path())),
    ]);
    teller.tell(StageId::Target, notes, Vec::new(), seen);
}

/// Watches the stages and writes down their stories.
struct Teller<'s> {
    snapshot: &'s Snapshot,
    stories: Vec<StageStory>,
    since: Instant,
    target: Option<String>,
    limits_told: usize,
}

impl Observer for Teller<'_> {
    fn done(&mut self, stage: StageId, notes: &Notes) {
        let (rules, seen) = match stage {
            StageId::Route => self.route(notes),
            StageId::Peer => self.limits(notes),
            StageId::Authenticate => caller(notes),
            StageId::Authorize => policies(notes),
            StageId::Limit | StageId::Quota => self.limits(notes),
            StageId::Scan => findings(notes),
            StageId::Protocol | StageId::Target | StageId::Forward => Default::default(),
        };
        self.tell(stage, notes, rules, seen);
    }
}

impl Teller<'_> {
    /// Tells of a body that the route would not take. Only its length is known; of a body without one, nothing is.
    fn tell_length(&mut self, notes: &mut Notes, length: Option<u64>, limit: u64) -> Option<Denial> {
        let length = length.filter(|length| *length > limit)?;
        let (stage, reason) = (StageId::Forward, Reason::BodyTooLarge);
        notes.record(stage, Verdict::Denied(reason));
        let seen = Map::from_iter([
            ("content_length".to_owned(), json!(length)),
            ("limit".to_owned(), json!(limit)),
        ]);
        self.tell(stage, notes, Vec::new(), seen);
        Some(Denial::new(stage, reason))
    }

    /// Tells what browsers are granted.
    fn tell_preflight(&mut self, notes: &Notes, head: &Head<'_>, preflight: &Preflight) {
        let (rules, mut seen) = self.route(notes);
        let text = |value: &HeaderValue| json!(String::from_utf8_lossy(value.as_bytes()));
        let wanted = head.headers.get(ACCESS_CONTROL_REQUEST_METHOD);
        seen.extend(wanted.map(|wanted| ("preflight_for".to_owned(), text(wanted))));
        seen.extend(preflight.headers.iter().map(|(name, value)| (name.to_string(), text(value))));
        self.tell(StageId::Route, notes, rules, seen);
    }

    fn tell(&mut self, stage: StageId, notes: &Notes, rules: Vec<String>, seen: Map<String, Value>) {
        let took = self.since.elapsed();
        let verdict = notes.verdict(stage);
        let reason = match verdict {
            Verdict::Shadowed(reason) | Verdict::Denied(reason) => Some(reason.code()),
            _ => None,
        };
        self.stories.push(StageStory {
            stage: stage.name(),
            verdict: verdict.name(),
            reason_code: reason,
            rules,
            seen,
            took_us: micros(took),
        });
        // Telling takes time too, which is not the next stage's.
        self.since = Instant::now();
    }

    fn route(&self, notes: &Notes) -> (Vec<String>, Map<String, Value>) {
        let mut seen = Map::new();
        if let Some(path) = &self.target {
            seen.insert("path".to_owned(), json!(path));
        }
        let route = notes.route.and_then(|id: RouteId| self.snapshot.route(id));
        if let Some(service) = route.and_then(|route| self.snapshot.service_of(route)) {
            seen.insert("service".to_owned(), json!(&*service.name));
        }
        (route.map(|route| route.name.to_string()).into_iter().collect(), seen)
    }

    /// The limits that this stage took: the notes hold those of both stages that take any.
    fn limits(&mut self, notes: &Notes) -> (Vec<String>, Map<String, Value>) {
        let taken = notes.limits.get(self.limits_told..).unwrap_or_default();
        self.limits_told = notes.limits.len();
        let seen = taken.iter().map(|limit| {
            let state =
                json!({ "quota": limit.quota, "remaining": limit.remaining, "exceeded": limit.exceeded });
            (limit.name.to_string(), state)
        });
        (taken.iter().map(|limit| limit.name.to_string()).collect(), seen.collect())
    }
}

fn caller(notes: &Notes) -> (Vec<String>, Map<String, Value>) {
    let mut seen = Map::new();
    let mut rules = Vec::new();
    if let Some(principal) = &notes.principal {
        rules.push(principal.method.clone());
        seen.insert("principal".to_owned(), json!(principal.id));
        seen.insert("kind".to_owned(), json!(principal.kind.name()));
        seen.insert("roles".to_owned(), json!(principal.roles));
        seen.insert("scopes".to_owned(), json!(principal.scopes));
    }
    if let Some(fault) = notes.credential_fault {
        seen.insert("fault".to_owned(), json!(fault));
    }
    (rules, seen)
}

fn policies(notes: &Notes) -> (Vec<String>, Map<String, Value>) {
    let mut seen = Map::new();
    if let Some(challenge) = &notes.challenge {
        seen.insert("acr_values".to_owned(), json!(challenge.acr_values));
        seen.insert("max_age".to_owned(), json!(challenge.max_age));
        seen.insert("scopes".to_owned(), json!(challenge.scopes));
    }
    (notes.policies.iter().map(ToString::to_string).collect(), seen)
}

/// The rules that matched, and what they matched.
fn findings(notes: &Notes) -> (Vec<String>, Map<String, Value>) {
    let mut seen = Map::new();
    let Some(scan) = notes.scan.as_deref() else { return (Vec::new(), seen) };
    seen.insert("score".to_owned(), json!(scan.score));
    if let Some(rule) = scan.refused_by {
        seen.insert("refused_by".to_owned(), json!(rule));
    }
    if let Some(ruleset) = scan.ruleset.as_deref() {
        seen.insert("ruleset".to_owned(), json!(ruleset));
    }
    let matches = scan.matches.iter().map(|found| {
        json!({
            "rule": found.rule,
            "ruleset": &*found.ruleset,
            "message": found.message,
            "target": found.target,
            "transformations": found.transformations,
            "value": found.value,
        })
    });
    seen.insert("matches".to_owned(), matches.collect());
    (scan.rule_ids.iter().map(ToString::to_string).collect(), seen)
}

fn micros(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e7).round() / 10.0
}
