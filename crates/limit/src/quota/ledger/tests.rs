//! What a gateway makes of a commit that the database did not answer.

use smallvec::SmallVec;

use super::*;
use crate::quota::draw::{Measure, Terms};
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
        notifies: false,
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

fn is_busy(ledger: &Ledger) -> bool {
    let queue = ledger.queue.lock();
    queue.is_worked_on || queue.is_looking
}

/// Whoever makes up holders fills no database: those that there are go on, and new ones find no place.
#[test]
fn holders_are_bounded_and_old_periods_are_forgotten() {
    on_both(|make| {
        let ledger = Arc::new(Ledger { most_holders: 2, ..Ledger::new(&make()).unwrap() });
        let month = 30 * 24 * 3600;
        let terms = terms(false);
        let draws = |holder: &str, month_number: u64| -> Arc<[Draw]> {
            let start = |number: u64| Timestamp::from_secs(number * month);
            let term = Term {
                start: start(month_number),
                end: start(month_number + 1),
                previous: start(month_number - 1),
            };
            let (terms, holder) = (Arc::clone(&terms), Arc::from(holder));
            [Draw { place: 0, terms, holder, term, watches: false, amount: 1 }].into()
        };
        run(async {
            let ask = async |holder: &str, month_number: u64, minute: u64| {
                let now = Timestamp::from_secs(month_number * month + minute * 60);
                let draws = draws(holder, month_number);
                let QuotaCount::Answered(standings) = ledger.count(&draws, now).await else {
                    panic!("unanswered")
                };
                // What follows a batch is done before the next.
                while is_busy(&ledger) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                !standings[0].refused
            };
            for (holder, minute, passes) in [
                ("a", 1, true),
                ("b", 2, true),
                ("c", 3, false),
                ("a", 4, true),
                ("b", 4, true),
                ("d", 5, false),
            ] {
                assert_eq!(ask(holder, 100, minute).await, passes, "{holder} {minute}");
            }
            // The next period has room again.
            assert!(ask("c", 101, 1).await);
            assert!(ask("c", 114, 1).await);
            let rows = Query::new("SELECT holder FROM quota_usage ORDER BY period");
            let rows = ledger.database.rows(rows).await.unwrap();
            let left: Vec<String> = rows.iter().map(|row| row.column(0).unwrap()).collect();
            assert_eq!(left, ["c", "c"], "the hundredth month is forgotten");
        });
    });
}
