//! What the driver of a connection and its guard tell each other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::task::{Context, Waker};

use parking_lot::Mutex;

use super::{Fault, Framing, Phase};

/// Milliseconds since some fixed moment, advanced by a timer: good enough to tell slow clients, and read
/// without a system call. Clones are the same clock.
#[derive(Debug, Clone, Default)]
pub struct CoarseClock(Arc<AtomicU64>);

impl CoarseClock {
    /// Sets the time.
    pub fn set(&self, milliseconds: u64) {
        self.0.store(milliseconds, Relaxed);
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The driver's end of a [`Guard`](super::Guard). Clones are the same handle.
///
/// A connection lives on one thread; that this is `Send` all the same is what hyper asks of anything
/// that can be upgraded. Uncontended, it costs no more than a `Cell`.
#[derive(Debug, Clone)]
pub struct GuardHandle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: CoarseClock,
    phase: AtomicU8,
    requests: AtomicU64,
    body_bytes: AtomicU64,
    /// When the present phase of the present request began.
    since: AtomicU64,
    /// Waits in this phase that are over, in milliseconds.
    waited: AtomicU64,
    /// Whether a read waits for the client, and since when.
    waiting: AtomicBool,
    waiting_since: AtomicU64,
    answering: AtomicU32,
    /// Whether something was written and not flushed.
    unflushed: AtomicBool,
    decision: AtomicU8,
    fault: Mutex<Option<Fault>>,
    /// Of how many requests the driver has asked for the target.
    asked: AtomicU64,
    /// Whether there are targets.
    has_targets: AtomicBool,
    /// Targets as they came, with the ordinals of their requests. No more than heads that hyper has read ahead.
    targets: Mutex<VecDeque<(u64, Box<[u8]>)>>,
    reader: Mutex<Option<Waker>>,
}

impl GuardHandle {
    /// What the connection is in the middle of, as far as its bytes were read: with pipelining that may be a
    /// later request than the one being answered.
    #[must_use]
    pub fn phase(&self) -> Phase {
        PHASES
            .into_iter()
            .find(|phase| *phase as u8 == self.shared.phase.load(Relaxed))
            .unwrap_or(Phase::Faulted)
    }

    /// When the phase began, on the coarse clock. A body that follows another request's body is a new phase.
    #[must_use]
    pub fn since(&self) -> u64 {
        self.shared.since.load(Relaxed)
    }

    /// For how many milliseconds of this phase the gateway waited for the client. Time in which it did not
    /// want to read, because the service takes a body slowly, is not the client's and does not count.
    #[must_use]
    pub fn waited(&self) -> u64 {
        let now = self.shared.clock.now();
        let present = self.waiting_since().map_or(0, |since| now.saturating_sub(since));
        self.shared.waited.load(Relaxed).saturating_add(present)
    }

    /// Since when the gateway has waited for the client's next byte, if it waits.
    #[must_use]
    pub fn waiting_since(&self) -> Option<u64> {
        self.shared.waiting.load(Relaxed).then(|| self.shared.waiting_since.load(Relaxed))
    }

    /// How many heads were accepted on this connection.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Relaxed)
    }

