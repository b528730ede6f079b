//! Limits: what is counted apart, and what those are told who come too often.

use std::time::Instant;

use portcullis_testkit::PATIENCE;
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Response};
use serde_json::json;

use super::{challenges, refusal};
use crate::common::{Config, plain};
use crate::credentials::{EC, authenticated, authorization, bearer, claims, folder, partner};

/// A gateway whose routes all count by these limits. With a rate of some per day no bucket refills meanwhile.
fn limited(upstream: &Upstream, limits: &str, apply: &str) -> Config {
    authenticated(plain(&upstream.url()), "staff, partners, anonymous")
        .section("limits", format!("[{limits}]"))
        .section("client_address", "{ trusted_proxies: [127.0.0.1] }")
        .policy("limit", format!("{{ mode: enforce, apply: [{apply}] }}"))
}

fn get(gateway: &Gateway, path: &str, lines: &str) -> Response {
    raw::get(gateway.address("public"), path, lines)
}

fn from(address: &str) -> String {
    format!("X-Forwarded-For: {address}\r\n")
}

/// The parameters of each limit in a field: name, first and second number.
fn items(answer: &Response, field: &str) -> Vec<(String, u64, u64)> {
    let value = answer.header(field).unwrap_or_else(|| panic!("no {field}"));
    let item = |text: &str| {
        let mut parts = text.split(';');
        let name = parts.next().unwrap().trim_matches('"').to_owned();
        let mut number = || parts.next().unwrap().split_once('=').unwrap().1.parse().unwrap();
        (name, number(), number())
    };
    value.split(", ").map(item).collect()
}

#[test]
fn a_bucket_is_full_at_first_and_a_refusal_says_when_to_come_back() {
    let upstream = Upstream::start();
    let gateway = limited(&upstream, "{ name: daily, key: [global], rate: 3/d }", "daily").start_in(folder());
    for remaining in [2, 1, 0] {
        let answer = get(&gateway, "/", "");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("ratelimit-policy").as_deref(), Some("\"daily\";q=3;w=86400"));
        let [(name, left, reset)] = items(&answer, "ratelimit").try_into().unwrap();
        assert_eq!((name.as_str(), left), ("daily", remaining));
        assert!((1..=86_400).contains(&reset), "{reset}");
        assert_eq!(answer.header("retry-after"), None);
    }
    let answer = get(&gateway, "/", "");
    assert_eq!(refusal(&answer), (429, "rate_limited".to_owned()));
    let [(name, left, reset)] = items(&answer, "ratelimit").try_into().unwrap();
    assert_eq!((name.as_str(), left), ("daily", 0));
    assert!((1..=28_800).contains(&reset), "one token comes back in a third of a day, not in {reset} s");
    assert_eq!(answer.header("retry-after"), Some(reset.to_string()));
    assert_eq!(answer.header("ratelimit-policy").as_deref(), Some("\"daily\";q=3;w=86400"));
    assert_eq!(challenges(&answer), [""; 0]);
    let problem = answer.json();
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(problem["violated-policies"], json!(["daily"]));
    assert_eq!(upstream.requests().len(), 3);

    let records = gateway.stop_and_audit();
    assert_eq!(
        records[0]["limits"],
        json!([{ "name": "daily", "quota": 3, "remaining": 2, "exceeded": false }])
    );
    let refused = &records[3];
    assert_eq!(refused["limits"], json!([{ "name": "daily", "quota": 3, "remaining": 0, "exceeded": true }]));
    assert_eq!(
        (&refused["decision"], &refused["stage"], &refused["reason_code"]),
        (&json!("deny"), &json!("limit"), &json!("rate_limited"))
    );
}

