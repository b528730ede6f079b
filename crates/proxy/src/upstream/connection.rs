//! Connections to targets.
//!
//! An HTTP/1 connection is driven by the very task that waits for its answer: no second task, no wake-up
//! between the two. While it is idle nobody drives it; that the service closed it is noticed when it is used
//! next, before anything is sent.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::TokioIo;
use portcullis_pipeline::settings::TargetAddress;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::bell::Bell;
use super::{Pool, Target};
use crate::body::RequestBody;
use crate::deadline::{Timer, before};
use crate::transport::Transport;

/// An HTTP/1 connection together with what drives it.
pub(crate) struct Http1Connection {
    sender: http1::SendRequest<RequestBody>,
    bell: Bell,
    driver: http1::Connection<TokioIo<Transport>, RequestBody>,
    closed: Cell<bool>,
}

impl std::fmt::Debug for Http1Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http1Connection").field("closed", &self.closed).finish_non_exhaustive()
    }
}

/// An answer, or why there is none: with the request if nothing of it was sent.
pub(crate) type Outcome = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>;

/// What remains of a connection that changed its protocol.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) io: Transport,
    pub(crate) ahead: Bytes,
}

/// The sending side of an HTTP/2 connection; clones share the connection.
pub(crate) type Http2Sender = http2::SendRequest<RequestBody>;

impl Http1Connection {
    async fn over(io: Transport) -> Result<Self, hyper::Error> {
        let (sender, driver) =
            http1::Builder::new().max_headers(256).max_buf_size(BUFFER).handshake(TokioIo::new(io)).await?;
        Ok(Self { sender, bell: Bell::new(), driver, closed: Cell::new(false) })
    }

    /// Hands a request to the connection; it is sent, and its answer comes, while the connection is driven. The answer
    /// itself wakes nobody: it can only come while the connection is driven.
    pub(crate) fn send(&mut self, request: Request<RequestBody>) -> impl Future<Output = Outcome> + use<> {
        self.bell.muffled(|| self.sender.try_send_request(request))
    }

    /// Lets the connection read and write what it can. Ready once it is at its end.
    pub(crate) fn poll_drive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        if self.closed.get() {
            return Poll::Ready(Ok(()));
        }
        let outcome = self.driver.poll_without_shutdown(&mut self.bell.answered_by(cx));
        if outcome.is_ready() {
            self.closed.set(true);
        }
        outcome
    }

    /// The next piece of a body that comes from this connection, if it was read already: nobody is woken for it, it can
    /// only come while the connection is driven.
    pub(crate) fn poll_read_already(
        &self,
        incoming: &mut Incoming,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut nobody = Context::from_waker(Waker::noop());
        self.bell.muffled(|| Pin::new(incoming).poll_frame(&mut nobody))
    }

    /// Calls nobody until it is driven again.
    pub(crate) fn rest(&self) {
        self.bell.forget();
    }

    pub(crate) fn is_reusable(&self) -> bool {
        !self.closed.get() && self.sender.is_ready()
    }

    /// After a 101 answer: the bare connection.
    pub(crate) fn into_parts(self) -> Parts {
        let parts = self.driver.into_parts();
        Parts { io: parts.io.into_inner(), ahead: parts.read_buf }
    }
}

/// How much of an answer may wait in memory for a client that does not read, and how large its head may be.
const BUFFER: usize = 128 << 10;

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum ConnectFailure {
    /// Refused, unreachable, unknown, or not to be trusted.
    Refused(io::Error),
    /// No answer in time.
    TimedOut,
}

impl std::fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "no connection: {error}"),
            Self::TimedOut => f.write_str("no connection in time"),
        }
    }
}

/// A new connection to a target: HTTP/1, or the shared one of HTTP/2.
pub(crate) async fn connect(
    pool: &Pool,
    target: &Rc<Target>,
    timer: &mut Timer,
) -> Result<Connected, ConnectFailure> {
    let attempt = async {
        let io = open(&target.address, pool.tls.as_ref(), pool.settings.tls.server_name.as_deref()).await?;
        if pool.speaks_http2() {
            let (sender, driver) =
                http2::handshake(LocalExecutor, TokioIo::new(io)).await.map_err(io::Error::other)?;
            // The driver ends with the last sender or with the connection; its error reaches the senders.
            tokio::task::spawn_local(async move {
                let _: Result<(), hyper::Error> = driver.await;
            });
            target.set_http2(sender.clone());
            return Ok(Connected::Http2(sender));
        }
        Http1Connection::over(io).await.map(|it| Connected::Http1(Box::new(it))).map_err(io::Error::other)
    };
    match before(timer, attempt).await {
        Some(outcome) => outcome.map_err(ConnectFailure::Refused),
        None => Err(ConnectFailure::TimedOut),
    }
}

/// A connection that is ready for a request.
pub(crate) enum Connected {
    Http1(Box<Http1Connection>),
    Http2(Http2Sender),
}

/// Opens a connection and proves whom it leads to.
pub(crate) async fn open(
    address: &TargetAddress,
    tls: Option<&Arc<ClientConfig>>,
    server_name: Option<&str>,
) -> io::Result<Transport> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    stream.set_nodelay(true)?;
    match tls {
        Some(config) if address.secure => {
            let name = server_name.unwrap_or(&address.host).to_owned();
            let name = ServerName::try_from(name).map_err(io::Error::other)?;
            let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await?;
            Ok(Transport::ClientTls(Box::new(stream)))
        }
        // `https` without a TLS set-up must never become plain text.
        _ if address.secure => Err(io::Error::other("no TLS set-up for an https target")),
        _ => Ok(Transport::Plain(stream)),
    }
}

/// Runs hyper's tasks on this worker's own thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}
