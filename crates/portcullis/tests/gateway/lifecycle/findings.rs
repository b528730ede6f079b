//! `portcullis check`, finding by finding: each fault once, where it was written, and nothing that follows from another.

use serde_json::Value;

use super::{folder, run};

const HEAD: &str = "version: 1\nlisteners: [{ name: public, address: \"127.0.0.1:0\" }]\naudit: off\n";
const OPEN: &str = "{ authenticate: { mode: off }, authorize: { mode: off } }";

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
