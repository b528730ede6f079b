//! Where in a configuration each named type stands.

use serde_json::{Map, Value};

use crate::schema::{DEEPEST_REFERENCE, Kinds, Schema, branches_of, reference_of};

/// The sections of a reference.
pub(super) struct Outline<'s> {
    /// Named types that are maps, each before those within it.
    pub(super) maps: Vec<MapType<'s>>,
    /// Named types that are single values, by name.
    pub(super) values: Vec<(&'s str, &'s Value)>,
}

/// A named type that is a map, or a choice with a map among it.
pub(super) struct MapType<'s> {
    name: &'s str,
    pub(super) definition: &'s Value,
    /// Every path it stands at, the first of them first.
    pub(super) paths: Vec<String>,
}

impl MapType<'_> {
    /// The path under which it is described.
    pub(super) fn path(&self) -> &str {
        self.paths.first().map_or("", String::as_str)
    }
}

impl<'s> Outline<'s> {
    pub(super) fn of(schema: &'s Schema) -> Self {
        let mut outline = Self { maps: Vec::new(), values: Vec::new() };
        outline.within(schema, schema.root(), "", DEEPEST_REFERENCE);
        outline.values.sort_unstable_by_key(|(name, _)| *name);
        outline
    }

    /// A link to the section of a named type.
    pub(super) fn link(&self, reference: &str) -> String {
        let name = name_of(reference);
        match self.maps.iter().find(|map| Some(map.name) == name) {
            Some(map) => format!("map, see [`{}`](#{})", map.path(), anchor(map.path())),
            None => {
                let name = name.unwrap_or("map");
                format!("[{name}](#{})", anchor(name))
            }
        }
    }

    /// Enters the types that stand below `path`, whose own schema is `at`.
    fn within(&mut self, schema: &'s Schema, at: &'s Value, path: &str, depth: usize) {
        let (Some(map), Some(deeper)) = (at.as_object(), depth.checked_sub(1)) else { return };
        self.children(schema, map, path, deeper);
        for branch in branches_of(at).chain(at.get("allOf").and_then(Value::as_array).into_iter().flatten()) {
            // A map among the alternatives of a type is described with the type.
            match reference_of(branch).and_then(|reference| schema.resolve(reference)) {
                Some(target) if schema.kinds(target).has(Kinds::MAP) => {
                    self.within(schema, target, path, deeper)
                }
                Some(_) => self.enter(schema, branch, path, deeper),
                None => self.within(schema, branch, path, deeper),
            }
        }
    }

    fn children(&mut self, schema: &'s Schema, map: &'s Map<String, Value>, path: &str, depth: usize) {
        for (name, property) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            self.enter(schema, property, &below, depth);
        }
        if let Some(items) = map.get("items") {
            self.enter(schema, items, &format!("{path}[]"), depth);
        }
        if let Some(values) = map.get("additionalProperties") {
            self.enter(schema, values, &format!("{path}.<name>"), depth);
        }
    }

    /// Enters what stands at `path`: a named type by its name, anything else by what is within it.
    fn enter(&mut self, schema: &'s Schema, at: &'s Value, path: &str, depth: usize) {
        let Some(deeper) = depth.checked_sub(1) else { return };
        let Some(reference) = reference_of(at) else {
            if let Some(map) = at.as_object() {
                self.children(schema, map, path, deeper);
            }
            // The alternative to nothing (`Option`), or a choice that has no name.
            branches_of(at).for_each(|branch| self.enter(schema, branch, path, deeper));
            return;
        };
        let (Some(name), Some(target)) = (name_of(reference), schema.resolve(reference)) else { return };
        if !schema.kinds(target).has(Kinds::MAP) {
            if !self.values.iter().any(|(known, _)| *known == name) {
                self.values.push((name, target));
                self.within(schema, target, path, deeper);
            }
            return;
        }
        if let Some(known) = self.maps.iter_mut().find(|known| known.name == name) {
            known.paths.push(path.to_owned());
            return;
        }
        self.maps.push(MapType { name, definition: target, paths: vec![path.to_owned()] });
        self.within(schema, target, path, deeper);
    }
}

fn name_of(reference: &str) -> Option<&str> {
    reference.strip_prefix("#/$defs/")
}

/// The anchor that Markdown renderers give to a heading.
fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}
