//! A service to stand behind the demo: a few lines of HTTP/1.1, for the gateway's well-formed requests only.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use serde_json::json;

/// Starts the service on a free port; it ends with the process.
pub(super) fn start() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::Builder::new().name("demo-service".to_owned()).spawn(move || {
        for stream in listener.incoming().flatten() {
            // A connection that breaks, or a thread that cannot be had, is the gateway's to report.
            let _: io::Result<_> = thread::Builder::new().spawn(move || serve(&stream));
        }
    })?;
    Ok(address)
}

fn serve(stream: &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let mut request_line = String::new();
        if reader.read_line(&mut request_line)? == 0 {
            return Ok(());
        }
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
        let answer = answer(&request_line);
        write!(
            writer,
            "HTTP/1.1 200 OK\r\nserver: demo/1.0\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len(),
        )?;
    }
}

/// An order, with a card number that should never have been in it.
fn answer(request_line: &str) -> String {
    let path = request_line.split(' ').nth(1).unwrap_or("/");
    json!({ "service": "orders", "path": path, "paid_with": "4111 1111 1111 1111", "items": ["lantern", "rope"] }).to_string()
}
