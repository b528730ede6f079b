//! The reference of a configuration in Markdown, from the types that read it.

use std::collections::VecDeque;
use std::fmt::Write;

use schemars::JsonSchema;
use serde_json::{Map, Value};

use crate::schema::{Kinds, Schema, reference_of};

/// Markdown for the root type `T`: a section for each type that is a map or a choice of maps, in the order in
/// which they are met from the root, then the forms of single values. The words are those of the types'
/// documentation. The same types always give the same text.
#[must_use]
pub fn reference<T: JsonSchema>(title: &str) -> String {
    let schema = Schema::of::<T>();
    let mut writer = Writer { schema: &schema, out: String::new() };
    let sections = sections(&schema);
    let _ = writeln!(writer.out, "# {title}\n");
    writer.paragraph(schema.root());
    writer.section(schema.root());
    for (name, definition) in sections.iter().filter(|(_, definition)| schema.is_structure(definition)) {
        let _ = writeln!(writer.out, "## {name}\n");
        writer.paragraph(definition);
        writer.section(definition);
    }
    writer.out.push_str(VARIABLES);
    for (name, definition) in sections.iter().filter(|(_, definition)| !schema.is_structure(definition)) {
        let _ = writeln!(writer.out, "## {name}\n");
        writer.paragraph(definition);
        writer.section(definition);
    }
    let length = writer.out.trim_end().len();
    writer.out.truncate(length);
    writer.out.push('\n');
    writer.out
}

const VARIABLES: &str = "\
## Variables and files

Any value may hold variables of the environment:

- `${NAME}` is the value of the variable `NAME`. If it is not set, the configuration is refused.
- `${NAME:-default}` is the default where the variable is not set or is empty.
- `$$` is one dollar.

A value that is a variable takes the type that its key asks for: `port: ${PORT}` is a number. Inside `[…]` and `{…}`
it needs quotes: `[\"${NAME}\"]`. Variables cannot add keys, and are not put into keys.

Where a [Secret](#secret) is expected, `file://path` stands for the content of that file, without the line break at its
end. Relative paths start at the folder of the configuration file.

";

/// The named types, breadth first from the root.
fn sections(schema: &Schema) -> Vec<(&str, &Value)> {
    let mut found: Vec<(&str, &Value)> = Vec::new();
    let mut open = VecDeque::from([schema.root()]);
    while let Some(next) = open.pop_front() {
        let mut references = Vec::new();
        references_below(next, &mut references);
        for reference in references {
            let Some(name) = reference.strip_prefix("#/$defs/") else { continue };
            let Some(definition) = schema.resolve(reference) else { continue };
            if !found.iter().any(|(known, _)| *known == name) {
                found.push((name, definition));
                open.push_back(definition);
            }
        }
    }
    found
}

fn references_below<'s>(schema: &'s Value, references: &mut Vec<&'s str>) {
    references.extend(reference_of(schema));
    match schema {
        Value::Object(map) => map
            .iter()
            .filter(|(keyword, _)| !matches!(keyword.as_str(), "$defs" | "default" | "examples"))
            .for_each(|(_, value)| references_below(value, references)),
        Value::Array(list) => list.iter().for_each(|value| references_below(value, references)),
        _ => {}
    }
}

impl Schema {
    /// Whether a type is a map or has an alternative that is one.
    fn is_structure(&self, schema: &Value) -> bool {
        self.kinds(schema).has(Kinds::MAP)
    }
}

struct Writer<'s> {
    schema: &'s Schema,
    out: String,
}

impl<'s> Writer<'s> {
    fn paragraph(&mut self, schema: &Value) {
        if let Some(description) = description_of(schema) {
            let _ = writeln!(self.out, "{description}\n");
        }
    }

    /// What a type consists of: its keys, its alternatives, its examples.
    fn section(&mut self, schema: &'s Value) {
        for part in self.schema.parts(schema) {
            self.keys(part, "");
            self.alternatives(part);
        }
        if let Some(example) = schema.get("examples").and_then(|examples| examples.get(0)) {
            let _ = writeln!(self.out, "For example `{}`.\n", plain(example));
        }
    }

    fn keys(&mut self, part: &'s Map<String, Value>, indent: &str) {
        let Some(properties) = part.get("properties").and_then(Value::as_object).filter(|keys| !keys.is_empty())
        else {
            return;
        };
        let required: Vec<&str> =
            part.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let (needed, optional): (Vec<_>, Vec<_>) =
            properties.iter().partition(|(name, _)| required.contains(&name.as_str()));
        // The key by which alternatives are told apart is what the alternative is introduced with.
        let untagged = |(_, schema): &(&String, &Value)| indent.is_empty() || schema.get("const").is_none();
        for (name, schema) in needed.into_iter().chain(optional).filter(untagged) {
            let mut facts = vec![self.type_of(schema)];
            facts.extend(limits(schema));
            if required.contains(&name.as_str()) {
                facts.push("required".to_owned());
            }
            if let Some(default) = schema.get("default").filter(|default| !default.is_null()) {
                facts.push(format!("default `{}`", plain(default)));
            }
            let _ = writeln!(self.out, "{indent}- `{name}`: {}.", facts.join(", "));
            if let Some(description) = description_of(schema) {
                for line in description.lines() {
                    let _ = writeln!(self.out, "{}", format!("{indent}  {line}").trim_end());
                }
            }
            if let Some(inner) = schema.as_object().filter(|inner| inner.contains_key("properties")) {
                self.keys(inner, &format!("{indent}  "));
            }
        }
        if indent.is_empty() {
            self.out.push('\n');
        }
    }