#[test]
fn a_burst_is_how_many_may_come_at_once() {
    let upstream = Upstream::start();
    let gateway = limited(
        &upstream,
        "{ name: small, key: [global], rate: 3/d, burst: 1 }, { name: large, key: [global], rate: 1/d, burst: 3 }",
        "",
    )
    .routes(&[
        "{ name: small, path: /small, policy: { limit: { apply: [small] } } }",
        "{ name: large, path: /large, policy: { limit: { apply: [large] } } }",
    ])
    .start_in(folder());
    let statuses = |path: &str| (0..4).map(|_| get(&gateway, path, "").status).collect::<Vec<_>>();
    assert_eq!(statuses("/small"), [200, 429, 429, 429]);
    assert_eq!(statuses("/large"), [200, 200, 200, 429]);
}

#[test]
fn a_bucket_refills() {
    let upstream = Upstream::start();
    let gateway = limited(&upstream, "{ name: slow, key: [global], rate: 1/s }", "slow").start_in(folder());
    let begun = Instant::now();
    for awaited in [200, 429, 200] {
        while get(&gateway, "/", "").status != awaited {
            assert!(begun.elapsed() < PATIENCE, "{awaited} never comes");
        }
    }
}

/// A request that one limit refuses takes nothing from the others.
#[test]
fn all_limits_count_a_request_or_none() {
    let upstream = Upstream::start();
    let limits = "{ name: wide, key: [global], rate: 10/d }, { name: narrow, key: [principal], rate: 1/d }, \
                  { name: unused, key: [global], rate: 1/d }";
    let gateway = limited(&upstream, limits, "wide, narrow").start_in(folder());
    let (ann, bob) = (bearer("ann"), bearer("bob"));
    let first = get(&gateway, "/", &ann);
    assert_eq!(first.status, 200);
    let policies = items(&first, "ratelimit-policy");
    assert_eq!(policies, [("wide".to_owned(), 10, 86_400), ("narrow".to_owned(), 1, 86_400)]);
    for _ in 0..5 {
        let answer = get(&gateway, "/", &ann);
        assert_eq!(refusal(&answer), (429, "rate_limited".to_owned()));
        assert_eq!(answer.json()["violated-policies"], json!(["narrow"]));
        let states = items(&answer, "ratelimit");
        let left: Vec<_> = states.iter().map(|(name, left, _)| (name.as_str(), *left)).collect();
        assert_eq!(left, [("narrow", 0), ("wide", 9)], "the one that refused comes first");
        assert_eq!(answer.header("retry-after"), Some(states[0].2.to_string()));
    }
    let states = items(&get(&gateway, "/", &bob), "ratelimit");
    assert!(states.iter().any(|(name, left, _)| name == "wide" && *left == 8), "{states:?}");
}

/// Sends these one after the other to a gateway with one request a day for each key, and gives who passed.
fn passed(key: &str, requests: &[(&str, String)]) -> Vec<bool> {
    let (upstream, office) = (Upstream::start(), Upstream::start());
    let gateway = limited(&upstream, &format!("{{ name: once, key: [{key}], rate: 1/d }}"), "once")
        .routes(&["{ name: a, path: /a }", "{ name: b, path: /b }"])
        .another_service(format!(
            "{{ name: office, upstream: {{ targets: [\"{}\"] }}, routes: [{{ name: c, path: /c }}] }}",
            office.url()
        ))
        .start_in(folder());
    let statuses = requests.iter().map(|(path, lines)| get(&gateway, path, lines).status);
    let passed: Vec<bool> = statuses
        .map(|status| {
            assert!([200, 429].contains(&status), "{status}");
            status == 200
        })
        .collect();
    let reached = upstream.requests().len() + office.requests().len();
    assert_eq!(reached, passed.iter().filter(|passed| **passed).count(), "{key}");
    passed
}

