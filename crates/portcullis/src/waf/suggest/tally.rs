//! What the exclusions would do to the requests of the log.

use std::collections::{BTreeMap, BTreeSet};

use super::candidates::{Candidates, Key};
use super::record::Record;

/// Ids of requests that are named; the others are counted.
const MOST_NAMED: usize = 10;

/// What the exclusions would do, each alone and all together.
#[derive(Debug)]
pub(super) struct Tally<'c> {
    candidates: &'c Candidates,
    /// Marked requests in which rules found something.
    pub(super) marked: u64,
    /// Those of them that would pass.
    pub(super) passing: u64,
    /// Marked requests for which one exclusion is enough, by exclusion.
    alone: BTreeMap<(&'c Key, usize), u64>,
    /// Requests that were refused, are not marked, and would pass too.
    pub(super) leaking: Named,
    /// Such requests of which rules would find less: their score may fall below the threshold.
    pub(super) weakened: Named,
}

/// Requests, the first of them by id.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub(super) count: u64,
    pub(super) ids: Vec<String>,
}

impl Named {
    fn add(&mut self, id: &str) {
        self.count += 1;
        if self.ids.len() < MOST_NAMED {
            self.ids.push(id.to_owned());
        }
    }
}

impl<'c> Tally<'c> {
    pub(super) const fn new(candidates: &'c Candidates) -> Self {
        Self {
            candidates,
            marked: 0,
            passing: 0,
            alone: BTreeMap::new(),
            leaking: Named { count: 0, ids: Vec::new() },
            weakened: Named { count: 0, ids: Vec::new() },
        }
    }

    /// Adds a request in which rules found something.
    pub(super) fn add(&mut self, record: &Record, is_marked: bool) {
        let covering: Vec<_> =
            record.findings.iter().map(|finding| self.candidates.covering(record, finding)).collect();
        // What nothing is known of may refuse the request on its own. A request is sure to pass when nothing is left.
        let is_known = record.unknown.is_empty() && !record.is_partial && !covering.is_empty();
        let passes = is_known && covering.iter().all(Option::is_some);
        let used: BTreeSet<_> = covering.into_iter().flatten().collect();
        if is_marked {
            self.marked += 1;
            self.passing += u64::from(passes);
            if let (true, 1, Some(only)) = (passes, used.len(), used.first()) {
                *self.alone.entry(*only).or_default() += 1;
            }
        } else if record.refused && passes {
            self.leaking.add(&record.id);
        } else if record.refused && !used.is_empty() {
            self.weakened.add(&record.id);
        }
    }

    /// The marked requests for which an exclusion is enough; `place` is its place among those of its key.
    pub(super) fn alone(&self, key: &'c Key, place: usize) -> u64 {
        self.alone.get(&(key, place)).copied().unwrap_or_default()
    }
}