    fn alternatives(&mut self, part: &'s Map<String, Value>) {
        let branches: Vec<&'s Value> = ["oneOf", "anyOf"]
            .into_iter()
            .filter_map(|keyword| part.get(keyword)?.as_array())
            .flatten()
            .filter(|branch| self.schema.kinds(branch) != Kinds::NULL)
            .collect();
        if branches.is_empty() {
            return;
        }
        let _ = writeln!(self.out, "One of:\n");
        for branch in branches {
            let description = description_of(branch).map(|text| format!(" {}", text.replace('\n', " ")));
            let _ = writeln!(self.out, "- {}:{}", self.alternative(branch), description.unwrap_or_default());
            if let Some(branch) = branch.as_object() {
                self.keys(branch, "  ");
            }
        }
        self.out.push('\n');
    }

    /// How an alternative is recognised.
    fn alternative(&self, branch: &'s Value) -> String {
        let properties = branch.get("properties").and_then(Value::as_object);
        let tag = properties.into_iter().flatten().find_map(|(key, schema)| Some((key, schema.get("const")?)));
        match (tag, properties) {
            (Some((key, value)), _) => format!("`{key}: {}`", plain(value)),
            (None, Some(keys)) if keys.len() == 1 => keys.keys().map(|key| format!("`{key}: …`")).collect(),
            _ => self.type_of(branch),
        }
    }

    /// The type of a value in words, with links to the sections of named types.
    fn type_of(&self, schema: &Value) -> String {
        if let Some(name) = reference_of(schema).and_then(|reference| reference.strip_prefix("#/$defs/")) {
            return format!("[{name}](#{})", name.to_lowercase());
        }
        let branches: Vec<String> = ["oneOf", "anyOf"]
            .into_iter()
            .filter_map(|keyword| schema.get(keyword)?.as_array())
            .flatten()
            .filter(|branch| self.schema.kinds(branch) != Kinds::NULL)
            .map(|branch| self.type_of(branch))
            .collect();
        if !branches.is_empty() {
            return branches.join(" or ");
        }
        if let Some(constant) = schema.get("const") {
            return format!("`{}`", plain(constant));
        }
        if let Some(listed) = schema.get("enum").and_then(Value::as_array) {
            let words: Vec<String> = listed.iter().map(|word| format!("`{}`", plain(word))).collect();
            return format!("one of {}", words.join(", "));
        }
        let kinds = self.schema.kinds(schema);
        if kinds == Kinds::ALL {
            return "any value".to_owned();
        }
        self.type_of_kinds(kinds, schema)
    }

    fn type_of_kinds(&self, kinds: Kinds, schema: &Value) -> String {
        let whole = schema.get("format").and_then(Value::as_str).is_some_and(|format| format.contains("int"));
        let number = if whole { "whole number" } else { "number" };
        let elements = |keyword| schema.get(keyword).filter(|schema| schema.is_object());
        let list = elements("items").map_or("list".to_owned(), |items| format!("list of {}", self.type_of(items)));
        let map = elements("additionalProperties")
            .map_or("map".to_owned(), |values| format!("map of keys to {}", self.type_of(values)));
        let by_kind = [
            (Kinds::BOOL, "`true` or `false`"),
            (Kinds::NUMBER, number),
            (Kinds::TEXT, "text"),
            (Kinds::LIST, &list),
            (Kinds::MAP, &map),
        ];
        let said: Vec<&str> =
            by_kind.into_iter().filter(|(kind, _)| kinds.has(*kind)).map(|(_, phrase)| phrase).collect();
        said.join(" or ")
    }
}

/// The bounds of a value, as far as they say more than its type.
fn limits(schema: &Value) -> Option<String> {
    let bound = |keyword: &str| schema.get(keyword).map(|bound| plain(bound).trim_end_matches(".0").to_owned());
    let pairs = [
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
    ];
    pairs.into_iter().find_map(|(least, most, unit)| match (bound(least), bound(most)) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}{unit}")),
        (Some(least), None) if least != "0" => Some(format!("at least {least}{}", unit_of(&least, unit))),
        (None, Some(most)) => Some(format!("at most {most}{}", unit_of(&most, unit))),
        _ => None,
    })
}

fn unit_of<'u>(count: &str, unit: &'u str) -> &'u str {
    if count == "1" { unit.trim_end_matches('s') } else { unit }
}

/// The documentation of a type or key, without the brackets of links between Rust items.
fn description_of(schema: &Value) -> Option<String> {
    let text = schema.get("description").and_then(Value::as_str)?;
    Some(text.replace("[`", "`").replace("`]", "`"))
}

/// A value as it is written in YAML's flow style; texts without quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
