//! An upstream on a free loopback port that records exactly what reached it.
//!
//! It speaks HTTP/1.1 and HTTP/2 (prior knowledge, or ALPN with TLS). HTTP/1.1 is read by hand: a parser
//! that is meant for servers would hide what a test of a gateway wants to see. The first segment of the
//! path chooses how it answers; anything else is answered 200 with a description of the request in JSON.
//!
//! | path | answer |
//! |---|---|
//! | `/status/{n}` | status `n` |
//! | `/big/{bytes}` | a body of so many bytes |
//! | `/chunked` | three chunks, `one two three` |
//! | `/trailers` | in the manner of gRPC: a body, then `grpc-status: 0` as a trailer |
//! | `/headers` | fields that tell too much about the service, and three cookies |
//! | `/reflect` | the request's own body, with its content type |
//! | `/early` | the answer before the request's body is read |
//! | `/slow-head` | nothing until [`Upstream::release`] |
//! | `/hang-body` | half of the body, the rest after [`Upstream::release`] |
//! | `/truncate` | half of the promised Content-Length, then a reset |
//! | `/truncate-close` | half of the promised Content-Length, then an orderly close |
//! | `/truncate-chunked` | one chunk and no last chunk, then an orderly close |
//! | `/close` | the connection is closed without an answer |
//! | `/switch` | 101 with the protocol that was asked for, then every byte comes back |

mod answer;
mod http1;
mod http2;
mod record;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

pub(crate) use record::values;
pub use record::{Ending, Seen};

use record::Log;

/// Bytes that are sent for a request as they are, or `None` for the usual answer.
pub type Script = dyn Fn(&Seen) -> Option<Vec<u8>> + Send + Sync;

/// A running upstream. It ends, with all its connections, when it is dropped.
pub struct Upstream {
    address: SocketAddr,
    log: Arc<Log>,
    gate: watch::Sender<bool>,
    orders: mpsc::UnboundedSender<Order>,
    thread: Option<JoinHandle<()>>,
}

/// What every connection of one upstream shares.
#[derive(Clone)]
struct Shared {
    log: Arc<Log>,
    gate: watch::Receiver<bool>,
    script: Option<Arc<Script>>,
}

enum Order {
    /// Read all that has arrived on any connection, then say so.
    Settle(oneshot::Sender<()>),
    Stop,
}

impl Upstream {
    /// An upstream on a free port.
    #[must_use]
    pub fn start() -> Self {
        Self::launch(free_port(), None, None)
    }

    /// An upstream on a port that is known beforehand: one that comes back after it was gone.
    ///
    /// # Panics
    /// When the port is taken.
    #[must_use]
    pub fn start_at(address: SocketAddr) -> Self {
        Self::launch(address, None, None)
    }

    /// An upstream that speaks TLS; see [`crate::ca::Identity::server_config`].
    #[must_use]
    pub fn start_tls(config: Arc<ServerConfig>) -> Self {
        Self::launch(free_port(), Some(config), None)
    }

    /// An upstream that answers HTTP/1.1 requests with whatever bytes the script gives, well-formed or
    /// not. If they contain `Connection: close`, the connection is closed behind them.
    #[must_use]
    pub fn scripted(script: impl Fn(&Seen) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self::launch(free_port(), None, Some(Arc::new(script)))
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as an `http` URL without a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request that has arrived so far, also those of which only the head has.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.settle();
        self.log.read(Clone::clone)
    }

