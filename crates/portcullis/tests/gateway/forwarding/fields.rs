//! Header fields: those that the service is told, those that go no further, and those that come back.

use portcullis_authn::mint::SigningKey;
use portcullis_core::{Clock as _, SystemClock};
use portcullis_oidc::Algorithm;
use portcullis_testkit::echo::{Seen, Upstream};
use portcullis_testkit::h2;
use portcullis_testkit::raw::{self, Connection};

use crate::common::{Config, plain, setup};

fn names(seen: &Seen) -> Vec<String> {
    let mut names: Vec<String> = seen.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort_unstable();
    names
}

#[test]
fn the_service_is_told_who_asks_in_the_fields_that_it_reads() {
    let claims =
        "X-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nVia: 1.0 evil\r\n";
    for (value, expected) in [
        (
            "x-forwarded",
            vec!["host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id"],
        ),
        ("forwarded", vec!["forwarded", "host", "x-request-id"]),
        ("none", vec!["host", "x-request-id"]),
    ] {
        let upstream = Upstream::start();
        let gateway = plain(&upstream.url()).policy("forward", format!("{{ forwarded: {value} }}")).start();
        assert_eq!(raw::get(gateway.address("public"), "/", claims).status, 200);
        let seen = upstream.only_request();
        assert_eq!(names(&seen), expected, "{value}");
        match value {
            "x-forwarded" => {
                assert_eq!(seen.header("x-forwarded-for").as_deref(), Some("127.0.0.1"));
                assert_eq!(seen.header("x-forwarded-proto").as_deref(), Some("http"));
                assert_eq!(seen.header("x-forwarded-host").as_deref(), Some("api.example.com"));
            }
            "forwarded" => {
                let expected = "for=127.0.0.1;host=\"api.example.com\";proto=http";
                assert_eq!(seen.header("forwarded").as_deref(), Some(expected));
            }
            _ => {}
        }
    }
}

#[test]
fn the_host_is_the_clients_or_the_targets() {
    for protocol in ["http1", "http2"] {
        let upstream = Upstream::start();
        let address = upstream.address().to_string();
        for (preserve, expected) in [("true", "api.example.com:8080"), ("false", address.as_str())] {
            let gateway = plain(&upstream.url())
                .upstream("protocol", protocol)
                .policy("forward", format!("{{ preserve_host: {preserve} }}"))
                .start();
            let request = "GET / HTTP/1.1\r\nHost: API.Example.com:8080\r\n\r\n";
            assert_eq!(raw::request(gateway.address("public"), request).status, 200);
            let seen = upstream.only_request();
            let host = if protocol == "http2" { seen.authority.clone() } else { seen.header("host") };
            assert_eq!(host.as_deref(), Some(expected), "{protocol}");
            assert_eq!(seen.header("x-forwarded-host").as_deref(), Some("api.example.com:8080"));
            upstream.forget();
        }
    }
}

const IDENTITY: &str = "{ identity: { X-User: subject, X-Issuer: issuer, X-Method: method, X-Kind: kind, X-Roles: roles, \
    X-Scopes: scopes, X-Tenant: \"claim:tenant\", X-Level: \"claim:level\" } }";

/// What a client might say about itself, under every spelling.
const CLAIMED: &str = "X-User: root\r\nx_user: root\r\nX-Roles: admin\r\nX_Roles: admin\r\nX-Tenant: evil\r\n\
    X-Scopes: all\r\nX-Level: 9\r\nX-Issuer: evil\r\nX-Kind: user\r\nX-Method: magic\r\n";

