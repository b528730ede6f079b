//! The JSON Schema of a configuration: for the check, for the reference, and for editors.

use std::collections::HashMap;

use regex::Regex;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

/// The schema of a root type, as its Rust types have it (draft 2020-12, named types under `$defs`).
pub(crate) struct Schema {
    root: Value,
    /// Every `pattern` and key of `patternProperties`, compiled.
    patterns: HashMap<String, Regex>,
}

/// The kinds of value that a schema accepts, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kinds(u8);

impl Kinds {
    pub(crate) const NULL: Self = Self(1);
    pub(crate) const BOOL: Self = Self(2);
    pub(crate) const NUMBER: Self = Self(4);
    pub(crate) const TEXT: Self = Self(8);
    pub(crate) const LIST: Self = Self(16);
    pub(crate) const MAP: Self = Self(32);
    pub(crate) const ALL: Self = Self(63);
    const NONE: Self = Self(0);

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOL,
            Value::Number(_) => Self::NUMBER,
            Value::String(_) => Self::TEXT,
            Value::Array(_) => Self::LIST,
            Value::Object(_) => Self::MAP,
        }
    }

    fn named(name: &str) -> Self {
        match name {
            "null" => Self::NULL,
            "boolean" => Self::BOOL,
            "number" | "integer" => Self::NUMBER,
            "string" => Self::TEXT,
            "array" => Self::LIST,
            "object" => Self::MAP,
            _ => Self::ALL,
        }
    }

    /// The union of the kinds that `type` names.
    pub(crate) fn typed(value: &Value) -> Self {
        match value {
            Value::String(name) => Self::named(name),
            Value::Array(names) => names
                .iter()
                .filter_map(Value::as_str)
                .fold(Self::NONE, |kinds, name| kinds.or(Self::named(name))),
            _ => Self::ALL,
        }
    }
}

impl Schema {
    pub(crate) fn of<T: JsonSchema>() -> Self {
        let generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
        let root = generator.into_root_schema_for::<T>().to_value();
        let mut patterns = HashMap::new();
        compile_patterns(&root, &mut patterns);
        Self { root, patterns }
    }

    /// Whether a text matches a pattern of this schema. One that does not compile matches nothing.
    pub(crate) fn matches(&self, pattern: &str, text: &str) -> bool {
        self.patterns.get(pattern).is_some_and(|pattern| pattern.is_match(text))
    }

    pub(crate) fn root(&self) -> &Value {
        &self.root
    }

    /// The schema that a `$ref` means: `#` or `#/$defs/Name`.
    pub(crate) fn resolve(&self, reference: &str) -> Option<&Value> {
        self.root.pointer(reference.strip_prefix('#')?)
    }

    /// Whether a schema is that of [`portcullis_core::Secret`], or an option of it.
    pub(crate) fn is_secret(&self, schema: &Value) -> bool {
        reference_of(schema).is_some_and(is_secret_reference)
            || branches_of(schema).any(|branch| reference_of(branch).is_some_and(is_secret_reference))
    }

    /// The kinds of value that a schema accepts.
    pub(crate) fn kinds(&self, schema: &Value) -> Kinds {
        self.kinds_within(schema, DEEPEST_REFERENCE)
    }

    fn kinds_within(&self, schema: &Value, depth: usize) -> Kinds {
        let Some(schema_map) = schema.as_object() else {
            return if schema == &Value::Bool(false) { Kinds::NONE } else { Kinds::ALL };
        };
        let Some(deeper) = depth.checked_sub(1) else { return Kinds::ALL };
        let union = |list: &Value, each: &dyn Fn(&Value) -> Kinds| {
            list.as_array().map_or(Kinds::ALL, |list| {
                list.iter().fold(Kinds::NONE, |kinds, element| kinds.or(each(element)))
            })
        };
        let mut kinds = Kinds::ALL;
        for (keyword, value) in schema_map {
            let allowed = match keyword.as_str() {
                "type" => Kinds::typed(value),
                "const" => Kinds::of(value),
                "enum" => union(value, &Kinds::of),
                "anyOf" | "oneOf" => union(value, &|branch| self.kinds_within(branch, deeper)),
                "allOf" => value
                    .as_array()
                    .into_iter()
                    .flatten()
                    .fold(Kinds::ALL, |kinds, part| kinds.and(self.kinds_within(part, deeper))),
                "$ref" => value
                    .as_str()
                    .and_then(|reference| self.resolve(reference))
                    .map_or(Kinds::ALL, |target| self.kinds_within(target, deeper)),
                _ => Kinds::ALL,
            };
            kinds = kinds.and(allowed);
        }
        kinds
    }

    /// A schema with what it refers to: itself, the targets of `$ref`, the parts of `allOf`; not the
    /// branches of `oneOf` and `anyOf`, which are alternatives.
    pub(crate) fn parts<'s>(&'s self, schema: &'s Value) -> Vec<&'s Map<String, Value>> {
        let mut parts = Vec::new();
        self.gather(schema, &mut parts, DEEPEST_REFERENCE);
        parts
    }

    fn gather<'s>(&'s self, schema: &'s Value, parts: &mut Vec<&'s Map<String, Value>>, depth: usize) {
        let (Some(map), Some(deeper)) = (schema.as_object(), depth.checked_sub(1)) else { return };
        parts.push(map);
        if let Some(target) = reference_of(schema).and_then(|reference| self.resolve(reference)) {
            self.gather(target, parts, deeper);
        }
        for part in map.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.gather(part, parts, deeper);
        }
    }
}

