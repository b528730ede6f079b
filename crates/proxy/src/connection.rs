//! One client's connection from its first byte to its last.

mod http2;
mod lent;
mod open_head;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Version;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use portcullis_authn::certificate::client_certificate;
use portcullis_core::{ClientCertificate, Reason};
use portcullis_pipeline::Snapshot;
use portcullis_pipeline::settings::Protocol;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::HandshakeKind;
use tokio_rustls::server::TlsStream;

use crate::account::{record_fault, record_handshake};
use crate::admission;
use crate::balance::Visit;
use crate::client::{Client, Ends, Visitor};
use crate::deadline::{Timer, before};
use crate::exchange;
use crate::respond;
use crate::shared::Worker;
use crate::tls::{self, ServerTls};
use crate::transport::{Rewound, Transport};
use crate::wire::proxy_protocol::{self, ProxyHeaderError};
use crate::wire::{Guard, GuardHandle, Limits, Phase, Place};

use http2::Http2;

/// What every HTTP/2 connection begins with (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection needs to know of its listener.
#[derive(Clone)]
pub(crate) struct Entrance {
    pub(crate) tls: Option<Arc<ServerTls>>,
    pub(crate) proxy_protocol: bool,
}

/// Serves a connection to its end. Failures of the connection concern nobody else, so there is no error.
pub(crate) async fn serve(worker: Rc<Worker>, entrance: Entrance, stream: TcpStream, visit: &mut Visit) {
    let protocol = worker.current().snapshot.protocol.clone();
    // It only fails for a connection that is gone.
    let Ok(local) = stream.local_addr() else { return };
    let mut timer = Timer::after(&worker.deadlines, protocol.handshake_timeout);
    // Boxed, like all that is not needed while a connection rests: its task keeps a place for each part.
    let opening = Box::pin(open(&worker, entrance, stream, visit));
    let Some(Ok((transport, spoken))) = unless_draining(&worker, &mut timer, opening).await else {
        return;
    };
    let visitor = Visitor {
        ends: Ends { socket: visit.socket, local },
        secure: matches!(transport, Transport::ServerTls(_)),
        certificate: certificate_of(&transport).map(Arc::new),
    };
    let (is_http2, ahead, transport) = match spoken {
        Spoken::Http2 => (true, Bytes::new(), transport),
        Spoken::Http1 => (false, Bytes::new(), transport),
        Spoken::Unknown => {
            let mut transport = transport;
            timer.reset(protocol.header_timeout.min(protocol.idle_timeout));
            let Some(Ok((is_http2, ahead))) =
                unless_draining(&worker, &mut timer, listen(&mut transport)).await
            else {
                return;
            };
            (is_http2, ahead, transport)
        }
    };
    let io = Rewound::new(ahead, transport);
    if is_http2 {
        Box::pin(Http2 { worker, protocol, timer }.serve(io, visitor)).await;
    } else {
        Http1 { worker, protocol, timer, idle_since: None }.serve(io, visitor).await;
    }
}

/// The outcome of `future`, or nothing if `timer` ends or the gateway is told to stop first: nothing is under way yet,
/// unless the client has sent what makes `future` ready.
async fn unless_draining<F: Future>(worker: &Worker, timer: &mut Timer, future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(before(timer, future));
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Pending if worker.is_draining() => Poll::Ready(None),
        polled => polled,
    })
    .await
}

/// Which protocol a client is known to speak before it has sent a request.
enum Spoken {
    Http1,
    Http2,
    /// In plain text only the first bytes tell.
    Unknown,
}