#[test]
fn principals_are_counted_apart_whatever_their_credential() {
    let (ann, again, bob) = (bearer("ann"), bearer("ann"), bearer("bob"));
    let key = format!("X-API-Key: {}\r\n", partner());
    let nobody = |address: &str| from(address);
    let requests = [
        ("/a", ann.clone()),
        ("/b", again),
        ("/a", format!("{ann}{}", from("192.0.2.1"))),
        ("/a", bob),
        ("/a", key.clone()),
        ("/a", key),
        ("/a", nobody("192.0.2.1")),
        ("/a", nobody("192.0.2.1")),
        ("/a", nobody("192.0.2.2")),
    ];
    assert_eq!(passed("principal", &requests), [true, false, false, true, true, false, true, false, true]);
}

#[test]
fn a_limit_for_api_keys_counts_nobody_else() {
    let key = format!("X-API-Key: {}\r\n", partner());
    let requests = [
        ("/a", bearer("ann")),
        ("/a", bearer("ann")),
        ("/a", String::new()),
        ("/a", String::new()),
        ("/a", key.clone()),
        ("/b", key),
    ];
    assert_eq!(passed("api_key", &requests), [true, true, true, true, true, false]);
}

#[test]
fn addresses_are_counted_apart() {
    let requests = [
        ("/a", from("192.0.2.1")),
        ("/b", from("192.0.2.1")),
        ("/a", format!("{}{}", bearer("ann"), from("192.0.2.1"))),
        ("/a", from("::ffff:192.0.2.1")),
        ("/a", from("192.0.2.2")),
        ("/a", from("2001:db8:0:1::1")),
        ("/a", from("2001:db8:0:1::2")),
        ("/a", from("2001:db8:0:2::1")),
    ];
    assert_eq!(passed("address", &requests), [true, false, false, false, true, true, false, true]);
}

#[test]
fn a_prefix_says_which_addresses_are_one_client() {
    let upstream = Upstream::start();
    let limit = "{ name: once, key: [address], rate: 1/d, ipv6_prefix: 48 }";
    let gateway = limited(&upstream, limit, "once").start_in(folder());
    let statuses = ["2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:1::1"]
        .map(|it| get(&gateway, "/", &from(it)).status);
    assert_eq!(statuses, [200, 429, 200]);
}

#[test]
fn routes_services_and_everything_are_counted() {
    let once = |path| (path, String::new());
    let requests = [once("/a"), once("/b"), once("/c"), once("/a"), once("/b"), once("/c")];
    for (key, expected) in [
        ("route", [true, true, true, false, false, false]),
        ("service", [true, false, true, false, false, false]),
        ("global", [true, false, false, false, false, false]),
    ] {
        assert_eq!(passed(key, &requests), expected, "{key}");
    }
    let (ann, bob) = (bearer("ann"), bearer("bob"));
    let requests = [("/a", ann.clone()), ("/b", ann.clone()), ("/a", bob), ("/a", ann)];
    assert_eq!(passed("principal, route", &requests), [true, true, true, false]);
}

/// A limit that counts first protects the checking of credentials too; the usual one counts only what is permitted.
#[test]
fn requests_are_counted_before_or_after_they_are_permitted() {
    let upstream = Upstream::start();
    let forged = authorization("x.y.z");
    for (when, expected) in
        [("before_authentication", [401, 401, 429, 429]), ("after_authorization", [401, 401, 200, 200])]
    {
        let limit = format!("{{ name: two, key: [address], rate: 2/d, when: {when} }}");
        let gateway = limited(&upstream, &limit, "two").start_in(folder());
        let (bad, good) = (forged.clone(), bearer("ann"));
        let statuses = [&bad, &bad, &good, &good].map(|lines| get(&gateway, "/", lines).status);
        assert_eq!(statuses, expected, "{when}");
        if when == "before_authentication" {
            upstream.assert_no_contact();
            let record = &gateway.stop_and_audit()[2];
            assert_eq!((&record["stage"], record.get("principal.id")), (&json!("peer"), None));
        }
    }
}

