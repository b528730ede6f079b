//! What was accepted once and must not be accepted again: signatures within the time in which they hold.

use std::collections::HashMap;

use parking_lot::Mutex;
use portcullis_core::{Digest, Reason, Timestamp};

use crate::fault::Fault;

/// Remembers what was seen until it would be refused for its age anyway. Bounded: where it is full of what is still alive,
/// nothing new is taken, since forgetting would let something pass twice.
#[derive(Debug)]
pub(crate) struct ReplayTable {
    most: usize,
    seen: Mutex<HashMap<Digest, Timestamp>>,
}

/// Why something is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replay {
    /// It was there before.
    Seen,
    /// There is no room to remember it.
    Full,
}

/// What stands for a message: the beginning of a keyed hash of it, which nobody without the key can make collide.
pub(crate) fn digest_of(tag: &[u8]) -> Digest {
    Digest(tag.iter().take(16).fold(0, |digest, byte| digest << 8 | u128::from(*byte)))
}

impl From<Replay> for Fault {
    fn from(replay: Replay) -> Self {
        match replay {
            Replay::Seen => Self::signature("replayed"),
            Replay::Full => Self { reason: Reason::Overloaded, cause: "replay_table_full" },
        }
    }
}

impl ReplayTable {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, seen: Mutex::default() }
    }

    /// Takes what comes for the first time, and remembers it until `ends`.
    pub(crate) fn take(&self, digest: Digest, ends: Timestamp, now: Timestamp) -> Result<(), Replay> {
        let mut seen = self.seen.lock();
        if seen.get(&digest).is_some_and(|&ends| now < ends) {
            return Err(Replay::Seen);
        }
        if seen.len() >= self.most {
            seen.retain(|_, ends| now < *ends);
            if seen.len() >= self.most {
                return Err(Replay::Full);
            }
        }
        seen.insert(digest, ends);
        Ok(())
    }

    pub(crate) const fn most(&self) -> usize {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_taken_once_while_it_is_alive() {
        let table = ReplayTable::new(2);
        let at = Timestamp::from_secs;
        assert_eq!(table.take(Digest(1), at(10), at(0)), Ok(()));
        assert_eq!(table.take(Digest(1), at(10), at(9)), Err(Replay::Seen));
        assert_eq!(table.take(Digest(2), at(20), at(9)), Ok(()));
        assert_eq!(table.take(Digest(3), at(20), at(9)), Err(Replay::Full));
        assert_eq!(table.take(Digest(3), at(20), at(10)), Ok(()), "the first has ended");
        assert_eq!(table.take(Digest(2), at(30), at(11)), Err(Replay::Seen));
    }
}
