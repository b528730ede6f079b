//! `portcullis check`, finding by finding: each fault once, where it was written, and nothing that follows from another.

use serde_json::Value;

use super::{folder, run};

const HEAD: &str = "version: 1\nlisteners: [{ name: public, address: \"127.0.0.1:0\" }]\naudit: off\n";
const OPEN: &str = "{ authenticate: { mode: off }, authorize: { mode: off }, scan: { mode: off } }";

/// What `check` says about this text, as `line path: message`, errors and warnings told apart by their first letter.
fn findings(text: &str) -> Vec<String> {
    let folder = folder(&[("gateway.yaml", text)]);
    let printed = run(folder.path(), &["check", "--format", "json", "gateway.yaml"]);
    let problems: Vec<Value> = serde_json::from_str(&printed.stdout).unwrap();
    let fails = problems.iter().any(|problem| problem["severity"] == "error");
    assert_eq!(printed.code, i32::from(fails), "{problems:#?}");
    let word = |problem: &Value, key: &str| problem[key].as_str().unwrap_or_default().to_owned();
    let shown = |problem: &Value| {
        let severity = word(problem, "severity")[..1].to_uppercase();
        format!("{severity}{} {}: {}", problem["line"], word(problem, "path"), word(problem, "message"))
    };
    problems.iter().map(shown).collect()
}

/// A service with these routes in flow style, each on a line of its own from line 8 on if nothing stands before.
fn with_routes(sections: &str, routes: &[&str]) -> String {
    let routes: String = routes.iter().map(|route| format!("      - {route}\n")).collect();
    let upstream = "    upstream: { targets: [\"http://127.0.0.1:9000\"] }\n    routes:\n";
    format!("{HEAD}{sections}services:\n  - name: shop\n{upstream}{routes}")
}

#[test]
fn a_small_limit_for_all_bodies_is_one_for_those_of_each_route() {
    let policy = format!("policy: {OPEN}\n");
    let text = with_routes(&format!("protocol: {{ body: 1KiB }}\n{policy}"), &["{ name: all, path: /x }"]);
    assert!(findings(&text).is_empty(), "{:?}", findings(&text));
    let larger = "{ name: all, path: /x, policy: { forward: { body: 200MiB } } }";
    let text = with_routes(&policy, &[larger]);
    assert!(findings(&text).is_empty(), "{:?}", findings(&text));
    let text = with_routes(&format!("protocol: {{ body: 1KiB }}\n{policy}"), &[larger]);
    assert_eq!(
        findings(&text),
        ["E10 services[0].routes[0].policy.forward.body: `body` is 200MiB, more than `protocol.body` allows"]
    );
}

/// Where nothing is said of the scanner, bodies are scanned: one that never fits into what is held back is never taken.
#[test]
fn bodies_that_are_scanned_must_fit_into_what_is_held_back() {
    let open = OPEN.replace(", scan: { mode: off }", "");
    let larger = "{ name: all, path: /x, policy: { forward: { body: 200MiB } } }";
    assert_eq!(
        findings(&with_routes(&format!("policy: {open}\n"), &[larger])),
        [
            "W9 services[0].routes[0].policy.forward.body: bodies up to 200MiB are scanned here, but only 64MiB may be held back"
        ]
    );
}

#[test]
fn a_large_buffer_makes_room_in_the_file() {
    let policy = format!("policy: {OPEN}\n");
    let text = with_routes(&policy, &["{ name: all, path: /x }"]);
    let text = text.replace("audit: off", "audit: { file: audit.jsonl, buffer: 200MiB }");
    assert!(findings(&text).is_empty(), "{:?}", findings(&text));
}

#[test]
fn intervals_that_were_not_written_follow_the_one_that_was() {
    let method = |refresh: &str| {
        let keys = "keys: { jwks_url: \"https://idp.example/keys\" }";
        let staff = format!("name: staff, issuer: a, audiences: [b], algorithms: [ES256], {keys}");
        let authentication =
            format!("authentication: {{ jwt: [{{ {staff}, refresh: {{ {refresh} }} }}] }}\n");
        let policy = "policy: { authenticate: { methods: [staff] }, authorize: { mode: off } }\n";
        with_routes(&format!("{authentication}{policy}"), &["{ name: all, path: /x }"])
    };
    for refresh in ["every: 2h", "every: 10s", "cool_down: 10m", "max_stale: 1m"] {
        assert!(findings(&method(refresh)).is_empty(), "{refresh}: {:?}", findings(&method(refresh)));
    }
    let both = findings(&method("every: 2h, max_stale: 1h"));
    assert_eq!(both, ["E4 authentication.jwt[0].refresh.max_stale: `1h` is shorter than `every`"]);
}

