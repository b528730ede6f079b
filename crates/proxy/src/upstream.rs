//! The targets of a service: choosing one, keeping connections to it, knowing whether it is well.

mod bell;
mod connection;
mod health;
mod target;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use portcullis_core::Timestamp;
use portcullis_pipeline::Service;
use portcullis_pipeline::metrics::TargetId;
use portcullis_pipeline::settings::{Balance, Upstream, UpstreamProtocol};
use tokio_rustls::rustls::ClientConfig;

pub(crate) use connection::{
    ConnectFailure, Connected, Http1Connection, LocalExecutor, Parts, connect, open,
};
pub(crate) use health::{Availability, HealthBook, check_actively};
pub(crate) use target::{InFlight, Target};

/// One service's targets as one worker sees them.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) settings: Upstream,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// The place of the first target in the metrics.
    pub(crate) first_target: TargetId,
    targets: Vec<Rc<Target>>,
    next: Cell<usize>,
}

/// No target may be asked now: all are down, open or full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoTarget;

impl Pool {
    /// A pool without connections. Health is shared with all workers by way of `book`.
    pub(crate) fn new(service: &Service, tls: Option<Arc<ClientConfig>>, book: &HealthBook) -> Self {
        let settings = &service.upstream;
        let targets = (0u32..)
            .zip(&settings.targets)
            .map(|(index, address)| {
                Rc::new(Target::new(index, address.clone(), book.of(&service.name, address)))
            })
            .collect();
        Self {
            settings: settings.clone(),
            tls,
            first_target: service.first_target,
            targets,
            next: Cell::new(0),
        }
    }

    /// Takes over the connections that `previous` has to the same targets.
    pub(crate) fn inherit(&self, previous: &Self) {
        if self.settings.protocol != previous.settings.protocol || self.settings.tls != previous.settings.tls
        {
            return;
        }
        for target in &self.targets {
            if let Some(old) = previous.targets.iter().find(|old| old.address == target.address) {
                target.inherit(old);
            }
        }
    }

    pub(crate) const fn speaks_http2(&self) -> bool {
        matches!(self.settings.protocol, UpstreamProtocol::Http2)
    }

    /// Chooses a target for one request, leaving out those in `tried` while there are others.
    pub(crate) fn choose(&self, now: Timestamp, tried: &[u32]) -> Result<Rc<Target>, NoTarget> {
        self.choose_among(now, |target| !tried.contains(&target.index))
            .or_else(|_| if tried.is_empty() { Err(NoTarget) } else { self.choose_among(now, |_| true) })
    }

    fn choose_among(
        &self,
        now: Timestamp,
        is_candidate: impl Fn(&Target) -> bool,
    ) -> Result<Rc<Target>, NoTarget> {
        let start = self.next.get();
        self.next.set(start.wrapping_add(1));
        let (before, after) = self.targets.split_at(start.checked_rem(self.targets.len()).unwrap_or(0));
        let mut best: Option<&Rc<Target>> = None;
        for target in after.iter().chain(before) {
            if !is_candidate(target) || target.requests.get() >= self.settings.requests {
                continue;
            }
            match target.health.availability(now) {
                Availability::Down => {}
                // The first request after a breaker's pause is the probe that decides about the rest.
                Availability::Probe => {
                    if target.health.claim_probe() {
                        return Ok(Rc::clone(target));
                    }
                }
                Availability::Up if self.settings.balance == Balance::RoundRobin => {
                    return Ok(Rc::clone(target));
                }
                Availability::Up => {
                    if best.is_none_or(|best| target.requests.get() < best.requests.get()) {
                        best = Some(target);
                    }
                }
            }
        }
        best.cloned().ok_or(NoTarget)
    }
}
