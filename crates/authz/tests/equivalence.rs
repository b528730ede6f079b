//! The fast path against Cedar's own authorizer: whatever the policies and the requests, slicing, memory and
//! partial contexts change nothing.
//!
//! The reference evaluates the whole set of policies with all entities and the complete context, and shares
//! no code with the crate. The schema promises attributes that requests lack, so that policies err.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may stop")]

mod harness;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityUid, PolicySet, Request, RestrictedExpression, Schema,
};
use harness::{Sample, compile, route};
use http::Method;
use portcullis_authz::{Answer, ClaimType, Decision, RawAuthorization, RawCache, RouteInfo};
use portcullis_core::{Principal, PrincipalKind, Reason, Target, TargetRules, Timestamp};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

// ---- policies ----

/// A condition, and the claims and headers that it reads.
#[derive(Debug, Clone)]
struct Condition {
    text: String,
    reads: BTreeSet<&'static str>,
}

#[derive(Debug, Clone)]
struct Written {
    permit: bool,
    /// `@audit` or `@challenge`.
    special: bool,
    scope: String,
    when: Option<Condition>,
    unless: Option<Condition>,
}

const PRINCIPALS: &[&str] = &[
    "principal",
    "principal",
    "principal == User::\"i|a\"",
    "principal == ApiKey::\"a\"",
    "principal in User::\"i|b\"",
    "principal == Role::\"x\"",
    "principal in Role::\"x\"",
    "principal in Role::\"y\"",
    "principal is User",
    "principal is Anonymous",
    "principal is ApiKey in Role::\"x\"",
    "principal is User in Role::\"y\"",
];
const ACTIONS: &[&str] = &[
    "action",
    "action",
    "action == Action::\"GET\"",
    "action == Action::\"other\"",
    "action == Action::\"refund\"",
    "action in Action::\"read\"",
    "action in [Action::\"write\", Action::\"HEAD\"]",
    "action in [Action::\"GET\", Action::\"PURGE\"]",
];
const RESOURCES: &[&str] = &[
    "resource",
    "resource",
    "resource == Route::\"r0\"",
    "resource in Route::\"r2\"",
    "resource in Service::\"s0\"",
    "resource is Route",
    "resource is Route in Service::\"s1\"",
];
type Atom = (&'static str, &'static [&'static str]);

const ATOMS: &[Atom] = &[
    ("true", &[]),
    ("9223372036854775807 + 1 > 0", &[]),
    ("context.headers has \"h1\" && context.headers[\"h1\"] == \"u\"", &["h1"]),
    ("context.headers[\"h1\"] like \"u*\"", &["h1"]),
    ("context[\"headers\"].H2 == \"v\"", &["H2"]),
    ("context has headers.H2", &["H2"]),
    ("context has headers", &["h1", "H2"]),
    ("context == context", &["h1", "H2"]),
    ("[context.headers].contains(context.headers)", &["h1", "H2"]),
    ("context.address.isInRange(ip(\"10.0.0.0/8\"))", &[]),
    ("context.address.isIpv6()", &[]),
    ("context.time < datetime(\"2025-01-01\")", &[]),
    ("[context.time].contains(datetime(\"2024-01-01\"))", &[]),
    ("context.secure", &[]),
    ("{a: context.secure}.a", &[]),
    ("context.host like \"a*\"", &[]),
    ("context.method == \"GET\"", &[]),
    ("context.path == \"/p\"", &[]),
    ("principal.claims.t == \"u\"", &["t"]),
    ("principal has claims.t && principal.claims[\"t\"] like \"*v\"", &["t"]),
    ("principal.claims has n && principal.claims.n + 1 > 1", &["n"]),
    ("principal.claims == principal.claims", &["t", "n"]),
    ("(if context.secure then principal else principal).claims.t == \"u\"", &["t", "n"]),
    ("principal in Role::\"x\"", &[]),
    ("principal in [Role::\"x\", Role::\"y\"]", &[]),
    ("principal is ApiKey", &[]),
    ("principal is User in Role::\"x\"", &[]),
    ("principal is User && principal.issuer == \"i\"", &[]),
    ("principal is User && principal == User::\"i|a\"", &[]),
    ("principal.roles.contains(\"x\")", &[]),
    ("principal.scopes.containsAny([principal.subject, \"q\"])", &[]),
    ("[principal.subject, principal.id].contains(\"i|a\")", &[]),
    ("User::\"i|a\" in Role::\"x\"", &[]),
    ("User::\"i|a\".claims.t == \"u\"", &["t", "n"]),
    ("User::\"i|a\" has claims", &["t", "n"]),
    ("action == Action::\"GET\"", &[]),
    ("action in Action::\"write\"", &[]),
    ("Action::\"HEAD\" in Action::\"read\"", &[]),
    ("resource == Route::\"r0\"", &[]),
    ("resource in [Route::\"r1\", Route::\"r2\"]", &[]),
    ("resource in Service::\"s1\"", &[]),
    ("resource.path.id == \"1\"", &[]),
    ("resource has path.name && resource.path.name like \"2*\"", &[]),
    ("resource.path == resource.path", &[]),
    ("[resource].contains(Route::\"r2\")", &[]),
    ("Route::\"r2\".path.id == \"1\"", &[]),
    ("Route::\"r2\" has path.id", &[]),
    ("Route::\"r1\" in Service::\"s0\"", &[]),
];

fn condition(atoms: Vec<Atom>) -> impl Strategy<Value = Condition> {
    let atom = select(atoms).prop_map(|(text, reads)| Condition {
        text: (*text).to_owned(),
        reads: reads.iter().copied().collect(),
    });
    atom.prop_recursive(3, 8, 3, |inner| {
        (inner.clone(), inner.clone(), inner, 0usize..4).prop_map(|(a, b, c, shape)| {
            let text = match shape {
                0 => format!("!({})", a.text),
                1 => format!("({}) && ({})", a.text, b.text),
                2 => format!("({}) || ({})", a.text, b.text),
                _ => format!("if {} then {} else ({})", a.text, b.text, c.text),
            };
            let parts = [&a, &b, &c];
            let used = [1, 2, 2, 3][shape];
            Condition {
                text,
                reads: parts[..used].iter().flat_map(|part| part.reads.iter().copied()).collect(),
            }
        })
    })
}

/// Sets of policies with a theme: a few atoms that many of them share, so that each one matters.
fn policy_set() -> impl Strategy<Value = Vec<Written>> {
    prop::sample::subsequence(ATOMS, 2..6).prop_flat_map(|atoms| prop::collection::vec(written(atoms), 1..14))
}

fn written(atoms: Vec<Atom>) -> impl Strategy<Value = Written> {
    let scope = (select(PRINCIPALS), select(ACTIONS), select(RESOURCES))
        .prop_map(|(principal, action, resource)| format!("({principal}, {action}, {resource})"));
    (
        prop::bool::weighted(0.65),
        prop::bool::weighted(0.3),
        scope,
        prop::option::weighted(0.6, condition(atoms.clone())),
        prop::option::weighted(0.15, condition(atoms)),
    )
        .prop_map(|(permit, special, scope, when, unless)| Written {
            permit,
            special,
            scope,
            when,
            unless,
        })
}

impl Written {
    fn text(&self, number: usize) -> String {
        let effect = if self.permit { "permit" } else { "forbid" };
        let special = match (self.special, self.permit) {
            (false, _) => String::new(),
            (true, true) => "@audit".to_owned(),
            (true, false) => format!("@challenge(\"scope=p{number}\")"),
        };
        let clause = |word: &str, condition: &Option<Condition>| {
            condition
                .as_ref()
                .map_or_else(String::new, |condition| format!(" {word} {{ {} }}", condition.text))
        };
        let (when, unless) = (clause("when", &self.when), clause("unless", &self.unless));
        format!("@id(\"p{number}\") {special} {effect}{}{when}{unless};\n", self.scope)
    }

    fn reads(&self) -> impl Iterator<Item = &'static str> {
        self.when.iter().chain(&self.unless).flat_map(|condition| condition.reads.iter().copied())
    }
}

// ---- requests ----

fn principal() -> impl Strategy<Value = Principal> {
    let claims = (
        select(vec![None, None, Some(json!("u")), Some(json!("uv")), Some(json!(5))]),
        select(vec![None, None, Some(json!(1)), Some(json!(i64::MAX)), Some(json!("1"))]),
    );
    let kind = select(vec![
        PrincipalKind::User,
        PrincipalKind::User,
        PrincipalKind::ApiKey,
        PrincipalKind::Anonymous,
    ]);
    let roles = select(vec![&[][..], &["x"], &["y"], &["x", "y"], &["z", "x", "x"]]);
    (kind, select(vec!["a", "b"]), roles, select(vec![&[][..], &["q"], &["a"]]), claims, any::<bool>())
        .prop_map(|(kind, id, roles, scopes, (t, n), issued)| {
            let mut principal = Principal::new(kind, id, "m");
            principal.issuer = (kind == PrincipalKind::User && issued).then(|| "i".to_owned());
            principal.roles = roles.iter().map(|&role| role.to_owned()).collect();
            principal.scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
            for (name, value) in [("t", t), ("n", n)] {
                if let Some(value) = value {
                    principal.claims.insert(name.to_owned(), value);
                }
            }
            principal
        })
}

const HEADERS: &[&[&[u8]]] = &[&[], &[], &[b"u"], &[b"v"], &[b"u", b"v"], &[b"\xff"]];

fn sample() -> impl Strategy<Value = (Sample, Index)> {
    let purge = Method::from_bytes(b"PURGE").unwrap();
    let strange = Method::from_bytes(b"STRANGE").unwrap();
    let methods = select(vec![Method::GET, Method::GET, Method::HEAD, Method::POST, purge, strange]);
    let header = || select(HEADERS);
    let place = (0u32..3, methods, select(vec!["/p", "/q"]), select(vec!["a.example", "b.example"]));
    let from = (select(vec!["10.0.0.1", "::ffff:10.0.0.1", "192.0.2.1", "2001:db8::1"]), any::<bool>());
    let time = select(vec![1_704_067_200, 1_750_000_000]);
    let parameters = (select(vec!["1", "2"]), select(vec!["2x", "3"]));
    (place, from, time, header(), header(), parameters, any::<Index>()).prop_map(
        |((route, method, path, host), (client, secure), time, h1, h2, (id, name), who)| {
            let mut sample = Sample::new().on(route).method(method);
            sample.target = Target::parse(path, &TargetRules::default()).unwrap();
            sample.host = host.to_owned();
            sample.client = client.parse().unwrap();
            sample.secure = secure;
            sample.now = Timestamp::from_secs(time);
            for value in h1 {
                sample = sample.header("h1", value);
            }
            for value in h2 {
                sample = sample.header("h2", value);
            }
            sample.parameters = [id, name].into_iter().take(route as usize).map(str::to_owned).collect();
            (sample, who)
        },
    )
}

/// A request that differs from `sample` in one thing: memory must not take it for the same.
fn twin(sample: &Sample, aspect: usize) -> Sample {
    let mut twin = sample.clone();
    match aspect {
        0 => twin.now = Timestamp::from_secs(1_704_067_200 + 1_750_000_000 - sample.now.as_secs()),
        1 => {
            twin.headers.clear();
            for (from, to) in [("h1", "h2"), ("h2", "h1")] {
                for value in sample.headers.get_all(from) {
                    twin.headers.append(to, value.clone());
                }
            }
        }
        2 => drop(twin.headers.remove("h1")),
        3 => twin.parameters.iter_mut().for_each(|value| value.insert(0, '2')),
        4 => twin.secure = !sample.secure,
        5 => twin.client = [10, 0, 0, 2].into(),
        6 => twin.host.insert(0, 'a'),
        7 => twin.method = if sample.method == Method::GET { Method::HEAD } else { Method::GET },
        8 => {
            let mut principal =
                Principal { serial: Principal::anonymous().serial, ..(*sample.principal).clone() };
            principal.claims.insert("t".to_owned(), json!("uv"));
            twin.principal = Arc::new(principal);
        }
        _ => twin.route = 2,
    }
    twin
}

// ---- the reference ----

struct Reference {
    policies: Vec<Written>,
    whole: PolicySet,
    actions: Entities,
    routes: Vec<RouteInfo>,
}

/// What a decision comes to, in a form that both sides can be brought into.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    answer: &'static str,
    policies: BTreeSet<String>,
    scopes: BTreeSet<String>,
}