#[test]
fn a_port_is_at_most_65535() {
    let targets = "[\"http://127.0.0.1:99999\", \"https://orders:0\"]";
    let text = with_routes(&format!("policy: {OPEN}\n"), &["{ name: all, path: /x }"]);
    let text =
        text.replace("[\"http://127.0.0.1:9000\"]", targets).replace("127.0.0.1:0\"", "127.0.0.1:99999\"");
    let keys = "keys: { jwks_url: \"https://idp.example:99999/keys\" }";
    let staff = format!("{{ name: staff, issuer: a, audiences: [b], algorithms: [ES256], {keys} }}");
    let text = text.replace("audit: off", &format!("audit: off\nauthentication: {{ jwt: [{staff}] }}"));
    let found = findings(&text);
    let errors: Vec<&String> = found.iter().filter(|line| line.starts_with('E')).collect();
    assert_eq!(
        errors,
        [
            "E2 listeners[0].address: `127.0.0.1:99999` has a port that is not one from 0 to 65535",
            "E4 authentication.jwt[0].keys.jwks_url: its port is not one from 1 to 65535",
            "E8 services[0].upstream.targets[0]: `http://127.0.0.1:99999` has a port that is not one from 1 to 65535",
            "E8 services[0].upstream.targets[1]: `https://orders:0` has a port that is not one from 1 to 65535",
        ]
    );
}

/// Faults of every kind in one file: unknown and missing keys, wrong types, words and forms; and of meaning: references that
/// lead nowhere, routes that cannot be told apart, a policy that cannot be read.
const ALL_AT_ONCE: &str = r#"version: 1
listeners: [{ name: public, adress: "127.0.0.1:0" }]
drain_timeout: 5 lightyears
authentication:
  jwt: [{ name: staff, issuer: a, audiences: [b], algorithms: [ES265], keys: { jwks_url: "https://idp.example/k" } }]
limits:
  - { nam: per-caller, key: [principal], rate: 5/s }
  - { name: per-address, key: [adress], rate: 5/s, ipv6_prefix: 56 }
authorization: { policies: [broken.cedar, types.cedar] }
policy:
  authenticate: { methods: [staff, partner] }
  limit: { aply: [per-caller], mode: shadow }
services:
  - name: shop
    upstream: { targets: ["127.0.0.1:9000"], requests: many }
    routes:
      - { name: one, path: /x }
      - { name: two, path: /x }
      - { nmae: three, path: /y, policy: { limit: { apply: [per-address, per-caller] } } }
      - { name: four, path: /z, methods: [5], policy: { authenticate: { method: [staff] } } }
      - { name: five, path: /z, policy: { forward: { retries: twice } } }
  - name: pay
    upstream: { targets: ["http://127.0.0.1:9000"] }
    routes: [{ name: six, path: pay, policy: { response: { mode: shadow } } }]
"#;

