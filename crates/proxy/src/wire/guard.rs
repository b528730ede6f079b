//! A connection whose reads give only what the framing accepted.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use portcullis_core::target::push_encoded;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{CoarseClock, Framing, GuardHandle, Limits, Phase, Place};

/// An HTTP/1 connection from a client, guarded.
///
/// Reads give bytes that [`Framing`] accepted, and after a fault an error of kind `InvalidData` that holds
/// it. Bytes are judged where the caller wants them to be; only an incomplete head, or what follows a
/// request with Upgrade, is kept here. Writes pass.
///
/// Bytes come through as they are, but for those of a target that [`is_encoded`](portcullis_core::target::is_encoded): hyper
/// refuses some of them, and services read some in two ways. The target as it came is kept for
/// [`GuardHandle::next_target`].
///
/// hyper takes a read that fails between requests for the client's leaving, and says nothing. So the driver
/// polls it without shutdown, and afterwards looks for [`GuardHandle::fault`]: one in a head is unanswered.
#[derive(Debug)]
pub struct Guard<IO> {
    io: IO,
    framing: Framing,
    handle: GuardHandle,
    /// Bytes that were read and could not be handed on yet. Its size is bounded by the limits of a head and
    /// the size of one read.
    staged: BytesMut,
    /// How many of the staged bytes are accepted already.
    accepted: usize,
    /// Accepted bytes that come before the staged ones: a head whose target was encoded, or what was given back.
    ready: BytesMut,
}

impl<IO> Guard<IO> {
    /// A guard around the connection.
    pub fn new(io: IO, limits: Limits, clock: CoarseClock) -> Self {
        Self {
            io,
            framing: Framing::new(limits),
            handle: GuardHandle::new(clock),
            staged: BytesMut::new(),
            accepted: 0,
            ready: BytesMut::new(),
        }
    }

    /// The driver's end.
    #[must_use]
    pub fn handle(&self) -> GuardHandle {
        self.handle.clone()
    }

    /// Takes back what a reader was given and has not used.
    pub fn take_back(&mut self, unused: &[u8]) {
        if !unused.is_empty() {
            self.ready = [unused, &self.ready].concat().as_slice().into();
        }
    }

