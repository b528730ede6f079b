//! What a gateway makes of a commit that the database did not answer.

use super::*;
use crate::quota::calendar::Term;
use crate::quota::draw::Terms;
use crate::quota::tests::{on_both, run};

fn terms(passes_unanswered: bool) -> Arc<Terms> {
    let name = if passes_unanswered { "allowing" } else { "denying" };
    Arc::new(Terms {
        name: name.into(),
        limit: 9,
        grace: 0,
        carry_over: 0,
        measure: Measure::Requests,
        warn_at: Vec::new(),
        watches: false,
        passes_unanswered,
    })
}

fn draw(terms: &Arc<Terms>) -> Arc<[Draw]> {
    let term = Term { start: Timestamp(0), end: Timestamp(u64::MAX), previous: Timestamp(0) };
    let (terms, holder) = (Arc::clone(terms), Arc::from("all"));
    [Draw { place: 0, terms, holder, term, watches: false, amount: 1 }].into()
}

/// Two requests, of a quota that denies and of one that allows.
fn batch(number: i64) -> Arc<Batch> {
    let requests = vec![draw(&terms(false)), draw(&terms(true))];
    Arc::new(Batch { number, now: Timestamp(1), requests, owed: Sums::new() })
}

async fn used(ledger: &Ledger) -> [i64; 2] {
    let mut used = [0; 2];
    for (place, passes) in [(0, false), (1, true)] {
        used[place] = book::look(&ledger.database, &draw(&terms(passes))[0]).await.unwrap().used;
    }
    used
}

fn counts(attempt: Attempt) -> Vec<QuotaCount> {
    match attempt {
        Attempt::Counted(counts) => counts,
        Attempt::Failed | Attempt::Unknown(_) => panic!("it was not counted"),
    }
}

#[test]
fn a_batch_that_has_happened_does_not_happen_again() {
    on_both(|make| {
        let ledger = Ledger::new(&make()).unwrap();
        run(async {
            let first = counts(ledger.attempt(&batch(1), None).await);
            assert_eq!(used(&ledger).await, [1, 1]);
            let again = counts(ledger.attempt(&batch(1), Some(first.clone())).await);
            assert_eq!((again, used(&ledger).await), (first.clone(), [1, 1]));
            // The second was never committed: what it found before says nothing.
            let second = counts(ledger.attempt(&batch(2), Some(first.clone())).await);
            assert_ne!(second, first);
            assert_eq!(used(&ledger).await, [2, 2]);
        });
    });
}

/// Whoever passed is counted, and whoever was refused is not, whether or not the batch has happened.
#[test]
fn a_doubt_is_settled_when_the_database_is_back() {
    on_both(|make| {
        for has_happened in [true, false] {
            let ledger = Arc::new(Ledger::new(&make()).unwrap());
            run(async {
                let before = used(&ledger).await;
                ledger.queue.lock().is_worked_on = true;
                let made = ledger.queue.lock().last + 1;
                let found = if has_happened {
                    counts(ledger.attempt(&batch(made), None).await)
                } else {
                    vec![QuotaCount::Answered(SmallVec::new()); 2]
                };
                let told = ledger.fail(&batch(made), Some(found));
                assert_eq!(told, [false, true].map(|passes| QuotaCount::Unanswered { passes }));
                assert!(ledger.is_back().await);
                ledger.is_lost.store(false, Ordering::Release);
                Arc::clone(&ledger).work().await;
                assert_eq!(used(&ledger).await, [before[0], before[1] + 1], "{has_happened}");
            });
        }
    });
}
