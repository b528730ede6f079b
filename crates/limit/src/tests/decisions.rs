//! Single decisions and what they report.

use std::time::Duration;

use serde_json::json;
use smallvec::SmallVec;

use super::*;
use crate::fields;

#[test]
fn the_first_request_passes() {
    let limits = compile(json!([{ "name": "a", "key": ["address"], "rate": "1/d", "burst": 1 }]));
    assert!(passes(&limits, &subject("192.0.2.1"), Timestamp(0)));
    assert!(passes(&limits, &subject("192.0.2.2"), NOW));
    assert!(!passes(&limits, &subject("192.0.2.2"), NOW));
}

#[test]
fn what_is_reported_is_what_is_left() {
    let limits = compile(json!([{ "name": "a", "key": ["address"], "rate": "100/min", "burst": 3 }]));
    let client = subject("192.0.2.1");
    for (left, reset) in [(2, 600), (1, 1200), (0, 1800)] {
        let (outcome, states) = ask(&limits, &client, NOW);
        assert_eq!(outcome, Ok(()));
        let state = &states[0];
        assert_eq!((&*state.name, state.quota, state.window), ("a", 100, Duration::from_secs(60)));
        assert_eq!(
            (state.remaining, state.reset, state.exceeded),
            (left, Duration::from_millis(reset), false)
        );
    }
    let (outcome, states) = ask(&limits, &client, after(100_000_000));
    assert_eq!(outcome, Err(Refused::TooSoon(Duration::from_millis(500))));
    let state = &states[0];
    assert_eq!((state.remaining, state.reset, state.exceeded), (0, Duration::from_millis(500), true));
    assert!(passes(&limits, &client, after(600_000_000)));
}

#[test]
fn the_window_grows_with_the_burst_so_that_no_more_remains_than_the_quota() {
    let limits = compile(json!([{ "name": "a", "key": ["global"], "rate": "100/s", "burst": 250 }]));
    let (_, states) = ask(&limits, &subject("192.0.2.1"), NOW);
    let state = &states[0];
    assert_eq!((state.quota, state.window, state.remaining), (300, Duration::from_secs(3), 249));
}

#[test]
fn a_refusal_takes_nothing_and_names_the_longest_wait() {
    let limits = compile(json!([
        { "name": "wide", "key": ["address"], "rate": "100/s" },
        { "name": "second", "key": ["address"], "rate": "1/s" },
        { "name": "minute", "key": ["address"], "rate": "1/min" },
    ]));
    let client = subject("192.0.2.1");
    assert!(passes(&limits, &client, NOW));
    for _ in 0..1000 {
        let (outcome, states) = ask(&limits, &client, NOW);
        assert_eq!(outcome, Err(Refused::TooSoon(Duration::from_secs(60))));
        let summary: Vec<_> = states.iter().map(|s| (&*s.name, s.remaining, s.exceeded)).collect();
        assert_eq!(summary, [("wide", 99, false), ("second", 0, true), ("minute", 0, true)]);
    }
    let (_, states) = ask(&limits, &client, after(1_500_000_000));
    assert_eq!((states[1].remaining, states[1].exceeded, states[2].exceeded), (1, false, true));
    assert!(passes(&limits, &client, after(60_000_000_000)));
}

#[test]
fn retry_after_is_the_t_of_the_limit_that_refused() {
    let limits = compile(json!([{ "name": "a", "key": ["address"], "rate": "100/min", "burst": 100 }]));
    let client = subject("192.0.2.1");
    assert_eq!(drain(&limits, &client, NOW), 100);
    let (outcome, states) = ask(&limits, &client, NOW);
    assert_eq!(outcome, Err(Refused::TooSoon(Duration::from_millis(600))));
    let mut value = String::new();
    fields::write_rate_limit(&states, &mut value);
    assert_eq!((value.as_str(), fields::retry_after(&states)), ("\"a\";r=0;t=1", Some(1)));
}

#[test]
fn a_limit_that_is_named_twice_counts_once() {
    let limits = compile(json!([{ "name": "a", "key": ["address"], "rate": "2/d" }]));
    let id = limits.by_name("a").unwrap();
    let mut states = SmallVec::new();
    assert_eq!(limits.take(&[id, id], &subject("192.0.2.1"), NOW, &mut states), Ok(()));
    assert_eq!((states.len(), states[0].remaining), (1, 1));
}

#[test]
fn without_limits_everything_passes_and_with_unknown_ones_nothing() {
    let limits = compile(json!([]));
    let mut states = SmallVec::new();
    assert_eq!(limits.take(&[], &subject("192.0.2.1"), NOW, &mut states), Ok(()));
    assert!(limits.take(&[LimitId(0)], &subject("192.0.2.1"), NOW, &mut states).is_err());
    assert!(states.is_empty());
}

#[test]
fn a_clock_that_is_set_back_locks_nobody_out() {
    let limits = compile(json!([{ "name": "a", "key": ["address"], "rate": "1/s", "burst": 5 }]));
    let client = subject("192.0.2.1");
    assert_eq!(drain(&limits, &client, NOW), 5);
    let back = |seconds: u64| Timestamp(NOW.0 - 86_400_000_000_000).plus(Duration::from_secs(seconds));
    let (outcome, _) = ask(&limits, &client, back(0));
    assert_eq!(outcome, Err(Refused::TooSoon(Duration::from_secs(1))));
    assert_eq!((drain(&limits, &client, back(1)), drain(&limits, &client, back(3))), (1, 2));
}

#[test]
fn a_thread_whose_clock_is_a_little_behind_gives_nothing_away() {
    let limits = compile(json!([{ "name": "a", "key": ["address"], "rate": "1/s", "burst": 5 }]));
    let client = subject("192.0.2.1");
    assert_eq!(drain(&limits, &client, after(1_000_000)), 5);
    let (outcome, _) = ask(&limits, &client, NOW);
    assert_eq!(outcome, Err(Refused::TooSoon(Duration::from_millis(1001))));
    assert!(!passes(&limits, &client, after(1_000_999_999)));
    assert!(passes(&limits, &client, after(1_001_000_000)));
}

#[test]
fn the_end_of_time_is_no_panic() {
    let limits = compile(json!([{ "name": "a", "key": ["address"], "rate": "1/d", "burst": 366 }]));
    for now in [Timestamp(u64::MAX), Timestamp(0), Timestamp(u64::MAX)] {
        for _ in 0..3 {
            let _ = ask(&limits, &subject("192.0.2.1"), now);
        }
    }
}
