//! Client certificates as credentials: whom they stand for, what that one may, what services learn of it.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD;
use portcullis_testkit::ca::Identity;
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::rcgen::{DnType, SanType};
use serde_json::json;

use super::{Stage, connect};
use crate::common::Config;
use crate::credentials;

const OPTIONAL: &str = "client_certificates: { mode: optional, ca: [clients.pem] }";

/// Whoever the certificates of this method name is told to the service.
fn naming(stage: &Stage, method: &str) -> Config {
    stage
        .config(OPTIONAL)
        .section("authentication", format!("{{ certificates: [{{ name: workloads, {method} }}] }}"))
        .policy("authenticate", "{ mode: enforce, methods: [workloads] }")
        .policy("forward", "{ identity: { X-Caller: subject, X-Kind: kind } }")
}

fn named(stage: &Stage, names: &[SanType]) -> Identity {
    stage.clients.shaped_client("web", |params| {
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.subject_alt_names = names.to_vec();
    })
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

fn email(text: &str) -> SanType {
    SanType::Rfc822Name(text.try_into().unwrap())
}

/// The caller as the service is told, or the code of the refusal and its cause on the record.
fn caller(stage: &Stage, gateway: &Gateway, identity: Option<&Identity>) -> Result<String, String> {
    stage.upstream.forget();
    let answer = connect(gateway, &stage.client(identity)).send(super::GET).response();
    if answer.status == 200 {
        let seen = stage.upstream.only_request();
        assert_eq!(seen.header("x-kind").as_deref(), Some("certificate"));
        return Ok(seen.header("x-caller").unwrap());
    }
    assert_eq!(answer.status, 401);
    stage.upstream.assert_no_contact();
    Err(answer.code())
}

#[test]
fn a_certificate_names_its_holder_by_what_the_method_says() {
    let stage = Stage::new();
    let all = named(
        &stage,
        &[uri("spiffe://example.org/ns/prod/web"), dns("Web.Example.org"), email("web@example.org")],
    );
    for (template, expected) in [
        ("{spiffe}", "spiffe://example.org/ns/prod/web"),
        ("{uri}", "spiffe://example.org/ns/prod/web"),
        ("dns:{dns}", "dns:web.example.org"),
        ("{email}", "web@example.org"),
        ("{subject:CN}", "web"),
        ("{subject:cn}/{subject:o}", "web/Example"),
        ("{subject}", "O=Example,CN=web"),
    ] {
        let gateway = naming(&stage, &format!("principal: \"{template}\"")).start_in(stage.folder());
        assert_eq!(caller(&stage, &gateway, Some(&all)).as_deref(), Ok(expected), "{template}");
        assert_eq!(caller(&stage, &gateway, None), Err("credential_missing".to_owned()), "{template}");
    }
}

/// A certificate that could stand for two, or for nobody, stands for nobody.
#[test]
fn names_that_are_missing_or_several_are_refused() {
    let stage = Stage::new();
    let split = stage.clients.shaped_client("split", |params| {
        params.distinguished_name.push(DnType::CommonName, "a/b");
        params.distinguished_name.push(DnType::OrganizationName, "Example");
    });
    let cases = [
        ("{spiffe}", named(&stage, &[dns("a.test")]), "name_missing"),
        ("{spiffe}", named(&stage, &[uri("https://example.org/a")]), "name_missing"),
        ("{dns}", named(&stage, &[dns("a.test"), dns("b.test")]), "several_names"),
        ("{email}", named(&stage, &[email("a@test"), email("b@test")]), "several_names"),
        ("{dns}", named(&stage, &[dns("a.test"), dns("A.test")]), "repeated_name"),
        ("{uri}", named(&stage, &[uri("spiffe://a/b"), uri("https://c")]), "several_uris"),
        ("{spiffe}", named(&stage, &[uri("spiffe://A/b")]), "malformed_spiffe_id"),
        ("{subject:cn}/{subject:o}", split, "ambiguous_name"),
        ("{subject:ou}", named(&stage, &[]), "name_missing"),
    ];
    for (template, identity, cause) in cases {
        let gateway = naming(&stage, &format!("principal: \"{template}\"")).start_in(stage.folder());
        assert_eq!(
            caller(&stage, &gateway, Some(&identity)),
            Err("invalid_certificate".to_owned()),
            "{cause}"
        );
        let records = gateway.stop_and_audit();
        assert_eq!(records[0]["credential_fault"], cause, "{template}");
    }
}

#[test]
fn only_some_are_taken_and_each_may_what_it_is_granted() {
    let stage = Stage::new();
    let method = "principal: \"{dns}\", allow: [\"*.example.org\"], grants: [\
                  { principal: \"*\", scopes: [read] }, { principal: \"pay.*\", roles: [billing], scopes: [write] }]";
    let gateway = naming(&stage, method)
        .policy("authenticate", "{ mode: enforce, methods: [workloads], scopes: { all: [read, write] } }")
        .policy("forward", "{ identity: { X-Scopes: scopes, X-Roles: roles } }")
        .start_in(stage.folder());
    let status = |name: &str| {
        let config = stage.client(Some(&named(&stage, &[dns(name)])));
        let answer = connect(&gateway, &config).send(super::GET).response();
        (answer.status, if answer.status == 200 { String::new() } else { answer.code() })
    };
    assert_eq!(status("pay.example.org"), (200, String::new()));
    let seen = stage.upstream.only_request();
    assert_eq!(seen.header("x-scopes").as_deref(), Some("read write"));
    assert_eq!(seen.header("x-roles").as_deref(), Some("billing"));
    assert_eq!(status("web.example.org"), (403, "insufficient_scope".to_owned()));
    assert_eq!(status("pay.example.net"), (401, "invalid_certificate".to_owned()));
    let records = gateway.stop_and_audit();
    assert_eq!(records[0]["principal.id"], "pay.example.org");
    assert_eq!(records[2]["credential_fault"], "name_not_allowed");
}

#[test]
fn policies_decide_about_what_a_certificate_says() {
    let stage = Stage::new();
    let policy = "@id(\"prod\") permit(principal is Certificate, action, resource)\n\
                  when { principal.claims has uris && principal.claims.uris.contains(\"spiffe://a.test/prod\") };";
    let gateway = naming(&stage, "principal: \"{spiffe}\"")
        .section("authorization", "{ policies: [policy.cedar], claims: { uris: strings } }")
        .policy("authorize", "{ mode: enforce }")
        .start_in(stage.folder().file("policy.cedar", policy));
    for (name, expected) in [("spiffe://a.test/prod", 200), ("spiffe://a.test/dev", 403)] {
        let config = stage.client(Some(&named(&stage, &[uri(name)])));
        assert_eq!(connect(&gateway, &config).send(super::GET).response().status, expected, "{name}");
    }
}

/// RFC 9440: what the service is told of a certificate comes from the gateway alone.
#[test]
fn the_certificate_is_passed_on_and_never_taken_from_a_header() {
    let stage = Stage::new();
    let intermediate = stage.clients.intermediate();
    let identity = intermediate.client("far.test").with(&intermediate);
    let forged = "GET / HTTP/1.1\r\nHost: gate.test\r\nClient-Cert: :Zm9yZ2Vk:\r\nClient_Cert: :eA==:\r\n\
                  Client-Cert-Chain: :eA==:\r\n\r\n";
    for (fields, has_leaf, has_chain) in
        [("none", false, false), ("leaf", true, false), ("chain", true, true)]
    {
        let config = stage.config(OPTIONAL).policy("forward", format!("{{ client_certificate: {fields} }}"));
        let gateway = config.start_in(stage.folder());
        stage.upstream.forget();
        assert_eq!(connect(&gateway, &stage.client(Some(&identity))).send(forged).response().status, 200);
        let seen = stage.upstream.only_request();
        let leaf = seen.header("client-cert").unwrap_or_default();
        assert_eq!((!leaf.is_empty(), seen.has("client-cert-chain")), (has_leaf, has_chain), "{fields}");
        assert!(!leaf.contains("Zm9yZ2Vk") && !seen.has("client_cert"), "{leaf}");
        stage.upstream.forget();
        assert_eq!(connect(&gateway, &stage.client(None)).send(forged).response().status, 200);
        let seen = stage.upstream.only_request();
        assert!(!seen.has("client-cert") && !seen.has("client-cert-chain"));
    }
}

#[test]
fn a_method_needs_a_listener_that_asks_and_a_name_that_can_be_read_back() {
    let stage = Stage::new();
    for (tls, method, told) in [
        ("", "principal: \"{dns}\"", "no listener asks clients for a certificate"),
        (OPTIONAL, "principal: \"{dnss}\"", "there is no part `{dnss}`"),
        (OPTIONAL, "principal: web", "it is the same for every request"),
        (OPTIONAL, "principal: \"{dns}{email}\"", "two parts touch"),
    ] {
        let config = stage
            .config(tls)
            .section("authentication", format!("{{ certificates: [{{ name: workloads, {method} }}] }}"))
            .policy("authenticate", "{ mode: enforce, methods: [workloads] }");
        let refusal = stage.folder().refuse(&config.text());
        assert!(refusal.stderr.contains(told), "{told}: {}", refusal.stderr);
    }
}

/// The example, as it is published.
#[test]
fn the_example_names_workloads_by_their_spiffe_ids() {
    let stage = Stage::new();
    let upstream = Upstream::start();
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/mtls.yaml");
    let gateway = stage
        .folder()
        .variable("LISTEN", "127.0.0.1:0")
        .variable("ADMIN", "127.0.0.1:0")
        .variable("UPSTREAM", upstream.url())
        .start(&std::fs::read_to_string(example).unwrap());
    let address = gateway.address("internal");
    let status = |identity: Option<&Identity>, line: &str| {
        let config = stage.client(identity);
        let mut connection = portcullis_testkit::raw::Connection::open_tls(
            address,
            "gate.test",
            std::sync::Arc::clone(&config),
        );
        connection
            .send(format!("{line} HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 0\r\n\r\n"))
            .response()
            .status
    };
    let web = named(&stage, &[uri("spiffe://example.org/ns/web/sa/a")]);
    let billing = named(&stage, &[uri("spiffe://example.org/ns/billing/sa/a")]);
    let foreign = named(&stage, &[uri("spiffe://example.net/ns/web/sa/a")]);
    let told: Vec<u16> = [Some(&web), Some(&billing), Some(&foreign), None]
        .into_iter()
        .flat_map(|identity| {
            ["GET /entries/1", "POST /entries/1", "GET /health"].map(|line| status(identity, line))
        })
        .collect();
    assert_eq!(told, [200, 403, 200, 200, 200, 200, 401, 401, 200, 401, 401, 200]);
    let seen = upstream.requests();
    assert!(seen[0].has("client-cert") && seen[0].header("x-caller").unwrap().starts_with("spiffe://"));
    let records = gateway.stop_and_audit();
    assert_eq!(records[0]["principal.kind"], json!("certificate"));
}

/// RFC 8705: a token that is bound to a certificate is of no use to whoever stole it.
#[test]
fn a_token_that_is_bound_to_a_certificate_passes_on_its_connection_alone() {
    let stage = Stage::new();
    let (holder, thief) = (stage.clients.client("holder.test"), stage.clients.client("thief.test"));
    let thumbprint = digest::digest(&digest::SHA256, &holder.chain()[0]);
    let mut claims = credentials::claims("ann");
    claims.insert("cnf".to_owned(), json!({ "x5t#S256": URL_SAFE_NO_PAD.encode(thumbprint) }));
    let token = credentials::EC.mint(None, &claims).unwrap();
    let folder = stage
        .folder()
        .file("staff.pem", credentials::EC.public_pem().unwrap())
        .file("rsa.pem", credentials::RSA.public_pem().unwrap());
    let gateway = credentials::authenticated(stage.config(OPTIONAL), "staff").start_in(folder);
    let request = format!("GET / HTTP/1.1\r\nHost: gate.test\r\nAuthorization: Bearer {token}\r\n\r\n");
    let ask = |identity: Option<&Identity>| {
        let answer = connect(&gateway, &stage.client(identity)).send(&request).response();
        (answer.status, if answer.status == 200 { String::new() } else { answer.code() })
    };
    for _ in 0..2 {
        // The second time it is remembered whose the token is.
        assert_eq!(ask(Some(&holder)), (200, String::new()));
        assert_eq!(ask(Some(&thief)), (401, "invalid_token".to_owned()));
        assert_eq!(ask(None), (401, "invalid_token".to_owned()));
    }
    let records = gateway.stop_and_audit();
    assert_eq!(records[1]["credential_fault"], "bound_to_another");
}
