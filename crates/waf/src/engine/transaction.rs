//! One request and its response on their way through the rules.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use crate::body::{content_encoding, cookies, urlencoded};
use crate::builtin::Detector;
use crate::pairs::Pairs;
use crate::seclang::{BodyLimitAction, BodyProcessorName, EngineMode};

use super::detect;
use super::evaluate::Run;
use super::items::{Base, Stretch};
use super::program::Program;
use super::report::RuleMatch;
use super::request_body::{self, BodyBuffers};
use super::state::State;
use super::tx::{TxKey, write_number};
use super::working::Working;
use super::{Interruption, Loaded};

/// One request and its response on their way through the rules of a [`Ruleset`](super::Ruleset).
///
/// The calls follow the order of the message: the request line, each field, the end of the head, the body; then the same of the
/// response. Each call that ends a phase returns the interruption if a rule asked for one; after that nothing
/// but [`finish`](Self::finish) has an effect.
#[derive(Debug)]
pub struct Transaction {
    loaded: Arc<Loaded>,
    /// Always there until the transaction is dropped.
    state: Option<Box<Pooled>>,
}

/// What goes back to the pool.
#[derive(Debug)]
pub(crate) struct Pooled {
    pub(crate) state: State,
    /// What was in the state before a phase began; none while no phase runs.
    aside: Option<Box<Working>>,
    pairs: Pairs,
    body: BodyBuffers,
    /// Head fields in the order of their arrival, until the head is complete.
    fields: Pairs,
    fields_of_response: Pairs,
}

impl Transaction {
    pub(crate) fn begin(
        loaded: Arc<Loaded>,
        client: SocketAddr,
        server: SocketAddr,
        now: SystemTime,
    ) -> Self {
        let mut pooled = match loaded.states.take() {
            Some(mut pooled) => {
                pooled.state.reset(&loaded.program, client, now);
                pooled
            }
            None => Box::new(Pooled {
                state: State::new(&loaded.program, client, now),
                aside: None,
                pairs: Pairs::new(),
                body: BodyBuffers::default(),
                fields: Pairs::new(),
                fields_of_response: Pairs::new(),
            }),
        };
        pooled.fields.clear();
        pooled.fields_of_response.clear();
        let items = &mut pooled.state.items;
        let mut text = Vec::with_capacity(40);
        for (base, address) in [(Base::RemoteAddr, client), (Base::ServerAddr, server)] {
            use std::io::Write as _;
            text.clear();
            let _ = write!(text, "{}", address.ip().to_canonical());
            items.set(base, &text);
        }
        for (base, port) in [(Base::RemotePort, client.port()), (Base::ServerPort, server.port())] {
            text.clear();
            write_number(i64::from(port), &mut text);
            items.set(base, &text);
        }
        Self { loaded, state: Some(pooled) }
    }

    /// An identifier of the request, for `UNIQUE_ID`.
    pub fn unique_id(&mut self, id: &[u8]) {
        self.set(Base::UniqueId, id);
    }

    /// The name of the authenticated caller, for `REMOTE_USER`.
    pub fn remote_user(&mut self, user: &[u8]) {
        self.set(Base::RemoteUser, user);
    }

    /// The request line: the method, the target as received, and the protocol such as `HTTP/1.1`.
    pub fn request_line(&mut self, method: &[u8], target: &[u8], protocol: &[u8]) {
        let separator = self.loaded.program.settings.argument_separator;
        let limit = self.loaded.program.settings.arguments_limit as usize;
        let Some(pooled) = self.state.as_deref_mut() else { return };
        let Pooled { state, pairs, .. } = pooled;
        let items = &mut state.items;
        items.set(Base::RequestMethod, method);
        items.set(Base::RequestProtocol, protocol);
        let line = [method, b" ", target, b" ", protocol].map(|part| items.store(part));
        let [first, .., last] = line;
        items.set_stretch(Base::RequestLine, Stretch { start: first.start, end: last.end });
        items.set(Base::RequestUriRaw, target);
        let without_fragment = target.split(|&byte| byte == b'#').next().unwrap_or_default();
        let local = without_authority(target);
        items.set(Base::RequestUri, local);
        let (path, query) = split_once(without_authority(without_fragment), b'?');
        let mut decoded = Vec::with_capacity(path.len());
        urlencoded::decode(path, &mut decoded);
        items.set(Base::RequestFilename, &decoded);
        items.set(Base::PathInfo, &decoded);
        let basename = decoded
            .iter()
            .rposition(|&byte| byte == b'/' || byte == b'\\')
            .map_or(&*decoded, |slash| decoded.get(slash + 1..).unwrap_or_default());
        items.set(Base::RequestBasename, basename);
        items.set(Base::QueryString, query.unwrap_or_default());
        pairs.clear();
        if let Some(query) = query {
            urlencoded::parse(query, separator, limit, pairs);
        }
        add_pairs(state, pairs, Base::ArgsGet, Some(Base::ArgsGetNames));
    }

