//! What issuers said of tokens, for as long as it is believed.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_core::{Digest, Principal, Timestamp};

/// What is known of a token.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// It holds, and this is whose it is.
    Active(Arc<Principal>),
    /// It does not, or not here.
    Inactive(&'static str),
    /// The issuer could not be asked.
    Unavailable,
}

/// Answers under the digests of the tokens, bounded. Which of those that are alive gives way is left to chance: it is asked about
/// again.
#[derive(Debug)]
pub(super) struct Answers {
    most: usize,
    shards: [Mutex<HashMap<Digest, (Answer, Timestamp)>>; SHARDS],
}

const SHARDS: usize = 16;

impl Answers {
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.div_ceil(SHARDS), shards: Default::default() }
    }

    pub(super) fn find(&self, token: Digest, now: Timestamp) -> Option<Answer> {
        let shard = self.shard(token)?.lock();
        shard.get(&token).filter(|(_, until)| now < *until).map(|(answer, _)| answer.clone())
    }

    pub(super) fn insert(&self, token: Digest, answer: Answer, until: Timestamp, now: Timestamp) {
        let Some(shard) = self.shard(token) else { return };
        let mut shard = shard.lock();
        if shard.len() >= self.most {
            shard.retain(|_, (_, until)| now < *until);
        }
        if shard.len() >= self.most {
            let mut keep = false;
            shard.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
        if shard.len() < self.most {
            shard.insert(token, (answer, until));
        }
    }

    fn shard(&self, token: Digest) -> Option<&Mutex<HashMap<Digest, (Answer, Timestamp)>>> {
        self.shards.get((token.0 % SHARDS as u128) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_end_and_are_bounded() {
        let answers = Answers::new(SHARDS * 4);
        let at = Timestamp::from_secs;
        for token in 0..1000 {
            answers.insert(Digest(token), Answer::Inactive("inactive"), at(10), at(0));
        }
        let kept = (0..1000).filter(|token| answers.find(Digest(*token), at(9)).is_some()).count();
        assert!((1..=SHARDS * 4).contains(&kept), "{kept}");
        assert!(answers.find(Digest(999), at(9)).is_some(), "the last is there");
        assert!(answers.find(Digest(999), at(10)).is_none());
    }
}
