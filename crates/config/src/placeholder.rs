//! What stands in for values that could not be read, so that the rest of a file can be compiled and judged as well.

use serde_json::{Map, Value};
use serde_path_to_error::Segment;

use crate::schema::{DEEPEST_REFERENCE, Kinds, Schema, branches_of};

/// The least value that a schema takes: of alternatives the first, of maps only the keys that there must be.
pub(crate) fn placeholder(schema: &Schema, of: &Value) -> Value {
    least(schema, of, DEEPEST_REFERENCE)
}

fn least(schema: &Schema, of: &Value, depth: usize) -> Value {
    let Some(deeper) = depth.checked_sub(1) else { return Value::Null };
    let parts = schema.parts(of);
    let listed = parts.iter().find_map(|part| part.get("const").or_else(|| part.get("enum")?.get(0)));
    if let Some(listed) = listed {
        return listed.clone();
    }
    let branch =
        parts.iter().find_map(|part| ["oneOf", "anyOf"].iter().find_map(|key| part.get(*key)?.get(0)));
    let kinds = schema.kinds(of);
    if !kinds.has(Kinds::MAP) || parts.iter().all(|part| !part.contains_key("properties")) {
        if let Some(branch) = branch {
            return least(schema, branch, deeper);
        }
        let number = parts.iter().find_map(|part| part.get("minimum")).cloned();
        let example = parts.iter().find_map(|part| part.get("examples")?.get(0)).cloned();
        return match () {
            () if kinds.has(Kinds::NULL) => Value::Null,
            () if kinds.has(Kinds::TEXT) => example.unwrap_or_else(|| Value::String(String::new())),
            () if kinds.has(Kinds::LIST) => Value::Array(Vec::new()),
            () if kinds.has(Kinds::NUMBER) => number.unwrap_or_else(|| Value::from(1)),
            () if kinds.has(Kinds::BOOL) => Value::Bool(false),
            () => Value::Object(Map::new()),
        };
    }
    let mut map = match branch.map(|branch| least(schema, branch, deeper)) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    for part in parts {
        for name in
            part.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        {
            let below = part.get("properties").and_then(|properties| properties.get(name));
            map.insert(name.to_owned(), below.map_or(Value::Null, |below| least(schema, below, deeper)));
        }
    }
    Value::Object(map)
}

/// Takes the value out that stands where the segments lead to, or puts a placeholder there if there must be one; whether
/// anything is different now.
pub(crate) fn mend(schema: &Schema, of: &Value, value: &mut Value, segments: &[Segment]) -> bool {
    let Some((first, rest)) = segments.split_first() else {
        let least = placeholder(schema, of);
        let differs = *value != least;
        *value = least;
        return differs;
    };
    match (first, value) {
        (Segment::Map { key } | Segment::Enum { variant: key }, Value::Object(map)) => {
            let Some((below, required)) = child(schema, of, key, DEEPEST_REFERENCE) else { return false };
            if rest.is_empty() && !required {
                return map.remove(key).is_some();
            }
            map.get_mut(key).is_some_and(|value| mend(schema, below, value, rest))
        }
        (Segment::Seq { index }, Value::Array(items)) => {
            let items_of = alternatives(schema, of).into_iter().find_map(|part| part.get("items"));
            match (items_of, items.get_mut(*index)) {
                (Some(below), Some(value)) => mend(schema, below, value, rest),
                _ => false,
            }
        }
        (_, value) => mend(schema, of, value, rest),
    }
}

/// The schema of the value of a key, and whether the key must be there.
fn child<'s>(schema: &'s Schema, of: &'s Value, key: &str, depth: usize) -> Option<(&'s Value, bool)> {
    let deeper = depth.checked_sub(1)?;
    let parts = schema.parts(of);
    let named = parts.iter().find_map(|part| Some((part, part.get("properties")?.get(key)?)));
    if let Some((part, below)) = named {
        let required = part.get("required").and_then(Value::as_array);
        return Some((below, required.is_some_and(|names| names.iter().any(|name| name == key))));
    }
    let mut branches = parts.iter().flat_map(|part| ["oneOf", "anyOf"].map(|word| part.get(word)));
    let in_branch =
        branches.find_map(|list| list?.as_array()?.iter().find_map(|of| child(schema, of, key, deeper)));
    let other = || parts.iter().find_map(|part| part.get("additionalProperties")).map(|below| (below, false));
    in_branch.or_else(other)
}

/// A schema's parts, and those of its alternatives.
fn alternatives<'s>(schema: &'s Schema, of: &'s Value) -> Vec<&'s Map<String, Value>> {
    let branches = branches_of(of).flat_map(|branch| schema.parts(branch));
    schema.parts(of).into_iter().chain(branches).collect()
}
