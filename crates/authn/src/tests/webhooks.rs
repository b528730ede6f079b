//! Webhooks by the formats of those who send them, with the examples that they publish.

use portcullis_core::{Reason, Timestamp};
use serde_json::{Value, json};

use super::fixture::{Gateway, Request, compile, gateway_of};
use crate::{Authenticate, Refusal};

/// GitHub, "Validating webhook deliveries".
const GITHUB: (&str, &str, &str) = (
    "It's a Secret to Everybody",
    "Hello, World!",
    "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
);
/// The Standard Webhooks specification, test vector.
const STANDARD: (&str, &str, &str, u64) = (
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    r#"{"test": 2432232314}"#,
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    1_614_265_330,
);

fn sender(raw: Value) -> (Gateway, Authenticate) {
    let mut method = json!({ "name": "main" });
    method.as_object_mut().unwrap().extend(raw.as_object().unwrap().clone());
    gateway_of(json!({ "webhooks": [method] }))
}

/// The principal's name, or the cause of the refusal.
fn judged(stage: &(Gateway, Authenticate), request: &Request) -> Result<String, &'static str> {
    match stage.0.ask(&stage.1, request) {
        Ok(principal) => Ok(principal.id.clone()),
        Err(refused) => Err(refused.cause.unwrap_or("asks for more")),
    }
}

#[test]
fn the_example_of_github_is_taken_and_nothing_like_it() {
    let (secret, body, signature) = GITHUB;
    let github = sender(json!({ "format": "github", "secrets": [secret], "scopes": ["push"] }));
    let signed = |value: &str, body: &str| {
        Request::to("/hook").header("x-hub-signature-256", value.as_bytes()).body(body)
    };
    assert_eq!(judged(&github, &signed(signature, body)), Ok("main".to_owned()));
    assert_eq!(judged(&github, &signed(signature, body)), Ok("main".to_owned()), "no moment is signed");
    for (value, body, cause) in [
        (signature, "Hello, World?", "wrong_signature"),
        (signature, "", "wrong_signature"),
        (&signature.replace("75", "76"), body, "wrong_signature"),
        (signature.split_at(signature.len() - 2).0, body, "wrong_signature"),
        (signature.split_at(signature.len() - 1).0, body, "malformed"),
        ("sha256=", body, "malformed"),
        ("sha256=zz", body, "malformed"),
        ("sha1=757107ea", body, "no_signature"),
        ("", body, "no_signature"),
    ] {
        assert_eq!(judged(&github, &signed(value, body)), Err(cause), "{value}");
    }
    assert_eq!(judged(&github, &Request::to("/hook").body(body)), Err("missing"));
    let twice = signed(signature, body).header("x-hub-signature-256", signature.as_bytes());
    assert_eq!(judged(&github, &twice), Err("ambiguous"));
}

/// What the head shows to be wrong is refused before the body is asked for.
#[test]
fn the_body_is_asked_for_last() {
    let (secret, _, signature, moment) = STANDARD;
    let standard = sender(json!({ "format": "standard", "secrets": [secret] }));
    let request = |signature: &str, seconds: u64| {
        Request::to("/hook")
            .header("webhook-signature", signature.as_bytes())
            .header("webhook-timestamp", moment.to_string().as_bytes())
            .at_seconds(seconds)
    };
    let ask = |request: &Request| standard.0.ask(&standard.1, request).unwrap_err();
    assert!(matches!(ask(&request(signature, moment)).refusal, Refusal::NeedsBody));
    assert_eq!(ask(&request("v1,?", moment)).cause, Some("malformed"));
    assert_eq!(ask(&request(signature, moment + 301)).cause, Some("timestamp_too_old"));
    assert_eq!(ask(&request(signature, moment - 301)).cause, Some("timestamp_ahead"));
}

#[test]
fn a_message_with_a_moment_is_taken_once_and_in_its_time() {
    let (secret, body, signature, moment) = STANDARD;
    let mut standard = sender(json!({ "format": "standard", "secrets": [secret], "tolerance": "1h" }));
    let request = |signature: &str, id: &str, seconds: u64| {
        Request::to("/hook")
            .header("webhook-id", id.as_bytes())
            .header("webhook-signature", signature.as_bytes())
            .header("webhook-timestamp", moment.to_string().as_bytes())
            .body(body)
            .at_seconds(seconds)
    };
    let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    assert_eq!(judged(&standard, &request(signature, "msg_other", moment)), Err("wrong_signature"));
    assert_eq!(judged(&standard, &request(signature, id, moment + 3601)), Err("timestamp_too_old"));
    let several = format!("v2,AAAA v1,AAAA {signature}");
    assert_eq!(judged(&standard, &request(&several, id, moment + 3600)), Ok("main".to_owned()));
    // Another choice of its signatures is the same message, and a reload changes nothing.
    assert_eq!(judged(&standard, &request(signature, id, moment)), Err("replayed"));
    let same = json!({ "webhooks": [{ "name": "main", "format": "standard", "secrets": [secret], "tolerance": "1h" }] });
    standard.0 = standard.0.reload(same);
    standard.1 = standard.0.route(json!({ "methods": ["main"] }));
    assert_eq!(judged(&standard, &request(signature, id, moment)), Err("replayed"));
    let many = vec!["v1,AAAA"; 17].join(" ");
    assert_eq!(judged(&standard, &request(&many, id, moment)), Err("too_many_signatures"));
}

