//! `portcullis waf backend`: the backend on a socket.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::Context;

use crate::output;
use crate::waf::message;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where the backend listens.
    #[arg(long, default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
}

/// The largest request that is read; the suite's own stay far below.
const LARGEST: usize = 16 << 20;
/// How long a client may keep silent within a request.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let listener = TcpListener::bind(arguments.listen)
        .with_context(|| format!("the backend cannot listen on {}", arguments.listen))?;
    output::line(&format!("listening on {}", listener.local_addr()?))?;
    for stream in listener.incoming().flatten() {
        // A connection that breaks, or a thread that cannot be had, is the client's to report.
        let _: io::Result<_> = thread::Builder::new().spawn(move || serve(stream));
    }
    Ok(ExitCode::SUCCESS)
}

/// Answers one request, then closes: what a broken request leaves behind cannot be taken for the next one.
fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 << 10];
    let request = loop {
        let read = stream.read(&mut piece)?;
        bytes.extend_from_slice(piece.get(..read).unwrap_or_default());
        let parsed = message::request(&bytes);
        if parsed.complete || (read == 0 && !bytes.is_empty()) {
            break parsed.message;
        }
        if read == 0 || bytes.len() > LARGEST {
            return Ok(());
        }
    };
    let mut response = super::answer(&request);
    response.headers.push((b"Connection".to_vec(), b"close".to_vec()));
    stream.write_all(&response.bytes(request.method != b"HEAD"))
}
