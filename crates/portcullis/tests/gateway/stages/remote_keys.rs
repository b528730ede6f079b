//! Keys that an identity provider publishes: when they are fetched, and from where never.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use portcullis_authn::mint::SigningKey;
use portcullis_oidc::Algorithm;
use portcullis_testkit::PATIENCE;
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Connection};
use serde_json::{Value, json};

use super::{challenges, refusal};
use crate::common::plain;
use crate::credentials::{EC, ISSUER, authenticated, authorization, claims, folder, jwk};

/// An identity provider, which publishes keys or has failed.
struct Provider {
    upstream: Upstream,
    document: Arc<Mutex<Option<Value>>>,
}

impl Provider {
    fn publishing(keys: &[Value]) -> Self {
        let document = Arc::new(Mutex::new(Some(json!({ "keys": keys }))));
        let published = Arc::clone(&document);
        let upstream = Upstream::scripted(move |_| {
            let document = published.lock().unwrap().clone();
            let (status, body) = match document {
                Some(document) => ("200 OK", document.to_string()),
                None => ("503 Service Unavailable", String::new()),
            };
            Some(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
        });
        Self { upstream, document }
    }

    fn publish(&self, keys: &[Value]) {
        *self.document.lock().unwrap() = Some(json!({ "keys": keys }));
    }

    fn fails(&self) {
        *self.document.lock().unwrap() = None;
    }

    fn fetches(&self) -> usize {
        let requests = self.upstream.requests();
        assert!(requests.iter().all(|request| request.target == "/keys"), "{requests:#?}");
        requests.len()
    }

    /// A gateway that trusts this provider.
    fn gateway(&self, service: &Upstream, refresh: &str) -> Gateway {
        let section = format!(
            "{{ realm: shop, jwt: [{{ name: staff, issuer: \"{ISSUER}\", audiences: [shop], \
             algorithms: [ES256], keys: {{ jwks_url: \"{}/keys\" }}, refresh: {refresh} }}] }}",
            self.upstream.url()
        );
        plain(&service.url())
            .section("authentication", section)
            .policy("authenticate", "{ methods: [staff] }")
            .start()
    }
}

/// A good token, signed with this key.
fn token(key: &SigningKey, kid: &str) -> String {
    authorization(&key.mint(Some(kid), &claims("ann")).unwrap())
}

fn new_key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).unwrap()
}

fn status(gateway: &Gateway, lines: &str) -> u16 {
    raw::get(gateway.address("public"), "/", lines).status
}

/// Asks again and again until the answer has this status. Nothing but this and the status before is answered.
fn becomes(gateway: &Gateway, lines: &str, before: u16, after: u16) {
    let begun = Instant::now();
    loop {
        let now = status(gateway, lines);
        if now == after {
            return;
        }
        assert_eq!(now, before);
        assert!(begun.elapsed() < PATIENCE, "the answer stays {now}");
    }
}

/// A header that says where its key is, or brings it (RFC 8725 section 3.10).
fn forged(attacker: &SigningKey, header: Value) -> String {
    let mut whole = json!({ "alg": "ES256", "typ": "JWT" });
    whole.as_object_mut().unwrap().extend(header.as_object().unwrap().clone());
    let payload = serde_json::to_vec(&claims("mallory")).unwrap();
    authorization(&attacker.sign(whole.to_string().as_bytes(), &payload).unwrap())
}

#[test]
fn a_token_does_not_say_where_its_key_is() {
    let service = Upstream::start();
    let provider = Provider::publishing(&[jwk(&EC, "one")]);
    let remote = provider.gateway(&service, "{ cool_down: 1s }");
    let fixed = authenticated(plain(&service.url()), "staff").start_in(folder());
    let attackers = TcpListener::bind("127.0.0.1:0").unwrap();
    attackers.set_nonblocking(true).unwrap();
    let url = format!("http://{}/keys", attackers.local_addr().unwrap());
    let attacker = new_key();
    for header in [
        json!({ "jwk": jwk(&attacker, "one"), "kid": "one" }),
        json!({ "jwk": jwk(&attacker, "mine"), "kid": "mine" }),
        json!({ "jku": url, "kid": "one" }),
        json!({ "jku": url }),
        json!({ "x5u": url, "kid": "one" }),
        json!({ "x5u": url }),
        json!({ "kid": "../../x" }),
        json!({ "kid": "/dev/null" }),
        json!({ "kid": url }),
        json!({ "kid": "one' OR '1'='1" }),
    ] {
        for gateway in [&remote, &fixed] {
            let lines = forged(&attacker, header.clone());
            let answer = raw::get(gateway.address("public"), "/", &lines);
            assert_eq!(refusal(&answer), (401, "invalid_token".to_owned()), "{header}");
            assert!(challenges(&answer)[0].contains("error=\"invalid_token\""), "{header}");
        }
    }
    service.assert_no_contact();
    let contact = attackers.accept();
    assert!(contact.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "a key was fetched");
    let _ = provider.fetches();
}

