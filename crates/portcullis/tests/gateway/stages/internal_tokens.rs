//! What the service gets of the gateway to know who asks, and what else it never gets.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_authn::mint::SigningKey;
use portcullis_core::{Clock as _, SystemClock};
use portcullis_oidc::Algorithm;
use portcullis_testkit::echo::{Seen, Upstream};
use portcullis_testkit::gateway::{Gateway, Setup};
use portcullis_testkit::raw;
use serde_json::{Value, json};

use super::refusal;
use crate::common::{Config, plain};
use crate::credentials::{EC, ISSUER, authenticated, bearer, bearer_with, folder, partner};
use crate::lifecycle::{Printed, run_with_input};

const GATE: &str = "https://gate.test";
const KEYS: &str = "/.portcullis/jwks.json";

fn key(algorithm: Algorithm) -> String {
    SigningKey::generate(algorithm).unwrap().private_pem().unwrap().expose().to_owned()
}

fn with_key(pem: &str) -> Setup {
    folder().file("gate.pem", pem)
}

fn config(upstream: &Upstream, methods: &str, more: &str, token: &str) -> Config {
    authenticated(plain(&upstream.url()), methods)
        .section("internal_tokens", format!("{{ issuer: \"{GATE}\", key: gate.pem{more} }}"))
        .policy("forward", format!("{{ internal_token: {token} }}"))
}

fn ask(gateway: &Gateway, lines: &str) -> u16 {
    raw::get(gateway.address("public"), "/", lines).status
}

/// The token behind `Bearer`, of which there must be one.
fn token_of(seen: &Seen) -> String {
    let values = seen.values("authorization");
    assert_eq!(values.len(), 1, "{values:?}");
    values[0].strip_prefix("Bearer ").unwrap().to_owned()
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn published(gateway: &Gateway) -> Value {
    let answer = raw::get(gateway.address("public"), KEYS, "");
    assert_eq!(answer.status, 200);
    answer.json()
}

/// As a service would verify it that has these keys.
fn verify(folder: &Path, keys: &Value, token: &str, audience: &str) -> Printed {
    std::fs::write(folder.join("published.json"), keys.to_string()).unwrap();
    let arguments = ["token", "verify", "--jwks", "published.json", "--issuer", GATE, "--audience", audience];
    run_with_input(folder, &arguments, token)
}

#[test]
fn the_service_learns_who_asks_from_a_token_of_the_gateway() {
    let upstream = Upstream::start();
    let gateway = config(
        &upstream,
        "staff, partners",
        "",
        "{ audience: orders, claims: { roles: roles, tenant: \"claim:tenant\" } }",
    )
    .start_in(with_key(&key(Algorithm::EdDsa)));
    let shown = bearer_with("ann", json!({ "roles": ["clerk"], "tenant": { "id": 7 } }));
    assert_eq!((ask(&gateway, &shown), ask(&gateway, &shown)), (200, 200));
    assert_eq!(ask(&gateway, &format!("X-API-Key: {}\r\n", partner())), 200);
    let seen = upstream.requests();
    let token = token_of(&seen[0]);
    assert_eq!(token_of(&seen[1]), token, "a signature is not made for each request");

    let printed = verify(gateway.folder(), &published(&gateway), &token, "orders");
    assert_eq!(printed.code, 0, "{}{}", printed.stdout, printed.stderr);
    let claims: Value = printed.stdout.parse().unwrap();
    assert_eq!(
        (&claims["iss"], &claims["sub"], &claims["aud"]),
        (&json!(GATE), &json!("ann"), &json!("orders"))
    );
    assert_eq!(claims["principal"], json!({ "kind": "user", "method": "staff", "issuer": ISSUER }));
    assert_eq!((&claims["roles"], &claims["tenant"]), (&json!(["clerk"]), &json!({ "id": 7 })));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);
    assert!(claims["jti"].as_str().unwrap().len() >= 22);
    assert_eq!(verify(gateway.folder(), &published(&gateway), &token, "bills").stdout, "audience\n");

    let partner = part(&token_of(&seen[2]), 1);
    assert_eq!((&partner["sub"], &partner["roles"]), (&json!("acme"), &json!(["partner"])));
    assert_eq!(partner["principal"], json!({ "kind": "api_key", "method": "partners" }));
    let records = gateway.stop_and_audit();
    assert!(!json!(records).to_string().contains(&token));
}

