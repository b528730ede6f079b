//! New connections go to the worker that has the fewest.
//!
//! The kernel spreads connections over the workers' sockets by a hash. Over millions that is even; of the few and
//! long-lived connections that a proxy in front or a busy client keeps, one worker may get most while another idles.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::admission::Place;

/// How many connections each worker has, and the way to give it another.
pub(crate) struct Balance {
    workers: Vec<Desk>,
}

struct Desk {
    connections: AtomicUsize,
    /// Unbounded, because [`Place`] bounds the connections of the whole gateway.
    newcomers: UnboundedSender<Newcomer>,
}

/// A connection that one worker accepted for another.
pub(crate) struct Newcomer {
    pub(crate) stream: std::net::TcpStream,
    pub(crate) visit: Visit,
}

/// What comes with a connection that was let in.
pub(crate) struct Visit {
    pub(crate) socket: SocketAddr,
    /// The place of its listener in the configuration.
    pub(crate) listener: usize,
    /// Given back, like the seat, when the connection ends.
    pub(crate) place: Place,
    pub(crate) seat: Seat,
}

/// A connection counts for its worker while this lives.
pub(crate) struct Seat {
    balance: Arc<Balance>,
    worker: usize,
}

impl Balance {
    /// For so many workers, with the newcomers of each.
    pub(crate) fn new(workers: usize) -> (Arc<Self>, Vec<UnboundedReceiver<Newcomer>>) {
        let (workers, receivers) = (0..workers)
            .map(|_| {
                let (newcomers, receiver) = unbounded_channel();
                (Desk { connections: AtomicUsize::new(0), newcomers }, receiver)
            })
            .unzip();
        (Arc::new(Self { workers }), receivers)
    }

    /// A seat for a connection that `own` accepted: with itself, unless another has fewer connections.
    pub(crate) fn seat(self: &Arc<Self>, own: usize) -> Seat {
        let load = |desk: &Desk| desk.connections.load(Ordering::Relaxed);
        let own_load = self.workers.get(own).map_or(usize::MAX, load);
        let fewest = self.workers.iter().map(load).enumerate().min_by_key(|&(_, load)| load);
        let worker = fewest.filter(|&(_, load)| load < own_load).map_or(own, |(worker, _)| worker);
        if let Some(desk) = self.workers.get(worker) {
            desk.connections.fetch_add(1, Ordering::Relaxed);
        }
        Seat { balance: Arc::clone(self), worker }
    }

    /// Gives a connection to the worker of its seat; back, if that worker has ended.
    pub(crate) fn hand_over(&self, newcomer: Newcomer) -> Result<(), Newcomer> {
        match self.workers.get(newcomer.visit.seat.worker) {
            Some(desk) => desk.newcomers.send(newcomer).map_err(|refused| refused.0),
            None => Err(newcomer),
        }
    }
}

impl Seat {
    /// Whether it is with this worker.
    pub(crate) const fn is_with(&self, worker: usize) -> bool {
        self.worker == worker
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(desk) = self.balance.workers.get(self.worker) {
            desk.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_one_worker_accepts_are_spread_over_all() {
        let (balance, _receivers) = Balance::new(3);
        let seats: Vec<Seat> = (0..30).map(|_| balance.seat(1)).collect();
        for worker in 0..3 {
            assert_eq!(seats.iter().filter(|seat| seat.is_with(worker)).count(), 10, "{worker}");
        }
    }

    #[test]
    fn a_connection_stays_where_it_was_accepted_if_no_worker_has_fewer() {
        let (balance, _receivers) = Balance::new(3);
        let _first = balance.seat(2);
        assert!(balance.seat(1).is_with(1));
        drop(_first);
        assert!(balance.seat(2).is_with(2), "a seat is given back when its connection ends");
    }
}
