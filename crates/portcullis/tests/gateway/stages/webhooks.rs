//! Webhooks: the body is judged before anything of the request reaches the service, and then arrives whole.

use std::process::Command;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use portcullis_core::{Clock as _, SystemClock};
use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::{self, Connection, Response};

use super::{challenges, refusal};
use crate::common::{BINARY, plain, setup};

const SECRET: &str = "a secret of some length";

fn tag(text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), text.as_bytes()).as_ref().to_vec()
}

fn hex(text: &str) -> String {
    tag(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now() -> u64 {
    SystemClock.now().as_secs()
}

fn taking(upstream: &Upstream, method: &str) -> Gateway {
    plain(&upstream.url())
        .section(
            "authentication",
            format!("{{ webhooks: [{{ name: sender, secrets: [\"{SECRET}\"], {method} }}] }}"),
        )
        .policy("authenticate", "{ mode: enforce, methods: [sender] }")
        .policy("forward", "{ body: 10KiB, identity: { X-Caller: subject, X-Kind: kind } }")
        .start()
}

fn post(gateway: &Gateway, lines: &str, body: &str) -> Response {
    raw::post(gateway.address("public"), "/reflect", lines, body)
}

#[test]
fn a_signed_body_arrives_whole_and_a_changed_one_does_not_arrive() {
    let upstream = Upstream::start();
    let gateway = taking(&upstream, "format: github");
    let body = "{\"action\":\"opened\"}".repeat(100);
    let line = format!("X-Hub-Signature-256: sha256={}\r\n", hex(&body));
    assert_eq!(post(&gateway, &line, &body).text(), body);
    let seen = upstream.only_request();
    assert_eq!(seen.header("x-caller").as_deref(), Some("sender"));
    assert_eq!(seen.header("x-kind").as_deref(), Some("signer"));
    upstream.forget();
    assert_eq!(
        refusal(&post(&gateway, &line, &body.replace("opened", "closed"))),
        (401, "invalid_signature".to_owned())
    );
    let without = post(&gateway, "", &body);
    assert_eq!(refusal(&without), (401, "credential_missing".to_owned()));
    assert_eq!(challenges(&without), ["HMAC realm=\"api\", header=\"x-hub-signature-256\""]);
    let large = "x".repeat(10 * 1024 + 1);
    let line = format!("X-Hub-Signature-256: sha256={}\r\n", hex(&large));
    assert_eq!(refusal(&post(&gateway, &line, &large)), (413, "body_too_large".to_owned()));
    upstream.assert_no_contact();
    let records = gateway.stop_and_audit();
    let causes: Vec<_> = records.iter().map(|record| record["credential_fault"].as_str()).collect();
    assert_eq!(causes, [None, Some("wrong_signature"), Some("missing"), None]);
}

/// A body of unknown length, in pieces, and one that stays away.
#[test]
fn a_body_in_pieces_is_judged_when_it_is_whole() {
    let upstream = Upstream::start();
    let gateway = taking(&upstream, "format: github");
    let head = |body: &str| {
        format!(
            "POST /reflect HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX-Hub-Signature-256: sha256={}\r\n\r\n",
            hex(body)
        )
    };
    let mut connection = Connection::open(gateway.address("public"));
    connection.send(head("onetwo")).send("3\r\none\r\n").send("3\r\ntwo\r\n0\r\n\r\n");
    assert_eq!(connection.response().text(), "onetwo");
    upstream.forget();
    connection.send(head("onetwo")).send("3\r\none\r\n").send("3\r\nTWO\r\n0\r\n\r\n");
    assert_eq!(refusal(&connection.response()), (401, "invalid_signature".to_owned()));
    let mut broken = Connection::open(gateway.address("public"));
    broken.send(head("one")).send("zz\r\n");
    assert_eq!(broken.response().status, 400);
    upstream.assert_no_contact();
    // Where there is no body, that is what is signed.
    let line = format!("X-Hub-Signature-256: sha256={}\r\n", hex(""));
    assert_eq!(raw::get(gateway.address("public"), "/", &line).status, 200);
}

#[test]
fn the_formats_of_stripe_and_slack_are_taken_once_and_in_time() {
    let upstream = Upstream::start();
    let body = "{\"id\":\"evt_1\"}";
    let stripe = |moment: u64| {
        format!(
            "Stripe-Signature: t={moment},v1={},v0=00,v1={}\r\n",
            hex("another"),
            hex(&format!("{moment}.{body}"))
        )
    };
    let slack = |moment: u64| {
        format!(
            "X-Slack-Request-Timestamp: {moment}\r\nX-Slack-Signature: v0={}\r\n",
            hex(&format!("v0:{moment}:{body}"))
        )
    };
    for (format, lines) in
        [("stripe", &stripe as &dyn Fn(u64) -> String), ("slack", &slack as &dyn Fn(u64) -> String)]
    {
        let gateway = taking(&upstream, &format!("format: {format}"));
        let once = lines(now());
        assert_eq!(post(&gateway, &once, body).text(), body, "{format}");
        for (refused, cause) in [
            (once, "replayed"),
            (lines(now() - 400), "timestamp_too_old"),
            (lines(now() + 400), "timestamp_ahead"),
        ] {
            upstream.forget();
            assert_eq!(
                refusal(&post(&gateway, &refused, body)),
                (401, "invalid_signature".to_owned()),
                "{cause}"
            );
            upstream.assert_no_contact();
        }
        let records = gateway.stop_and_audit();
        let causes: Vec<_> = records.iter().map(|record| record["credential_fault"].as_str()).collect();
        assert_eq!(
            causes,
            [None, Some("replayed"), Some("timestamp_too_old"), Some("timestamp_ahead")],
            "{format}"
        );
    }
}

/// What was judged is what is scanned, and what a reload keeps in mind.
#[test]
fn the_scanner_sees_the_same_body_and_a_reload_forgets_no_signature() {
    let upstream = Upstream::start();
    let config = plain(&upstream.url())
        .section(
            "authentication",
            format!("{{ webhooks: [{{ name: sender, secrets: [\"{SECRET}\"], format: slack }}] }}"),
        )
        .policy("authenticate", "{ mode: enforce, methods: [sender] }")
        .policy("scan", "{ mode: enforce, ruleset: builtin }");
    let gateway = config.start();
    let send = |body: &str, moment: u64| {
        let signature = hex(&format!("v0:{moment}:{body}"));
        let lines = format!(
            "Content-Type: application/json\r\nX-Slack-Request-Timestamp: {moment}\r\nX-Slack-Signature: v0={signature}\r\n"
        );
        let answer = post(&gateway, &lines, body);
        if answer.status == 200 { (200, String::new()) } else { refusal(&answer) }
    };
    let moment = now();
    assert_eq!(send("{\"a\":\"1' or '1'='1\"}", moment), (403, "attack_detected".to_owned()));
    assert_eq!(send("{\"a\":\"b\"}", moment).0, 200);
    gateway.rewrite(&config.clone().section("drain_timeout", "5s").text());
    gateway.hang_up();
    let _ = gateway.wait_for_event("reloaded", 0);
    assert_eq!(send("{\"a\":\"b\"}", moment), (401, "invalid_signature".to_owned()));
}

#[test]
fn explain_judges_the_signature_of_a_request_in_a_file() {
    let upstream = Upstream::start();
    let config = plain(&upstream.url())
        .section(
            "authentication",
            format!("{{ webhooks: [{{ name: sender, secrets: [\"{SECRET}\"], format: github }}] }}"),
        )
        .policy("authenticate", "{ mode: enforce, methods: [sender] }");
    for (body, expected) in [("hello", "allow"), ("hullo", "invalid_signature")] {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX-Hub-Signature-256: sha256={}\r\n\r\n{body}",
            hex("hello")
        );
        let folder = setup().file("gateway.yaml", config.text()).file("request.http", request);
        let printed = Command::new(BINARY)
            .args(["explain", "gateway.yaml", "--request", "request.http", "--format", "json"])
            .current_dir(folder.folder())
            .output()
            .unwrap();
        let told = String::from_utf8(printed.stdout).unwrap();
        assert!(told.contains(expected), "{told}");
    }
}

/// The example, as it is published.
#[test]
fn the_example_takes_four_senders() {
    let upstream = Upstream::start();
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/webhooks.yaml");
    let mut setup = setup()
        .variable("LISTEN", "127.0.0.1:0")
        .variable("ADMIN", "127.0.0.1:0")
        .variable("UPSTREAM", upstream.url());
    for name in ["GITHUB_SECRET", "STRIPE_SECRET", "SLACK_SECRET", "COURIER_SECRET"] {
        setup = setup.variable(name, SECRET);
    }
    let gateway = setup.start(&std::fs::read_to_string(example).unwrap());
    let (body, moment) = ("{\"order\":17}", now());
    let courier = BASE64_STANDARD.encode(tag(&format!("{moment}.POST./courier.{body}")));
    for (path, lines) in [
        ("/github", format!("X-Hub-Signature-256: sha256={}\r\n", hex(body))),
        ("/stripe", format!("Stripe-Signature: t={moment},v1={}\r\n", hex(&format!("{moment}.{body}")))),
        (
            "/slack",
            format!(
                "X-Slack-Request-Timestamp: {moment}\r\nX-Slack-Signature: v0={}\r\n",
                hex(&format!("v0:{moment}:{body}"))
            ),
        ),
        ("/courier", format!("X-Courier-Time: {moment}\r\nX-Courier-Signature: {courier}\r\n")),
    ] {
        let lines = format!("Content-Type: application/json\r\n{lines}");
        assert_eq!(raw::post(gateway.address("public"), path, &lines, body).status, 200, "{path}");
        let other = raw::post(gateway.address("public"), path, &lines, "{\"order\":18}");
        assert_eq!(refusal(&other), (401, "invalid_signature".to_owned()), "{path}");
    }
}
