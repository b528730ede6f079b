//! The admin API: who may use it, and what it says to those who ask in the wrong way.

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw;
use serde_json::{Value, json};

use crate::common::{Config, plain};
use crate::databases::on_both;
use crate::operators::{OPERATORS, asking, ops, viewer};

fn config(upstream: &Upstream, database: &str) -> Config {
    plain(&upstream.url())
        .section("store", format!("{{ database: \"{database}\" }}"))
        .section(
            "authentication",
            "{ api_keys: [{ name: partners, stored: { pepper: \"0123456789abcdef0123456789abcdef\" } }] }",
        )
        .section("admin", format!("{{ address: \"127.0.0.1:0\", operators: {} }}", *OPERATORS))
        .policy("authenticate", "{ methods: [partners] }")
}

fn key_is_answered(gateway: &Gateway, key: &str) -> u16 {
    raw::get(gateway.address("public"), "/", &format!("X-API-Key: {key}\r\n")).status
}

#[test]
fn keys_are_made_shown_changed_and_deleted() {
    on_both(|database| {
        let upstream = Upstream::start();
        let gateway = config(&upstream, database).start();
        let api = ops(&gateway);
        let content = json!({ "id": "acme", "owner": "Acme Ltd", "scopes": ["read"], "expires": "90d" });
        let made = api.post("/v1/keys", &content);
        assert_eq!(made.status, 201, "{}", made.text());
        assert_eq!(made.header("cache-control").as_deref(), Some("no-store"));
        let first = made.json()["key"].as_str().unwrap().to_owned();
        assert_eq!(key_is_answered(&gateway, &first), 200);
        assert_eq!(api.post("/v1/keys", &content).code(), "exists");

        let shown = viewer(&gateway).get("/v1/keys/acme");
        assert_eq!((shown.status, &shown.json()["owner"]), (200, &json!("Acme Ltd")));
        assert!(!shown.text().contains(&first));
        for id in ["beta", "carol"] {
            assert_eq!(api.post("/v1/keys", &json!({ "id": id })).status, 201);
        }
        let page = |path: &str| {
            let page = api.get(path).json();
            let ids: Vec<Value> =
                page["keys"].as_array().unwrap().iter().map(|key| key["id"].clone()).collect();
            (ids, page["next"].clone())
        };
        assert_eq!(page("/v1/keys?limit=2"), (vec![json!("acme"), json!("beta")], json!("beta")));
        assert_eq!(page("/v1/keys?limit=2&after=beta"), (vec![json!("carol")], Value::Null));

        let rotated = api.post("/v1/keys/acme/rotate", &json!({ "overlap": "0s" }));
        let second = rotated.json()["key"].as_str().unwrap().to_owned();
        assert_eq!(api.post("/v1/keys/acme/disable", &json!({})).status, 204);
        assert_eq!(api.get("/v1/keys/acme").json()["enabled"], false);
        assert_eq!(api.post("/v1/keys/acme/enable", &json!({})).status, 204);
        assert_eq!(api.delete("/v1/keys/beta").status, 204);
        assert_eq!(api.get("/v1/keys/beta").status, 404);

        let records = gateway.stop_and_audit();
        let changes: Vec<String> = records
            .iter()
            .filter(|record| record["event.name"] == "change" && record["change.topic"] == "api_keys")
            .map(|record| {
                format!(
                    "{} {}",
                    record["change.action"].as_str().unwrap(),
                    record["change.subject"].as_str().unwrap()
                )
            })
            .collect();
        let expected = [
            "created acme",
            "created beta",
            "created carol",
            "rotated acme",
            "disabled acme",
            "enabled acme",
            "deleted beta",
        ];
        assert_eq!(changes, expected);
        let all = serde_json::to_string(&records).unwrap();
        assert!(!all.contains(&first) && !all.contains(&second), "no key is on the record");
    });
}

#[test]
fn only_operators_use_it_and_each_as_they_may() {
    let upstream = Upstream::start();
    let gateway = config(&upstream, "sqlite://state.db").start();
    let nobody = raw::get(gateway.address("admin"), "/v1/keys", "");
    assert_eq!((nobody.status, nobody.code()), (401, "credential_missing".to_owned()));
    assert_eq!(nobody.header("www-authenticate").as_deref(), Some("Bearer realm=\"admin\""));
    let made_up = portcullis_authn::api_key::generate("ops").unwrap();
    for token in [made_up.key.expose(), "", "x", "pcl_ops_"] {
        let answer = asking(&gateway, token).get("/v1/keys");
        assert_eq!((answer.status, answer.code()), (401, "invalid_token".to_owned()), "{token}");
    }
    let viewer = viewer(&gateway);
    assert_eq!(viewer.get("/v1/keys").status, 200);
    for answer in [
        viewer.post("/v1/keys", &json!({ "id": "acme" })),
        viewer.post("/v1/keys/acme/rotate", &json!({})),
        viewer.delete("/v1/keys/acme"),
        viewer.post("/v1/revocations", &json!({ "subject": "ann" })),
        viewer.delete("/v1/revocations/a"),
    ] {
        assert_eq!((answer.status, answer.code()), (403, "forbidden".to_owned()));
    }
    assert_eq!(ops(&gateway).get("/v1/keys").json(), json!({ "keys": [] }));
}

#[test]
fn what_is_asked_in_the_wrong_way_is_told_so() {
    let upstream = Upstream::start();
    let gateway = config(&upstream, "sqlite://state.db").start();
    let api = ops(&gateway);
    for (answer, status, says) in [
        (api.get("/v1/nothing"), 404, "no such thing"),
        (api.get("/v1/keys/acme/explode"), 404, "no such thing"),
        (api.delete("/v1/keys"), 405, "GET, POST"),
        (api.get("/v1/keys?limit=0"), 400, "between 1 and 1000"),
        (api.get("/v1/sessions?subjct=ann"), 400, "no parameter `subjct`"),
        (api.get("/v1/sessions?subject=50%off"), 400, "percent-encoded"),
        (api.get("/v1/sessions?subject=a&subject=b"), 400, "more than once"),
        (api.get("/v1/keys?method=staff"), 404, "no method of that name"),
        (api.post("/v1/keys", &json!({ "id": "a", "scope": "read" })), 400, "unknown field `scope`"),
        (api.post("/v1/keys", &json!({ "id": "a b" })), 400, "id of a key"),
        (api.post("/v1/keys", &json!({ "id": "a", "expires": "noon" })), 400, "`90d`"),
        (api.post("/v1/keys/acme/rotate", &json!({})), 404, "no key `acme`"),
        (api.post("/v1/revocations", &json!({})), 400, "which tokens"),
        (api.post("/v1/revocations", &json!({ "subject": "" })), 400, "`subject` is empty"),
    ] {
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.header("content-type").as_deref(), Some("application/problem+json"));
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(says), "{detail}");
    }
    assert_eq!(api.delete("/v1/keys").header("allow").as_deref(), Some("GET, POST"));
}

#[test]
fn without_operators_or_a_database_it_says_what_is_missing() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let answer = raw::get(gateway.address("admin"), "/v1/keys", "");
    assert_eq!((answer.status, answer.code()), (404, "no_operators".to_owned()));
    let operators = format!("{{ address: \"127.0.0.1:0\", operators: {} }}", *OPERATORS);
    let gateway = plain(&upstream.url()).section("admin", operators).start();
    let answer = ops(&gateway).get("/v1/revocations");
    assert!(answer.status == 404 && answer.text().contains("store.database"), "{}", answer.text());
}
