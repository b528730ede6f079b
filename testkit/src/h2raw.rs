//! An HTTP/2 client that writes frames, not requests: what a well-behaved library would refuse to send.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_rustls::rustls::ClientConfig;

use crate::{hpack, raw};

/// Frame types of RFC 9113 section 6.
pub mod kind {
    /// DATA.
    pub const DATA: u8 = 0;
    /// HEADERS.
    pub const HEADERS: u8 = 1;
    /// RST_STREAM.
    pub const RST_STREAM: u8 = 3;
    /// SETTINGS.
    pub const SETTINGS: u8 = 4;
    /// PING.
    pub const PING: u8 = 6;
    /// GOAWAY.
    pub const GOAWAY: u8 = 7;
    /// WINDOW_UPDATE.
    pub const WINDOW_UPDATE: u8 = 8;
    /// CONTINUATION.
    pub const CONTINUATION: u8 = 9;
}

/// Frame flags of RFC 9113 section 6.
pub mod flag {
    /// On DATA and HEADERS: the stream's last frame of this side.
    pub const END_STREAM: u8 = 0x1;
    /// On SETTINGS and PING: an acknowledgement.
    pub const ACK: u8 = 0x1;
    /// On HEADERS and CONTINUATION: the header block is complete.
    pub const END_HEADERS: u8 = 0x4;
    /// On DATA and HEADERS: the payload begins with the length of its padding.
    pub const PADDED: u8 = 0x8;
    /// On HEADERS: a priority lies before the header block.
    pub const PRIORITY: u8 = 0x20;
}

/// Error codes of RFC 9113 section 7.
pub mod code {
    /// NO_ERROR.
    pub const NO_ERROR: u32 = 0x0;
    /// PROTOCOL_ERROR.
    pub const PROTOCOL_ERROR: u32 = 0x1;
    /// CANCEL.
    pub const CANCEL: u32 = 0x8;
    /// ENHANCE_YOUR_CALM.
    pub const ENHANCE_YOUR_CALM: u32 = 0xb;
}

/// The first bytes of every HTTP/2 connection.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const HEADER_TABLE_SIZE: [u8; 2] = [0, 1];

/// A frame as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// See [`kind`].
    pub kind: u8,
    /// See [`flag`].
    pub flags: u8,
    /// The stream; 0 is the connection.
    pub stream: u32,
    /// The payload.
    pub payload: Vec<u8>,
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// With a response that is complete.
    Response {
        /// The status code.
        status: u16,
        /// The body.
        body: Vec<u8>,
    },
    /// With RST_STREAM and this error code.
    Reset(u32),
    /// With the connection, after GOAWAY with this error code.
    GoAway(u32),
    /// With the connection, without GOAWAY.
    Closed,
}

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    raw: raw::Connection,
}

impl Connection {
    /// Connects with prior knowledge (h2c).
    ///
    /// # Panics
    /// When the server does not take the connection.
    #[must_use]
    pub fn open(address: SocketAddr) -> Self {
        Self::begin(raw::Connection::open(address))
    }

    /// Connects with TLS, for which `config` must offer `h2`.
    ///
    /// # Panics
    /// When the server does not take the connection.
    #[must_use]
    pub fn open_tls(address: SocketAddr, name: &str, config: Arc<ClientConfig>) -> Self {
        Self::begin(raw::Connection::open_tls(address, name, config))
    }

    /// Sends the preface, and SETTINGS that forbid the server to use a dynamic table: the client here
    /// keeps none.
    fn begin(raw: raw::Connection) -> Self {
        let mut connection = Self { raw };
        connection.raw.send(PREFACE);
        let settings = [HEADER_TABLE_SIZE.as_slice(), &0_u32.to_be_bytes()].concat();
        connection.send_frame(kind::SETTINGS, 0, 0, &settings);
        connection
    }

    /// Sends a frame, whether or not it makes sense.
    pub fn send_frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> &mut Self {
        self.raw.send(frame(kind, flags, stream, payload));
        self
    }

    /// Sends bytes as they are, as many frames in one write.
    pub fn send(&mut self, bytes: &[u8]) -> &mut Self {
        self.raw.send(bytes);
        self
    }

