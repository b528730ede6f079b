//! HTTP/1.1, read and written by hand.

use std::io;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::Shared;
use super::answer::{self, Answer, Plan, Step};
use super::record::{Ending, Seen};

/// A connection that can be broken with a reset.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    fn tcp(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Socket for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Answers requests until the connection ends.
pub(super) async fn serve<S: Socket>(socket: S, shared: Shared) {
    let mut connection = Connection { socket, shared, arrived: Vec::new(), current: None, position: 0 };
    while let Ok(true) = connection.exchange().await {
        connection.position += 1;
    }
}

struct Connection<S> {
    socket: S,
    shared: Shared,
    /// What was read and not yet used.
    arrived: Vec<u8>,
    /// The request that is being read or answered, by its number in the log.
    current: Option<usize>,
    position: usize,
}

enum Framing {
    Length(usize),
    Chunked,
}

impl<S: Socket> Connection<S> {
    /// Reads one request and answers it. `false` when there will be no other.
    async fn exchange(&mut self) -> io::Result<bool> {
        let Some(head) = self.read_head().await? else { return Ok(false) };
        let seen = parse_head(&head, self.position);
        let (ending, target) = (seen.ending.clone(), seen.target.clone());
        let framing = framing(&seen);
        let expects_continue = seen.has("expect");
        let id = self.shared.log.begin(seen);
        self.current = Some(id);
        if let Ending::Malformed(_) = ending {
            return Ok(false);
        }
        if answer::is_early(&target) {
            self.answer(id).await?;
            self.read_body(framing).await?;
            return Ok(true);
        }
        if expects_continue {
            self.socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        self.read_body(framing).await?;
        self.answer(id).await
    }

    /// The bytes of a head with its empty line. `None` when the connection ends between two requests.
    async fn read_head(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = find(&self.arrived, b"\r\n\r\n") {
                return Ok(Some(self.take(at + 4)));
            }
            if self.read_more().await? {
                continue;
            }
            if !self.arrived.is_empty() {
                // A head without an end is contact too: whoever sent it had begun to forward something.
                let wire = std::mem::take(&mut self.arrived);
                self.shared.log.begin(malformed(&wire, self.position, "the head has no end"));
            }
            return Ok(None);
        }
    }

    async fn read_body(&mut self, framing: Framing) -> io::Result<()> {
        let read = match framing {
            Framing::Length(length) => self.read_counted(length).await,
            Framing::Chunked => self.read_chunks().await,
        };
        match &read {
            Ok(()) => self.amend(|seen| seen.ending = Ending::Complete),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let reason = error.to_string();
                self.amend(|seen| seen.ending = Ending::Malformed(reason));
            }
            Err(_) => self.amend(|seen| seen.ending = Ending::Cut),
        }
        read
    }

    async fn read_counted(&mut self, mut left: usize) -> io::Result<()> {
        while left > 0 {
            if self.arrived.is_empty() && !self.read_more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let part = self.take(left.min(self.arrived.len()));
            left -= part.len();
            self.amend(|seen| {
                seen.append_wire(&part);
                seen.append_body(&part);
            });
        }
        Ok(())
    }

    async fn read_chunks(&mut self) -> io::Result<()> {
        loop {
            let line = self.read_line().await?;
            let size = line.split(';').next().unwrap_or_default();
            let well_formed = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_hexdigit());
            let size = usize::from_str_radix(size, 16).ok().filter(|_| well_formed);
            let size = size.ok_or_else(|| invalid(format!("chunk size {line:?}")))?;
            if size == 0 {
                return self.read_trailers().await;
            }
            self.read_counted(size).await?;
            let end = self.read_line().await?;
            if !end.is_empty() {
                return Err(invalid(format!("{end:?} where a chunk should end")));
            }
        }
    }

    async fn read_trailers(&mut self) -> io::Result<()> {
        loop {
            let line = self.read_line().await?;
            if line.is_empty() {
                return Ok(());
            }
            let field = parse_field(line.as_bytes()).ok_or_else(|| invalid(format!("trailer {line:?}")))?;
            self.amend(|seen| seen.trailers.push(field));
        }
    }

    /// A line of the body's framing, without its CRLF.
    async fn read_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = find(&self.arrived, b"\r\n") {
                let line = self.take(at + 2);
                self.amend(|seen| seen.append_wire(&line));
                return Ok(String::from_utf8_lossy(line.strip_suffix(b"\r\n").unwrap_or(&line)).into_owned());
            }
            if !self.read_more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Answers the request. `false` when the connection is over.
    async fn answer(&mut self, id: usize) -> io::Result<bool> {
        let Some(seen) = self.shared.log.find(id) else { return Ok(false) };
        if let Some(bytes) = self.shared.script.as_ref().and_then(|script| script(&seen)) {
            self.socket.write_all(&bytes).await?;
            self.socket.flush().await?;
            return Ok(find(&bytes.to_ascii_lowercase(), b"connection: close").is_none());
        }
        match answer::plan(&seen) {
            Plan::Answer(answer) => self.send(&seen, answer).await,
            Plan::Switch => self.switch(&seen).await.map(|()| false),
            Plan::Silence => Ok(false),
        }
    }

    async fn send(&mut self, seen: &Seen, answer: Answer) -> io::Result<bool> {
        if answer.held {
            self.hold().await?;
        }
        self.socket.write_all(&head(&answer)).await?;
        if seen.method == "HEAD" || matches!(answer.status, 204 | 304) {
            self.socket.flush().await?;
            return Ok(true);
        }
        for step in answer.steps {
            match step {
                Step::Send(bytes) if answer.length.is_some() => self.socket.write_all(&bytes).await?,
                Step::Send(bytes) => {
                    let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat();
                    self.socket.write_all(&chunk).await?;
                }
                Step::Hold => {
                    self.socket.flush().await?;
                    self.hold().await?;
                }
                Step::Close => return Ok(false),
                Step::Reset => {
                    self.socket.flush().await?;
                    self.socket.tcp().set_zero_linger()?;
                    return Ok(false);
                }
            }
        }
        if answer.length.is_none() {
            let trailers = answer.trailers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
            let end = format!("0\r\n{}\r\n", trailers.collect::<String>());
            self.socket.write_all(end.as_bytes()).await?;
        }
        self.socket.flush().await?;
        Ok(seen.version == "HTTP/1.1" && !seen.values("connection").iter().any(|value| value == "close"))
    }

    async fn switch(&mut self, seen: &Seen) -> io::Result<()> {
        let protocol = seen.header("upgrade").unwrap_or_else(|| "echo".to_owned());
        let mut head =
            format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n");
        if let Some(key) = seen.header("sec-websocket-key") {
            head += &format!("Sec-WebSocket-Accept: {}\r\n", websocket_accept(&key));
        }
        self.socket.write_all(format!("{head}\r\n").as_bytes()).await?;
        loop {
            let bytes = std::mem::take(&mut self.arrived);
            self.socket.write_all(&bytes).await?;
            self.socket.flush().await?;
            if !self.read_more().await? {
                return self.socket.shutdown().await;
            }
        }
    }

    /// Waits for the test's permission, or for the other side to go away.
    async fn hold(&mut self) -> io::Result<()> {
        let shared = self.shared.clone();
        let mut byte = [0; 1];
        tokio::select! {
            () = shared.released() => Ok(()),
            read = self.socket.read(&mut byte) => match read {
                Ok(1) => {
                    self.arrived.extend(byte);
                    shared.released().await;
                    Ok(())
                }
                _ => {
                    self.amend(|seen| seen.ending = Ending::Abandoned);
                    Err(io::ErrorKind::ConnectionAborted.into())
                }
            },
        }
    }

    /// Reads what is there. `false` at the end of the connection.
    async fn read_more(&mut self) -> io::Result<bool> {
        Ok(self.socket.read_buf(&mut self.arrived).await? > 0)
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let rest = self.arrived.split_off(count);
        std::mem::replace(&mut self.arrived, rest)
    }

    fn amend(&self, amend: impl FnOnce(&mut Seen)) {
        if let Some(id) = self.current {
            self.shared.log.amend(id, amend);
        }
    }
}

