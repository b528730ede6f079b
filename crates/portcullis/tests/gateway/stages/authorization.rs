//! Who may do what: policies about real requests.

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Connection, Response};
use serde_json::{Value, json};

use super::{challenges, refusal};
use crate::common::{Config, plain, setup};
use crate::credentials::{authenticated, bearer, bearer_with, folder, partner};

const FORBIDDEN: (u16, &str) = (403, "forbidden");
const POLICY_ERROR: (u16, &str) = (403, "policy_error");

/// A gateway that asks policies about staff, partners and everybody else.
fn config(upstream: &Upstream) -> Config {
    authenticated(plain(&upstream.url()), "staff, partners, anonymous")
        .section(
            "authorization",
            "{ policies: [policies.cedar], context_headers: [x-tenant], \
             claims: { tenant: string, acr: string, level: long } }",
        )
        .policy("authorize", "{ mode: enforce }")
}

fn start(config: &Config, policies: &str) -> Gateway {
    config.start_in(folder().file("policies.cedar", policies))
}

fn get(gateway: &Gateway, path: &str, lines: &str) -> Response {
    raw::get(gateway.address("public"), path, lines)
}

fn send(gateway: &Gateway, method: &str, path: &str, lines: &str) -> Response {
    let head = format!("{method} {path} HTTP/1.1\r\nHost: api.example.com\r\n{lines}\r\n");
    Connection::open(gateway.address("public")).send(head).response_to(method)
}

fn assert_refused(answer: &Response, expected: (u16, &str), what: &str) {
    assert_eq!(refusal(answer), (expected.0, expected.1.to_owned()), "{what}");
}

fn of_role(role: &str) -> String {
    bearer_with(role, json!({ "roles": [role] }))
}

#[test]
fn nothing_is_permitted_that_no_policy_permits() {
    let upstream = Upstream::start();
    let gateway = start(
        &config(&upstream),
        "@id(\"staff-reads\") permit (principal in Role::\"staff\", action in Action::\"read\", resource);
         @id(\"never-closed\") forbid (principal, action, resource) when { context.path == \"/closed\" };",
    );
    let staff = of_role("staff");
    assert_refused(&get(&gateway, "/", &of_role("guest")), FORBIDDEN, "another role");
    assert_refused(&get(&gateway, "/", ""), FORBIDDEN, "nobody");
    assert_refused(&raw::post(gateway.address("public"), "/", &staff, "x"), FORBIDDEN, "another action");
    assert_refused(&get(&gateway, "/closed", &staff), FORBIDDEN, "a forbid outweighs a permit");
    assert_eq!(challenges(&get(&gateway, "/closed", &staff)), [""; 0], "there is nothing to bring");
    upstream.assert_no_contact();
    for method in ["GET", "HEAD", "OPTIONS"] {
        assert_eq!(send(&gateway, method, "/", &staff).status, 200, "{method}");
    }
    let records = gateway.stop_and_audit();
    let policies: Vec<_> = records.iter().map(|record| record["policies"].clone()).collect();
    let closed = json!(["never-closed"]);
    let reads = json!(["staff-reads"]);
    let none = Value::Null;
    let expected =
        [none.clone(), none.clone(), none, closed.clone(), closed, reads.clone(), reads.clone(), reads];
    assert_eq!(policies, expected);
    assert_eq!(records[0]["decision"], "deny");
    assert_eq!(records[0]["stage"], "authorize");
    assert_eq!(records[0]["reason_code"], "forbidden");
}

#[test]
fn without_policies_nothing_passes() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url())
        .section("authorization", "{ policies: [] }")
        .policy("authorize", "{ mode: enforce }")
        .start();
    assert_refused(&get(&gateway, "/", ""), FORBIDDEN, "no policy");
    upstream.assert_no_contact();
}

