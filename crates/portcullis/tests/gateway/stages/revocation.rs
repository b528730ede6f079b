//! Tokens that are refused before they end, over SQLite and PostgreSQL.

use std::time::Instant;

use portcullis_core::{Clock as _, SystemClock, Timestamp};
use portcullis_testkit::PATIENCE;
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw;
use serde_json::json;

use super::refusal;
use crate::common::{Config, plain};
use crate::credentials::{ISSUER, authenticated, bearer, bearer_with, folder};
use crate::databases::on_both;
use crate::lifecycle::run;
use crate::operators::{OPERATORS, ops};

fn config(upstream: &Upstream, database: &str) -> Config {
    authenticated(plain(&upstream.url()), "staff")
        .section("store", format!("{{ database: \"{database}\" }}"))
        .section("admin", format!("{{ address: \"127.0.0.1:0\", operators: {} }}", *OPERATORS))
}

fn ask(gateway: &Gateway, lines: &str) -> u16 {
    raw::get(gateway.address("public"), "/", lines).status
}

fn becomes(gateway: &Gateway, lines: &str, status: u16) {
    let begun = Instant::now();
    while ask(gateway, lines) != status {
        assert!(begun.elapsed() < PATIENCE, "it never becomes {status}");
    }
}

fn token(gateway: &Gateway, arguments: &[&str]) -> String {
    let arguments = [&["token"], arguments, &["--config", "gateway.yaml"]].concat();
    let printed = run(gateway.folder(), &arguments);
    assert_eq!(printed.code, 0, "{arguments:?}: {}", printed.stderr);
    printed.stdout.trim().to_owned()
}

/// What was accepted a moment ago, and is remembered, is refused by the next request.
#[test]
fn a_revocation_holds_at_once_and_until_it_is_taken_back() {
    on_both(|database| {
        let upstream = Upstream::start();
        let gateway = config(&upstream, database).start_in(folder());
        let api = ops(&gateway);
        for (claims, what) in [
            (json!({ "jti": "t-1" }), json!({ "token": "t-1", "note": "leaked" })),
            (json!({ "sid": "s-1" }), json!({ "session": "s-1" })),
            (json!({ "email": "x" }), json!({ "subject": "ann" })),
            (json!({}), json!({ "issuer": ISSUER, "issued_before": SystemClock.now().rfc3339() })),
        ] {
            let (shown, other) = (
                bearer_with("ann", claims),
                bearer_with("bob", json!({ "iss": ISSUER, "iat": SystemClock.now().as_secs() + 1 })),
            );
            assert_eq!((ask(&gateway, &shown), ask(&gateway, &other)), (200, 200), "{what}");
            let made = api.post("/v1/revocations", &what);
            assert_eq!(made.status, 201, "{what}: {}", made.text());
            let answer = raw::get(gateway.address("public"), "/", &shown);
            assert_eq!(refusal(&answer), (401, "invalid_token".to_owned()), "{what}");
            let id = made.json()["id"].as_str().unwrap().to_owned();
            assert_eq!(api.delete(&format!("/v1/revocations/{id}")).status, 204);
            assert_eq!(ask(&gateway, &shown), 200, "{what}");
            assert_eq!(api.delete(&format!("/v1/revocations/{id}")).status, 404);
        }
        let records = gateway.stop_and_audit();
        let refused = records.iter().filter(|record| record["credential_fault"] == "revoked").count();
        assert_eq!(refused, 4);
        let changes: Vec<_> = records.iter().filter(|record| record["event.name"] == "change").collect();
        assert_eq!(changes.len(), 8, "{changes:?}");
        for (index, change) in changes.iter().enumerate() {
            let action = if index % 2 == 0 { "revoked" } else { "taken_back" };
            assert_eq!(change["change.topic"], "revocations");
            assert_eq!((&change["change.action"], &change["change.actor"]), (&json!(action), &json!("ops")));
            assert_eq!(change["change.origin"], "api");
        }
    });
}

#[test]
fn others_see_it_within_a_moment_and_a_new_login_counts() {
    on_both(|database| {
        let upstream = Upstream::start();
        let gateway = config(&upstream, database).start_in(folder());
        let now = SystemClock.now().as_secs();
        let issued = |ago: u64| bearer_with("ann", json!({ "iat": now - ago }));
        let (old, new, other) = (issued(300), issued(20), bearer("bob"));
        assert_eq!((ask(&gateway, &old), ask(&gateway, &new)), (200, 200));
        let moment = Timestamp::from_secs(now - 100).rfc3339();
        let id =
            token(&gateway, &["revoke", "--subject", "ann", "--issued-before", &moment, "--note", "left"]);
        becomes(&gateway, &old, 401);
        assert_eq!((ask(&gateway, &new), ask(&gateway, &other)), (200, 200));
        let listed = token(&gateway, &["revocations"]);
        assert!(listed.contains(&id) && listed.contains("ann") && listed.contains(&moment), "{listed}");
        token(&gateway, &["restore", &id]);
        becomes(&gateway, &old, 200);
    });
}

/// What is revoked is known to a gateway before its first request.
#[test]
fn a_revocation_outlives_the_gateway() {
    on_both(|database| {
        let upstream = Upstream::start();
        let config = config(&upstream, database);
        let mut gateway = config.start_in(folder());
        let shown = bearer_with("ann", json!({ "jti": "t-1" }));
        assert_eq!(ask(&gateway, &shown), 200);
        token(&gateway, &["revoke", "--jti", "t-1"]);
        becomes(&gateway, &shown, 401);
        gateway.restart();
        assert_eq!(ask(&gateway, &shown), 401);
        gateway.hang_up();
        let _ = gateway.wait_for_event("reloaded", 0);
        assert_eq!(ask(&gateway, &shown), 401);
        assert_eq!(ask(&gateway, &bearer("ann")), 200);
    });
}

#[test]
fn explain_knows_what_is_revoked() {
    let upstream = Upstream::start();
    let gateway = config(&upstream, "sqlite://state.db").start_in(folder());
    let shown = bearer_with("ann", json!({ "jti": "t-1" }));
    token(&gateway, &["revoke", "--jti", "t-1"]);
    for (header, told) in [(shown, "revoked"), (bearer("ann"), "\"allow\"")] {
        let arguments = ["explain", "gateway.yaml", "/", "--format", "json", "-H", header.trim()];
        let text = run(gateway.folder(), &arguments).stdout;
        assert!(text.contains(told), "{text}");
    }
}

#[test]
fn what_is_unclear_is_not_revoked() {
    let upstream = Upstream::start();
    let gateway = config(&upstream, "sqlite://state.db").start_in(folder());
    let revoke = |arguments: &[&str]| {
        run(gateway.folder(), &[&["token", "revoke"], arguments, &["--config", "gateway.yaml"]].concat())
    };
    for (arguments, says) in [
        (&[][..], "does not say which tokens"),
        (&["--issuer", ISSUER], "does not say which tokens"),
        (&["--subject", "ann", "--issued-before", "noon"], "`noon`"),
    ] {
        let printed = revoke(arguments);
        assert_eq!(printed.code, 1, "{arguments:?}");
        assert!(printed.stderr.contains(says), "{}", printed.stderr);
    }
    assert_eq!(ask(&gateway, &bearer("ann")), 200);
}
