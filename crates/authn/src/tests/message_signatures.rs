//! The example of RFC 9421 that is signed with Ed25519, and what is not like it.

use portcullis_core::PrincipalKind;
use serde_json::{Value, json};

use super::fixture::*;
use crate::Authenticate;

/// RFC 9421 appendix B.1.4.
const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----\n";
/// When it was signed.
const CREATED: u64 = 1_618_884_473;
const INPUT: &str = "sig-b26=(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"";
const SIGNATURE: &str =
    "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:";

fn method(changes: Value) -> (Gateway, Authenticate) {
    let mut method = json!({
        "name": "main", "require_digest": false, "required": ["@method", "@path", "@authority"],
        "keys": [{ "id": "test-key-ed25519", "algorithm": "ed25519", "pem": "key.pem" }],
    });
    method.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let gateway = Gateway::new(json!({ "signatures": [method] }), &[("key.pem", KEY)]);
    let plan = gateway.route(json!({ "methods": ["main"] }));
    (gateway, plan)
}

/// The request of appendix B.2, with the signature of B.2.6.
fn example() -> Request {
    Request::post("example.com", "/foo?param=Value&Pet=dog")
        .header("host", b"example.com")
        .header("date", b"Tue, 20 Apr 2021 02:07:55 GMT")
        .header("content-type", b"application/json")
        .header(
            "content-digest",
            b"sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
        )
        .header("content-length", b"18")
        .header("signature-input", INPUT.as_bytes())
        .header("signature", SIGNATURE.as_bytes())
        .body("{\"hello\": \"world\"}")
        .at_seconds(CREATED + 10)
}

#[test]
fn the_example_of_the_rfc_is_taken_once() {
    let (gateway, plan) = method(json!({}));
    let principal = gateway.ask(&plan, &example()).unwrap();
    assert_eq!((principal.kind, principal.id.as_str()), (PrincipalKind::Signer, "test-key-ed25519"));
    assert_eq!(gateway.ask(&plan, &example()).unwrap_err().cause, Some("replayed"));
}

#[test]
fn nothing_like_it_is_taken() {
    let without = |name: &str, text: &str| example().replacing(name, text.as_bytes());
    for (request, cause) in [
        (without("date", "Tue, 20 Apr 2021 02:07:56 GMT"), "wrong_signature"),
        (without("content-type", "text/plain"), "wrong_signature"),
        (without("signature", &SIGNATURE.replace(":wq", ":xq")), "wrong_signature"),
        (without("signature", "other=:AAAA:"), "no_signature"),
        (without("signature", "sig-b26=\"AAAA\""), "no_signature"),
        (without("signature", "sig-b26=:A"), "malformed"),
        (without("signature-input", "sig-b26"), "unknown_key"),
        (without("signature-input", &INPUT.replace("ed25519\"", "other\"")), "unknown_key"),
        (without("signature-input", &INPUT.replace("\"date\"", "\"date\" \"date\"")), "component"),
        (without("signature-input", &INPUT.replace("\"date\"", "\"date\";sf")), "component"),
        (without("signature-input", &INPUT.replace("\"date\"", "\"Date\"")), "component"),
        (without("signature-input", &INPUT.replace("\"date\"", "\"@status\"")), "component"),
        (without("signature-input", &INPUT.replace("\"date\"", "\"x-none\"")), "component_missing"),
        (without("signature-input", &INPUT.replace(" \"@path\"", "")), "component_not_covered"),
        (without("signature-input", &INPUT.replace(";created=1618884473", "")), "no_moment"),
        (without("signature-input", &INPUT.replace("1618884473", "1618884472")), "wrong_signature"),
        (without("signature-input", &INPUT.replace("1618884473", "\"x\"")), "malformed"),
        (without("signature-input", &format!("{INPUT};alg=\"hmac-sha256\"")), "algorithm"),
        (without("signature-input", &format!("{INPUT};alg=ed25519")), "algorithm"),
        (without("signature-input", &format!("{INPUT};expires=1618884480")), "out_of_time"),
        (
            without("signature-input", &format!("{INPUT}, b={}", INPUT.trim_start_matches("sig-b26="))),
            "several_signatures",
        ),
        (example().at_seconds(CREATED + 300), "out_of_time"),
        (example().at_seconds(CREATED - 31), "out_of_time"),
    ] {
        let (gateway, plan) = method(json!({}));
        assert_eq!(gateway.ask(&plan, &request).unwrap_err().cause, Some(cause));
    }
}

#[test]
fn a_body_that_nobody_signed_is_refused() {
    let (gateway, plan) = method(json!({ "require_digest": true }));
    assert_eq!(gateway.ask(&plan, &example()).unwrap_err().cause, Some("body_not_covered"));
    assert!(gateway.ask(&plan, &example().body("")).is_ok(), "there is nothing to cover");
}

#[test]
fn a_tag_tells_signatures_apart() {
    let (gateway, plan) = method(json!({ "tag": "orders" }));
    assert_eq!(gateway.ask(&plan, &example()).unwrap_err().cause, Some("unknown_key"));
}
