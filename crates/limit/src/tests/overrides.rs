//! Other rates for some callers, places and times.

use portcullis_core::{Principal, PrincipalKind};
use serde_json::{Value, json};

use super::*;

fn user(id: &str, claims: Value, roles: &[&str]) -> Principal {
    let mut principal = Principal::new(PrincipalKind::User, id, "staff");
    principal.issuer = Some("https://idp.test".to_owned());
    principal.claims = claims.as_object().unwrap().clone();
    principal.roles = roles.iter().map(|&role| role.to_owned()).collect();
    principal
}

fn tiers() -> Limits {
    compile(json!([{
        "name": "calls", "key": ["principal"], "rate": "2/d",
        "overrides": [
            { "claims": { "tier": ["gold", "1"] }, "rate": "5/d" },
            { "roles": ["robot"], "routes": ["orders"], "rate": "10/d", "burst": 7 },
            { "addresses": ["198.51.100.0/24"], "rate": "1/d" },
        ],
    }]))
}

#[test]
fn the_first_exception_that_fits_holds() {
    let limits = tiers();
    for (principal, expected) in [
        (user("a", json!({}), &[]), 2),
        (user("b", json!({ "tier": "gold" }), &["robot"]), 5),
        (user("c", json!({ "tier": ["silver", "gold"] }), &[]), 5),
        (user("d", json!({ "tier": 1 }), &[]), 5),
        (user("e", json!({ "tier": "golden" }), &[]), 2),
        (user("f", json!({ "tier": { "gold": true } }), &[]), 2),
        (user("g", json!({}), &["robot"]), 7),
    ] {
        assert_eq!(drain(&limits, &of(&principal), NOW), expected, "{}", principal.id);
    }
    let robot = user("h", json!({}), &["robot"]);
    assert_eq!(drain(&limits, &Subject { route: "other", ..of(&robot) }, NOW), 2);
    assert_eq!(drain(&limits, &subject("198.51.100.7"), NOW), 1);
    assert_eq!(drain(&limits, &subject("192.0.2.7"), NOW), 2, "nobody has no tier");
}

#[test]
fn clients_are_told_the_rate_that_holds_for_them() {
    let limits = tiers();
    let (_, states) = ask(&limits, &of(&user("a", json!({ "tier": "gold" }), &[])), NOW);
    assert_eq!((&*states[0].name, states[0].quota, states[0].remaining), ("calls", 5, 4));
}

#[test]
fn hours_are_those_of_the_request() {
    let limits = compile(json!([{
        "name": "calls", "key": ["global"], "rate": "100/h",
        "overrides": [{ "hours": "08:00-18:00", "rate": "3/d" }],
    }]));
    let at = |hour: u64| Timestamp::from_secs(1_700_006_400 / 86_400 * 86_400 + hour * 3600);
    assert_eq!(drain(&limits, &subject("192.0.2.1"), at(9)), 3);
    assert_eq!(drain(&limits, &subject("192.0.2.1"), at(19)), 100);
}

#[test]
fn exceptions_keep_their_counters_over_a_reload() {
    let raw = json!([{
        "name": "calls", "key": ["principal"], "rate": "2/d",
        "overrides": [{ "claims": { "tier": ["gold"] }, "rate": "5/d" }],
    }]);
    let (first, _) = try_compile(raw.clone(), 1000, None);
    let gold = user("a", json!({ "tier": "gold" }), &[]);
    assert_eq!(drain(&first, &of(&gold), NOW), 5);
    let (second, problems) = try_compile(raw, 1000, Some(&first));
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(drain(&second, &of(&gold), NOW), 0);
    assert_eq!(drain(&second, &of(&user("b", json!({ "tier": "gold" }), &[])), NOW), 5);
}

#[test]
fn what_is_wrong_with_an_exception_is_told_at_its_place() {
    for (limit, expected) in [
        (json!({ "overrides": [{ "rate": "5/d" }] }), "limits[0].overrides[0]: it holds for everybody"),
        (
            json!({ "overrides": [{ "claims": { "tier": [] }, "rate": "5/d" }] }),
            "limits[0].overrides[0].claims.tier: there is no value",
        ),
        (
            json!({ "key": ["address"], "when": "before_authentication", "overrides": [{ "roles": ["a"], "rate": "5/d" }] }),
            "limits[0].overrides[0]: who asks is not known",
        ),
        (
            json!({ "overrides": [{ "roles": ["a"], "rate": "5/d", "burst": 0 }] }),
            "limits[0].overrides[0].burst: ",
        ),
    ] {
        let mut raw = json!({ "name": "calls", "key": ["principal"], "rate": "2/d" });
        raw.as_object_mut().unwrap().extend(limit.as_object().unwrap().clone());
        let (_, problems) = try_compile(json!([raw]), 1000, None);
        let told: Vec<String> = problems
            .iter()
            .map(|problem| format!("{}: {}", problem.path.as_str(), problem.message))
            .collect();
        assert!(told.len() == 1 && told[0].starts_with(expected), "{told:?}");
    }
}
