//! The exclusions that the marked requests need.

use std::collections::{BTreeMap, BTreeSet};

use super::path::PathPattern;
use super::record::{Finding, Record};
use super::target::{self, TargetPattern};

/// How many different things rules may have found: memory stays bounded whatever the log holds.
const MOST: usize = 10_000;
/// Places with nothing in common, after which a finding is taken to be everywhere on its route.
const MOST_PLACES: usize = 8;

/// All exclusions that the marked requests need.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    found: BTreeMap<Key, Candidate>,
    /// Rules of which the log does not say what they matched, with the number of marked requests.
    pub(super) unknown: BTreeMap<u32, u64>,
    /// What was found and not kept, for want of room.
    pub(super) dropped: u64,
}

/// What findings have in common that one exclusion can cover, paths aside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) route: String,
    pub(super) rule: u32,
    shape: Option<String>,
}

#[derive(Debug)]
struct Candidate {
    target: Option<TargetPattern>,
    places: Vec<Place>,
}

/// Where it was found.
#[derive(Debug)]
struct Place {
    /// None for anywhere.
    path: Option<PathPattern>,
    /// Marked requests.
    requests: u64,
}

/// An exclusion.
#[derive(Debug, Clone)]
pub(super) struct Proposal<'c> {
    pub(super) key: &'c Key,
    pub(super) target: Option<String>,
    pub(super) path: Option<String>,
    /// Marked requests that need it.
    pub(super) requests: u64,
}

impl Key {
    fn of(record: &Record, finding: &Finding) -> Self {
        let shape = finding.target.as_deref().map(target::shape);
        Self { route: record.route.clone(), rule: finding.rule, shape }
    }
}

impl Candidates {
    /// Adds what rules found in a marked request.
    pub(super) fn add(&mut self, record: &Record) {
        for rule in &record.unknown {
            // There are no more rules than ids.
            *self.unknown.entry(*rule).or_default() += 1;
        }
        // A request counts once, however many values of one shape a rule found in it.
        let mut counted = BTreeSet::new();
        for finding in &record.findings {
            let key = Key::of(record, finding);
            if self.found.len() >= MOST && !self.found.contains_key(&key) {
                self.dropped += 1;
                continue;
            }
            let is_first = counted.insert(key.clone());
            let candidate = self.found.entry(key).or_insert_with(|| Candidate {
                target: finding.target.as_deref().map(TargetPattern::of),
                places: Vec::new(),
            });
            if let (Some(pattern), Some(target)) = (&mut candidate.target, &finding.target) {
                pattern.widen(target);
            }
            if is_first {
                candidate.place(PathPattern::of(&record.path, record.path_is_cut));
            }
        }
    }

    /// Leaves only what at least `least` requests need.
    pub(super) fn keep(&mut self, least: u64) {
        self.found.retain(|_, candidate| {
            candidate.places.retain(|place| place.requests >= least);
            !candidate.places.is_empty()
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All exclusions, by route and rule.
    pub(super) fn proposals(&self) -> impl Iterator<Item = Proposal<'_>> {
        self.found.iter().flat_map(|(key, candidate)| {
            candidate.places.iter().map(move |place| Proposal {
                key,
                target: candidate.target.as_ref().map(TargetPattern::text),
                path: place.path.as_ref().map(PathPattern::text),
                requests: place.requests,
            })
        })
    }

    /// The exclusion that covers a finding, as its place in [`Self::proposals`] of the same key.
    pub(super) fn covering(&self, record: &Record, finding: &Finding) -> Option<(&Key, usize)> {
        let (key, candidate) = self.found.get_key_value(&Key::of(record, finding))?;
        let is_same = match (&candidate.target, &finding.target) {
            (Some(pattern), Some(target)) => pattern.covers(target),
            _ => true,
        };
        let covers = |place: &Place| place.path.as_ref().is_none_or(|path| path.covers(&record.path));
        is_same.then(|| candidate.places.iter().position(covers)).flatten().map(|place| (key, place))
    }
}

impl Candidate {
    fn place(&mut self, path: PathPattern) {
        let is_near = |place: &&mut Place| place.path.as_ref().is_none_or(|known| known.is_near(&path));
        if let Some(place) = self.places.iter_mut().find(is_near) {
            place.requests += 1;
            if let Some(known) = &mut place.path {
                known.widen(&path);
            }
        } else if self.places.len() < MOST_PLACES {
            self.places.push(Place { path: Some(path), requests: 1 });
        } else {
            let requests = self.places.iter().map(|place| place.requests).sum::<u64>() + 1;
            self.places = vec![Place { path: None, requests }];
        }
    }
}