/// A signature that is right does not make up for a key that the token brings: a service might believe it.
#[test]
fn a_good_signature_does_not_excuse_a_key_in_the_header() {
    let service = Upstream::start();
    let gateway = authenticated(plain(&service.url()), "staff").start_in(folder());
    for header in [json!({ "jwk": jwk(&EC, "one") }), json!({ "jku": "https://idp.test/keys" })] {
        assert_eq!(status(&gateway, &forged(&EC, header)), 401);
    }
    service.assert_no_contact();
    assert_eq!(status(&gateway, &forged(&EC, json!({}))), 200, "the same without it");
}

#[test]
fn a_thousand_unknown_keys_cause_one_fetch_and_disturb_nobody() {
    let service = Upstream::start();
    let provider = Provider::publishing(&[jwk(&EC, "one")]);
    // The first fetch begins the cool-down, so that any second one is one too many.
    let gateway = provider.gateway(&service, "{ cool_down: 1h, every: 1h, max_stale: 1h }");
    let good = token(&EC, "one");
    assert_eq!(status(&gateway, &good), 200);
    let stranger = new_key();
    std::thread::scope(|scope| {
        for client in 0..4 {
            let (gateway, good, stranger) = (&gateway, &good, &stranger);
            scope.spawn(move || {
                let mut connection = Connection::open(gateway.address("public"));
                let mut ask = |lines: &str| {
                    connection.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).response().status
                };
                for number in 0..250 {
                    assert_eq!(ask(&token(stranger, &format!("{client}-{number}"))), 401);
                    if number % 25 == 0 {
                        assert_eq!(ask(good), 200);
                    }
                }
            });
        }
    });
    assert_eq!(provider.fetches(), 1);
}

#[test]
fn a_new_key_is_fetched_when_it_is_first_used() {
    let service = Upstream::start();
    let provider = Provider::publishing(&[jwk(&EC, "old")]);
    let gateway = provider.gateway(&service, "{ cool_down: 1s, every: 1h }");
    assert_eq!(status(&gateway, &token(&EC, "old")), 200);
    assert_eq!(provider.fetches(), 1);
    let new = new_key();
    provider.publish(&[jwk(&EC, "old"), jwk(&new, "new")]);
    // Whatever is refused meanwhile falls into the cool-down of the first fetch: there is just one more.
    becomes(&gateway, &token(&new, "new"), 401, 200);
    assert_eq!(provider.fetches(), 2);
    assert_eq!(status(&gateway, &token(&EC, "old")), 200);
}

#[test]
fn a_key_that_was_removed_is_refused_after_the_next_fetch() {
    let service = Upstream::start();
    let (old, new) = (new_key(), new_key());
    let provider = Provider::publishing(&[jwk(&old, "old"), jwk(&new, "new")]);
    let gateway = provider.gateway(&service, "{ cool_down: 1s, every: 1s }");
    let withdrawn = token(&old, "old");
    assert_eq!(status(&gateway, &withdrawn), 200, "and is remembered from here on");
    provider.publish(&[jwk(&new, "new")]);
    becomes(&gateway, &withdrawn, 200, 401);
    assert_eq!(status(&gateway, &token(&new, "new")), 200);
}

#[test]
fn keys_outlive_their_provider() {
    let service = Upstream::start();
    let provider = Provider::publishing(&[jwk(&EC, "one")]);
    let gateway = provider.gateway(&service, "{ cool_down: 1s, every: 1s, max_stale: 1h }");
    assert_eq!(status(&gateway, &token(&EC, "one")), 200);
    provider.fails();
    let before = provider.fetches();
    // The first of these may still have got the keys.
    let _ = provider.upstream.wait_for_requests(before + 2);
    assert_eq!(status(&gateway, &token(&EC, "one")), 200);
    assert_eq!(status(&gateway, &token(&new_key(), "one")), 401, "and nothing else passes");
    assert_eq!(raw::get(gateway.address("admin"), "/readyz", "").status, 200);
}