async fn open(
    worker: &Worker,
    entrance: Entrance,
    mut stream: TcpStream,
    visit: &mut Visit,
) -> io::Result<(Transport, Spoken)> {
    stream.set_nodelay(true)?;
    if entrance.proxy_protocol {
        visit.socket = read_proxy_header(&mut stream).await?.unwrap_or(visit.socket);
        let current = worker.current();
        // Before the handshake, which is the expensive part.
        if !has_share(&mut visit.place, &current.snapshot, visit.socket.ip()) {
            current.snapshot.metrics.connection_refused();
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
    }
    let Some(tls) = entrance.tls else { return Ok((Transport::Plain(stream), Spoken::Unknown)) };
    let stream = TlsAcceptor::from(Arc::clone(&tls.config)).accept(stream).await;
    let stream = match stream.and_then(|stream| judge_again(&tls, stream)) {
        Ok(stream) => stream,
        Err(error) => {
            if let Some(cause) = tls::refused_certificate(&error) {
                record_handshake(&worker.current(), worker.next_id(), visit.socket, cause);
            }
            return Err(error);
        }
    };
    let spoken = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Spoken::Http2,
        _ => Spoken::Http1,
    };
    Ok((Transport::ServerTls(Box::new(stream)), spoken))
}

/// The certificate of a client that resumes a session was verified when the session began.
fn judge_again(tls: &ServerTls, stream: TlsStream<TcpStream>) -> io::Result<TlsStream<TcpStream>> {
    let session = stream.get_ref().1;
    if let (Some(clients), Some(HandshakeKind::Resumed)) = (&tls.clients, session.handshake_kind()) {
        clients.judge(session.peer_certificates()).map_err(io::Error::other)?;
    }
    Ok(stream)
}

fn certificate_of(transport: &Transport) -> Option<ClientCertificate> {
    let Transport::ServerTls(stream) = transport else { return None };
    client_certificate(stream.get_ref().1.peer_certificates()?.iter().map(AsRef::as_ref))
}

/// Whether `address` may have one more connection. A proxy that is trusted to name its clients has as many as it needs:
/// its connections carry many of them.
pub(crate) fn has_share(place: &mut admission::Place, snapshot: &Snapshot, address: IpAddr) -> bool {
    snapshot.ingress.client_address.trusts(address) || place.is_granted_to(address, &snapshot.protocol)
}

/// Reads the PROXY header and not a byte more. `None` when the proxy speaks for itself (its health checks).
async fn read_proxy_header(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut header = Vec::new();
    loop {
        match proxy_protocol::parse(&header) {
            Ok(parsed) => return Ok(parsed.source),
            Err(ProxyHeaderError::Incomplete { needed }) => {
                let start = header.len();
                header.resize(needed, 0);
                stream.read_exact(header.get_mut(start..).unwrap_or_default()).await?;
            }
            Err(malformed @ ProxyHeaderError::Malformed(_)) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, malformed));
            }
        }
    }
}

/// Listens to the first bytes until they tell HTTP/2 from HTTP/1.
async fn listen(transport: &mut Transport) -> io::Result<(bool, Bytes)> {
    let mut ahead = Vec::new();
    let mut piece = [0; 1024];
    loop {
        let count = transport.read(&mut piece).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        ahead.extend_from_slice(piece.get(..count).unwrap_or_default());
        let common = ahead.len().min(PREFACE.len());
        if ahead.get(..common) != PREFACE.get(..common) {
            return Ok((false, Bytes::from(ahead)));
        }
        if common == PREFACE.len() {
            return Ok((true, Bytes::from(ahead)));
        }
    }
}

/// A connection that speaks HTTP/1.
struct Http1 {
    worker: Rc<Worker>,
    protocol: Protocol,
    timer: Timer,
    /// Since when nothing has been under way, in the worker's time.
    idle_since: Option<u64>,
}

/// For how long a connection is idle before it comes to rest: hyper and its buffers, some 30 KiB, are given up until
/// the client sends again. Long enough that a busy connection never is at rest.
const REST_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

/// Why the serving of a connection stopped.
enum Stopped {
    /// hyper is done with it: closed, or another protocol follows.
    Done,
    /// hyper gave up.
    Failed,
    /// The client was too slow with a head.
    TooSlow,
    /// It was idle for too long, or its answer was not read.
    Expired,
    /// It has been idle for a while, and may yet be for long.
    AtRest,
}