#[test]
fn the_service_is_told_who_the_caller_is() {
    let upstream = Upstream::start();
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let jwt = "{ jwt: [{ name: staff, issuer: \"https://idp.test\", audiences: [shop], algorithms: [ES256], \
        keys: { pem: idp.pem } }] }";
    let gateway = plain(&upstream.url())
        .section("authentication", jwt)
        .policy("authenticate", "{ mode: enforce, methods: [staff, anonymous] }")
        .policy("forward", IDENTITY)
        .start_in(setup().file("idp.pem", key.public_pem().unwrap()));
    let claims = serde_json::json!({
        "iss": "https://idp.test", "aud": "shop", "sub": "ann", "exp": SystemClock.now().as_secs() + 600,
        "roles": ["cook", "host"], "scope": "a b", "tenant": "blue", "level": 3,
    });
    let token = key.mint(None, &claims).unwrap();
    let fields = format!("{CLAIMED}Authorization: Bearer {token}\r\n");
    assert_eq!(raw::get(gateway.address("public"), "/", &fields).status, 200);
    let seen = upstream.only_request();
    for (name, value) in [
        ("x-user", "ann"),
        ("x-issuer", "https://idp.test"),
        ("x-method", "staff"),
        ("x-kind", "user"),
        ("x-roles", "cook,host"),
        ("x-scopes", "a b"),
        ("x-tenant", "blue"),
        ("x-level", "3"),
    ] {
        assert_eq!(seen.values(name), [value], "{name}");
    }
    assert!(!seen.has("x_user") && !seen.has("x_roles"));
    upstream.forget();

    assert_eq!(raw::get(gateway.address("public"), "/", CLAIMED).status, 200);
    let seen = upstream.only_request();
    assert_eq!(seen.header("x-kind").as_deref(), Some("anonymous"));
    for name in ["x_user", "x-issuer", "x-tenant", "x-level", "x_roles"] {
        assert!(!seen.has(name), "{name} for a caller who has none");
    }
    for name in ["x-user", "x-roles", "x-scopes"] {
        let values = seen.values(name);
        assert!(
            !["root", "admin", "all"].iter().any(|claim| values.iter().any(|value| value == claim)),
            "{name}"
        );
    }
}

#[test]
fn identity_fields_are_the_gateways_on_routes_without_authentication_too() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).policy("forward", IDENTITY).start();
    assert_eq!(raw::get(gateway.address("public"), "/", CLAIMED).status, 200);
    let seen = upstream.only_request();
    assert!(seen.values("x-user").iter().all(|value| value != "root"));
    assert!(!seen.has("x_user") && !seen.has("x_roles") && !seen.has("x-tenant"));

    // A client of HTTP/2 gets no further.
    upstream.forget();
    let client = h2::Client::open(gateway.address("public"));
    assert_eq!(client.request("GET", "/", &[("x-user", "root"), ("x_tenant", "evil")]).status, 200);
    let seen = upstream.only_request();
    assert!(seen.values("x-user").iter().all(|value| value != "root") && !seen.has("x_tenant"));
}

#[test]
fn a_request_has_one_name_on_every_side() {
    let upstream = Upstream::scripted(|_| {
        Some(b"HTTP/1.1 200 OK\r\nX-Request-Id: the-services-own\r\nContent-Length: 0\r\n\r\n".to_vec())
    });
    let gateway = plain(&upstream.url()).start();
    let mut client = Connection::open(gateway.address("public"));
    let mut known: Vec<String> = Vec::new();
    for _ in 0..3 {
        let answer =
            client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: the-clients-own\r\n\r\n").response();
        let id = answer.header("x-request-id").expect("a name in the answer");
        assert_eq!(upstream.only_request().header("x-request-id").as_ref(), Some(&id));
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert!(!known.contains(&id));
        known.push(id);
        upstream.forget();
    }
    let recorded: Vec<String> = gateway
        .stop_and_audit()
        .iter()
        .map(|record| record["request_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(recorded, known);
}

#[test]
fn fields_about_the_connection_to_the_gateway_end_there() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).policy("forward", "{ forwarded: none }").start();
    let fields = "Connection: keep-alive, X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\n\
        TE: gzip\r\nTrailer: X-Late\r\nProxy-Authorization: Basic eA==\r\nX-Public: 1\r\nX-Empty:\r\n";
    assert_eq!(raw::get(gateway.address("public"), "/", fields).status, 200);
    let seen = upstream.only_request();
    assert_eq!(names(&seen), ["host", "x-empty", "x-public", "x-request-id"]);
}

