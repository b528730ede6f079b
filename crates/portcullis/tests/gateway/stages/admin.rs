//! What operators are told: names and labels that hold still, whatever clients send.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Connection};

use crate::common::plain;
use crate::credentials::{authenticated, authorization, bearer, folder};

/// Each series of `/metrics` by its name, with its labels.
fn series(gateway: &Gateway) -> Vec<(String, BTreeMap<String, String>)> {
    let text = raw::get(gateway.address("admin"), "/metrics", "").text();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let read = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').unwrap().split(',').filter(|label| !label.is_empty());
        let label = |text: &str| {
            let (name, value) = text.split_once('=').unwrap();
            (name.to_owned(), value.trim_matches('"').to_owned())
        };
        (name.to_owned(), labels.map(label).collect())
    };
    samples.map(read).collect()
}

#[test]
fn names_and_labels_are_these() {
    let upstream = Upstream::start();
    let gateway = authenticated(plain(&upstream.url()), "staff")
        .section("limits", "[{ name: once, key: [global], rate: 1/d }]")
        .policy("limit", "{ mode: shadow, apply: [once] }")
        .start_in(folder());
    for lines in ["", &bearer("ann"), &bearer("ann")] {
        let _ = raw::get(gateway.address("public"), "/", lines);
    }
    let text = raw::get(gateway.address("admin"), "/metrics", "").text();
    let kinds: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, with) in series(&gateway) {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let family = family.filter(|family| kinds.contains_key(family)).unwrap_or(&name);
        labels.entry(family.to_owned()).or_default().extend(with.into_keys());
    }
    let expected = [
        ("portcullis_audit_dropped_total", "counter", ""),
        ("portcullis_audit_failures_total", "counter", ""),
        ("portcullis_build_info", "gauge", "version"),
        ("portcullis_config_generation", "gauge", ""),
        ("portcullis_config_reload_failures_total", "counter", ""),
        ("portcullis_connections", "gauge", ""),
        ("portcullis_connections_refused_total", "counter", ""),
        ("portcullis_connections_total", "counter", ""),
        ("portcullis_denials_total", "counter", "reason route stage"),
        ("portcullis_key_set_failures_total", "counter", ""),
        ("portcullis_key_sets_missing", "gauge", ""),
        ("portcullis_request_duration_seconds", "histogram", "le route service"),
        ("portcullis_requests_total", "counter", "code decision route service"),
        ("portcullis_shadow_denials_total", "counter", "reason route stage"),
        ("portcullis_upstream_healthy", "gauge", "service target"),
        ("portcullis_upstream_requests_total", "counter", "outcome service target"),
    ];
    let found: Vec<_> = kinds
        .iter()
        .map(|(&name, &kind)| {
            let labels = labels.get(name).map(|labels| Vec::from_iter(labels.iter().cloned()).join(" "));
            (name, kind, labels.unwrap_or_default())
        })
        .collect();
    let found: Vec<_> = found.iter().map(|(name, kind, labels)| (*name, *kind, labels.as_str())).collect();
    assert_eq!(found, expected);
}

/// Nothing that a client chooses becomes a label: series would grow without end, and tell paths and names.
#[test]
fn clients_make_no_series() {
    let upstream = Upstream::start();
    let gateway = authenticated(plain(&upstream.url()), "staff, anonymous")
        .routes(&["{ name: orders, path: \"/orders/{id}\", methods: [GET] }"])
        .start_in(folder());
    let send = |number: usize| {
        let mut connection = Connection::open(gateway.address("public"));
        for (request, status) in [
            (format!("GET /orders/wanted{number}?q=wanted{number} HTTP/1.1\r\nHost: wanted{number}"), 200),
            (format!("GET /wanted{number} HTTP/1.1\r\nHost: a"), 404),
            (format!("WANTED{number} /orders/1 HTTP/1.1\r\nHost: a"), 405),
            (
                format!(
                    "GET /orders/1 HTTP/1.1\r\nHost: a\r\n{}",
                    bearer(&format!("wanted{number}")).trim_end()
                ),
                200,
            ),
            (format!("GET /orders/1 HTTP/1.1\r\nHost: a\r\n{}", authorization("wanted").trim_end()), 401),
        ] {
            assert_eq!(connection.send(format!("{request}\r\n\r\n")).response().status, status, "{request}");
        }
    };
    send(0);
    let before = series(&gateway);
    for number in 1..50 {
        send(number);
    }
    assert_eq!(series(&gateway), before);
    let routes: BTreeSet<_> = before.iter().filter_map(|(_, labels)| labels.get("route")).collect();
    assert_eq!(Vec::from_iter(routes), ["", "orders"]);
    let text = raw::get(gateway.address("admin"), "/metrics", "").text();
    assert!(!text.to_ascii_lowercase().contains("wanted"), "{text}");
}
