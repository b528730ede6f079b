//! The reference of a configuration in Markdown, from the types that read it.
//!
//! A map is described where it stands: its section is headed by the path of its keys (`services[].routes[]`), because
//! that is what a reader sees in a file. Single values with a form or a choice of words (`Period`, `Mode`) are used
//! in many places; they follow at the end under the names of their types.

mod outline;

use std::fmt::Write;

use schemars::JsonSchema;
use serde_json::{Map, Value};

use self::outline::Outline;
use crate::schema::{Kinds, Schema, branches_of, reference_of};

/// Markdown for the root type `T`, in the words of its types' documentation. The same types always give the
/// same text.
#[must_use]
pub fn reference<T: JsonSchema>(title: &str) -> String {
    let schema = Schema::of::<T>();
    let outline = Outline::of(&schema);
    let mut writer = Writer { schema: &schema, outline: &outline, out: String::new() };
    writer.line(&format!("# {title}\n"));
    writer.type_itself(schema.root());
    for map in &outline.maps {
        writer.line(&format!("## `{}`\n", map.path()));
        writer.type_itself(map.definition);
        if let [_, others @ ..] = map.paths.as_slice()
            && !others.is_empty()
        {
            let others: Vec<String> = others.iter().map(|path| format!("`{path}`")).collect();
            writer.line(&format!("The same keys stand under {}.\n", others.join(", ")));
        }
    }
    writer.variables();
    for (name, definition) in &outline.values {
        writer.line(&format!("## {name}\n"));
        writer.type_itself(definition);
    }
    format!("{}\n", writer.out.trim_end())
}

struct Writer<'s> {
    schema: &'s Schema,
    outline: &'s Outline<'s>,
    out: String,
}

impl<'s> Writer<'s> {
    fn line(&mut self, line: &str) {
        self.out.push_str(line.trim_end_matches(' '));
        self.out.push('\n');
    }

    /// What a type is, what it consists of, an example of it.
    fn type_itself(&mut self, schema: &'s Value) {
        if let Some(description) = description_of(schema) {
            self.line(&format!("{description}\n"));
        }
        for part in self.schema.parts(schema) {
            if self.keys(part, "") {
                self.line("");
            }
            self.alternatives(part);
        }
        if let Some(example) = schema.get("examples").and_then(|examples| examples.get(0)) {
            self.line(&format!("For example `{}`.\n", flow(example)));
        }
    }