fn string(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn record(fields: Vec<(&str, RestrictedExpression)>) -> RestrictedExpression {
    RestrictedExpression::new_record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)))
        .unwrap()
}

fn uid(kind: &str, id: &str) -> EntityUid {
    format!("{kind}::\"{id}\"").parse().unwrap()
}

impl Reference {
    fn decide(&self, sample: &Sample) -> Outcome {
        let mut malformed = HashSet::new();
        let (caller, principal) = self.principal(sample, &mut malformed);
        let context = context(sample, &mut malformed);
        let route = &self.routes[sample.route as usize];
        let method = sample.method.as_str();
        let action = route.action.as_deref().unwrap_or(if method == "STRANGE" { "other" } else { method });
        let entities = self.entities(sample, principal);
        let request = |context| {
            Request::new(caller.clone(), uid("Action", action), uid("Route", &route.name), context, None)
                .unwrap()
        };

        let in_scope = |policy: &&Written| {
            let scope: PolicySet = format!("permit{};", policy.scope).parse().unwrap();
            let response = Authorizer::new().is_authorized(&request(Context::empty()), &scope, &entities);
            response.decision() == cedar_policy::Decision::Allow
        };
        if self.policies.iter().filter(in_scope).flat_map(Written::reads).any(|name| malformed.contains(name))
        {
            return outcome("error", []);
        }

        let response = Authorizer::new().is_authorized(&request(context), &self.whole, &entities);
        let errors: Vec<_> = response
            .diagnostics()
            .errors()
            .map(|cedar_policy::AuthorizationError::PolicyEvaluationError(error)| {
                error.policy_id().to_string()
            })
            .collect();
        if !errors.is_empty() {
            return outcome("error", errors);
        }
        let ids: Vec<_> = response.diagnostics().reason().map(ToString::to_string).collect();
        let special =
            |id: &String| self.policies[id.trim_start_matches('p').parse::<usize>().unwrap()].special;
        match response.decision() {
            cedar_policy::Decision::Allow if ids.iter().any(special) => outcome("audit", ids),
            cedar_policy::Decision::Allow => outcome("allow", ids),
            cedar_policy::Decision::Deny if !ids.is_empty() && ids.iter().all(special) => {
                Outcome { scopes: ids.iter().cloned().collect(), ..outcome("challenge", ids) }
            }
            cedar_policy::Decision::Deny => outcome("deny", ids),
        }
    }