    /// One field of the request's head.
    pub fn request_header(&mut self, name: &[u8], value: &[u8]) {
        if let Some(pooled) = self.state.as_deref_mut() {
            pooled.fields.push(name, value);
        }
    }

    /// Runs phase 1.
    pub fn request_headers_done(&mut self) -> Option<Interruption> {
        let pooled = self.state.as_deref_mut()?;
        let Pooled { state, pairs, fields, .. } = pooled;
        add_pairs(state, fields, Base::RequestHeaders, Some(Base::RequestHeadersNames));
        pairs.clear();
        let mut host = None;
        for (name, value) in fields.iter() {
            if name.eq_ignore_ascii_case(b"cookie") {
                cookies::parse(value, pairs);
            } else if host.is_none() && name.eq_ignore_ascii_case(b"host") {
                host = Some(value);
            }
        }
        add_pairs(state, pairs, Base::RequestCookies, Some(Base::RequestCookiesNames));
        let content_type = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(b"content-type"));
        if let Some(name) = content_type.and_then(|(_, value)| BodyProcessorName::of_content_type(value)) {
            state.items.set(Base::ReqbodyProcessor, name.name().as_bytes());
        }
        if let Some(host) = host {
            state.items.set(Base::ServerName, without_port(host));
        }
        self.run(0);
        self.detect(detect::head)
    }

    /// Whether the rules want to see the request's body, and how much of it in bytes.
    #[must_use]
    pub fn wants_request_body(&self) -> Option<u64> {
        let pooled = self.state.as_deref()?;
        let runs = pooled.state.controls.engine != EngineMode::Off && pooled.state.interruption.is_none();
        (runs && pooled.state.controls.request_body_access)
            .then_some(self.loaded.program.settings.request_body_limit)
    }

    /// Takes the body apart and runs phase 2. A request without a body has an empty one.
    pub fn request_body(&mut self, body: &[u8]) -> Option<Interruption> {
        let wanted = self.wants_request_body();
        let loaded = Arc::clone(&self.loaded);
        let pooled = self.state.as_deref_mut()?;
        if let Some(limit) = wanted {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let too_long = body.len() > limit;
            if too_long {
                pooled.state.items.set(Base::InboundDataError, b"1");
                if loaded.program.settings.request_body_limit_action == BodyLimitAction::Reject
                    && pooled.state.controls.engine == EngineMode::On
                {
                    pooled.state.interrupt(0, 413, super::Action::Deny);
                    return pooled.state.interruption.clone();
                }
            }
            let seen = body.get(..limit).unwrap_or(body);
            let Pooled { state, pairs, body: buffers, fields, .. } = pooled;
            request_body::read(&loaded.program, state, pairs, buffers, fields, seen);
        }
        self.run(1);
        let interruption = self.detect(detect::values);
        self.rest();
        interruption
    }

    /// The response's status and protocol.
    pub fn response_line(&mut self, status: u16, protocol: &[u8]) {
        let mut text = Vec::with_capacity(16);
        write_number(i64::from(status), &mut text);
        self.set(Base::ResponseStatus, &text);
        self.set(Base::ResponseProtocol, protocol);
        let line = [protocol, b" ", &text].concat();
        self.set(Base::StatusLine, &line);
    }

    /// One field of the response's head.
    pub fn response_header(&mut self, name: &[u8], value: &[u8]) {
        if let Some(pooled) = self.state.as_deref_mut() {
            pooled.fields_of_response.push(name, value);
        }
    }

    /// Runs phase 3.
    pub fn response_headers_done(&mut self) -> Option<Interruption> {
        let pooled = self.state.as_deref_mut()?;
        let Pooled { state, fields_of_response: fields, .. } = pooled;
        add_pairs(state, fields, Base::ResponseHeaders, Some(Base::ResponseHeadersNames));
        for (name, value) in fields.iter() {
            if name.eq_ignore_ascii_case(b"content-type") {
                state.items.set(Base::ResponseContentType, value);
            } else if name.eq_ignore_ascii_case(b"content-length") {
                state.items.set(Base::ResponseContentLength, value);
            }
        }
        self.run(2)
    }

    /// Whether the rules want to see the response's body, and how much of it in bytes.
    #[must_use]
    pub fn wants_response_body(&self) -> Option<u64> {
        let pooled = self.state.as_deref()?;
        let settings = &self.loaded.program.settings;
        let runs = pooled.state.controls.engine != EngineMode::Off
            && pooled.state.interruption.is_none()
            && pooled.state.controls.response_body_access;
        if !runs {
            return None;
        }
        let kind = pooled.state.items.single(Base::ResponseContentType);
        let kind = kind.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        settings
            .response_body_types
            .iter()
            .any(|wanted| wanted.as_bytes().eq_ignore_ascii_case(kind))
            .then_some(settings.response_body_limit)
    }

    /// Runs phase 4. A body with a `Content-Encoding` is decoded for the rules; one that cannot be is refused with 502, since
    /// they would not see what the client will.
    pub fn response_body(&mut self, body: &[u8]) -> Option<Interruption> {
        let fault = self.wants_response_body().and_then(|limit| {
            self.read_response_body(body, usize::try_from(limit).unwrap_or(usize::MAX)).err()
        });
        if let Some(status) = fault {
            let pooled = self.state.as_deref_mut()?;
            pooled.state.interrupt(0, status, super::Action::Deny);
            if pooled.state.interruption.is_some() {
                return pooled.state.interruption.clone();
            }
        }
        let interruption = self.run(3);
        self.rest();
        interruption
    }

    /// Makes the body, or its beginning, `RESPONSE_BODY`. Fails with the status of the refusal.
    fn read_response_body(&mut self, body: &[u8], limit: usize) -> Result<(), u16> {
        let Some(pooled) = self.state.as_deref_mut() else { return Ok(()) };
        let Pooled { state, fields_of_response: fields, .. } = pooled;
        let mut is_whole = body.len() <= limit;
        let decoded = match request_body::encodings(fields) {
            None => Cow::Borrowed(body),
            Some(encodings) => {
                let decoded = content_encoding::decode_beginning(&encodings, body, is_whole, limit);
                let (decoded, is_all) = decoded.map_err(|_| UNREADABLE)?;
                is_whole = is_all;
                Cow::Owned(decoded)
            }
        };
        state.items.set(Base::ResponseBody, decoded.get(..limit).unwrap_or(&decoded));
        if !is_whole {
            state.items.set(Base::OutboundDataError, b"1");
            if self.loaded.program.settings.response_body_limit_action == BodyLimitAction::Reject {
                return Err(TOO_LONG);
            }
        }
        Ok(())
    }

    /// Runs phase 5, logging, which no interruption stops.
    pub fn finish(&mut self) {
        self.run(4);
        self.rest();
    }

    /// Every rule that matched so far and is to be logged, in order.
    #[must_use]
    pub fn matches(&self) -> &[RuleMatch] {
        self.state.as_deref().map_or(&[], |pooled| &pooled.state.matches)
    }

    /// What ended the transaction.
    #[must_use]
    pub fn interruption(&self) -> Option<&Interruption> {
        self.state.as_deref()?.state.interruption.as_ref()
    }

    /// In `DetectionOnly`: what would have ended it.
    #[must_use]
    pub fn would_interrupt(&self) -> Option<&Interruption> {
        self.state.as_deref()?.state.would_interrupt.as_ref()
    }

    /// The number that a `TX` variable holds, such as `blocking_inbound_anomaly_score`; 0 when it is not set.
    #[must_use]
    pub fn tx_number(&self, name: &str) -> i64 {
        let folded = name.to_ascii_lowercase();
        self.state.as_deref().map_or(0, |pooled| {
            pooled
                .state
                .tx
                .key(&self.loaded.program.names, folded.as_bytes())
                .map_or(0, |key: TxKey| pooled.state.tx.number(key))
        })
    }

    /// The score of the built-in ruleset, if it runs.
    #[must_use]
    pub fn detector_score(&self) -> u64 {
        self.state.as_deref().map_or(0, |pooled| u64::from(pooled.state.detection.score()))
    }

    /// Says that the values of an argument are of a form that holds no attack, such as a number, a word of an enumeration or a
    /// UUID, as whoever knows the schema has found. The built-in ruleset does not look at them then; rules of SecLang still do,
    /// since they may ask for anything. `argument` is its name in `ARGS`, such as `json.order.count`. Has an effect on what is
    /// looked at later.
    pub fn conforms(&mut self, argument: &[u8]) {
        if let Some(pooled) = self.state.as_deref_mut() {
            pooled.state.detection.leave_out(argument);
        }
    }

    /// Runs a part of the built-in ruleset, if there is one and nothing has ended the transaction.
    fn detect(&mut self, part: fn(&Detector, &Program, &mut State)) -> Option<Interruption> {
        let Self { loaded, state } = self;
        let state = &mut state.as_deref_mut()?.state;
        let goes_on = state.interruption.is_none()
            && state.controls.allow.is_none()
            && state.controls.engine != EngineMode::Off;
        if let Some(detector) = loaded.detector.as_ref().filter(|_| goes_on) {
            part(detector, &loaded.program, state);
        }
        state.interruption.clone()
    }

    fn set(&mut self, base: Base, value: &[u8]) {
        if let Some(pooled) = self.state.as_deref_mut() {
            pooled.state.items.set(base, value);
        }
    }

    fn run(&mut self, phase: usize) -> Option<Interruption> {
        let pooled = self.state.as_deref_mut()?;
        pooled.aside.get_or_insert_with(|| {
            let mut working = self.loaded.working.take().unwrap_or_default();
            working.clear(&self.loaded.program);
            working.swap(&mut pooled.state);
            working
        });
        Run {
            program: &self.loaded.program,
            collections: &self.loaded.collections.0,
            memos: &self.loaded.memos,
            state: &mut pooled.state,
        }
        .phase(phase);
        pooled.state.interruption.clone()
    }
}

