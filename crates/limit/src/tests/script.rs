//! The script of the shared store against the arithmetic of this process: the same decisions, to the microsecond.
//!
//! The store's clock cannot be moved. So the script runs with its line about the clock replaced by one that takes the time
//! from the arguments, and keys are kept for an hour; the rest is what production runs.

use std::num::NonZeroU32;
use std::sync::{LazyLock, Mutex};

use portcullis_core::ConfigFolder;
use portcullis_store::redis::{Link, Script};
use portcullis_store::{RawStore, Store};
use portcullis_testkit::redis::Redis as Server;
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::*;
use crate::gcra::{Fine, Gcra};
use crate::rule::Rule;
use crate::window::Window;

/// A store for all cases, with a runtime that keeps the connection.
struct Bench {
    runtime: Runtime,
    link: Link,
    script: Script,
    next_key: Mutex<u64>,
    _server: Server,
}

static BENCH: LazyLock<Bench> = LazyLock::new(|| {
    let server = Server::start();
    let raw: RawStore =
        serde_json::from_value(serde_json::json!({ "redis": { "url": server.url(), "timeout": "10s" } }))
            .unwrap();
    let mut problems = Problems::default();
    let store = Store::compile(&raw, &ConfigFolder::new("."), &KeyPath::root(), &mut problems, None);
    let text = include_str!("../count.lua");
    let moved = text.replace("redis.call('TIME')", "{ ARGV[#ARGV - 1], ARGV[#ARGV] }");
    assert_ne!(moved, text);
    // Keys live by the store's own clock, which runs on while that of the test stands.
    let text = moved.replace("'PX', floor(lasts / 1000) + 1", "'PX', 3600000");
    assert_ne!(moved, text);
    Bench {
        runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        link: Link::new(&store.redis.unwrap(), |_| {}),
        script: Script::new(Box::leak(text.into_boxed_str())),
        next_key: Mutex::new(0),
        _server: server,
    }
});

impl Bench {
    fn key(&self) -> String {
        let mut next = self.next_key.lock().unwrap();
        *next += 1;
        format!("portcullis:{next}")
    }

    /// What the script says of one limit: whether it has room, what is left, the time, what was taken.
    fn ask(&self, key: &str, rule: &Rule, cost: [u32; 3], now: Timestamp) -> (bool, u64, u64, u32) {
        let [least, most, owed] = cost;
        let (algorithm, parameters) = rule.parameters();
        let mut numbers = vec![0, algorithm, 0, least.into(), most.into(), owed.into()];
        numbers.extend(parameters);
        let micros = i64::try_from(now.0 / 1_000).unwrap();
        numbers.extend([micros / 1_000_000, micros % 1_000_000]);
        let answer: Vec<i64> = self.runtime.block_on(self.link.run(&self.script, &[key], &numbers)).unwrap();
        let [_, room, left, reset, _, taken, _] = answer[..] else { panic!("{answer:?}") };
        (room == 1, left as u64, reset as u64, taken as u32)
    }
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let rate = (
        prop_oneof![1..12_u32, 1..2_000_u32, Just(999_983)],
        prop_oneof![Just(1_u32), 1..100_u32, Just(3_600)],
    )
        .prop_map(|(count, seconds)| format!("{count}/{seconds}s").parse::<crate::Rate>().unwrap());
    (0..4_u8, rate, 1..12_u32).prop_map(|(algorithm, rate, burst)| match algorithm {
        0 => Rule::Bucket(Gcra::new(rate, NonZeroU32::new(burst).unwrap()).unwrap()),
        1 => Rule::FixedWindow(Window::new(rate.period(), burst)),
        2 => Rule::SlidingWindow(Window::new(rate.period(), burst)),
        _ => Rule::Queue(Gcra::queue(rate, Duration::from_secs(1)).unwrap()),
    })
}

/// How much later, in microseconds, and how much it takes.
fn any_request() -> impl Strategy<Value = (u64, u32)> {
    let micros =
        prop_oneof![3 => Just(0_u64), 2 => 0..1_000_u64, 2 => 0..1_000_000_u64, 1 => 0..100_000_000_u64];
    (micros, prop_oneof![4 => Just(1_u32), 1 => 1..4_u32])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_script_decides_as_this_process_does(
        rule in any_rule(),
        requests in proptest::collection::vec(any_request(), 1..40),
    ) {
        let (key, mut state, mut now) = (BENCH.key(), Fine::default(), NOW);
        for (later, cost) in requests {
            let cost = cost.min(u32::try_from(rule.capacity()).unwrap_or(u32::MAX));
            now = now.plus(Duration::from_micros(later));
            let (room, left, reset, taken) = BENCH.ask(&key, &rule, [cost, cost, 0], now);
            let outcome = rule.take(state, now, cost);
            prop_assert_eq!(room, outcome.is_ok(), "{:?} {:?}", rule, outcome);
            match outcome {
                Ok(next) => {
                    state = next;
                    prop_assert_eq!(taken, cost);
                }
                // Rounded up to what the store counts in.
                Err(wait) => prop_assert_eq!(reset, wait.as_nanos().div_ceil(1_000) as u64),
            }
            prop_assert_eq!(left, rule.remaining(state, now));
        }
    }

    /// A batch takes what there is, and what was taken elsewhere counts.
    #[test]
    fn batches_and_debts_are_counted_to_the_last_token(
        rule in any_rule(),
        requests in proptest::collection::vec((any_request(), 0..20_u32, 0..5_u32), 1..30),
    ) {
        let (key, mut state, mut now) = (BENCH.key(), Fine::default(), NOW);
        for ((later, _), more, owed) in requests {
            now = now.plus(Duration::from_micros(later));
            let (room, left, _, taken) = BENCH.ask(&key, &rule, [1, 1 + more, owed], now);
            state = rule.charge(state, now, owed);
            let there = rule.remaining(state, now);
            let expected = there.min(u64::from(1 + more)) as u32;
            prop_assert_eq!((room, taken), (there > 0, expected), "{:?}", rule);
            if expected > 0 {
                state = rule.take(state, now, expected).unwrap();
            }
            prop_assert_eq!(left, rule.remaining(state, now));
        }
    }
}