#[test]
fn where_nothing_more_can_be_remembered_nothing_more_is_taken() {
    let tag = |key: &[u8], text: &str| {
        use base64::Engine as _;
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
        base64::prelude::BASE64_STANDARD.encode(aws_lc_rs::hmac::sign(&key, text.as_bytes()))
    };
    let own = sender(json!({
        "header": "X-Signature", "encoding": "base64", "signed": "{method} {target} {timestamp} {body}",
        "timestamp": { "header": "X-Moment" }, "secrets": ["0123456789abcdef"], "replay_entries": 1,
    }));
    let request = |seconds: u64, body: &str| {
        let text = format!("GET /hook?a=1 {seconds} {body}");
        Request::to("/hook?a=1")
            .header("x-signature", tag(b"0123456789abcdef", &text).as_bytes())
            .header("x-moment", seconds.to_string().as_bytes())
            .body(body)
    };
    let at = |request: Request, seconds: u64| request.at(Timestamp::from_secs(seconds));
    assert_eq!(judged(&own, &at(request(1000, "a"), 1000)), Ok("main".to_owned()));
    let refused = own.0.ask(&own.1, &at(request(1000, "b"), 1000)).unwrap_err();
    assert_eq!((refused.reason(), refused.cause), (Reason::Overloaded, Some("replay_table_full")));
    assert_eq!(judged(&own, &at(request(1301, "b"), 1301)), Ok("main".to_owned()), "the first has ended");
    for moment in ["", "+1", "1e3", "123456789012345678901", " 1"] {
        let odd = request(1301, "c").replacing("x-moment", moment.as_bytes());
        assert_eq!(judged(&own, &at(odd, 1301)), Err("malformed_timestamp"), "{moment:?}");
    }
}

#[test]
fn what_would_let_others_write_is_refused_when_it_is_loaded() {
    for (raw, path, message) in [
        (json!({ "secrets": ["0123456789abcdef"] }), "webhooks[0]", "where the signature stands"),
        (json!({ "format": "github", "secrets": [] }), "webhooks[0].secrets", "no secret"),
        (json!({ "format": "standard", "secrets": ["whsec_?"] }), "webhooks[0].secrets[0]", "not base64"),
        (json!({ "format": "github", "secrets": ["short"] }), "webhooks[0].secrets[0]", "less than 16 bytes"),
        (
            json!({ "header": "X-S", "signed": "{header:x-id}", "secrets": ["0123456789abcdef"] }),
            "webhooks[0].signed",
            "the body is not signed",
        ),
        (
            json!({ "header": "X-S", "signed": "{body}", "timestamp": { "header": "X-T" }, "secrets": ["0123456789abcdef"] }),
            "webhooks[0].signed",
            "the moment is not signed",
        ),
        (
            json!({ "header": "X-S", "signed": "{timestamp}{body}", "secrets": ["0123456789abcdef"] }),
            "webhooks[0].signed",
            "nothing says where `{timestamp}` stands",
        ),
        (
            json!({ "header": "X-S", "signed": "{bodi}", "secrets": ["0123456789abcdef"] }),
            "webhooks[0].signed",
            "no part",
        ),
        (
            json!({ "format": "github", "tolerance": "5m", "secrets": ["0123456789abcdef"] }),
            "webhooks[0].tolerance",
            "says when",
        ),
        (
            json!({ "format": "slack", "tolerance": "2d", "secrets": ["0123456789abcdef"] }),
            "webhooks[0].tolerance",
            "2days is not",
        ),
    ] {
        let mut method = json!({ "name": "main" });
        method.as_object_mut().unwrap().extend(raw.as_object().unwrap().clone());
        let (_, _, problems) = compile(json!({ "webhooks": [method] }), &[]);
        let told = problems.iter().any(|it| it.path.as_str() == path && it.message.contains(message));
        assert!(told, "{raw}: {problems:?}");
    }
}

/// A format is nothing but a choice of what can be written out.
#[test]
fn each_part_of_a_format_may_be_written() {
    use base64::Engine as _;
    let (key, body, moment) = (b"sixteen bytes or", "{}", 1000_u64);
    let sha512 = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA512, key);
    let tag = aws_lc_rs::hmac::sign(&sha512, format!("{moment}:{body}").as_bytes());
    let tag: String = tag.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    let own = sender(json!({
        "header": "X-Sig", "separator": " ", "prefix": "s512:", "algorithm": "sha512",
        "signed": "{timestamp}:{body}", "timestamp": { "item": "at:" },
        "secret_encoding": "base64", "secrets": [base64::prelude::BASE64_STANDARD.encode(key)],
        "roles": ["courier"], "scopes": ["deliver"],
    }));
    let request =
        |value: &str| Request::to("/hook").header("x-sig", value.as_bytes()).body(body).at_seconds(moment);
    let principal = own.0.ask(&own.1, &request(&format!("at:{moment} s512:{tag}"))).unwrap();
    assert_eq!(
        (&principal.roles[..], &principal.scopes[..]),
        (&["courier".to_owned()][..], &["deliver".to_owned()][..])
    );
    for (value, cause) in [
        (format!("at:{moment} at:{moment} s512:{tag}"), "ambiguous"),
        (format!("s512:{tag}"), "timestamp_missing"),
        (format!("at:{moment},s512:{tag}"), "no_signature"),
        (format!("at:{moment} s512:{}", tag.split_at(64).0), "wrong_signature"),
    ] {
        assert_eq!(judged(&own, &request(&value)), Err(cause), "{value}");
    }
}
