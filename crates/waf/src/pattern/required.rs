//! Literals of which every match contains at least one, for a prefilter over all rules.
//!
//! Computed on the tree, so that look-arounds, which match nothing themselves, do no harm. After RE2's prefilter: a part has
//! an exact set of strings while that stays small; what comes before and after an inexact part is a candidate, and the best
//! candidate wins. Everything is in lower case, so case-sensitive patterns are only the less selective for it.

use super::bytes::ByteSet;
use super::node::Node;

/// Sets beyond this are cut: a prefilter over hundreds of rules adds them all up.
const MAX_STRINGS: usize = 1024;
const MAX_TOTAL: usize = 16384;
/// Longer is not more selective.
const MAX_LENGTH: usize = 24;
/// Classes of more bytes, letters folded, are inexact.
const MAX_CLASS: usize = 12;

/// What is known of a part of a pattern.
#[derive(Debug, Clone)]
struct Info {
    /// All strings that it matches, when they are few.
    exact: Option<Vec<Vec<u8>>>,
    /// Each of its matches begins with one of these, and ends with one of those.
    ends: Ends,
    /// One of these is in each of its matches.
    found: Option<Vec<Vec<u8>>>,
}

/// What the matches of an inexact part begin and end with, where that is known.
#[derive(Debug, Clone, Default)]
struct Ends {
    prefix: Option<Vec<Vec<u8>>>,
    suffix: Option<Vec<Vec<u8>>>,
}

impl Info {
    fn exact(exact: Vec<Vec<u8>>) -> Self {
        Self { exact: Some(exact), ends: Ends::default(), found: None }
    }

    fn prefix(&self) -> Option<&Vec<Vec<u8>>> {
        self.exact.as_ref().or(self.ends.prefix.as_ref())
    }

    fn suffix(&self) -> Option<&Vec<Vec<u8>>> {
        self.exact.as_ref().or(self.ends.suffix.as_ref())
    }

    /// What each match holds, however it is known.
    fn candidate(&self) -> Option<Vec<Vec<u8>>> {
        better(self.found.clone(), self.exact.clone().and_then(useful))
    }
}

pub(super) fn required(node: &Node) -> Option<Vec<Vec<u8>>> {
    let mut best = info(node).candidate()?;
    minimize(&mut best);
    Some(best)
}

/// Whether a set says more than another, which says nothing if it is not there.
pub(super) fn is_better(set: &[Vec<u8>], other: Option<&[Vec<u8>]>) -> bool {
    other.is_none_or(|other| set.is_empty() || score(set) > score(other))
}

const NOTHING: Info = Info { exact: None, ends: Ends { prefix: None, suffix: None }, found: None };

fn nothing_yet() -> Vec<Vec<u8>> {
    vec![Vec::new()]
}

fn info(node: &Node) -> Info {
    match node {
        // These match nothing themselves; that they may fail is of no interest.
        Node::Empty | Node::Place(_) | Node::Around { .. } | Node::Keep => Info::exact(nothing_yet()),
        Node::Set(set) => folded(*set).map_or(NOTHING, Info::exact),
        Node::Concat(nodes) => concat(nodes),
        Node::Either(nodes) => either(nodes),
        Node::Repeat { node, min, max, .. } => repeat(node, *min, *max),
        Node::Capture { node, .. } | Node::Atomic(node) => info(node),
        Node::Back { .. } => NOTHING,
    }
}

fn folded(set: ByteSet) -> Option<Vec<Vec<u8>>> {
    let mut bytes: Vec<u8> = set.iter().map(|byte| byte.to_ascii_lowercase()).collect();
    bytes.sort_unstable();
    bytes.dedup();
    (bytes.len() <= MAX_CLASS).then(|| bytes.into_iter().map(|byte| vec![byte]).collect())
}

fn concat(nodes: &[Node]) -> Info {
    let mut found = None;
    let mut prefix = None;
    // What the parts so far end with: since the beginning, as long as they are exact.
    let mut run = nothing_yet();
    let mut whole = true;
    for node in nodes {
        let part = info(node);
        found = better(found.take(), part.candidate());
        if let Some(joined) = part.exact.as_ref().and_then(|exact| cross(&run, exact)) {
            run = joined;
            continue;
        }
        // What the run ends with and the part begins with stand side by side.
        let joined = part.prefix().and_then(|prefix| cross(&run, prefix)).unwrap_or_else(|| run.clone());
        found = better(found.take(), useful(joined.clone()));
        if whole {
            prefix = Some(joined);
            whole = false;
        }
        run = part.suffix().cloned().unwrap_or_else(nothing_yet);
    }
    if whole {
        return Info { exact: Some(run), ends: Ends::default(), found };
    }
    found = better(found, useful(run.clone()));
    Info { exact: None, ends: Ends { prefix, suffix: Some(run) }, found }
}