    fn principal(&self, sample: &Sample, malformed: &mut HashSet<&'static str>) -> (EntityUid, Entity) {
        let principal = &sample.principal;
        let caller = match principal.kind {
            PrincipalKind::User => {
                uid("User", &format!("{}|{}", principal.issuer.as_deref().unwrap_or_default(), principal.id))
            }
            PrincipalKind::ApiKey => uid("ApiKey", &principal.id),
            PrincipalKind::Certificate => uid("Certificate", &principal.id),
            PrincipalKind::Signer => uid("Signer", &principal.id),
            PrincipalKind::Anonymous => uid("Anonymous", &principal.id),
        };
        let mut claims = Vec::new();
        match principal.claims.get("t") {
            Some(Value::String(text)) => claims.push(("t", string(text))),
            Some(_) => drop(malformed.insert("t")),
            None => {}
        }
        match principal.claims.get("n") {
            Some(Value::Number(number)) => {
                claims.push(("n", RestrictedExpression::new_long(number.as_i64().unwrap())));
            }
            Some(_) => drop(malformed.insert("n")),
            None => {}
        }
        let set = |texts: &[String]| RestrictedExpression::new_set(texts.iter().map(|text| string(text)));
        let mut attributes = HashMap::from([
            ("id".to_owned(), string(caller.id().unescaped())),
            ("subject".to_owned(), string(&principal.id)),
            ("roles".to_owned(), set(&principal.roles)),
            ("scopes".to_owned(), set(&principal.scopes)),
            ("claims".to_owned(), record(claims)),
        ]);
        if let Some(issuer) = &principal.issuer {
            attributes.insert("issuer".to_owned(), string(issuer));
        }
        let roles = principal.roles.iter().map(|role| uid("Role", role)).collect();
        (caller.clone(), Entity::new(caller, attributes, roles).unwrap())
    }

