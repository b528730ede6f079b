//! Answers on their way to the client: what is added, what is taken out, and the gateway's own.

mod caches;
mod cookies;
mod cors;
mod headers;
mod problems;
mod redaction;

use portcullis_testkit::ca::{Authority, Identity};
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{Connection, Response};

/// A service that answers every request with these fields, each ended by CRLF, and this body.
fn service(fields: &str, body: &str) -> Upstream {
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{fields}\r\n{body}", body.len());
    Upstream::scripted(move |_| Some(answer.clone().into_bytes()))
}

/// A service that sends its body in these chunks.
fn chunked(fields: &str, chunks: &[&[u8]], trailers: &str) -> Upstream {
    let mut answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{fields}\r\n").into_bytes();
    for chunk in chunks {
        answer.extend(format!("{:x}\r\n", chunk.len()).bytes());
        answer.extend_from_slice(chunk);
        answer.extend(b"\r\n");
    }
    answer.extend(format!("0\r\n{trailers}\r\n").bytes());
    Upstream::scripted(move |_| Some(answer.clone()))
}

/// A certificate for `api.example.com`, and the listener that shows it.
struct Tls {
    authority: Authority,
    identity: Identity,
}

impl Tls {
    fn new() -> Self {
        let authority = Authority::new();
        let identity = authority.server(&["api.example.com"]);
        Self { authority, identity }
    }

    fn listener(&self) -> String {
        let (certificate, key) = (self.identity.certificate.display(), self.identity.key.display());
        format!(
            "{{ name: secure, address: \"127.0.0.1:0\", tls: {{ certificate: \"{certificate}\", key: \"{key}\" }} }}"
        )
    }

    /// A GET over TLS.
    fn get(&self, gateway: &Gateway, target: &str, lines: &str) -> Response {
        let config = self.authority.client_config(None, &["http/1.1"]);
        let mut client = Connection::open_tls(gateway.address("secure"), "api.example.com", config);
        let head = format!("GET {target} HTTP/1.1\r\nHost: api.example.com\r\n{lines}\r\n");
        client.send(head).response()
    }
}

fn has(response: &Response, name: &str) -> bool {
    !response.values(name).is_empty()
}
