//! A well-behaved HTTP/2 client. It blocks, and sends and reads a stream piece by piece.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::channel::{Channel, Sender};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::PATIENCE;
use crate::raw::Response;

type Body = UnsyncBoxBody<Bytes, io::Error>;
type Answer = tokio::task::JoinHandle<hyper::Result<http::Response<Incoming>>>;

/// A connection to a server.
#[derive(Debug)]
pub struct Client {
    runtime: Handle,
    sender: SendRequest<Body>,
    scheme: &'static str,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A request that is being sent and answered.
pub struct Stream {
    runtime: Handle,
    body: Option<Sender<Bytes, io::Error>>,
    answer: Option<Answer>,
    incoming: Option<Incoming>,
}

impl Client {
    /// Connects with prior knowledge (h2c).
    ///
    /// # Panics
    /// When the server does not take the connection.
    #[must_use]
    pub fn open(address: SocketAddr) -> Self {
        Self::begin("http", async move { TcpStream::connect(address).await.expect("a connection") })
    }

    /// Connects with TLS and chooses `h2` by ALPN; see [`crate::ca::Authority::client_config`].
    ///
    /// # Panics
    /// When the server does not take the connection or does not speak `h2`.
    #[must_use]
    pub fn open_tls(address: SocketAddr, name: &str, config: Arc<ClientConfig>) -> Self {
        let name = ServerName::try_from(name.to_owned()).expect("a DNS name");
        Self::begin("https", async move {
            let stream = TcpStream::connect(address).await.expect("a connection");
            let stream = TlsConnector::from(config).connect(name, stream).await.expect("a TLS session");
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()), "the protocol by ALPN");
            stream
        })
    }

    fn begin<S>(scheme: &'static str, connect: impl Future<Output = S> + Send + 'static) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            // Nothing is ever sent: the error is the signal.
            let _ = runtime.block_on(stopped);
        });
        let sender = wait(&handle, async {
            let stream = TokioIo::new(connect.await);
            let (sender, driver) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.expect("HTTP/2");
            // Its end shows in the answers.
            tokio::spawn(driver);
            sender
        });
        Self { runtime: handle, sender, scheme, stop: Some(stop), thread: Some(thread) }
    }

    /// Sends a request without a body, and reads the whole answer. `path` may be a URL with another host.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn request(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Response {
        self.send(method, path, fields, Empty::new().map_err(io::Error::other).boxed_unsync(), None)
            .response()
    }

    /// Sends the head of a request whose body follows.
    ///
    /// # Panics
    /// When it is not a valid head.
    #[must_use]
    pub fn start(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Stream {
        let (sender, body) = Channel::new(1);
        self.send(method, path, fields, body.boxed_unsync(), Some(sender))
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: Body,
        sending: Option<Sender<Bytes, io::Error>>,
    ) -> Stream {
        let uri = if path.starts_with('/') {
            format!("{}://api.example.com{path}", self.scheme)
        } else {
            path.to_owned()
        };
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(body).expect("a valid head");
        let mut sender = self.sender.clone();
        let answer = self.runtime.spawn(async move { sender.send_request(request).await });
        Stream { runtime: self.runtime.clone(), body: sending, answer: Some(answer), incoming: None }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Stream {
    /// Sends a piece of the body.
    ///
    /// # Panics
    /// When the body has ended, or the stream has.
    pub fn send(&mut self, bytes: &str) -> &mut Self {
        let body = self.body.as_mut().expect("a body that has not ended");
        wait(&self.runtime, body.send_data(Bytes::copy_from_slice(bytes.as_bytes())))
            .expect("an open stream");
        self
    }

    /// Ends the body.
    pub fn finish(&mut self) -> &mut Self {
        self.body = None;
        self
    }

    /// Ends the body with trailer fields.
    ///
    /// # Panics
    /// When the body has ended, or the stream has.
    pub fn finish_with(&mut self, trailers: &[(&str, &str)]) -> &mut Self {
        let mut body = self.body.take().expect("a body that has not ended");
        let trailers: HeaderMap = trailers
            .iter()
            .map(|(name, value)| {
                let name = HeaderName::try_from(*name).expect("a field's name");
                (name, HeaderValue::try_from(*value).expect("a field's value"))
            })
            .collect();
        wait(&self.runtime, body.send_trailers(trailers)).expect("an open stream");
        self
    }

    /// Waits for the head of the answer.
    ///
    /// # Panics
    /// When there is none.
    pub fn head(&mut self) -> Response {
        let answer = self.answer.take().expect("a head that was not read yet");
        let answer = wait(&self.runtime, answer).expect("no panic").expect("an answer");
        let (head, incoming) = answer.into_parts();
        self.incoming = Some(incoming);
        Response {
            status: head.status.as_u16(),
            headers: fields(&head.headers),
            body: Vec::new(),
            trailers: Vec::new(),
            complete: true,
        }
    }

    /// Waits for the next piece of the answer's body that is not empty, after its head. `None` at its end.
    ///
    /// # Panics
    /// When the stream is reset.
    pub fn next_piece(&mut self) -> Option<Vec<u8>> {
        let incoming = self.incoming.as_mut().expect("the head was read");
        loop {
            let data = wait(&self.runtime, incoming.frame())?.expect("no reset").into_data().ok()?;
            if !data.is_empty() {
                return Some(data.to_vec());
            }
        }
    }

    /// Ends the request and waits for the whole answer; its head must not have been read. An answer that
    /// ends with a reset is not complete.
    ///
    /// # Panics
    /// When there is none.
    pub fn response(mut self) -> Response {
        self.finish();
        let mut response = self.head();
        let incoming = self.incoming.as_mut().expect("the head was read");
        while let Some(frame) = wait(&self.runtime, incoming.frame()) {
            let Ok(frame) = frame else {
                response.complete = false;
                break;
            };
            match frame.into_data() {
                Ok(data) => response.body.extend(data),
                Err(frame) => response.trailers = frame.trailers_ref().map(fields).unwrap_or_default(),
            }
        }
        response
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

fn wait<F: Future>(runtime: &Handle, future: F) -> F::Output {
    let outcome = runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await });
    outcome.expect("something within the time that a test waits")
}

fn fields(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}
