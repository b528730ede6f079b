//! Which of several alternatives was meant.
//!
//! schemars writes an enum as `oneOf` or `anyOf`. Its alternatives differ in kind (a text or a list), in
//! a constant (`type: jwt`), in the one key they have (`rate: {…}`), or only in their keys.

use std::collections::BTreeSet;

use portcullis_core::{KeyPath, problem::nearest};
use serde_json::{Map, Value};

use super::collection::{ANYTHING, Known};
use super::scalar::{fault, readings};
use super::{Checker, Unfit, words};
use crate::document::{Content, Data, Entry, Node, Place, Scalar};
use crate::located::{Findings, Located, quoted};
use crate::schema::{DEEPEST_REFERENCE, Kinds};

/// How many nodes may be looked at in all while alternatives are tried in full.
const MOST_VISITS: usize = 500_000;

impl<'c> Checker<'c> {
    /// The alternative that a node means. If it can be none, that is recorded.
    pub(super) fn choose(
        &mut self,
        branches: &'c [Value],
        node: &Node,
        shown: Place,
        path: &KeyPath,
    ) -> Result<&'c Value, Unfit> {
        let kind = match &node.data {
            Data::Scalar(scalar) => return self.choose_scalar(branches, node, scalar, shown, path),
            Data::List(_) => Kinds::LIST,
            Data::Map(_) => Kinds::MAP,
        };
        let candidates: Vec<&'c Value> =
            branches.iter().filter(|branch| self.schema.kinds(branch).has(kind)).collect();
        match (candidates.as_slice(), &node.data) {
            ([], _) => {
                self.no_alternative(branches, node, shown, path);
                Err(Unfit)
            }
            ([only], _) => Ok(only),
            (_, Data::Map(entries)) => self.choose_map(branches, &candidates, node, entries, shown, path),
            _ => Ok(self.best_in_full(&candidates, node, shown, path)),
        }
    }

    fn choose_scalar(
        &mut self,
        branches: &'c [Value],
        node: &Node,
        scalar: &Scalar,
        shown: Place,
        path: &KeyPath,
    ) -> Result<&'c Value, Unfit> {
        let readings = readings(scalar, Kinds::ALL);
        for reading in &readings {
            if let Some(branch) =
                branches.iter().find(|branch| self.accepts(branch, reading, DEEPEST_REFERENCE))
            {
                return Ok(branch);
            }
        }
        let reading_kinds: Vec<Kinds> = readings.iter().map(Kinds::of).collect();
        let candidates: Vec<&'c Value> = branches
            .iter()
            .filter(|branch| {
                let kinds = self.schema.kinds(branch);
                reading_kinds.iter().any(|kind| kinds.has(*kind))
            })
            .collect();
        if let [only] = candidates.as_slice()
            && !words::is_only_words(self.schema, only)
        {
            return Ok(only);
        }
        let words = words::all_constants(self.schema, branches);
        let only_words = branches.iter().all(|branch| {
            words::is_only_words(self.schema, branch) || self.schema.kinds(branch) == Kinds::NULL
        });
        let value = readings.first().unwrap_or(&Value::Null);
        if only_words && !value.is_null() {
            self.wrong_word(&words, scalar, value, false, shown, path);
        } else {
            self.no_alternative(branches, node, shown, path);
        }
        Err(Unfit)
    }

    /// Whether a scalar's value is right under a schema.
    fn accepts(&self, schema: &'c Value, value: &Value, depth: usize) -> bool {
        let Some(deeper) = depth.checked_sub(1) else { return true };
        if schema == &Value::Bool(false) {
            return false;
        }
        let parts = self.schema.parts(schema);
        fault(self.schema, &parts, value).is_none()
            && parts.iter().all(|part| {
                ["oneOf", "anyOf"]
                    .iter()
                    .filter_map(|keyword| part.get(*keyword)?.as_array())
                    .all(|branches| branches.iter().any(|branch| self.accepts(branch, value, deeper)))
            })
    }

    fn no_alternative(&mut self, branches: &'c [Value], node: &Node, shown: Place, path: &KeyPath) {
        self.hide_below(node, None);
        let secret = branches.iter().any(|branch| self.may_be_secret(branch));
        if secret {
            self.hide(node);
        }
        let expected = words::expected(self.schema, branches);
        let message = format!("{} must be {expected}, {}", words::named(path), words::found(node, secret));
        let mut problem = Located::error(path, Some(shown), message);
        if secret {
            problem = problem.suggest("put it in quotes if it is text");
        } else if let Some(remedy) = self.remedy(branches, node) {
            problem = problem.suggest(remedy);
        }
        self.findings.push(problem);
    }

    fn remedy(&self, branches: &'c [Value], node: &Node) -> Option<String> {
        if let Data::Scalar(scalar) = &node.data
            && !scalar.has_variables()
            && self.tags(branches).contains(scalar.text())
        {
            return Some(format!("write `{0}:` with its value", scalar.text()));
        }
        let wanted: Vec<&Value> =
            branches.iter().filter(|branch| self.schema.kinds(branch) != Kinds::NULL).collect();
        match wanted.as_slice() {
            [only] => words::remedy(self.schema, only, node),
            _ => None,
        }
    }

    /// The names of the alternatives that are maps of one key.
    fn tags(&self, branches: &'c [Value]) -> BTreeSet<&'c str> {
        branches
            .iter()
            .filter_map(|branch| only_key(&Known::of(&self.schema.parts(branch), self.schema)))
            .collect()
    }

    fn choose_map(
        &mut self,
        branches: &'c [Value],
        candidates: &[&'c Value],
        node: &Node,
        entries: &[Entry],
        shown: Place,
        path: &KeyPath,
    ) -> Result<&'c Value, Unfit> {
        let parts: Vec<Vec<&'c Map<String, Value>>> =
            candidates.iter().map(|branch| self.schema.parts(branch)).collect();
        if let Some(tag) = inner_tag(&parts) {
            return self.choose_by_tag(tag, candidates, &parts, node, shown, path);
        }
        let keys: Vec<Option<&'c str>> =
            parts.iter().map(|parts| only_key(&Known::of(parts, self.schema))).collect();
        if keys.iter().all(Option::is_some) {
            let keyed: Vec<(&'c str, &'c Value)> =
                keys.into_iter().flatten().zip(candidates.iter().copied()).collect();
            return self.choose_by_key(branches, &keyed, node, entries, shown, path);
        }
        let scores: Vec<usize> = parts.iter().map(|parts| self.misfit(parts, entries)).collect();
        let least = scores.iter().min().copied().unwrap_or(0);
        let tied: Vec<&'c Value> = candidates
            .iter()
            .zip(&scores)
            .filter(|(_, score)| **score == least)
            .map(|(branch, _)| *branch)
            .collect();
        match tied.as_slice() {
            [only] => Ok(only),
            _ => Ok(self.best_in_full(&tied, node, shown, path)),
        }
    }

    /// The alternative whose constant the key `tag` has: `type: jwt`.
    fn choose_by_tag(
        &mut self,
        tag: &'c str,
        candidates: &[&'c Value],
        parts: &[Vec<&'c Map<String, Value>>],
        node: &Node,
        shown: Place,
        path: &KeyPath,
    ) -> Result<&'c Value, Unfit> {
        let constants: Vec<&'c str> = parts.iter().filter_map(|parts| constant_of(parts, tag)).collect();
        let Some(entry) = node.child(tag) else {
            self.hide_below(node, None);
            let message = format!("`{tag}` is missing{}", words::within(path));
            let suggestion = format!("it must be {}", words::one_of(&constants));
            self.findings.push(Located::error(&path.key(tag), Some(shown), message).suggest(suggestion));
            return Err(Unfit);
        };
        let Data::Scalar(scalar) = &entry.value.data else {
            self.hide_below(node, None);
            let found = words::found(&entry.value, false);
            let at = path.key(tag);
            let message = format!("{} must be {}, {found}", words::named(&at), words::one_of(&constants));
            self.findings.push(Located::error(&at, Some(entry.key_place), message));
            return Err(Unfit);
        };
        let chosen = constants.iter().zip(candidates).find(|(constant, _)| **constant == scalar.text());
        if let Some((_, branch)) = chosen {
            return Ok(branch);
        }
        self.hide_below(node, Some(tag));
        if !matches!(scalar.content, Content::Unresolved) {
            let value = Value::String(scalar.text().to_owned());
            self.wrong_word(&constants, scalar, &value, false, entry.shown_place(), &path.key(tag));
        }
        Err(Unfit)
    }

    /// The alternative that is named by the one key of the map: `rate: {…}`.
    fn choose_by_key(
        &mut self,
        branches: &'c [Value],
        keyed: &[(&'c str, &'c Value)],
        node: &Node,
        entries: &[Entry],
        shown: Place,
        path: &KeyPath,
    ) -> Result<&'c Value, Unfit> {
        let named = |entry: &Entry| keyed.iter().find(|(key, _)| *key == entry.key);
        let mut chosen = entries.iter().filter_map(named);
        let keys: Vec<&str> = keyed.iter().map(|(key, _)| *key).collect();
        match (chosen.next(), chosen.next()) {
            (Some((_, branch)), None) => return Ok(branch),
            (Some((first, _)), Some((second, _))) => {
                let message = format!("{} can have only one of `{first}` and `{second}`", words::named(path));
                self.findings.push(Located::error(path, Some(shown), message).suggest("keep one of them"));
            }
            (None, _) if entries.is_empty() => {
                let message = format!("{} must have {} as its key", words::named(path), words::one_of(&keys));
                self.findings.push(Located::error(path, Some(shown), message));
            }
            (None, _) => {
                for entry in entries {
                    let message = format!("unknown key `{}`{}", quoted(&entry.key), words::within(path));
                    let problem = Located::error(&path.key(&entry.key), Some(entry.key_place), message);
                    let words = words::all_constants(self.schema, branches);
                    self.findings.push(if words.contains(&entry.key.as_str()) {
                        problem.suggest(format!("write `{}` alone, as a value", entry.key))
                    } else if let Some(close) = nearest(&entry.key, keys.iter().copied()) {
                        problem.suggest(format!("did you mean `{close}`?"))
                    } else {
                        problem.suggest(format!("it must be {}", words::one_of(&keys)))
                    });
                }
            }
        }
        self.hide_below(node, None);
        Err(Unfit)
    }

    /// How badly the keys of a map fit an alternative, without a look below them.
    fn misfit(&self, parts: &[&'c Map<String, Value>], entries: &[Entry]) -> usize {
        let known = Known::of(parts, self.schema);
        let missing =
            known.required.iter().filter(|name| !entries.iter().any(|entry| entry.key == **name)).count();
        let misplaced = entries
            .iter()
            .map(|entry| match known.value_schema(&entry.key) {
                None => 2,
                Some(schema) => usize::from(!self.schema.kinds(schema).has(kinds_of(&entry.value))),
            })
            .sum::<usize>();
        missing + misplaced
    }

    /// The alternative with the fewest faults when each is tried.
    fn best_in_full(
        &mut self,
        candidates: &[&'c Value],
        node: &Node,
        shown: Place,
        path: &KeyPath,
    ) -> &'c Value {
        let kept = (std::mem::take(&mut self.findings), std::mem::take(&mut self.faults));
        let hidden = self.hidden.places.len();
        let mut best: Option<(usize, &'c Value)> = None;
        for candidate in candidates {
            if best.is_some_and(|(faults, _)| faults == 0) || best.is_some() && self.visits > MOST_VISITS {
                break;
            }
            self.findings = Findings::default();
            if self.visits <= MOST_VISITS {
                self.node(candidate, node, shown, path);
            }
            let faults = self.findings.count();
            if best.is_none_or(|(least, _)| faults < least) {
                best = Some((faults, candidate));
            }
        }
        (self.findings, self.faults) = kept;
        self.hidden.places.truncate(hidden);
        best.map_or(&ANYTHING, |(_, candidate)| candidate)
    }
}

/// The key that has a different constant in every alternative.
fn inner_tag<'c>(alternatives: &[Vec<&'c Map<String, Value>>]) -> Option<&'c str> {
    let first = alternatives.first()?;
    first
        .iter()
        .filter_map(|part| part.get("properties")?.as_object())
        .flat_map(Map::keys)
        .map(String::as_str)
        .find(|key| alternatives.iter().all(|parts| constant_of(parts, key).is_some()))
}

fn constant_of<'c>(parts: &[&'c Map<String, Value>], key: &str) -> Option<&'c str> {
    parts.iter().find_map(|part| {
        let schema = part.get("properties")?.get(key)?;
        match schema.get("enum").and_then(Value::as_array).map(Vec::as_slice) {
            Some([only]) => only.as_str(),
            _ => schema.get("const")?.as_str(),
        }
    })
}

/// The key of a map that must have this one and no other.
fn only_key<'c>(known: &Known<'c>) -> Option<&'c str> {
    match known.required.as_slice() {
        [only] if known.properties.len() == 1 && known.properties.contains_key(only) => {
            known.value_schema("\0").is_none().then_some(*only)
        }
        _ => None,
    }
}

fn kinds_of(node: &Node) -> Kinds {
    match &node.data {
        Data::Map(_) => Kinds::MAP,
        Data::List(_) => Kinds::LIST,
        Data::Scalar(scalar) => {
            if matches!(scalar.content, Content::Unresolved) {
                return Kinds::ALL;
            }
            readings(scalar, Kinds::ALL).iter().map(Kinds::of).reduce(Kinds::or).unwrap_or(Kinds::ALL)
        }
    }
}
