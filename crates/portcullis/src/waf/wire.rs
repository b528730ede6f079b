//! A run over the wire: every request goes to a gateway byte by byte, and what its rules found is read from its
//! audit file. Record and response belong together by the id that the gateway gives each request.

mod log;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};

use super::expect::Seen;
use super::message::{self, Response};
use super::suite::Case;
use super::test;

/// How long the gateway may take to accept a connection, and to send the next bytes.
const PATIENCE: Duration = Duration::from_secs(3);
/// The largest response that is read.
const LARGEST: usize = 16 << 20;

/// Sends the cases in their order, then reads what the record says about them.
pub(super) fn run(url: &str, record: &Path, cases: &[(String, Case)]) -> anyhow::Result<Vec<Vec<Seen>>> {
    let gateway = address(url)?;
    // Whatever is wrong with the address is wrong with every case.
    TcpStream::connect_timeout(&gateway, PATIENCE).with_context(|| format!("cannot connect to {url}"))?;
    let record = log::Tail::open(record)?;
    let mut plays: Vec<Vec<Seen>> =
        cases.iter().map(|(_, case)| test::play(case, |_, bytes| exchange(gateway, bytes))).collect();
    record.attach(plays.iter_mut().flatten())?;
    Ok(plays)
}

fn address(url: &str) -> anyhow::Result<SocketAddr> {
    let uri: http::Uri = url.parse().with_context(|| format!("`{url}` is not a URL"))?;
    if uri.scheme_str() != Some("http") {
        bail!("`{url}` is not a URL to test: the suite's bytes go out in the clear, to http://HOST:PORT");
    }
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(80);
    let mut found = (host, port).to_socket_addrs().with_context(|| format!("cannot find `{host}`"))?;
    found.next().ok_or_else(|| anyhow!("`{host}` has no address"))
}

fn exchange(gateway: SocketAddr, bytes: &[u8]) -> Seen {
    let response = converse(gateway, bytes);
    let request_id = response
        .as_ref()
        .and_then(|response| response.header("x-request-id"))
        .map(|id| message::text(id).into_owned());
    Seen { response, request_id, ..Seen::default() }
}

/// Sends a request and reads the response; a connection that breaks before there was one gives none.
fn converse(gateway: SocketAddr, bytes: &[u8]) -> Option<Response> {
    let mut stream = TcpStream::connect_timeout(&gateway, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    // Who refuses a request may stop reading it; the response is there all the same.
    let _: io::Result<()> = stream.write_all(bytes);
    let bodiless = message::request(bytes).message.method == b"HEAD";
    let mut received = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        let read = stream.read(&mut piece).unwrap_or(0);
        received.extend_from_slice(piece.get(..read).unwrap_or_default());
        let at_end = read == 0;
        let parsed = message::response(&received, bodiless, at_end);
        if at_end || received.len() > LARGEST || parsed.as_ref().is_some_and(|parsed| parsed.complete) {
            return parsed.map(|parsed| parsed.message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn urls_name_a_socket() {
        assert_eq!(address("http://127.0.0.1:8080").unwrap(), "127.0.0.1:8080".parse().unwrap());
        assert_eq!(address("http://[::1]/").unwrap(), "[::1]:80".parse().unwrap());
        assert!(address("https://127.0.0.1").is_err());
        assert!(address("127.0.0.1:80").is_err());
    }
}