    /// Everyone and everything that there is.
    fn entities(&self, sample: &Sample, principal: Entity) -> Entities {
        let mut entities: Vec<Entity> = self.actions.iter().cloned().collect();
        entities.push(principal);
        for name in ["x", "y", "z"] {
            entities.push(Entity::with_uid(uid("Role", name)));
        }
        for name in ["s0", "s1"] {
            entities.push(Entity::with_uid(uid("Service", name)));
        }
        for (index, route) in self.routes.iter().enumerate() {
            let values = route.parameters.iter().zip(&sample.parameters);
            let values = values.filter(|_| index == sample.route as usize);
            let path = record(values.map(|(name, value)| (name.as_str(), string(value))).collect());
            let attributes = HashMap::from([("path".to_owned(), path)]);
            let service = HashSet::from([uid("Service", &route.service)]);
            entities.push(Entity::new(uid("Route", &route.name), attributes, service).unwrap());
        }
        Entities::from_entities(entities, None).unwrap()
    }
}

fn context(sample: &Sample, malformed: &mut HashSet<&'static str>) -> Context {
    let mut headers = Vec::new();
    for (attribute, field) in [("h1", "h1"), ("H2", "h2")] {
        let values: Vec<_> = sample.headers.get_all(field).iter().map(|value| value.as_bytes()).collect();
        match values.as_slice() {
            [] => {}
            [value] if value.is_ascii() => {
                headers.push((attribute, string(std::str::from_utf8(value).unwrap())));
            }
            _ => drop(malformed.insert(attribute)),
        }
    }
    let address = sample.client.to_string().trim_start_matches("::ffff:").to_owned();
    let time = if sample.now.as_secs() == 1_704_067_200 { "2024-01-01" } else { "2025-06-15T15:06:40Z" };
    let pairs = [
        ("address", RestrictedExpression::new_ip(address)),
        ("time", RestrictedExpression::new_datetime(time)),
        ("secure", RestrictedExpression::new_bool(sample.secure)),
        ("host", string(&sample.host)),
        ("method", string(sample.method.as_str())),
        ("path", string(sample.target.path())),
        ("headers", record(headers)),
    ];
    Context::from_pairs(pairs.into_iter().map(|(name, value)| (name.to_owned(), value))).unwrap()
}