#[test]
fn bytes_beyond_ascii_in_a_value_pass_as_they_are() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nX-Name: J\xf6rg\r\n\r\n";
    assert_eq!(raw::request(gateway.address("public"), request).status, 200);
    let seen = upstream.only_request();
    let value = seen
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("x-name"))
        .map(|(_, value)| value.clone());
    assert_eq!(value.as_deref(), Some(&b"J\xf6rg"[..]));
}

#[test]
fn fields_about_the_connection_to_the_service_do_not_reach_the_client() {
    let upstream = Upstream::scripted(|_| {
        let head = "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Internal\r\nX-Internal: 1\r\nKeep-Alive: timeout=5\r\n\
            Proxy-Connection: x\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\nTE: trailers\r\nX-Public: 1\r\n\
            X-Public: 2\r\nContent-Length: 2\r\n\r\nhi";
        Some(head.as_bytes().to_vec())
    });
    let gateway = plain(&upstream.url()).start();
    let answer = raw::get(gateway.address("public"), "/", "");
    assert_eq!((answer.status, answer.text().as_str()), (200, "hi"));
    assert_eq!(answer.values("x-public"), ["1", "2"]);
    for name in
        ["connection", "x-internal", "keep-alive", "proxy-connection", "proxy-authenticate", "upgrade", "te"]
    {
        assert_eq!(answer.values(name), Vec::<String>::new(), "{name}");
    }
    let answer = h2::Client::open(gateway.address("public")).request("GET", "/", &[]);
    assert_eq!((answer.text().as_str(), answer.values("x-internal").len()), ("hi", 0));
}

#[test]
fn interim_answers_of_the_service_are_passed_over() {
    let upstream = Upstream::scripted(|_| {
        let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        Some(format!("{early}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").into_bytes())
    });
    let gateway = plain(&upstream.url()).start();
    let answer = raw::get(gateway.address("public"), "/", "");
    assert_eq!((answer.status, answer.text().as_str()), (200, "hi"));
}

#[test]
fn an_absolute_target_is_forwarded_in_origin_form() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let request = "GET http://API.example.com/a?b=c HTTP/1.1\r\nHost: api.example.com\r\n\r\n";
    assert_eq!(raw::request(gateway.address("public"), request).status, 200);
    let seen = upstream.only_request();
    assert_eq!((seen.target.as_str(), seen.values("host")), ("/a?b=c", vec!["api.example.com".to_owned()]));
    upstream.forget();

    let contradicting = "GET http://api.example.com/a HTTP/1.1\r\nHost: other.example.com\r\n\r\n";
    assert_eq!(raw::request(gateway.address("public"), contradicting).code(), "bad_host");
    upstream.assert_no_contact();
}

/// A route with settings of its own.
fn with_exception(upstream: &Upstream) -> Config {
    plain(&upstream.url()).routes(&[
        "{ name: all, path: \"/{*rest}\" }",
        "{ name: own, path: /own, policy: { forward: { forwarded: none, preserve_host: false } } }",
    ])
}

#[test]
fn a_route_may_be_forwarded_in_its_own_way() {
    let upstream = Upstream::start();
    let gateway = with_exception(&upstream).start();
    for (path, host, tells) in
        [("/x", "api.example.com".to_owned(), true), ("/own", upstream.address().to_string(), false)]
    {
        assert_eq!(raw::get(gateway.address("public"), path, "").status, 200);
        let seen = upstream.only_request();
        assert_eq!((seen.header("host"), seen.has("x-forwarded-for")), (Some(host), tells), "{path}");
        upstream.forget();
    }
}

