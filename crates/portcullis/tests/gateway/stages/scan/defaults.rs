//! What a configuration does that says nothing of the scanner.

use portcullis_testkit::echo::{Ending, Upstream};
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::raw::Connection;

use super::super::refusal;
use super::{get, post};
use crate::common::{plain, setup};

const ATTACK: &str = "/?id=1%27%20or%20%271%27=%271";

/// The gateway without a word about `scan`.
fn silent(upstream: &Upstream) -> Gateway {
    let text = plain(&upstream.url()).text();
    assert!(text.contains("  scan: { mode: off }\n"), "{text}");
    setup().start(&text.replace("  scan: { mode: off }\n", ""))
}

#[test]
fn every_route_is_protected_unless_it_says_otherwise() {
    let upstream = Upstream::start();
    let gateway = silent(&upstream);
    assert_eq!(refusal(&get(&gateway, ATTACK, "")), (403, "attack_detected".to_owned()));
    upstream.assert_no_contact();
    assert_eq!(get(&gateway, "/?name=O%27Neil", "").status, 200);
    let records = gateway.stop_and_audit();
    assert_eq!(
        (&records[0]["waf.ruleset"], &records[0]["waf.matches"][0]["ruleset"]),
        (&"builtin".into(), &"builtin".into())
    );
    assert_eq!(records[1]["stages"]["scan"], "pass");
    let gateway = plain(&upstream.url())
        .policy("scan", "{ mode: shadow }")
        .routes(&[
            "{ name: watched, path: /watched }",
            "{ name: open, path: /, policy: { scan: { mode: off } } }",
        ])
        .start();
    assert_eq!(get(&gateway, ATTACK, "").status, 200);
    assert_eq!(get(&gateway, &format!("/watched{}", &ATTACK[1..]), "").status, 200);
    let records = gateway.stop_and_audit();
    let stage = |at: usize| records[at]["stages"].get("scan").cloned().unwrap_or_default();
    assert_eq!((stage(0), stage(1)), (serde_json::Value::Null, "shadow_deny".into()));
}

/// The rules can read nothing in a picture or an archive, so it is not held back.
#[test]
fn what_is_no_text_streams() {
    let upstream = Upstream::start();
    let gateway = silent(&upstream);
    for (kind, first, last) in [
        ("image/png", b"\x89PNG\r\n\x1a\n".as_slice(), b"union select".as_slice()),
        ("application/octet-stream", b"PK\x03\x04", b"' or 1=1--"),
        ("application/grpc+proto", b"\0\0\0\0\x05", b"' or 1=1--"),
    ] {
        upstream.forget();
        let length = first.len() + last.len();
        let mut client = Connection::open(gateway.address("public"));
        client.send(format!(
            "POST /reflect HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        ));
        client.send(first);
        upstream.wait_for(|requests| {
            let [seen] = requests.as_slice() else { return None };
            (seen.body == first && seen.ending == Ending::Reading).then_some(())
        });
        assert_eq!(client.send(last).response().body, [first, last].concat(), "{kind}");
        assert_eq!(upstream.only_request().values("content-length"), [length.to_string()], "{kind}");
    }
}

/// What calls itself a picture and is text is looked into: some services read it by what it is.
#[test]
fn a_type_alone_opens_no_way_around_the_rules() {
    let upstream = Upstream::start();
    let gateway = silent(&upstream);
    let attack = r#"{"id": "1' or '1'='1"}"#;
    for kind in ["image/png", "application/octet-stream", "video/mp4; a=b"] {
        assert_eq!(refusal(&post(&gateway, kind, attack)), (403, "attack_detected".to_owned()), "{kind}");
    }
    let utf16: String = attack.chars().flat_map(|letter| [letter, '\0']).collect();
    assert_eq!(post(&gateway, "image/png", &utf16).status, 403);
    let two = "image/png\r\nContent-Type: application/json";
    assert_ne!(post(&gateway, two, attack).status, 200);
    assert_eq!(post(&gateway, "image/png", "only words, and no picture").status, 200);
    upstream.forget();
    assert_eq!(refusal(&post(&gateway, "application/grpc", attack)), (400, "unreadable_body".to_owned()));
    assert!(upstream.requests().iter().all(|seen| seen.body.is_empty()));
}

/// An answer is not looked into, so it streams; a connection that becomes something else is not held up.
#[test]
fn answers_and_upgrades_stream() {
    let upstream = Upstream::start();
    let gateway = silent(&upstream);
    let mut client = Connection::open(gateway.address("public"));
    client.send("GET /switch HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.interim().status, 101);
    client.send("' or 1=1--");
    assert_eq!(client.read_exactly(10), b"' or 1=1--");
}
