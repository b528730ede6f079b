//! What phases work with, lent to a transaction while its phases run: few of these are in use at once, so that they stay in the
//! processor's caches, however many transactions wait for their bodies and answers.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::pattern::Captures;

use super::bits::BitSet;
use super::hits::Hits;
use super::program::Program;
use super::state::{Matched, Scratch, State};
use super::transformed::Transformed;

/// What a phase works with and nothing needs after it.
#[derive(Debug, Default)]
pub(crate) struct Working {
    transformed: Transformed,
    hits: [Hits; 2],
    pending: BitSet,
    matched: Matched,
    captures: Captures,
    scratch: Scratch,
}

impl Working {
    /// Gives everything to `state`, ready to begin, or takes it back.
    pub(crate) fn swap(&mut self, state: &mut State) {
        std::mem::swap(&mut self.transformed, &mut state.transformed);
        std::mem::swap(&mut self.hits, &mut state.hits);
        std::mem::swap(&mut self.pending, &mut state.pending);
        std::mem::swap(&mut self.matched, &mut state.matched);
        std::mem::swap(&mut self.captures, &mut state.captures);
        std::mem::swap(&mut self.scratch, &mut state.scratch);
    }

    /// Forgets what it was used for.
    pub(crate) fn clear(&mut self, program: &Program) {
        self.transformed.clear();
        for (hits, prefilter) in self.hits.iter_mut().zip(&program.prefilters) {
            hits.clear(prefilter);
        }
        self.matched.begin_rule();
    }

    /// Bytes of memory that grow with what transactions hold.
    pub(crate) fn size(&self) -> usize {
        self.transformed.size() + self.hits.iter().map(Hits::size).sum::<usize>() + self.scratch.size()
    }
}

/// Things for reuse. Each thread has a place of its own as long as there are no more than places, so that what it takes is what it
/// put back, warm, and it waits for nobody.
#[derive(Debug)]
pub(crate) struct Shelf<T>([Mutex<Vec<Box<T>>>; PLACES]);

const PLACES: usize = 16;
/// How many are kept in a place.
const MOST: usize = 64;

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(Vec::new())))
    }
}

impl<T> Shelf<T> {
    pub(crate) fn take(&self) -> Option<Box<T>> {
        let place = self.0.get(seat())?;
        place.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    pub(crate) fn put(&self, thing: Box<T>) {
        let Some(place) = self.0.get(seat()) else { return };
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        if place.len() < MOST {
            place.push(thing);
        }
    }
}

/// This thread's place.
fn seat() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static SEAT: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % PLACES));
    SEAT.with(Cell::get)
}
