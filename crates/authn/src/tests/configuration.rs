//! What `check` says about a configuration that is wrong.

use serde_json::{Value, json};

use super::fixture::*;
use crate::api_key::generate;
use crate::{RawAuthenticate, RawAuthentication};

/// The paths and messages of all faults.
fn faults(raw: Value) -> Vec<(String, String)> {
    let (rsa, ec) = (RSA.public_pem().unwrap(), EC.public_pem().unwrap());
    let files = [
        ("rsa.pem", rsa.as_str()),
        ("ec.pem", ec.as_str()),
        ("both.pem", &format!("{rsa}{ec}")),
        ("keys.json", r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#),
        ("list.json", r#"[{"id":"a"}]"#),
    ];
    let (_, _, problems) = compile(raw, &files);
    problems.iter().map(|problem| (problem.path.to_string(), problem.message.clone())).collect()
}

fn assert_fault(raw: Value, path: &str, words: &str) {
    let found = faults(raw.clone());
    assert!(
        found.iter().any(|(at, message)| at == path && message.contains(words)),
        "{raw}\nexpected {path}: {words}\nfound {found:#?}"
    );
}

#[test]
fn wrong_jwt_methods_are_refused() {
    for (changes, key, words) in [
        (json!({ "name": "" }), "name", "empty"),
        (json!({ "name": "anonymous" }), "name", "without a credential"),
        (json!({ "issuer": "" }), "issuer", "empty"),
        (json!({ "audiences": [] }), "audiences", "empty"),
        (json!({ "audiences": ["orders", ""] }), "audiences[1]", "empty"),
        (json!({ "types": [] }), "types", "empty"),
        (json!({ "required_claims": [""] }), "required_claims[0]", "empty"),
        (json!({ "algorithms": [] }), "algorithms", "empty"),
        (json!({ "leeway": "6m" }), "leeway", "longer than 5m"),
        (json!({ "max_token": "65KiB" }), "max_token", "64KiB"),
        (json!({ "max_token": "0B" }), "max_token", "64KiB"),
        (json!({ "header": "not a header" }), "header", "not a header name"),
        (json!({ "refresh": {} }), "refresh", "jwks_url"),
        (json!({ "keys": { "pem": "absent.pem" } }), "keys.pem", "cannot read"),
        (json!({ "keys": { "pem": "keys.json" } }), "keys.pem", "PUBLIC KEY"),
        (json!({ "keys": { "pem": "ec.pem" } }), "keys.pem", "RS256 does not work"),
        (json!({ "algorithms": ["RS256", "ES256"] }), "keys.pem", "ES256 does not work"),
        (json!({ "algorithms": ["RS256", "HS256"] }), "keys.pem", "HS256 does not work"),
        (json!({ "keys": { "jwks": "keys.json" } }), "keys.jwks", "no key in the set"),
        (json!({ "keys": { "jwks": "rsa.pem" } }), "keys.jwks", "not a JWKS"),
        (json!({ "keys": { "jwks": "keys.json" }, "algorithms": ["HS256"] }), "keys.jwks", "HS256"),
        (json!({ "keys": { "jwks_url": "http://example.com/" } }), "keys.jwks_url", "https"),
        (
            json!({ "keys": { "jwks_url": "https://example.com/" }, "algorithms": ["HS512"] }),
            "keys.jwks_url",
            "HS512",
        ),
        (
            json!({ "keys": { "jwks_url": "https://example.com/" }, "refresh": { "every": "1s", "cool_down": "30s" } }),
            "refresh.every",
            "shorter",
        ),
        (json!({ "keys": { "secret": "s".repeat(64) } }), "keys.secret", "RS256 does not work"),
        (
            json!({ "keys": { "secret": "s".repeat(31) }, "algorithms": ["HS256"] }),
            "keys.secret",
            "too short for HS256",
        ),
        (
            json!({ "keys": { "secret": "s".repeat(47) }, "algorithms": ["HS256", "HS384"] }),
            "keys.secret",
            "too short for HS384",
        ),
    ] {
        assert_fault(json!({ "jwt": [method_with(changes)] }), &format!("jwt[0].{key}"), words);
    }
    let twice = json!({ "jwt": [method_with(json!({})), method_with(json!({}))] });
    assert_fault(twice, "jwt[1].name", "already a method `main`");
    assert_fault(json!({ "realm": "a\"b" }), "realm", "cannot stand in a header");
    assert_fault(json!({ "cache": { "max_entries": 10_000_001 } }), "cache.max_entries", "more than");
}

#[test]
fn wrong_api_keys_are_refused() {
    let good = generate("a").unwrap();
    let key = |changes: Value| {
        let mut key = json!({ "id": "a", "hash": good.hash });
        key.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        json!({ "keys": [key] })
    };
    for (changes, path, words) in [
        (json!({ "header": "a b" }), "header", "not a header name"),
        (json!({ "header": "Authorization" }), "header", "structure of its own"),
        (json!({ "query": "" }), "query", "not the name"),
        (json!({ "query": "a&b" }), "query", "not the name"),
        (json!({ "query": "api_key" }), "query", "end up in access logs"),
        (json!({ "keys": [] }), "keys", "no key"),
        (key(json!({ "id": "a b" })), "keys[0].id", "not the id"),
        (key(json!({ "hash": "sha256:00" })), "keys[0].hash", "not a hash"),
        (key(json!({ "hash": good.hash.to_uppercase() })), "keys[0].hash", "not a hash"),
        (key(json!({ "hash": format!("sha256:{}", "+1".repeat(32)) })), "keys[0].hash", "not a hash"),
        (key(json!({ "hash": good.key.expose() })), "keys[0].hash", "not a hash"),
        (key(json!({ "expires": "tomorrow" })), "keys[0].expires", "not a moment"),
        (key(json!({ "expires": "2027-01-31T00:00:00+02:00" })), "keys[0].expires", "not a moment"),
        (key(json!({ "scopes": ["a b"] })), "keys[0].scopes[0]", "not a scope"),
        (key(json!({ "roles": [""] })), "keys[0].roles[0]", "empty role"),
        (json!({ "keys_file": "absent.json" }), "keys_file", "cannot read"),
        (json!({ "keys_file": "list.json" }), "keys_file", "not a JSON list of keys"),
        (
            json!({ "keys": [{ "id": "a", "hash": good.hash }, { "id": "a", "hash": good.hash }] }),
            "keys[1].id",
            "already a key `a`",
        ),
    ] {
        let mut method = json!({ "name": "keys" });
        method.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        assert_fault(json!({ "api_keys": [method] }), &format!("api_keys[0].{path}"), words);
    }
}

#[test]
fn wrong_routes_are_refused() {
    let same_issuer = method_with(json!({ "name": "same", "audiences": ["x"] }));
    let by_header = method_with(json!({ "name": "by_header", "header": "X-API-Key" }));
    let (gateway, _) = gateway_of(json!({
        "jwt": [method_with(json!({})), same_issuer, by_header],
        "api_keys": [{ "name": "keys" }, { "name": "more_keys" }],
    }));
    for (raw, path, words, suggestion) in [
        (json!({}), "methods", "list is empty", "`[anonymous]`"),
        (json!({ "mode": "shadow" }), "methods", "list is empty", "`[anonymous]`"),
        (json!({ "methods": ["mian"] }), "methods[0]", "no method `mian`", "did you mean `main`?"),
        (json!({ "methods": ["anonymus"] }), "methods[0]", "no method", "did you mean `anonymous`?"),
        (json!({ "methods": ["zzz"] }), "methods[0]", "no method", "define it"),
        (json!({ "methods": ["main", "main"] }), "methods[1]", "twice", "remove"),
        (json!({ "methods": ["anonymous", "main"] }), "methods[0]", "after every method", "last"),
        (json!({ "methods": ["main", "same"] }), "methods[1]", "same issuer", "audiences"),
        (json!({ "methods": ["keys", "more_keys"] }), "methods[1]", "reads `x-api-key`", "different"),
        (json!({ "methods": ["keys", "by_header"] }), "methods[1]", "reads `x-api-key`", "different"),
        (json!({ "methods": ["by_header", "keys"] }), "methods[1]", "reads `x-api-key`", "different"),
        (
            json!({ "methods": ["main", "anonymous"], "scopes": { "any": ["a"] } }),
            "methods[1]",
            "no scopes",
            "remove",
        ),
        (
            json!({ "methods": ["main"], "scopes": { "all": ["a b"] } }),
            "scopes.all[0]",
            "not a scope",
            "visible",
        ),
    ] {
        let (_, problems) = gateway.try_route(raw.clone());
        let found = problems.iter().find(|problem| problem.path.as_str() == path);
        let found = found.unwrap_or_else(|| panic!("{raw}: {problems:?}"));
        assert!(found.message.contains(words), "{raw}: {found:?}");
        assert!(found.suggestion.as_ref().unwrap().contains(suggestion), "{raw}: {found:?}");
    }
    assert!(gateway.try_route(json!({ "mode": "off" })).1.is_empty());
}

#[test]
fn a_method_with_faults_is_not_reported_as_missing_too() {
    let (authentication, _folder, problems) = compile(json!({ "jwt": [method_with(json!({}))] }), &[]);
    assert!(problems.has_errors());
    let mut problems = portcullis_core::Problems::default();
    let raw: RawAuthenticate = serde_json::from_value(json!({ "methods": ["main"] })).unwrap();
    let root = portcullis_core::KeyPath::root();
    let _ = crate::Authenticate::compile(&raw, &authentication, &root, &mut problems);
    assert!(problems.is_empty());
}

#[test]
fn unknown_keys_and_unknown_algorithms_are_no_configuration() {
    for raw in [
        json!({ "jwts": [] }),
        json!({ "cache": { "size": 1 } }),
        json!({ "jwt": [method_with(json!({ "aud": "x" }))] }),
        json!({ "jwt": [method_with(json!({ "algorithms": ["none"] }))] }),
        json!({ "jwt": [method_with(json!({ "algorithms": ["rs256"] }))] }),
        json!({ "jwt": [method_with(json!({ "keys": {} }))] }),
        json!({ "jwt": [method_with(json!({ "keys": { "pem": "a", "secret": "b" } }))] }),
        json!({ "api_keys": [{ "name": "k", "keys": [{ "id": "a", "hash": "x", "key": "y" }] }] }),
    ] {
        assert!(serde_json::from_value::<RawAuthentication>(raw.clone()).is_err(), "{raw}");
    }
}

#[test]
fn no_secret_is_shown() {
    let secret = "planted-secret-".repeat(2);
    let method = method_with(json!({ "algorithms": ["HS256"], "keys": { "secret": secret } }));
    let raw = json!({ "jwt": [method] });
    let parsed: RawAuthentication = serde_json::from_value(raw.clone()).unwrap();
    let (authentication, _folder, problems) = compile(raw, &[]);
    assert!(problems.has_errors(), "30 bytes are too short");
    let url =
        json!({ "jwt": [method_with(json!({ "keys": { "jwks_url": "https://u:planted-secret-@h/" } }))] });
    let (_, _, more_problems) = compile(url, &[]);
    let shown = format!("{parsed:?} {authentication:?} {problems:?} {more_problems:?}");
    assert!(!shown.contains("planted"), "{shown}");
}