/// Clients from before the standard hear of the tightest limit, whatever the service says of limits of its own.
#[test]
fn old_fields_are_sent_to_whom_they_are_written_for() {
    let answer =
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-RateLimit-Limit: 7\r\nX-RateLimit-Reset: 7\r\n\r\n";
    let upstream = Upstream::scripted(|_| Some(answer.into()));
    let limits = "{ name: wide, key: [global], rate: 9/d }, { name: tight, key: [address], rate: 2/d, algorithm: fixed_window }";
    let told = |answer: &Response| {
        ["limit", "remaining", "reset"].map(|it| answer.header(&format!("x-ratelimit-{it}")))
    };
    let gateway = limited(&upstream, limits, "wide, tight");
    for legacy in ["seconds", "epoch"] {
        let gateway =
            gateway.clone().section("limit_fields", format!("{{ legacy: {legacy} }}")).start_in(folder());
        for (status, remaining) in [(200, "1"), (200, "0"), (429, "0")] {
            let answer = get(&gateway, "/", "");
            let [limit, left, reset] = told(&answer).map(Option::unwrap);
            assert_eq!((answer.status, limit.as_str(), left.as_str()), (status, "2", remaining));
            let reset: u64 = reset.parse().unwrap();
            let day = 86_400;
            if legacy == "seconds" {
                assert!((1..=day).contains(&reset), "{reset}");
            } else {
                assert_eq!(reset % day, 0, "the end of a day");
            }
        }
    }
    let answer = get(&gateway.start_in(folder()), "/", "");
    assert_eq!(told(&answer), [Some("7".to_owned()), None, Some("7".to_owned())], "the service's own");
}

/// With more keys than the store tells apart some are refused early; with room enough nobody is.
#[test]
fn the_store_is_bounded() {
    let upstream = Upstream::start();
    for (max_keys, expected) in [(1, false), (1_000_000, true)] {
        let gateway = limited(&upstream, "{ name: once, key: [address], rate: 1/d }", "once")
            .section("limit_store", format!("{{ max_keys: {max_keys} }}"))
            .start_in(folder());
        let all_pass =
            (0..100).all(|host| get(&gateway, "/", &from(&format!("192.0.2.{host}"))).status == 200);
        assert_eq!(all_pass, expected, "{max_keys}");
    }
}

#[test]
fn headers_claims_and_parameters_are_counted_apart() {
    let tenant = |name: &str| format!("X-Tenant: {name}\r\n");
    let requests =
        [("/a", tenant("acme")), ("/a", tenant("globex")), ("/b", tenant("acme")), ("/a", String::new())];
    assert_eq!(passed("\"header:X-Tenant\"", &requests), [true, true, false, true]);
    let of = |subject: &str, tenant: &str| {
        let mut claims = claims(subject);
        claims.insert("tenant".to_owned(), json!(tenant));
        authorization(&EC.mint(None, &claims).unwrap())
    };
    let requests = [
        ("/a", of("ann", "acme")),
        ("/a", of("bob", "acme")),
        ("/a", of("ann", "globex")),
        ("/a", bearer("cid")),
    ];
    assert_eq!(passed("\"claim:tenant\"", &requests), [true, false, true, true]);

    let upstream = Upstream::start();
    let gateway = limited(&upstream, "{ name: once, key: [\"path:order\", principal], rate: 1/d }", "once")
        .routes(&["{ name: order, path: \"/orders/{order}\" }"])
        .start_in(folder());
    let (ann, bob) = (bearer("ann"), bearer("bob"));
    let status = |path: &str, who: &str| get(&gateway, path, who).status;
    assert_eq!(
        (status("/orders/1", &ann), status("/orders/2", &ann), status("/orders/1", &bob)),
        (200, 200, 200)
    );
    assert_eq!((status("/orders/1", &ann), status("/orders/%31", &ann)), (429, 429), "however it is written");
    // The service does not read as another field what was not counted.
    let other = format!("{ann}X_Tenant: acme\r\n");
    let gateway = limited(&upstream, "{ name: once, key: [\"header:X-Tenant\"], rate: 1/d }", "once")
        .start_in(folder());
    upstream.forget();
    assert_eq!(get(&gateway, "/a", &other).status, 200);
    assert!(!upstream.only_request().has("x_tenant"));
}

