//! From the configuration to [`Authorization`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{Authorizer, Entities, EntityUid, Schema};
use http::{HeaderName, Method};
use portcullis_core::{ConfigFolder, KeyPath, KeyedHash, Mode, Principal, Problems};

use crate::authorization::{Actions, Cell, CellsOf, Memory, Route};
use crate::decision::Decision;
use crate::entities::{Caller, Resource, Types};
use crate::observed::ContextHeader;
use crate::rules::{Loader, RuleIndex, Rules, cedar_problem};
use crate::schema::{OTHER, READ_METHODS, Vocabulary, WRITE_METHODS};
use crate::slices::{Slice, action_is_within, route_is_within};
use crate::{Authorization, RawAuthorization, RouteInfo};

/// More decisions than this would take gigabytes.
const MOST_ENTRIES: usize = 10_000_000;
/// Headers and claims become attributes of the schema and parts of keys.
const MOST_NAMES: usize = 64;

impl Authorization {
    /// Reads and validates the policies and prepares them for `routes`, which are indexed by `RouteId`.
    /// `path` is where the configuration has `raw`; files are relative to `folder`.
    ///
    /// Every fault is recorded in `problems`. `None` if one of them is an error: a policy that cannot be read may
    /// be a forbid, so the others are not used without it.
    #[must_use]
    pub fn compile(
        raw: &RawAuthorization,
        routes: &[RouteInfo],
        folder: &ConfigFolder,
        path: &KeyPath,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut found = Problems::default();
        let compiled = compile(raw, routes, &Place { folder, path }, &mut found);
        let compiled = compiled.map_err(|error| {
            found.error(path, format!("authorization cannot be set up: {error}"));
        });
        found.iter().cloned().for_each(|problem| problems.add(problem));
        compiled.ok().filter(|_| !found.has_errors())
    }

    /// The schema that policies are held against, in Cedar's own syntax: the built-in one for these routes, or the file that
    /// replaces it. `None` if that cannot be read. Whether it is right [`Self::compile`] says.
    #[must_use]
    pub fn schema_for(raw: &RawAuthorization, routes: &[RouteInfo], folder: &ConfigFolder) -> Option<String> {
        if let Some(name) = &raw.schema {
            return folder.read(name).ok();
        }
        let headers = context_headers(raw, &KeyPath::root(), &mut Problems::default());
        Some(Vocabulary { claims: &raw.claims, headers: &headers, routes }.schema_text())
    }

    /// Only reads the policies, where nothing is known for sure of what they speak about.
    pub fn check_syntax(
        raw: &RawAuthorization,
        folder: &ConfigFolder,
        path: &KeyPath,
        problems: &mut Problems,
    ) {
        let mut loader = Loader::new(problems);
        for (index, name) in raw.policies.iter().enumerate() {
            loader.load(name, folder, path.key("policies").index(index));
        }
        // Whatever was found is recorded; the policies themselves are not for use.
        drop(loader.finish());
    }
}

/// Where the configuration stands.
struct Place<'p> {
    folder: &'p ConfigFolder,
    path: &'p KeyPath,
}

/// # Errors
/// When the process has no randomness, or Cedar takes none of its own names.
fn compile(
    raw: &RawAuthorization,
    infos: &[RouteInfo],
    place: &Place<'_>,
    problems: &mut Problems,
) -> Result<Authorization, Box<dyn std::error::Error>> {
    let types = Types::new()?;
    let nobody = Caller::new(&Principal::anonymous(), &types, &BTreeMap::new())
        .ok_or("Cedar takes no anonymous principal")?;
    let headers = context_headers(raw, place.path, problems);
    check_claims(raw, place.path, problems);
    let vocabulary = Vocabulary { claims: &raw.claims, headers: &headers, routes: infos };
    check_actions(&vocabulary, problems);
    let (schema_text, schema) = schema(raw, &vocabulary, place, problems);

    let resource =
        |info: &RouteInfo| Resource { uid: types.route(&info.name), service: types.service(&info.service) };
    let resources: Vec<_> = infos.iter().map(resource).collect();
    let rules = load(raw, &types, &resources, schema.as_ref(), place, problems);
    let is_asked = infos.iter().any(|info| info.mode != Mode::Off);
    if rules.is_empty() && is_asked && !problems.has_errors() {
        problems
            .warning(place.path, "there are no policies, so every request is denied")
            .suggest("add a file to `policies`, or switch `authorize` off for the routes that need none");
    }
    let actions = actions(&vocabulary, schema.as_ref());
    let mut table = Table::new(&types, &rules, &actions);
    let routes = infos.iter().zip(&resources).map(|(info, resource)| table.route(info, resource)).collect();
    let cells = table.cells;
    let max_entries = max_entries(raw, place.path, problems);
    Ok(Authorization {
        schema_text,
        claims: raw.claims.clone(),
        memory: Memory::new(
            max_entries,
            rules.iter().count(),
            KeyedHash::random().map_err(|error| error.to_string())?,
        ),
        headers,
        rules,
        actions,
        routes,
        route_of: resources.into_iter().map(|resource| resource.uid).zip(0..).collect(),
        cells,
        nobody: Arc::new(nobody),
        types,
        not_permitted: Decision::not_permitted(),
        error: Decision::error(),
        authorizer: Authorizer::new(),
    })
}

