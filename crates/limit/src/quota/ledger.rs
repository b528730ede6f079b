//! One transaction after the other, each for all requests that came while the one before was under way.
//!
//! A request is forwarded only after the transaction that counts it is committed. Every transaction also writes its number, in a
//! row of this writer's own. If the database does not say whether it committed, that number tells later: nobody can write it twice,
//! since whoever writes it holds the row. So each request is counted once if it passes and not at all if it does not, unless the
//! process is killed before it could find out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_core::{QuotaCount, Timestamp};
use portcullis_store::{Database, Query, StoreError};
use tokio::sync::oneshot;

use super::ask::passes_unanswered;
use super::book::{self, Batch};
use super::calendar::Term;
use super::draw::{Draw, Sum, Sums, is_granted};

/// The most requests in one transaction.
const MOST_TOGETHER: usize = 256;
/// The most requests that wait. Others are treated as if the database were not available.
const MOST_WAITING: usize = 10_000;
/// The most rows of which something is remembered to be added later.
const MOST_OWED: usize = 100_000;
/// How often a lost database is tried.
const PAUSE: Duration = Duration::from_secs(1);
/// The most holders of a quota in one period. Others are refused, so that nobody fills the database with made-up ones.
const MOST_HOLDERS: i64 = 1_000_000;
/// How often holders are counted and old periods forgotten.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// The requests that wait to be counted in one database.
pub(crate) struct Ledger {
    database: Arc<Database>,
    /// Names this process in the database.
    writer: String,
    queue: Mutex<Queue>,
    /// Whether the database did not answer when it was asked last.
    is_lost: AtomicBool,
    most_holders: i64,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    owed: Sums,
    /// Whether there is a task that works on it.
    is_worked_on: bool,
    /// The number of the last batch.
    last: i64,
    doubt: Option<Doubt>,
    /// Whether rows are being looked at.
    is_looking: bool,
    /// When the rows of each quota were looked at.
    looked_at: BTreeMap<Arc<str>, Timestamp>,
    /// The quotas that have as many holders as they may, in the period that began then.
    full: Arc<BTreeMap<Arc<str>, i64>>,
    /// When the last request came.
    latest: Timestamp,
}

struct Waiting {
    draws: Arc<[Draw]>,
    now: Timestamp,
    answer: oneshot::Sender<QuotaCount>,
}

/// A batch of which nobody knows whether it was committed, with what it found.
struct Doubt {
    batch: Arc<Batch>,
    counts: Vec<QuotaCount>,
    /// Which of its requests passed all the same.
    passed: Vec<bool>,
}

/// How an attempt to write a batch ends.
enum Attempt {
    Counted(Vec<QuotaCount>),
    /// Nothing happened.
    Failed,
    /// It may have happened, with this outcome.
    Unknown(Vec<QuotaCount>),
}

impl Ledger {
    pub(crate) fn new(database: &Arc<Database>) -> Result<Self, getrandom::Error> {
        let mut name = [0; 16];
        getrandom::fill(&mut name)?;
        Ok(Self {
            database: Arc::clone(database),
            writer: format!("{:032x}", u128::from_be_bytes(name)),
            queue: Mutex::default(),
            is_lost: AtomicBool::new(false),
            most_holders: MOST_HOLDERS,
        })
    }

    pub(crate) const fn database(&self) -> &Arc<Database> {
        &self.database
    }

    /// Counts a request, together with others that come at the same time.
    pub(super) async fn count(self: &Arc<Self>, draws: &Arc<[Draw]>, now: Timestamp) -> QuotaCount {
        let (answer, answered) = oneshot::channel();
        self.take_in(Waiting { draws: Arc::clone(draws), now, answer });
        answered.await.unwrap_or(QuotaCount::Unanswered { passes: false })
    }

    fn take_in(self: &Arc<Self>, waiting: Waiting) {
        let mut queue = self.queue.lock();
        queue.latest = queue.latest.max(waiting.now);
        if self.is_lost.load(Ordering::Acquire) || queue.waiting.len() >= MOST_WAITING {
            let passes = queue.owe(&waiting.draws);
            drop(queue);
            self.see_to(passes);
            // Whoever asked may have gone.
            let _: Result<(), _> = waiting.answer.send(QuotaCount::Unanswered { passes });
            return;
        }
        queue.waiting.push(waiting);
        drop(queue);
        self.see_to(true);
    }

    /// Adds what is owed, whatever is left: with the next transaction.
    pub(super) fn settle(self: &Arc<Self>, owed: &Sums) {
        if owed.is_empty() {
            return;
        }
        self.queue.lock().owe_sums(owed);
        self.see_to(true);
    }