/// RFC 7517, and RFC 7638 for the ids.
#[test]
fn the_public_keys_are_there_for_everybody() {
    let upstream = Upstream::start();
    for (algorithm, kind) in [
        (Algorithm::EdDsa, json!(["OKP", "EdDSA"])),
        (Algorithm::Es256, json!(["EC", "ES256"])),
        (Algorithm::Ps256, json!(["RSA", "PS256"])),
    ] {
        let written = format!(", algorithm: {}, jwks_path: /keys, jwks_max_age: 1m", algorithm.name());
        let gateway =
            config(&upstream, "staff", &written, "{ audience: orders }").start_in(with_key(&key(algorithm)));
        let answer = raw::get(gateway.address("public"), "/keys", "");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type").as_deref(), Some("application/json"));
        assert_eq!(answer.header("cache-control").as_deref(), Some("public, max-age=60"));
        let document = answer.json();
        let keys = document["keys"].as_array().unwrap();
        assert_eq!((keys.len(), &json!([keys[0]["kty"], keys[0]["alg"]])), (1, &kind));
        for secret in ["d", "p", "q", "k"] {
            assert!(keys[0].get(secret).is_none(), "{secret}");
        }
        assert_eq!(ask(&gateway, &bearer("ann")), 200);
        let token = token_of(&upstream.only_request());
        let header = part(&token, 0);
        assert_eq!(header, json!({ "alg": algorithm.name(), "typ": "JWT", "kid": keys[0]["kid"] }));
        assert_eq!(verify(gateway.folder(), &document, &token, "orders").code, 0);
        upstream.forget();

        let head = raw::request(
            gateway.address("public"),
            "HEAD /keys HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        );
        assert_eq!((head.status, head.body.len()), (200, 0));
        let posted = raw::post(gateway.address("public"), "/keys", "", "");
        assert_eq!(refusal(&posted), (405, "method_not_allowed".to_owned()));
        // What stands at the usual place is the service's.
        assert_eq!(refusal(&raw::get(gateway.address("public"), KEYS, "")).0, 401);
        upstream.assert_no_contact();
    }
}

#[test]
fn nobody_else_speaks_for_the_gateway() {
    let upstream = Upstream::start();
    let gateway = config(&upstream, "partners, anonymous", "", "{ audience: orders }")
        .start_in(with_key(&key(Algorithm::EdDsa)));
    let forged = "Authorization: Bearer forged\r\n";
    assert_eq!(ask(&gateway, forged), 200);
    assert!(!upstream.only_request().has("authorization"), "nobody is known, and nobody is named");
    upstream.forget();
    let known = format!("X-API-Key: {}\r\n{forged}", partner());
    assert_eq!(ask(&gateway, &known), 200);
    assert_eq!(part(&token_of(&upstream.only_request()), 1)["sub"], "acme");
}

#[test]
fn another_header_is_the_gateways_on_every_route() {
    let upstream = Upstream::start();
    let gateway = config(&upstream, "staff, anonymous", "", "{ audience: orders, header: X-Caller-Token }")
        .routes(&[
            "{ name: all, path: \"/{*rest}\" }",
            "{ name: open, path: /open, policy: { authenticate: { mode: off }, forward: { internal_token: null } } }",
        ])
        .start_in(with_key(&key(Algorithm::Es256)));
    let shown = bearer("ann");
    let forged = "X-Caller-Token: forged\r\nX_Caller_Token: forged\r\nx-caller_token: forged\r\n";
    assert_eq!(ask(&gateway, &format!("{shown}{forged}")), 200);
    assert_eq!(ask(&gateway, forged), 200);
    assert_eq!(raw::get(gateway.address("public"), "/open", forged).status, 200);
    let seen = upstream.requests();
    let token = seen[0].values("x-caller-token");
    assert_eq!((token.len(), &part(&token[0], 1)["sub"]), (1, &json!("ann")));
    assert_eq!(seen[0].values("authorization").len(), 1, "the caller's own stays where it is");
    for request in &seen {
        assert!(request.headers.iter().all(|(_, value)| value != b"forged"), "{:?}", request.headers);
        assert!(!request.has("x_caller_token") && !request.has("x-caller_token"));
    }
    assert!(!seen[1].has("x-caller-token") && !seen[2].has("x-caller-token"));
}

/// First the new key is published, then it signs, then the old one goes. Services that keep the keys for a while refuse nothing.
#[test]
fn keys_are_rotated_without_a_refusal() {
    let upstream = Upstream::start();
    let (old, new) = (key(Algorithm::Es256), key(Algorithm::EdDsa));
    let written = |more: &str| config(&upstream, "staff", more, "{ audience: orders }");
    let gateway = written("").start_in(with_key(&old).file("next.pem", &new).file("old.pem", &old));
    let token = |gateway: &Gateway| {
        upstream.forget();
        assert_eq!(ask(gateway, &bearer("ann")), 200);
        token_of(&upstream.only_request())
    };
    let reload = |nth: usize, more: &str| {
        gateway.rewrite(&written(more).text());
        gateway.hang_up();
        let _ = gateway.wait_for_event("reloaded", nth);
        (published(&gateway), token(&gateway))
    };
    let (keys, first) = (published(&gateway), token(&gateway));
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    let (announced, second) = reload(0, ", more_keys: [next.pem]");
    assert_eq!(part(&second, 0)["kid"], part(&first, 0)["kid"], "what is published signs nothing yet");
    gateway.write("gate.pem", &new);
    let (changed, third) = reload(1, ", more_keys: [old.pem]");
    assert_ne!(part(&third, 0)["kid"], part(&first, 0)["kid"]);
    let (last, fourth) = reload(2, "");
    assert_eq!(last["keys"].as_array().unwrap().len(), 1);
    let holds = |keys: &Value, token: &str| verify(gateway.folder(), keys, token, "orders").code == 0;
    for (keys, token) in [
        (&keys, &first),
        (&announced, &first),
        (&announced, &second),
        (&announced, &third),
        (&changed, &second),
        (&changed, &third),
        (&last, &third),
        (&last, &fourth),
    ] {
        assert!(holds(keys, token));
    }
    assert!(!holds(&last, &second) && !holds(&keys, &third));
    // A key that is none leaves all as it was.
    gateway.write("gate.pem", "no key");
    gateway.hang_up();
    let _ = gateway.wait_for_event("reload_refused", 0);
    assert!(holds(&last, &token(&gateway)));
}

#[test]
fn a_token_holds_no_longer_than_the_credential_or_as_is_written() {
    let upstream = Upstream::start();
    let gateway = config(&upstream, "staff", ", lifetime: 10m", "{ audience: orders }")
        .start_in(with_key(&key(Algorithm::EdDsa)));
    let now = SystemClock.now().as_secs();
    assert_eq!(ask(&gateway, &bearer_with("ann", json!({ "exp": now + 100 }))), 200);
    assert_eq!(ask(&gateway, &bearer("ann")), 200);
    let seen = upstream.requests();
    assert_eq!(part(&token_of(&seen[0]), 1)["exp"], now + 100);
    let claims = part(&token_of(&seen[1]), 1);
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 600);
}