fn compile_patterns(schema: &Value, patterns: &mut HashMap<String, Regex>) {
    let mut compile = |pattern: &str| {
        patterns.extend(Regex::new(pattern).map(|compiled| (pattern.to_owned(), compiled)));
    };
    match schema {
        Value::Object(map) => {
            map.get("pattern").and_then(Value::as_str).into_iter().for_each(&mut compile);
            let keys = map.get("patternProperties").and_then(Value::as_object);
            keys.into_iter().flat_map(Map::keys).for_each(|pattern| compile(pattern));
            map.values().for_each(|value| compile_patterns(value, patterns));
        }
        Value::Array(list) => list.iter().for_each(|value| compile_patterns(value, patterns)),
        _ => {}
    }
}

/// How many references may lead from one to the next.
pub(crate) const DEEPEST_REFERENCE: usize = 16;

pub(crate) fn reference_of(schema: &Value) -> Option<&str> {
    schema.get("$ref").and_then(Value::as_str)
}

pub(crate) fn is_secret_reference(reference: &str) -> bool {
    reference == "#/$defs/Secret"
}

/// The alternatives of a schema.
pub(crate) fn branches_of(schema: &Value) -> impl Iterator<Item = &Value> {
    ["oneOf", "anyOf"].into_iter().filter_map(|keyword| schema.get(keyword)?.as_array()).flatten()
}

/// The JSON Schema of a root type for editors and other tools, which see a file before variables are put
/// in: wherever a number, a truth value, an enumeration or a text of some form is expected, a text
/// with a variable such as `${PORT}` is accepted as well. The check after variables are put in is strict.
#[must_use]
pub fn published_schema<T: JsonSchema>() -> Value {
    let mut schema = Schema::of::<T>().root;
    if let Some(root) = schema.as_object_mut() {
        for definition in
            root.get_mut("$defs").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
        {
            accept_variables_below(definition);
        }
        accept_variables_in_children(root);
        if let Some(definitions) =
            root.entry("$defs").or_insert_with(|| Value::Object(Map::new())).as_object_mut()
        {
            definitions.insert(
                "Variable".to_owned(),
                json!({
                    "description": "A text with a variable of the environment: `${NAME}` or `${NAME:-default}`.",
                    "type": "string",
                    "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}",
                }),
            );
        }
    }
    schema
}

/// A named type that is a scalar becomes an alternative itself, others are searched for scalars.
fn accept_variables_below(schema: &mut Value) {
    if is_restricted_scalar(schema) {
        let mut outer = Map::new();
        if let Some(inner) = schema.as_object_mut() {
            for annotation in ["title", "description", "default", "examples", "deprecated"] {
                if let Some(value) = inner.remove(annotation) {
                    outer.insert(annotation.to_owned(), value);
                }
            }
        }
        outer.insert("anyOf".to_owned(), json!([schema.take(), { "$ref": "#/$defs/Variable" }]));
        *schema = Value::Object(outer);
    } else if let Some(map) = schema.as_object_mut() {
        accept_variables_in_children(map);
    }
}

fn accept_variables_in_children(map: &mut Map<String, Value>) {
    for (keyword, value) in map {
        match keyword.as_str() {
            "properties" | "patternProperties" => {
                value.as_object_mut().into_iter().flat_map(Map::values_mut).for_each(accept_variables_below);
            }
            "items" | "additionalProperties" => accept_variables_below(value),
            "prefixItems" => value.as_array_mut().into_iter().flatten().for_each(accept_variables_below),
            // The branches stay as they are, so that they keep excluding one another.
            "oneOf" | "anyOf" | "allOf" => {
                let Some(branches) = value.as_array_mut() else { continue };
                for branch in branches.iter_mut().filter_map(Value::as_object_mut) {
                    accept_variables_in_children(branch);
                }
                if keyword == "anyOf" && branches.iter().any(is_restricted_scalar) {
                    branches.push(json!({ "$ref": "#/$defs/Variable" }));
                }
            }
            _ => {}
        }
    }
}

/// Whether a schema is one of scalars only that refuses some text. A lone `const` is left out: it is the
/// tag by which alternatives are told apart.
fn is_restricted_scalar(schema: &Value) -> bool {
    let Some(map) = schema.as_object() else { return false };
    if let Some(branches) = map.get("oneOf").or_else(|| map.get("anyOf")).and_then(Value::as_array) {
        return branches.iter().all(|branch| is_scalar(branch) || branch.get("const").is_some())
            && branches.iter().any(|branch| branch.get("const").is_some() || is_restricted_scalar(branch));
    }
    is_scalar(schema)
        && map.get("const").is_none()
        && (map.get("enum").is_some()
            || map.get("pattern").is_some()
            || !map.get("type").is_some_and(|types| Kinds::typed(types).has(Kinds::TEXT)))
}

fn is_scalar(schema: &Value) -> bool {
    schema.get("type").is_some_and(|types| {
        let kinds = Kinds::typed(types);
        !kinds.has(Kinds::LIST) && !kinds.has(Kinds::MAP) && kinds != Kinds::NULL
    })
}