fn head(answer: &Answer) -> Vec<u8> {
    let reason = http::StatusCode::from_u16(answer.status).ok().and_then(|status| status.canonical_reason());
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason.unwrap_or("Unknown"));
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    match answer.length {
        _ if answer.status == 204 => {}
        Some(length) => head += &format!("content-length: {length}\r\n"),
        None => head += "transfer-encoding: chunked\r\n",
    }
    for (name, _) in &answer.trailers {
        head += &format!("trailer: {name}\r\n");
    }
    format!("{head}\r\n").into_bytes()
}

/// Reads a head as strictly as RFC 9112 lets a server: what it does not understand it calls malformed.
fn parse_head(head: &[u8], position: usize) -> Seen {
    let text = head.strip_suffix(b"\r\n\r\n").unwrap_or(head);
    let mut lines = split_lines(text);
    let request_line = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let words: Vec<&str> = request_line.split(' ').collect();
    let &[method, target, version @ ("HTTP/1.1" | "HTTP/1.0")] = words.as_slice() else {
        return malformed(head, position, &format!("request line {request_line:?}"));
    };
    let mut seen = malformed(head, position, "");
    seen.ending = Ending::Reading;
    (seen.method, seen.target, seen.version) = (method.to_owned(), target.to_owned(), version.to_owned());
    for line in lines {
        match parse_field(line) {
            Some(field) => seen.headers.push(field),
            None => seen.ending = Ending::Malformed(format!("field {:?}", String::from_utf8_lossy(line))),
        }
    }
    seen
}

fn malformed(wire: &[u8], position: usize, reason: &str) -> Seen {
    Seen {
        id: 0,
        position,
        version: String::new(),
        method: String::new(),
        target: String::new(),
        authority: None,
        headers: Vec::new(),
        body: Vec::new(),
        body_length: 0,
        trailers: Vec::new(),
        wire: wire.to_vec(),
        ending: Ending::Malformed(reason.to_owned()),
    }
}

fn parse_field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at(colon);
    let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty())?;
    if name.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
        return None;
    }
    Some((name.to_owned(), value.strip_prefix(b":")?.trim_ascii().to_vec()))
}

/// Transfer-Encoding before Content-Length, as RFC 9112 section 6.3 has it; a test sees both in the record.
fn framing(seen: &Seen) -> Framing {
    if seen.has("transfer-encoding") {
        return Framing::Chunked;
    }
    let length = seen.values("content-length").first().and_then(|value| value.parse().ok());
    Framing::Length(length.unwrap_or_default())
}

/// RFC 6455 section 4.2.2.
fn websocket_accept(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

fn split_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(at) = find(text, b"\r\n") else { return rest.take() };
        let (line, after) = text.split_at(at);
        rest = after.strip_prefix(b"\r\n");
        Some(line)
    })
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
