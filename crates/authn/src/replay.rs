//! What was accepted once and must not be accepted again: signatures within the time in which they hold.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_core::{Digest, Reason, Timestamp};

use crate::fault::Fault;

/// Remembers what was seen until it would be refused for its age anyway. Bounded: where it is full of what is still alive,
/// nothing new is taken, since forgetting would let something pass twice.
#[derive(Debug)]
pub(crate) struct ReplayTable {
    most: usize,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    until: HashMap<Digest, Timestamp>,
    /// When it is worth to look again for what has ended, where it is full: looking takes a while.
    next_look: Timestamp,
}

/// How long it is not looked again.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

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

impl Fault {
    /// Why a signature is not taken.
    pub(crate) fn of_signature(replay: Replay) -> Self {
        match replay {
            Replay::Seen => Self::signature("replayed"),
            Replay::Full => Self::REPLAY_TABLE_FULL,
        }
    }

    /// Why a proof is not taken.
    pub(crate) fn of_proof(replay: Replay) -> Self {
        match replay {
            Replay::Seen => Self::proof("proof_replayed"),
            Replay::Full => Self::REPLAY_TABLE_FULL,
        }
    }

    const REPLAY_TABLE_FULL: Self = Self { reason: Reason::Overloaded, cause: "replay_table_full" };
}

impl ReplayTable {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, seen: Mutex::default() }
    }

    /// Forgets what was taken and came to nothing: it may come again.
    pub(crate) fn give_back(&self, digest: Digest) {
        self.seen.lock().until.remove(&digest);
    }

    /// Takes what comes for the first time, and remembers it until `ends`.
    pub(crate) fn take(&self, digest: Digest, ends: Timestamp, now: Timestamp) -> Result<(), Replay> {
        let mut seen = self.seen.lock();
        if seen.until.get(&digest).is_some_and(|&ends| now < ends) {
            return Err(Replay::Seen);
        }
        if seen.until.len() >= self.most {
            if now < seen.next_look {
                return Err(Replay::Full);
            }
            seen.until.retain(|_, ends| now < *ends);
            if seen.until.len() >= self.most {
                seen.next_look = now.plus(BETWEEN_LOOKS);
                return Err(Replay::Full);
            }
        }
        seen.until.insert(digest, ends);
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