fn outcome(answer: &'static str, policies: impl IntoIterator<Item = String>) -> Outcome {
    Outcome { answer, policies: policies.into_iter().collect(), scopes: BTreeSet::new() }
}

fn outcome_of(decision: &Decision) -> Outcome {
    let answer = match decision.answer() {
        Answer::Allow => "allow",
        Answer::Audit => "audit",
        Answer::Challenge { reason: Reason::ChallengeRequired, .. } => "challenge",
        Answer::Deny(Reason::Forbidden) => "deny",
        Answer::Deny(Reason::PolicyError) => "error",
        other => panic!("{other:?}"),
    };
    let scopes =
        decision.challenge().into_iter().flat_map(|challenge| challenge.scopes.iter().cloned()).collect();
    Outcome { scopes, ..outcome(answer, decision.policies().iter().map(ToString::to_string)) }
}

// ---- the comparison ----

fn raw(max_entries: usize) -> RawAuthorization {
    RawAuthorization {
        policies: vec!["p.cedar".to_owned()],
        context_headers: vec!["h1".to_owned(), "H2".to_owned()],
        claims: BTreeMap::from([("t".to_owned(), ClaimType::String), ("n".to_owned(), ClaimType::Long)]),
        cache: RawCache { max_entries },
        ..RawAuthorization::default()
    }
}