    /// How many bytes of the present (or else the last) body were read, without its framing.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.shared.body_bytes.load(Relaxed)
    }

    /// The fault for which reading stopped.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        *self.shared.fault.lock()
    }

    /// The target of the next request as the client wrote it, if hyper does not show it so. To be called once for each request,
    /// in their order.
    #[must_use]
    pub fn next_target(&self) -> Option<Box<[u8]>> {
        let ordinal = self.shared.asked.load(Relaxed) + 1;
        self.shared.asked.store(ordinal, Relaxed);
        if !self.shared.has_targets.load(Relaxed) {
            return None;
        }
        let mut targets = self.shared.targets.lock();
        let is_next = targets.front().is_some_and(|(of, _)| *of == ordinal);
        let found = if is_next { targets.pop_front() } else { None };
        self.shared.has_targets.store(!targets.is_empty(), Relaxed);
        found.map(|(_, target)| target)
    }

    /// Whether all that was written went out to the client.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        !self.shared.unflushed.load(Relaxed)
    }

    /// Says that a request is being answered, for as long as the token lives. A fault in a later head is kept
    /// back until then, so that it does not cut the answer off.
    pub fn answering(&self) -> Answering {
        self.shared.answering.fetch_add(1, SeqCst);
        Answering(self.clone())
    }

    /// Says whether the request with Upgrade got its protocol (101); reading goes on accordingly. To be
    /// called once for every request that [`awaits_upgrade`](super::awaits_upgrade).
    pub fn upgraded(&self, switched: bool) {
        if self.phase() == Phase::UpgradePending {
            self.shared.decision.store(if switched { SWITCHED } else { STAYED }, SeqCst);
            self.wake_reader();
        }
    }

    pub(super) fn new(clock: CoarseClock) -> Self {
        let now = clock.now();
        Self {
            shared: Arc::new(Shared {
                clock,
                phase: AtomicU8::new(Phase::Idle as u8),
                requests: AtomicU64::new(0),
                body_bytes: AtomicU64::new(0),
                since: AtomicU64::new(now),
                waited: AtomicU64::new(0),
                waiting: AtomicBool::new(false),
                waiting_since: AtomicU64::new(now),
                answering: AtomicU32::new(0),
                unflushed: AtomicBool::new(false),
                decision: AtomicU8::new(UNDECIDED),
                fault: Mutex::new(None),
                asked: AtomicU64::new(0),
                has_targets: AtomicBool::new(false),
                targets: Mutex::default(),
                reader: Mutex::new(None),
            }),
        }
    }

    /// Publishes what the framing found.
    pub(super) fn publish(&self, framing: &Framing) {
        let shared = &self.shared;
        let phase = framing.phase();
        let changed = shared.phase.load(Relaxed) != phase as u8;
        if changed || shared.requests.load(Relaxed) != framing.requests() {
            shared.phase.store(phase as u8, Relaxed);
            shared.requests.store(framing.requests(), Relaxed);
            shared.since.store(shared.clock.now(), Relaxed);
            shared.waited.store(0, Relaxed);
        }
        shared.body_bytes.store(framing.body_bytes(), Relaxed);
        if phase == Phase::Faulted {
            *shared.fault.lock() = framing.fault();
        }
    }

    /// Keeps the target of a request as it came.
    pub(super) fn keep_target(&self, ordinal: u64, target: &[u8]) {
        self.shared.targets.lock().push_back((ordinal, target.into()));
        self.shared.has_targets.store(true, Relaxed);
    }

    /// Something was written.
    pub(super) fn wrote(&self) {
        self.shared.unflushed.store(true, Relaxed);
    }

    /// All that was written went out. Gives whether that was anything.
    pub(super) fn flushed(&self) -> bool {
        let had = self.shared.unflushed.load(Relaxed);
        self.shared.unflushed.store(false, Relaxed);
        had
    }

    /// The read side waits for the client.
    pub(super) fn wait(&self) {
        if !self.shared.waiting.swap(true, Relaxed) {
            self.shared.waiting_since.store(self.shared.clock.now(), Relaxed);
        }
    }

    /// The client has sent something, or has closed.
    pub(super) fn stop_waiting(&self) {
        let shared = &self.shared;
        if shared.waiting.load(Relaxed) {
            shared.waiting.store(false, Relaxed);
            let wait = shared.clock.now().saturating_sub(shared.waiting_since.load(Relaxed));
            shared.waited.store(shared.waited.load(Relaxed).saturating_add(wait), Relaxed);
        }
    }

    pub(super) fn is_answering(&self) -> bool {
        self.shared.answering.load(SeqCst) != 0
    }

    /// The driver's word about an upgrade, once.
    pub(super) fn take_decision(&self) -> Option<bool> {
        if !self.is_decided() {
            return None;
        }
        match self.shared.decision.swap(UNDECIDED, SeqCst) {
            UNDECIDED => None,
            decision => Some(decision == SWITCHED),
        }
    }

    pub(super) fn is_decided(&self) -> bool {
        self.shared.decision.load(Relaxed) != UNDECIDED
    }

    /// Remembers whom to wake when the driver has spoken.
    pub(super) fn park_reader(&self, context: &Context<'_>) {
        *self.shared.reader.lock() = Some(context.waker().clone());
    }

    pub(super) fn wake_reader(&self) {
        let reader = self.shared.reader.lock().take();
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

/// A request is being answered. Belongs into the answer's body, to be dropped with it.
#[derive(Debug)]
#[must_use = "the answer counts as finished when this is dropped"]
pub struct Answering(GuardHandle);

impl Drop for Answering {
    fn drop(&mut self) {
        if self.0.shared.answering.fetch_sub(1, SeqCst) == 1 {
            self.0.wake_reader();
        }
    }
}

const PHASES: [Phase; 6] =
    [Phase::Idle, Phase::Head, Phase::Body, Phase::UpgradePending, Phase::Tunnel, Phase::Faulted];

const UNDECIDED: u8 = 0;
const STAYED: u8 = 1;
const SWITCHED: u8 = 2;
