//! Several threads, several limits: all or none.

use std::sync::Barrier;
use std::thread;

use portcullis_core::{Clock, ManualClock};
use serde_json::json;

use super::*;

const THREADS: u32 = 8;

/// Runs `requests` requests in each thread, all starting together; says how many passed in all.
fn hammer(requests: u32, pass: impl Fn(u32) -> bool + Sync) -> u32 {
    let start = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        let (start, pass) = (&start, &pass);
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    start.wait();
                    (0..requests).filter(|_| pass(thread)).count() as u32
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

#[test]
fn of_many_at_once_exactly_the_limit_passes() {
    let limits = compile(json!([{ "name": "a", "key": ["global"], "rate": "500/min" }]));
    let clock = ManualClock::at(NOW);
    let pass = |_| passes(&limits, &subject("192.0.2.1"), clock.now());
    assert_eq!(hammer(1000, pass), 500);
    clock.advance(Duration::from_secs(6));
    assert_eq!(hammer(1000, pass), 50);
}

/// If a refused request took a token of the limit per address, fewer than the 300 in all would pass.
#[test]
fn a_refusal_by_one_limit_takes_nothing_from_the_other() {
    let limits = compile(json!([
        { "name": "each", "key": ["address"], "rate": "40/d" },
        { "name": "all", "key": ["global"], "rate": "300/d" },
    ]));
    assert_eq!(hammer(1000, |thread| passes(&limits, &numbered(thread), NOW)), 300);
    let left: u64 = (0..THREADS).map(|thread| ask(&limits, &numbered(thread), NOW).1[0].remaining).sum();
    assert_eq!(left, u64::from(THREADS) * 40 - 300);
}

/// Two limits in opposite orders would wait for each other for ever if the order of the ids were that of the locks.
#[test]
fn no_order_of_the_limits_is_a_deadlock() {
    let limits = compile(json!([
        { "name": "a", "key": ["global"], "rate": "10000/d" },
        { "name": "b", "key": ["route"], "rate": "10000/d" },
        { "name": "c", "key": ["service"], "rate": "10000/d" },
    ]));
    let [a, b, c] = ids(&limits)[..] else { panic!("three limits have three ids") };
    let orders = [[a, b, c], [c, b, a], [b, c, a], [a, c, b]];
    let passed = hammer(4000, |thread| {
        let order = orders[thread as usize % orders.len()];
        limits.take(&order, &subject("192.0.2.1"), NOW, &mut SmallVec::new()).is_ok()
    });
    assert_eq!(passed, 10_000);
}