    /// Sends HEADERS with a complete header block.
    pub fn send_headers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        stream: u32,
        fields: &[(N, V)],
        end_stream: bool,
    ) -> &mut Self {
        let flags = flag::END_HEADERS | if end_stream { flag::END_STREAM } else { 0 };
        self.send_frame(kind::HEADERS, flags, stream, &hpack::encode(fields))
    }

    /// Sends a GET without a body.
    pub fn send_get(&mut self, stream: u32, path: &str) -> &mut Self {
        self.send_headers(stream, &request_fields("GET", path), true)
    }

    /// Sends DATA.
    pub fn send_data(&mut self, stream: u32, bytes: &[u8], end_stream: bool) -> &mut Self {
        self.send_frame(kind::DATA, u8::from(end_stream) * flag::END_STREAM, stream, bytes)
    }

    /// Sends RST_STREAM.
    pub fn send_reset(&mut self, stream: u32, error: u32) -> &mut Self {
        self.send_frame(kind::RST_STREAM, 0, stream, &error.to_be_bytes())
    }

    /// Reads the next frame that is about a request, or GOAWAY. `None` at the end of the connection.
    /// SETTINGS and PING are acknowledged, DATA is credited to both windows.
    ///
    /// # Panics
    /// When nothing comes within [`crate::PATIENCE`].
    pub fn next_frame(&mut self) -> Option<Frame> {
        loop {
            let frame = self.read_frame()?;
            match frame.kind {
                kind::SETTINGS | kind::PING if frame.flags & flag::ACK == 0 => {
                    let payload = if frame.kind == kind::PING { frame.payload.as_slice() } else { &[] };
                    self.send_frame(frame.kind, flag::ACK, 0, payload);
                }
                kind::DATA => {
                    self.credit(&frame);
                    return Some(frame);
                }
                kind::HEADERS | kind::CONTINUATION | kind::RST_STREAM | kind::GOAWAY => return Some(frame),
                _ => {}
            }
        }
    }

    /// Reads until a stream has ended, and passes over everything about others.
    ///
    /// # Panics
    /// When its response has no status, or nothing comes within [`crate::PATIENCE`].
    pub fn ending(&mut self, stream: u32) -> Ending {
        let (mut status, mut body) = (None, Vec::new());
        while let Some(frame) = self.next_frame() {
            match frame.kind {
                kind::GOAWAY => {
                    let error = error_code(frame.payload.get(4..));
                    let last = error_code(frame.payload.get(..4));
                    // A server that drains still answers the streams up to the last that it names.
                    if error != code::NO_ERROR || last < stream {
                        return Ending::GoAway(error);
                    }
                }
                _ if frame.stream != stream => continue,
                kind::RST_STREAM => return Ending::Reset(error_code(Some(&frame.payload))),
                // Trailers have no status, interim responses are followed by another.
                kind::HEADERS => status = hpack::status(&frame.payload).or(status),
                kind::DATA => body.extend(&frame.payload),
                _ => {}
            }
            if frame.stream == stream && frame.flags & flag::END_STREAM != 0 && frame.kind <= kind::HEADERS {
                let status = status.unwrap_or_else(|| panic!("a response without a status: {frame:?}"));
                return Ending::Response { status, body };
            }
        }
        Ending::Closed
    }

    /// Reads to the end of the connection, and gives the error code of its last GOAWAY.
    ///
    /// # Panics
    /// When the connection stays open longer than [`crate::PATIENCE`].
    pub fn go_away(&mut self) -> Option<u32> {
        let frames = std::iter::from_fn(|| self.next_frame());
        frames
            .filter(|frame| frame.kind == kind::GOAWAY)
            .last()
            .map(|frame| error_code(frame.payload.get(4..)))
    }

    fn read_frame(&mut self) -> Option<Frame> {
        let (head, complete) = self.raw.read_up_to(9);
        let (&[a, b, c, kind, flags, ref stream @ ..], true) = (head.as_slice(), complete) else {
            return None;
        };
        let length = u32::from_be_bytes([0, a, b, c]);
        let stream = u32::from_be_bytes(stream.try_into().ok()?) & 0x7FFF_FFFF;
        let (payload, complete) = self.raw.read_up_to(length.try_into().ok()?);
        complete.then_some(Frame { kind, flags, stream, payload })
    }

    fn credit(&mut self, frame: &Frame) {
        let Some(bytes) = u32::try_from(frame.payload.len()).ok().filter(|bytes| *bytes > 0) else { return };
        self.send_frame(kind::WINDOW_UPDATE, 0, 0, &bytes.to_be_bytes());
        if frame.flags & flag::END_STREAM == 0 {
            self.send_frame(kind::WINDOW_UPDATE, 0, frame.stream, &bytes.to_be_bytes());
        }
    }
}

/// The bytes of a frame.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let [_, length @ ..] = length;
    [&length, [kind, flags].as_slice(), &stream.to_be_bytes(), payload].concat()
}

/// The pseudo-header fields of a request to `api.example.com`.
#[must_use]
pub fn request_fields<'a>(method: &'a str, path: &'a str) -> Vec<(&'static str, &'a str)> {
    vec![(":method", method), (":scheme", "http"), (":authority", "api.example.com"), (":path", path)]
}

fn error_code(bytes: Option<&[u8]>) -> u32 {
    let bytes = bytes.and_then(|bytes| bytes.first_chunk::<4>());
    u32::from_be_bytes(*bytes.expect("four bytes"))
}
