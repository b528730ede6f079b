//! One client's connection, as the exchanges on it see it.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use portcullis_core::{ClientCertificate, Reason};
use portcullis_pipeline::settings::Protocol;

use crate::tunnel::Tunnel;
use crate::wire::{Answering, CoarseClock, GuardHandle};

/// The two ends of a client's connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    /// The client's.
    pub(crate) socket: SocketAddr,
    /// The gateway's.
    pub(crate) local: SocketAddr,
}

/// What is known of a client once its connection stands.
#[derive(Debug)]
pub(crate) struct Visitor {
    /// Its two ends.
    pub(crate) ends: Ends,
    /// Whether the connection is encrypted.
    pub(crate) secure: bool,
    /// The certificate that it showed.
    pub(crate) certificate: Option<Arc<ClientCertificate>>,
}

/// One client's connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) socket: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) secure: bool,
    pub(crate) certificate: Option<Arc<ClientCertificate>>,
    /// The address as the service is told it, once it was told.
    address: OnceCell<HeaderValue>,
    /// HTTP/1 only.
    pub(crate) guard: Option<GuardHandle>,
    exchanges: Cell<usize>,
    /// Whether there ever was an exchange.
    has_asked: Cell<bool>,
    abandoned: Abandoned,
    give_up_at: Cell<Option<u64>>,
    /// What the connection becomes once the answer that says so is out.
    pub(crate) tunnel: RefCell<Option<Tunnel>>,
}

impl Client {
    pub(crate) fn new(visitor: Visitor, guard: Option<GuardHandle>, clock: CoarseClock) -> Self {
        let Visitor { ends, secure, certificate } = visitor;
        Self {
            socket: ends.socket,
            local: ends.local,
            secure,
            certificate,
            address: OnceCell::new(),
            guard,
            exchanges: Cell::new(0),
            has_asked: Cell::new(false),
            abandoned: Abandoned { clock, count: Cell::new(0), since: Cell::new(0) },
            give_up_at: Cell::new(None),
            tunnel: RefCell::new(None),
        }
    }

    /// Says when, in the worker's time, an exchange must be over even if the client does not read its answer.
    pub(crate) fn give_up_at(&self, end: u64) {
        self.give_up_at.set(Some(self.give_up_at.get().map_or(end, |known| known.max(end))));
    }

    /// When the last exchange must be over.
    pub(crate) fn patience_ends(&self) -> u64 {
        self.give_up_at.get().unwrap_or(u64::MAX)
    }

    /// Counts an exchange, until the token is dropped with the body of its answer.
    pub(crate) fn begin(self: &Rc<Self>) -> UnderWay {
        self.exchanges.set(self.exchanges.get() + 1);
        self.has_asked.set(true);
        UnderWay { client: Rc::clone(self), is_answered: false }
    }

    /// How many exchanges are not over.
    pub(crate) fn exchanges(&self) -> usize {
        self.exchanges.get()
    }

    /// How long the client may be silent while nothing is under way. One that has not asked for anything yet is not
    /// given longer than one that has begun to.
    pub(crate) fn patience(&self, protocol: &Protocol) -> Duration {
        let idle = protocol.idle_timeout;
        if self.has_asked.get() { idle } else { idle.min(protocol.header_timeout) }
    }

    /// How many exchanges the client gave up lately before they were answered. With HTTP/2 that costs a client next to
    /// nothing and the service a request each (CVE-2023-44487).
    pub(crate) fn abandoned(&self) -> u32 {
        self.abandoned.count.get()
    }

    /// Whether the connection leaves HTTP with the present answer.
    pub(crate) fn becomes_tunnel(&self) -> bool {
        self.tunnel.borrow().is_some()
    }

    /// The text of the client's address: of the connection's own it is made once.
    pub(crate) fn address_text(&self, client: IpAddr) -> Option<HeaderValue> {
        if client != self.socket.ip() {
            return HeaderValue::try_from(client.to_string()).ok();
        }
        if self.address.get().is_none() {
            let _: Result<(), HeaderValue> =
                self.address.set(HeaderValue::try_from(client.to_string()).ok()?);
        }
        self.address.get().cloned()
    }

    /// Says that a request is being answered, for as long as the token lives.
    pub(crate) fn answering(&self) -> Option<Answering> {
        self.guard.as_ref().map(GuardHandle::answering)
    }

    /// The target of the next request as it came, where hyper shows another. To be called once for each, in their order.
    pub(crate) fn next_target(&self) -> Option<Box<[u8]>> {
        self.guard.as_ref().and_then(GuardHandle::next_target)
    }

    /// What the client did wrong on the wire, if it did.
    pub(crate) fn fault(&self) -> Option<Reason> {
        self.guard.as_ref()?.fault().map(|fault| fault.reason)
    }

    /// Tells the guard whether a request with `Upgrade` got its protocol.
    pub(crate) fn upgraded(&self, switched: bool) {
        if let Some(guard) = &self.guard {
            guard.upgraded(switched);
        }
    }
}

/// An exchange that is not over. Belongs into the body of its answer, to be dropped with it.
#[derive(Debug)]
pub(crate) struct UnderWay {
    client: Rc<Client>,
    is_answered: bool,
}

impl UnderWay {
    /// The head of the answer is there.
    pub(crate) fn answered(&mut self) {
        self.is_answered = true;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.client.exchanges.set(self.client.exchanges.get().saturating_sub(1));
        if !self.is_answered {
            self.client.abandoned.add_one();
        }
    }
}

/// Counts for a minute, then anew: browsers give requests up too, and their connections live long.
#[derive(Debug)]
struct Abandoned {
    clock: CoarseClock,
    count: Cell<u32>,
    /// When the minute began, in the worker's time.
    since: Cell<u64>,
}

impl Abandoned {
    /// The time in which [`Client::abandoned`] counts, in milliseconds.
    const WINDOW: u64 = 60_000;

    fn add_one(&self) {
        let now = self.clock.now();
        if now.saturating_sub(self.since.get()) >= Self::WINDOW {
            self.since.set(now);
            self.count.set(0);
        }
        self.count.set(self.count.get().saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_gave_up_is_forgotten_after_a_minute() {
        let clock = CoarseClock::default();
        let ends = Ends {
            socket: SocketAddr::from(([192, 0, 2, 1], 1)),
            local: SocketAddr::from(([192, 0, 2, 2], 2)),
        };
        let visitor = Visitor { ends, secure: false, certificate: None };
        let client = Rc::new(Client::new(visitor, None, clock.clone()));
        let mut most = 0;
        // A day of a client that gives two requests up each second and has one answered in between.
        for at in (0..86_400_000).step_by(1_000) {
            clock.set(at);
            drop((client.begin(), client.begin()));
            client.begin().answered();
            most = most.max(client.abandoned());
        }
        assert_eq!(most, 120, "two each second, in a minute");
        // And one that does so as fast as it can.
        (0..1_000).for_each(|_| drop(client.begin()));
        assert!(client.abandoned() >= 1_000);
    }
}
