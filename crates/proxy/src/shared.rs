//! What the workers have in common, and what each of them has for itself.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use portcullis_core::{Clock, Notes, RequestId, SystemClock};
use portcullis_oidc::{Fetch, KeySource};
use portcullis_pipeline::metrics::{ServedCertificate, TargetId};
use portcullis_pipeline::settings::Upstream;
use portcullis_pipeline::{Need, RecordedChanges, Service, Snapshot};
use portcullis_store::redis::{Link, Redis, Told};
use tokio::sync::Notify;
use tokio_rustls::rustls::ClientConfig;

use crate::admission::Admission;
use crate::balance::Balance;
use crate::deadline::Deadlines;
use crate::event::{Event, KeyWatch, Reporter};
use crate::scan::Scanner;
use crate::tls::{self, ListenerState, TlsError};
use crate::upstream::{Availability, HealthBook, Pool};

/// A snapshot with what the proxy made of it: the same for all workers.
pub(crate) struct Prepared {
    pub(crate) snapshot: Arc<Snapshot>,
    /// By listener.
    server_tls: Vec<Option<Arc<ListenerState>>>,
    /// By service.
    client_tls: Vec<Option<Arc<ClientConfig>>>,
}

impl Prepared {
    pub(crate) fn new(snapshot: Arc<Snapshot>) -> Result<Self, TlsError> {
        let server_tls = snapshot
            .listeners
            .iter()
            .map(|listener| {
                let state = listener.tls.clone().map(ListenerState::new).transpose()?;
                Ok(state.map(Arc::new))
            })
            .collect::<Result<_, TlsError>>()?;
        let needs_tls = |upstream: &Upstream| upstream.targets.iter().any(|target| target.secure);
        let client_tls = snapshot
            .services
            .iter()
            .map(|service| {
                let upstream = &service.upstream;
                needs_tls(upstream).then(|| tls::client_config(&upstream.tls, upstream.protocol)).transpose()
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { snapshot, server_tls, client_tls })
    }

    /// The TLS of a listener, by its place in the configuration.
    pub(crate) fn server_tls(&self, listener: usize) -> Option<&Arc<ListenerState>> {
        self.server_tls.get(listener).and_then(Option::as_ref)
    }

    pub(crate) fn client_tls(&self, service: usize) -> Option<&Arc<ClientConfig>> {
        self.client_tls.get(service).and_then(Option::as_ref)
    }
}

/// What the workers have in common.
pub(crate) struct Shared {
    pub(crate) prepared: ArcSwap<Prepared>,
    /// Counts the changes of `prepared`, so that a worker sees with one load whether it is up to date.
    pub(crate) version: AtomicU64,
    pub(crate) draining: AtomicBool,
    pub(crate) health: HealthBook,
    pub(crate) admission: Arc<Admission>,
    pub(crate) balance: Arc<Balance>,
    pub(crate) fetch: Arc<dyn Fetch>,
    pub(crate) reporter: Reporter,
    pub(crate) key_watch: KeyWatch,
    pub(crate) recorded_changes: tokio::sync::Mutex<RecordedChanges>,
}

impl Shared {
    pub(crate) fn new(
        prepared: &Arc<Prepared>,
        fetch: Arc<dyn Fetch>,
        balance: Arc<Balance>,
        reporter: Reporter,
    ) -> Self {
        Self {
            prepared: ArcSwap::new(Arc::clone(prepared)),
            version: AtomicU64::new(1),
            draining: AtomicBool::new(false),
            health: HealthBook::new(reporter.clone()),
            admission: Arc::default(),
            balance,
            fetch,
            key_watch: KeyWatch::new(reporter.clone()),
            recorded_changes: tokio::sync::Mutex::default(),
            reporter,
        }
    }

    /// Fetches the keys of `source`, which a request needs. Whether it brought any shows in the source.
    async fn fetch_keys(&self, source: &KeySource, snapshot: &Snapshot) {
        let outcome = source.refresh(&*self.fetch, SystemClock.now()).await;
        self.key_watch.note(source, outcome, &snapshot.metrics);
    }

    /// Fetches the keys of `source` if it is time.
    pub(crate) async fn keep_keys(&self, source: &KeySource, snapshot: &Snapshot) {
        let outcome = source.refresh_if_due(&*self.fetch, SystemClock.now()).await;
        self.key_watch.note(source, outcome, &snapshot.metrics);
    }

