//! Tokens that were taken from the shared store ahead of the requests that will use them.

use std::time::Duration;

use portcullis_core::{Digest, Timestamp};

use crate::gcra::Fine;
use crate::table::{Bucket, Table};

/// So long a node keeps tokens that nobody asks for.
pub(crate) const LEASE: Duration = Duration::from_secs(1);
/// The most tokens that are taken ahead: what a slot can count.
pub(crate) const MOST_AHEAD: u32 = (1 << 19) - 1;

/// While a batch is on its way, other requests ask for themselves alone.
const ON_ITS_WAY: u32 = 1 << 19;

/// Leased tokens by key. A slot holds when the lease ends and how many tokens are left.
pub(crate) struct Leases(Table);

impl Leases {
    pub(crate) fn new(max_keys: u32) -> Self {
        Self(Table::new(max_keys))
    }

    pub(crate) fn memory(&self) -> usize {
        self.0.memory()
    }

    /// Takes `cost` of the tokens at hand: how many are left and for how long, if there were enough.
    pub(crate) fn take(&self, digest: Digest, now: Timestamp, cost: u32) -> Option<(u32, Duration)> {
        self.with(digest, now, |tokens| {
            let left = (*tokens & !ON_ITS_WAY).checked_sub(cost)?;
            *tokens = *tokens & ON_ITS_WAY | left;
            Some(left)
        })
    }

    /// Whether a batch may be fetched: from now on one is on its way.
    pub(crate) fn begin(&self, digest: Digest, now: Timestamp) -> bool {
        let mut bucket = self.0.lock(digest, now.into());
        let tokens = live(&bucket, now).map_or(0, |state| state.fraction);
        if tokens & ON_ITS_WAY != 0 {
            return false;
        }
        bucket.fill_at(Fine { nanos: now.plus(LEASE).0, fraction: tokens | ON_ITS_WAY });
        true
    }

    /// The batch came, or will not come.
    pub(crate) fn end(&self, digest: Digest, now: Timestamp, tokens: u32) {
        let mut bucket = self.0.lock(digest, now.into());
        let had = live(&bucket, now).map_or(0, |state| state.fraction & !ON_ITS_WAY);
        bucket
            .fill_at(Fine { nanos: now.plus(LEASE).0, fraction: had.saturating_add(tokens).min(MOST_AHEAD) });
    }

    /// Gives tokens back that were taken a moment ago.
    pub(crate) fn give_back(&self, digest: Digest, now: Timestamp, cost: u32) {
        self.with(digest, now, |tokens| {
            let had = *tokens & !ON_ITS_WAY;
            *tokens = *tokens & ON_ITS_WAY | had.saturating_add(cost).min(MOST_AHEAD);
            Some(had)
        });
    }

    fn with(
        &self,
        digest: Digest,
        now: Timestamp,
        change: impl FnOnce(&mut u32) -> Option<u32>,
    ) -> Option<(u32, Duration)> {
        let mut bucket = self.0.lock(digest, now.into());
        let Fine { nanos, fraction: mut tokens } = live(&bucket, now)?;
        let left = change(&mut tokens)?;
        bucket.fill_at(Fine { nanos, fraction: tokens });
        Some((left, Duration::from_nanos(nanos - now.0)))
    }
}

/// The lease in a slot, if it is this key's and has not ended.
fn live(bucket: &Bucket<'_>, now: Timestamp) -> Option<Fine> {
    Some(bucket.full_at()).filter(|state| !bucket.is_anothers() && state.nanos > now.0)
}
