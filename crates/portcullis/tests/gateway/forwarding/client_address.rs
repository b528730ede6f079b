//! Who the client is: by its connection, by proxies that are trusted, by the PROXY protocol.

use portcullis_testkit::echo::{Seen, Upstream};
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Connection};

use crate::common::{Config, plain};

/// What the service is told about the client of a GET with these fields.
fn told(gateway: &Gateway, upstream: &Upstream, fields: &str) -> Seen {
    assert_eq!(raw::get(gateway.address("public"), "/", fields).status, 200);
    let seen = upstream.only_request();
    upstream.forget();
    seen
}

fn client_of(seen: &Seen) -> (Option<String>, Option<String>) {
    (seen.header("x-forwarded-for"), seen.header("x-forwarded-proto"))
}

fn some(address: &str, scheme: &str) -> (Option<String>, Option<String>) {
    (Some(address.to_owned()), Some(scheme.to_owned()))
}

#[test]
fn nobody_is_believed_who_is_not_trusted() {
    let upstream = Upstream::start();
    let claims = "X-Forwarded-For: 203.0.113.9\r\nForwarded: for=203.0.113.9;proto=https\r\nX-Real-IP: 203.0.113.9\r\n\
        X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\nTrue-Client-IP: 203.0.113.9\r\n";
    for proxies in ["", "10.0.0.0/8, 192.0.2.7"] {
        let config =
            plain(&upstream.url()).section("client_address", format!("{{ trusted_proxies: [{proxies}] }}"));
        let seen = told(&config.start(), &upstream, claims);
        assert_eq!(client_of(&seen), some("127.0.0.1", "http"));
        assert_eq!(seen.header("x-forwarded-host").as_deref(), Some("api.example.com"));
        for name in ["forwarded", "x-real-ip", "true-client-ip"] {
            assert!(!seen.has(name), "{name} reached the service");
        }
    }
}

#[test]
fn trusted_proxies_name_the_client_by_x_forwarded_for() {
    let upstream = Upstream::start();
    let section = "{ trusted_proxies: [127.0.0.0/8, \"10.0.0.0/8\"] }";
    let gateway = plain(&upstream.url()).section("client_address", section).start();
    for (fields, client) in [
        ("", some("127.0.0.1", "http")),
        ("X-Forwarded-For: 203.0.113.9\r\n", some("203.0.113.9", "http")),
        ("X-Forwarded-For: 1.1.1.1, 203.0.113.9, 10.1.1.1\r\n", some("203.0.113.9", "http")),
        ("X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 203.0.113.9\r\n", some("203.0.113.9", "http")),
        ("X-Forwarded-For: [2001:db8::1]:443\r\nX-Forwarded-Proto: https\r\n", some("2001:db8::1", "https")),
        ("X-Forwarded-For: 203.0.113.9, nonsense\r\n", some("127.0.0.1", "http")),
        ("Forwarded: for=203.0.113.9\r\n", some("127.0.0.1", "http")),
    ] {
        assert_eq!(client_of(&told(&gateway, &upstream, fields)), client, "{fields}");
    }
}

#[test]
fn trusted_proxies_name_the_client_by_forwarded() {
    let upstream = Upstream::start();
    let section = "{ trusted_proxies: [127.0.0.1], header: forwarded }";
    let gateway = plain(&upstream.url()).section("client_address", section).start();
    for (fields, client) in [
        ("Forwarded: for=203.0.113.9;proto=https\r\n", some("203.0.113.9", "https")),
        ("Forwarded: for=1.1.1.1, for=\"[2001:db8::7]:80\"\r\n", some("2001:db8::7", "http")),
        ("Forwarded: for=unknown\r\n", some("127.0.0.1", "http")),
        ("X-Forwarded-For: 203.0.113.9\r\n", some("127.0.0.1", "http")),
    ] {
        assert_eq!(client_of(&told(&gateway, &upstream, fields)), client, "{fields}");
    }
}

#[test]
fn the_record_names_the_client_and_the_peer() {
    let upstream = Upstream::start();
    let gateway =
        plain(&upstream.url()).section("client_address", "{ trusted_proxies: [127.0.0.1] }").start();
    told(&gateway, &upstream, "X-Forwarded-For: 203.0.113.9\r\n");
    let records = gateway.stop_and_audit();
    assert_eq!(records[0]["client.address"], "203.0.113.9", "{}", records[0]);
    assert_eq!(records[0]["network.peer.address"], "127.0.0.1", "{}", records[0]);
}

const PROXIED: &str = "{ name: public, address: \"127.0.0.1:0\", proxy_protocol: true }";

/// A header of the PROXY protocol, version 2 (proxy-protocol.txt section 2.2).
fn proxy_header(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[0x20 | command, family], &length, addresses].concat()
}

fn behind_balancer(upstream: &Upstream) -> Config {
    plain(&upstream.url()).listener(PROXIED)
}