    /// The URLs of the key sets of which there are no usable keys.
    pub(crate) fn missing_key_sets(&self) -> Vec<String> {
        let prepared = self.prepared.load();
        let now = SystemClock.now();
        let sources = prepared.snapshot.authentication.key_sources().iter();
        let missing = sources.filter(|source| !source.is_ready(now));
        missing.filter_map(|source| source.url().map(ToString::to_string)).collect()
    }

    /// The names of the services none of whose targets may be asked.
    pub(crate) fn services_without_target(&self) -> Vec<String> {
        let prepared = self.prepared.load();
        let now = SystemClock.now();
        let is_down = |service: &&Service| {
            let mut targets = service.upstream.targets.iter();
            targets
                .all(|target| self.health.of(&service.name, target).availability(now) == Availability::Down)
        };
        prepared.snapshot.services.iter().filter(is_down).map(|service| service.name.to_string()).collect()
    }

    /// Tells the metrics which targets are asked now.
    pub(crate) fn publish_health(&self) {
        let prepared = self.prepared.load();
        let now = SystemClock.now();
        for service in &prepared.snapshot.services {
            for (place, target) in (service.first_target.0..).zip(&service.upstream.targets) {
                let is_well = self.health.of(&service.name, target).is_well(now);
                prepared.snapshot.metrics.upstream_health(TargetId(place), is_well);
            }
        }
    }

    /// Tells the metrics which certificates are shown, and when they end.
    pub(crate) fn publish_certificates(&self) {
        let prepared = self.prepared.load();
        let mut shown = Vec::new();
        for (index, listener) in prepared.snapshot.listeners.iter().enumerate() {
            let Some(tls) = prepared.server_tls(index) else { continue };
            for served in &tls.current().served {
                let Some(not_after) = served.not_after else { continue };
                let (listener, file) = (listener.name.clone(), served.file.clone());
                shown.push(ServedCertificate { listener, file, not_after });
            }
        }
        prepared.snapshot.metrics.served_certificates(shown);
    }

    pub(crate) fn replace(&self, prepared: Arc<Prepared>) {
        self.prepared.store(prepared);
        self.version.fetch_add(1, Ordering::Release);
    }
}

/// A snapshot as one worker uses it, with the worker's own connections to the services.
pub(crate) struct Current {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) prepared: Arc<Prepared>,
    /// By service.
    pub(crate) pools: Vec<Pool>,
    version: u64,
}

