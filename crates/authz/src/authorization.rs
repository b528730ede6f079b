//! Deciding about one request.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use cedar_policy::{Authorizer, Entities, EntityUid, Request};
use http::Method;
use portcullis_core::{Digest, Head, KeyPath, KeyedHash, Mode, Principal, RouteId};

use crate::ClaimType;
use crate::cache::Cache;
use crate::decision::Decision;
use crate::entities::{Caller, Resource, Types};
use crate::observed::{ContextHeader, Input, Observed};
use crate::rules::{RuleIndex, Rules};
use crate::slices::{Applicable, Slice};

/// All policies of a configuration, compiled for its routes. It remembers decisions, and they go with it.
pub struct Authorization {
    pub(crate) schema_text: String,
    pub(crate) types: Types,
    pub(crate) claims: BTreeMap<String, ClaimType>,
    pub(crate) headers: Vec<ContextHeader>,
    pub(crate) rules: Rules,
    pub(crate) actions: Actions,
    pub(crate) routes: Vec<Route>,
    /// Routes by the name that policies give them.
    pub(crate) route_of: HashMap<EntityUid, usize>,
    pub(crate) cells: Vec<Cell>,
    /// Stands in for the caller where no policy looks at who it is.
    pub(crate) nobody: Arc<Caller>,
    pub(crate) memory: Memory,
    pub(crate) not_permitted: Decision,
    pub(crate) error: Decision,
    pub(crate) authorizer: Authorizer,
}

/// What the policies must know of a route. Its place in the list is its [`RouteId`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteInfo {
    /// The name: `Route::"name"`.
    pub name: String,
    /// The name of its service: `Service::"name"`.
    pub service: String,
    /// Whether authorization runs on it.
    pub mode: Mode,
    /// The action of all its requests, if it is not the method.
    pub action: Option<String>,
    /// The methods it takes; `None` for any.
    pub methods: Option<Vec<Method>>,
    /// The names of its path parameters, in the order of the template.
    pub parameters: Vec<String>,
    /// Where its action stands in the configuration.
    pub place: KeyPath,
}

/// A request that asks to pass.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'r> {
    /// The route it is for.
    pub route: RouteId,
    /// Its head.
    pub head: &'r Head<'r>,
    /// Who asks.
    pub principal: &'r Arc<Principal>,
    /// The decoded path parameters, in the order of [`RouteInfo::parameters`].
    pub parameters: &'r [Cow<'r, str>],
}

/// The actions.
#[derive(Debug)]
pub(crate) struct Actions {
    /// The methods that have an action of their own.
    pub(crate) methods: Vec<Method>,
    /// All action entities with their groups.
    pub(crate) all: Entities,
}

/// A route as entities and as places in the table of cells.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) resource: Resource,
    pub(crate) parameters: Vec<String>,
    pub(crate) cells: CellsOf,
}

/// Where the cells of a route are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CellsOf {
    /// One, for its own action.
    OwnAction(u32),
    /// One for each method and one for all others, from here on.
    Methods(u32),
}

/// One route with one action: everything about the request that is known in advance.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) action: EntityUid,
    pub(crate) slice: Arc<Slice>,
}

/// One caller in one cell: all that does not change from request to request.
struct Case {
    caller: Arc<Caller>,
    applicable: Arc<Applicable>,
    inputs: Vec<Input>,
    /// The caller, the action, the route and whatever else the conditions name.
    entities: Entities,
}

/// The key of a decision that depends on nothing but who asks for what.
const NOTHING_READ: Digest = Digest(0);

/// `None` where no policy looks at who asks.
type Serial = Option<u64>;

/// What was worked out before. Keys hold everything the values depend on, so nothing here ever goes stale;
/// a credential that is verified anew has a new serial number.
pub(crate) struct Memory {
    outcomes: Cache<(Serial, u32, Digest), Decision>,
    cases: Cache<(Serial, u32), Arc<Case>>,
    callers: Cache<u64, Arc<Caller>>,
    applicable: Cache<Box<[RuleIndex]>, Arc<Applicable>>,
    hash: KeyedHash,
}

impl Memory {
    /// For this many decisions, about this many policies.
    pub(crate) fn new(max_entries: usize, rules: usize, hash: KeyedHash) -> Self {
        // A caller takes a few kilobytes, so there are fewer of them than of decisions. Sets of policies are
        // as many as there are combinations of roles, and together hold at most 65,536 policies.
        let callers = max_entries / 8;
        let sets = (65_536 / rules.max(1)).clamp(16, 1024).min(max_entries);
        Self {
            outcomes: Cache::new(max_entries),
            cases: Cache::new(callers),
            callers: Cache::new(callers),
            applicable: Cache::new(sets),
            hash,
        }
    }
}

