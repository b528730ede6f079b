//! The service's body on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use portcullis_harden::{Redactor, remove_fields_of_the_whole_body};

use super::HeldBody;
use crate::account::{Account, Ending};
use crate::client::UnderWay;
use crate::deadline::Timer;
use crate::upstream::{Http1Connection, InFlight};
use crate::wire::Answering;

/// What is sent to the client as the body.
pub(crate) struct ResponseBody {
    content: Content,
    /// Count for the client's connection while the body lives.
    _tokens: (Option<UnderWay>, Option<Answering>),
}

enum Content {
    /// There is none.
    Empty,
    /// The gateway's own answer.
    Own(Option<Bytes>),
    /// The service's.
    Upstream(Box<UpstreamBody>),
}

/// A body that streams from the service to the client.
pub(crate) struct UpstreamBody {
    pub(crate) incoming: Incoming,
    pub(crate) lease: Lease,
    /// What the scanner had held back of it, which comes first.
    pub(crate) held: Option<Box<HeldBody>>,
    /// The longest time between two pieces.
    pub(crate) idle: Duration,
    /// Ends at the next pause or at the end of all time for this exchange, whichever comes first.
    pub(crate) timer: Timer,
    /// The end of all time for this exchange, in the worker's time.
    pub(crate) end: u64,
    pub(crate) account: Option<Account>,
    /// Blots out what must not be seen; gone once the body is complete.
    pub(crate) redactor: Option<Redactor>,
    /// Whether the body is redacted: then its length is not the service's.
    pub(crate) is_redacted: bool,
    /// Trailers that wait until what redaction held back is sent.
    pub(crate) trailers: Option<HeaderMap>,
    /// Whether the answer breaks off: the client is told with the next poll.
    pub(crate) is_broken: bool,
}

/// The connection that a body comes from, for as long as it comes.
pub(crate) struct Lease {
    /// HTTP/1 only: an HTTP/2 connection is shared and drives itself.
    pub(crate) connection: Option<Box<Http1Connection>>,
    pub(crate) in_flight: InFlight,
    /// How many idle connections to keep.
    pub(crate) keep: usize,
}

impl Lease {
    /// Lets the connection read and write what it can. Whether it broke shows in the body itself.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection {
            let _: Poll<Result<(), hyper::Error>> = connection.poll_drive(cx);
        }
    }

    /// The next piece of the body, if it is there. Only an HTTP/2 connection tells when there is another.
    fn poll_read_already(
        &self,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &self.connection {
            Some(connection) => connection.poll_read_already(incoming),
            None => Pin::new(incoming).poll_frame(cx),
        }
    }

    /// The next piece of the body, reading from the connection as needed.
    pub(crate) fn poll_next(
        &mut self,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if let Poll::Ready(piece) = self.poll_read_already(incoming, cx) {
            return Poll::Ready(piece.map(|piece| piece.map_err(|_| BrokenOff)));
        }
        self.drive(cx);
        self.poll_read_already(incoming, cx).map(|piece| piece.map(|piece| piece.map_err(|_| BrokenOff)))
    }

    /// Gives the connection back for the next request.
    pub(crate) fn give_back(&mut self, cx: &mut Context<'_>) {
        if self.connection.as_ref().is_some_and(|connection| !connection.is_reusable()) {
            self.drive(cx);
        }
        if let Some(connection) = self.connection.take() {
            self.in_flight.target.keep(connection, self.keep);
        }
    }
}

/// The service broke off in the middle of its answer: the client must see a broken answer too.
#[derive(Debug)]
pub(crate) struct BrokenOff;

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the service broke off its answer")
    }
}

impl std::error::Error for BrokenOff {}

/// What comes cannot be read by the rules of redaction.
struct NotRedactable;

