//! One question at a time about one thing: whoever asks the same meanwhile waits, and finds the answer there.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

/// Questions that are under way.
#[derive(Debug)]
pub(crate) struct Flights<K: Eq + Hash> {
    under_way: Mutex<HashMap<K, Turns>>,
}

type Turns = Arc<tokio::sync::Mutex<()>>;

/// A place in the line. Given up wherever it is dropped, also by who waits no longer.
struct Place<'a, K: Eq + Hash> {
    flights: &'a Flights<K>,
    about: K,
    turns: Turns,
}

impl<K: Eq + Hash + Clone> Flights<K> {
    /// Does the work when nobody else is at it. It should look first whether it has been done meanwhile.
    pub(crate) async fn in_turn<W: Future>(&self, about: K, work: W) -> W::Output {
        let turns = Arc::clone(self.under_way.lock().entry(about.clone()).or_default());
        let place = Place { flights: self, about, turns };
        let _turn = place.turns.lock().await;
        work.await
    }
}

impl<K: Eq + Hash> Drop for Place<'_, K> {
    fn drop(&mut self) {
        let mut under_way = self.flights.under_way.lock();
        // The map and we ourselves.
        if Arc::strong_count(&self.turns) <= 2 {
            under_way.remove(&self.about);
        }
    }
}

impl<K: Eq + Hash> Default for Flights<K> {
    fn default() -> Self {
        Self { under_way: Mutex::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, poll_fn};
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    /// Polls once.
    async fn touch<F: Future>(future: std::pin::Pin<&mut F>) -> bool {
        let mut future = Some(future);
        poll_fn(|context| Poll::Ready(future.take().is_some_and(|future| future.poll(context).is_ready())))
            .await
    }

    #[tokio::test]
    async fn the_second_waits_for_the_first_and_others_do_not() {
        let flights = Flights::default();
        let done = Cell::new(0);
        let mut first = Box::pin(flights.in_turn("a", pending::<()>()));
        assert!(!touch(first.as_mut()).await);
        let mut second = pin!(flights.in_turn("a", async { done.set(done.get() + 1) }));
        assert!(!touch(second.as_mut()).await);
        flights.in_turn("b", async { done.set(done.get() + 10) }).await;
        assert_eq!(done.get(), 10);
        drop(first);
        second.await;
        assert_eq!(done.get(), 11);
        assert!(flights.under_way.lock().is_empty(), "nothing is left of them");
    }
}
