//! Every protocol on one side with every protocol on the other, and TLS that proves whom it leads to.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use portcullis_testkit::ca::Authority;
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::h2;
use portcullis_testkit::raw::{self, Connection, Response};

use crate::common::{Config, plain};

/// What a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Http1,
    Http2,
    Http1OverTls,
    Http2OverTls,
}

/// A gateway with a listener for plain text and one for TLS.
struct Stage {
    authority: Authority,
    upstream: Upstream,
    gateway: Gateway,
}

impl Service {
    const ALL: [Self; 4] = [Self::Http1, Self::Http2, Self::Http1OverTls, Self::Http2OverTls];

    const fn is_secure(self) -> bool {
        matches!(self, Self::Http1OverTls | Self::Http2OverTls)
    }

    const fn speaks_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Http2OverTls)
    }

    fn stage(self) -> Stage {
        let authority = Authority::new();
        let identity = authority.server(&["127.0.0.1"]);
        let alpn = if self.speaks_http2() { "h2" } else { "http/1.1" };
        let upstream = if self.is_secure() {
            Upstream::start_tls(identity.server_config(&[alpn]))
        } else {
            Upstream::start()
        };
        let scheme = if self.is_secure() { "https" } else { "http" };
        let mut config = plain(&format!("{scheme}://{}", upstream.address()));
        if self.is_secure() {
            config = config.upstream("tls", format!("{{ ca: \"{}\" }}", authority.certificate().display()));
        }
        if self.speaks_http2() {
            config = config.upstream("protocol", "http2");
        }
        let gateway = config.another_listener(tls_listener(&authority)).start();
        Stage { authority, upstream, gateway }
    }
}

fn tls_listener(authority: &Authority) -> String {
    let identity = authority.server(&["gate.test"]);
    format!(
        "{{ name: secure, address: \"127.0.0.1:0\", tls: {{ certificate: \"{}\", key: \"{}\" }} }}",
        identity.certificate.display(),
        identity.key.display()
    )
}

impl Stage {
    fn http1(&self) -> Connection {
        Connection::open(self.gateway.address("public"))
    }

    fn http1_over_tls(&self) -> Connection {
        let config = self.authority.client_config(None, &["http/1.1"]);
        Connection::open_tls(self.gateway.address("secure"), "gate.test", config)
    }

    fn http2(&self) -> h2::Client {
        h2::Client::open(self.gateway.address("public"))
    }

    fn http2_over_tls(&self) -> h2::Client {
        let config = self.authority.client_config(None, &["h2"]);
        h2::Client::open_tls(self.gateway.address("secure"), "gate.test", config)
    }

    /// Checks that the service saw the request as it was sent, and the client the service's answer.
    fn check(&self, service: Service, client: &str, scheme: &str, answer: &Response) {
        assert_eq!(answer.status, 200, "{client} to {service:?}: {answer:?}");
        let seen = self.upstream.only_request();
        let expected = if service.speaks_http2() { "HTTP/2" } else { "HTTP/1.1" };
        assert_eq!(seen.version, expected, "{client} to {service:?}");
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/reflect?a=%2F&b"), "{client}");
        let host = if service.speaks_http2() { seen.authority.clone() } else { seen.header("host") };
        assert_eq!(host.as_deref(), Some("api.example.com"), "{client} to {service:?}");
        assert_eq!(seen.header("x-forwarded-proto").as_deref(), Some(scheme), "{client} to {service:?}");
        assert_eq!(seen.values("x-twice"), ["1", "2"], "{client} to {service:?}");
        assert_eq!((seen.text().as_str(), answer.text().as_str()), ("some body", "some body"), "{client}");
        assert_eq!(answer.header("content-type").as_deref(), Some("text/x-own"), "{client} to {service:?}");
        assert!(answer.complete, "{client} to {service:?}");
        self.upstream.forget();
    }
}

#[test]
fn every_protocol_meets_every_other() {
    const TEXT: &str = "POST /reflect?a=%2F&b HTTP/1.1\r\nHost: api.example.com\r\nX-Twice: 1\r\nX-Twice: 2\r\n\
        Content-Type: text/x-own\r\nContent-Length: 9\r\n\r\nsome body";
    let fields = [("x-twice", "1"), ("x-twice", "2"), ("content-type", "text/x-own")];
    for service in Service::ALL {
        let stage = service.stage();
        for (mut client, name, scheme) in
            [(stage.http1(), "HTTP/1.1", "http"), (stage.http1_over_tls(), "HTTP/1.1 over TLS", "https")]
        {
            // Twice: the second request goes over connections that are there already.
            for _ in 0..2 {
                let answer = client.send(TEXT).response();
                stage.check(service, name, scheme, &answer);
            }
        }
        for (client, name, scheme) in
            [(stage.http2(), "HTTP/2", "http"), (stage.http2_over_tls(), "HTTP/2 over TLS", "https")]
        {
            for _ in 0..2 {
                let mut stream = client.start("POST", "/reflect?a=%2F&b", &fields);
                stream.send("some ").send("body");
                stage.check(service, name, scheme, &stream.response());
            }
        }
    }
}

