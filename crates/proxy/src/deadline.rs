//! Time limits that cost next to nothing while they do not expire.
//!
//! A gateway sets several time limits for each request and almost none of them ever fires. So a worker keeps
//! them in one table that a single task looks through every [`TICK`]; setting a limit is a store, and the present
//! is a number that the same task brings up to date. Limits fire up to two ticks late, never early.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use slab::Slab;

use crate::wire::CoarseClock;

/// How often the table is looked through.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// A worker's table of time limits. Times are milliseconds since its start.
#[derive(Debug)]
pub(crate) struct Deadlines {
    started: Instant,
    clock: CoarseClock,
    entries: RefCell<Slab<Entry>>,
}

#[derive(Debug)]
struct Entry {
    at: u64,
    waker: Waker,
}

impl Deadlines {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self { started: Instant::now(), clock: CoarseClock::default(), entries: RefCell::default() })
    }

    /// The present, at most one tick old.
    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// The clock that is kept up to date here.
    pub(crate) fn clock(&self) -> CoarseClock {
        self.clock.clone()
    }

    /// Keeps the present up to date and wakes whoever's time is up, for ever.
    pub(crate) async fn run(self: Rc<Self>) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.advance_to(as_millis(self.started.elapsed()));
        }
    }

    /// Wakes everyone who waits, so that they notice a change of the worker's state (draining).
    pub(crate) fn wake_all(&self) {
        for (_, entry) in self.entries.borrow().iter() {
            entry.waker.wake_by_ref();
        }
    }

    fn advance_to(&self, now: u64) {
        self.clock.set(now);
        for (_, entry) in self.entries.borrow().iter() {
            if entry.at <= now {
                entry.waker.wake_by_ref();
            }
        }
    }
}

/// One time limit. It takes a place in the table when it is first waited for.
#[derive(Debug)]
pub(crate) struct Timer {
    owner: Rc<Deadlines>,
    at: u64,
    place: Option<usize>,
}

impl Timer {
    /// A limit that ends `after` from now.
    pub(crate) fn after(owner: &Rc<Deadlines>, after: Duration) -> Self {
        Self { at: end(owner, after), owner: Rc::clone(owner), place: None }
    }

    /// Sets a new end, counted from now.
    pub(crate) fn reset(&mut self, after: Duration) {
        self.set_end(end(&self.owner, after));
    }

    /// Sets a new end in the table's own time.
    pub(crate) fn set_end(&mut self, at: u64) {
        self.at = at;
        if let Some(place) = self.place
            && let Some(entry) = self.owner.entries.borrow_mut().get_mut(place)
        {
            entry.at = at;
        }
    }

    /// Ends no later than `end`, in the table's own time.
    pub(crate) fn end_by(&mut self, end: u64) {
        self.set_end(self.at.min(end));
    }

    /// The present, in the table's own time.
    pub(crate) fn now(&self) -> u64 {
        self.owner.now()
    }

    /// Ready once the time is up.
    pub(crate) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.owner.now() >= self.at {
            return Poll::Ready(());
        }
        let mut entries = self.owner.entries.borrow_mut();
        match self.place.and_then(|place| entries.get_mut(place)) {
            Some(entry) => {
                entry.at = self.at;
                entry.waker.clone_from(cx.waker());
            }
            None => self.place = Some(entries.insert(Entry { at: self.at, waker: cx.waker().clone() })),
        }
        Poll::Pending
    }
}

/// The outcome of `future`, or nothing if `timer` ends first.
pub(crate) async fn before<F: Future>(timer: &mut Timer, future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => timer.poll_expired(cx).map(|()| None),
    })
    .await
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.owner.entries.borrow_mut().try_remove(place);
        }
    }
}

/// The present may be a tick old, so a tick is added: no limit ends early.
fn end(owner: &Deadlines, after: Duration) -> u64 {
    owner.now().saturating_add(as_millis(after)).saturating_add(as_millis(TICK))
}

fn as_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_up(timer: &mut Timer) -> bool {
        timer.poll_expired(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn limits_end_late_rather_than_early() {
        let deadlines = Deadlines::new();
        let mut timer = Timer::after(&deadlines, Duration::from_millis(100));
        deadlines.advance_to(100);
        assert!(!is_up(&mut timer));
        deadlines.advance_to(150);
        assert!(is_up(&mut timer));
        timer.reset(Duration::from_millis(10));
        assert!(!is_up(&mut timer));
    }

    #[test]
    fn places_are_given_back() {
        let deadlines = Deadlines::new();
        for _ in 0..10 {
            let mut timer = Timer::after(&deadlines, Duration::from_secs(1));
            assert!(!is_up(&mut timer));
        }
        assert!(deadlines.entries.borrow().is_empty());
    }
}
