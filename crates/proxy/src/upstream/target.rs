//! One target and this worker's connections to it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;
use portcullis_core::Timestamp;
use portcullis_pipeline::settings::{PassiveHealth, TargetAddress};

use super::connection::{Http1Connection, Http2Sender};
use super::health::TargetHealth;

/// One target of one service, as one worker sees it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) index: u32,
    pub(crate) address: TargetAddress,
    /// The `Host` that it answers to when the client's is not preserved.
    pub(crate) host: HeaderValue,
    pub(crate) health: Arc<TargetHealth>,
    pub(crate) requests: Cell<usize>,
    /// Used last, reused first: the others grow cold and are closed by the service.
    #[expect(clippy::vec_box, reason = "a connection is large and moves in and out for every request")]
    idle: RefCell<Vec<Box<Http1Connection>>>,
    http2: RefCell<Option<Http2Sender>>,
}

impl Target {
    pub(crate) fn new(index: u32, address: TargetAddress, health: Arc<TargetHealth>) -> Self {
        let host = own_host(&address);
        Self {
            index,
            host,
            address,
            health,
            requests: Cell::new(0),
            idle: RefCell::default(),
            http2: RefCell::default(),
        }
    }

    pub(crate) fn inherit(&self, old: &Self) {
        self.idle.borrow_mut().append(&mut old.idle.borrow_mut());
        *self.http2.borrow_mut() = old.http2.borrow().clone();
    }

    pub(crate) fn take_idle(&self) -> Option<Box<Http1Connection>> {
        self.idle.borrow_mut().pop()
    }

    /// Keeps a connection for the next request, unless it is spent or there are enough.
    pub(crate) fn keep(&self, connection: Box<Http1Connection>, most: usize) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < most && connection.is_reusable() {
            connection.rest();
            idle.push(connection);
        }
    }

    pub(crate) fn http2(&self) -> Option<Http2Sender> {
        self.http2.borrow().as_ref().filter(|sender| !sender.is_closed()).cloned()
    }

    pub(crate) fn set_http2(&self, sender: Http2Sender) {
        *self.http2.borrow_mut() = Some(sender);
    }
}

fn own_host(address: &TargetAddress) -> HeaderValue {
    let default_port = if address.secure { 443 } else { 80 };
    let name = if address.host.contains(':') { format!("[{}]", address.host) } else { address.host.clone() };
    let text = if address.port == default_port { name } else { format!("{name}:{}", address.port) };
    // The host came out of a URI, so it is a valid header value.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("invalid"))
}

/// A request under way: counts for the target while it lives.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) target: Rc<Target>,
    /// Whether an outcome was told to the target's health.
    told: Cell<bool>,
}

impl InFlight {
    pub(crate) fn new(target: Rc<Target>) -> Self {
        target.requests.set(target.requests.get() + 1);
        Self { target, told: Cell::new(false) }
    }

    pub(crate) fn succeeded(&self) {
        self.told.set(true);
        self.target.health.succeeded();
    }

    pub(crate) fn failed(&self, now: Timestamp, rules: &PassiveHealth, cause: &str) {
        self.told.set(true);
        self.target.health.failed(now, rules, cause);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.target.requests.set(self.target.requests.get().saturating_sub(1));
        if !self.told.get() {
            self.target.health.release_probe();
        }
    }
}
