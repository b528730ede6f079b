//! One client's connection, as the exchanges on it see it.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use http::HeaderValue;
use portcullis_core::Reason;

use crate::tunnel::Tunnel;
use crate::wire::{Answering, GuardHandle};

/// One client's connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) socket: SocketAddr,
    pub(crate) secure: bool,
    /// The address as the service is told it, once it was told.
    address: OnceCell<HeaderValue>,
    /// HTTP/1 only.
    pub(crate) guard: Option<GuardHandle>,
    exchanges: Cell<usize>,
    abandoned: Cell<u32>,
    give_up_at: Cell<Option<u64>>,
    /// What the connection becomes once the answer that says so is out.
    pub(crate) tunnel: RefCell<Option<Tunnel>>,
}

impl Client {
    pub(crate) const fn new(socket: SocketAddr, secure: bool, guard: Option<GuardHandle>) -> Self {
        Self {
            socket,
            secure,
            address: OnceCell::new(),
            guard,
            exchanges: Cell::new(0),
            abandoned: Cell::new(0),
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
        UnderWay { client: Rc::clone(self), is_answered: false }
    }

    /// How many exchanges are not over.
    pub(crate) fn exchanges(&self) -> usize {
        self.exchanges.get()
    }

    /// How many exchanges the client gave up before they were answered. With HTTP/2 that costs a client next to
    /// nothing and the service a request each (CVE-2023-44487).
    pub(crate) fn abandoned(&self) -> u32 {
        self.abandoned.get()
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
            self.client.abandoned.set(self.client.abandoned.get().saturating_add(1));
        }
    }
}