/// Never an unauthenticated pass: what cannot be checked any more is refused, and the gateway says that it is not
/// ready.
#[test]
fn keys_that_are_too_old_are_trusted_no_longer() {
    let service = Upstream::start();
    let provider = Provider::publishing(&[jwk(&EC, "one")]);
    let gateway = provider.gateway(&service, "{ cool_down: 1s, every: 1s, max_stale: 2s }");
    let good = token(&EC, "one");
    becomes(&gateway, &good, 503, 200);
    provider.fails();
    becomes(&gateway, &good, 200, 503);
    let answer = raw::get(gateway.address("public"), "/", &good);
    assert_eq!(refusal(&answer), (503, "keys_unavailable".to_owned()));
    assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
    assert_eq!(raw::get(gateway.address("admin"), "/readyz", "").status, 503);
    service.forget();
    assert_eq!(status(&gateway, ""), 401);
    assert_eq!(status(&gateway, &token(&new_key(), "one")), 503);
    service.assert_no_contact();
    provider.publish(&[jwk(&EC, "one")]);
    becomes(&gateway, &good, 503, 200);
}

/// What becomes of a key set is told when it changes, and not with each fetch.
#[test]
fn operators_are_told_when_keys_cannot_be_fetched_and_when_they_are_there() {
    let service = Upstream::start();
    let provider = Provider::publishing(&[]);
    provider.fails();
    let gateway = provider.gateway(&service, "{ every: 1s, cool_down: 1s }");
    let url = format!("{}/keys", provider.upstream.url());
    let failed = gateway.wait_for_event("key_set_failed", 0);
    assert_eq!(failed["url"], url.as_str());
    assert!(failed["error"].as_str().is_some_and(|error| error.contains("503")), "{failed}");
    let _ = provider.upstream.wait_for_requests(2);
    let readiness = raw::get(gateway.address("admin"), "/readyz", "");
    assert_eq!(readiness.status, 503);
    assert_eq!(
        readiness.json(),
        json!({ "status": "not_ready", "config_generation": 1, "key_sets_missing": [url] })
    );

    let secret = json!({ "kty": "oct", "k": "AA" });
    provider.publish(&[jwk(&EC, "one"), secret]);
    let loaded = gateway.wait_for_event("key_set_loaded", 0);
    assert_eq!(loaded["url"], url.as_str());
    assert!(loaded["skipped"][0].as_str().is_some_and(|why| why.contains("shared secret")), "{loaded}");
    assert_eq!(raw::get(gateway.address("admin"), "/readyz", "").status, 200);
    assert_eq!(status(&gateway, &token(&EC, "one")), 200);
    // Fetched again, and the same: nothing to tell.
    let fetches = provider.fetches();
    let _ = provider.upstream.wait_for_requests(fetches + 2);
    provider.fails();
    let _ = gateway.wait_for_event("key_set_failed", 1);
    let told = |event: &str| gateway.stderr().matches(&format!("\"event\":\"{event}\"")).count();
    assert_eq!((told("key_set_loaded"), told("key_set_failed")), (1, 2), "{}", gateway.stderr());
    let metrics = raw::get(gateway.address("admin"), "/metrics", "").text();
    let failures = metrics.lines().find_map(|line| line.strip_prefix("portcullis_key_set_failures_total "));
    assert!(failures.and_then(|count| count.parse::<u32>().ok()) >= Some(3), "each is counted: {metrics}");
    assert!(metrics.contains("\nportcullis_key_sets_missing 0\n"), "{metrics}");
}