impl Authorization {
    /// Decides about a request.
    ///
    /// A request passes only if a policy permits it and none forbids it. It does not pass if any policy whose
    /// scope matches cannot be evaluated, or reads a claim or header that is malformed.
    #[must_use]
    pub fn authorize(&self, ask: &Ask<'_>) -> Decision {
        let Some(place) = self.place(ask) else { return self.not_permitted.clone() };
        let decide = |case: &Case, observed: &Observed<'_>| {
            self.evaluate(case, &place, observed).unwrap_or_else(|| self.error.clone())
        };
        if place.cell.slice.reads.is_settled() {
            return self.remembered(&place, NOTHING_READ, || match self.new_case(&place, ask.principal) {
                Some(case) => decide(&case, &Observed::nothing()),
                None => self.error.clone(),
            });
        }
        let Some(case) = self.case(&place, ask.principal) else { return self.error.clone() };
        let Ok(observed) = Observed::of(&case.inputs, ask.head, &self.headers, ask.parameters) else {
            return self.error.clone();
        };
        match observed.digest(&self.memory.hash) {
            Some(digest) => self.remembered(&place, digest, || decide(&case, &observed)),
            None => decide(&case, &observed),
        }
    }

    /// The schema that policies are held against, in Cedar's syntax.
    #[must_use]
    pub fn schema_text(&self) -> &str {
        &self.schema_text
    }

    /// Without policies every request is denied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The route of a request with its action.
    fn place(&self, ask: &Ask<'_>) -> Option<Place<'_>> {
        let route = self.routes.get(ask.route.index())?;
        let number = match route.cells {
            CellsOf::OwnAction(number) => number,
            CellsOf::Methods(first) => first.checked_add(self.actions.of_method(ask.head.method))?,
        };
        let cell = self.cells.get(number as usize)?;
        let serial = cell.slice.reads.principal.then_some(ask.principal.serial);
        Some(Place { route, cell, number, serial })
    }

    /// A decision from memory, or a new one that goes there.
    fn remembered(&self, place: &Place<'_>, digest: Digest, decide: impl FnOnce() -> Decision) -> Decision {
        let key = (place.serial, place.number, digest);
        if let Some(decision) = self.memory.outcomes.get(&key) {
            return decision;
        }
        let decision = decide();
        self.memory.outcomes.insert(key, decision.clone());
        decision
    }

    fn case(&self, place: &Place<'_>, principal: &Principal) -> Option<Arc<Case>> {
        let key = (place.serial, place.number);
        if let Some(case) = self.memory.cases.get(&key) {
            return Some(case);
        }
        let case = Arc::new(self.new_case(place, principal)?);
        self.memory.cases.insert(key, Arc::clone(&case));
        Some(case)
    }

    fn new_case(&self, place: &Place<'_>, principal: &Principal) -> Option<Case> {
        let caller = match place.serial {
            Some(serial) => self.caller(serial, principal)?,
            None => Arc::clone(&self.nobody),
        };
        let applicable = self.applicable(place.cell.slice.applicable_to(&caller))?;
        let inputs = Input::list(&applicable.reads, &self.headers, &place.route.parameters);
        let resource = &place.route.resource;
        let mut entities = vec![caller.entity.clone(), resource.entity([])?];
        let action = [&place.cell.action];
        entities.extend(
            action.into_iter().chain(&applicable.names).filter_map(|uid| self.actions.all.get(uid)).cloned(),
        );
        for name in applicable.names.iter().filter(|name| **name != resource.uid) {
            if let Some(route) = self.route_of.get(name).and_then(|&index| self.routes.get(index)) {
                entities.push(route.resource.entity([])?);
            }
        }
        let entities = Entities::from_entities(entities, None).ok()?;
        Some(Case { caller, applicable, inputs, entities })
    }

    fn caller(&self, serial: u64, principal: &Principal) -> Option<Arc<Caller>> {
        if let Some(caller) = self.memory.callers.get(&serial) {
            return Some(caller);
        }
        let caller = Arc::new(Caller::new(principal, &self.types, &self.claims)?);
        self.memory.callers.insert(serial, Arc::clone(&caller));
        Some(caller)
    }

    fn applicable(&self, indexes: Vec<RuleIndex>) -> Option<Arc<Applicable>> {
        let indexes = indexes.into_boxed_slice();
        if let Some(applicable) = self.memory.applicable.get(&indexes) {
            return Some(applicable);
        }
        let applicable = Arc::new(Applicable::new(&indexes, &self.rules)?);
        self.memory.applicable.insert(indexes, Arc::clone(&applicable));
        Some(applicable)
    }

    /// Asks Cedar.
    fn evaluate(&self, case: &Case, place: &Place<'_>, observed: &Observed<'_>) -> Option<Decision> {
        let Applicable { policies, reads, .. } = &*case.applicable;
        if policies.is_empty() {
            return Some(self.not_permitted.clone());
        }
        if case.caller.is_faulty(&reads.claims) {
            return None;
        }
        let Route { resource, parameters, .. } = place.route;
        let context = observed.context(!reads.headers.is_none(), &self.headers)?;
        let (caller, action) = (case.caller.uid.clone(), place.cell.action.clone());
        let request = Request::new(caller, action, resource.uid.clone(), context, None).ok()?;
        let response = if reads.parameters.is_none() {
            self.authorizer.is_authorized(&request, policies, &case.entities)
        } else {
            let route = resource.entity(observed.parameters(parameters))?;
            let entities = case.entities.clone().upsert_entities([route], None).ok()?;
            self.authorizer.is_authorized(&request, policies, &entities)
        };
        Some(Decision::of(&response, &self.rules))
    }
}

/// Where in the table of cells a request is.
struct Place<'a> {
    route: &'a Route,
    cell: &'a Cell,
    number: u32,
    serial: Serial,
}

impl Actions {
    /// The place of the action of `method`; methods without an action share the one after the last.
    fn of_method(&self, method: &Method) -> u32 {
        let place = self.methods.iter().position(|known| known == method).unwrap_or(self.methods.len());
        u32::try_from(place).unwrap_or(u32::MAX)
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policies = self.rules.iter().count();
        f.debug_struct("Authorization")
            .field("policies", &policies)
            .field("routes", &self.routes.len())
            .finish()
    }
}
