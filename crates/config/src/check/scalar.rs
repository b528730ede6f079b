//! Scalars: what type they have, and whether their value is one that the key takes.

use portcullis_core::{KeyPath, problem::nearest};
use serde_json::{Map, Number, Value};

use super::{Checker, Facets, words};
use crate::document::{Content, Node, Place, Scalar};
use crate::interpolate::secret_file;
use crate::located::{Located, quoted};
use crate::schema::{Kinds, Schema};

/// Why a scalar's value is refused.
pub(super) enum Fault {
    Kind,
    Fraction,
    Word,
    Range,
    Length,
    Form,
}

impl<'c> Checker<'c> {
    pub(super) fn scalar(
        &mut self,
        schema: &'c Value,
        facets: &Facets<'c>,
        node: &Node,
        scalar: &Scalar,
        shown: Place,
        path: &KeyPath,
    ) -> Option<Value> {
        if facets.secret {
            if scalar.text().starts_with("file://") {
                return self.secret(scalar, shown, path);
            }
            if !scalar.has_variables() && !scalar.written.is_empty() {
                self.hidden.places.push((node.place, node.last_line));
                let name = format!("the secret in line {}", node.place.line);
                self.hidden.values.insert(name, scalar.written.clone());
            }
        }
        let mut readings: Vec<(Value, Option<Fault>)> = readings(scalar, facets.kinds)
            .into_iter()
            .map(|value| {
                let fault = fault(self.schema, &facets.parts, &value);
                (value, fault)
            })
            .collect();
        // One that is right, or else one that is at least of the right kind: it has the telling fault.
        readings.sort_by_key(|(_, fault)| (fault.is_some(), matches!(fault, Some(Fault::Kind))));
        let (value, fault) = readings.into_iter().next()?;
        let Some(fault) = fault else { return Some(value) };
        if matches!(fault, Fault::Kind) {
            return self.wrong_scalar(schema, facets, node, &value, shown, path);
        }
        self.refuse(facets, scalar, &value, &fault, shown, path);
        None
    }

    /// Reads the file that holds a secret.
    fn secret(&mut self, scalar: &Scalar, shown: Place, path: &KeyPath) -> Option<Value> {
        let name = quoted(&scalar.written);
        match secret_file(self.folder, scalar.text()) {
            Ok(text) => {
                self.hidden.values.insert(name, text.clone());
                Some(Value::String(text))
            }
            Err(why) => {
                let message = format!("{}: the secret `{name}` is not available: {why}", words::named(path));
                let suggestion = "relative paths start at the folder of the configuration file";
                self.findings.push(Located::error(path, Some(shown), message).suggest(suggestion));
                None
            }
        }
    }

    fn wrong_scalar(
        &mut self,
        schema: &'c Value,
        facets: &Facets<'c>,
        node: &Node,
        value: &Value,
        shown: Place,
        path: &KeyPath,
    ) -> Option<Value> {
        let secret = facets.secret || self.may_be_secret(schema);
        if secret {
            self.hide(node);
        }
        let expected = words::expected(self.schema, [schema]);
        let message = format!("{} must be {expected}, {}", words::named(path), words::found(node, secret));
        let mut problem = Located::error(path, Some(shown), message);
        if facets.secret && value != &Value::Null {
            problem = problem.suggest("put it in quotes");
        } else if secret {
            problem = problem.suggest(words::AS_A_LIST);
        } else if let Some(remedy) = words::remedy(self.schema, schema, node) {
            problem = problem.suggest(remedy);
        }
        self.findings.push(problem);
        None
    }

    fn refuse(
        &mut self,
        facets: &Facets<'c>,
        scalar: &Scalar,
        value: &Value,
        fault: &Fault,
        shown: Place,
        path: &KeyPath,
    ) {
        let found = words::value_found(scalar, value, facets.secret);
        let named = words::named(path);
        let parts = &facets.parts;
        let message = match fault {
            Fault::Kind => return,
            Fault::Fraction if scalar.text().contains(['.', 'e', 'E']) => {
                format!("{named} must be a whole number; {found}")
            }
            Fault::Fraction => format!("{named} is a larger number than can be read; {found}"),
            Fault::Word => {
                let allowed = parts.iter().flat_map(|part| words::constants(part)).collect();
                return self.wrong_word(&allowed, scalar, value, facets.secret, shown, path);
            }
            Fault::Range => format!("{named} must be {}; {found}", words::range(parts)),
            Fault::Length => format!("{named} must have {}; {found}", words::length(parts, "character")),
            Fault::Form => format!("{named} must be {}; {found}", words::form(parts)),
        };
        let mut problem = Located::error(path, Some(shown), message);
        if let (Fault::Form, Some(example)) = (fault, words::example(parts)) {
            problem = problem.suggest(format!("write it like `{example}`"));
        }
        self.findings.push(problem);
    }

