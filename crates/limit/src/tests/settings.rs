//! What the configuration may say, and what is said about what it may not.

use serde_json::json;

use super::*;
use crate::{KeyPart, When};

/// Every problem as `path: message (suggestion)`.
fn problems_of(limits: serde_json::Value, max_keys: u32) -> Vec<String> {
    let (_, problems) = try_compile(limits, max_keys, None);
    let line = |problem: &portcullis_core::Problem| {
        format!("{}: {} ({})", problem.path, problem.message, problem.suggestion.as_deref().unwrap_or("-"))
    };
    problems.iter().map(line).collect()
}

fn with(change: &str, value: serde_json::Value) -> serde_json::Value {
    let mut limit = json!({ "name": "a", "key": ["address"], "rate": "10/min" });
    limit[change] = value;
    json!([limit])
}

#[test]
fn the_least_that_can_be_said() {
    let raw: RawLimit = serde_json::from_value(with("rate", json!("100/s"))[0].clone()).unwrap();
    assert_eq!((raw.when, raw.burst, raw.ipv6_prefix), (When::AfterAuthorization, None, None));
    assert_eq!((raw.key, raw.rate.to_string()), (vec![KeyPart::Address], "100/s".to_owned()));
    let store: RawLimitStore = serde_json::from_value(json!({})).unwrap();
    assert_eq!(store.max_keys, 1_000_000);
}

#[test]
fn unknown_words_are_refused() {
    for wrong in [
        with("brust", json!(1)),
        with("key", json!(["ip"])),
        with("rate", json!("10/m")),
        with("when", json!("x")),
    ] {
        assert!(serde_json::from_value::<Vec<RawLimit>>(wrong).is_err());
    }
    assert!(serde_json::from_value::<RawLimitStore>(json!({ "keys": 1 })).is_err());
}

#[test]
fn names_are_found_and_say_when() {
    let limits = compile(json!([
        { "name": "first", "key": ["address"], "rate": "1/s", "when": "before_authentication" },
        { "name": "second", "key": ["principal"], "rate": "1/s" },
    ]));
    assert_eq!(limits.names().collect::<Vec<_>>(), ["first", "second"]);
    let when = |name| limits.by_name(name).and_then(|id| limits.when(id));
    assert_eq!(when("first"), Some(When::BeforeAuthentication));
    assert_eq!(when("second"), Some(When::AfterAuthorization));
    assert_eq!((when("third"), limits.when(LimitId(2))), (None, None));
}

#[test]
fn a_name_is_given_once_and_fits_into_a_header() {
    let twice = json!([with("rate", json!("1/s"))[0], with("rate", json!("2/s"))[0]]);
    assert_eq!(
        problems_of(twice, 1),
        ["limits[1].name: the name `a` is taken already, by limits[0] (give each limit a name of its own)"]
    );
    assert_eq!(
        problems_of(with("name", json!("a\"\r\n")), 1),
        [
            "limits[0].name: `a\\\"\\r\\n` is not a name for a limit (write 1 to 64 letters, digits, `-`, `_` and `.`)"
        ]
    );
    assert_eq!(problems_of(with("name", json!("")), 1).len(), 1);
    assert_eq!(problems_of(with("name", json!("x".repeat(65))), 1).len(), 1);
    assert!(problems_of(with("name", json!("Per-Key_1.0")), 1).is_empty());
}

#[test]
fn keys_that_mean_nothing_are_refused() {
    assert_eq!(
        problems_of(with("key", json!([])), 1),
        ["limits[0].key: the key is empty, so nothing says what is counted apart (write `[principal]` or \
          `[address]`, for instance, or `[global]` for one bucket for all)"]
    );
    assert_eq!(
        problems_of(with("key", json!(["route", "address", "route"])), 1),
        ["limits[0].key[2]: `route` is in the key twice (write it once)"]
    );
    assert_eq!(
        problems_of(with("key", json!(["global", "address"])), 1),
        ["limits[0].key: `global` is one bucket for everything and cannot be combined with other parts \
          (remove `global`, or write only `[global]`)"]
    );
    assert_eq!(
        problems_of(with("key", json!(["principal", "api_key"])), 1),
        ["limits[0].key: `principal` and `api_key` together tell apart no more than `api_key` alone (write \
          `api_key` to count API keys only, or `principal` to count everyone)"]
    );
}

#[test]
fn an_identity_is_not_known_before_authentication() {
    for part in ["principal", "api_key"] {
        let limit =
            json!([{ "name": "a", "key": ["route", part], "rate": "1/s", "when": "before_authentication" }]);
        let expected = format!(
            "limits[0].when: the key has `{part}`, which is not known `before_authentication` (count by \
             `address`, or write `after_authorization`)"
        );
        assert_eq!(problems_of(limit, 1), [expected]);
    }
}

#[test]
fn numbers_have_bounds() {
    assert_eq!(
        problems_of(with("burst", json!(0)), 1),
        ["limits[0].burst: a burst of 0 would refuse every request (write at least 1, or leave it out to \
          allow the count of the rate at once)"]
    );
    assert_eq!(
        problems_of(json!([{ "name": "a", "key": ["global"], "rate": "1/d", "burst": 400 }]), 1),
        ["limits[0].burst: at 1/d, a burst of 400 would take more than 366 days to come back (write a \
          smaller burst or a faster rate)"]
    );
    for prefix in [0, 129] {
        assert_eq!(
            problems_of(with("ipv6_prefix", json!(prefix)), 1),
            [format!(
                "limits[0].ipv6_prefix: {prefix} is not a length of an IPv6 prefix (write a number from 1 to 128)"
            )]
        );
    }
    assert_eq!(
        problems_of(json!([{ "name": "a", "key": ["route"], "rate": "1/d", "ipv6_prefix": 64 }]), 1),
        ["limits[0].ipv6_prefix: the key has no address that the prefix could apply to (remove \
          `ipv6_prefix`, or add `address` to the key)"]
    );
    for max_keys in [0, 100_000_001] {
        assert_eq!(
            problems_of(json!([]), max_keys),
            [format!(
                "limit_store.max_keys: {max_keys} is not a number of keys that a limit can hold (write a \
                 number from 1 to 100000000)"
            )]
        );
    }
}

/// Whoever refers to a broken limit is not told that it does not exist.
#[test]
fn every_problem_is_found_at_once() {
    let limits = json!([
        { "name": "a b", "key": [], "rate": "1/s", "burst": 0 },
        { "name": "good", "key": ["global"], "rate": "1/s" },
    ]);
    assert_eq!(problems_of(limits.clone(), 0).len(), 4);
    let (limits, _) = try_compile(limits, 1, None);
    assert_eq!(limits.by_name("a b"), Some(LimitId(0)));
    assert_eq!(limits.by_name("good"), Some(LimitId(1)));
}

#[test]
fn the_schema_describes_what_is_read() {
    let schema = serde_json::to_value(schemars::schema_for!(RawLimit)).unwrap();
    assert_eq!(schema["required"], json!(["name", "key", "rate"]));
    assert_eq!(schema["additionalProperties"], json!(false));
    assert_eq!(schema["$defs"]["Rate"]["pattern"], json!("^[1-9][0-9]*/([1-9][0-9]*)?(s|min|h|d)$"));
    for (name, property) in schema["properties"].as_object().unwrap() {
        assert!(property["description"].is_string(), "{name}");
    }
}