/// With a certified provider that says itself where its keys are: a key that is new is known at its first use, and while the
/// provider is away nobody who is known fails.
#[test]
fn an_issuer_says_where_its_keys_are() {
    let clients = json!([{
        "client_id": "robot", "client_secret": "a secret of the robot", "redirect_uris": [],
        "response_types": [], "grant_types": ["client_credentials"],
    }]);
    let resources = json!({ "https://shop.test/api": "read" });
    let variables = [("IDP_CLIENTS", clients), ("IDP_RESOURCES", resources)];
    let Some(provider) = portcullis_testkit::provider::Provider::start(&variables) else { return };
    let service = Upstream::start();
    let section = format!(
        "{{ jwt: [{{ name: staff, issuer: \"{}\", audiences: [\"https://shop.test/api\"], algorithms: [RS256], \
         types: [at+jwt], keys: discovery, refresh: {{ cool_down: 1s, every: 1h }} }}] }}",
        provider.issuer()
    );
    let gateway = plain(&service.url())
        .section("authentication", section)
        .policy("authenticate", "{ methods: [staff], scopes: { all: [read] } }")
        .start();
    let token = || {
        // robot:a secret of the robot, form-encoded
        let lines = "Authorization: Basic cm9ib3Q6YStzZWNyZXQrb2YrdGhlK3JvYm90\r\nConnection: close\r\n\
                     Content-Type: application/x-www-form-urlencoded\r\n";
        let body = "grant_type=client_credentials&scope=read&resource=https://shop.test/api";
        let answer = raw::post(provider.address(), "/token", lines, body).json();
        authorization(answer["access_token"].as_str().unwrap())
    };
    let old = token();
    assert_eq!(status(&gateway, &old), 200);
    // A key may be asked for once in a second.
    let begun = Instant::now();
    while begun.elapsed() < std::time::Duration::from_millis(1100) {
        assert_eq!(status(&gateway, &old), 200);
    }
    provider.control("rotate-keys", "");
    let new = token();
    assert_eq!((status(&gateway, &new), status(&gateway, &old)), (200, 200));
    let asked = provider.asked("/.well-known/openid-configuration");
    provider.control("down", "");
    let begun = Instant::now();
    while begun.elapsed() < std::time::Duration::from_millis(1100) {
        assert_eq!((status(&gateway, &new), status(&gateway, &old)), (200, 200));
    }
    let stranger = authorization(&new_key().mint(Some("unknown"), &claims("ann")).unwrap());
    assert_eq!(status(&gateway, &stranger), 401);
    assert_eq!((status(&gateway, &new), status(&gateway, &old)), (200, 200));
    provider.control("up", "");
    assert_eq!(provider.asked("/.well-known/openid-configuration"), asked, "once for each set of keys");
}

/// An issuer that says itself where its keys are.
fn issuer(key: Value) -> Upstream {
    Upstream::scripted(move |seen| {
        let issuer = format!("http://{}", seen.header("host")?);
        let document = match seen.target.as_str() {
            "/.well-known/openid-configuration" => {
                json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") })
            }
            "/keys" => json!({ "keys": [key] }),
            _ => return None,
        };
        let document = document.to_string();
        Some(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{document}", document.len()).into_bytes())
    })
}

/// The example, as it is published, but for where its issuers are.
#[test]
fn the_example_keeps_tenants_apart() {
    let service = Upstream::start();
    let other = new_key();
    let (acme, globex) = (issuer(jwk(&EC, "a")), issuer(jwk(&other, "g")));
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let read = |name: &str| std::fs::read_to_string(examples.join(name)).unwrap();
    let policy = read("jwt-multi-tenant.cedar")
        .replace("https://login.acme.example", &acme.url())
        .replace("https://id.globex.example", &globex.url());
    let gateway = crate::common::setup()
        .variable("LISTEN", "127.0.0.1:0")
        .variable("ADMIN", "127.0.0.1:0")
        .variable("UPSTREAM", service.url())
        .variable("ACME_ISSUER", acme.url())
        .variable("GLOBEX_ISSUER", globex.url())
        .file("jwt-multi-tenant.cedar", policy)
        .start(&read("jwt-multi-tenant.yaml"));
    let token = |key: &SigningKey, kid: &str, issuer: &Upstream, scope: &str| {
        let mut claims = claims("ann");
        claims.insert("iss".to_owned(), json!(issuer.url()));
        claims.insert("aud".to_owned(), json!("reports-api"));
        claims.insert("scope".to_owned(), json!(scope));
        authorization(&key.mint(Some(kid), &claims).unwrap())
    };
    let of_acme = token(&EC, "a", &acme, "reports.read");
    let of_globex = token(&other, "g", &globex, "reports.write");
    // Signed by one tenant's key in the name of the other's issuer.
    let forged = token(&EC, "a", &globex, "reports.read");
    let ask = |line: &str, lines: &str| {
        let request = format!("{line} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n{lines}\r\n");
        Connection::open(gateway.address("public")).send(request).response().status
    };
    assert_eq!(ask("GET /acme/reports/1", &of_acme), 200);
    assert_eq!(service.only_request().header("x-tenant").as_deref(), Some("acme"));
    assert_eq!(ask("PUT /globex/reports/1", &of_globex), 200);
    service.forget();
    assert_eq!(ask("GET /globex/reports/1", &of_acme), 403);
    assert_eq!(ask("GET /acme/reports/1", &of_globex), 403);
    assert_eq!(ask("PUT /acme/reports/1", &of_acme), 403);
    assert_eq!(ask("GET /globex/reports/1", &forged), 401);
    service.assert_no_contact();
    // One question for the place of the keys and one for the keys, whatever the number of routes.
    let unknown = token(&EC, "b", &acme, "reports.read");
    for _ in 0..10 {
        assert_eq!(ask("GET /acme/reports/1", &unknown), 401);
    }
    assert_eq!(acme.requests().len(), 2, "not again within the cool-down");
}
