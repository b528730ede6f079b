//! The words of messages: what a schema expects, what a file has, what to write.

use portcullis_core::KeyPath;
use serde_json::{Map, Number, Value};

use super::collection::Known;
use super::scalar::core_value;
use crate::document::{Data, Node, Scalar};
use crate::located::quoted;
use crate::schema::{DEEPEST_REFERENCE, Kinds, Schema};

type Part<'c> = &'c Map<String, Value>;

/// A place as the subject of a sentence.
pub(super) fn named(path: &KeyPath) -> String {
    if path.as_str().is_empty() { "the configuration".to_owned() } else { format!("`{}`", shown_path(path)) }
}

/// A place in which a key stands.
pub(super) fn within(path: &KeyPath) -> String {
    if path.as_str().is_empty() {
        " at the top level".to_owned()
    } else {
        format!(" in `{}`", shown_path(path))
    }
}

/// A path without control characters; paths hold keys of the file.
fn shown_path(path: &KeyPath) -> String {
    path.as_str().chars().flat_map(crate::located::char_shown).collect()
}

/// `` `a` ``, or ``one of `a`, `b` ``.
pub(super) fn one_of(words: &[&str]) -> String {
    let list: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    if list.len() == 1 { list.concat() } else { format!("one of {}", list.join(", ")) }
}

/// The keys as a list, if it is short enough to be read.
pub(super) fn short_list<'k>(keys: impl Iterator<Item = &'k str>) -> Option<String> {
    const LONGEST: usize = 10;
    let keys: Vec<String> = keys.map(|key| format!("`{key}`")).collect();
    (!keys.is_empty() && keys.len() <= LONGEST).then(|| keys.join(", "))
}

/// What the schemas, as alternatives, accept: "a whole number or one of `a`, `b`".
pub(super) fn expected<'c>(schema: &'c Schema, alternatives: impl IntoIterator<Item = &'c Value>) -> String {
    let (mut phrases, mut words) = (Vec::new(), Vec::new());
    for alternative in alternatives {
        expectations(schema, alternative, &mut phrases, &mut words, DEEPEST_REFERENCE);
    }
    if !words.is_empty() {
        phrases.push(one_of(&words));
    }
    match phrases.split_last() {
        None => "something else".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}

fn expectations<'c>(
    schema: &'c Schema,
    alternative: &'c Value,
    phrases: &mut Vec<String>,
    words: &mut Vec<&'c str>,
    depth: usize,
) {
    let Some(deeper) = depth.checked_sub(1) else { return };
    let parts = schema.parts(alternative);
    let branches: Vec<&'c Value> = branches(&parts).collect();
    if !branches.is_empty() {
        for branch in branches {
            expectations(schema, branch, phrases, words, deeper);
        }
        return;
    }
    let constants: Vec<&'c str> = parts.iter().flat_map(|part| constants(part)).collect();
    if !constants.is_empty() {
        words.extend(constants);
        return;
    }
    let kinds = schema.kinds(alternative);
    let whole = parts.iter().any(|part| part.get("type").is_some_and(|types| names_type(types, "integer")));
    let text =
        if parts.iter().any(|part| part.contains_key("pattern")) { form(&parts) } else { "text".to_owned() };
    let number = if whole { "a whole number" } else { "a number" };
    let by_kind = [
        (Kinds::BOOL, "`true` or `false`"),
        (Kinds::NUMBER, number),
        (Kinds::TEXT, text.as_str()),
        (Kinds::LIST, "a list"),
        (Kinds::MAP, "a map"),
    ];
    for (_, phrase) in by_kind.into_iter().filter(|(kind, _)| kinds.has(*kind)) {
        if !phrases.iter().any(|known| known == phrase) {
            phrases.push(phrase.to_owned());
        }
    }
}

fn branches<'c>(parts: &[Part<'c>]) -> impl Iterator<Item = &'c Value> {
    parts
        .iter()
        .flat_map(|part| ["oneOf", "anyOf"].into_iter().filter_map(|keyword| part.get(keyword)?.as_array()))
        .flatten()
}

/// What stands in the file, by kind and, unless it must not be shown, by value.
pub(super) fn found(node: &Node, secret: bool) -> String {
    let scalar = match &node.data {
        Data::List(_) => return "found a list".to_owned(),
        Data::Map(_) => return "found a map".to_owned(),
        Data::Scalar(scalar) => scalar,
    };
    let value =
        if scalar.plain { core_value(scalar.text()) } else { Value::String(scalar.text().to_owned()) };
    let kind = match value {
        Value::Number(_) => "number",
        Value::Bool(_) => "truth value",
        Value::Null if scalar.has_variables() => "empty value",
        Value::Null => return "found nothing".to_owned(),
        _ => "text",
    };
    if scalar.has_variables() {
        return format!("found the {kind} that `{}` stands for", quoted(&scalar.written));
    }
    match (secret, kind) {
        (true, _) => format!("found a {kind}"),
        (false, "text") => format!("found the text \"{}\"", quoted(scalar.text())),
        (false, _) => format!("found the {kind} `{}`", quoted(scalar.text())),
    }
}

