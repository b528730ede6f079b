//! A wire between a client and a server that a test can make slow, or cut without either side being told.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::wait::Watched;

/// Forwards bytes between whoever connects to it and one server.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    state: Arc<Watched<State>>,
}

#[derive(Debug, Default)]
struct State {
    is_cut: bool,
    delay: Duration,
    open: usize,
    most_open: usize,
    opened: usize,
    ended: bool,
}

impl Relay {
    /// A relay to the server at this address.
    ///
    /// # Panics
    /// When there is no port to be had.
    #[must_use]
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port of loopback");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Watched::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.read(|state| state.ended) {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(&client, server, &shared));
            }
        });
        Self { address, state }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing is forwarded in either direction, and no connection is closed.
    pub fn cut(&self) {
        self.state.change(|state| state.is_cut = true);
    }

    /// What was held back goes on, and so does all that follows.
    pub fn mend(&self) {
        self.state.change(|state| state.is_cut = false);
    }

    /// From now on what clients send arrives so much later.
    pub fn delay(&self, by: Duration) {
        self.state.change(|state| state.delay = by);
    }

    /// How many connections were open at the same time at most.
    #[must_use]
    pub fn most_open(&self) -> usize {
        self.state.read(|state| state.most_open)
    }

    /// How many connections there were in all.
    #[must_use]
    pub fn opened(&self) -> usize {
        self.state.read(|state| state.opened)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.change(|state| state.ended = true);
        // Wakes the thread that accepts; if that fails it has ended already.
        let _: std::io::Result<TcpStream> = TcpStream::connect(self.address);
    }
}

fn serve(client: &TcpStream, server: SocketAddr, state: &Arc<Watched<State>>) {
    let Ok(server) = TcpStream::connect(server) else { return };
    for stream in [client, &server] {
        // Without it small messages would wait for one another.
        let _: std::io::Result<()> = stream.set_nodelay(true);
    }
    state.change(|state| {
        state.open += 1;
        state.opened += 1;
        state.most_open = state.most_open.max(state.open);
    });
    std::thread::scope(|scope| {
        scope.spawn(|| pump(client, &server, state, true));
        scope.spawn(|| pump(&server, client, state, false));
    });
    state.change(|state| state.open -= 1);
}

/// Reads in one thread and writes in another, so that a delay holds nothing up but the bytes it is for.
fn pump(from: &TcpStream, to: &TcpStream, state: &Arc<Watched<State>>, is_delayed: bool) {
    let (sender, receiver) = channel::<(Instant, Vec<u8>)>();
    std::thread::scope(|scope| {
        scope.spawn(|| deliver(receiver, to, state));
        let mut source = from;
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = source.read(&mut buffer) {
            let delay = if is_delayed { state.read(|state| state.delay) } else { Duration::ZERO };
            let Some(bytes) = buffer.get(..count) else { break };
            if sender.send((Instant::now() + delay, bytes.to_vec())).is_err() {
                break;
            }
        }
        drop(sender);
    });
    // The other side may be gone already.
    let _: std::io::Result<()> = to.shutdown(Shutdown::Write);
    let _: std::io::Result<()> = from.shutdown(Shutdown::Read);
}

fn deliver(receiver: Receiver<(Instant, Vec<u8>)>, mut to: &TcpStream, state: &Watched<State>) {
    for (due, bytes) in receiver {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        while !state.read(|state| state.ended) && state.read(|state| state.is_cut) {
            // The end of patience is no end of the cut.
            let _: Option<()> = state.wait_for(|state| (!state.is_cut || state.ended).then_some(()));
        }
        if to.write_all(&bytes).is_err() {
            let _: std::io::Result<()> = to.shutdown(Shutdown::Both);
            return;
        }
    }
}