    /// A scalar that is none of the words that a key takes.
    pub(super) fn wrong_word(
        &mut self,
        allowed: &Vec<&str>,
        scalar: &Scalar,
        value: &Value,
        secret: bool,
        shown: Place,
        path: &KeyPath,
    ) {
        let found = words::value_found(scalar, value, secret);
        let message = format!("{} must be {}; {found}", words::named(path), words::one_of(allowed));
        let mut problem = Located::error(path, Some(shown), message);
        let lower: Vec<String> = allowed.iter().map(|word| word.to_lowercase()).collect();
        let close = nearest(&scalar.text().to_lowercase(), lower.iter().map(String::as_str));
        let close = close.and_then(|close| allowed.iter().find(|word| word.to_lowercase() == close));
        // What a variable holds is not shown, and what is like it would tell as much.
        if let Some(close) = close.filter(|_| !scalar.has_variables()) {
            problem = problem.suggest(format!("did you mean `{close}`?"));
        }
        self.findings.push(problem);
    }
}

/// What a scalar may mean, the likeliest first. Only one with variables has two meanings: which one holds is
/// for the schema to say.
pub(super) fn readings(scalar: &Scalar, accepted: Kinds) -> Vec<Value> {
    let text = Value::String(scalar.text().to_owned());
    match &scalar.content {
        Content::Filled(_) if scalar.has_variables() => {
            let typed = core_value(scalar.text());
            if typed == text {
                vec![text]
            } else if accepted == Kinds::ALL && scalar.plain && scalar.is_one_variable() {
                vec![typed, text]
            } else {
                vec![text, typed]
            }
        }
        Content::Written | Content::Filled(_) if scalar.plain => vec![core_value(scalar.text())],
        _ => vec![text],
    }
}

/// The value of a plain scalar under YAML's core schema (YAML 1.2.2, section 10.3). Infinities and
/// not-a-number have no place in a configuration and stay texts.
pub(super) fn core_value(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    core_number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

fn core_number(text: &str) -> Option<Number> {
    let radix = |prefix, radix| {
        let digits = text.strip_prefix(prefix)?;
        let all_digits = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
        all_digits.then(|| u64::from_str_radix(digits, radix).ok()).flatten().map(Number::from)
    };
    if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Some(number);
    }
    let numeric = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    if !numeric || !text.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    if let Ok(number) = text.parse::<u64>() {
        return Some(Number::from(number));
    }
    if let Ok(number) = text.parse::<i64>() {
        return Some(Number::from(number));
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}

/// The first fault of a scalar under the parts of a schema.
pub(super) fn fault(schema: &Schema, parts: &[&Map<String, Value>], value: &Value) -> Option<Fault> {
    parts
        .iter()
        .find_map(|part| fault_of_kind(part, value))
        .or_else(|| parts.iter().find_map(|part| fault_of_value(schema, part, value)))
}

fn fault_of_kind(part: &Map<String, Value>, value: &Value) -> Option<Fault> {
    let types = part.get("type")?;
    if !Kinds::typed(types).has(Kinds::of(value)) {
        return Some(Fault::Kind);
    }
    let whole_only = Kinds::typed(types).has(Kinds::NUMBER) && words::names_type(types, "integer");
    (whole_only && value.is_f64()).then_some(Fault::Fraction)
}

fn fault_of_value(schema: &Schema, part: &Map<String, Value>, value: &Value) -> Option<Fault> {
    let is_optional_null =
        value.is_null() && part.get("type").is_some_and(|types| words::names_type(types, "null"));
    if !is_optional_null && words::refuses_constant(part, value) {
        return Some(Fault::Word);
    }
    match value {
        Value::Number(number) => (!words::in_range(part, number)).then_some(Fault::Range),
        Value::String(text) => {
            let length = text.chars().count() as u64;
            let bound = |keyword| part.get(keyword).and_then(Value::as_u64);
            let fits = bound("minLength").is_none_or(|least| length >= least)
                && bound("maxLength").is_none_or(|most| length <= most);
            if !fits {
                return Some(Fault::Length);
            }
            let pattern = part.get("pattern").and_then(Value::as_str);
            let matches = pattern.is_none_or(|pattern| schema.matches(pattern, text));
            (!matches).then_some(Fault::Form)
        }
        _ => None,
    }
}