/// Like [`found`] for a value of the right kind.
pub(super) fn value_found(scalar: &Scalar, value: &Value, secret: bool) -> String {
    if scalar.has_variables() {
        return format!("`{}` stands for something else", quoted(&scalar.written));
    }
    match value {
        _ if secret => "found something else".to_owned(),
        Value::Null => "found nothing".to_owned(),
        _ => format!("found `{}`", quoted(scalar.text())),
    }
}

/// How a list is written.
pub(super) const AS_A_LIST: &str = "write each item in a line of its own after `- `";

/// Whether a scalar can stand in `[…]` as it is.
fn is_simple(scalar: &Scalar) -> bool {
    let text = scalar.text();
    !scalar.has_variables()
        && !text.is_empty()
        && text.chars().all(|c| c.is_alphanumeric() || "-_./*".contains(c))
}

/// What to write instead of a value of the wrong kind.
pub(super) fn remedy(schema: &Schema, expected: &Value, node: &Node) -> Option<String> {
    let kinds = schema.kinds(expected);
    let parts = schema.parts(expected);
    let only_list = kinds.has(Kinds::LIST) && !kinds.has(Kinds::TEXT);
    match &node.data {
        _ if kinds.has(Kinds::MAP) && !kinds.has(Kinds::TEXT) && !kinds.has(Kinds::LIST) => {
            let known = Known::of(&schema.parts(expected), schema);
            let list = short_list(known.properties.keys().copied())?;
            Some(format!("its keys are {list}"))
        }
        Data::Scalar(scalar) if only_list && is_simple(scalar) => {
            Some(format!("write it as a list: `[{}]`", quoted(scalar.text())))
        }
        _ if only_list => Some(AS_A_LIST.to_owned()),
        Data::Scalar(scalar) if !scalar.has_variables() => scalar_remedy(kinds, &parts, scalar),
        _ => None,
    }
}

fn scalar_remedy(kinds: Kinds, parts: &[Part<'_>], scalar: &Scalar) -> Option<String> {
    let text = scalar.text();
    let meaning = core_value(text);
    if let (true, Some(example)) = (kinds.has(Kinds::TEXT), example(parts)) {
        return Some(format!("write it like `{example}`"));
    }
    if scalar.plain && kinds.has(Kinds::TEXT) && !meaning.is_null() {
        return Some(format!("put it in quotes: `\"{}\"`", quoted(text)));
    }
    if !scalar.plain && !meaning.is_null() && kinds.has(Kinds::of(&meaning)) {
        return Some(format!("remove the quotes: `{}`", quoted(text)));
    }
    if kinds.has(Kinds::BOOL) {
        return match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "y" | "1" => Some("write `true`".to_owned()),
            "no" | "off" | "n" | "0" => Some("write `false`".to_owned()),
            _ => None,
        };
    }
    None
}

/// The first sentence of a schema's description, without its full stop.
pub(super) fn description<'c>(schema: &'c Schema, of: &'c Value) -> Option<&'c str> {
    let text = schema.parts(of).into_iter().find_map(|part| part.get("description")?.as_str())?;
    let line = text.lines().next()?;
    Some(line.split_once(". ").map_or(line, |(sentence, _)| sentence).trim_end_matches('.'))
}

/// What a text with a pattern is, from the first words of its description: "a duration with its unit".
pub(super) fn form(parts: &[Part<'_>]) -> String {
    let Some(part) = parts.iter().find(|part| part.contains_key("pattern")) else { return "text".to_owned() };
    match part.get("description").and_then(Value::as_str) {
        Some(description) => {
            let clause = description.split([',', ':', '.', '\n', ';']).next().unwrap_or(description).trim();
            let mut letters = clause.chars();
            letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
        }
        None => {
            let pattern = part.get("pattern").and_then(Value::as_str).unwrap_or_default();
            format!("text that matches `{pattern}`")
        }
    }
}

/// An example of a text with a pattern.
pub(super) fn example<'c>(parts: &[Part<'c>]) -> Option<&'c str> {
    parts
        .iter()
        .filter(|part| part.contains_key("pattern"))
        .find_map(|part| part.get("examples")?.get(0)?.as_str())
}