fn routes() -> Vec<RouteInfo> {
    vec![
        RouteInfo {
            methods: Some(vec![Method::GET, Method::from_bytes(b"PURGE").unwrap()]),
            ..route("r0", "s0", &[])
        },
        RouteInfo { action: Some("refund".to_owned()), ..route("r1", "s0", &["id"]) },
        route("r2", "s1", &["id", "name"]),
    ]
}

/// The built-in schema, but as if nothing were optional: policies may read what is not there, and err.
fn bold_schema() -> &'static str {
    static SCHEMA: LazyLock<String> = LazyLock::new(|| {
        let (built_in, _) = compile(&raw(0), &routes(), &[("p.cedar", "")]);
        built_in.unwrap().schema_text().replace("?:", ":")
    });
    &SCHEMA
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_fast_path_decides_as_cedar_does(
        policies in policy_set(),
        principals in prop::collection::vec(principal(), 1..5),
        samples in prop::collection::vec((sample(), 0usize..10), 1..10),
        max_entries in select(vec![0, 4, 100, 100_000]),
    ) {
        let text: String = policies.iter().enumerate().map(|(number, policy)| policy.text(number)).collect();
        let schema = bold_schema();
        let raw = RawAuthorization { schema: Some("s.cedarschema".to_owned()), ..raw(max_entries) };
        let (compiled, problems) = compile(&raw, &routes(), &[("p.cedar", &text), ("s.cedarschema", schema)]);
        let authorization = compiled.unwrap_or_else(|| panic!("{problems:#?}\n{text}"));

        let ids = text.parse::<PolicySet>().unwrap();
        let named = ids.policies().map(|policy| policy.new_id(policy.annotation("id").unwrap().parse().unwrap()));
        let schema: Schema = schema.parse().unwrap();
        let reference = Reference {
            whole: PolicySet::from_policies(named).unwrap(),
            actions: schema.action_entities().unwrap(),
            routes: routes(),
            policies,
        };

        let principals: Vec<_> = principals.into_iter().map(Arc::new).collect();
        let samples: Vec<_> = samples
            .into_iter()
            .flat_map(|((sample, who), aspect)| {
                let sample = Sample { principal: Arc::clone(who.get(&principals)), ..sample };
                [twin(&sample, aspect), sample]
            })
            .collect();
        let expected: Vec<_> = samples.iter().map(|sample| reference.decide(sample)).collect();
        // In this order, so that memory is filled; backwards, so that it is used.
        for (sample, expected) in samples.iter().zip(&expected).chain(samples.iter().zip(&expected).rev()) {
            let found = outcome_of(&sample.ask(&authorization));
            prop_assert_eq!(&found, expected, "{:?}\n{}", sample, text);
        }
    }
}

/// The property is worth nothing if random policies never get to a decision of some kind.
#[test]
fn every_kind_of_decision_occurs() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let strategy = (policy_set(), principal(), sample());
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..200 {
        let (policies, principal, (sample, _)) = strategy.new_tree(&mut runner).unwrap().current();
        let text: String = policies.iter().enumerate().map(|(number, policy)| policy.text(number)).collect();
        let schema = bold_schema();
        let raw = RawAuthorization { schema: Some("s.cedarschema".to_owned()), ..raw(10) };
        let (compiled, _) = compile(&raw, &routes(), &[("p.cedar", &text), ("s.cedarschema", schema)]);
        let decision = sample.by(principal).ask(&compiled.unwrap());
        *seen.entry(outcome_of(&decision).answer).or_default() += 1;
    }
    for answer in ["allow", "audit", "challenge", "deny", "error"] {
        assert!(seen.get(answer).is_some_and(|&count| count >= 3), "{answer} in {seen:?}");
    }
}