/// A connection when nobody reads from it, with what was read from it and not used.
struct Paused {
    io: Guard<Rewound<Transport>>,
    ahead: Bytes,
}

impl Paused {
    /// The connection alone. An empty `Bytes` keeps the buffer that it was cut from, so it must not stay.
    fn rest(self) -> Guard<Rewound<Transport>> {
        let Self { mut io, ahead } = self;
        io.take_back(&ahead);
        io
    }
}

impl Http1 {
    async fn serve(mut self, io: Rewound<Transport>, visitor: Visitor) {
        let limits = Limits { head: self.protocol.head, max_body: self.protocol.body };
        let mut guard = Guard::new(io, limits, self.worker.deadlines.clock());
        let handle = guard.handle();
        let client = Rc::new(Client::new(visitor, Some(handle.clone()), self.worker.deadlines.clock()));
        loop {
            // Boxed, all that a connection at rest does not need.
            let (stopped, paused) = Box::pin(self.converse(guard, &handle, &client)).await;
            if !matches!(stopped, Stopped::AtRest) {
                return Box::pin(self.close(stopped, paused, &handle, &client)).await;
            }
            guard = paused.rest();
            if !self.is_called(&mut guard, &client).await {
                let paused = Paused { io: guard, ahead: Bytes::new() };
                return Box::pin(self.close(Stopped::Expired, paused, &handle, &client)).await;
            }
        }
    }

    /// Waits for the client to send again. `false` when it does not.
    async fn is_called(&mut self, guard: &mut Guard<Rewound<Transport>>, client: &Client) -> bool {
        let idle_since = self.idle_since.unwrap_or_else(|| self.worker.deadlines.now());
        self.timer.set_end(idle_since.saturating_add(millis(client.patience(&self.protocol))));
        let call = std::future::poll_fn(|cx| guard.poll_call(cx));
        matches!(unless_draining(&self.worker, &mut self.timer, call).await, Some(Ok(true)))
    }