    /// The one request that arrived.
    ///
    /// # Panics
    /// When none or several arrived.
    #[must_use]
    pub fn only_request(&self) -> Seen {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "expected exactly one request upstream, not {requests:#?}");
        requests.remove(0)
    }

    /// Blocks until `found` gives something for the requests so far.
    ///
    /// # Panics
    /// When that does not happen within [`crate::PATIENCE`].
    pub fn wait_for<R>(&self, found: impl FnMut(&Vec<Seen>) -> Option<R>) -> R {
        self.log
            .wait_for(found)
            .unwrap_or_else(|| panic!("the awaited request did not come upstream: {:#?}", self.requests()))
    }

    /// Blocks until so many requests have arrived, and gives them.
    ///
    /// # Panics
    /// When they do not arrive within [`crate::PATIENCE`].
    #[must_use]
    pub fn wait_for_requests(&self, count: usize) -> Vec<Seen> {
        self.wait_for(|requests| (requests.len() >= count).then(|| requests.clone()))
    }

    /// Checks that nothing that could be a request has reached this upstream, not even a single byte.
    ///
    /// # Panics
    /// When something has.
    pub fn assert_no_contact(&self) {
        let requests = self.requests();
        assert!(requests.is_empty(), "the upstream was reached: {requests:#?}");
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        self.settle();
        self.log.change(Vec::clear);
    }

    /// Lets every answer go that is held back, now and later.
    pub fn release(&self) {
        self.gate.send_replace(true);
    }

    /// Waits until everything that lies in a socket's buffer has been read and recorded.
    fn settle(&self) {
        let (done, settled) = oneshot::channel();
        if self.orders.send(Order::Settle(done)).is_ok() {
            // An upstream whose thread has ended has nothing left to read.
            let _ = settled.blocking_recv();
        }
    }

    fn launch(address: SocketAddr, tls: Option<Arc<ServerConfig>>, script: Option<Arc<Script>>) -> Self {
        let listener = std::net::TcpListener::bind(address).expect("a loopback port");
        listener.set_nonblocking(true).expect("a non-blocking listener");
        let address = listener.local_addr().expect("the listener's address");
        let log = Arc::new(Log::new(Vec::new()));
        let (gate, opened) = watch::channel(false);
        let (orders, inbox) = mpsc::unbounded_channel();
        let shared = Shared { log: Arc::clone(&log), gate: opened, script };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            // Dropping the runtime at the end of the block drops every connection with it.
            runtime.expect("a runtime").block_on(serve(listener, tls, shared, inbox));
        });
        Self { address, log, gate, orders, thread: Some(thread) }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Shared {
    /// Waits until the test lets held answers go.
    async fn released(&self) {
        let mut gate = self.gate.clone();
        // The sender goes only when the whole upstream does.
        let _ = gate.wait_for(|open| *open).await;
    }
}

fn free_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

async fn serve(
    listener: std::net::TcpListener,
    tls: Option<Arc<ServerConfig>>,
    shared: Shared,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let listener = TcpListener::from_std(listener).expect("a listener in the runtime");
    let tls = tls.map(TlsAcceptor::from);
    loop {
        tokio::select! {
            biased;
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    tokio::spawn(connection(stream, tls.clone(), shared.clone()));
                }
            }
            order = orders.recv() => match order {
                Some(Order::Settle(done)) => {
                    tokio::spawn(settle(done));
                }
                Some(Order::Stop) | None => return,
            },
        }
    }
}

/// Each yield lets the runtime poll its sockets and run every task that became ready. Accepting, telling
/// the protocol and reading the first bytes take one each; the rest is margin for longer chains.
async fn settle(done: oneshot::Sender<()>) {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
    let _ = done.send(());
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Shared) {
    let _ = stream.set_nodelay(true);
    match tls {
        None => {
            if starts_with_http2_preface(&stream).await {
                http2::serve(stream, shared).await;
            } else {
                http1::serve(stream, shared).await;
            }
        }
        Some(acceptor) => {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                http2::serve(stream, shared).await;
            } else {
                http1::serve(stream, shared).await;
            }
        }
    }
}

/// Looks at the first bytes without taking them. No method of HTTP/1 begins like the preface.
async fn starts_with_http2_preface(stream: &TcpStream) -> bool {
    const START: &[u8] = b"PRI ";
    let mut first = [0; START.len()];
    loop {
        let Ok(count) = stream.peek(&mut first).await else { return false };
        let arrived = first.get(..count).unwrap_or_default();
        if count == START.len() || count == 0 || !START.starts_with(arrived) {
            return arrived == START;
        }
        tokio::task::yield_now().await;
    }
}
