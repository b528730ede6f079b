//! Where each HTTP/1 request on a connection begins and ends, without I/O.

use std::ops::Range;

use portcullis_pipeline::settings::HeadLimits;

use super::Fault;
use super::body::{Chunks, Taken, TrailerJudge, split_at_most};
use super::head::{Body, Framed, HeadJudge};

/// How large the parts of a request may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sizes of a head, and of a trailer section.
    pub head: HeadLimits,
    /// Bytes of a body, whatever the route allows. Default: no limit but the routes'.
    pub max_body: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head: HeadLimits::default(), max_body: u64::MAX }
    }
}

/// The boundaries of the requests on one connection.
///
/// [`accept`](Self::accept) is given the bytes that came and says how many of them are in order. A head and
/// a trailer section are in order only as a whole; everything else as it comes.
#[derive(Debug)]
pub struct Framing {
    limits: Limits,
    state: State,
    /// Whether bytes of the present head were shown that could not be accepted yet.
    head_begun: bool,
    requests: u64,
    body_bytes: u64,
    target: Option<(usize, usize)>,
}

/// What a connection is in the middle of, as far as its bytes were accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Between requests: not a byte of the next one has come.
    Idle,
    /// A head has begun and is not complete.
    Head,
    /// A body, or its trailers, is not complete.
    Body,
    /// A request asked for another protocol, and the driver has not said whether it got it.
    UpgradePending,
    /// The protocol was changed: bytes pass as they are.
    Tunnel,
    /// A fault was found: nothing passes any more.
    Faulted,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Head(HeadJudge),
    Length { left: u64 },
    Chunks(Chunks),
    Trailers(TrailerJudge),
    UpgradePending,
    Tunnel,
    Faulted(Fault),
}

impl Framing {
    /// The start of a connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Head(HeadJudge::default()),
            head_begun: false,
            requests: 0,
            body_bytes: 0,
            target: None,
        }
    }

    /// How many of `bytes` may be handed on now. The rest must be shown again at the next call, at the
    /// front, with what came after it.
    ///
    /// # Errors
    /// The fault, if the very next byte may not be handed on for good. Bytes before a fault are given first.
    pub fn accept(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut rest = bytes;
        self.target = None;
        while self.target.is_none() {
            match self.advance(rest, rest.len() == bytes.len()) {
                Ok(Some(accepted)) => rest = rest.get(accepted..).unwrap_or_default(),
                Ok(None) => break,
                Err(fault) => {
                    self.state = State::Faulted(fault);
                    if rest.len() == bytes.len() {
                        return Err(fault);
                    }
                    break;
                }
            }
        }
        self.head_begun = !rest.is_empty();
        Ok(bytes.len() - rest.len())
    }

    /// Says whether the request with Upgrade got its protocol (101). Means nothing at other times.
    pub fn upgraded(&mut self, switched: bool) {
        if matches!(self.state, State::UpgradePending) {
            self.state = if switched { State::Tunnel } else { State::Head(HeadJudge::default()) };
        }
    }

    /// What the connection is in the middle of.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match self.state {
            State::Head(_) if self.head_begun => Phase::Head,
            State::Head(_) => Phase::Idle,
            State::Length { .. } | State::Chunks(_) | State::Trailers(_) => Phase::Body,
            State::UpgradePending => Phase::UpgradePending,
            State::Tunnel => Phase::Tunnel,
            State::Faulted(_) => Phase::Faulted,
        }
    }

    /// The fault, once there is one.
    #[must_use]
    pub const fn fault(&self) -> Option<Fault> {
        match self.state {
            State::Faulted(fault) => Some(fault),
            _ => None,
        }
    }

    /// Where in the bytes that were accepted last a target stands that hyper would not give back as it came: in absolute form,
    /// or with bytes that are to be percent-encoded. Those bytes are exactly the head of one request.
    #[must_use]
    pub fn target(&self) -> Option<Range<usize>> {
        self.target.map(|(from, to)| from..to)
    }

    /// How many heads were accepted.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.requests
    }

    /// How many bytes of the present (or else the last) request's payload were accepted: chunk sizes and the
    /// like not counted.
    #[must_use]
    pub const fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// One part of a message. `None` when there is nothing more to accept for the moment.
    fn advance(&mut self, bytes: &[u8], is_first: bool) -> Result<Option<usize>, Fault> {
        if bytes.is_empty() {
            return self.fault().map_or(Ok(None), Err);
        }
        match &mut self.state {
            State::Head(judge) => {
                let framed = judge.judge(bytes, &self.limits)?;
                if !is_first && framed.is_some_and(|framed| framed.target.is_some()) {
                    // It is accepted by itself.
                    *judge = HeadJudge::default();
                    return Ok(None);
                }
                Ok(framed.map(|framed| self.begin(framed)))
            }
            State::Length { left } => {
                let (taken, rest) = split_at_most(bytes, *left);
                *left -= taken;
                self.body_bytes += taken;
                if *left == 0 {
                    self.state = State::Head(HeadJudge::default());
                }
                Ok(Some(bytes.len() - rest.len()))
            }
            State::Chunks(chunks) => {
                let Taken { bytes, ended } = chunks.read(bytes, &mut self.body_bytes, self.limits.max_body);
                match ended {
                    Ok(true) => self.state = State::Trailers(TrailerJudge::default()),
                    Ok(false) => {}
                    Err(fault) if bytes == 0 => return Err(fault),
                    Err(fault) => self.state = State::Faulted(fault),
                }
                Ok(Some(bytes))
            }
            State::Trailers(judge) => {
                let complete = judge.judge(bytes, &self.limits)?;
                if complete.is_some() {
                    self.state = State::Head(HeadJudge::default());
                }
                Ok(complete)
            }
            State::UpgradePending => Ok(None),
            State::Tunnel => Ok(Some(bytes.len())),
            State::Faulted(fault) => Err(*fault),
        }
    }

    fn begin(&mut self, framed: Framed) -> usize {
        self.requests += 1;
        self.body_bytes = 0;
        self.target = framed.target;
        self.state = match framed.body {
            Body::None if framed.upgrade => State::UpgradePending,
            Body::None => State::Head(HeadJudge::default()),
            Body::Length(left) => State::Length { left },
            Body::Chunked => State::Chunks(Chunks::new()),
        };
        framed.head
    }
}
