//! The gateway as a whole: one thread per processor core, each with its own runtime, listeners and connections.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use portcullis_pipeline::Snapshot;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;

use crate::balance::{Balance, Newcomer, Visit};
use crate::connection::{self, Entrance};
use crate::event::Reporter;
use crate::housekeeping::Housekeeping;
use crate::observer::Observer;
use crate::shared::{Prepared, Shared, Worker};
use crate::tls::TlsError;

/// A gateway that serves.
pub struct Gateway {
    shared: Arc<Shared>,
    addresses: Vec<Named>,
    drain: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
    housekeeping: Housekeeping,
}

/// Why a gateway does not start or a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A listener's address cannot be used.
    #[error("the listener `{name}` cannot use {address}: {error}")]
    Listen {
        /// The listener.
        name: String,
        /// Its address.
        address: SocketAddr,
        /// The operating system's word.
        error: io::Error,
    },
    /// A certificate, key or authority cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No thread, runtime or randomness to be had.
    #[error("the operating system refuses: {0}")]
    System(#[from] io::Error),
    /// Listeners are opened once.
    #[error("listeners, workers and the admin address cannot change while the gateway runs; restart it")]
    ListenersChanged,
}

/// A gateway whose listeners are open and that does not serve yet. Clients that connect wait.
pub struct Opened {
    prepared: Arc<Prepared>,
    addresses: Vec<Named>,
    /// By worker.
    sockets: Vec<Sockets>,
    housekeeping: Housekeeping,
}

impl Opened {
    /// Starts to serve. `reporter` hears what happens beside the requests.
    ///
    /// # Errors
    /// When a thread cannot be had. Nothing is left running then.
    pub fn serve(self, reporter: Reporter) -> Result<Gateway, GatewayError> {
        let Self { prepared, addresses, sockets, housekeeping } = self;
        let (balance, newcomers) = Balance::new(sockets.len());
        let shared = Arc::new(Shared::new(&prepared, housekeeping.fetch(), balance, reporter));
        housekeeping.follow_now(&shared);
        housekeeping.look_after(&shared, &prepared);
        let (drain, draining) = watch::channel(false);
        let mut workers = Vec::with_capacity(sockets.len());
        for (index, (sockets, newcomers)) in sockets.into_iter().zip(newcomers).enumerate() {
            let entry = Entry { index, sockets, newcomers };
            let (shared, draining) = (Arc::clone(&shared), draining.clone());
            let name = format!("worker-{index}");
            workers.push(
                std::thread::Builder::new().name(name).spawn(move || run_worker(shared, entry, draining))?,
            );
        }
        Ok(Gateway { shared, addresses, drain, workers, housekeeping })
    }
}

impl Gateway {
    /// Opens every listener and what else can fail, and serves nobody yet.
    ///
    /// # Errors
    /// When a listener, a certificate or a thread cannot be had.
    pub fn open(snapshot: Arc<Snapshot>) -> Result<Opened, GatewayError> {
        let prepared = Arc::new(Prepared::new(Arc::clone(&snapshot))?);
        let count = snapshot
            .workers
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
            .max(1);
        let (addresses, sockets) = open_all(&snapshot, count)?;
        Ok(Opened { prepared, addresses, sockets, housekeeping: Housekeeping::start()? })
    }

    /// Where it listens: the listeners' names with their real addresses.
    #[must_use]
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// The configuration in force.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.shared.prepared.load().snapshot)
    }

    /// Serves by another configuration from now on. Requests under way end under the one they began with.
    ///
    /// # Errors
    /// When the new configuration cannot be used; the old one stays in force.
    pub fn replace(&self, snapshot: Arc<Snapshot>) -> Result<(), GatewayError> {
        let old = self.snapshot();
        let addresses = |snapshot: &Snapshot| -> Vec<_> {
            snapshot
                .listeners
                .iter()
                .map(|it| (it.name.clone(), it.address, it.proxy_protocol, it.tls.is_some()))
                .collect()
        };
        if addresses(&old) != addresses(&snapshot)
            || old.workers != snapshot.workers
            || old.admin != snapshot.admin
        {
            return Err(GatewayError::ListenersChanged);
        }
        let prepared = Arc::new(Prepared::new(snapshot)?);
        self.housekeeping.look_after(&self.shared, &prepared);
        self.shared.replace(prepared);
        Ok(())
    }

    /// What operators are told of it.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer { shared: Arc::clone(&self.shared) }
    }

    /// Stops accepting, lets what is under way finish for at most the configured time, and ends.
    pub fn drain(self) {
        self.shared.draining.store(true, Ordering::Relaxed);
        self.drain.send_replace(true);
        for worker in self.workers {
            // A worker that panicked has nothing left to finish.
            let _: std::thread::Result<()> = worker.join();
        }
        self.housekeeping.follow_now(&self.shared);
        let snapshot = Arc::clone(&self.shared.prepared.load().snapshot);
        // Counted by the log itself if it fails; there is nobody left to tell.
        let _: io::Result<()> = snapshot.audit.flush();
    }
}

/// One socket per listener and worker, on the same addresses: the kernel spreads connections over them.
type Sockets = Vec<std::net::TcpListener>;

/// The ways on which connections come to a worker.
struct Entry {
    /// Which worker it is.
    index: usize,
    sockets: Sockets,
    newcomers: UnboundedReceiver<Newcomer>,
}

/// A listener's name with its real address.
type Named = (String, SocketAddr);