/// OWASP API1, broken object level authorization: the object is in the path.
#[test]
fn nobody_gets_another_users_object() {
    let upstream = Upstream::start();
    let gateway = start(
        &config(&upstream).routes(&["{ name: orders, path: \"/customers/{customer}/orders/{order}\" }"]),
        "@id(\"own-orders\") permit (principal is User, action, resource == Route::\"orders\")
         when { resource.path has customer && resource.path.customer == principal.subject };",
    );
    let ann = bearer("ann");
    for path in [
        "/customers/bob/orders/1",
        "/customers/Ann/orders/1",
        "/customers/ann%20/orders/1",
        "/customers/ann/../bob/orders/1",
        "/customers/ann/%2e%2e/bob/orders/1",
        "/x/../customers/bob/orders/ann",
        "/customers/bob/orders/1?customer=ann",
    ] {
        assert_refused(&get(&gateway, path, &ann), FORBIDDEN, path);
    }
    // An API key of the same name is not the same caller.
    let key = format!("X-API-Key: {}\r\n", partner());
    assert_refused(&get(&gateway, "/customers/acme/orders/1", &key), FORBIDDEN, "another kind");
    upstream.assert_no_contact();
    for path in ["/customers/ann/orders/1", "/customers/%61nn/orders/2", "/customers/bob/../ann/orders/3"] {
        assert_eq!(get(&gateway, path, &ann).status, 200, "{path}");
    }
}