fn max_entries(raw: &RawAuthorization, path: &KeyPath, problems: &mut Problems) -> usize {
    let max_entries = raw.cache.max_entries;
    if max_entries > MOST_ENTRIES {
        problems
            .error(&path.key("cache").key("max_entries"), format!("{max_entries} decisions are too many"))
            .suggest(format!("write at most {MOST_ENTRIES}"));
    }
    max_entries.min(MOST_ENTRIES)
}

fn context_headers(raw: &RawAuthorization, path: &KeyPath, problems: &mut Problems) -> Vec<ContextHeader> {
    let path = path.key("context_headers");
    if raw.context_headers.len() > MOST_NAMES {
        problems.error(&path, format!("policies may read at most {MOST_NAMES} headers"));
    }
    let mut seen = HashSet::new();
    let mut headers = Vec::new();
    for (index, name) in raw.context_headers.iter().enumerate() {
        match HeaderName::from_str(name) {
            Ok(field) if seen.insert(field.clone()) => {
                headers.push(ContextHeader { attribute: name.clone(), field });
            }
            Ok(_) => {
                problems.error(&path.index(index), format!("the header `{name}` is named twice"));
            }
            Err(_) => {
                problems
                    .error(&path.index(index), format!("`{name}` is not a header name"))
                    .suggest("write letters, digits and `-`, as in `x-tenant`");
            }
        }
    }
    headers
}

/// Names of claims become attribute names in the schema.
fn check_claims(raw: &RawAuthorization, path: &KeyPath, problems: &mut Problems) {
    let path = path.key("claims");
    if raw.claims.len() > MOST_NAMES {
        problems.error(&path, format!("policies may read at most {MOST_NAMES} claims"));
    }
    for name in raw.claims.keys() {
        if name.is_empty() || name.chars().any(char::is_control) {
            problems
                .error(&path, format!("`{}` is not the name of a claim", name.escape_debug()))
                .suggest("write it as it stands in the token");
        }
    }
}

/// A route's own action must not pass for a method or a group: `Action::"GET"` on a POST would.
fn check_actions(vocabulary: &Vocabulary<'_>, problems: &mut Problems) {
    for route in vocabulary.routes {
        let Some(action) = &route.action else { continue };
        if action.is_empty() || action.len() > 200 || action.chars().any(char::is_control) {
            let message = format!("`{}` is not the name of an action", action.escape_debug());
            problems.error(&route.place, message).suggest("write a word, as in `action: refund`");
        } else if vocabulary.is_taken(action) {
            problems
                .error(&route.place, format!("the action `{action}` is a method or a group"))
                .suggest("choose another name, or leave `action` out for the method");
        }
    }
}

fn schema(
    raw: &RawAuthorization,
    vocabulary: &Vocabulary<'_>,
    place: &Place<'_>,
    problems: &mut Problems,
) -> (String, Option<Schema>) {
    let path = place.path.key("schema");
    let (name, text) = match &raw.schema {
        None => ("(built-in schema)", vocabulary.schema_text()),
        Some(name) => match place.folder.read(name) {
            Ok(text) => (name.as_str(), text),
            Err(message) => {
                problems.error(&path, message);
                return (String::new(), None);
            }
        },
    };
    let schema = match Schema::from_cedarschema_str(&text) {
        Ok((schema, warnings)) => {
            for warning in warnings {
                problems.warning(&path, format!("{name}: {warning}"));
            }
            schema
        }
        Err(error) => {
            problems.add(cedar_problem(name, &text, &path, &error));
            return (text, None);
        }
    };
    if raw.schema.is_some() {
        check_own_schema(&schema, vocabulary, &path, problems);
    }
    (text, Some(schema))
}