/// The family `X-Forwarded-*` is the gateway's as a whole, and so is every other field by which a service may believe
/// the gateway about the client, its address or what was asked for. A method that is not the one that was judged would
/// be another request.
#[test]
fn what_services_believe_of_a_gateway_is_not_the_clients_to_say() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).policy("forward", "{ forwarded: none }").start();
    let owned = [
        "X-Forwarded-User",
        "X-Forwarded-Email",
        "X-Forwarded-Groups",
        "X-Forwarded-Preferred-Username",
        "X-Forwarded-Access-Token",
        "X-Forwarded-Uri",
        "X-Forwarded-Method",
        "X-Forwarded-Ssl",
        "X-Forwarded-Scheme",
        "X-Forwarded-Proto-Version",
        "X_Forwarded_User",
        "X-Forwarded_Host",
        "X-Real-IP",
        "X-Client-IP",
        "X-Cluster-Client-IP",
        "True-Client-IP",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "X-Method-Override",
        "X-HTTP-Method",
        "X_HTTP_Method_Override",
    ];
    let lines: String = owned.iter().map(|name| format!("{name}: DELETE\r\n")).collect();
    assert_eq!(raw::get(gateway.address("public"), "/", &lines).status, 200);
    assert_eq!(names(&upstream.only_request()), ["host", "x-request-id"]);
    upstream.forget();
    let client = h2::Client::open(gateway.address("public"));
    let fields: Vec<_> = owned.iter().map(|name| (name.to_ascii_lowercase(), "DELETE")).collect();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(client.request("GET", "/", &fields).status, 200);
    assert_eq!(names(&upstream.only_request()), ["host", "x-request-id"]);
    upstream.forget();
    assert_eq!(raw::get(gateway.address("public"), "/", "X-Forward: kept\r\n").status, 200);
    assert!(upstream.only_request().has("x-forward"), "of this family are those with its whole name");
}

#[test]
fn identity_fields_do_not_replace_what_makes_a_request() {
    for name in [
        "Host",
        "Content-Length",
        "content-type",
        "Content-Encoding",
        "Connection",
        "Transfer-Encoding",
        "TE",
        "Trailer",
        "Upgrade",
        "Keep-Alive",
        "Proxy-Connection",
        "Expect",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "Forwarded",
        "X-Request-Id",
        "Content_Length",
    ] {
        let config =
            plain("http://127.0.0.1:9").policy("forward", format!("{{ identity: {{ {name}: subject }} }}"));
        let refusal = setup().refuse(&config.text());
        let said = format!("`{}` has a meaning of its own", name.to_ascii_lowercase());
        assert!(refusal.code == Some(1) && refusal.stderr.contains(&said), "{name}: {}", refusal.stderr);
    }
    // What the gateway does not set itself may carry an identity.
    let upstream = Upstream::start();
    let identity = "{ identity: { X-Forwarded-User: kind, Authorization: kind } }";
    let gateway = plain(&upstream.url()).policy("forward", identity).start();
    assert_eq!(raw::get(gateway.address("public"), "/", "X-Forwarded-User: root\r\n").status, 200);
    assert_eq!(upstream.only_request().values("x-forwarded-user"), ["anonymous"]);
}

/// `a.` is the absolute form of the name `a` (RFC 1034 section 3.1): one host, one route, one name for the service.
#[test]
fn a_host_with_its_final_dot_is_the_same_host() {
    let upstream = Upstream::start();
    let route = "{ name: all, path: \"/{*rest}\", hosts: [api.example.com] }";
    let gateway = plain(&upstream.url()).routes(&[route]).start();
    for (host, told) in [
        ("api.example.com", "api.example.com"),
        ("api.example.com.", "api.example.com"),
        ("API.Example.COM.:8080", "api.example.com:8080"),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(raw::request(gateway.address("public"), request).status, 200, "{host}");
        let seen = upstream.only_request();
        assert_eq!(seen.values("host"), [told], "{host}");
        assert_eq!(seen.values("x-forwarded-host"), [told], "{host}");
        upstream.forget();
    }
    for host in [".", "api.example.com..", "..", ".:80"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(raw::request(gateway.address("public"), request).code(), "bad_host", "{host}");
    }
    let client = h2::Client::open(gateway.address("public"));
    assert_eq!(client.request("GET", "/", &[]).status, 200);
}