impl Transaction {
    /// Gives back what phases work with, before others have their turn.
    fn rest(&mut self) {
        let Some(pooled) = self.state.as_deref_mut() else { return };
        if let Some(mut working) = pooled.aside.take() {
            working.swap(&mut pooled.state);
            if working.size() < LARGEST_KEPT {
                self.loaded.working.put(working);
            }
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.rest();
        if let Some(pooled) = self.state.take()
            && pooled.state.items.bytes().len() < LARGEST_KEPT
        {
            self.loaded.states.put(pooled);
        }
    }
}

/// An answer that is longer than the rules may see.
const TOO_LONG: u16 = 500;
/// An answer that cannot be decoded.
pub(crate) const UNREADABLE: u16 = 502;

/// What held more than this is not kept: a few large bodies are not to pin memory.
const LARGEST_KEPT: usize = 1 << 20;

/// Adds pairs as the values of one base and their names as the values of another.
pub(crate) fn add_pairs(state: &mut State, pairs: &Pairs, values: Base, names: Option<Base>) {
    let items = &mut state.items;
    let first = items.len();
    for (name, value) in pairs.iter() {
        let name = items.store(name);
        let value = items.store(value);
        items.add(values, name, value);
    }
    if let Some(base) = names {
        for index in first..items.len() {
            let name = items.get(index).name;
            items.add(base, name, name);
        }
    }
}

/// The target from its path on: `http://host/path` is `/path`.
fn without_authority(target: &[u8]) -> &[u8] {
    let after_scheme = match target {
        [b'/', ..] => return target,
        _ => memchr::memmem::find(target, b"://").and_then(|at| target.get(at + 3..)),
    };
    match after_scheme {
        None => target,
        Some(rest) => memchr::memchr2(b'/', b'?', rest).and_then(|at| rest.get(at..)).unwrap_or(b"/"),
    }
}

fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|&byte| byte == b':') {
        Some(colon) if !host.ends_with(b"]") => host.get(..colon).unwrap_or(host),
        _ => host,
    }
}

fn split_once(text: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(separator, text) {
        Some(at) => (text.get(..at).unwrap_or_default(), Some(text.get(at + 1..).unwrap_or_default())),
        None => (text, None),
    }
}
