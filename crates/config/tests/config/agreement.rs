//! The check against an independent validator: both accept the same values.

use portcullis_core::ConfigFolder;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::loaded;
use crate::sample::Root;

/// Values that are right somewhere in the sample, and some that are right nowhere.
fn scalars() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(7),
        json!(70_000),
        json!(5_000_000_000_u64),
        json!(0.5),
        json!(""),
        json!("a"),
        json!("12"),
        json!("5s"),
        json!("1MiB"),
        json!("enforce"),
        json!("off"),
        json!("low"),
        json!("auto"),
        json!("unlimited"),
        json!("jwt"),
        json!("api_key"),
        json!("anonymous"),
        json!("127.0.0.1"),
        json!("a name of more than twenty"),
    ])
}

const KEYS: [&str; 24] = [
    "version",
    "listen",
    "services",
    "labels",
    "extra",
    "address",
    "port",
    "http2",
    "timeout",
    "body",
    "name",
    "targets",
    "policy",
    "share",
    "mode",
    "authenticate",
    "limit",
    "level",
    "headers",
    "workers",
    "type",
    "issuer",
    "key",
    "rate",
];

fn anything() -> impl Strategy<Value = Value> {
    scalars().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map(prop::sample::select(&KEYS[..]), inner, 0..4)
                .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

fn sound() -> Value {
    json!({
        "version": 1,
        "listen": {"address": "127.0.0.1", "port": 7, "http2": true, "timeout": "5s", "body": "1MiB"},
        "services": [{
            "name": "a",
            "targets": ["a"],
            "share": 0.5,
            "policy": {
                "mode": "off",
                "level": "low",
                "authenticate": [
                    {"type": "jwt", "issuer": "a", "key": "a"}, {"type": "api_key", "key": "a"}, {"type": "anonymous"},
                ],
                "limit": {"rate": {"count": 7, "per": "5s"}},
                "headers": ["a"],
                "workers": 7,
            },
        }],
        "labels": {"a": "a"},
        "extra": [1],
    })
}

/// One change to a value: at a place that the numbers lead to, something is put, added or removed.
fn changed(value: &mut Value, steps: &[usize], change: &Change) {
    let Some((step, rest)) = steps.split_first() else { return change.apply(value) };
    match value {
        Value::Array(list) if !list.is_empty() => {
            let at = step % list.len();
            if let Some(below) = list.get_mut(at) {
                changed(below, rest, change);
            }
        }
        Value::Object(map) if !map.is_empty() => {
            let at = step % map.len();
            if let Some(below) = map.values_mut().nth(at) {
                changed(below, rest, change);
            }
        }
        _ => change.apply(value),
    }
}

#[derive(Debug, Clone)]
enum Change {
    Put(Value),
    Add(String, Value),
    Remove(usize),
}

impl Change {
    fn apply(&self, value: &mut Value) {
        match (self, value) {
            (Self::Put(new), value) => *value = new.clone(),
            (Self::Add(key, new), Value::Object(map)) => {
                map.insert(key.clone(), new.clone());
            }
            (Self::Add(_, new), Value::Array(list)) => list.push(new.clone()),
            (Self::Remove(at), Value::Object(map)) => {
                if let Some(key) = map.keys().nth(*at).cloned() {
                    map.remove(&key);
                }
            }
            (Self::Remove(_), Value::Array(list)) => {
                list.pop();
            }
            (_, value) => *value = Value::Null,
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<(Vec<usize>, Change)>> {
    let change = prop_oneof![
        anything().prop_map(Change::Put),
        (prop::sample::select(&KEYS[..]), anything())
            .prop_map(|(key, value)| Change::Add(key.to_owned(), value)),
        (0..6_usize).prop_map(Change::Remove),
    ];
    prop::collection::vec((prop::collection::vec(0..8_usize, 0..7), change), 1..3)
}

fn agree(value: &Value) -> Result<(), TestCaseError> {
    // JSON is YAML in flow style.
    let loaded = loaded(&value.to_string(), &ConfigFolder::new("/nowhere"), &[]);
    let schema = schemars::schema_for!(Root).to_value();
    let valid = jsonschema::validator_for(&schema).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let right = valid.is_valid(value) && serde_json::from_value::<Root>(value.clone()).is_ok();
    prop_assert_eq!(loaded.value.is_some(), right, "{}\n{:#?}", value, loaded.problems);
    if right {
        prop_assert_eq!(&loaded.settled, value);
    }
    Ok(())
}

proptest! {
    #[test]
    fn on_anything(value in anything()) {
        agree(&value)?;
    }

    #[test]
    fn on_a_sound_value_with_changes(changes in changes()) {
        let mut value = sound();
        for (steps, change) in &changes {
            changed(&mut value, steps, change);
        }
        agree(&value)?;
    }
}

#[test]
fn on_a_sound_value() {
    agree(&sound()).unwrap();
}
