//! Where requests go, and what becomes of them when a target fails.

mod balance;
mod connections;
mod failures;
mod health;
mod timeouts;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use portcullis_testkit::PATIENCE;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Response};

/// A service whose every move is the test's: it accepts when it is told to, and so on.
struct Puppet {
    listener: TcpListener,
}

/// A connection that a puppet has accepted.
struct Strings {
    stream: TcpStream,
    arrived: Vec<u8>,
}

impl Puppet {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // The system applies a reading timeout to `accept` as well.
        socket2::SockRef::from(&listener).set_read_timeout(Some(PATIENCE)).unwrap();
        Self { listener }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Waits for a connection and a whole head on it.
    fn accept(&self) -> Strings {
        let (stream, _) = self.listener.accept().expect("a connection of the gateway");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut strings = Strings { stream, arrived: Vec::new() };
        strings.read_head();
        strings
    }

    /// Whether nobody has connected whom it has not accepted.
    fn is_alone(&self) -> bool {
        self.listener.set_nonblocking(true).unwrap();
        self.listener.accept().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

impl Strings {
    fn read_head(&mut self) -> String {
        loop {
            if let Some(at) = self.arrived.windows(4).position(|window| window == b"\r\n\r\n") {
                let rest = self.arrived.split_off(at + 4);
                let head = std::mem::replace(&mut self.arrived, rest);
                return String::from_utf8(head).unwrap();
            }
            self.read();
        }
    }

    fn read_body(&mut self, length: usize) {
        while self.arrived.len() < length {
            self.read();
        }
        self.arrived.drain(..length);
    }

    fn read(&mut self) {
        let mut piece = [0; 4096];
        let count = self.stream.read(&mut piece).unwrap();
        assert!(count > 0, "the connection ended after {:?}", String::from_utf8_lossy(&self.arrived));
        self.arrived.extend(&piece[..count]);
    }

    fn answer(&mut self, body: &str) {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        self.stream.write_all((head + body).as_bytes()).unwrap();
    }

    fn close(self) {
        self.stream.shutdown(Shutdown::Both).unwrap();
    }
}

fn get(gateway: &Gateway, path: &str) -> Response {
    raw::get(gateway.address("public"), path, "")
}

fn post(gateway: &Gateway, path: &str) -> Response {
    raw::post(gateway.address("public"), path, "", "some body")
}

/// Checks that an answer is the gateway's own, with this status and code.
fn assert_refused(answer: &Response, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code));
}