/// An action that the schema does not declare has no group, and no policy may name it.
fn check_own_schema(schema: &Schema, vocabulary: &Vocabulary<'_>, path: &KeyPath, problems: &mut Problems) {
    let declared: HashSet<_> = schema.actions().map(|action| action.id().unescaped()).collect();
    let mut missing = HashSet::new();
    for route in vocabulary.routes.iter().filter(|route| route.mode != Mode::Off) {
        let methods = route.methods.iter().flatten().map(Method::as_str);
        let used: Vec<_> = route.action.as_deref().map_or_else(|| methods.collect(), |action| vec![action]);
        for action in used {
            if !declared.contains(action) && missing.insert(action) {
                problems
                    .warning(
                        path,
                        format!(
                            "the schema does not declare `Action::\"{action}\"`, which the route `{}` uses",
                            route.name
                        ),
                    )
                    .suggest(format!("add `action \"{action}\" appliesTo {{ … }};`"));
            }
        }
    }
}

fn load(
    raw: &RawAuthorization,
    types: &Types,
    resources: &[Resource],
    schema: Option<&Schema>,
    place: &Place<'_>,
    problems: &mut Problems,
) -> Rules {
    let mut loader = Loader::new(problems);
    let path = place.path.key("policies");
    for (index, name) in raw.policies.iter().enumerate() {
        loader.load(name, place.folder, path.index(index));
    }
    if let Some(schema) = schema {
        loader.validate(schema);
    }
    let known =
        resources.iter().flat_map(|resource| [resource.uid.clone(), resource.service.clone()]).collect();
    loader.check_names(&known, |uid| [&types.route, &types.service].contains(&uid.type_name()));
    loader.finish()
}

fn actions(vocabulary: &Vocabulary<'_>, schema: Option<&Schema>) -> Actions {
    let methods =
        READ_METHODS.into_iter().chain(WRITE_METHODS).chain(vocabulary.extension_methods()).collect();
    let all = schema.and_then(|schema| schema.action_entities().ok()).unwrap_or_else(Entities::empty);
    Actions { methods, all }
}

/// The table of routes and actions while it is filled.
struct Table<'t> {
    types: &'t Types,
    rules: &'t Rules,
    actions: &'t Actions,
    cells: Vec<Cell>,
    /// Routes with the same policies share one slice.
    slices: HashMap<Vec<RuleIndex>, Arc<Slice>>,
}

impl<'t> Table<'t> {
    fn new(types: &'t Types, rules: &'t Rules, actions: &'t Actions) -> Self {
        Self { types, rules, actions, cells: Vec::new(), slices: HashMap::new() }
    }

    fn route(&mut self, info: &RouteInfo, resource: &Resource) -> Route {
        let rules: Vec<_> = self
            .rules
            .iter()
            .filter(|(_, rule)| route_is_within(&rule.policy, resource))
            .map(|(index, _)| index)
            .collect();
        let first = u32::try_from(self.cells.len()).unwrap_or(u32::MAX);
        let cells = match &info.action {
            Some(action) => {
                self.cell(self.types.action(action), &rules);
                CellsOf::OwnAction(first)
            }
            None => {
                for method in &self.actions.methods {
                    self.cell(self.types.action(method.as_str()), &rules);
                }
                self.cell(self.types.action(OTHER), &rules);
                CellsOf::Methods(first)
            }
        };
        Route { resource: resource.clone(), parameters: info.parameters.clone(), cells }
    }

    fn cell(&mut self, action: EntityUid, of_route: &[RuleIndex]) {
        let groups: Vec<_> = self.actions.all.ancestors(&action).into_iter().flatten().cloned().collect();
        let matches = |index: &RuleIndex| {
            self.rules.at(*index).is_some_and(|rule| action_is_within(&rule.policy, &action, &groups))
        };
        let indexes: Vec<_> = of_route.iter().copied().filter(matches).collect();
        let rules = self.rules;
        let slice =
            self.slices.entry(indexes).or_insert_with_key(|indexes| Arc::new(Slice::new(indexes, rules)));
        let slice = Arc::clone(slice);
        self.cells.push(Cell { action, slice });
    }
}
