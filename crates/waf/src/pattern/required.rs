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
    /// One of these is in each of its matches.
    found: Option<Vec<Vec<u8>>>,
}

pub(super) fn required(node: &Node) -> Option<Vec<Vec<u8>>> {
    let info = info(node);
    let mut best = better(info.found, info.exact.and_then(useful))?;
    minimize(&mut best);
    Some(best)
}

const NOTHING: Info = Info { exact: None, found: None };

fn empty() -> Info {
    Info { exact: Some(vec![Vec::new()]), found: None }
}

fn info(node: &Node) -> Info {
    match node {
        // These match nothing themselves; that they may fail is of no interest.
        Node::Empty | Node::Place(_) | Node::Around { .. } | Node::Keep => empty(),
        Node::Set(set) => Info { exact: folded(*set), found: None },
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
    // The strings of the exact parts since the last inexact one.
    let mut run = Some(vec![Vec::new()]);
    let mut whole = true;
    for node in nodes {
        let part = info(node);
        found = better(found.take(), part.found);
        let joined = run.as_ref().zip(part.exact.as_ref()).and_then(|(run, exact)| cross(run, exact));
        if joined.is_none() {
            whole = false;
            found = better(found.take(), run.take().and_then(useful));
            run = Some(part.exact.unwrap_or_else(|| vec![Vec::new()]));
        } else {
            run = joined;
        }
    }
    if whole {
        return Info { exact: run, found };
    }
    Info { exact: None, found: better(found, run.and_then(useful)) }
}

fn either(nodes: &[Node]) -> Info {
    let mut exact = Some(Vec::new());
    let mut found = Some(Vec::new());
    for node in nodes {
        let part = info(node);
        let candidate = better(part.found, part.exact.clone().and_then(useful));
        exact = exact.zip(part.exact).and_then(|(all, more)| union(all, more));
        found = found.zip(candidate).and_then(|(all, more)| union(all, more));
    }
    Info { exact, found }
}

fn repeat(node: &Node, min: u32, max: Option<u32>) -> Info {
    let part = info(node);
    if (min, max) == (0, Some(1)) {
        let exact = part.exact.and_then(|exact| union(exact, vec![Vec::new()]));
        return Info { exact, found: None };
    }
    if min == 0 {
        return NOTHING;
    }
    let candidate = better(part.found, part.exact.clone().and_then(useful));
    let Some(exact) = part.exact else { return Info { exact: None, found: candidate } };
    let rounds = (1..min.min(8)).try_fold(exact.clone(), |all, _| cross(&all, &exact));
    if Some(min) == max && min <= 8 {
        return Info { exact: rounds, found: candidate };
    }
    Info { exact: None, found: better(candidate, rounds.and_then(useful)) }
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