fn open_all(snapshot: &Snapshot, workers: usize) -> Result<(Vec<Named>, Vec<Sockets>), GatewayError> {
    let mut by_worker: Vec<Sockets> = (0..workers).map(|_| Vec::new()).collect();
    let mut addresses = Vec::new();
    for listener in &snapshot.listeners {
        let mut address = listener.address;
        let failed =
            |error| GatewayError::Listen { name: listener.name.clone(), address: listener.address, error };
        refuse_shared(address).map_err(failed)?;
        for sockets in &mut by_worker {
            let socket = listen(address).map_err(failed)?;
            // Port 0 becomes a real one with the first socket; the others must share it.
            address = socket.local_addr().map_err(failed)?;
            sockets.push(socket);
        }
        addresses.push((listener.name.clone(), address));
    }
    Ok((addresses, by_worker))
}

/// The workers share an address, and so would any other program that asks the system for it in the same way, another
/// gateway above all: each would get a part of the connections. One that does not share is refused then.
fn refuse_shared(address: SocketAddr) -> io::Result<()> {
    let probe = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    probe.set_reuse_address(true)?;
    probe.bind(&address.into())
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

fn run_worker(shared: Arc<Shared>, entry: Entry, draining: watch::Receiver<bool>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default());
    // Start-up made sure that threads and sockets can be had; a runtime that cannot be built now means that
    // the process is out of file descriptors and its other workers go on alone.
    let Ok(runtime) = runtime else { return };
    runtime.block_on(async move {
        let mut seed = [0; 16];
        if getrandom::fill(&mut seed).is_err() {
            return;
        }
        let worker = Worker::new(Arc::clone(&shared), u128::from_ne_bytes(seed));
        tokio::task::spawn_local(Rc::clone(&worker.deadlines).run());
        worker.open_link();
        for (listener, socket) in entry.sockets.into_iter().enumerate() {
            let Ok(socket) = TcpListener::from_std(socket) else { continue };
            let door = Door { worker: Rc::clone(&worker), index: entry.index, listener };
            tokio::task::spawn_local(door.accept(socket, draining.clone()));
        }
        tokio::task::spawn_local(receive(Rc::clone(&worker), entry.newcomers));
        let mut draining = draining;
        // An error means that the gateway itself is gone: the same as being told to stop.
        let _: Result<_, watch::error::RecvError> = draining.wait_for(|is_draining| *is_draining).await;
        worker.deadlines.wake_all();
        let drain_timeout = shared.prepared.load().snapshot.drain_timeout;
        // What does not finish in time is cut off by the end of the runtime.
        let _: Result<(), tokio::time::error::Elapsed> =
            tokio::time::timeout(drain_timeout, worker.idle()).await;
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
}

/// One worker's socket of one listener.
struct Door {
    worker: Rc<Worker>,
    /// Which worker it is.
    index: usize,
    /// The place of the listener in the configuration.
    listener: usize,
}

impl Door {
    async fn accept(self, socket: TcpListener, mut draining: watch::Receiver<bool>) {
        loop {
            let accepted = tokio::select! {
                biased;
                _ = draining.wait_for(|is_draining| *is_draining) => break,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => self.admit(stream, address),
                // Out of file descriptors, most likely: wait for some to be given back.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn admit(&self, stream: TcpStream, socket: SocketAddr) {
        let shared = &self.worker.shared;
        let current = self.worker.current();
        let snapshot = &current.snapshot;
        let Some(mut place) = shared.admission.admit(&snapshot.protocol) else {
            return snapshot.metrics.connection_refused();
        };
        // Behind a load balancer that speaks the PROXY protocol, the client is known when its header was read.
        let is_announced = snapshot.listeners.get(self.listener).is_some_and(|it| it.proxy_protocol);
        if !is_announced && !connection::has_share(&mut place, snapshot, socket.ip()) {
            return snapshot.metrics.connection_refused();
        }
        snapshot.metrics.connection_opened();
        let seat = shared.balance.seat(self.index);
        let visit = Visit { socket, listener: self.listener, place, seat };
        if visit.seat.is_with(self.index) {
            return serve(&self.worker, stream, visit);
        }
        // A stream that cannot change its worker is closed: it is broken already.
        let Ok(stream) = stream.into_std() else { return snapshot.metrics.connection_closed() };
        if shared.balance.hand_over(Newcomer { stream, visit }).is_err() {
            snapshot.metrics.connection_closed();
        }
    }
}

/// Serves what other workers accepted for this one.
async fn receive(worker: Rc<Worker>, mut newcomers: UnboundedReceiver<Newcomer>) {
    while let Some(Newcomer { stream, visit }) = newcomers.recv().await {
        match TcpStream::from_std(stream) {
            Ok(stream) => serve(&worker, stream, visit),
            Err(_) => worker.current().snapshot.metrics.connection_closed(),
        }
    }
}

fn serve(worker: &Rc<Worker>, stream: TcpStream, visit: Visit) {
    let current = worker.current();
    let metrics = Arc::clone(&current.snapshot.metrics);
    let Some(listener) = current.snapshot.listeners.get(visit.listener) else {
        return metrics.connection_closed();
    };
    let tls = current.prepared.server_tls(visit.listener).map(|state| state.current());
    let entrance = Entrance { tls, proxy_protocol: listener.proxy_protocol };
    let busy = worker.begin();
    tokio::task::spawn_local(async move {
        let mut visit = visit;
        connection::serve(Rc::clone(busy.worker()), entrance, stream, &mut visit).await;
        metrics.connection_closed();
        drop((busy, visit));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_another_gateway_listens_at_is_refused() {
        let other = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = other.local_addr().unwrap();
        assert_eq!(refuse_shared(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(other);
        assert!(refuse_shared(address).is_ok());
    }
}
