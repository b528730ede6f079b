//! What of a limit is in the shared store.

use std::num::NonZeroU32;
use std::sync::Arc;

use portcullis_core::{KeyPath, Problems};
use portcullis_store::redis::Redis;

use super::super::{Limit, LimitStore, Limits};
use crate::lease::{Leases, MOST_AHEAD};
use crate::raw::{OutageMode, RawLimit, RawShared, SharedMode};
use crate::rule::Rule;
use crate::shared::{Mode, Outage, Shared};
use crate::table::Table;

const MOST_NODES: u32 = 100;

/// One script names the counters of all limits of a request, and in a cluster they must be at one place. Where all limits count
/// by the same key the key decides about the place, so that the counters spread over the nodes.
pub(super) fn must_be_together(raw: &[RawLimit], redis: Option<&Arc<Redis>>) -> bool {
    let mut shared = raw.iter().filter(|limit| limit.shared.is_some());
    let key = |limit: &RawLimit| {
        let mut parts: Vec<String> = limit.key.iter().map(|part| format!("{part:?}")).collect();
        parts.sort_unstable();
        (parts, limit.ipv6_prefix)
    };
    let first = shared.next().map(key);
    redis.is_some_and(|redis| redis.is_cluster()) && shared.any(|limit| Some(key(limit)) != first)
}

pub(super) fn compile(
    raw: &RawLimit,
    limit: &Limit,
    (redis, is_together, store): (Option<&Arc<Redis>>, bool, LimitStore),
    path: &KeyPath,
    problems: &mut Problems,
    previous: Option<&Limits>,
) -> Option<Shared> {
    let shared = raw.shared.as_ref()?;
    let path = path.key("shared");
    check(shared, &path, problems);
    let Some(redis) = redis else {
        problems
            .error(&path, "there is no store to share the limit by")
            .suggest("say where it is under `store.redis`, or remove `shared`");
        return None;
    };
    let known = previous.and_then(|previous| {
        let mut limits = previous.limits.iter().flat_map(Limit::all);
        let known = limits.find(|known| Arc::ptr_eq(&known.table, &limit.table))?;
        known.shared.as_ref()
    });
    let mode = match shared.mode {
        SharedMode::Exact => Mode::Exact,
        SharedMode::Leased => {
            let tenth = u32::try_from(limit.rule.capacity() / 10).unwrap_or(u32::MAX).clamp(1, MOST_AHEAD);
            let batch = shared.batch.unwrap_or(tenth).clamp(1, MOST_AHEAD);
            let leases = match known.map(|known| &known.mode) {
                Some(Mode::Leased { leases, .. }) => Arc::clone(leases),
                _ => Arc::new(Leases::new(store.max_keys)),
            };
            Mode::Leased { batch, leases }
        }
    };
    let outage = match shared.outage {
        OutageMode::Deny => Outage::Deny,
        OutageMode::Local => {
            let rule = share(raw, &limit.rule, shared.nodes);
            let table = match known.map(|known| &known.outage) {
                Some(Outage::Local { rule: same, table }) if *same == rule => Arc::clone(table),
                _ => Arc::new(Table::new(store.max_keys)),
            };
            Outage::Local { rule, table }
        }
    };
    Some(Shared { redis: Arc::clone(redis), is_together, mode, outage })
}

fn share(raw: &RawLimit, rule: &Rule, nodes: Option<u32>) -> Rule {
    let nodes = NonZeroU32::new(nodes.unwrap_or(1).min(MOST_NODES)).unwrap_or(NonZeroU32::MIN);
    let burst = raw.burst.and_then(NonZeroU32::new).unwrap_or(raw.rate.count());
    if nodes == NonZeroU32::MIN { *rule } else { rule.share(raw.rate, burst, nodes) }
}

fn check(raw: &RawShared, path: &KeyPath, problems: &mut Problems) {
    if let Some(batch) = raw.batch {
        let path = path.key("batch");
        if !(1..=500_000).contains(&batch) {
            problems
                .error(&path, format!("{batch} is not a number of tokens to take ahead"))
                .suggest("write a number from 1 to 500000");
        }
        if raw.mode != SharedMode::Leased {
            problems
                .error(&path, "nothing is taken ahead in the mode `exact`")
                .suggest("write `mode: leased`, or remove `batch`");
        }
    }
    if let Some(nodes) = raw.nodes {
        let path = path.key("nodes");
        if !(1..=MOST_NODES).contains(&nodes) {
            problems
                .error(&path, format!("{nodes} is not a number of gateways"))
                .suggest(format!("write a number from 1 to {MOST_NODES}"));
        }
        if raw.outage != OutageMode::Local {
            problems
                .error(&path, "the number of gateways counts only with `outage: local`")
                .suggest("write `outage: local`, or remove `nodes`");
        }
    }
}