    /// Waits until everything is written, or the database is lost, for as long as `patience` lasts. Whether it is.
    pub(crate) fn wait_until_settled(&self, patience: Duration) -> bool {
        let begun = std::time::Instant::now();
        loop {
            let is_settled = !self.queue.lock().is_worked_on;
            if is_settled || self.is_lost.load(Ordering::Acquire) || begun.elapsed() >= patience {
                return is_settled;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Has a task work on the queue, unless there is one.
    fn see_to(self: &Arc<Self>, is_wanted: bool) {
        let mut queue = self.queue.lock();
        if !is_wanted || std::mem::replace(&mut queue.is_worked_on, true) {
            return;
        }
        drop(queue);
        if self.database.spawn(Arc::clone(self).work()).is_err() {
            let mut queue = self.queue.lock();
            queue.is_worked_on = false;
            let waiting = std::mem::take(&mut queue.waiting);
            queue.refuse(waiting);
        }
    }

    /// Works until there is nothing to do.
    async fn work(self: Arc<Self>) {
        loop {
            if self.is_lost.load(Ordering::Acquire) {
                tokio::time::sleep(PAUSE).await;
                // After a reload nobody else may be interested in this database any more.
                if Arc::strong_count(&self) == 1 && self.queue.lock().owed.is_empty() {
                    return;
                }
                if !self.is_back().await {
                    continue;
                }
                self.is_lost.store(false, Ordering::Release);
            }
            let Some((batch, answers)) = self.next() else { return };
            self.write(Arc::new(batch), answers).await;
        }
    }

    /// The next batch with those who wait for it; `None` if there is nothing to do, and then nobody works any more.
    fn next(&self) -> Option<(Batch, Vec<oneshot::Sender<QuotaCount>>)> {
        let mut queue = self.queue.lock();
        if queue.waiting.is_empty() && queue.owed.is_empty() {
            queue.is_worked_on = false;
            return None;
        }
        queue.last += 1;
        let number = queue.last;
        let owed = std::mem::take(&mut queue.owed);
        let together = queue.waiting.len().min(MOST_TOGETHER);
        let waiting: Vec<Waiting> = queue.waiting.drain(..together).collect();
        let now = queue.latest;
        drop(queue);
        let mut requests = Vec::with_capacity(waiting.len());
        let mut answers = Vec::with_capacity(waiting.len());
        for Waiting { draws, answer, .. } in waiting {
            requests.push(draws);
            answers.push(answer);
        }
        Some((Batch { number, now, requests, owed }, answers))
    }

    /// Writes a batch, if need be twice: the second time also tells whether the first has happened after all.
    async fn write(self: &Arc<Self>, batch: Arc<Batch>, answers: Vec<oneshot::Sender<QuotaCount>>) {
        let mut attempt = self.attempt(&batch, None).await;
        if let Attempt::Unknown(counts) = attempt {
            attempt = self.attempt(&batch, Some(counts)).await;
        }
        let counts = match attempt {
            Attempt::Counted(counts) => counts,
            Attempt::Failed => self.fail(&batch, None),
            Attempt::Unknown(counts) => self.fail(&batch, Some(counts)),
        };
        for (answer, count) in answers.into_iter().zip(counts) {
            // Whoever asked may have gone.
            let _: Result<(), _> = answer.send(count);
        }
        self.look_after(&batch);
    }

    /// Tries to write a batch. `before` is what an attempt found of which is not known whether it happened.
    async fn attempt(&self, batch: &Arc<Batch>, before: Option<Vec<QuotaCount>>) -> Attempt {
        let reached: Arc<Mutex<Option<Vec<QuotaCount>>>> = Arc::new(Mutex::new(before));
        let (writer, work, found) = (self.writer.clone(), Arc::clone(batch), Arc::clone(&reached));
        let full = Arc::clone(&self.queue.lock().full);
        let outcome = self.database.transaction(move |mut transaction| async move {
            let last = book::last_batch(&mut transaction, &writer, work.now).await?;
            let earlier = found.lock().clone();
            if let Some(counts) = earlier.filter(|_| last >= work.number) {
                transaction.roll_back().await?;
                return Ok(counts);
            }
            // Nobody else writes this number while the row is held: what was tried before has not happened.
            *found.lock() = None;
            let (counts, is_changed) = book::count(&mut transaction, &writer, &work, &full).await?;
            if !is_changed {
                transaction.roll_back().await?;
                return Ok(counts);
            }
            *found.lock() = Some(counts.clone());
            transaction.commit().await?;
            Ok(counts)
        });
        match outcome.await {
            Ok(counts) => Attempt::Counted(counts),
            Err(error) => match reached.lock().take() {
                Some(counts) if !matches!(error, StoreError::Refused(_)) => Attempt::Unknown(counts),
                _ => Attempt::Failed,
            },
        }
    }

    /// The database is lost: says which requests of a batch pass all the same, and remembers what must be added for them.
    fn fail(&self, batch: &Arc<Batch>, found: Option<Vec<QuotaCount>>) -> Vec<QuotaCount> {
        self.is_lost.store(true, Ordering::Release);
        let mut queue = self.queue.lock();
        let has_room = queue.owed.len() < MOST_OWED;
        let passed: Vec<bool> =
            batch.requests.iter().map(|draws| has_room && passes_unanswered(draws)).collect();
        let unanswered = passed.iter().map(|passes| QuotaCount::Unanswered { passes: *passes }).collect();
        match found {
            None => queue.owe_again(batch, &passed),
            Some(counts) => queue.doubt = Some(Doubt { batch: Arc::clone(batch), counts, passed }),
        }
        // Those behind them need not wait.
        let waiting = std::mem::take(&mut queue.waiting);
        queue.refuse(waiting);
        unanswered
    }

    /// Whether the database answers again. If there was a doubt, it is settled then.
    async fn is_back(&self) -> bool {
        let doubted = self.queue.lock().doubt.as_ref().map(|doubt| Arc::clone(&doubt.batch));
        let Some(batch) = doubted else {
            return self.database.rows(Query::new("SELECT 1")).await.is_ok();
        };
        let (writer, now) = (self.writer.clone(), batch.now);
        let last = self.database.transaction(move |mut transaction| async move {
            let last = book::last_batch(&mut transaction, &writer, now).await?;
            transaction.roll_back().await?;
            Ok(last)
        });
        let Ok(last) = last.await else { return false };
        let mut queue = self.queue.lock();
        let Some(Doubt { batch, counts, passed }) = queue.doubt.take() else { return true };
        if last < batch.number {
            queue.owe_again(&batch, &passed);
            return true;
        }
        for ((draws, count), passed) in batch.requests.iter().zip(&counts).zip(&passed) {
            let is_counted = matches!(count, QuotaCount::Answered(standings) if is_granted(standings));
            let missing = i64::from(*passed) - i64::from(is_counted);
            if missing != 0 {
                draws.iter().for_each(|draw| draw.add_to(&mut queue.owed, missing));
            }
        }
        true
    }

    /// Has the rows of the quotas of a batch looked at now and then, beside the requests.
    fn look_after(self: &Arc<Self>, batch: &Batch) {
        let mut queue = self.queue.lock();
        if queue.is_looking || self.is_lost.load(Ordering::Acquire) {
            return;
        }
        let mut due: BTreeMap<Arc<str>, Term> = BTreeMap::new();
        for draw in batch.requests.iter().flat_map(|draws| draws.iter()) {
            let looked_at = queue.looked_at.entry(Arc::clone(&draw.terms.name)).or_default();
            if batch.now.since(*looked_at) >= LOOK_EVERY {
                *looked_at = batch.now;
                due.insert(Arc::clone(&draw.terms.name), draw.term);
            }
        }
        if !due.is_empty() {
            let looking = Arc::clone(self).look(due, batch.now);
            queue.is_looking = self.database.spawn(looking).is_ok();
        }
    }

    /// Counts the holders of quotas, and forgets old periods.
    async fn look(self: Arc<Self>, due: BTreeMap<Arc<str>, Term>, now: Timestamp) {
        for (quota, term) in due {
            // If this fails, the next time will do.
            let Ok(holders) = book::holders(&self.database, &quota, term).await else { continue };
            self.queue.lock().set_full(&quota, term, holders >= self.most_holders);
            let forgetting = book::forgetting(&quota, term, now, &self.writer);
            let _: Result<_, _> = self.database.transact(forgetting).await;
        }
        self.queue.lock().is_looking = false;
    }
}

impl Queue {
    /// Notes whether a quota has as many holders as it may.
    fn set_full(&mut self, quota: &Arc<str>, term: Term, is_full: bool) {
        let full = Arc::make_mut(&mut self.full);
        if is_full {
            full.insert(Arc::clone(quota), book::milliseconds(term.start));
        } else {
            full.remove(quota);
        }
    }

    /// Remembers what a request takes that passes without being counted; whether it does.
    fn owe(&mut self, draws: &[Draw]) -> bool {
        let passes = passes_unanswered(draws) && self.owed.len() < MOST_OWED;
        if passes {
            draws.iter().for_each(|draw| draw.add_to(&mut self.owed, 1));
        }
        passes
    }

    /// Remembers what is to be added. Beyond what there is room for nothing is.
    fn owe_sums(&mut self, owed: &Sums) {
        for (key, Sum { amount, terms, previous }) in owed {
            if self.owed.len() >= MOST_OWED && !self.owed.contains_key(key) {
                continue;
            }
            let sum = self.owed.entry(key.clone()).or_insert_with(|| Sum {
                amount: 0,
                terms: Arc::clone(terms),
                previous: *previous,
            });
            sum.amount = sum.amount.saturating_add(*amount);
        }
    }

    /// Nothing of this batch has happened: remembers what must.
    fn owe_again(&mut self, batch: &Batch, passed: &[bool]) {
        self.owe_sums(&batch.owed);
        for (draws, _) in batch.requests.iter().zip(passed).filter(|(_, passed)| **passed) {
            draws.iter().for_each(|draw| draw.add_to(&mut self.owed, 1));
        }
    }

    /// Answers those who wait for a database that is lost.
    fn refuse(&mut self, waiting: Vec<Waiting>) {
        for Waiting { draws, answer, .. } in waiting {
            let passes = self.owe(&draws);
            // Whoever asked may have gone.
            let _: Result<(), _> = answer.send(QuotaCount::Unanswered { passes });
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("writer", &self.writer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