impl UpstreamBody {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if self.is_broken {
            return Poll::Ready(Some(Err(BrokenOff)));
        }
        if let Some(trailers) = self.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        loop {
            match ready!(self.poll_incoming(cx)) {
                Some(Ok(frame)) => match self.pass(frame, cx) {
                    Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                    Ok(None) => {}
                    Err(NotRedactable) => return self.break_off(Ending::NotRedactable, cx),
                },
                Some(Err(BrokenOff)) => return self.break_off(Ending::BrokenOff, cx),
                None => return Poll::Ready(self.end_of_stream(cx).map(Ok)),
            }
        }
    }

    /// Breaks off at the next poll rather than now: hyper drops what it has not sent yet together with the
    /// connection, and a client that never saw the head would think that its request was not served.
    fn break_off<T>(&mut self, why: Ending, cx: &mut Context<'_>) -> Poll<T> {
        self.is_broken = true;
        self.close(why);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The next piece from the service, reading from its connection as needed.
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if let Some(held) = &mut self.held {
            match held.next() {
                Some(frame) => return Poll::Ready(Some(Ok(frame))),
                None => self.held = None,
            }
        }
        match self.lease.poll_next(&mut self.incoming, cx) {
            Poll::Ready(piece) => Poll::Ready(piece),
            Poll::Pending => self.timer.poll_expired(cx).map(|()| Some(Err(BrokenOff))),
        }
    }

    /// Takes a piece into account and redacts it. Nothing comes out when redaction holds all of it back for now.
    fn pass(
        &mut self,
        frame: Frame<Bytes>,
        cx: &mut Context<'_>,
    ) -> Result<Option<Frame<Bytes>>, NotRedactable> {
        let pause = self.timer.now().saturating_add(u64::try_from(self.idle.as_millis()).unwrap_or(u64::MAX));
        self.timer.set_end(pause.min(self.end));
        let is_last = self.is_all_there();
        let frame = match frame.into_data() {
            Err(frame) => Some(self.pass_trailers(frame)),
            Ok(data) => self.redact(data, is_last)?.map(Frame::data),
        };
        if let (Some(account), Some(data)) = (&mut self.account, frame.as_ref().and_then(Frame::data_ref)) {
            account.bytes_out = account.bytes_out.saturating_add(data.len() as u64);
        }
        if is_last {
            self.complete(cx);
        }
        Ok(frame)
    }

    fn redact(&mut self, data: Bytes, is_last: bool) -> Result<Option<Bytes>, NotRedactable> {
        let Some(redactor) = &mut self.redactor else { return Ok(Some(data)) };
        let mut clean = BytesMut::with_capacity(data.len());
        redactor.push(&data, &mut clean).map_err(|_| NotRedactable)?;
        if is_last && let Some(redactor) = self.redactor.take() {
            redactor.finish(&mut clean);
        }
        Ok((!clean.is_empty()).then(|| clean.freeze()))
    }

    /// The trailers, or what redaction held back until now: then they come after it.
    fn pass_trailers(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let mut trailers = match frame.into_trailers() {
            Ok(trailers) if self.is_redacted => trailers,
            Ok(trailers) => return Frame::trailers(trailers),
            Err(unknown) => return unknown,
        };
        remove_fields_of_the_whole_body(&mut trailers);
        match self.held_back() {
            Some(rest) => {
                self.trailers = Some(trailers);
                Frame::data(rest)
            }
            None => Frame::trailers(trailers),
        }
    }

    fn end_of_stream(&mut self, cx: &mut Context<'_>) -> Option<Frame<Bytes>> {
        let rest = self.held_back();
        self.complete(cx);
        rest.map(Frame::data)
    }

    /// The end of the body, which redaction could not judge before it was seen.
    fn held_back(&mut self) -> Option<Bytes> {
        let mut rest = BytesMut::new();
        self.redactor.take()?.finish(&mut rest);
        (!rest.is_empty()).then(|| rest.freeze())
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.incoming.size_hint();
        self.held.as_ref().map_or_else(|| rest, |held| held.size_hint(&rest))
    }

    fn complete(&mut self, cx: &mut Context<'_>) {
        self.lease.give_back(cx);
        self.close(Ending::Complete);
    }

    fn close(&mut self, ending: Ending) {
        if let Some(account) = self.account.take() {
            account.close(ending);
        }
    }

    /// Whether nothing more comes from the service or from what was held back of it.
    fn is_all_there(&self) -> bool {
        self.held.as_ref().is_none_or(|held| held.is_empty()) && self.incoming.is_end_stream()
    }

    fn is_finished(&self) -> bool {
        !self.is_broken && self.is_all_there() && self.redactor.is_none() && self.trailers.is_none()
    }
}

impl ResponseBody {
    pub(crate) const fn empty() -> Self {
        Self { content: Content::Empty, _tokens: (None, None) }
    }

    pub(crate) const fn own(bytes: Bytes) -> Self {
        Self { content: Content::Own(Some(bytes)), _tokens: (None, None) }
    }

    pub(crate) fn upstream(body: UpstreamBody) -> Self {
        Self { content: Content::Upstream(Box::new(body)), _tokens: (None, None) }
    }

    /// Has the body count as under way for as long as it lives.
    pub(crate) fn while_answering(self, under_way: UnderWay, answering: Option<Answering>) -> Self {
        Self { _tokens: (Some(under_way), answering), ..self }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match &mut self.get_mut().content {
            Content::Empty => Poll::Ready(None),
            Content::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Upstream(body) => body.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Own(bytes) => bytes.is_none(),
            Content::Upstream(body) => body.is_finished(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            // A redacted body is as long as it turns out to be.
            Content::Upstream(body) if body.is_redacted => SizeHint::default(),
            Content::Upstream(body) => body.size_hint(),
        }
    }
}
