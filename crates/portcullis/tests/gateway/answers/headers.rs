//! Fields that tell browsers to be careful, and fields that tell too much.

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::raw;

use super::{Tls, has, service};
use crate::common::plain;

/// Every security field with its key, its default value and whether the default replaces the service's own.
const FIELDS: [(&str, &str, Option<&str>, bool); 7] = [
    ("x-content-type-options", "x_content_type_options", Some("nosniff"), true),
    ("content-security-policy", "content_security_policy", Some("frame-ancestors 'none'"), false),
    ("referrer-policy", "referrer_policy", Some("no-referrer"), false),
    ("permissions-policy", "permissions_policy", Some("accelerometer=(), "), false),
    ("cross-origin-opener-policy", "cross_origin_opener_policy", Some("same-origin"), false),
    ("cross-origin-resource-policy", "cross_origin_resource_policy", Some("same-origin"), false),
    ("cross-origin-embedder-policy", "cross_origin_embedder_policy", None, false),
];

#[test]
fn answers_get_the_fields_that_make_browsers_careful() {
    let upstream = service("", "hello");
    let gateway = plain(&upstream.url()).policy("response", "{ mode: enforce }").start();
    let response = raw::get(gateway.address("public"), "/", "");
    for (name, _, value, _) in FIELDS {
        match (value, response.header(name)) {
            (None, None) => {}
            (Some(value), Some(sent)) => assert!(sent.starts_with(value), "{name}: {sent}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(!has(&response, "x-xss-protection") && !has(&response, "strict-transport-security"));
}

#[test]
fn what_the_service_says_itself_stays_unless_it_is_replaced() {
    let own: String = FIELDS.iter().map(|(name, ..)| format!("{name}: own\r\n")).collect();
    let upstream = service(&own, "hello");
    let gateway = plain(&upstream.url()).policy("response", "{ mode: enforce }").start();
    let response = raw::get(gateway.address("public"), "/", "");
    for (name, _, value, replaces) in FIELDS {
        let expected = if replaces { value } else { Some("own") };
        assert_eq!(response.header(name).as_deref(), expected, "{name}");
    }
}

#[test]
fn each_field_has_a_value_and_an_action() {
    let good = [
        "nosniff",
        "default-src 'self'",
        "origin",
        "camera=(self)",
        "unsafe-none",
        "cross-origin",
        "require-corp",
    ];
    let own: String = FIELDS.iter().map(|(name, ..)| format!("{name}: own\r\n")).collect();
    let (silent, telling) = (service("", "hello"), service(&own, "hello"));
    for (action, when_silent, when_telling) in [
        ("replace", Some("given"), Some("given")),
        ("if_absent", Some("given"), Some("own")),
        ("keep", None, Some("own")),
        ("remove", None, None),
    ] {
        let keys = FIELDS.iter().zip(good).map(|((_, key, ..), value)| {
            let value = if when_silent.is_some() { format!("value: \"{value}\", ") } else { String::new() };
            format!("{key}: {{ {value}action: {action} }}")
        });
        let section = keys.collect::<Vec<_>>().join(", ");
        let policy = format!("{{ mode: enforce, security_headers: {{ {section} }} }}");
        for (upstream, expected) in [(&silent, when_silent), (&telling, when_telling)] {
            let gateway = plain(&upstream.url()).policy("response", &policy).start();
            let response = raw::get(gateway.address("public"), "/", "");
            for ((name, ..), value) in FIELDS.iter().zip(good) {
                let expected = expected.map(|word| if word == "given" { value } else { word });
                assert_eq!(response.header(name).as_deref(), expected, "{name} with {action}");
            }
        }
    }
}

/// RFC 6797 section 7.2.
#[test]
fn strict_transport_security_is_for_encrypted_connections_only() {
    let tls = Tls::new();
    let upstream = service("Strict-Transport-Security: max-age=1\r\n", "hello");
    for (field, expected) in [
        ("{ }", Some("max-age=31536000; includeSubDomains")),
        ("{ value: \"max-age=60\" }", Some("max-age=60")),
        ("{ action: if_absent }", Some("max-age=1")),
        ("{ action: remove }", None),
    ] {
        let policy =
            format!("{{ mode: enforce, security_headers: {{ strict_transport_security: {field} }} }}");
        let gateway =
            plain(&upstream.url()).policy("response", policy).another_listener(tls.listener()).start();
        let secure = tls.get(&gateway, "/", "");
        assert_eq!(secure.header("strict-transport-security").as_deref(), expected, "{field}");
        let bare = raw::get(gateway.address("public"), "/", "");
        assert_eq!(bare.header("strict-transport-security"), None, "{field}");
    }
}

#[test]
fn a_trusted_proxy_that_took_the_encryption_off_counts_as_encrypted() {
    let upstream = service("", "hello");
    let gateway = plain(&upstream.url())
        .section("client_address", "{ trusted_proxies: [127.0.0.1] }")
        .policy("response", "{ mode: enforce }")
        .start();
    let proxied = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n";
    assert!(has(&raw::get(gateway.address("public"), "/", proxied), "strict-transport-security"));
    assert!(!has(&raw::get(gateway.address("public"), "/", ""), "strict-transport-security"));
}

const LEAKS: [&str; 7] = [
    "server",
    "x-powered-by",
    "x-aspnet-version",
    "x-aspnetmvc-version",
    "x-generator",
    "x-runtime",
    "x-xss-protection",
];

#[test]
fn fields_that_tell_what_a_service_is_made_of_are_removed() {
    let upstream = Upstream::start();
    let sent = |policy: &str| {
        let gateway = plain(&upstream.url()).policy("response", policy).start();
        let response = raw::get(gateway.address("public"), "/headers", "");
        LEAKS.into_iter().filter(|name| has(&response, name)).collect::<Vec<_>>()
    };
    let but = |removed: &[&str]| LEAKS.into_iter().filter(|name| !removed.contains(name)).collect::<Vec<_>>();
    assert_eq!(sent("{ mode: off }"), LEAKS, "off passes everything on");
    assert_eq!(sent("{ mode: enforce }"), [""; 0]);
    assert_eq!(sent("{ mode: enforce, remove: [X-Runtime] }"), but(&["x-runtime"]), "the list replaces");
    let more = sent("{ mode: enforce, remove: [], remove_more: [Server, X-Generator] }");
    assert_eq!(more, but(&["server", "x-generator"]));
    let policy = "{ mode: enforce, remove_more: [Set-Cookie] }";
    let gateway = plain(&upstream.url()).policy("response", policy).start();
    let response = raw::get(gateway.address("public"), "/headers", "");
    assert!(!has(&response, "set-cookie") && !has(&response, "server"), "{:?}", response.headers);
}

#[test]
fn a_route_hardens_differently_from_the_rest() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url())
        .policy("response", "{ mode: enforce, security_headers: { referrer_policy: { value: origin } } }")
        .routes(&[
            "{ name: rest, path: \"/{*rest}\" }",
            "{ name: raw, path: /headers, policy: { response: { mode: off } } }",
            "{ name: framed, path: /framed, policy: { response: { security_headers: \
             { content_security_policy: { value: \"frame-ancestors 'self'\" } } } } }",
        ])
        .start();
    let field = |target: &str, name: &str| raw::get(gateway.address("public"), target, "").header(name);
    assert_eq!(field("/headers", "referrer-policy"), None);
    assert_eq!(field("/framed", "content-security-policy").as_deref(), Some("frame-ancestors 'self'"));
    assert_eq!(field("/framed", "referrer-policy").as_deref(), Some("origin"), "maps are merged");
    assert_eq!(field("/x", "content-security-policy").as_deref(), Some("frame-ancestors 'none'"));
}
