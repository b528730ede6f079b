//! What a new configuration keeps of the old one's counters.

use serde_json::json;

use super::*;

fn definition() -> serde_json::Value {
    json!({ "name": "a", "key": ["address", "route"], "rate": "10/min", "burst": 5 })
}

/// How many requests pass after a reload, of a client that had emptied the bucket of five.
fn left_after_reload(new: serde_json::Value, max_keys: u32) -> u32 {
    let client = subject("192.0.2.1");
    let old = compile(json!([definition()]));
    assert_eq!(drain(&old, &client, NOW), 5);
    let (new, problems) = try_compile(new, max_keys, Some(&old));
    assert!(problems.is_empty(), "{problems:?}");
    let id = new.by_name("a").unwrap();
    (0..).find(|_| new.take(&[id], &client, NOW, &mut SmallVec::new()).is_err()).unwrap()
}

fn with(change: &str, value: serde_json::Value) -> serde_json::Value {
    let mut changed = definition();
    changed[change] = value;
    json!([changed])
}

#[test]
fn an_unchanged_limit_goes_on_with_its_counters() {
    assert_eq!(left_after_reload(json!([definition()]), 1000), 0);
    let among_others = json!([
        { "name": "new", "key": ["global"], "rate": "1/s" },
        definition(),
    ]);
    assert_eq!(left_after_reload(among_others, 1000), 0);
}

#[test]
fn what_says_the_same_in_other_words_is_unchanged() {
    assert_eq!(left_after_reload(with("rate", json!("10/60s")), 1000), 0);
    assert_eq!(left_after_reload(with("key", json!(["route", "address"])), 1000), 0);
    assert_eq!(left_after_reload(with("ipv6_prefix", json!(64)), 1000), 0);
    assert_eq!(left_after_reload(with("when", json!("before_authentication")), 1000), 0);
}

#[test]
fn a_changed_limit_starts_full() {
    assert_eq!(left_after_reload(with("rate", json!("11/min")), 1000), 5);
    assert_eq!(left_after_reload(with("burst", json!(6)), 1000), 6);
    assert_eq!(left_after_reload(with("key", json!(["address"])), 1000), 5);
    assert_eq!(left_after_reload(with("ipv6_prefix", json!(48)), 1000), 5);
    assert_eq!(left_after_reload(json!([definition()]), 2000), 5);
}

/// Requests in flight still count in the limits that they began with.
#[test]
fn old_and_new_count_in_the_same_buckets() {
    let old = compile(json!([definition()]));
    let (new, _) = try_compile(json!([definition()]), 1000, Some(&old));
    let client = subject("192.0.2.1");
    for limits in [&old, &new, &old, &new, &old] {
        assert!(passes(limits, &client, NOW));
    }
    assert!(!passes(&old, &client, NOW));
    assert!(!passes(&new, &client, NOW));
}