fn either(nodes: &[Node]) -> Info {
    let mut all = Info {
        exact: Some(Vec::new()),
        ends: Ends { prefix: Some(Vec::new()), suffix: Some(Vec::new()) },
        found: Some(Vec::new()),
    };
    let join = |all: Option<Vec<Vec<u8>>>, more: Option<&Vec<Vec<u8>>>| {
        all.zip(more.cloned()).and_then(|(all, more)| union(all, more))
    };
    for node in nodes {
        let part = info(node);
        all.exact = join(all.exact, part.exact.as_ref());
        all.ends.prefix = join(all.ends.prefix, part.prefix());
        all.ends.suffix = join(all.ends.suffix, part.suffix());
        all.found = join(all.found, part.candidate().as_ref());
    }
    all
}

fn repeat(node: &Node, min: u32, max: Option<u32>) -> Info {
    let part = info(node);
    if (min, max) == (0, Some(1)) {
        let exact = part.exact.and_then(|exact| union(exact, nothing_yet()));
        return exact.map_or(NOTHING, Info::exact);
    }
    if min == 0 {
        return NOTHING;
    }
    let ends = Ends { prefix: part.prefix().cloned(), suffix: part.suffix().cloned() };
    let candidate = part.candidate();
    let Some(exact) = part.exact else { return Info { exact: None, ends, found: candidate } };
    let rounds = (1..min.min(8)).try_fold(exact.clone(), |all, _| cross(&all, &exact));
    if Some(min) == max && min <= 8 {
        return Info { exact: rounds, ends, found: candidate };
    }
    Info { exact: None, ends, found: better(candidate, rounds.and_then(useful)) }
}

/// Each of `left` followed by each of `right`, unless those are too many or too long.
fn cross(left: &[Vec<u8>], right: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    if left.len().saturating_mul(right.len()) > MAX_STRINGS {
        return None;
    }
    let joined =
        left.iter().flat_map(|left| right.iter().map(move |right| [left.as_slice(), right].concat()));
    bounded(joined.collect())
}

fn union(mut left: Vec<Vec<u8>>, right: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    left.extend(right);
    bounded(left)
}

fn bounded(mut strings: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    strings.sort_unstable();
    strings.dedup();
    let fits = strings.len() <= MAX_STRINGS
        && strings.iter().map(Vec::len).sum::<usize>() <= MAX_TOTAL
        && strings.iter().all(|string| string.len() <= 4 * MAX_LENGTH);
    fits.then_some(strings)
}

/// The set, if looking for it says something.
fn useful(strings: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    let selective = |string: &Vec<u8>| match string.as_slice() {
        [] => false,
        [byte] => !byte.is_ascii_alphanumeric() && !b" -._,:/".contains(byte),
        _ => true,
    };
    (!strings.is_empty() && strings.iter().all(selective)).then_some(strings)
}

/// The more selective of two sets.
fn better(left: Option<Vec<Vec<u8>>>, right: Option<Vec<Vec<u8>>>) -> Option<Vec<Vec<u8>>> {
    match (left, right) {
        (Some(left), Some(right)) => Some(if score(&right) > score(&left) { right } else { left }),
        (left, right) => left.or(right),
    }
}

/// The shortest decides, since it is found most often; that there are many counts against a set.
fn score(strings: &[Vec<u8>]) -> i64 {
    let shortest = strings.iter().map(Vec::len).min().unwrap_or(0).min(8);
    let many = strings.len().max(1).ilog2();
    // A lone special byte is rarer in ordinary values than two letters, but commoner than three.
    let length = match shortest {
        1 => 20,
        length => i64::try_from(length).unwrap_or(0) * 10,
    };
    length - i64::from(many) * 2
}

/// Cuts what is long, and drops what contains another: whoever contains it contains that.
fn minimize(strings: &mut Vec<Vec<u8>>) {
    strings.iter_mut().for_each(|string| string.truncate(MAX_LENGTH));
    strings.sort_unstable_by(|left, right| left.len().cmp(&right.len()).then_with(|| left.cmp(right)));
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for string in strings.drain(..) {
        if !kept.iter().any(|shorter| memchr::memmem::find(&string, shorter).is_some()) {
            kept.push(string);
        }
    }
    *strings = kept;
}
