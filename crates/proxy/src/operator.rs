//! The operator's listener: carries requests to whoever answers for the gateway, on a thread of its own, so that
//! it answers even when the workers are busy.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// What an operator asks.
#[derive(Debug)]
pub struct OperatorRequest {
    /// Method, path with query, fields.
    pub head: request::Parts,
    /// The content, of at most 1 MiB.
    pub body: Bytes,
}

/// The answer that is being worked on.
pub type Answering = Pin<Box<dyn Future<Output = OperatorAnswer> + Send>>;

/// What an operator is told.
#[derive(Debug)]
pub struct OperatorAnswer {
    /// The status.
    pub status: StatusCode,
    /// The content's type.
    pub content_type: &'static str,
    /// More fields.
    pub fields: Vec<(HeaderName, &'static str)>,
    /// The content.
    pub body: String,
}

/// The operator's listener; closed when dropped.
pub struct Operator {
    address: SocketAddr,
    _stop: tokio::sync::oneshot::Sender<()>,
}

/// Operators and scrapers are few.
const MOST_CONNECTIONS: usize = 64;
/// What an operator may send at once, in bytes.
const MOST_CONTENT: usize = 1 << 20;

/// An operator's listener that does not answer yet. Whoever connects waits.
pub struct BoundOperator {
    address: SocketAddr,
    socket: std::net::TcpListener,
    runtime: tokio::runtime::Runtime,
}

impl BoundOperator {
    /// Has `answer` answer every request.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn answer(
        self,
        answer: impl Fn(OperatorRequest) -> Answering + Send + Sync + 'static,
    ) -> io::Result<Operator> {
        let Self { address, socket, runtime } = self;
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        std::thread::Builder::new().name("operator".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = TcpListener::from_std(socket) else { return };
                tokio::select! {
                    () = accept(listener, Arc::new(answer)) => {}
                    // Nothing is ever sent: the error is the signal.
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Operator { address, _stop: stop })
    }
}

impl Operator {
    /// Listens at `address`.
    ///
    /// # Errors
    /// When the address cannot be used or the system refuses what serving it needs.
    pub fn bind(address: SocketAddr) -> io::Result<BoundOperator> {
        let socket = std::net::TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(BoundOperator { address, socket, runtime })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept<A>(listener: TcpListener, answer: Arc<A>)
where
    A: Fn(OperatorRequest) -> Answering + Send + Sync + 'static,
{
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let answer = Arc::clone(&answer);
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = Arc::clone(&answer);
                async move { Ok::<_, std::convert::Infallible>(respond(&*answer, request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .serve_connection(TokioIo::new(stream), service);
            // A broken connection is the operator's to notice.
            let _: Result<(), hyper::Error> = connection.await;
            drop(place);
        });
    }
}

async fn respond(
    answer: &impl Fn(OperatorRequest) -> Answering,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let told = match Limited::new(body, MOST_CONTENT).collect().await {
        Ok(body) => answer(OperatorRequest { head, body: body.to_bytes() }).await,
        Err(_) => OperatorAnswer {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            content_type: "application/json",
            fields: Vec::new(),
            body: "{\"status\":\"content_too_large\"}\n".to_owned(),
        },
    };
    let mut response = Response::new(Full::new(Bytes::from(told.body)));
    *response.status_mut() = told.status;
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(told.content_type));
    for (name, value) in told.fields {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
