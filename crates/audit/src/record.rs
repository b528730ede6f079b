//! What is on the record of one decision, and how it is written down.

use std::net::IpAddr;
use std::time::Duration;

use portcullis_core::{Denial, Judgement, LimitState, Notes, Principal, ScanNotes, Timestamp, Verdict};

use crate::line::{Line, key};
use crate::moment::MomentWriter;

/// The longest line that a record can become, with every text at its bound and every character escaped.
pub const LONGEST_LINE: usize = 62 << 10;

/// Bytes kept of a path.
const PATH_LIMIT: usize = 2048;
/// Bytes kept of any other text: a host name has at most 253 (RFC 1035 section 2.3.4), a subject at most
/// 255 (OpenID Connect Core section 2).
const TEXT_LIMIT: usize = 256;
/// Items kept of any list.
const LIST_LIMIT: usize = 8;
/// Bytes kept of what a rule matched, of where, and of what it says and logs.
const VALUE_LIMIT: usize = 200;
const TARGET_LIMIT: usize = 96;
/// Names of rulesets are no longer, and have no characters that need escapes.
const RULESET_LIMIT: usize = 64;
const DATA_LIMIT: usize = 512;
/// Matches are told until the line is so long: the longest one, and what follows them, still fit.
const MATCHES_END: usize = LONGEST_LINE - (12 << 10);
/// Ids of rules kept.
const RULES_LIMIT: usize = 64;

/// What the record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A request was decided.
    Request,
    /// A connection was refused before a request could be read from it.
    Connection,
}

impl Event {
    /// The name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Connection => "connection",
        }
    }
}

/// One decision, borrowed from those who took part in it. There is no place in it for header fields, the
/// query or a body: what may hold a secret cannot be recorded, but for what says what a rule matched, which is little and
/// masked unless the configuration asks for more. Texts that are empty are left out.
#[derive(Debug, Clone, Copy)]
pub struct Record<'r> {
    /// What the record is about.
    pub event: Event,
    /// What the stages noted: request id, time, client, principal, verdicts, policies, limits.
    pub notes: &'r Notes,
    /// What the gateway answered with, if the answer is not the service's.
    pub denial: Option<Denial>,
    /// The address of the connection, recorded where it is not the client's own.
    pub peer: Option<IpAddr>,
    /// The method.
    pub method: &'r str,
    /// The path: normalised, or as it came if it was refused before. Anything from a `?` on is not recorded.
    pub path: &'r [u8],
    /// The host without its port. Anything before an `@` is not recorded.
    pub host: &'r [u8],
    /// `1.0`, `1.1` or `2`.
    pub protocol_version: &'r str,
    /// The status code of the answer, if there was one.
    pub status: Option<u16>,
    /// The route's name.
    pub route: &'r str,
    /// The service's name.
    pub service: &'r str,
    /// The address of the service's target that was asked last.
    pub upstream: &'r str,
    /// From the complete head of the request to the end of the answer.
    pub duration: Duration,
    /// From the start of forwarding to the head of the service's answer.
    pub upstream_duration: Option<Duration>,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the answer's body.
    pub response_bytes: u64,
    /// The generation of the configuration that decided.
    pub generation: u64,
}

impl<'r> Record<'r> {
    /// A record of what `notes` say and nothing else.
    #[must_use]
    pub const fn of(event: Event, notes: &'r Notes) -> Self {
        Self {
            event,
            notes,
            denial: None,
            peer: None,
            method: "",
            path: b"",
            host: b"",
            protocol_version: "",
            status: None,
            route: "",
            service: "",
            upstream: "",
            duration: Duration::ZERO,
            upstream_duration: None,
            request_bytes: 0,
            response_bytes: 0,
            generation: 0,
        }
    }
}

/// Something that was changed beside the configuration: by an operator over the admin API, or on the command line.
#[derive(Debug, Clone, Copy)]
pub struct Change<'c> {
    /// When.
    pub moment: Timestamp,
    /// What kind of thing: `api_keys`, `revocations`.
    pub topic: &'c str,
    /// What was done: a word.
    pub action: &'c str,
    /// To which.
    pub subject: &'c str,
    /// Who did it.
    pub actor: &'c str,
    /// By which way: `api` or `cli`.
    pub origin: &'c str,
    /// The generation of the configuration in force.
    pub generation: u64,
}