#[test]
fn every_fault_is_found_in_one_run_and_what_follows_from_one_is_not() {
    let folder = folder(&[
        ("gateway.yaml", ALL_AT_ONCE),
        ("broken.cedar", "permit (principal, action resource);"),
        // Route three, whose name cannot be read, may be the one that is meant.
        ("types.cedar", "permit (principal, action, resource == Route::\"three\");"),
    ]);
    let printed = run(folder.path(), &["check", "--format", "json", "gateway.yaml"]);
    let problems: Vec<Value> = serde_json::from_str(&printed.stdout).unwrap();
    let shown = |problem: &Value| format!("{} {}", problem["line"], problem["path"].as_str().unwrap());
    let found: Vec<String> = problems.iter().map(shown).collect();
    assert_eq!(
        found,
        [
            "2 listeners[0].adress",
            "3 drain_timeout",
            "5 authentication.jwt[0].algorithms[0]",
            "7 limits[0].nam",
            "8 limits[1].key[0]",
            "9 authorization.policies[0]",
            "11 policy.authenticate.methods[1]",
            "12 policy.limit.aply",
            "15 services[0].upstream.targets[0]",
            "15 services[0].upstream.requests",
            "18 services[0].routes[1].path",
            "19 services[0].routes[2].nmae",
            "20 services[0].routes[3].methods[0]",
            "20 services[0].routes[3].policy.authenticate.method",
            "21 services[0].routes[4].policy.forward.retries",
            "24 services[1].routes[0].path",
            "24 services[1].routes[0].policy.response.mode",
        ],
        "{problems:#?}"
    );
    assert_eq!(printed.code, 1);
}

#[test]
fn what_stands_for_a_faulty_value_is_not_judged() {
    for (faulty, expected) in [
        ("listeners: 5", "E2 listeners: `listeners` must be a list, found the number `5`"),
        ("listeners: []", "E2 listeners: there is no listener"),
    ] {
        let text = with_routes(&format!("policy: {OPEN}\n"), &["{ name: all, path: /x }"]);
        let text = text.replace("listeners: [{ name: public, address: \"127.0.0.1:0\" }]", faulty);
        assert_eq!(findings(&text), [expected]);
    }
}

#[test]
fn a_fault_of_what_routes_inherit_is_told_once_where_it_was_written() {
    let policy = "policy: { authenticate: { methods: [anonymous] }, authorize: { mode: off, action: GET }, limit: { apply: [no] },\n  response: { mode: shadow } }\n";
    let text = with_routes(policy, &["{ name: one, path: /x }", "{ name: two, path: /y }"]);
    assert_eq!(
        findings(&text),
        [
            "E4 policy.authorize.action: the action `GET` is a method or a group",
            "E4 policy.limit.apply[0]: there is no limit named `no`",
            "E5 policy.response.mode: response hardening cannot run in `shadow`: it refuses nothing",
        ]
    );
}

#[test]
fn a_fault_that_only_some_routes_have_names_them() {
    let policy = "policy: { authenticate: { methods: [anonymous] }, authorize: { mode: off } }\n";
    let scoped = |name: &str| {
        format!("{{ name: {name}, path: /{name}, policy: {{ authenticate: {{ scopes: {{ all: [a] }} }} }} }}")
    };
    let text = with_routes(policy, &["{ name: one, path: /x }", &scoped("two"), &scoped("three")]);
    assert_eq!(
        findings(&text),
        [
            "E4 policy.authenticate.methods[0]: `anonymous` has no scopes, and this route needs some (on `two`, `three`)"
        ]
    );
    // What nobody wrote is missing where it is needed.
    let named = "{ name: one, path: /x, policy: { authenticate: { methods: [anonymous] } } }";
    let text = with_routes("policy: { authorize: { mode: off } }\n", &[named, "{ name: two, path: /y }"]);
    assert_eq!(
        findings(&text),
        [
            "E10 services[0].routes[1].policy.authenticate.methods: the list is empty: nothing says who may use this route"
        ]
    );
}

#[test]
fn what_no_route_asks_for_is_warned_about() {
    let sections = "authentication:\n  jwt: []\n  api_keys: [{ name: partner, header: x-key, keys: [] }]\nlimits:\n  - { name: used, key: [address], rate: 5/s }\n  - { name: unused, key: [address], rate: 5/s }\n";
    let policy = format!("policy: {OPEN}\n");
    let route = "{ name: all, path: /x, policy: { limit: { apply: [used] } } }";
    let found = findings(&with_routes(&format!("{sections}{policy}"), &[route]));
    let warnings: Vec<&String> = found.iter().filter(|line| line.starts_with('W')).collect();
    assert_eq!(
        warnings,
        [
            "W6 authentication.api_keys[0].name: no route takes the method `partner`",
            "W6 authentication.api_keys[0].keys: there is no key, so every key is refused",
            "W9 limits[1].name: no route applies the limit `unused`",
        ],
        "{found:?}"
    );
}
