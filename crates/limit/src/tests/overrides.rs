//! Other rates for some.

use portcullis_core::PrincipalKind;
use serde_json::json;

use super::*;

fn principal(role: Option<&str>, claims: serde_json::Value) -> Principal {
    let mut principal = Principal::new(PrincipalKind::User, "ann", "sso");
    principal.roles.extend(role.map(str::to_owned));
    principal.claims = claims.as_object().unwrap().clone();
    principal
}

/// How many of ten requests pass.
fn passed(limits: &Limits, subject: &Subject<'_>) -> usize {
    (0..10).filter(|_| passes(limits, subject, NOW)).count()
}

#[test]
fn the_first_override_that_fits_holds_and_counts_apart() {
    let limits = compile(json!([{
        "name": "a", "key": ["principal"], "rate": "1/d",
        "overrides": [
            { "rate": "5/d", "roles": ["gold"], "routes": ["reports"] },
            { "rate": "4/d", "burst": 3, "roles": ["gold", "silver"] },
            { "rate": "6/d", "claims": { "plan": "big", "seats": "3" } },
            { "rate": "7/d", "addresses": ["198.51.100.0/24"] },
        ],
    }]));
    let nobody = subject("192.0.2.1");
    let (gold, silver) = (principal(Some("gold"), json!({})), principal(Some("silver"), json!({})));
    let big = principal(None, json!({ "plan": "big", "seats": 3 }));
    let small = principal(None, json!({ "plan": "big", "seats": 2 }));
    let by = |principal| Subject { principal: Some(principal), ..nobody };
    assert_eq!(passed(&limits, &Subject { route: "reports", ..by(&gold) }), 5);
    // The same principal elsewhere has a count of its own there.
    assert_eq!(passed(&limits, &by(&gold)), 3);
    assert_eq!(
        passed(&limits, &Subject { route: "reports", ..by(&silver) }),
        0,
        "the same subject as before"
    );
    assert_eq!(passed(&limits, &by(&big)), 6);
    assert_eq!(passed(&limits, &by(&small)), 1);
    assert_eq!(passed(&limits, &nobody), 1);
    assert_eq!(passed(&limits, &subject("198.51.100.9")), 7);
    let (_, states) = ask(&limits, &by(&gold), NOW);
    assert_eq!((&*states[0].name, states[0].quota), ("a", 4));
}

#[test]
fn counters_of_overrides_outlive_a_reload() {
    let raw = json!([{
        "name": "a", "key": ["address"], "rate": "1/d",
        "overrides": [{ "rate": "5/d", "addresses": ["192.0.2.0/24"] }],
    }]);
    let limits = compile(raw.clone());
    let client = subject("192.0.2.1");
    assert_eq!(passed(&limits, &client), 5);
    let (after, problems) = try_compile(raw, 1000, Some(&limits));
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(passed(&after, &client), 0);
}

#[test]
fn an_override_says_for_whom() {
    for (when, one, told) in [
        ("after_authorization", json!({ "rate": "5/d" }), "for everybody"),
        (
            "before_authentication",
            json!({ "rate": "5/d", "roles": ["a"] }),
            "not known `before_authentication`",
        ),
        ("after_authorization", json!({ "rate": "5/d", "burst": 0, "roles": ["a"] }), "a burst of 0"),
    ] {
        let raw =
            json!([{ "name": "a", "key": ["address"], "rate": "1/d", "when": when, "overrides": [one] }]);
        let (_, problems) = try_compile(raw, 1000, None);
        let problems: Vec<String> = problems.iter().map(|problem| format!("{problem:?}")).collect();
        assert!(problems.len() == 1 && problems[0].contains(told), "{told}: {problems:?}");
    }
}