/// Turns records into lines. Each thread has its own and uses it again and again.
#[derive(Debug, Default)]
pub struct Formatter {
    moments: MomentWriter,
    line: Vec<u8>,
}

impl Formatter {
    /// A change as one line of JSON, the line feed included.
    pub fn format_change(&mut self, change: &Change<'_>) -> &[u8] {
        let mut line = Line::start(&mut self.line);
        line.word_bytes(key!("timestamp"), self.moments.text(change.moment));
        line.word(key!("event.name"), "change");
        line.text(key!("change.topic"), change.topic, TEXT_LIMIT);
        line.text(key!("change.action"), change.action, TEXT_LIMIT);
        line.text(key!("change.subject"), change.subject, TEXT_LIMIT);
        line.text(key!("change.actor"), change.actor, TEXT_LIMIT);
        line.text(key!("change.origin"), change.origin, TEXT_LIMIT);
        line.number(key!("config_generation"), change.generation);
        line.finish();
        &self.line
    }

    /// The record as one line of JSON, the line feed included.
    pub fn format(&mut self, record: &Record<'_>) -> &[u8] {
        let mut line = Line::start(&mut self.line);
        let id = record.notes.request_id.hex();
        line.word_bytes(key!("timestamp"), self.moments.text(record.notes.received));
        line.word(key!("event.name"), record.event.name());
        line.word_bytes(key!("request_id"), &id);
        line.word_bytes(key!("trace_id"), &id);
        write_request(&mut line, record);
        write_judgement(&mut line, record);
        if let Some(principal) = &record.notes.principal {
            write_principal(&mut line, principal);
        }
        write_grounds(&mut line, record.notes);
        write_measures(&mut line, record);
        line.finish();
        &self.line
    }
}

fn write_request(line: &mut Line<'_>, record: &Record<'_>) {
    let client = record.notes.client;
    line.address(key!("client.address"), client);
    if let Some(peer) = record.peer.filter(|peer| *peer != client) {
        line.address(key!("network.peer.address"), peer);
    }
    line.text(key!("http.request.method"), record.method, TEXT_LIMIT);
    line.text(key!("url.path"), before_query(record.path), PATH_LIMIT);
    line.text(key!("server.address"), after_userinfo(record.host), TEXT_LIMIT);
    line.text(key!("network.protocol.version"), record.protocol_version, TEXT_LIMIT);
    if let Some(status) = record.status {
        line.number(key!("http.response.status_code"), u64::from(status));
    }
    line.text(key!("route"), record.route, TEXT_LIMIT);
    line.text(key!("service"), record.service, TEXT_LIMIT);
}

fn write_judgement(line: &mut Line<'_>, record: &Record<'_>) {
    let judgement = Judgement::of(record.notes, record.denial);
    line.word(key!("decision"), judgement.decision.name());
    if let Some(stage) = judgement.stage {
        line.word(key!("stage"), stage.name());
    }
    if let Some(reason) = judgement.reason {
        line.word(key!("reason_code"), reason.code());
    }
    if let Some(fault) = record.notes.credential_fault {
        line.text(key!("credential_fault"), fault, TEXT_LIMIT);
    }
}

fn write_principal(line: &mut Line<'_>, principal: &Principal) {
    line.word(key!("principal.kind"), principal.kind.name());
    line.text(key!("principal.id"), &principal.id, TEXT_LIMIT);
    line.text(key!("principal.issuer"), principal.issuer.as_deref().unwrap_or_default(), TEXT_LIMIT);
    line.text(key!("principal.method"), &principal.method, TEXT_LIMIT);
}

