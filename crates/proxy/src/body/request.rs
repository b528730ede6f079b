//! The client's body on its way to the service: bounded in size and in time, its trailers cleaned.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use portcullis_core::Reason;
use portcullis_pipeline::is_grpc_message;

use super::HeldBody;
use crate::deadline::{Deadlines, Timer};
use crate::shared::Current;
use crate::wire;

/// What is sent to the service as the body.
pub(crate) enum RequestBody {
    /// There is none.
    Empty,
    /// It streams.
    Stream(Box<RequestStream>),
    /// It was held back, and is all there.
    Held(Box<HeldBody>),
    /// Its beginning was held back, and the rest streams.
    Begun(Box<(HeldBody, RequestStream)>),
}

/// A body that streams from the client to the service.
pub(crate) struct RequestStream {
    incoming: Incoming,
    limit: u64,
    pause: Duration,
    timer: Timer,
    current: Rc<Current>,
    progress: Rc<BodyProgress>,
    /// Whether the first byte must be that of a gRPC message, and is still to come.
    expects_frames: bool,
}

/// How far a body has come; shared with whoever waits for the answer.
#[derive(Debug, Default)]
pub(crate) struct BodyProgress {
    /// Bytes handed on.
    pub(crate) bytes: Cell<u64>,
    /// Whether anything was handed on: then the request cannot be tried again.
    pub(crate) begun: Cell<bool>,
    /// When the last byte was handed on, in the worker's time; `None` while some are missing.
    pub(crate) complete_at: Cell<Option<u64>>,
    /// What the client did wrong.
    pub(crate) fault: Cell<Option<Reason>>,
}

/// The client's part of the exchange failed; the reason is in [`BodyProgress::fault`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestFault(pub(crate) Reason);

impl fmt::Display for RequestFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code())
    }
}

impl std::error::Error for RequestFault {}

impl RequestBody {
    /// Wraps the client's body. `limit` is in bytes, `pause` is the longest time between two pieces.
    pub(crate) fn new(
        incoming: Incoming,
        limit: u64,
        pause: Duration,
        current: &Rc<Current>,
        deadlines: &Rc<Deadlines>,
    ) -> (Self, Rc<BodyProgress>) {
        let is_empty = incoming.is_end_stream();
        let progress = Rc::new(BodyProgress {
            bytes: Cell::new(0),
            begun: Cell::new(false),
            complete_at: Cell::new(is_empty.then(|| deadlines.now())),
            fault: Cell::new(None),
        });
        if is_empty {
            return (Self::Empty, progress);
        }
        let stream = RequestStream {
            incoming,
            limit,
            pause,
            timer: Timer::after(deadlines, pause),
            current: Rc::clone(current),
            progress: Rc::clone(&progress),
            expects_frames: false,
        };
        (Self::Stream(Box::new(stream)), progress)
    }

    /// Refuses the body if it does not begin as messages of gRPC do: at once what is there, otherwise when it comes.
    pub(crate) fn expect_frames(&mut self) -> Result<(), Reason> {
        match self {
            Self::Stream(stream) => stream.expects_frames = true,
            Self::Held(held) => {
                let is_one = is_grpc_message(&held.joined());
                return if is_one { Ok(()) } else { Err(Reason::UnreadableBody) };
            }
            Self::Empty | Self::Begun(_) => {}
        }
        Ok(())
    }

    /// Puts back what was taken from the beginning.
    pub(crate) fn after(self, beginning: HeldBody) -> Self {
        match self {
            Self::Stream(stream) => Self::Begun(Box::new((beginning, *stream))),
            Self::Empty | Self::Held(_) | Self::Begun(_) => Self::Held(Box::new(beginning)),
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }
}

impl RequestStream {
    fn fail(&self, reason: Reason) -> RequestFault {
        self.progress.fault.set(Some(reason));
        RequestFault(reason)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestFault>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Pending => match self.timer.poll_expired(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(()) => Poll::Ready(Some(Err(self.fail(Reason::RequestTimeout)))),
            },
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(self.take(frame))),
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(self.fail(Reason::MalformedRequest)))),
            Poll::Ready(None) => {
                self.complete();
                Poll::Ready(None)
            }
        }
    }

    fn take(&mut self, mut frame: Frame<Bytes>) -> Result<Frame<Bytes>, RequestFault> {
        self.progress.begun.set(true);
        self.timer.reset(self.pause);
        if let Some(data) = frame.data_ref() {
            let bytes = self.progress.bytes.get().saturating_add(data.len() as u64);
            self.progress.bytes.set(bytes);
            if bytes > self.limit {
                return Err(self.fail(Reason::BodyTooLarge));
            }
            if self.expects_frames && !data.is_empty() {
                self.expects_frames = false;
                if !is_grpc_message(data) {
                    return Err(self.fail(Reason::UnreadableBody));
                }
            }
        }
        if let Some(trailers) = frame.trailers_mut() {
            // The guard has refused them in HTTP/1 already; HTTP/2 comes past it.
            if trailers.keys().any(|name| wire::is_head_only(name.as_str().as_bytes())) {
                return Err(self.fail(Reason::Smuggling));
            }
            self.current.snapshot.clean_trailers(trailers);
        }
        if self.incoming.is_end_stream() {
            self.complete();
        }
        Ok(frame)
    }

    fn complete(&self) {
        if self.progress.complete_at.get().is_none() {
            self.progress.complete_at.set(Some(self.timer.now()));
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestFault>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Stream(stream) => stream.poll(cx),
            Self::Held(held) => Poll::Ready(held.next().map(Ok)),
            Self::Begun(parts) => match parts.0.next() {
                Some(frame) => Poll::Ready(Some(Ok(frame))),
                None => parts.1.poll(cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Stream(stream) => stream.incoming.is_end_stream(),
            Self::Held(held) => held.is_empty(),
            Self::Begun(parts) => parts.0.is_empty() && parts.1.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Stream(stream) => stream.incoming.size_hint(),
            Self::Held(held) => held.size_hint(&SizeHint::with_exact(0)),
            Self::Begun(parts) => parts.0.size_hint(&parts.1.incoming.size_hint()),
        }
    }
}
