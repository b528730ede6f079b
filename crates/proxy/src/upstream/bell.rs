//! How a connection to a service calls the task that drives it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use parking_lot::Mutex;

/// The waker that a connection is driven with: it passes on to the task that waits for the connection now.
///
/// hyper's connection, its sender and its bodies tell one another over channels that there is something to do. All of
/// them are polled by one task here, which looks at the connection again right after it touched the others; woken for
/// that, it would run once more for nothing, with every request. So the bell is muffled while the task itself is the
/// one who rings.
pub(crate) struct Bell {
    shared: Arc<Shared>,
    waker: Waker,
}

struct Shared {
    /// Set and seen by one thread only: connections stay with their worker.
    is_muffled: AtomicBool,
    task: Mutex<Waker>,
}

impl Bell {
    pub(crate) fn new() -> Self {
        let shared =
            Arc::new(Shared { is_muffled: AtomicBool::new(false), task: Mutex::new(Waker::noop().clone()) });
        Self { waker: Waker::from(Arc::clone(&shared)), shared }
    }

    /// What to drive the connection with. From now on it calls the task of `cx`.
    pub(crate) fn answered_by(&self, cx: &Context<'_>) -> Context<'_> {
        self.shared.task.lock().clone_from(cx.waker());
        Context::from_waker(&self.waker)
    }

    /// Nobody waits for the connection any more.
    pub(crate) fn forget(&self) {
        self.shared.task.lock().clone_from(Waker::noop());
    }

    /// Runs `touch`, which may ring the bell. The caller drives the connection before it waits again, so that nothing
    /// is missed.
    pub(crate) fn muffled<T>(&self, touch: impl FnOnce() -> T) -> T {
        self.shared.is_muffled.store(true, Ordering::Relaxed);
        let outcome = touch();
        self.shared.is_muffled.store(false, Ordering::Relaxed);
        outcome
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_muffled.load(Ordering::Relaxed) {
            // Not while the lock is held: a task may do anything when it is woken.
            let task = self.task.lock().clone();
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Rings(AtomicUsize);

    impl Wake for Rings {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn calls_whoever_drove_last_and_nobody_while_muffled() {
        let (first, second) = (Arc::<Rings>::default(), Arc::<Rings>::default());
        let bell = Bell::new();
        let ring = |bell: &Bell| bell.waker.wake_by_ref();
        ring(&bell);
        bell.answered_by(&Context::from_waker(&Waker::from(Arc::clone(&first))));
        ring(&bell);
        bell.answered_by(&Context::from_waker(&Waker::from(Arc::clone(&second))));
        ring(&bell);
        bell.muffled(|| ring(&bell));
        bell.forget();
        ring(&bell);
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (1, 1));
    }
}