/// One thread's own world.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) deadlines: Rc<Deadlines>,
    pub(crate) scanner: Scanner,
    current: RefCell<Rc<Current>>,
    connections: Cell<usize>,
    /// Told when the last connection ends.
    idle: Notify,
    ids: Cell<u128>,
    /// To the store that is shared with other gateways, if there is one.
    link: RefCell<Option<Link>>,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, seed: u128) -> Rc<Self> {
        let version = shared.version.load(Ordering::Acquire);
        let current = Current::new(shared.prepared.load_full(), version, &shared.health, None);
        Rc::new(Self {
            shared,
            deadlines: Deadlines::new(),
            scanner: Scanner::default(),
            current: RefCell::new(Rc::new(current)),
            connections: Cell::new(0),
            idle: Notify::new(),
            ids: Cell::new(seed),
            link: RefCell::new(None),
        })
    }

    /// Fetches what a request needs, into its notes or to where the stages will find it.
    pub(crate) async fn fetch(&self, need: &Need, snapshot: &Snapshot, notes: &mut Notes) {
        match need {
            Need::Limits(_, ask) => {
                let link = self.link(ask.redis());
                notes.shared_count = Some(Box::new(ask.send(&link).await));
            }
            Need::Quotas(ask) => {
                // Boxed, as are the others: few requests ask, and all would carry it.
                let count = Box::pin(ask.count()).await;
                for crossing in ask.crossings(&count) {
                    snapshot.metrics.quota_reached(&crossing.quota, crossing.percent);
                    self.shared.reporter.tell(Event::QuotaReached(crossing));
                }
                notes.bill = ask.bill(&count);
                notes.quota_count = Some(Box::new(count));
            }
            Need::Token(question) => {
                Box::pin(question.ask(&*self.shared.fetch, SystemClock.now())).await;
            }
            Need::Authentication(portcullis_authn::Need::Keys(source)) => {
                self.shared.fetch_keys(source, snapshot).await;
            }
            Need::Authentication(portcullis_authn::Need::ApiKey(question)) => {
                Box::pin(question.ask(SystemClock.now())).await;
            }
            Need::Authentication(portcullis_authn::Need::Introspection(question)) => {
                Box::pin(question.ask(&*self.shared.fetch, SystemClock.now())).await;
            }
            Need::Authentication(portcullis_authn::Need::Login(question)) => {
                Box::pin(question.ask(&*self.shared.fetch, SystemClock.now())).await;
            }
        }
    }

    /// Opens the connection to the shared store, so that the first request finds it open.
    pub(crate) fn open_link(&self) {
        if let Some(redis) = &self.current().snapshot.store.redis {
            self.link(redis).open();
        }
    }

    /// This worker's connection to the shared store. After a reload it may be another store.
    fn link(&self, redis: &Arc<Redis>) -> Link {
        let mut slot = self.link.borrow_mut();
        match &*slot {
            Some(link) if Arc::ptr_eq(link.redis(), redis) => link.clone(),
            _ => {
                let reporter = self.shared.reporter.clone();
                let link = Link::new(redis, move |told| {
                    reporter.tell(match told {
                        Told::Lost { cause } => Event::StoreLost { cause },
                        Told::Back => Event::StoreBack,
                    });
                });
                *slot = Some(link.clone());
                link
            }
        }
    }

    /// The newest configuration. A request asks once and keeps what it got to its end.
    pub(crate) fn current(&self) -> Rc<Current> {
        let version = self.shared.version.load(Ordering::Acquire);
        let known = Rc::clone(&self.current.borrow());
        if known.version == version {
            return known;
        }
        let newest = Rc::new(Current::new(
            self.shared.prepared.load_full(),
            version,
            &self.shared.health,
            Some(&known),
        ));
        *self.current.borrow_mut() = Rc::clone(&newest);
        newest
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Relaxed)
    }

    /// Counts a connection until the token is dropped.
    pub(crate) fn begin(self: &Rc<Self>) -> Busy {
        self.connections.set(self.connections.get() + 1);
        Busy(Rc::clone(self))
    }

    /// Waits until there is no connection.
    pub(crate) async fn idle(&self) {
        while self.connections.get() > 0 {
            self.idle.notified().await;
        }
    }

    /// A new request id: a permutation of a counter with a random start, so ids neither repeat nor tell
    /// how many requests there were.
    pub(crate) fn next_id(&self) -> RequestId {
        let next = self.ids.get().wrapping_add(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        self.ids.set(next);
        let mut mixed = next;
        mixed = (mixed ^ (mixed >> 67)).wrapping_mul(0xda94_2042_e4dd_58b5_2127_599b_f432_5c37);
        mixed = (mixed ^ (mixed >> 71)).wrapping_mul(0xaef1_7502_108e_f2d9_87f4_5a2d_6c1b_3e05);
        RequestId(mixed ^ (mixed >> 64))
    }
}

/// A connection that draining waits for.
pub(crate) struct Busy(Rc<Worker>);

impl Busy {
    pub(crate) const fn worker(&self) -> &Rc<Worker> {
        &self.0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get().saturating_sub(1));
        if self.0.connections.get() == 0 {
            self.0.idle.notify_one();
        }
    }
}

impl Current {
    fn new(prepared: Arc<Prepared>, version: u64, health: &HealthBook, previous: Option<&Self>) -> Self {
        let snapshot = Arc::clone(&prepared.snapshot);
        let pools = snapshot
            .services
            .iter()
            .enumerate()
            .map(|(index, service)| {
                let pool = Pool::new(service, prepared.client_tls(index).cloned(), health);
                let same =
                    |old: &Self| old.snapshot.services.iter().position(|other| other.name == service.name);
                if let Some(old) = previous.and_then(|old| same(old).and_then(|index| old.pools.get(index))) {
                    pool.inherit(old);
                }
                pool
            })
            .collect();
        Self { snapshot, prepared, pools, version }
    }
}