#[test]
fn whoever_is_exempt_is_never_refused() {
    let upstream = Upstream::start();
    let limit = "{ name: once, key: [global], rate: 1/d, \
                 exempt: { addresses: [198.51.100.0/24], principals: [ann], roles: [partner] } }";
    let gateway = limited(&upstream, limit, "once").start_in(folder());
    let key = format!("X-API-Key: {}\r\n", partner());
    let inside = from("198.51.100.7");
    for _ in 0..2 {
        for who in [&bearer("ann"), &key, &inside] {
            let answer = get(&gateway, "/", who);
            assert_eq!((answer.status, answer.header("ratelimit")), (200, None), "{who}");
        }
    }
    assert_eq!(
        (get(&gateway, "/", &bearer("bob")).status, get(&gateway, "/", &bearer("bob")).status),
        (200, 429)
    );
    let wrong = limited(
        &upstream,
        "{ name: a, key: [address], rate: 1/d, when: before_authentication, exempt: { roles: [x] } }",
        "a",
    );
    let refusal = folder().refuse(&wrong.text());
    assert!(refusal.stderr.contains("who asks is not known `before_authentication`"), "{}", refusal.stderr);
    let wrong = limited(&upstream, "{ name: a, key: [\"headers:x\"], rate: 1/d }", "a");
    let refusal = folder().refuse(&wrong.text());
    assert!(refusal.stderr.contains("limits[0].key[0]"), "{}", refusal.stderr);
}

/// Another rate by a claim, an address or a route, alone and over a shared store.
#[test]
fn some_have_another_rate() {
    let upstream = Upstream::start();
    let redis = portcullis_testkit::redis::Redis::start();
    for shared in ["", ", shared: {}"] {
        let limit = format!(
            "{{ name: calls, key: [principal], rate: 1/d{shared}, overrides: [\
             {{ claims: {{ tier: [gold] }}, rate: 3/d }}, {{ roles: [partner], rate: 2/d, burst: 4 }}, \
             {{ principals: [carol], rate: 5/d }}, {{ routes: [other], rate: 6/d }}, \
             {{ addresses: [198.51.100.0/24], rate: 7/d }}, {{ hours: \"00:00-24:00\", principals: [dave], rate: 8/d }}] }}"
        );
        let mut config = limited(&upstream, &limit, "calls")
            .routes(&["{ name: other, path: /other }", "{ name: all, path: \"/{*rest}\" }"]);
        if !shared.is_empty() {
            config = config.section("store", format!("{{ redis: {{ url: \"{}\" }} }}", redis.url()));
        }
        let gateway = config.start_in(folder());
        let passed = |path: &str, lines: &str| {
            (0..20).take_while(|_| get(&gateway, path, lines).status == 200).count()
        };
        let token = |subject: &str, tier: &str| {
            let mut claims = claims(subject);
            claims.insert("tier".to_owned(), json!(tier));
            authorization(&EC.mint(None, &claims).unwrap())
        };
        assert_eq!(passed("/", &token("ann", "gold")), 3, "{shared}");
        assert_eq!(passed("/", &token("bob", "silver")), 1, "{shared}");
        assert_eq!(passed("/", &format!("X-API-Key: {}\r\n", partner())), 4, "{shared}");
        assert_eq!(passed("/", &token("carol", "silver")), 5, "{shared}");
        assert_eq!(passed("/other", &token("eve", "silver")), 6, "{shared}");
        assert_eq!(passed("/", &from("198.51.100.7")), 7, "{shared}");
        assert_eq!(passed("/", &token("dave", "silver")), 8, "{shared}");
    }
}