/// The token that was kept for a credential is of no use to whoever shows it when it is refused.
#[test]
fn what_is_revoked_gets_no_token() {
    let upstream = Upstream::start();
    let gateway = config(&upstream, "staff", "", "{ audience: orders }")
        .section("store", "{ database: \"sqlite://state.db\" }")
        .section(
            "admin",
            format!("{{ address: \"127.0.0.1:0\", operators: {} }}", *crate::operators::OPERATORS),
        )
        .start_in(with_key(&key(Algorithm::EdDsa)));
    let shown = bearer_with("ann", json!({ "jti": "t-1" }));
    assert_eq!(ask(&gateway, &shown), 200);
    upstream.forget();
    let api = crate::operators::ops(&gateway);
    assert_eq!(api.post("/v1/revocations", &json!({ "token": "t-1" })).status, 201);
    assert_eq!(ask(&gateway, &shown), 401);
    upstream.assert_no_contact();
}

#[test]
fn what_cannot_work_is_refused_when_it_is_loaded() {
    let upstream = Upstream::start();
    let token = "{ audience: orders }";
    let refused = |config: Config, told: &str| {
        let setup = with_key(&key(Algorithm::EdDsa))
            .file("none.pem", "-----BEGIN NOTHING-----")
            .file("public.pem", EC.public_pem().unwrap())
            .file("open.pem", key(Algorithm::EdDsa));
        let open = setup.folder().join("open.pem");
        std::fs::set_permissions(open, std::fs::Permissions::from_mode(0o644)).unwrap();
        let refusal = setup.refuse(&config.text());
        assert!(refusal.stderr.contains(told), "{told}: {}", refusal.stderr);
    };
    let signed = |section: &str| {
        config(&upstream, "staff", "", token).section("internal_tokens", format!("{{ {section} }}"))
    };
    for (section, told) in [
        ("issuer: \"\", key: gate.pem", "internal_tokens.issuer"),
        ("issuer: a, key: missing.pem", "missing.pem"),
        ("issuer: a, key: none.pem", "holds no private key"),
        ("issuer: a, key: public.pem", "holds no private key"),
        ("issuer: a, key: open.pem", "open to everybody"),
        ("issuer: a, key: gate.pem, algorithm: RS256", "holds no private key for RS256"),
        ("issuer: a, key: gate.pem, more_keys: [none.pem]", "internal_tokens.more_keys[0]"),
        ("issuer: a, key: gate.pem, more_keys: [open.pem]", "open to everybody"),
        ("issuer: a, key: gate.pem, lifetime: 1s", "not between"),
        ("issuer: a, key: gate.pem, lifetime: 11m", "not between"),
        ("issuer: a, key: gate.pem, jwks_max_age: 2d", "not between"),
        ("issuer: a, key: gate.pem, jwks_path: keys", "not the path of a document"),
        ("issuer: a, key: gate.pem, jwks_path: /a/../keys", "not the path of a document"),
    ] {
        refused(signed(section), told);
    }
    for (token, told) in [
        ("{ audience: \"\" }", "the token would be for every service"),
        ("{ audience: a, header: \"a b\" }", "not a header name"),
        ("{ audience: a, header: Cookie }", "a structure of its own"),
        ("{ audience: a, header: Host }", "a meaning of its own"),
        ("{ audience: a, header: X-API-Key }", "requests are judged by"),
        ("{ audience: a, claims: { sub: subject } }", "the gateway's own"),
        ("{ audience: a, claims: { cnf: \"claim:cnf\" } }", "the gateway's own"),
        ("{ audience: a, claims: { x: nothing } }", "nothing that a caller has"),
    ] {
        refused(config(&upstream, "staff", "", token), told);
    }
    let both = |forward: &str| config(&upstream, "staff", "", token).policy("forward", forward);
    refused(
        both("{ internal_token: { audience: a }, access_token: true }"),
        "another token into `Authorization`",
    );
    refused(
        both("{ internal_token: { audience: a, header: X-Who }, identity: { x-who: subject } }"),
        "names the caller already",
    );
    let unsigned = authenticated(plain(&upstream.url()), "staff")
        .policy("forward", format!("{{ internal_token: {token} }}"));
    refused(unsigned, "nothing says who signs it");
}

/// The example, as it is published.
#[test]
fn the_example_tells_two_services_who_asks() {
    let upstream = Upstream::start();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/internal-tokens.yaml");
    let gateway = folder()
        .file("internal.pem", key(Algorithm::EdDsa))
        .variable("LISTEN", "127.0.0.1:0")
        .variable("ADMIN", "127.0.0.1:0")
        .variable("UPSTREAM", upstream.url())
        .variable("ISSUER", ISSUER)
        .variable("AUDIENCE", "shop")
        .variable("ISSUER_KEY", "staff.pem")
        .start(&std::fs::read_to_string(example).unwrap());
    for path in ["/orders/17", "/reports/2027"] {
        let answer =
            raw::get(gateway.address("public"), path, &bearer_with("ann", json!({ "scope": "read" })));
        assert_eq!(answer.status, 200, "{path}");
    }
    let seen = upstream.requests();
    let orders = part(&token_of(&seen[0]), 1);
    assert_eq!((&orders["aud"], &orders["scope"]), (&json!("orders"), &json!("read")));
    let reports = seen[1].header("x-caller-token").unwrap();
    assert_eq!(part(&reports, 1)["aud"], "reports");
    assert_eq!(published(&gateway)["keys"].as_array().unwrap().len(), 1);
}