/// What the decision rests on.
fn write_grounds(line: &mut Line<'_>, notes: &Notes) {
    if !notes.policies.is_empty() {
        line.list(key!("policies"), LIST_LIMIT, &notes.policies, |line, policy| {
            line.bounded_string(key!("policies"), policy.as_bytes(), TEXT_LIMIT);
        });
    }
    if !notes.limits.is_empty() {
        line.list(key!("limits"), LIST_LIMIT, &notes.limits, |line, limit| {
            line.braces(|line| write_limit(line, limit));
        });
    }
    if let Some(scan) = &notes.scan {
        write_scan(line, scan);
    }
    let ran = |verdict| !matches!(verdict, Verdict::NotReached | Verdict::Off);
    line.object(key!("stages"), |line| {
        for (stage, verdict) in notes.verdicts().filter(|&(_, verdict)| ran(verdict)) {
            line.entry(stage.name(), verdict.name());
        }
    });
    let shadowed = || {
        notes.verdicts().filter_map(|(stage, verdict)| match verdict {
            Verdict::Shadowed(reason) => Some((stage, reason)),
            _ => None,
        })
    };
    if shadowed().next().is_some() {
        line.object(key!("shadow_reasons"), |line| {
            for (stage, reason) in shadowed() {
                line.entry(stage.name(), reason.code());
            }
        });
    }
}

/// What the scanner found: of every rule its id, of the first what they matched.
fn write_scan(line: &mut Line<'_>, scan: &ScanNotes) {
    line.list(key!("waf.rule_ids"), RULES_LIMIT, &scan.rule_ids, |line, id| line.item(u64::from(*id)));
    line.number(key!("waf.score"), scan.score);
    if let Some(rule) = scan.refused_by {
        line.number(key!("waf.refused_by"), u64::from(rule));
    }
    if let Some(ruleset) = &scan.ruleset {
        line.text(key!("waf.ruleset"), ruleset.as_bytes(), RULESET_LIMIT);
    }
    if !scan.matches.is_empty() {
        line.list_up_to(key!("waf.matches"), MATCHES_END, &scan.matches, |line, found| {
            line.braces(|line| {
                line.number(key!("rule"), u64::from(found.rule));
                line.text(key!("ruleset"), found.ruleset.as_bytes(), RULESET_LIMIT);
                line.text(key!("target"), &found.target, TARGET_LIMIT);
                line.text(key!("value"), &found.value, VALUE_LIMIT);
                line.text(key!("message"), &found.message, DATA_LIMIT);
                line.text(key!("data"), &found.data, DATA_LIMIT);
            });
        });
    }
}

fn write_limit(line: &mut Line<'_>, limit: &LimitState) {
    line.text(key!("name"), limit.name.as_bytes(), TEXT_LIMIT);
    line.number(key!("quota"), limit.quota);
    line.number(key!("remaining"), limit.remaining);
    line.boolean(key!("exceeded"), limit.exceeded);
}

