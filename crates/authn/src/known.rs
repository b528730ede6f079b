//! What was read from the database, and the ids of which there is nothing. Bounded, and what it costs does not depend on how
//! full it is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_core::Timestamp;

/// How long a record, or that there is none, is believed without a look at the table.
pub(crate) const FRESH: Duration = Duration::from_secs(60);
/// Until how long after it was read a record serves while the database is away.
pub(crate) const STALE: Duration = Duration::from_secs(600);
/// How many records are kept at the least when there are more; at the most twice as many.
const RECORDS: usize = 100_000;
/// The same of ids of which there is none. Whoever makes up ids fills these, and none of the places for records.
const MISSING: usize = 20_000;

/// What is known of an id.
#[derive(Debug)]
pub(crate) enum Known<R> {
    /// This.
    Record(Arc<R>),
    /// That there is nothing.
    Missing,
    /// That its record cannot be read.
    Unreadable,
}

/// What is known of ids.
#[derive(Debug)]
pub(crate) struct KnownRecords<R> {
    records: Mutex<Generations<Read<R>>>,
    missing: Mutex<Generations<Absent>>,
}

#[derive(Debug)]
struct Read<R> {
    record: Arc<R>,
    fetched: Timestamp,
    fresh_until: Timestamp,
}

#[derive(Debug, Clone)]
struct Absent {
    until: Timestamp,
    is_unreadable: bool,
}

impl<R> Clone for Read<R> {
    fn clone(&self) -> Self {
        Self { record: Arc::clone(&self.record), ..*self }
    }
}

impl<R> Default for KnownRecords<R> {
    fn default() -> Self {
        Self {
            records: Mutex::new(Generations::new(RECORDS)),
            missing: Mutex::new(Generations::new(MISSING)),
        }
    }
}

impl<R> KnownRecords<R> {
    /// What is known; older records too if the database is away.
    pub(crate) fn find(&self, id: &str, now: Timestamp, is_away: bool) -> Option<Known<R>> {
        let read = self.records.lock().find(id);
        if let Some(read) = read
            && (now < read.fresh_until || is_away && now.since(read.fetched) < STALE)
        {
            return Some(Known::Record(read.record));
        }
        let absent = self.missing.lock().find(id).filter(|absent| now < absent.until)?;
        Some(if absent.is_unreadable { Known::Unreadable } else { Known::Missing })
    }

    /// Remembers what was read.
    pub(crate) fn insert(&self, id: &str, known: Known<R>, now: Timestamp, fresh_until: Timestamp) {
        // What is pushed out is freed after the lock.
        match known {
            Known::Record(record) => {
                self.missing.lock().remove(id);
                let read = Read { record, fetched: now, fresh_until };
                let _pushed_out = self.records.lock().insert(id, read);
            }
            Known::Missing | Known::Unreadable => {
                let is_unreadable = matches!(known, Known::Unreadable);
                self.records.lock().remove(id);
                let absent = Absent { until: fresh_until, is_unreadable };
                let _pushed_out = self.missing.lock().insert(id, absent);
            }
        }
    }

    /// Forgets what is known of an id.
    pub(crate) fn forget(&self, id: &str) {
        self.records.lock().remove(id);
        self.missing.lock().remove(id);
    }

    /// Forgets of which ids there is nothing: there may be now.
    pub(crate) fn forget_missing(&self) {
        let _pushed_out = std::mem::replace(&mut *self.missing.lock(), Generations::new(MISSING));
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        let _pushed_out = std::mem::replace(&mut *self.records.lock(), Generations::new(RECORDS));
        self.forget_missing();
    }
}

/// Entries by id in two generations. When the younger is full, it becomes the older and what was the older goes; an entry that
/// is looked up becomes young again. So what is in use stays, and nothing is searched.
#[derive(Debug)]
struct Generations<T> {
    most: usize,
    young: HashMap<String, T>,
    old: HashMap<String, T>,
}

impl<T: Clone> Generations<T> {
    fn new(most: usize) -> Self {
        Self { most, young: HashMap::new(), old: HashMap::new() }
    }

    fn find(&mut self, id: &str) -> Option<T> {
        if let Some(entry) = self.young.get(id) {
            return Some(entry.clone());
        }
        if self.young.len() >= self.most {
            return self.old.get(id).cloned();
        }
        let (id, entry) = self.old.remove_entry(id)?;
        self.young.insert(id, entry.clone());
        Some(entry)
    }

    /// What had to go.
    #[must_use = "freeing it takes a while"]
    fn insert(&mut self, id: &str, entry: T) -> HashMap<String, T> {
        let mut pushed_out = HashMap::new();
        if self.young.len() >= self.most {
            pushed_out = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        }
        self.old.remove(id);
        self.young.insert(id.to_owned(), entry);
        pushed_out
    }

    fn remove(&mut self, id: &str) {
        self.young.remove(id);
        self.old.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_stays_and_the_rest_is_bounded() {
        let mut generations = Generations::new(10);
        for number in 0..1000 {
            drop(generations.insert(&number.to_string(), number));
            assert_eq!(generations.find("0"), Some(0), "after {number}");
            assert!(generations.young.len() + generations.old.len() <= 20);
        }
        assert_eq!(generations.find("999"), Some(999));
        assert_eq!(generations.find("500"), None);
        generations.remove("999");
        assert_eq!(generations.find("999"), None);
    }

    #[test]
    fn ids_that_somebody_makes_up_push_no_record_out() {
        let known = KnownRecords::default();
        let at = Timestamp::from_secs;
        let record = Arc::new("acme");
        known.insert("acme", Known::Record(record), at(0), at(60));
        for number in 0..3 * RECORDS {
            known.insert(&format!("made-up-{number}"), Known::Missing, at(1), at(61));
        }
        assert!(matches!(known.find("acme", at(59), false), Some(Known::Record(_))));
        assert!(known.find("acme", at(60), false).is_none(), "the table is looked at again");
        assert!(matches!(known.find("acme", at(599), true), Some(Known::Record(_))), "while it is away");
        assert!(known.find("acme", at(600), true).is_none());
        assert!(matches!(
            known.find(&format!("made-up-{}", 3 * RECORDS - 1), at(2), false),
            Some(Known::Missing)
        ));
    }
}
