//! An HTTP/1 client that writes bytes, not requests.
//!
//! It sends what it is given, and reads responses as strictly as RFC 9112 lets it: an answer that has two
//! readings is a finding about the gateway, so it panics.

mod response;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};

pub use response::Response;

use crate::PATIENCE;

trait Stream: Read + Write + Send {
    /// Whether a session of before was resumed; `None` as long as that is not known, and in plain text.
    fn is_resumed(&self) -> Option<bool>;

    /// The certificate that the server showed.
    fn server_certificate(&self) -> Option<Vec<u8>>;
}

impl Stream for TcpStream {
    fn is_resumed(&self) -> Option<bool> {
        None
    }

    fn server_certificate(&self) -> Option<Vec<u8>> {
        None
    }
}

impl Stream for StreamOwned<ClientConnection, TcpStream> {
    fn is_resumed(&self) -> Option<bool> {
        Some(self.conn.handshake_kind()? == HandshakeKind::Resumed)
    }

    fn server_certificate(&self) -> Option<Vec<u8>> {
        Some(self.conn.peer_certificates()?.first()?.to_vec())
    }
}

/// A connection to a server.
pub struct Connection {
    stream: Box<dyn Stream>,
    socket: TcpStream,
    /// What was read and not yet used.
    arrived: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Panics
    /// When the server does not take the connection.
    #[must_use]
    pub fn open(address: SocketAddr) -> Self {
        let socket = connect(address);
        let stream = socket.try_clone().expect("a second handle of the socket");
        Self { stream: Box::new(stream), socket, arrived: Vec::new() }
    }

    /// Connects with TLS; see [`crate::ca::Authority::client_config`]. The handshake takes place with the
    /// first bytes that are sent.
    ///
    /// # Panics
    /// When the server does not take the connection, or `name` is not a DNS name.
    #[must_use]
    pub fn open_tls(address: SocketAddr, name: &str, config: Arc<ClientConfig>) -> Self {
        let socket = connect(address);
        let name = ServerName::try_from(name.to_owned()).expect("a DNS name");
        let session = ClientConnection::new(config, name).expect("a TLS client");
        let stream = StreamOwned::new(session, socket.try_clone().expect("a second handle of the socket"));
        Self { stream: Box::new(stream), socket, arrived: Vec::new() }
    }

    /// Whether TLS resumed a session of before; `None` as long as that is not known, and in plain text.
    #[must_use]
    pub fn is_resumed(&self) -> Option<bool> {
        self.stream.is_resumed()
    }

    /// The certificate that the server showed, in DER.
    #[must_use]
    pub fn server_certificate(&self) -> Option<Vec<u8>> {
        self.stream.server_certificate()
    }