fn write_measures(line: &mut Line<'_>, record: &Record<'_>) {
    line.number(key!("duration_us"), micros(record.duration));
    if let Some(upstream) = record.upstream_duration {
        line.number(key!("upstream.duration_us"), micros(upstream));
    }
    line.text(key!("upstream.address"), record.upstream, TEXT_LIMIT);
    line.number(key!("http.request.body.size"), record.request_bytes);
    line.number(key!("http.response.body.size"), record.response_bytes);
    line.number(key!("config_generation"), record.generation);
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Queries carry tokens and personal data. Targets that were refused come as they are, query and all.
fn before_query(path: &[u8]) -> &[u8] {
    path.split(|&byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default()
}

/// A host that was refused may hold `user:password@` (RFC 3986 section 3.2.1).
fn after_userinfo(host: &[u8]) -> &[u8] {
    host.rsplit(|&byte| byte == b'@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use portcullis_core::{PrincipalKind, Reason, RequestId, ScanMatch, StageId};
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn parsed(record: &Record<'_>) -> Value {
        let mut formatter = Formatter::default();
        let line = std::str::from_utf8(formatter.format(record)).unwrap();
        assert_eq!(line.find('\n'), Some(line.len() - 1), "{line}");
        serde_json::from_str(line).unwrap()
    }

    fn notes() -> Notes {
        Notes::new(RequestId(0xabc), Timestamp::from_secs(1_772_366_400))
    }

    fn limit(name: &str) -> LimitState {
        LimitState {
            name: name.into(),
            quota: 10,
            window: Duration::from_secs(1),
            remaining: 3,
            reset: Duration::ZERO,
            exceeded: false,
            watches: false,
            turn: Duration::ZERO,
            reached: 0,
        }
    }

    /// The longest name that a ruleset may have; the configuration takes letters, digits and a few signs only.
    const NAME: &str = "the-longest-name-of-a-ruleset-has-sixty-four-letters-and-is-here";

    fn hit(text: &str) -> ScanMatch {
        ScanMatch {
            rule: u32::MAX,
            ruleset: NAME.into(),
            target: text.to_owned(),
            value: text.to_owned(),
            transformations: Vec::new(),
            message: text.to_owned(),
            data: text.to_owned(),
        }
    }

    #[test]
    fn a_record_of_nothing_holds_only_what_is_known() {
        let notes = notes();
        let line = parsed(&Record::of(Event::Connection, &notes));
        let mut keys: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "client.address",
                "config_generation",
                "decision",
                "duration_us",
                "event.name",
                "http.request.body.size",
                "http.response.body.size",
                "request_id",
                "stages",
                "timestamp",
                "trace_id"
            ]
        );
        assert_eq!(line["event.name"], "connection");
        assert_eq!(line["trace_id"], line["request_id"]);
    }

    #[test]
    fn the_query_and_userinfo_stay_out() {
        let notes = notes();
        for path in [b"/a?token=planted".as_slice(), b"/a#planted", b"/a??planted?planted"] {
            let record = Record { path, host: b"u:planted@h", ..Record::of(Event::Request, &notes) };
            let line = parsed(&record);
            assert_eq!(line["url.path"], "/a");
            assert_eq!(line["server.address"], "h");
            assert!(!line.to_string().contains("planted"));
        }
    }

    #[test]
    fn claims_scopes_and_roles_stay_out() {
        let mut principal = Principal::new(PrincipalKind::User, "ann", "corporate");
        principal.issuer = Some("https://idp.test".to_owned());
        principal.claims.insert("email".to_owned(), Value::from("planted"));
        principal.roles.push("planted".to_owned());
        let mut notes = notes();
        notes.principal = Some(Arc::new(principal));
        let line = parsed(&Record::of(Event::Request, &notes));
        assert_eq!(line["principal.kind"], "user");
        assert_eq!(line["principal.id"], "ann");
        assert_eq!(line["principal.issuer"], "https://idp.test");
        assert_eq!(line["principal.method"], "corporate");
        assert!(!line.to_string().contains("planted"));
    }

    #[test]
    fn shadow_refusals_are_told_with_their_reasons() {
        let mut notes = notes();
        notes.record(StageId::Authenticate, Verdict::Passed);
        notes.record(StageId::Peer, Verdict::Off);
        notes.record(StageId::Authorize, Verdict::Shadowed(Reason::Forbidden));
        notes.record(StageId::Limit, Verdict::Shadowed(Reason::RateLimited));
        let line = parsed(&Record { status: Some(200), ..Record::of(Event::Request, &notes) });
        assert_eq!(line["decision"], "shadow_deny");
        assert_eq!(line["stage"], "authorize");
        assert_eq!(line["reason_code"], "forbidden");
        assert_eq!(
            line["stages"],
            serde_json::json!({"authenticate": "pass", "authorize": "shadow_deny", "limit": "shadow_deny"})
        );
        assert_eq!(
            line["shadow_reasons"],
            serde_json::json!({"authorize": "forbidden", "limit": "rate_limited"})
        );
    }

    #[test]
    fn the_connection_is_named_where_a_proxy_speaks_for_the_client() {
        let mut notes = notes();
        notes.client = "192.0.2.7".parse().unwrap();
        let peer = Some("10.0.0.1".parse().unwrap());
        let line = parsed(&Record { peer, ..Record::of(Event::Request, &notes) });
        assert_eq!(line["network.peer.address"], "10.0.0.1");
        let line = parsed(&Record { peer: Some(notes.client), ..Record::of(Event::Request, &notes) });
        assert_eq!(line.get("network.peer.address"), None);
    }

    #[test]
    fn the_worst_record_keeps_to_its_bound() {
        let worst = "\u{1}".repeat(10_000);
        let mut principal = Principal::new(PrincipalKind::User, worst.clone(), worst.clone());
        principal.issuer = Some(worst.clone());
        let mut notes = notes();
        notes.principal = Some(Arc::new(principal));
        for stage in StageId::ALL {
            notes.record(stage, Verdict::Shadowed(Reason::UnsupportedTransferCoding));
        }
        notes.scan = Some(Box::new(ScanNotes {
            rule_ids: vec![u32::MAX; 100],
            score: u64::MAX,
            refused_by: Some(u32::MAX),
            ruleset: Some(NAME.into()),
            matches: vec![hit(&worst); 100],
            answer: None,
        }));
        for _ in 0..100 {
            notes.limits.push(LimitState { quota: u64::MAX, remaining: u64::MAX, ..limit(&worst) });
            notes.policies.push(worst.as_str().into());
        }
        let record = Record {
            denial: Some(Denial::new(StageId::Protocol, Reason::UnsupportedTransferCoding)),
            peer: Some("1111:2222:3333:4444:5555:6666:7777:8888".parse().unwrap()),
            method: &worst,
            path: worst.as_bytes(),
            host: worst.as_bytes(),
            protocol_version: &worst,
            status: Some(u16::MAX),
            route: &worst,
            service: &worst,
            upstream: &worst,
            duration: Duration::MAX,
            upstream_duration: Some(Duration::MAX),
            request_bytes: u64::MAX,
            response_bytes: u64::MAX,
            generation: u64::MAX,
            ..Record::of(Event::Request, &notes)
        };
        let mut formatter = Formatter::default();
        let length = formatter.format(&record).len();
        assert!(length <= LONGEST_LINE, "{length}");
        let truncated = parsed(&record)["truncated"].clone();
        for field in ["url.path", "http.request.method", "policies", "limits", "principal.id", "waf.matches"]
        {
            assert!(truncated.as_array().unwrap().contains(&field.into()), "{field} in {truncated}");
        }
    }

    fn shown(bytes: &[u8]) -> Value {
        if bytes.is_empty() { Value::Null } else { String::from_utf8_lossy(bytes).into() }
    }

    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..60),
            "[\\x00-\\x7f\u{2020}-\u{2030}\"\\\\]{0,60}".prop_map(String::into_bytes),
        ]
    }

    proptest! {
        /// CWE-117: whatever a client chooses, a record is one line and says what it was given.
        #[test]
        fn every_record_is_one_line_that_reads_back(
            path in hostile(),
            host in hostile(),
            method in ".{0,20}",
            subject in ".{0,60}",
            policies in proptest::collection::vec(".{0,20}", 0..6),
            status in proptest::option::of(any::<u16>()),
            moment in any::<u64>(),
            bytes in any::<u64>(),
        ) {
            let mut notes = Notes::new(RequestId(1), Timestamp(moment));
            notes.principal = Some(Arc::new(Principal::new(PrincipalKind::User, subject.clone(), "jwt")));
            notes.policies = policies.iter().map(|policy| policy.as_str().into()).collect();
            notes.limits.push(limit(&subject));
            let record = Record {
                method: &method,
                path: &path,
                host: &host,
                status,
                request_bytes: bytes,
                ..Record::of(Event::Request, &notes)
            };
            let line = parsed(&record);
            prop_assert_eq!(&line["url.path"], &shown(before_query(&path)));
            prop_assert_eq!(&line["server.address"], &shown(after_userinfo(&host)));
            prop_assert_eq!(&line["http.request.method"], &shown(method.as_bytes()));
            prop_assert_eq!(&line["principal.id"], &shown(subject.as_bytes()));
            prop_assert_eq!(&line["limits"][0]["name"], &shown(subject.as_bytes()));
            prop_assert_eq!(&line["http.request.body.size"], &Value::from(bytes));
            prop_assert_eq!(&line["http.response.status_code"], &Value::from(status));
            let expected = if policies.is_empty() { Value::Null } else { Value::from(policies) };
            prop_assert_eq!(&line["policies"], &expected);
            prop_assert_eq!(line.get("truncated"), None);
        }
    }
}