    /// The keys of a map, those it must have first; whether it has any.
    fn keys(&mut self, part: &'s Map<String, Value>, indent: &str) -> bool {
        let Some(properties) = part.get("properties").and_then(Value::as_object) else { return false };
        let required = part.get("required").and_then(Value::as_array);
        let is_required = |name: &str| required.is_some_and(|list| list.iter().any(|one| one == name));
        let (needed, optional): (Vec<_>, Vec<_>) = properties.iter().partition(|(name, _)| is_required(name));
        // The key by which alternatives are told apart is what the alternative is introduced with.
        let described = |(_, schema): &(&String, &'s Value)| schema.get("const").is_none();
        for (name, schema) in needed.into_iter().chain(optional).filter(described) {
            self.key(name, schema, is_required(name), indent);
        }
        true
    }

    fn key(&mut self, name: &str, schema: &'s Value, required: bool, indent: &str) {
        let description = description_of(schema);
        let mut facts = vec![self.type_of(schema)];
        facts.extend(limits(schema));
        if required {
            facts.push("required".to_owned());
        }
        let said = description.as_ref().is_some_and(|text| text.contains("Default"));
        let default =
            schema.get("default").filter(|default| !said && !default.is_null() && !default.is_object());
        facts.extend(default.map(|default| format!("default `{}`", flow(default))));
        self.line(&format!("{indent}- `{name}`: {}.", facts.join(", ")));
        for line in description.iter().flat_map(|text| text.lines()) {
            self.line(&format!("{indent}  {line}"));
        }
        if let Some(inner) = schema.as_object().filter(|_| reference_of(schema).is_none()) {
            self.keys(inner, &format!("{indent}  "));
        }
    }

    fn alternatives(&mut self, part: &'s Map<String, Value>) {
        let lists = ["oneOf", "anyOf"].into_iter().filter_map(|keyword| part.get(keyword)?.as_array());
        let branches: Vec<&'s Value> =
            lists.flatten().filter(|branch| self.schema.kinds(branch) != Kinds::NULL).collect();
        if branches.is_empty() {
            return;
        }
        self.line("One of:\n");
        for branch in branches {
            let description = description_of(branch)
                .or_else(|| self.schema.parts(branch).into_iter().skip(1).find_map(description_in))
                .map(|text| format!(": {}", text.replace('\n', " ")));
            let alternative = self.alternative(branch);
            self.line(&format!("- {alternative}{}", description.unwrap_or_default()));
            if !self.is_value_type(branch) {
                for part in self.schema.parts(branch) {
                    self.keys(part, "  ");
                }
            }
        }
        self.line("");
    }

    /// How an alternative is recognised.
    fn alternative(&self, branch: &'s Value) -> String {
        let properties = branch.get("properties").and_then(Value::as_object);
        let tag =
            properties.into_iter().flatten().find_map(|(key, schema)| Some((key, schema.get("const")?)));
        match (tag, properties) {
            (Some((key, value)), _) => format!("`{key}: {}`", flow(value)),
            (None, Some(keys)) if keys.len() == 1 => keys.keys().map(|key| format!("`{key}: …`")).collect(),
            _ if reference_of(branch).is_some() && !self.is_value_type(branch) => "a map".to_owned(),
            _ => self.type_of(branch),
        }
    }

    fn is_value_type(&self, schema: &Value) -> bool {
        reference_of(schema).is_some_and(|reference| {
            self.outline.values.iter().any(|(name, _)| reference.strip_prefix("#/$defs/") == Some(*name))
        })
    }

    /// The type of a value in words, with links to the sections of named types.
    fn type_of(&self, schema: &Value) -> String {
        if let Some(reference) = reference_of(schema) {
            return self.outline.link(reference);
        }
        let branches: Vec<String> = branches_of(schema)
            .filter(|branch| self.schema.kinds(branch) != Kinds::NULL)
            .map(|branch| self.type_of(branch))
            .collect();
        if !branches.is_empty() {
            return branches.join(" or ");
        }
        if let Some(constant) = schema.get("const") {
            return format!("`{}`", flow(constant));
        }
        if let Some(listed) = schema.get("enum").and_then(Value::as_array) {
            let words: Vec<String> = listed.iter().map(|word| format!("`{}`", flow(word))).collect();
            return format!("one of {}", words.join(", "));
        }
        self.type_of_kinds(self.schema.kinds(schema), schema)
    }

    fn type_of_kinds(&self, kinds: Kinds, schema: &Value) -> String {
        if kinds == Kinds::ALL {
            return "any value".to_owned();
        }
        let whole = schema.get("format").and_then(Value::as_str).is_some_and(|format| format.contains("int"));
        let elements = |keyword| schema.get(keyword).filter(|elements| elements.is_object());
        let list = elements("items").map_or("list".to_owned(), |items| {
            let of = self.type_of(items);
            format!("list of {}", of.strip_prefix("map,").map_or(of.clone(), |rest| format!("maps,{rest}")))
        });
        let map = elements("additionalProperties")
            .map_or("map".to_owned(), |values| format!("map of names to {}", self.type_of(values)));
        let by_kind = [
            (Kinds::BOOL, "`true` or `false`"),
            (Kinds::NUMBER, if whole { "whole number" } else { "number" }),
            (Kinds::TEXT, "text"),
            (Kinds::LIST, &list),
            (Kinds::MAP, &map),
        ];
        let said = by_kind.into_iter().filter(|(kind, _)| kinds.has(*kind)).map(|(_, phrase)| phrase);
        said.collect::<Vec<_>>().join(" or ")
    }

    fn variables(&mut self) {
        self.out.push_str(VARIABLES);
        if self.outline.values.iter().any(|(name, _)| *name == "Secret") {
            self.out.push_str(SECRETS);
        }
    }
}

const VARIABLES: &str = "\
## Variables and files

Any value may hold variables of the environment:

- `${NAME}` is the value of the variable `NAME`. If it is not set, the configuration is refused.
- `${NAME:-default}` is the default where the variable is not set or is empty.
- `$$` is one dollar.

A value that is a variable takes the type that its key asks for: `port: ${PORT}` is a number. Inside `[…]` and `{…}`
it needs quotes: `[\"${NAME}\"]`. Variables cannot add keys, and are not put into keys.

";

const SECRETS: &str = "\
Where a [Secret](#secret) is expected, `file://path` stands for the content of that file, without the line break at its
end. Relative paths start at the folder of the configuration file.

";

/// The bounds of a value, as far as they say more than its type.
fn limits(schema: &Value) -> Option<String> {
    let bound =
        |keyword: &str| schema.get(keyword).map(|bound| flow(bound).trim_end_matches(".0").to_owned());
    let pairs = [
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
    ];
    pairs.into_iter().find_map(|(least, most, unit)| match (bound(least), bound(most)) {
        (Some(least), Some(most)) if least == most => Some(format!("always {}", counted(&most, unit))),
        (Some(least), Some(most)) => Some(format!("{least} to {}", counted(&most, unit))),
        (Some(least), None) if least != "0" => Some(format!("at least {}", counted(&least, unit))),
        (None, Some(most)) => Some(format!("at most {}", counted(&most, unit))),
        _ => None,
    })
}

fn counted(count: &str, unit: &str) -> String {
    format!("{count}{}", if count == "1" { unit.trim_end_matches('s') } else { unit })
}

fn description_of(schema: &Value) -> Option<String> {
    description_in(schema.as_object()?)
}

/// The documentation of a type or key, without the brackets of links between Rust items.
fn description_in(schema: &Map<String, Value>) -> Option<String> {
    let text = schema.get("description").and_then(Value::as_str)?;
    Some(text.replace("[`", "`").replace("`]", "`"))
}

/// A value in YAML's flow style, as a reader would write it.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let mut out = String::from("[");
            for (index, item) in items.iter().enumerate() {
                // Writing into a String cannot fail.
                let _ = write!(out, "{}{}", if index > 0 { ", " } else { "" }, flow(item));
            }
            out.push(']');
            out
        }
        other => other.to_string(),
    }
}
