//! What is on the record, and what is never: not there, not in logs, answers or metrics.

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::raw;
use serde_json::{Value, json};

use crate::common::plain;
use crate::credentials::{ISSUER, authenticated, bearer_with, folder, partner};

fn keys(record: &Value) -> Vec<&str> {
    record.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_line_says_who_asked_for_what_and_why_it_passed() {
    let upstream = Upstream::start();
    let gateway = authenticated(plain(&upstream.url()), "staff")
        .section("client_address", "{ trusted_proxies: [127.0.0.1] }")
        .section("authorization", "{ policies: [policies.cedar] }")
        .section("limits", "[{ name: daily, key: [principal], rate: 10/d }]")
        .policy("authorize", "{ mode: enforce }")
        .policy("limit", "{ apply: [daily] }")
        .routes(&["{ name: order, path: \"/orders/{id}\" }"])
        .start_in(folder().file("policies.cedar", "@id(\"all\") permit (principal, action, resource);"));
    let lines =
        format!("{}X-Forwarded-For: 192.0.2.7\r\n", bearer_with("ann", json!({ "email": "ann@shop.test" })));
    let answer = raw::post(gateway.address("public"), "/orders/%34%32?page=2", &lines, "four");
    assert_eq!(answer.status, 200);
    let record = gateway.stop_and_audit().remove(0);
    for (key, expected) in [
        ("event.name", json!("request")),
        ("request_id", json!(answer.header("x-request-id").unwrap())),
        ("trace_id", record["request_id"].clone()),
        ("client.address", json!("192.0.2.7")),
        ("network.peer.address", json!("127.0.0.1")),
        ("http.request.method", json!("POST")),
        ("url.path", json!("/orders/42")),
        ("server.address", json!("api.example.com")),
        ("network.protocol.version", json!("1.1")),
        ("http.response.status_code", json!(200)),
        ("route", json!("order")),
        ("service", json!("shop")),
        ("decision", json!("allow")),
        ("principal.kind", json!("user")),
        ("principal.id", json!("ann")),
        ("principal.issuer", json!(ISSUER)),
        ("principal.method", json!("staff")),
        ("policies", json!(["all"])),
        ("limits", json!([{ "name": "daily", "quota": 10, "remaining": 9, "exceeded": false }])),
        (
            "stages",
            json!({ "protocol": "pass", "target": "pass", "route": "pass", "authenticate": "pass",
                    "authorize": "pass", "limit": "pass", "forward": "pass" }),
        ),
        ("upstream.address", json!(upstream.url())),
        ("http.request.body.size", json!(4)),
        ("http.response.body.size", json!(answer.body.len())),
        ("config_generation", json!(1)),
    ] {
        assert_eq!(record[key], expected, "{key}");
    }
    assert!(record["duration_us"].as_u64() >= record["upstream.duration_us"].as_u64(), "{record}");
    // RFC 3339 in UTC.
    let moment = record["timestamp"].as_str().unwrap();
    assert!(moment.ends_with('Z') && moment.as_bytes()[10] == b'T', "{moment}");
    assert_eq!(keys(&record).len(), 24 + 3, "nothing else is told: {:?}", keys(&record));
}

#[test]
fn a_refusal_is_on_the_record_with_what_is_known_by_then() {
    let upstream = Upstream::start();
    let gateway = authenticated(plain(&upstream.url()), "staff")
        .routes(&["{ name: order, path: \"/orders/{id}\", methods: [GET] }"])
        .start_in(folder());
    for (method, path) in [("GET", "/orders/42"), ("GET", "/nowhere"), ("DELETE", "/orders/42")] {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
        let _ = raw::request(gateway.address("public"), head);
    }
    upstream.assert_no_contact();
    let records = gateway.stop_and_audit();
    let told: Vec<_> = records
        .iter()
        .map(|record| {
            ["stage", "reason_code", "route", "http.response.status_code"].map(|key| record[key].clone())
        })
        .collect();
    let expected = [
        [json!("authenticate"), json!("credential_missing"), json!("order"), json!(401)],
        [json!("route"), json!("no_route"), Value::Null, json!(404)],
        [json!("route"), json!("method_not_allowed"), Value::Null, json!(405)],
    ];
    assert_eq!(told, expected);
    for record in &records {
        assert_eq!(record["decision"], "deny");
        assert_eq!((record.get("principal.id"), record.get("upstream.address")), (None, None));
    }
}

#[test]
fn records_go_to_a_file_to_standard_output_to_both_or_nowhere() {
    let upstream = Upstream::start();
    let told = |settings: &str| {
        let mut gateway = plain(&upstream.url()).section("audit", settings).start();
        assert_eq!(raw::get(gateway.address("public"), "/status/204", "").status, 204, "{settings}");
        assert!(gateway.stop().success());
        let printed = gateway.stdout();
        let printed = printed.lines().filter(|line| line.contains("\"url.path\":\"/status/204\""));
        (gateway.audit().len(), printed.count())
    };
    for (settings, in_file, printed) in [
        ("off", 0, 0),
        ("{ stdout: true }", 0, 1),
        ("{}", 0, 1),
        ("{ file: audit.jsonl }", 1, 0),
        ("{ file: audit.jsonl, stdout: true }", 1, 1),
        ("{ file: audit.jsonl, stdout: false }", 1, 0),
    ] {
        assert_eq!(told(settings), (in_file, printed), "{settings}");
    }
}

/// Everything that a client may send and that others must not read: design defect 19.
#[test]
fn secrets_are_told_to_nobody() {
    const PLANTED: &str = "planted5ecret";
    let upstream = Upstream::start();
    let secret = format!("{PLANTED}-of-the-configuration-{PLANTED}");
    let section = crate::credentials::section().replacen(
        "jwt: [",
        &format!(
            "jwt: [{{ name: ours, issuer: \"{ISSUER}\", audiences: [shop], algorithms: [HS256], \
             keys: {{ secret: \"${{SHARED}}\" }}, header: X-Token }}, "
        ),
        1,
    );
    let gateway = authenticated(plain(&upstream.url()), "staff, ours, partners, anonymous")
        .section("authentication", section)
        .section("authorization", "{ policies: [policies.cedar], context_headers: [x-tenant] }")
        .section("limits", "[{ name: once, key: [principal], rate: 1/d }]")
        .routes(&[
            "{ name: passes, path: /status/204 }",
            "{ name: staff, path: /status/204/staff, policy: { authenticate: { methods: [staff, ours, partners] } } }",
            "{ name: denied, path: /denied, policy: { authorize: { mode: enforce } } }",
            "{ name: limited, path: /status/204/limited, policy: { limit: { mode: enforce, apply: [once] } } }",
            "{ name: broken, path: /close }",
        ])
        .start_in(folder().variable("SHARED", &secret).file(
            "policies.cedar",
            "forbid (principal, action, resource) when { context.headers has \"x-tenant\" };",
        ));
    let token = bearer_with("ann", json!({ "email": format!("{PLANTED}@shop.test") }));
    let token = token.trim_start_matches("Authorization: Bearer ").trim_end().to_owned();
    let (payload, signature) = (token.split('.').nth(1).unwrap(), token.rsplit('.').next().unwrap());
    let shown = [
        format!("Authorization: Bearer {token}\r\n"),
        format!("Authorization: Bearer {token}x\r\n"),
        format!("Authorization: Bearer {PLANTED}\r\n"),
        format!("Authorization: Basic {PLANTED}\r\n"),
        format!("Authorization: {PLANTED}\r\n"),
        format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {PLANTED}\r\n"),
        format!("X-API-Key: {}\r\n", partner()),
        format!("X-API-Key: pcl_acme_{PLANTED}\r\n"),
        format!("X-Token: {token}\r\n"),
        format!("Cookie: session={PLANTED}\r\nX-Tenant: {PLANTED}\r\n"),
        format!("Proxy-Authorization: Basic {PLANTED}\r\nReferer: https://a.test/?{PLANTED}\r\n"),
        format!("X-Secret : {PLANTED}\r\n"),
        format!("Transfer-Encoding: {PLANTED}\r\n"),
    ];
    let mut answers = Vec::new();
    let mut send = |request: String| {
        let answer = raw::request(gateway.address("public"), request);
        let fields = answer.headers.iter().map(|(name, value)| (name, String::from_utf8_lossy(value)));
        answers.push(format!("{} {:?}\n{}", answer.status, fields.collect::<Vec<_>>(), answer.text()));
    };
    for path in [
        "/status/204",
        "/status/204/staff",
        "/denied",
        "/status/204/limited",
        "/status/204/limited",
        "/close",
        "/nowhere",
        "/a%2fb",
    ] {
        let queries = [
            String::new(),
            format!("?api_key={}", partner()),
            format!("?access_token={token}&{PLANTED}#{PLANTED}"),
        ];
        for query in &queries {
            for lines in &shown {
                send(format!("GET {path}{query} HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
            }
            send(format!("GET http://user:{PLANTED}@a{path}{query} HTTP/1.1\r\nHost: a\r\n\r\n"));
            send(format!("GET {path}{query} HTTP/1.1\r\nHost: user:{PLANTED}@a\r\n\r\n"));
            send(format!("TRACE {path}{query} HTTP/1.1\r\nHost: a\r\nCookie: {PLANTED}\r\n\r\n"));
            send(format!("POST {path}{query} HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\n\r\n{PLANTED}"));
        }
    }
    let metrics = raw::get(gateway.address("admin"), "/metrics", "").text();
    let file = gateway.folder().join("audit.jsonl");
    let mut gateway = gateway;
    assert!(gateway.stop().success());
    let record = std::fs::read_to_string(file).unwrap();
    assert_eq!(record.lines().count(), answers.len(), "each answer is on the record");
    let statuses: std::collections::BTreeSet<&str> = answers.iter().map(|answer| &answer[..3]).collect();
    for status in ["204", "400", "401", "403", "404", "405", "429", "501", "502"] {
        assert!(statuses.contains(status), "{status} among {statuses:?}");
    }
    let key_secret = &partner()["pcl_acme_".len()..];
    for (place, text) in [
        ("the answers", answers.join("\n")),
        ("the record", record),
        ("the log", gateway.stderr()),
        ("the metrics", metrics),
    ] {
        for secret in [PLANTED, &token, payload, signature, key_secret] {
            let told: Vec<_> = text.lines().filter(|line| line.contains(secret)).collect();
            assert!(told.is_empty(), "{secret} is in {place}:\n{}", told.join("\n"));
        }
    }
}
