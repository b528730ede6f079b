//! Lists and maps: their elements, and the keys that are unknown or missing.

use portcullis_core::{KeyPath, problem::nearest};
use serde_json::{Map, Value};

use super::{Checker, Facets, words};
use crate::document::{Entry, Node, Place};
use crate::located::{Located, quoted};
use crate::placeholder::placeholder;
use crate::schema::Schema;

/// What is asked of a value whose key or index has no schema of its own.
pub(super) static ANYTHING: Value = Value::Bool(true);

impl<'c> Checker<'c> {
    pub(super) fn list(
        &mut self,
        facets: &Facets<'c>,
        items: &[Node],
        shown: Place,
        path: &KeyPath,
    ) -> Value {
        let count = items.len() as u64;
        let bound = |keyword| facets.parts.iter().find_map(|part| part.get(keyword)?.as_u64());
        let too_few = bound("minItems").is_some_and(|least| count < least);
        if too_few || bound("maxItems").is_some_and(|most| count > most) {
            let wanted = words::length(&facets.parts, "item");
            let message = format!("{} must have {wanted}; found {count}", words::named(path));
            self.findings.push(Located::error(path, Some(shown), message));
        }
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let schema = item_schema(&facets.parts, index);
            let at = path.index(index);
            match self.node(schema, item, item.place, &at) {
                Some(value) => values.push(value),
                // A word in the stead of another would mean something.
                None if words::is_only_words(self.schema, schema) => self.faults.add(path),
                // The others keep their places.
                None => {
                    self.faults.add(&at);
                    values.push(placeholder(self.schema, schema));
                }
            }
        }
        if values.len() == items.len()
            && facets.parts.iter().any(|part| part.get("uniqueItems") == Some(&Value::Bool(true)))
        {
            self.refuse_repeated(items, &values, path);
        }
        Value::Array(values)
    }

    fn refuse_repeated(&mut self, items: &[Node], values: &[Value], path: &KeyPath) {
        let mut seen = std::collections::HashMap::new();
        for (index, (item, value)) in items.iter().zip(values).enumerate() {
            if let Some(first) = seen.get(value).filter(|_| !value.is_null()) {
                let (at, same) = (path.index(index), path.index(*first));
                let message = format!("{} is the same as {}", words::named(&at), words::named(&same));
                let problem = Located::error(&at, Some(item.place), message).suggest("remove one of them");
                self.findings.push(problem);
            } else {
                seen.insert(value, index);
            }
        }
    }

    pub(super) fn map(
        &mut self,
        facets: &Facets<'c>,
        entries: &[Entry],
        shown: Place,
        path: &KeyPath,
    ) -> Value {
        let known = Known::of(&facets.parts, self.schema);
        let (mut suggested, mut wrong) = (Vec::new(), Vec::new());
        let mut values = Map::new();
        for entry in entries {
            let at = path.key(&entry.key);
            if let Some(schema) = known.value_schema(&entry.key) {
                if let Some(value) = self.node(schema, &entry.value, entry.shown_place(), &at) {
                    values.insert(entry.key.clone(), value);
                } else {
                    self.faults.add(&at);
                    wrong.push(entry.key.as_str());
                }
            } else {
                suggested.extend(self.unknown_key(&known, entry, path));
            }
        }
        suggested.iter().for_each(|name| self.faults.add(&path.key(name)));
        for name in &known.required {
            if values.contains_key(*name) {
                continue;
            }
            let below = known.properties.get(name).copied().unwrap_or(&ANYTHING);
            values.insert((*name).to_owned(), placeholder(self.schema, below));
            if suggested.contains(name) || wrong.contains(name) {
                continue;
            }
            self.faults.add(&path.key(name));
            let message = format!("`{name}` is missing{}", words::within(path));
            let mut problem = Located::error(&path.key(name), Some(shown), message);
            let description =
                known.properties.get(name).map(|schema| words::description(self.schema, schema));
            problem = problem.suggest(match description.flatten() {
                Some(description) => format!("add `{name}:` ({description})"),
                None => format!("add `{name}:`"),
            });
            self.findings.push(problem);
        }
        Value::Object(values)
    }

    /// Records a key that is not known; gives the key that was likely meant.
    fn unknown_key(&mut self, known: &Known<'c>, entry: &Entry, path: &KeyPath) -> Option<&'c str> {
        let close = nearest(&entry.key, known.properties.keys().copied());
        let meant = close.and_then(|close| known.properties.get_key_value(close));
        if meant.is_none_or(|(_, schema)| self.may_be_secret(schema)) {
            self.hide(&entry.value);
        }
        self.hide_below(&entry.value, None);
        let message = format!("unknown key `{}`{}", quoted(&entry.key), words::within(path));
        let mut problem = Located::error(&path.key(&entry.key), Some(entry.key_place), message);
        if let Some((close, _)) = meant {
            problem = problem.suggest(format!("did you mean `{close}`?"));
        } else if let Some(list) = words::short_list(known.properties.keys().copied()) {
            problem = problem.suggest(format!("known keys here: {list}"));
        }
        self.findings.push(problem);
        self.faults.add(&path.key(&entry.key));
        meant.map(|(close, _)| *close)
    }
}

/// The keys that a map may have.
pub(super) struct Known<'c> {
    schema: &'c Schema,
    pub(super) properties: std::collections::BTreeMap<&'c str, &'c Value>,
    patterns: Vec<(&'c str, &'c Value)>,
    /// For every other key; `None` if there may be none.
    others: Option<&'c Value>,
    pub(super) required: Vec<&'c str>,
}

impl<'c> Known<'c> {
    /// The keys of a schema's parts together: a flattened type and its alternatives are one map.
    pub(super) fn of(parts: &[&'c Map<String, Value>], schema: &'c Schema) -> Self {
        let mut known = Self {
            schema,
            properties: Default::default(),
            patterns: Vec::new(),
            others: Some(&ANYTHING),
            required: Vec::new(),
        };
        for part in parts {
            for (name, schema) in part.get("properties").and_then(Value::as_object).into_iter().flatten() {
                known.properties.entry(name).or_insert(schema);
            }
            for (pattern, schema) in
                part.get("patternProperties").and_then(Value::as_object).into_iter().flatten()
            {
                known.patterns.push((pattern, schema));
            }
            for name in part.get("required").and_then(Value::as_array).into_iter().flatten() {
                known.required.extend(name.as_str());
            }
        }
        known.required.sort_unstable();
        known.required.dedup();
        for keyword in ["additionalProperties", "unevaluatedProperties"] {
            match parts.iter().find_map(|part| part.get(keyword)) {
                Some(Value::Bool(false)) => known.others = None,
                Some(schema) if known.others.is_some() => known.others = Some(schema),
                _ => {}
            }
        }
        known
    }

    pub(super) fn value_schema(&self, key: &str) -> Option<&'c Value> {
        let patterned = || {
            self.patterns
                .iter()
                .find(|(pattern, _)| self.schema.matches(pattern, key))
                .map(|(_, schema)| *schema)
        };
        self.properties.get(key).copied().or_else(patterned).or(self.others)
    }
}

fn item_schema<'c>(parts: &[&'c Map<String, Value>], index: usize) -> &'c Value {
    let positional = parts.iter().find_map(|part| part.get("prefixItems")?.as_array()?.get(index));
    let every = || parts.iter().find_map(|part| part.get("items"));
    positional.or_else(every).unwrap_or(&ANYTHING)
}
