//! The document against the schema of its root type: every fault, in words, at its place.
//!
//! This walks the schema and the tree together and covers the part of JSON Schema that schemars writes. It
//! exists beside general validators because a person needs more than "not valid under any of the given
//! schemas": which alternative was meant is decided first (by its tag, or by the fewest faults), and the
//! faults are then those of that alternative.
//!
//! The walk also settles what only the schema can tell: whether `${PORT}` is a number or a text, and
//! whether `file://key.pem` is a secret to be read.

mod choose;
mod collection;
mod scalar;
mod words;

use portcullis_core::{ConfigFolder, KeyPath};
use serde_json::{Map, Value};

use crate::document::{Content, Data, Document, Hidden, Node, Place};
use crate::faults::Faults;
use crate::located::{Findings, Located};
use crate::schema::{Kinds, Schema, branches_of, is_secret_reference};

/// Checks the document and gives its value. Where something was found, a default or a placeholder stands, and `faults` has
/// the place; without a value there is nothing to go on with.
pub(crate) fn check(
    schema: &Schema,
    document: &mut Document,
    folder: &ConfigFolder,
    findings: &mut Findings,
    faults: &mut Faults,
) -> Option<Value> {
    let mut checker = Checker {
        schema,
        folder,
        findings: Findings::default(),
        faults: Faults::default(),
        hidden: Hidden::default(),
        visits: 0,
    };
    let value = checker.node(schema.root(), &document.root, document.root.place, &KeyPath::root());
    findings.extend(checker.findings);
    *faults = checker.faults;
    let Hidden { values, places } = checker.hidden;
    document.hidden.values.extend(values);
    document.hidden.places.extend(places);
    value
}

struct Checker<'c> {
    schema: &'c Schema,
    folder: &'c ConfigFolder,
    findings: Findings,
    /// The places of values that are not usable.
    faults: Faults,
    hidden: Hidden,
    /// How many nodes were looked at, to bound the trying of alternatives.
    visits: usize,
}

/// All that a schema says about one node: references followed, alternatives chosen.
struct Facets<'c> {
    parts: Vec<&'c Map<String, Value>>,
    kinds: Kinds,
    secret: bool,
}

/// A fault was found and recorded: no alternative fits.
struct Unfit;

impl<'c> Checker<'c> {
    /// Checks one node; `None` if it has no value to be used. `shown` is the place to underline for the node as a whole.
    fn node(&mut self, schema: &'c Value, node: &Node, shown: Place, path: &KeyPath) -> Option<Value> {
        self.visits += 1;
        if let Data::Scalar(scalar) = &node.data
            && matches!(scalar.content, Content::Unresolved)
        {
            return None;
        }
        let facets = self.facets(schema, node, shown, path).ok()?;
        match &node.data {
            Data::Scalar(scalar) => self.scalar(schema, &facets, node, scalar, shown, path),
            Data::List(_) if !facets.kinds.has(Kinds::LIST) => self.wrong_kind(schema, node, shown, path),
            Data::Map(_) if !facets.kinds.has(Kinds::MAP) => self.wrong_kind(schema, node, shown, path),
            Data::List(items) => Some(self.list(&facets, items, shown, path)),
            Data::Map(entries) => Some(self.map(&facets, entries, shown, path)),
        }
    }

    fn facets(
        &mut self,
        schema: &'c Value,
        node: &Node,
        shown: Place,
        path: &KeyPath,
    ) -> Result<Facets<'c>, Unfit> {
        let mut parts = Vec::new();
        let mut open = vec![schema];
        let mut followed = 0;
        while let Some(next) = open.pop() {
            followed += 1;
            if followed > crate::schema::DEEPEST_REFERENCE {
                break;
            }
            for part in self.schema.parts(next) {
                parts.push(part);
                for keyword in ["oneOf", "anyOf"] {
                    if let Some(branches) = part.get(keyword).and_then(Value::as_array) {
                        open.push(self.choose(branches, node, shown, path)?);
                    }
                }
            }
        }
        let references = parts.iter().filter_map(|part| part.get("$ref")?.as_str());
        let secret = references.into_iter().any(is_secret_reference);
        let kinds = parts
            .iter()
            .filter_map(|part| part.get("type"))
            .fold(Kinds::ALL, |kinds, types| kinds.and(Kinds::typed(types)));
        Ok(Facets { parts, kinds, secret })
    }

    fn wrong_kind(&mut self, schema: &'c Value, node: &Node, shown: Place, path: &KeyPath) -> Option<Value> {
        self.hide_below(node, None);
        let found = words::found(node, self.may_be_secret(schema));
        let message =
            format!("{} must be {}, {found}", words::named(path), words::expected(self.schema, [schema]));
        let mut problem = Located::error(path, Some(shown), message);
        if let Some(remedy) = words::remedy(self.schema, schema, node) {
            problem = problem.suggest(remedy);
        }
        self.findings.push(problem);
        None
    }

    /// Keeps the scalars below a node out of shown lines: nothing says that they are not secrets. The
    /// value of the key `but` of this node may be shown.
    fn hide_below(&mut self, node: &Node, but: Option<&str>) {
        match &node.data {
            Data::Scalar(_) => {}
            Data::List(items) => items.iter().for_each(|item| self.hide(item)),
            Data::Map(entries) => entries
                .iter()
                .filter(|entry| Some(entry.key.as_str()) != but)
                .for_each(|entry| self.hide(&entry.value)),
        }
    }

    fn hide(&mut self, node: &Node) {
        match &node.data {
            Data::Scalar(scalar) if scalar.written.is_empty() || scalar.has_variables() => {}
            Data::Scalar(_) => self.hidden.places.push((node.place, node.last_line)),
            Data::List(_) | Data::Map(_) => self.hide_below(node, None),
        }
    }

    /// Whether a value that stands where this schema is may have been meant as a secret: the schema is that
    /// of a secret, of a choice with one, or of a list of them.
    fn may_be_secret(&self, schema: &Value) -> bool {
        let items = schema.get("items").into_iter();
        std::iter::once(schema)
            .chain(branches_of(schema))
            .chain(items)
            .any(|schema| self.schema.is_secret(schema))
    }
}