    /// Serves request after request, until the connection is at its end or comes to rest.
    async fn converse(
        &mut self,
        guard: Guard<Rewound<Transport>>,
        handle: &GuardHandle,
        client: &Rc<Client>,
    ) -> (Stopped, Paused) {
        let (worker, exchanges) = (Rc::clone(&self.worker), Rc::clone(client));
        let service = service_fn(move |request| {
            Box::pin(exchange::serve(Rc::clone(&worker), Rc::clone(&exchanges), request))
        });
        let mut builder = http1::Builder::new();
        builder.header_read_timeout(None);
        // The guard is the judge of heads: hyper's buffer only has to hold the longest that it lets pass. As much of an
        // answer waits for a client that does not read.
        let head = self.protocol.head;
        builder.max_buf_size((head.request_line + head.header_total + 4096).max(64 << 10));
        if self.protocol.head.header_count > 100 {
            builder.max_headers(self.protocol.head.header_count);
        }
        let mut connection = builder.serve_connection(TokioIo::new(guard), service);
        let mut is_closing = false;
        let stopped = std::future::poll_fn(|cx| {
            if self.worker.is_draining() && !is_closing {
                is_closing = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
            match connection.poll_without_shutdown(cx) {
                Poll::Ready(Ok(())) => Poll::Ready(Stopped::Done),
                Poll::Ready(Err(_)) => Poll::Ready(Stopped::Failed),
                Poll::Pending => self.poll_patience(handle, client, cx),
            }
        })
        .await;
        let parts = connection.into_parts();
        (stopped, Paused { io: parts.io.into_inner(), ahead: parts.read_buf })
    }

    /// Ready when the client has tried the gateway's patience for too long.
    fn poll_patience(
        &mut self,
        handle: &GuardHandle,
        client: &Client,
        cx: &mut Context<'_>,
    ) -> Poll<Stopped> {
        let now = self.worker.deadlines.now();
        let phase = handle.phase();
        let (end, stopped) = if client.exchanges() > 0 || !matches!(phase, Phase::Idle | Phase::Head) {
            self.idle_since = None;
            (client.patience_ends(), Stopped::Expired)
        } else if phase == Phase::Head {
            self.idle_since = None;
            (handle.since().saturating_add(millis(self.protocol.header_timeout)), Stopped::TooSlow)
        } else {
            let since = *self.idle_since.get_or_insert(now);
            let end = since.saturating_add(millis(client.patience(&self.protocol)));
            let rest = since.saturating_add(millis(REST_AFTER));
            if rest < end && handle.is_flushed() { (rest, Stopped::AtRest) } else { (end, Stopped::Expired) }
        };
        self.timer.set_end(end);
        self.timer.poll_expired(cx).map(|()| stopped)
    }

    async fn close(mut self, stopped: Stopped, paused: Paused, handle: &GuardHandle, client: &Client) {
        let Paused { mut io, ahead } = paused;
        let tunnel = client.tunnel.borrow_mut().take();
        if let Some(tunnel) = tunnel {
            return tunnel.run(io, ahead).await;
        }
        let refusal = match stopped {
            Stopped::TooSlow => Some(Reason::RequestTimeout),
            // A fault in a body was answered by the exchange whose body it was.
            Stopped::Failed | Stopped::Done => {
                handle.fault().filter(|fault| fault.place == Place::Head).map(|fault| fault.reason)
            }
            Stopped::Expired | Stopped::AtRest => None,
        };
        let answer = refusal.map(|reason| self.refuse(reason, client));
        self.timer.reset(self.protocol.header_timeout);
        let farewell = async {
            if let Some(answer) = &answer {
                io.write_all(answer).await?;
            }
            io.shutdown().await?;
            Ok::<_, io::Error>(handle.phase() != Phase::Idle || answer.is_some())
        };
        // Whatever becomes of the farewell, the connection is closed after it.
        if let Some(Ok(true)) = before(&mut self.timer, farewell).await {
            linger(&self.worker, &mut self.timer, io.into_parts().0).await;
        }
    }

    /// Records that something never became a request, and gives the answer to it.
    fn refuse(&self, reason: Reason, client: &Client) -> Vec<u8> {
        let (id, current) = (self.worker.next_id(), self.worker.current());
        record_fault(&current, id, client.socket, Version::HTTP_11, reason);
        respond::raw_refusal(&current.snapshot, reason, id, client.secure)
    }
}

/// Reads what the client still sends and throws it away: closing a socket with unread bytes resets the connection,
/// and the reset may overtake the answer (RFC 9112 section 9.6). Not for longer than `timer` says, and not once the
/// gateway is told to stop.
async fn linger<IO: AsyncRead + Unpin>(worker: &Worker, timer: &mut Timer, mut io: IO) {
    const MOST: usize = 256 << 10;
    let discard = async {
        let mut discarded = 0;
        // On the heap: this is rare, and every connection's task would be larger by it.
        let mut piece = vec![0; 4096];
        while discarded < MOST {
            match io.read(&mut piece).await {
                Ok(count @ 1..) => discarded += count,
                Ok(0) | Err(_) => break,
            }
        }
    };
    let _: Option<()> = unless_draining(worker, timer, discard).await;
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn future_of_four<A, B, C, D, F>(_: impl Fn(A, B, C, D) -> F) -> usize {
        std::mem::size_of::<F>()
    }

    fn future_of_three<A, B, C, F>(_: impl Fn(A, B, C) -> F) -> usize {
        std::mem::size_of::<F>()
    }

    /// Every open connection keeps the first in memory, every request under way the second; both are copied
    /// when they are made. They grow unnoticed otherwise.
    #[test]
    fn futures_stay_within_their_budgets() {
        let connection = future_of_four(serve);
        assert!(connection <= 4 * 1024, "{connection} bytes");
        let exchange = future_of_three(exchange::serve);
        assert!(exchange <= 6 * 1024, "{exchange} bytes");
    }
}
