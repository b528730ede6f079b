//! Windows and queues against slow references that keep every request.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Every request that passed, as its moment.
#[derive(Debug, Default)]
struct Log(Vec<u64>);

impl Log {
    /// How many passed from `from` on, until before `to`.
    fn between(&self, from: u64, to: u64) -> u64 {
        self.0.iter().filter(|at| (from..to).contains(*at)).count() as u64
    }
}

fn limit(algorithm: &str, count: u32, seconds: u32) -> Limits {
    compile(
        json!([{ "name": "a", "key": ["address"], "algorithm": algorithm, "rate": format!("{count}/{seconds}s") }]),
    )
}

fn any_steps() -> impl Strategy<Value = Vec<u64>> {
    let nanos = prop_oneof![
        3 => Just(0_u64),
        2 => 0..1_000_u64,
        3 => 0..1_000_000_000_u64,
        1 => 0..20_000_000_000_u64,
    ];
    proptest::collection::vec(nanos, 1..200)
}

proptest! {
    #[test]
    fn a_fixed_window_counts_from_its_beginning(count in 1..20_u32, seconds in 1..10_u32, steps in any_steps()) {
        let limits = limit("fixed_window", count, seconds);
        let (mut log, mut now, period) = (Log::default(), NOW, u64::from(seconds) * 1_000_000_000);
        for step in steps {
            now = now.plus(Duration::from_nanos(step));
            let begun = now.0 - now.0 % period;
            let had = log.between(begun, begun + period);
            let (outcome, states) = ask(&limits, &subject("192.0.2.1"), now);
            prop_assert_eq!(outcome.is_ok(), had < u64::from(count));
            if outcome.is_ok() {
                log.0.push(now.0);
            }
            prop_assert_eq!(states[0].remaining, u64::from(count) - log.between(begun, begun + period));
            prop_assert_eq!(states[0].reset, Duration::from_nanos(begun + period - now.0));
        }
    }

    /// The estimate is that of exact fractions, and a refusal names the first moment that passes.
    #[test]
    fn a_sliding_window_counts_the_earlier_one_in_part(count in 1..20_u32, seconds in 1..10_u32, steps in any_steps()) {
        let limits = limit("sliding_window", count, seconds);
        let (mut log, mut now, period) = (Log::default(), NOW, u64::from(seconds) * 1_000_000_000);
        for step in steps {
            now = now.plus(Duration::from_nanos(step));
            let estimate = |now: u64, log: &Log| {
                let begun = now - now % period;
                let earlier = log.between(begun - period, begun);
                log.between(begun, begun + period) + earlier * (period - (now - begun)) / period
            };
            let had = estimate(now.0, &log);
            let (outcome, states) = ask(&limits, &subject("192.0.2.1"), now);
            prop_assert_eq!(outcome.is_ok(), had < u64::from(count));
            match outcome {
                Ok(()) => log.0.push(now.0),
                Err(Refused::TooSoon(wait)) => {
                    let first = now.0 + wait.as_nanos() as u64;
                    prop_assert!(estimate(first, &log) < u64::from(count));
                    prop_assert!(estimate(first - 1, &log) >= u64::from(count));
                }
                Err(other) => prop_assert!(false, "{:?}", other),
            }
            prop_assert_eq!(states[0].remaining, u64::from(count).saturating_sub(estimate(now.0, &log)));
        }
    }

    /// The error that is stated: in any period no more than the limit and what of the earlier window came unevenly, which is
    /// the limit once more at the worst.
    #[test]
    fn a_sliding_window_never_lets_more_than_twice_the_limit_pass(count in 1..20_u32, steps in any_steps()) {
        let limits = limit("sliding_window", count, 2);
        let (mut log, mut now) = (Log::default(), NOW);
        for step in steps {
            now = now.plus(Duration::from_nanos(step));
            if passes(&limits, &subject("192.0.2.1"), now) {
                log.0.push(now.0);
            }
            prop_assert!(log.between(now.0 - 2_000_000_000 + 1, now.0 + 1) <= 2 * u64::from(count));
        }
    }

    /// Requests of a queue go on one interval apart, and none waits longer than it may.
    #[test]
    fn a_queue_paces(count in 1..20_u32, wait in 1..5_u64, steps in any_steps()) {
        let limits = compile(json!([{
            "name": "a", "key": ["address"], "algorithm": "leaky_bucket", "rate": format!("{count}/s"),
            "queue": format!("{wait}s"),
        }]));
        let interval = Duration::from_secs(1) / count;
        let (mut last, mut now) = (None::<Timestamp>, NOW);
        for step in steps {
            now = now.plus(Duration::from_nanos(step));
            let (outcome, states) = ask(&limits, &subject("192.0.2.1"), now);
            let due = last.map_or(now, |last| last.plus(interval).max(now));
            let slack = Duration::from_nanos(200);
            if outcome.is_ok() {
                let turn = now.plus(states[0].turn);
                prop_assert!(states[0].turn <= Duration::from_secs(wait));
                // An interval is a fraction of nanoseconds; its sum is not.
                prop_assert!(turn.plus(slack) >= due && due.plus(slack) >= turn, "{:?} {:?}", turn, due);
                last = Some(turn);
            } else {
                prop_assert!(due.plus(slack) > now.plus(Duration::from_secs(wait)));
            }
        }
    }
}

