//! One configuration over another: the policy of a route over that of its service, over that of all.

use serde_json::Value;

/// `base` with what `over` says instead: maps are merged key by key at every depth, everything else (lists,
/// scalars, `null`) replaces what was there.
#[must_use]
pub fn overlay(base: &Value, over: &Value) -> Value {
    let (Value::Object(base), Value::Object(over)) = (base, over) else {
        return over.clone();
    };
    let mut merged = base.clone();
    for (key, value) in over {
        let value = base.get(key).map_or_else(|| value.clone(), |below| overlay(below, value));
        merged.insert(key.clone(), value);
    }
    Value::Object(merged)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn maps_merge_and_everything_else_replaces() {
        let base =
            json!({"mode": "enforce", "limit": {"rate": 5, "burst": 9}, "allow": ["a", "b"], "old": 1});
        let over =
            json!({"mode": "shadow", "limit": {"rate": 7}, "allow": ["c"], "old": null, "new": {"x": 1}});
        let merged = json!({
            "mode": "shadow", "limit": {"rate": 7, "burst": 9}, "allow": ["c"], "old": null, "new": {"x": 1},
        });
        assert_eq!(overlay(&base, &over), merged);
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), (0..9).prop_map(Value::from)];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::hash_map("[a-c]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn laying_the_same_over_itself_changes_nothing(value in values()) {
            prop_assert_eq!(overlay(&value, &value), value);
        }

        #[test]
        fn an_empty_map_over_a_map_changes_nothing(value in values().prop_filter("a map", Value::is_object)) {
            prop_assert_eq!(overlay(&value, &json!({})), value.clone());
            prop_assert_eq!(overlay(&json!({}), &value), value);
        }

        #[test]
        fn layers_can_be_joined_in_any_grouping(
            a in values().prop_filter("a map", Value::is_object),
            b in values().prop_filter("a map", Value::is_object),
            c in values().prop_filter("a map", Value::is_object),
        ) {
            // `null`, lists and scalars between two maps cut the lower one off, which grouping must respect:
            // the law holds where the middle layer does not replace a map by something else.
            prop_assume!(!cuts(&a, &b));
            prop_assert_eq!(overlay(&overlay(&a, &b), &c), overlay(&a, &overlay(&b, &c)));
        }
    }

    fn cuts(below: &Value, above: &Value) -> bool {
        match (below, above) {
            (Value::Object(below), Value::Object(above)) => {
                above.iter().any(|(key, value)| below.get(key).is_some_and(|below| cuts(below, value)))
            }
            (Value::Object(_), _) => true,
            _ => false,
        }
    }
}
