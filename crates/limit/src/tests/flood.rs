//! More keys than there is room for.

use std::collections::HashMap;
use std::num::NonZeroU32;

use portcullis_core::KeyedHash;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::gcra::{Fine, Gcra};
use crate::table::Table;

fn compile_small(max_keys: u32, limit: serde_json::Value) -> Limits {
    let (limits, problems) = try_compile(json!([limit]), max_keys, None);
    assert!(problems.is_empty());
    limits
}

#[test]
fn a_flood_of_new_keys_gives_no_token_back() {
    let limits = compile_small(100, json!({ "name": "a", "key": ["address"], "rate": "10/d" }));
    let attacker = subject("192.0.2.1");
    assert_eq!(drain(&limits, &attacker, NOW), 10);
    for flood in 0..20_000 {
        passes(&limits, &numbered(flood), NOW);
        if flood % 16 == 0 {
            assert!(!passes(&limits, &attacker, NOW), "after {flood} other keys");
        }
    }
}

/// The victim never comes during the flood, so that it loses its slot for certain.
#[test]
fn a_key_that_was_pushed_out_finds_its_debt_when_it_returns() {
    let limits = compile_small(10, json!({ "name": "a", "key": ["address"], "rate": "10/d" }));
    let attackers: Vec<_> = (0..50).map(|n| numbered(0xc000_0200 + n)).collect();
    let mut taken: Vec<u32> = attackers.iter().map(|attacker| drain(&limits, attacker, NOW)).collect();
    for flood in 0..10_000 {
        passes(&limits, &numbered(flood), NOW);
    }
    for (attacker, taken) in attackers.iter().zip(&mut taken) {
        *taken += drain(&limits, attacker, NOW);
        assert!(*taken <= 10);
    }
}

#[test]
fn the_price_of_a_flood_is_gone_when_the_flood_is() {
    let limits = compile_small(10, json!({ "name": "a", "key": ["address"], "rate": "10/min" }));
    for flood in 0..10_000 {
        passes(&limits, &numbered(flood), NOW);
    }
    let late = subject("192.0.2.1");
    assert_eq!(drain(&limits, &late, NOW), 0);
    assert_eq!(drain(&limits, &late, NOW.plus(Duration::from_secs(60))), 10);
}

#[test]
fn memory_is_bounded_by_the_number_of_keys() {
    let max_keys = 10_000;
    let limits = compile_small(max_keys, json!({ "name": "a", "key": ["address"], "rate": "10/d" }));
    let empty = limits.memory();
    assert!(empty <= 16_384, "{empty}");
    for key in 0..max_keys {
        passes(&limits, &numbered(key), NOW);
    }
    let full = limits.memory();
    for key in 0..20 * max_keys {
        passes(&limits, &numbered(key), NOW);
    }
    assert!(limits.memory() <= empty + 48 * max_keys as usize, "{}", limits.memory());
    assert!(full > empty);
}

#[test]
fn keys_whose_buckets_are_full_again_make_room_for_others() {
    let limits = compile_small(10_000, json!({ "name": "a", "key": ["address"], "rate": "1/s" }));
    for key in 0..1_000 {
        let now = NOW.plus(Duration::from_secs(u64::from(key)));
        assert!(passes(&limits, &numbered(key), now));
    }
    let quiet = limits.memory();
    let at_once = NOW.plus(Duration::from_secs(2_000));
    (0..1_000).for_each(|key| assert!(passes(&limits, &numbered(key), at_once)));
    assert!(limits.memory() > quiet);
}

/// As many keys as were promised live side by side, but for a few that share a full set.
#[test]
fn the_promised_number_of_keys_has_room() {
    let max_keys = 20_000;
    let table = Table::new(max_keys);
    let hash = KeyedHash::with_key([7; 16]);
    let digest = |key: u32| hash.digest(&[&key.to_be_bytes()]);
    let later = Fine { nanos: NOW.0 + 1, fraction: 0 };
    for key in 0..max_keys {
        table.lock(digest(key), NOW.into()).fill_at(later);
    }
    let own = Fine { nanos: NOW.0 + 2, fraction: 0 };
    let crowded = (0..max_keys).filter(|&key| {
        let mut bucket = table.lock(digest(1_000_000 + key), NOW.into());
        let is_crowded = bucket.full_at() == own;
        bucket.fill_at(if is_crowded { own } else { later });
        is_crowded
    });
    assert_eq!(crowded.count(), 0);
    let kept = (0..max_keys).filter(|&key| table.lock(digest(key), NOW.into()).full_at() == later);
    assert!(kept.count() as u32 > max_keys / 100 * 97);
}

proptest! {
    /// Whatever a table of eight slots lets pass, forty keys with a bucket each would have let pass as well.
    #[test]
    fn no_key_ever_gets_more_than_with_endless_memory(
        requests in proptest::collection::vec((0..40_u32, 0..400_000_000_u64), 1..600),
        count in 1..8_u32,
        burst in 1..6_u32,
    ) {
        let rate = format!("{count}/s");
        let limits =
            compile_small(1, json!({ "name": "a", "key": ["address"], "rate": rate, "burst": burst }));
        let rule = Gcra::new(rate.parse().unwrap(), NonZeroU32::new(burst).unwrap()).unwrap();
        let mut endless: HashMap<u32, Fine> = HashMap::new();
        let mut now = NOW;
        for (key, later) in requests {
            now = now.plus(Duration::from_nanos(later / 10));
            if passes(&limits, &numbered(key), now) {
                let full_at = endless.entry(key).or_default();
                let alone = rule.take(*full_at, now, 1);
                prop_assert!(alone.is_ok(), "key {} got more than its limit", key);
                *full_at = alone.unwrap();
            }
        }
    }

    /// A table forgets nothing while it grows.
    #[test]
    fn growing_keeps_every_key(keys in 1..3_000_u32, seed in any::<[u8; 16]>()) {
        let table = Table::new(1_000_000);
        let hash = KeyedHash::with_key(seed);
        let digest = |key: u32| hash.digest(&[&key.to_be_bytes()]);
        let debt = |key: u32| Fine { nanos: NOW.0 + 1 + u64::from(key), fraction: key };
        for key in 0..keys {
            table.lock(digest(key), NOW.into()).fill_at(debt(key));
        }
        for key in 0..keys {
            prop_assert_eq!(table.lock(digest(key), NOW.into()).full_at(), debt(key));
        }
    }
}