    /// The connection itself, and the bytes that were read from it and not handed on.
    #[must_use]
    pub fn into_parts(self) -> (IO, BytesMut) {
        let mut held = self.ready;
        held.extend_from_slice(&self.staged);
        (self.io, held)
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Guard<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            guard.heed_decision();
            if guard.hand_on(buffer) {
                return Poll::Ready(Ok(()));
            }
            match guard.framing.phase() {
                Phase::Faulted => return guard.poll_refuse(context),
                Phase::UpgradePending => return guard.poll_hold(context, buffer),
                Phase::Idle | Phase::Head | Phase::Body | Phase::Tunnel => {
                    if ready!(guard.poll_accept(context, buffer))? {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }
}

impl<IO: AsyncRead + Unpin> Guard<IO> {
    /// Waits for more bytes from the client, and keeps them for whoever reads. Ready with `false` when it has closed
    /// instead.
    pub fn poll_call(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.accepted > 0 || !self.ready.is_empty() {
            return Poll::Ready(Ok(true));
        }
        let mut piece = [0; 1024];
        let mut buffer = ReadBuf::new(&mut piece);
        ready!(self.poll_io(context, &mut buffer))?;
        self.staged.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(!buffer.filled().is_empty()))
    }

    /// Gives staged bytes to the reader if any of them are accepted, judging them first if that is due.
    fn hand_on(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        if self.hand_on_ready(buffer) {
            return true;
        }
        if self.staged.is_empty() {
            return false;
        }
        if self.accepted == 0 {
            match self.framing.accept(&self.staged) {
                Ok(accepted) => self.accepted = accepted,
                // The framing keeps the fault; what it concerns is never needed again.
                Err(_) => self.staged.clear(),
            }
            self.handle.publish(&self.framing);
            if let Some(target) = self.framing.target() {
                let head = self.staged.split_to(std::mem::take(&mut self.accepted));
                self.make_ready(&head, target);
                return self.hand_on_ready(buffer);
            }
        }
        let given = self.accepted.min(buffer.remaining());
        buffer.put_slice(self.staged.get(..given).unwrap_or_default());
        self.staged.advance(given);
        self.accepted -= given;
        if self.staged.is_empty() {
            // An idle connection keeps no buffer.
            self.staged = BytesMut::new();
        }
        given > 0
    }

    fn hand_on_ready(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let given = self.ready.len().min(buffer.remaining());
        if given > 0 {
            buffer.put_slice(&self.ready.split_to(given));
        }
        if self.ready.is_empty() {
            self.ready = BytesMut::new();
        }
        given > 0
    }

    /// Makes a head ready to be handed on with its target in the form that hyper and services get, and keeps the target as it
    /// came.
    fn make_ready(&mut self, head: &[u8], target: Range<usize>) {
        let (before, after) = head.split_at_checked(target.end).unwrap_or((head, b""));
        let (before, raw) = before.split_at_checked(target.start).unwrap_or((before, b""));
        let mut encoded = Vec::with_capacity(head.len() + 2 * raw.len());
        encoded.extend_from_slice(before);
        push_encoded(raw, &mut encoded);
        encoded.extend_from_slice(after);
        self.ready.extend_from_slice(&encoded);
        self.handle.keep_target(self.framing.requests(), raw);
    }

    /// Reads, and judges what came. Ready with whether the caller may be answered: something was handed on,
    /// or the client has closed.
    fn poll_accept(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buffer.filled().len();
        ready!(self.poll_io(context, buffer))?;
        let came = buffer.filled().get(before..).unwrap_or_default();
        if came.is_empty() {
            return Poll::Ready(Ok(true));
        }
        if !self.staged.is_empty() {
            self.staged.extend_from_slice(came);
            buffer.set_filled(before);
            return Poll::Ready(Ok(false));
        }
        let accepted = self.framing.accept(came).unwrap_or(0);
        self.handle.publish(&self.framing);
        if let Some(target) = self.framing.target() {
            let (head, rest) = came.split_at_checked(accepted).unwrap_or((came, b""));
            self.staged.extend_from_slice(rest);
            self.make_ready(head, target);
            buffer.set_filled(before);
            return Poll::Ready(Ok(false));
        }
        if let Some(rest @ [_, ..]) = came.get(accepted..) {
            if self.framing.fault().is_none() {
                self.staged.extend_from_slice(rest);
            }
            buffer.set_filled(before + accepted);
        }
        Poll::Ready(Ok(accepted > 0))
    }

    /// While it is open whether the protocol changes, nothing is handed on. A few bytes are read and kept
    /// all the same, so that a client that goes away is noticed. Ready when it has.
    fn poll_hold(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.handle.park_reader(context);
        if self.handle.is_decided() {
            context.waker().wake_by_ref();
        }
        while self.staged.len() < MOST_HELD {
            let before = buffer.filled().len();
            ready!(self.poll_io(context, buffer))?;
            let came = buffer.filled().get(before..).unwrap_or_default();
            if came.is_empty() {
                return if self.staged.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
            self.staged.extend_from_slice(came);
            buffer.set_filled(before);
        }
        Poll::Pending
    }

    /// Fails the read for the fault. One in a head waits until the answers before it are out: hyper would
    /// drop them with the connection.
    fn poll_refuse(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(fault) = self.framing.fault() else {
            return Poll::Ready(Ok(()));
        };
        if fault.place == Place::Head {
            self.handle.park_reader(context);
            if self.handle.is_answering() || !self.handle.is_flushed() {
                return Poll::Pending;
            }
        }
        Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, fault)))
    }

    fn poll_io(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.io).poll_read(context, buffer);
        if poll.is_pending() {
            self.handle.wait();
        } else {
            self.handle.stop_waiting();
        }
        poll
    }

    fn heed_decision(&mut self) {
        if let Some(switched) = self.handle.take_decision() {
            self.framing.upgraded(switched);
            self.handle.publish(&self.framing);
        }
    }
}

/// Bytes to keep while an upgrade is pending, before the client is left to wait.
const MOST_HELD: usize = 4 * 1024;

impl<IO: AsyncWrite + Unpin> AsyncWrite for Guard<IO> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let guard = self.get_mut();
        guard.handle.wrote();
        Pin::new(&mut guard.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let guard = self.get_mut();
        guard.handle.wrote();
        Pin::new(&mut guard.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        ready!(Pin::new(&mut guard.io).poll_flush(context))?;
        // Only once per flush that had something to do: hyper flushes whenever it is woken.
        if guard.handle.flushed() && guard.framing.fault().is_some() {
            guard.handle.wake_reader();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}
