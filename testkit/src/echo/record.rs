//! What an upstream has seen.

use serde_json::{Value, json};

use crate::wait::Watched;

/// The requests of one upstream, in the order in which their heads were complete.
pub(super) type Log = Watched<Vec<Seen>>;

/// How much of a body, and of a connection's bytes, is kept.
const KEPT: usize = 4 << 20;

/// A request as it reached the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// A number that no other request of this upstream has.
    pub id: usize,
    /// The number of the connection's earlier requests.
    pub position: usize,
    /// `HTTP/1.1`, `HTTP/1.0` or `HTTP/2`; empty when the request line made no sense.
    pub version: String,
    /// The method.
    pub method: String,
    /// The target as it came. For HTTP/2 it is `:path`.
    pub target: String,
    /// `:authority` of HTTP/2; `None` for HTTP/1, where `Host` is among the headers.
    pub authority: Option<String>,
    /// The header fields in the order and spelling in which they came (HTTP/2: grouped by name).
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body without its framing, the first 4 MiB of it.
    pub body: Vec<u8>,
    /// The body's whole length.
    pub body_length: usize,
    /// The trailer fields.
    pub trailers: Vec<(String, Vec<u8>)>,
    /// The bytes of the head, and of the body with its framing, as they came (HTTP/1 only, first 4 MiB).
    pub wire: Vec<u8>,
    /// How far the request has come.
    pub ending: Ending,
}

/// How far a request has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The head has arrived, the body not yet.
    Reading,
    /// All has arrived.
    Complete,
    /// The connection or the stream ended before the request did.
    Cut,
    /// All had arrived, and the connection or the stream ended before the answer was given.
    Abandoned,
    /// The bytes were not a request; the text says why.
    Malformed(String),
}

impl Seen {
    /// All values of a header field, in order. Names are compared without case.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<String> {
        values(&self.headers, name)
    }

    /// The value of a header field that appears once; `None` if it is absent.
    ///
    /// # Panics
    /// When it appears more than once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let mut values = self.values(name);
        assert!(values.len() < 2, "{name} came {} times upstream: {values:?}", values.len());
        values.pop()
    }

    /// Whether a header field is there, under any spelling of its case.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(have, _)| have.eq_ignore_ascii_case(name))
    }

    /// The body as text, with U+FFFD for what is not UTF-8.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn append_body(&mut self, bytes: &[u8]) {
        self.body_length += bytes.len();
        keep(&mut self.body, bytes);
    }

    pub(super) fn append_wire(&mut self, bytes: &[u8]) {
        keep(&mut self.wire, bytes);
    }

    /// The description that the upstream answers with.
    pub(super) fn describe(&self) -> Value {
        json!({
            "method": self.method,
            "target": self.target,
            "version": self.version,
            "authority": self.authority,
            "headers": pairs(&self.headers),
            "body": self.text(),
            "trailers": pairs(&self.trailers),
        })
    }
}

impl Log {
    /// Records a request's head, and gives the number under which the rest is recorded.
    pub(super) fn begin(&self, mut seen: Seen) -> usize {
        self.change(|requests| {
            // Numbers go on after `forget`, so that a late body does not land in another request.
            seen.id = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let id = seen.id;
            requests.push(seen);
            id
        })
    }

    /// Changes a request that was begun; does nothing if it has been forgotten.
    pub(super) fn amend(&self, id: usize, amend: impl FnOnce(&mut Seen)) {
        self.change(|requests| {
            if let Some(seen) = requests.iter_mut().rev().find(|seen| seen.id == id) {
                amend(seen);
            }
        });
    }

    pub(super) fn find(&self, id: usize) -> Option<Seen> {
        self.read(|requests| requests.iter().rev().find(|seen| seen.id == id).cloned())
    }
}

static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

fn keep(kept: &mut Vec<u8>, bytes: &[u8]) {
    let room = KEPT.saturating_sub(kept.len()).min(bytes.len());
    kept.extend(bytes.iter().take(room));
}

pub(crate) fn values(fields: &[(String, Vec<u8>)], name: &str) -> Vec<String> {
    let named = fields.iter().filter(|(have, _)| have.eq_ignore_ascii_case(name));
    named.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
}

fn pairs(fields: &[(String, Vec<u8>)]) -> Value {
    fields.iter().map(|(name, value)| json!([name, String::from_utf8_lossy(value)])).collect()
}
