//! A connection that hyper has only on loan.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::open_head::OpenHead;
use crate::wire::CoarseClock;

/// A connection that can be spoken on after hyper is done with it: hyper's HTTP/2 does not give it back. Clones are the
/// same connection.
#[derive(Debug)]
pub(super) struct Lent<IO> {
    shared: Rc<Shared<IO>>,
}

#[derive(Debug)]
struct Shared<IO> {
    io: RefCell<IO>,
    /// Whether everything that was written has been flushed. HTTP/2 flushes whole frames.
    is_flushed: Cell<bool>,
    open_head: RefCell<OpenHead>,
}

impl<IO> Lent<IO> {
    pub(super) fn new(io: IO, clock: CoarseClock) -> Self {
        let open_head = RefCell::new(OpenHead::new(clock));
        Self { shared: Rc::new(Shared { io: RefCell::new(io), is_flushed: Cell::new(true), open_head }) }
    }

    /// Since when, in the worker's time, the client has been in the middle of a head.
    pub(super) fn head_since(&self) -> Option<u64> {
        self.shared.open_head.borrow().since()
    }

    /// Whether another frame may be written: the last one is out as a whole.
    pub(super) fn is_flushed(&self) -> bool {
        self.shared.is_flushed.get()
    }
}

impl<IO> Clone for Lent<IO> {
    fn clone(&self) -> Self {
        Self { shared: Rc::clone(&self.shared) }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Lent<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let known = buffer.filled().len();
        ready!(Pin::new(&mut *self.shared.io.borrow_mut()).poll_read(cx, buffer))?;
        self.shared.open_head.borrow_mut().read(buffer.filled().get(known..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Lent<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.shared.is_flushed.set(false);
        Pin::new(&mut *self.shared.io.borrow_mut()).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.shared.is_flushed.set(false);
        Pin::new(&mut *self.shared.io.borrow_mut()).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.shared.io.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut *self.shared.io.borrow_mut()).poll_flush(cx))?;
        self.shared.is_flushed.set(true);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.shared.io.borrow_mut()).poll_shutdown(cx)
    }
}
