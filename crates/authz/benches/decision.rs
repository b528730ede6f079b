//! What a decision costs with 2, 50 and 1,000 policies: from memory, anew, and by Cedar alone.
//!
//! `cargo bench -p portcullis-authz`. The policies bind a role to a route, and half of them compare a claim with a
//! header, as policies for many tenants do; the caller is in two roles.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints figures and may stop")]

#[path = "../tests/harness/mod.rs"]
mod harness;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hint::black_box;
use std::time::{Duration, Instant};

use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityUid, PolicySet, Request, RestrictedExpression, Schema,
};
use harness::{Sample, policies, route, user};
use http::HeaderValue;
use portcullis_authz::{ClaimType, RawAuthorization, RouteInfo};
use portcullis_core::Principal;

const ROUTES: usize = 20;
const ROLES: usize = 10;

fn main() {
    println!(
        "{:>8} {:>12} {:>14} {:>16} {:>12}",
        "policies", "from memory", "new header", "new credential", "Cedar alone"
    );
    for count in [2, 50, 1_000] {
        let [memory, header, credential, cedar] = figures(count).map(|nanos| format!("{nanos} ns"));
        println!("{count:>8} {memory:>12} {header:>14} {credential:>16} {cedar:>12}");
    }
}

fn figures(count: usize) -> [u128; 4] {
    let text = policy_text(count);
    let raw = RawAuthorization {
        context_headers: vec!["x-tenant".to_owned()],
        claims: BTreeMap::from([("tenant".to_owned(), ClaimType::String)]),
        ..RawAuthorization::default()
    };
    let routes: Vec<RouteInfo> =
        (0..ROUTES).map(|number| route(&format!("r{number}"), "s", &["id"])).collect();
    let authorization = policies(&raw, &routes, &text);
    let sample = Sample::new().by(caller()).header("x-tenant", b"acme").parameters(&["7"]);
    assert!(sample.ask(&authorization).reason().is_none(), "the caller passes");

    let memory = nanoseconds(|_| drop(black_box(sample.ask(&authorization))));
    let mut other_header = sample.clone();
    let header = nanoseconds(|round| {
        other_header.headers.insert("x-tenant", HeaderValue::from(round));
        drop(black_box(other_header.ask(&authorization)));
    });
    let mut other_caller = sample.clone();
    let credential = nanoseconds(|_| {
        let serial = Principal::anonymous().serial;
        other_caller.principal = Principal { serial, ..(*sample.principal).clone() }.into();
        drop(black_box(other_caller.ask(&authorization)));
    });
    let set: PolicySet = text.parse().unwrap();
    let schema: Schema = authorization.schema_text().parse().unwrap();
    let actions: Vec<Entity> = schema.action_entities().unwrap().into_iter().collect();
    let authorizer = Authorizer::new();
    let cedar = nanoseconds(|_| {
        let (request, entities) = plain(&sample, &actions);
        drop(black_box(authorizer.is_authorized(&request, &set, &entities)));
    });
    [memory, header, credential, cedar]
}

fn policy_text(count: usize) -> String {
    (0..count)
        .map(|number| {
            let (role, route) = (number % ROLES, (number / ROLES) % ROUTES);
            let condition = if number % 2 == 0 {
                "when { principal.claims has tenant && context.headers has \"x-tenant\"
                        && principal.claims.tenant == context.headers[\"x-tenant\"] }"
            } else {
                "when { principal.scopes.contains(\"orders:read\") }"
            };
            format!(
                "permit(principal in Role::\"role{role}\", action in Action::\"read\", resource == Route::\"r{route}\")
                 {condition};\n"
            )
        })
        .collect()
}

fn caller() -> Principal {
    let mut principal = user("alice", &["role0", "role1"]);
    principal.scopes = vec!["orders:read".to_owned(), "orders:write".to_owned()];
    principal.claims.insert("tenant".to_owned(), "acme".into());
    principal
}

/// Everything that policies may read, made for one request, as without slices and memory.
fn plain(sample: &Sample, actions: &[Entity]) -> (Request, Entities) {
    let string = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let record = |name: &str, value: &str| {
        RestrictedExpression::new_record([(name.to_owned(), string(value))]).unwrap()
    };
    let set = |texts: &[String]| RestrictedExpression::new_set(texts.iter().map(|text| string(text)));
    let uid = |text: String| text.parse::<EntityUid>().unwrap();
    let principal = &sample.principal;
    let caller = uid(format!("User::\"https://idp|{}\"", principal.id));
    let attributes = HashMap::from([
        ("id".to_owned(), string(caller.id().unescaped())),
        ("subject".to_owned(), string(&principal.id)),
        ("issuer".to_owned(), string("https://idp")),
        ("scopes".to_owned(), set(&principal.scopes)),
        ("roles".to_owned(), set(&principal.roles)),
        ("claims".to_owned(), record("tenant", "acme")),
    ]);
    let roles = principal.roles.iter().map(|role| uid(format!("Role::\"{role}\""))).collect();
    let route = uid("Route::\"r0\"".to_owned());
    let path = HashMap::from([("path".to_owned(), record("id", "7"))]);
    let service = HashSet::from([uid("Service::\"s\"".to_owned())]);
    let mut entities = actions.to_vec();
    entities.push(Entity::new(caller.clone(), attributes, roles).unwrap());
    entities.push(Entity::new(route.clone(), path, service).unwrap());
    let context = [
        ("address", RestrictedExpression::new_ip(sample.client.to_string())),
        ("time", RestrictedExpression::new_datetime("2025-06-15T15:06:40Z")),
        ("secure", RestrictedExpression::new_bool(sample.secure)),
        ("host", string(&sample.host)),
        ("method", string(sample.method.as_str())),
        ("path", string(sample.target.path())),
        ("headers", record("x-tenant", "acme")),
    ];
    let context = Context::from_pairs(context.map(|(name, value)| (name.to_owned(), value))).unwrap();
    let request = Request::new(caller, uid("Action::\"GET\"".to_owned()), route, context, None).unwrap();
    (request, Entities::from_entities(entities, None).unwrap())
}

/// The mean over a quarter of a second, after a warm-up.
fn nanoseconds(mut work: impl FnMut(u64)) -> u128 {
    (0..100).for_each(&mut work);
    let start = Instant::now();
    let mut rounds = 0;
    while start.elapsed() < Duration::from_millis(250) {
        for _ in 0..100 {
            work(rounds);
            rounds += 1;
        }
    }
    start.elapsed().as_nanos() / u128::from(rounds.max(1))
}