#[test]
fn a_cost_takes_as_much_or_nothing() {
    for algorithm in ["token_bucket", "fixed_window", "sliding_window"] {
        let limits = compile(
            json!([{ "name": "a", "key": ["address"], "algorithm": algorithm, "rate": "10/d", "cost": 4 }]),
        );
        let states: Vec<_> = (0..3).map(|_| ask(&limits, &subject("192.0.2.1"), NOW)).collect();
        let said: Vec<_> =
            states.iter().map(|(outcome, states)| (outcome.is_ok(), states[0].remaining)).collect();
        assert_eq!(said, [(true, 6), (true, 2), (false, 2)], "{algorithm}");
    }
}

#[test]
fn a_limit_in_shadow_counts_and_refuses_nothing() {
    let limits = compile(json!([
        { "name": "watched", "key": ["address"], "rate": "2/d", "mode": "shadow" },
        { "name": "enforced", "key": ["address"], "rate": "4/d" },
    ]));
    let said: Vec<_> = (0..5)
        .map(|_| {
            let (outcome, states) = ask(&limits, &subject("192.0.2.1"), NOW);
            (outcome.is_ok(), states[0].exceeded, states[0].remaining, states[1].remaining)
        })
        .collect();
    let expected = [
        (true, false, 1, 3),
        (true, false, 0, 2),
        (true, true, 0, 1),
        (true, true, 0, 0),
        (false, true, 0, 0),
    ];
    assert_eq!(said, expected);
}

#[test]
fn clocks_that_are_set_back_lock_nobody_out_of_a_window() {
    for algorithm in ["fixed_window", "sliding_window"] {
        let limits = limit(algorithm, 2, 60);
        let client = subject("192.0.2.1");
        assert_eq!(drain(&limits, &client, NOW), 2);
        let back = Timestamp(NOW.0 - 86_400_000_000_000);
        let _ = passes(&limits, &client, back);
        let later = back.plus(Duration::from_secs(180));
        assert!(passes(&limits, &client, later), "{algorithm}");
    }
}

#[test]
fn more_keys_than_there_is_room_for_give_nothing_back() {
    for algorithm in ["fixed_window", "sliding_window"] {
        let limit = json!([{ "name": "a", "key": ["address"], "algorithm": algorithm, "rate": "10/d" }]);
        let (limits, problems) = try_compile(limit, 10, None);
        assert!(problems.is_empty());
        let attackers: Vec<_> = (0..50).map(|n| numbered(0xc000_0200 + n)).collect();
        let mut taken: Vec<u32> = attackers.iter().map(|attacker| drain(&limits, attacker, NOW)).collect();
        for flood in 0..10_000 {
            passes(&limits, &numbered(flood), NOW);
        }
        for (attacker, taken) in attackers.iter().zip(&mut taken) {
            *taken += drain(&limits, attacker, NOW);
            assert!(*taken <= 10, "{algorithm}");
        }
    }
}