/// The words that a part of a schema fixes by `const` or `enum`.
pub(super) fn constants(part: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let listed = part.get("enum").and_then(Value::as_array).into_iter().flatten();
    listed.chain(part.get("const")).filter_map(Value::as_str)
}

/// All words among the alternatives, through references.
pub(super) fn all_constants<'c>(schema: &'c Schema, alternatives: &'c [Value]) -> Vec<&'c str> {
    let (mut phrases, mut words) = (Vec::new(), Vec::new());
    for alternative in alternatives {
        expectations(schema, alternative, &mut phrases, &mut words, DEEPEST_REFERENCE);
    }
    words
}

/// Whether a schema accepts nothing but certain words.
pub(super) fn is_only_words(schema: &Schema, alternative: &Value) -> bool {
    let (mut phrases, mut words) = (Vec::new(), Vec::new());
    expectations(schema, alternative, &mut phrases, &mut words, DEEPEST_REFERENCE);
    phrases.is_empty() && !words.is_empty()
}

/// Whether `const` or `enum` refuses a value.
pub(super) fn refuses_constant(part: &Map<String, Value>, value: &Value) -> bool {
    let listed = part.get("enum").and_then(Value::as_array);
    listed.is_some_and(|listed| !listed.contains(value))
        || part.get("const").is_some_and(|fixed| fixed != value)
}

/// Whether `type` names `name`, alone or among others.
pub(super) fn names_type(types: &Value, name: &str) -> bool {
    types.as_str() == Some(name) || types.as_array().is_some_and(|list| list.iter().any(|one| one == name))
}

const BOUNDS: [&str; 4] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];

/// A bound of a number. schemars writes down the range of 8 and 16 bits; that of 32 bits follows from the format.
fn bound(part: &Map<String, Value>, keyword: &str) -> Option<Number> {
    let written = part.get(keyword).and_then(Value::as_number).cloned();
    let implied = || match (part.get("format")?.as_str()?, keyword) {
        ("uint32", "maximum") => Some(Number::from(u32::MAX)),
        ("int32", "maximum") => Some(Number::from(i32::MAX)),
        ("int32", "minimum") => Some(Number::from(i32::MIN)),
        _ => None,
    };
    written.or_else(implied)
}

pub(super) fn in_range(part: &Map<String, Value>, number: &Number) -> bool {
    BOUNDS.iter().filter_map(|keyword| Some((*keyword, bound(part, keyword)?))).all(|(keyword, bound)| {
        let order = compare(number, &bound);
        match keyword {
            "minimum" => order.is_ge(),
            "maximum" => order.is_le(),
            "exclusiveMinimum" => order.is_gt(),
            _ => order.is_lt(),
        }
    })
}

/// Whole numbers are compared as such: as floats, neighbours near 2^64 would be equal.
fn compare(a: &Number, b: &Number) -> std::cmp::Ordering {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_f64().unwrap_or(f64::NAN).total_cmp(&b.as_f64().unwrap_or(f64::NAN)),
    }
}

/// The range of a number: "between 1 and 65535".
pub(super) fn range(parts: &[Part<'_>]) -> String {
    let [least, most, above, below] =
        BOUNDS.map(|keyword| parts.iter().find_map(|part| bound(part, keyword)));
    match (&least, &most, &above, &below) {
        (Some(least), Some(most), ..) if compare(least, most).is_eq() => number(least),
        (Some(least), Some(most), ..) => format!("between {} and {}", number(least), number(most)),
        (Some(least), None, _, None) => format!("{} or more", number(least)),
        (None, Some(most), None, _) => format!("{} or less", number(most)),
        _ => {
            let ends = [("at least", least), ("more than", above), ("at most", most), ("less than", below)];
            let said: Vec<String> = ends
                .into_iter()
                .filter_map(|(word, end)| Some(format!("{word} {}", number(&end?))))
                .collect();
            said.join(" and ")
        }
    }
}

/// `1.0` reads as `1`.
fn number(number: &Number) -> String {
    let text = number.to_string();
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// The length of a text or list: "at least 1 item".
pub(super) fn length(parts: &[Part<'_>], noun: &str) -> String {
    let (least, most) = if noun == "item" { ("minItems", "maxItems") } else { ("minLength", "maxLength") };
    let bound = |keyword| parts.iter().find_map(|part| part.get(keyword)?.as_u64());
    let counted = |count: u64| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    match (bound(least), bound(most)) {
        (Some(least), Some(most)) if least == most => counted(least),
        (Some(least), Some(most)) => format!("{least} to {}", counted(most)),
        (Some(least), None) => format!("at least {}", counted(least)),
        (None, Some(most)) => format!("at most {}", counted(most)),
        (None, None) => format!("another number of {noun}s"),
    }
}
