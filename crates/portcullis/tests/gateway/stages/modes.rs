//! What a stage's decision does to a request: refuse it, be recorded, or not be made at all.

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw;
use serde_json::{Value, json};

use super::refusal;
use crate::common::{Config, plain};
use crate::credentials::{authenticated, authorization, bearer, bearer_with, folder};

const MODES: [&str; 3] = ["enforce", "shadow", "off"];

/// A stage that refuses a request, with what the answer and the record then say.
struct Refusing {
    stage: &'static str,
    policy: fn(&str) -> (&'static str, String),
    status: u16,
    code: &'static str,
}

/// Each of them refuses the second request of everybody, and the first as well but for the limit.
const STAGES: [Refusing; 5] = [
    Refusing {
        stage: "authenticate",
        policy: |mode| ("authenticate", format!("{{ mode: {mode}, methods: [staff] }}")),
        status: 401,
        code: "credential_missing",
    },
    Refusing {
        stage: "authorize",
        policy: |mode| ("authorize", format!("{{ mode: {mode} }}")),
        status: 403,
        code: "forbidden",
    },
    Refusing {
        stage: "limit",
        policy: |mode| ("limit", format!("{{ mode: {mode}, apply: [once] }}")),
        status: 429,
        code: "rate_limited",
    },
    Refusing {
        stage: "quota",
        policy: |mode| ("quota", format!("{{ mode: {mode}, apply: [one] }}")),
        status: 429,
        code: "quota_exceeded",
    },
    Refusing {
        stage: "scan",
        policy: |mode| ("scan", format!("{{ mode: {mode}, ruleset: nothing }}")),
        status: 403,
        code: "attack_detected",
    },
];

/// Everything is off, and what the stages need is there.
fn config(upstream: &Upstream) -> Config {
    authenticated(plain(&upstream.url()), "staff")
        .policy("authenticate", "{ mode: off }")
        .section("authorization", "{ policies: [policies.cedar] }")
        .section("limits", "[{ name: once, key: [global], rate: 1/d }]")
        .section("store", "{ database: \"sqlite://state.db\" }")
        .section("quotas", "[{ name: one, key: [global], limit: 1, period: year }]")
        .section("rulesets", r#"[{ name: nothing, rules: "SecAction \"id:1,phase:1,deny,log\"" }]"#)
}

fn start(config: &Config, policies: &str) -> Gateway {
    config.start_in(folder().file("policies.cedar", policies))
}

const NEVER: &str = "@id(\"never\") forbid (principal, action, resource);";

/// The answers' statuses and the records of two requests.
fn twice(config: &Config) -> ([u16; 2], Vec<Value>, String) {
    let gateway = start(config, NEVER);
    let statuses = [0, 1].map(|_| raw::get(gateway.address("public"), "/", "").status);
    let metrics = raw::get(gateway.address("admin"), "/metrics", "").text();
    (statuses, gateway.stop_and_audit(), metrics)
}

#[test]
fn enforced_refuses_shadowed_is_recorded_off_does_not_run() {
    for Refusing { stage, policy, status, code } in STAGES {
        for mode in MODES {
            let upstream = Upstream::start();
            let (key, flow) = policy(mode);
            let (statuses, records, metrics) = twice(&config(&upstream).policy(key, flow));
            let what = format!("{stage} {mode}");
            let (last, record) = (statuses[1], &records[1]);
            let denials =
                |series: &str| format!("{series}{{route=\"all\",stage=\"{stage}\",reason=\"{code}\"}}");
            let (denied, shadowed) =
                (denials("portcullis_denials_total"), denials("portcullis_shadow_denials_total"));
            let told = |series: &str| metrics.contains(series);
            match mode {
                "enforce" => {
                    assert_eq!(last, status, "{what}");
                    assert_eq!((told(&denied), told(&shadowed)), (true, false), "{what}: {metrics}");
                    assert_eq!(record["decision"], "deny", "{what}");
                    assert_eq!((&record["stage"], &record["reason_code"]), (&json!(stage), &json!(code)));
                    assert_eq!(record["stages"][stage], "deny", "{what}");
                }
                "shadow" => {
                    assert_eq!(last, 200, "{what}");
                    assert_eq!((told(&denied), told(&shadowed)), (false, true), "{what}: {metrics}");
                    assert_eq!(record["decision"], "shadow_deny", "{what}");
                    assert_eq!((&record["stage"], &record["reason_code"]), (&json!(stage), &json!(code)));
                    assert_eq!(record["stages"][stage], "shadow_deny", "{what}");
                    assert_eq!(record["shadow_reasons"], json!({ stage: code }), "{what}");
                }
                _ => {
                    assert_eq!(last, 200, "{what}");
                    assert_eq!((told(&denied), told(&shadowed)), (false, false), "{what}: {metrics}");
                    assert_eq!(record["decision"], "allow", "{what}");
                    assert_eq!(record["stages"].get(stage), None, "{what}");
                    let grounds = ["policies", "limits", "waf.rule_ids"].map(|key| record.get(key));
                    assert_eq!(grounds, [None; 3], "{what}");
                }
            }
            let forwarded = statuses.iter().filter(|status| **status == 200).count();
            assert_eq!(upstream.requests().len(), forwarded, "{what}");
        }
    }
}

#[test]
fn all_stages_in_shadow_are_decided_and_none_refuses() {
    let upstream = Upstream::start();
    let config = STAGES.iter().fold(config(&upstream), |config, refusing| {
        let (key, flow) = (refusing.policy)("shadow");
        config.policy(key, flow)
    });
    let (statuses, records, _) = twice(&config);
    assert_eq!(statuses, [200, 200]);
    let reasons = json!({
        "authenticate": "credential_missing",
        "authorize": "forbidden",
        "limit": "rate_limited",
        "quota": "quota_exceeded",
        "scan": "attack_detected",
    });
    assert_eq!(records[1]["shadow_reasons"], reasons);
    assert_eq!(records[1]["policies"], json!(["never"]));
    assert_eq!(records[1]["limits"][0]["exceeded"], true);
    // The first that would have refused is the one that the client would have met.
    assert_eq!(records[1]["stage"], "authenticate");
}

/// In shadow a credential that is wrong makes nobody of its holder, and one that is right is still read.
#[test]
fn shadowed_authentication_still_knows_who_asks() {
    let upstream = Upstream::start();
    let gateway = config(&upstream)
        .policy("authenticate", "{ mode: shadow, methods: [staff], scopes: { all: [read] } }")
        .policy("forward", "{ identity: { X-Caller: subject } }")
        .start_in(folder().file("policies.cedar", NEVER));
    for (lines, caller, reason) in [
        (bearer_with("ann", json!({ "scope": "read" })), "ann", None),
        (authorization("x.y.z"), "anonymous", Some("invalid_token")),
        (bearer("bob"), "anonymous", Some("insufficient_scope")),
        (String::new(), "anonymous", Some("credential_missing")),
    ] {
        assert_eq!(raw::get(gateway.address("public"), "/", &lines).status, 200);
        assert_eq!(upstream.only_request().header("x-caller").as_deref(), Some(caller), "{reason:?}");
        upstream.forget();
        let metrics = raw::get(gateway.address("admin"), "/metrics", "").text();
        if let Some(reason) = reason {
            assert!(metrics.contains(&format!("reason=\"{reason}\"}} 1")), "{reason}: {metrics}");
        }
    }
}

/// A route says something else than its service, a service something else than all; the rest stays as it was.
#[test]
fn what_a_route_overrides_concerns_this_route_only() {
    let (shop, office) = (Upstream::start(), Upstream::start());
    let config = config(&shop)
        .policy("authenticate", "{ methods: [staff] }")
        .policy("authorize", "{ mode: enforce }")
        .routes(&[
            "{ name: strict, path: /strict }",
            "{ name: open, path: /open, policy: { authenticate: { mode: off }, authorize: { mode: off } } }",
            "{ name: watched, path: /watched, policy: { authorize: { mode: shadow } } }",
            "{ name: guests, path: /guests, policy: { authenticate: { methods: [partners, anonymous] }, authorize: { mode: off } } }",
        ])
        .another_service(format!(
            "{{ name: office, upstream: {{ targets: [\"{}\"] }}, policy: {{ authorize: {{ mode: shadow }} }}, routes: [\
             {{ name: office, path: /office }}, \
             {{ name: vault, path: /vault, policy: {{ authorize: {{ mode: enforce }} }} }}, \
             {{ name: lobby, path: /lobby, policy: {{ authenticate: {{ mode: shadow }} }} }}] }}",
            office.url()
        ));
    let gateway = start(&config, NEVER);
    let ann = bearer("ann");
    for (path, without, with) in [
        ("/strict", (401, "credential_missing"), (403, "forbidden")),
        ("/open", (200, ""), (200, "")),
        ("/watched", (401, "credential_missing"), (200, "")),
        // Lists replace: a token is no credential here, and is not read.
        ("/guests", (200, ""), (200, "")),
        ("/office", (401, "credential_missing"), (200, "")),
        ("/vault", (401, "credential_missing"), (403, "forbidden")),
        ("/lobby", (200, ""), (200, "")),
    ] {
        for (lines, expected) in [("", without), (&*ann, with)] {
            let answer = raw::get(gateway.address("public"), path, lines);
            let outcome = if answer.status == 200 { (200, String::new()) } else { refusal(&answer) };
            assert_eq!(outcome, (expected.0, expected.1.to_owned()), "{path} {lines}");
        }
    }
    let service = |seen: &Upstream| -> Vec<String> {
        seen.requests().into_iter().map(|request| request.target).collect()
    };
    assert_eq!(service(&shop), ["/open", "/open", "/watched", "/guests", "/guests"]);
    assert_eq!(service(&office), ["/office", "/lobby", "/lobby"]);
    let records = gateway.stop_and_audit();
    let guest = records.iter().rfind(|record| record["route"] == "guests").unwrap();
    assert_eq!(guest["principal.kind"], "anonymous");
}