    /// Our own address, as the server sees it.
    ///
    /// # Panics
    /// Never while the connection is open.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.socket.local_addr().expect("the socket's address")
    }

    /// Sends bytes. That the server has closed the connection meanwhile is not an error: its answer, if
    /// there is one, can still be read.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        match self.try_send(bytes.as_ref()) {
            Err(error) if !is_end(error.kind()) => panic!("cannot send: {error}"),
            Ok(()) | Err(_) => self,
        }
    }

    /// Sends bytes, one write for each: the server sees every prefix.
    pub fn send_bytewise(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        for byte in bytes.as_ref() {
            self.send([*byte]);
        }
        self
    }

    /// Sends bytes, or says why that was not possible.
    ///
    /// # Errors
    /// What the socket or the TLS session says, a refused handshake among it.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Sends a request and reads the response, or says why there is none: a refused handshake shows in the first that is read.
    ///
    /// # Errors
    /// What the socket or the TLS session says.
    ///
    /// # Panics
    /// When what comes is not HTTP/1.
    pub fn try_exchange(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<Response> {
        self.try_send(bytes.as_ref())?;
        let mut buffer = [0; 16 * 1024];
        let count = self.stream.read(&mut buffer)?;
        self.arrived.extend(buffer.iter().take(count));
        self.try_response("GET").ok_or_else(|| ErrorKind::UnexpectedEof.into())
    }

    /// Closes our side: the server reads an end.
    pub fn finish_sending(&mut self) -> &mut Self {
        // A server that has closed already makes this fail, and that is for the reading side to find.
        let _ = self.socket.shutdown(Shutdown::Write);
        self
    }

    /// Reads the response to a request other than HEAD or CONNECT, and passes over interim ones (1xx).
    ///
    /// # Panics
    /// When there is none, or it is not HTTP/1.
    pub fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    /// Reads the response to a request with this method; a HEAD's has no body.
    ///
    /// # Panics
    /// When there is none, or it is not HTTP/1.
    pub fn response_to(&mut self, method: &str) -> Response {
        self.try_response(method).expect("a response rather than the end of the connection")
    }

    /// Reads a response; `None` when the connection ends instead.
    ///
    /// # Panics
    /// When what comes is not HTTP/1, or nothing comes within [`PATIENCE`].
    pub fn try_response(&mut self, method: &str) -> Option<Response> {
        loop {
            let response = self.one_response(method)?;
            if response.status == 101 || response.status >= 200 {
                return Some(response);
            }
        }
    }

    /// Reads one head, interim ones included; for tests of `100 Continue`.
    ///
    /// # Panics
    /// When there is none, or it is not HTTP/1.
    pub fn interim(&mut self) -> Response {
        self.one_response("HEAD").expect("a response rather than the end of the connection")
    }

    /// Reads exactly so many bytes, as after a protocol switch.
    ///
    /// # Panics
    /// When the connection ends before, or nothing comes within [`PATIENCE`].
    pub fn read_exactly(&mut self, count: usize) -> Vec<u8> {
        let (bytes, complete) = self.read_up_to(count);
        assert!(complete, "the connection ended after {:?}", String::from_utf8_lossy(&bytes));
        bytes
    }

    /// Reads everything up to the end of the connection, be it orderly or a reset.
    ///
    /// # Panics
    /// When the connection stays open longer than [`PATIENCE`].
    pub fn read_to_end(&mut self) -> Vec<u8> {
        while self.read_more() {}
        std::mem::take(&mut self.arrived)
    }

    /// Checks that the server closes the connection and sends nothing more.
    ///
    /// # Panics
    /// When it sends something, or keeps the connection open longer than [`PATIENCE`].
    pub fn assert_closed(&mut self) {
        let rest = self.read_to_end();
        assert!(rest.is_empty(), "more came before the end: {:?}", String::from_utf8_lossy(&rest));
    }

    /// Reads the responses to pipelined requests, none of them HEAD, until the server closes the
    /// connection.
    ///
    /// # Panics
    /// When something else than HTTP/1 comes, or the connection stays open longer than [`PATIENCE`].
    pub fn responses_to_end(&mut self) -> Vec<Response> {
        std::iter::from_fn(|| self.try_response("GET")).collect()
    }

    fn one_response(&mut self, method: &str) -> Option<Response> {
        let head = self.read_head()?;
        let mut response = Response::parse_head(&head);
        let bodiless = method == "HEAD" || response.status < 200 || matches!(response.status, 204 | 304);
        if bodiless {
            return Some(response);
        }
        let coding = response.values("transfer-encoding");
        let length = response.values("content-length");
        match (coding.as_slice(), length.as_slice()) {
            ([], []) => response.body = self.read_to_end(),
            ([], [length]) => {
                let length = length.parse().unwrap_or_else(|_| panic!("content-length: {length}"));
                (response.body, response.complete) = self.read_up_to(length);
            }
            ([coding], []) if coding == "chunked" => response.complete = self.read_chunks(&mut response),
            _ => panic!("a response whose length has two readings: {response:?}"),
        }
        Some(response)
    }

    fn read_head(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = find(&self.arrived, b"\r\n\r\n") {
                return Some(self.take(at + 4));
            }
            if !self.read_more() {
                let rest = String::from_utf8_lossy(&self.arrived);
                assert!(rest.is_empty(), "the connection ended in the middle of a head: {rest:?}");
                return None;
            }
        }
    }

    /// The bytes, and whether all of them came.
    pub(crate) fn read_up_to(&mut self, length: usize) -> (Vec<u8>, bool) {
        while self.arrived.len() < length {
            if !self.read_more() {
                return (std::mem::take(&mut self.arrived), false);
            }
        }
        (self.take(length), true)
    }

    /// Reads a chunked body into the response. `false` when the connection ended in it.
    fn read_chunks(&mut self, response: &mut Response) -> bool {
        loop {
            let Some(line) = self.read_line() else { return false };
            let size = usize::from_str_radix(&line, 16).unwrap_or_else(|_| panic!("chunk size {line:?}"));
            if size == 0 {
                break;
            }
            let (bytes, complete) = self.read_up_to(size);
            response.body.extend(bytes);
            if !complete {
                return false;
            }
            match self.read_line() {
                Some(end) => assert!(end.is_empty(), "{end:?} where a chunk should end"),
                None => return false,
            }
        }
        loop {
            match self.read_line() {
                None => return false,
                Some(line) if line.is_empty() => return true,
                Some(line) => response.trailers.push(response::parse_field(&line)),
            }
        }
    }

    fn read_line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = find(&self.arrived, b"\r\n") {
                let line = self.take(at + 2);
                return Some(String::from_utf8_lossy(line.strip_suffix(b"\r\n")?).into_owned());
            }
            if !self.read_more() {
                return None;
            }
        }
    }

    /// Reads what is there, or waits for it. `false` at the end of the connection.
    fn read_more(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(count) => {
                self.arrived.extend(buffer.iter().take(count));
                count > 0
            }
            Err(error) if is_end(error.kind()) => false,
            Err(error) => panic!("nothing came: {error}"),
        }
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let rest = self.arrived.split_off(count);
        std::mem::replace(&mut self.arrived, rest)
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// One request on a connection of its own.
///
/// # Panics
/// When there is no response.
#[must_use]
pub fn request(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Response {
    Connection::open(address).send(bytes).response()
}

/// A GET on a connection of its own, with further header lines that each end in CRLF.
///
/// # Panics
/// When there is no response.
#[must_use]
pub fn get(address: SocketAddr, target: &str, header_lines: &str) -> Response {
    request(address, format!("GET {target} HTTP/1.1\r\nHost: api.example.com\r\n{header_lines}\r\n"))
}

/// A POST on a connection of its own, with further header lines that each end in CRLF.
///
/// # Panics
/// When there is no response.
#[must_use]
pub fn post(address: SocketAddr, target: &str, header_lines: &str, body: &str) -> Response {
    let length = body.len();
    let head = format!("POST {target} HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: {length}\r\n");
    request(address, format!("{head}{header_lines}\r\n{body}"))
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect_timeout(&address, PATIENCE).expect("a connection");
    socket.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
    socket.set_write_timeout(Some(PATIENCE)).expect("a write timeout");
    socket.set_nodelay(true).expect("no delay");
    socket
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// A close with unread bytes in the server's buffer reaches us as a reset, and rustls calls a close
/// without close_notify an unexpected end: both are ends.
fn is_end(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionReset
            | ErrorKind::BrokenPipe
            | ErrorKind::ConnectionAborted
            | ErrorKind::UnexpectedEof
            | ErrorKind::NotConnected
    )
}