#[test]
fn a_client_that_offers_both_protocols_gets_http2() {
    let stage = Service::Http1.stage();
    let config = stage.authority.client_config(None, &["http/1.1", "h2"]);
    // The client refuses any other choice than h2.
    let client = h2::Client::open_tls(stage.gateway.address("secure"), "gate.test", config);
    assert_eq!(client.request("GET", "/", &[]).status, 200);
}

#[test]
fn a_client_that_offers_nothing_speaks_http1() {
    let stage = Service::Http1.stage();
    let config = stage.authority.client_config(None, &[]);
    let mut client = Connection::open_tls(stage.gateway.address("secure"), "gate.test", config);
    assert_eq!(client.send("GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n").response().status, 200);
}

/// A service that shows a certificate for `name`, and a gateway before it.
fn before_tls(name: &str, configure: impl Fn(Config, &Authority) -> Config) -> (Upstream, Gateway) {
    let authority = Authority::new();
    let upstream = Upstream::start_tls(authority.server(&[name]).server_config(&["http/1.1"]));
    let config = plain(&format!("https://{}", upstream.address()));
    let gateway = configure(config, &authority).start();
    (upstream, gateway)
}

fn trusting(authority: &Authority, more: &str) -> String {
    format!("{{ ca: \"{}\"{more} }}", authority.certificate().display())
}

#[test]
fn a_service_that_another_authority_vouches_for_is_not_spoken_to() {
    let other = Authority::new();
    let (upstream, gateway) =
        before_tls("127.0.0.1", |config, _| config.upstream("tls", trusting(&other, "")));
    let answer = raw::get(gateway.address("public"), "/", "Authorization: Bearer secret\r\n");
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_failed"));
    upstream.assert_no_contact();
}

#[test]
fn a_service_is_verified_by_the_name_of_its_target() {
    let (upstream, gateway) =
        before_tls("orders.internal", |config, authority| config.upstream("tls", trusting(authority, "")));
    assert_eq!(raw::get(gateway.address("public"), "/", "").status, 502);
    upstream.assert_no_contact();

    let (upstream, gateway) = before_tls("orders.internal", |config, authority| {
        config.upstream("tls", trusting(authority, ", server_name: orders.internal"))
    });
    assert_eq!(raw::get(gateway.address("public"), "/", "").status, 200);
    assert_eq!(upstream.requests().len(), 1);

    let (upstream, gateway) = before_tls("127.0.0.1", |config, authority| {
        config.upstream("tls", trusting(authority, ", server_name: orders.internal"))
    });
    assert_eq!(raw::get(gateway.address("public"), "/", "").status, 502, "the name replaces the target's");
    upstream.assert_no_contact();
}

#[test]
fn a_service_that_does_not_speak_the_configured_protocol_is_an_error() {
    // Plain text where TLS is asked for.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let service = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut first = [0];
        stream.read_exact(&mut first).unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
        first
    });
    let authority = Authority::new();
    let config = plain(&url).upstream("tls", trusting(&authority, "")).policy("forward", "{ retries: 0 }");
    let answer = raw::get(config.start().address("public"), "/", "");
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_failed"));
    assert_eq!(service.join().unwrap(), [0x16], "the service was offered TLS, and no request in plain text");

    // HTTP/1 by ALPN where HTTP/2 is asked for.
    let (upstream, gateway) = before_tls("127.0.0.1", |config, authority| {
        config.upstream("tls", trusting(authority, "")).upstream("protocol", "http2")
    });
    assert_eq!(raw::get(gateway.address("public"), "/", "").status, 502);
    upstream.assert_no_contact();
}

#[test]
fn trailers_pass_between_http2_and_http2_as_grpc_needs() {
    let upstream = Upstream::start();
    let gateway = plain(&upstream.url())
        .upstream("protocol", "http2")
        .policy("forward", "{ identity: { X-Caller: subject } }")
        .start();
    let client = h2::Client::open(gateway.address("public"));
    let mut call =
        client.start("POST", "/trailers", &[("te", "trailers"), ("content-type", "application/grpc")]);
    call.send("message").finish_with(&[("checksum", "1234"), ("x-caller", "root")]);
    let answer = call.response();
    assert_eq!((answer.status, answer.text().as_str()), (200, "message"));
    assert_eq!(answer.header("content-type").as_deref(), Some("application/grpc"));
    let trailer =
        |name: &str| answer.trailers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_slice());
    assert_eq!((trailer("grpc-status"), trailer("grpc-message")), (Some(&b"0"[..]), Some(&b"done"[..])));

    let seen = upstream.only_request();
    assert_eq!((seen.header("te").as_deref(), seen.text().as_str()), (Some("trailers"), "message"));
    // What the gateway alone may say is not said by the client after the head either.
    assert_eq!(seen.trailers, [("checksum".to_owned(), b"1234".to_vec())]);
}