#[test]
fn a_load_balancer_names_the_client_by_the_proxy_protocol() {
    let upstream = Upstream::start();
    let gateway = behind_balancer(&upstream).start();
    let v4 = [[203, 0, 113, 9], [127, 0, 0, 1]].concat();
    let v6: Vec<u8> =
        [0x2001_0db8_u128 << 96 | 1, 1].iter().flat_map(|address| address.to_be_bytes()).collect();
    let ports = [0x12, 0x34, 0x00, 0x50];
    for (header, client) in [
        (proxy_header(1, 0x11, &[&v4[..], &ports].concat()), "203.0.113.9"),
        (proxy_header(1, 0x21, &[&v6[..], &ports].concat()), "2001:db8::1"),
        // Records behind the addresses (type 4: no operation).
        (proxy_header(1, 0x11, &[&v4[..], &ports, &[4, 0, 1, 0]].concat()), "203.0.113.9"),
        // The balancer speaks for itself.
        (proxy_header(0, 0x00, &[]), "127.0.0.1"),
    ] {
        let request =
            [&header[..], b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n"].concat();
        let mut client_side = Connection::open(gateway.address("public"));
        assert_eq!(client_side.send_bytewise(&request).response().status, 200);
        assert_eq!(upstream.only_request().header("x-forwarded-for").as_deref(), Some(client));
        upstream.forget();
    }
}

#[test]
fn a_connection_without_its_proxy_header_is_closed() {
    let upstream = Upstream::start();
    let gateway = behind_balancer(&upstream).start();
    let first_version = "PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n";
    for start in ["", first_version, "\r\n\r\n\0\r\nQUIX\n"] {
        let mut client = Connection::open(gateway.address("public"));
        client.send(format!("{start}GET / HTTP/1.1\r\nHost: a\r\n\r\n")).assert_closed();
    }
    upstream.assert_no_contact();
}

#[test]
fn the_proxy_protocol_is_no_request_where_it_is_not_expected() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url()).start();
    let header = proxy_header(1, 0x11, &[203, 0, 113, 9, 127, 0, 0, 1, 0, 1, 0, 80]);
    let mut client = Connection::open(gateway.address("public"));
    client.send([&header[..], b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
    assert_eq!(client.response().code(), "malformed_request");
    upstream.assert_no_contact();
}

#[test]
fn a_proxy_header_that_does_not_come_is_not_waited_for_for_ever() {
    let upstream = Upstream::start();
    let gateway = behind_balancer(&upstream).section("protocol", "{ handshake_timeout: 100ms }").start();
    Connection::open(gateway.address("public")).send(b"\r\n\r\n\0").assert_closed();
    upstream.assert_no_contact();
}

/// A client behind the balancer, whose request was answered: its connection is still open.
fn client_behind_balancer(gateway: &Gateway, client: u8) -> Option<Connection> {
    let addresses = [203, 0, 113, client, 127, 0, 0, 1, 0x12, 0x34, 0x00, 0x50];
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_slice();
    let mut connection = Connection::open(gateway.address("public"));
    connection.send([proxy_header(1, 0x11, &addresses).as_slice(), request].concat());
    let response = connection.try_response("GET")?;
    assert_eq!(response.status, 200);
    Some(connection)
}

/// The balancer's own address has all of them.
#[test]
fn behind_a_balancer_each_client_has_its_own_share_of_connections() {
    let upstream = Upstream::start();
    let gateway = behind_balancer(&upstream).section("protocol", "{ connections_per_address: 2 }").start();
    let first = client_behind_balancer(&gateway, 1);
    let second = client_behind_balancer(&gateway, 1);
    assert!(first.is_some() && second.is_some());
    assert!(client_behind_balancer(&gateway, 1).is_none(), "two are allowed");
    let others: Vec<_> = (2..6).map(|client| client_behind_balancer(&gateway, client)).collect();
    assert!(others.iter().all(Option::is_some), "other clients are not concerned");
    let metrics = raw::get(gateway.address("admin"), "/metrics", "").text();
    assert!(metrics.contains("\nportcullis_connections_refused_total 1\n"), "{metrics}");
    assert!(metrics.contains("\nportcullis_connections 6\n"), "{metrics}");
}

/// What stands on the list is a proxy: its connections carry many clients.
#[test]
fn trusted_proxies_have_as_many_connections_as_they_need() {
    let upstream = Upstream::start();
    let config = plain(&upstream.url()).section("protocol", "{ connections_per_address: 2 }");
    let gateway = config.section("client_address", "{ trusted_proxies: [127.0.0.0/8] }").start();
    let mut connections: Vec<_> = (0..5).map(|_| Connection::open(gateway.address("public"))).collect();
    for connection in &mut connections {
        assert_eq!(connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").response().status, 200);
    }
}