/// OWASP API5, broken function level authorization: the function has a name, whatever the method.
#[test]
fn a_function_is_for_those_who_may_use_it() {
    let upstream = Upstream::start();
    let gateway = start(
        &config(&upstream).routes(&[
            "{ name: refunds, path: /refunds, policy: { authorize: { action: refund } } }",
            "{ name: all, path: \"/{*rest}\" }",
        ]),
        "permit (principal in Role::\"manager\", action == Action::\"refund\", resource);
         permit (principal, action == Action::\"GET\", resource == Route::\"all\");",
    );
    for method in ["GET", "POST", "DELETE"] {
        assert_refused(&send(&gateway, method, "/refunds", &of_role("staff")), FORBIDDEN, method);
    }
    upstream.assert_no_contact();
    for method in ["GET", "POST", "DELETE"] {
        assert_eq!(send(&gateway, method, "/refunds", &of_role("manager")).status, 200, "{method}");
    }
    assert_eq!(get(&gateway, "/catalog", &of_role("staff")).status, 200);
}

#[test]
fn a_permit_that_asks_for_attention_lets_pass_and_flags_the_record() {
    let upstream = Upstream::start();
    let gateway = start(
        &config(&upstream),
        "@id(\"support\") @audit permit (principal in Role::\"support\", action, resource);
         @id(\"staff\") permit (principal in Role::\"staff\", action, resource);",
    );
    assert_eq!(get(&gateway, "/", &of_role("support")).status, 200);
    assert_eq!(get(&gateway, "/", &of_role("staff")).status, 200);
    assert_eq!(upstream.requests().len(), 2);
    let metrics = raw::get(gateway.address("admin"), "/metrics", "").text();
    assert!(metrics.contains("decision=\"flag\"} 1\n"), "{metrics}");
    let records = gateway.stop_and_audit();
    assert_eq!((&records[0]["decision"], &records[0]["stage"]), (&json!("flag"), &json!("authorize")));
    assert_eq!(records[0]["stages"]["authorize"], "flag");
    assert_eq!(records[0]["policies"], json!(["support"]));
    assert_eq!((&records[1]["decision"], records[1].get("stage")), (&json!("allow"), None));
}

/// RFC 9470: who may pass after a stronger sign-in is told which.
#[test]
fn a_challenge_says_which_sign_in_would_do() {
    let upstream = Upstream::start();
    let gateway = start(
        &config(&upstream),
        "permit (principal, action, resource);
         @id(\"passkey\") @challenge(\"acr=phr phrh; max_age=300\") @message(\"Sign in with a \\\"passkey\\\".\")
         forbid (principal, action == Action::\"GET\", resource)
         unless { principal.claims has acr && principal.claims.acr == \"phr\" };
         @id(\"scope\") @challenge(\"scope=orders:write\") forbid (principal, action == Action::\"POST\", resource)
         unless { principal.scopes.contains(\"orders:write\") };",
    );
    let weak = bearer_with("ann", json!({ "acr": "pwd" }));
    let answer = get(&gateway, "/", &weak);
    assert_refused(&answer, (401, "step_up_required"), "a weak sign-in");
    assert_eq!(
        challenges(&answer)[0],
        "Bearer realm=\"shop\", error=\"insufficient_user_authentication\", \
         error_description=\"A stronger authentication is needed.\", acr_values=\"phr phrh\", max_age=\"300\""
    );
    let problem = answer.json();
    assert_eq!((&problem["acr_values"], &problem["max_age"]), (&json!(["phr", "phrh"]), &json!(300)));
    assert_eq!(problem["message"], "Sign in with a \"passkey\".");

    let answer = raw::post(gateway.address("public"), "/", &weak, "x");
    assert_refused(&answer, (403, "challenge_required"), "a missing scope");
    assert_eq!(answer.json()["scopes"], json!(["orders:write"]));
    upstream.assert_no_contact();

    assert_eq!(get(&gateway, "/", &bearer_with("ann", json!({ "acr": "phr" }))).status, 200);
    let scoped = bearer_with("ann", json!({ "scope": "orders:write" }));
    assert_eq!(raw::post(gateway.address("public"), "/", &scoped, "x").status, 200);
    let records = gateway.stop_and_audit();
    assert_eq!(records[0]["policies"], json!(["passkey"]));
    assert_eq!(records[1]["policies"], json!(["scope"]));
}

/// Cedar leaves out a forbid that cannot be evaluated. Here that would let everybody pass.
#[test]
fn a_policy_that_cannot_be_evaluated_denies() {
    let upstream = Upstream::start();
    let gateway = start(
        &config(&upstream),
        "@id(\"all\") permit (principal, action, resource);
         @id(\"level\") forbid (principal is User, action == Action::\"GET\", resource)
         when { principal.claims has level && principal.claims.level * 1000 > 5000 };",
    );
    let with_level = |level: Value| bearer_with("ann", json!({ "level": level }));
    assert_refused(&get(&gateway, "/", &with_level(json!(6))), FORBIDDEN, "forbidden");
    assert_refused(&get(&gateway, "/", &with_level(json!(i64::MAX))), POLICY_ERROR, "an overflow");
    assert_refused(&get(&gateway, "/", &with_level(json!("5"))), POLICY_ERROR, "a claim of another type");
    upstream.assert_no_contact();
    assert_eq!(get(&gateway, "/", &with_level(json!(5))).status, 200);
    assert_eq!(raw::post(gateway.address("public"), "/", &with_level(json!("5")), "x").status, 200);
    let records = gateway.stop_and_audit();
    assert_eq!(records[1]["reason_code"], "policy_error");
    assert_eq!(records[1]["policies"], json!(["level"]));
}

#[test]
fn those_who_show_no_credential_are_a_principal_too() {
    let upstream = Upstream::start();
    let gateway = start(
        &config(&upstream).routes(&[
            "{ name: catalog, path: /catalog }",
            "{ name: open, path: /open, policy: { authenticate: { mode: off } } }",
            "{ name: all, path: \"/{*rest}\" }",
        ]),
        "permit (principal == Anonymous::\"anonymous\", action == Action::\"GET\", resource == Route::\"catalog\");
         permit (principal == User::\"https://idp.test|ann\", action, resource == Route::\"open\");",
    );
    assert_refused(&get(&gateway, "/other", ""), FORBIDDEN, "anonymous elsewhere");
    assert_refused(&raw::post(gateway.address("public"), "/catalog", "", "x"), FORBIDDEN, "another method");
    assert_refused(&get(&gateway, "/catalog", &bearer("ann")), FORBIDDEN, "somebody");
    // Where credentials are not read, nobody is anybody.
    assert_refused(&get(&gateway, "/open", &bearer("ann")), FORBIDDEN, "a token that is not read");
    upstream.assert_no_contact();
    assert_eq!(get(&gateway, "/catalog", "").status, 200);
}

#[test]
fn policies_read_headers_that_the_configuration_names() {
    let upstream = Upstream::start();
    let gateway = start(
        &config(&upstream),
        "permit (principal is User, action, resource) when {
           context.headers has \"x-tenant\" && principal.claims has tenant
           && context.headers[\"x-tenant\"] == principal.claims.tenant };",
    );
    let ann = bearer_with("ann", json!({ "tenant": "t1" }));
    let with = |lines: &str| get(&gateway, "/", &format!("{ann}{lines}"));
    assert_refused(&with(""), FORBIDDEN, "no tenant");
    assert_refused(&with("X-Tenant: t2\r\n"), FORBIDDEN, "another tenant");
    assert_refused(&with("X-Tenant: t1\r\nX-Tenant: t1\r\n"), POLICY_ERROR, "repeated");
    upstream.assert_no_contact();
    assert_eq!(with("X-Tenant: t1\r\n").status, 200);
}

#[test]
fn policies_read_the_circumstances() {
    let upstream = Upstream::start();
    let gateway = start(
        &config(&upstream).section("client_address", "{ trusted_proxies: [127.0.0.1] }").routes(&[
            "{ name: office, path: /office }",
            "{ name: past, path: /past }",
            "{ name: present, path: /present }",
            "{ name: secure, path: /secure }",
            "{ name: host, path: /host }",
        ]),
        "permit (principal, action, resource == Route::\"office\") when { context.address.isInRange(ip(\"10.0.0.0/8\")) };
         permit (principal, action, resource == Route::\"past\") when { context.time < datetime(\"2020-01-01\") };
         permit (principal, action, resource == Route::\"present\") when { context.time > datetime(\"2020-01-01\") };
         permit (principal, action, resource == Route::\"secure\") when { context.secure };
         permit (principal, action, resource == Route::\"host\") when { context.host == \"api.example.com\" };",
    );
    let status = |path: &str, lines: &str| get(&gateway, path, lines).status;
    let from = |address: &str| format!("X-Forwarded-For: {address}\r\n");
    assert_eq!((status("/office", ""), status("/office", &from("192.0.2.1"))), (403, 403));
    assert_eq!((status("/past", ""), status("/secure", "")), (403, 403));
    upstream.assert_no_contact();
    assert_eq!(status("/office", &from("10.1.2.3")), 200);
    assert_eq!(status("/present", ""), 200);
    assert_eq!(status("/secure", "X-Forwarded-For: 10.1.2.3\r\nX-Forwarded-Proto: https\r\n"), 200);
    assert_eq!(status("/host", ""), 200);
    let other = "GET /host HTTP/1.1\r\nHost: other.example.com\r\n\r\n";
    assert_refused(&raw::request(gateway.address("public"), other), FORBIDDEN, "another host");
}

/// A policy that forbids by such a field would never forbid.
#[test]
fn policies_do_not_read_headers_that_never_arrive() {
    let upstream = Upstream::start();
    for name in ["x-forwarded-groups", "X-HTTP-Method-Override", "connection", "x-user"] {
        let config = plain(&upstream.url())
            .section("authorization", format!("{{ policies: [p.cedar], context_headers: [{name}] }}"))
            .policy("forward", "{ identity: { X-User: subject } }");
        let files = setup().file("p.cedar", "@id(\"all\") permit (principal, action, resource);\n");
        let refusal = files.refuse(&config.text());
        let said = format!("`{}` is removed from every request", name.to_ascii_lowercase());
        assert!(refusal.code == Some(1) && refusal.stderr.contains(&said), "{name}: {}", refusal.stderr);
    }
}
