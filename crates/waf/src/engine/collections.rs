//! Persistent collections: variables of an address, a session, a user that outlive the request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::seclang::Variable;

use super::tx::{leading_number, write_number};

/// How many collections are kept; beyond it the ones that end first give way.
const MOST_COLLECTIONS: usize = 100_000;
/// How many variables one collection may hold.
const MOST_VARIABLES: usize = 256;
/// How long a name or a value may be, bytes.
const LONGEST: usize = 4096;

/// The persistent collections (`IP`, `SESSION`, `GLOBAL` and so on) of one or several rulesets, in memory and bounded. Clones are
/// the same collections: rulesets that are loaded with one of them count together, and whoever keeps one while rules are loaded
/// anew loses nothing.
#[derive(Debug, Clone, Default)]
pub struct PersistentCollections(pub(crate) Arc<Collections>);

/// What is in them.
#[derive(Debug, Default)]
pub(crate) struct Collections {
    entries: Mutex<HashMap<Key, Collection>>,
}

/// Which collection: its variable, and the key under which it was opened.
type Key = (Variable, Box<[u8]>);

#[derive(Debug)]
struct Collection {
    ends: SystemTime,
    variables: HashMap<Box<str>, Kept>,
}

#[derive(Debug)]
struct Kept {
    value: Vec<u8>,
    ends: Option<SystemTime>,
}

/// What happens to a variable of a collection.
#[derive(Debug)]
pub(crate) enum Update<'a> {
    Set(&'a [u8]),
    Add(i64),
    Unset,
    /// It ends after so many seconds.
    Expire(u64),
}

impl Collections {
    /// Opens a collection, so that it is kept for `timeout` from now.
    pub(crate) fn open(&self, variable: Variable, key: &[u8], timeout: Duration, now: SystemTime) {
        let Ok(mut entries) = self.entries.lock() else { return };
        let key = (variable, Box::from(key.get(..LONGEST).unwrap_or(key)));
        let ends = later(now, timeout);
        if let Some(collection) = entries.get_mut(&key) {
            if collection.ends <= now {
                collection.variables.clear();
            }
            collection.ends = ends;
            return;
        }
        if entries.len() >= MOST_COLLECTIONS {
            entries.retain(|_, collection| collection.ends > now);
        }
        if entries.len() >= MOST_COLLECTIONS {
            // All are alive: half of them, those that end first, make room in one go, so that the cost is spread.
            let mut ends: Vec<SystemTime> = entries.values().map(|collection| collection.ends).collect();
            let middle = ends.len() / 2;
            let (_, &mut median, _) = ends.select_nth_unstable(middle);
            entries.retain(|_, collection| collection.ends > median);
        }
        entries.insert(key, Collection { ends, variables: HashMap::new() });
    }

    /// Changes a variable of a collection that was opened.
    pub(crate) fn update(
        &self,
        variable: Variable,
        key: &[u8],
        name: &str,
        update: &Update<'_>,
        now: SystemTime,
    ) {
        let Ok(mut entries) = self.entries.lock() else { return };
        let key = (variable, Box::from(key.get(..LONGEST).unwrap_or(key)));
        let Some(collection) = entries.get_mut(&key) else { return };
        let name = name.to_ascii_lowercase();
        let variables = &mut collection.variables;
        if variables.get(name.as_str()).is_some_and(|kept| kept.ends.is_some_and(|ends| ends <= now)) {
            variables.remove(name.as_str());
        }
        let full = variables.len() >= MOST_VARIABLES || name.len() > LONGEST;
        match *update {
            Update::Unset => {
                variables.remove(name.as_str());
            }
            Update::Expire(seconds) => {
                if let Some(kept) = variables.get_mut(name.as_str()) {
                    kept.ends = Some(later(now, Duration::from_secs(seconds)));
                }
            }
            Update::Set(_) | Update::Add(_) if full && !variables.contains_key(name.as_str()) => {}
            Update::Set(value) => {
                let kept = variables.entry(name.into()).or_insert_with(Kept::empty);
                kept.value = value.get(..LONGEST).unwrap_or(value).to_vec();
            }
            Update::Add(amount) => {
                let kept = variables.entry(name.into()).or_insert_with(Kept::empty);
                let sum = leading_number(&kept.value).saturating_add(amount);
                kept.value.clear();
                write_number(sum, &mut kept.value);
            }
        }
    }

    /// Appends the value of a variable.
    pub(crate) fn write(
        &self,
        variable: Variable,
        key: &[u8],
        name: &str,
        now: SystemTime,
        output: &mut Vec<u8>,
    ) {
        self.each(variable, key, now, |found, value| {
            if found.eq_ignore_ascii_case(name) {
                output.extend_from_slice(value);
            }
        });
    }

    /// Calls `visit` with each variable of a collection.
    pub(crate) fn each(
        &self,
        variable: Variable,
        key: &[u8],
        now: SystemTime,
        mut visit: impl FnMut(&str, &[u8]),
    ) {
        let Ok(entries) = self.entries.lock() else { return };
        let key = (variable, Box::from(key.get(..LONGEST).unwrap_or(key)));
        let Some(collection) = entries.get(&key).filter(|collection| collection.ends > now) else {
            return;
        };
        for (name, kept) in &collection.variables {
            if kept.ends.is_none_or(|ends| ends > now) {
                visit(name, &kept.value);
            }
        }
    }
}

/// So long from now. What is beyond the end of time never ends within the life of a process.
fn later(now: SystemTime, duration: Duration) -> SystemTime {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    now + duration.min(CENTURY)
}

impl Kept {
    const fn empty() -> Self {
        Self { value: Vec::new(), ends: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_end_when_they_should() {
        let collections = Collections::default();
        let now = SystemTime::UNIX_EPOCH;
        let at = |seconds| now + Duration::from_secs(seconds);
        let read = |moment| {
            let mut output = Vec::new();
            collections.write(Variable::Ip, b"a", "Hits", moment, &mut output);
            String::from_utf8(output).unwrap()
        };
        collections.open(Variable::Ip, b"a", Duration::from_secs(100), now);
        collections.update(Variable::Ip, b"a", "hits", &Update::Add(2), now);
        collections.update(Variable::Ip, b"a", "HITS", &Update::Add(3), now);
        assert_eq!(read(now), "5");
        collections.update(Variable::Ip, b"a", "hits", &Update::Expire(10), now);
        assert_eq!(read(at(9)), "5");
        assert_eq!(read(at(10)), "");
        collections.update(Variable::Ip, b"a", "hits", &Update::Add(1), at(20));
        assert_eq!(read(at(20)), "1");
        assert_eq!(read(at(100)), "", "the collection itself ends");
    }
}
