//! `portcullis explain`: what would become of a request, and why.

use serde_json::{Value, json};

use super::{Printed, Quickstart, folder, run};

/// The text without the times, which differ.
fn timeless(printed: &Printed) -> String {
    let lines = printed.stdout.lines().map(|line| match line.rfind("  (") {
        Some(at) if line.ends_with(" us)") => &line[..at],
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn json(printed: &Printed) -> Value {
    assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
    serde_json::from_str(&printed.stdout).unwrap()
}

/// A stage's part of an explanation.
fn stage<'e>(explanation: &'e Value, name: &str) -> &'e Value {
    let stages = explanation["stages"].as_array().unwrap();
    stages.iter().find(|story| story["stage"] == name).unwrap_or(&Value::Null)
}

const ALLOWED: &str = r#"protocol      pass
    saw   method = GET
    saw   host = shop.test
    saw   client = 127.0.0.1
    saw   removed_headers = ["x-forwarded-for"]
target        pass
    saw   received = /orders/42
    saw   normalised = /orders/42
route         pass
    by    order
    saw   path = /orders/42
    saw   service = orders
peer          pass
    by    per-address
    saw   per-address = {"quota":100,"remaining":99,"exceeded":false}
authenticate  pass
    by    staff
    saw   principal = ann
    saw   kind = user
    saw   roles = ["staff"]
    saw   scopes = []
authorize     pass
    by    staff-and-partners-read
limit         off
quota         off
scan          pass
allow"#;

#[test]
fn an_allowed_request_is_told_stage_by_stage() {
    let quickstart = Quickstart::new();
    let token = format!("Authorization: Bearer {}", quickstart.token);
    let url = "http://shop.test/orders/42";
    let printed = quickstart.explain(&["-H", &token, "-H", "X-Forwarded-For: 1.1.1.1", url]);
    assert_eq!((printed.code, timeless(&printed).as_str()), (0, ALLOWED));
    assert!(!printed.stdout.contains(&quickstart.token), "a credential is never shown");
    let record = quickstart.folder.path().join("quickstart-audit.jsonl");
    assert!(!record.exists(), "nothing is put on the record");
}

#[test]
fn a_missing_credential_is_found_at_its_stage() {
    let printed = Quickstart::new().explain(&["/orders/42"]);
    let text = timeless(&printed);
    let end = "authenticate  deny credential_missing\n    saw   fault = missing\n\
        deny by authenticate (401, credential_missing)";
    assert!(text.ends_with(end), "{text}");
}

#[test]
fn a_refusal_by_policy_names_what_was_asked() {
    let quickstart = Quickstart::new();
    let key = format!("X-API-Key: {}", quickstart.key);
    let printed = quickstart.explain(&["-X", "DELETE", "-H", &key, "--format", "json", "/orders/42"]);
    assert!(!printed.stdout.contains(&quickstart.key), "a credential is never shown");
    let told = json(&printed);
    assert_eq!((&told["decision"], &told["status"]), (&json!("deny"), &json!(403)));
    assert_eq!((&told["stage"], &told["reason_code"]), (&json!("authorize"), &json!("forbidden")));
    let stages = told["stages"].as_array().unwrap();
    let names: Vec<&str> = stages.iter().map(|story| story["stage"].as_str().unwrap()).collect();
    assert_eq!(names, ["protocol", "target", "route", "peer", "authenticate", "authorize"]);
    assert_eq!(stage(&told, "authenticate")["rules"], json!(["partners"]));
    assert_eq!(stage(&told, "authenticate")["seen"]["roles"], json!(["partner"]));
    assert!(stages.iter().all(|story| story["took_us"].as_f64().is_some()));
}

/// Counters are its own, so that no limit is exceeded by the one request; what would be left of it is told.
#[test]
fn limits_are_told_by_the_stage_that_takes_them() {
    let quickstart = Quickstart::new();
    let key = format!("X-API-Key: {}", quickstart.key);
    let told = json(&quickstart.explain(&["-H", &key, "--format", "json", "/reports"]));
    assert_eq!(told["decision"], "allow");
    assert_eq!(stage(&told, "peer")["rules"], json!(["per-address"]));
    assert_eq!(stage(&told, "limit")["rules"], json!(["per-caller"]));
    let seen = json!({ "per-caller": { "quota": 5, "remaining": 4, "exceeded": false } });
    assert_eq!(stage(&told, "limit")["seen"], seen);
}

#[test]
fn what_is_never_forwarded_is_told_apart() {
    let quickstart = Quickstart::new();
    for (arguments, stage, status, code) in [
        (&["/a/..%2fb"][..], "target", 400, "ambiguous_target"),
        (&["/a/%5c"], "target", 400, "ambiguous_target"),
        (&["/nowhere"], "route", 404, "no_route"),
        (&["-X", "PUT", "/orders/42"], "route", 405, "method_not_allowed"),
        (&["-X", "TRACE", "/orders/42"], "protocol", 405, "method_refused"),
        (&["-H", "Expect: miracles", "/orders/42"], "protocol", 417, "expectation_failed"),
        (&["-H", "Host: a b", "/orders/42"], "protocol", 400, "bad_host"),
    ] {
        let told = json(&quickstart.explain(&[&["--format", "json"][..], arguments].concat()));
        let expected = (&json!(stage), &json!(status), &json!(code));
        assert_eq!((&told["stage"], &told["status"], &told["reason_code"]), expected, "{arguments:?}");
    }
}

#[test]
fn a_request_can_be_read_from_a_file() {
    let quickstart = Quickstart::new();
    let key = &quickstart.key;
    let write = |name: &str, text: &str| std::fs::write(quickstart.folder.path().join(name), text).unwrap();
    write(
        "delete.http",
        &format!("DELETE /orders/42 HTTP/1.1\r\nHost: shop.test\r\nX-API-Key: {key}\r\n\r\n"),
    );
    write("get.http", &format!("GET /orders/./42 HTTP/1.1\nHost: shop.test\nX-API-Key: {key}\n\nbody"));
    let told = json(&quickstart.explain(&["--request", "delete.http", "--format", "json"]));
    assert_eq!(told["reason_code"], "forbidden");
    let told = json(&quickstart.explain(&["--request", "get.http", "--format", "json"]));
    assert_eq!(
        (&told["decision"], &stage(&told, "protocol")["seen"]["host"]),
        (&json!("allow"), &json!("shop.test"))
    );
    let seen = json!({ "received": "/orders/./42", "normalised": "/orders/42" });
    assert_eq!(stage(&told, "target")["seen"], seen);
}

#[test]
fn a_request_that_cannot_be_read_is_said() {
    let quickstart = Quickstart::new();
    for (text, message) in [
        (Some(""), "is not a request line"),
        (Some("GET / HTTP/1.1\nno field\n\n"), "`no field` is not a field"),
        (None, "cannot read `request.http`"),
    ] {
        let path = quickstart.folder.path().join("request.http");
        match text {
            Some(text) => std::fs::write(path, text).unwrap(),
            None => std::fs::remove_file(path).unwrap(),
        }
        let printed = quickstart.explain(&["--request", "request.http"]);
        assert_eq!((printed.code, printed.stdout.as_str()), (1, ""));
        assert!(printed.stderr.contains(message), "{}", printed.stderr);
    }
    assert_eq!(quickstart.explain(&[]).code, 2, "no request at all");
    assert_eq!(quickstart.explain(&["/a", "--request", "request.http"]).code, 2, "two requests");
}

#[test]
fn an_unsound_configuration_explains_nothing() {
    let folder = folder(&[("gateway.yaml", "version: 2\n")]);
    let printed = run(folder.path(), &["explain", "gateway.yaml", "/"]);
    assert_eq!((printed.code, printed.stdout.as_str()), (1, ""));
    assert!(printed.stderr.contains("version"), "{}", printed.stderr);
}

/// A length says what would become of the body; that of a body without one shows when it comes.
#[test]
fn a_body_that_would_be_too_large_is_told() {
    let quickstart = Quickstart::new();
    let key = format!("X-API-Key: {}", quickstart.key);
    let ask = |length: u64| {
        let length = format!("Content-Length: {length}");
        json(&quickstart.explain(&["-H", &key, "-H", &length, "--format", "json", "/orders/42"]))
    };
    // The route's own limit, 10 MiB, after everything else; and that of all routes, 100 MiB, before anything.
    let told = ask((10 << 20) + 1);
    assert_eq!((&told["stage"], &told["status"]), (&json!("forward"), &json!(413)));
    assert_eq!(told["reason_code"], "body_too_large");
    let seen = json!({ "content_length": (10 << 20) + 1, "limit": 10 << 20 });
    assert_eq!(stage(&told, "forward")["seen"], seen);
    assert_eq!(stage(&told, "authorize")["verdict"], "pass");
    let told = ask((100 << 20) + 1);
    assert_eq!((&told["stage"], &told["status"]), (&json!("protocol"), &json!(413)));
    assert_eq!(told["reason_code"], "body_too_large");
    let told = ask(10 << 20);
    assert_eq!((&told["decision"], stage(&told, "forward")), (&json!("allow"), &Value::Null));
}

#[test]
fn a_preflight_is_told_with_the_gateways_answer() {
    let quickstart = Quickstart::new();
    let path = quickstart.folder.path().join("quickstart.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let cors = "  response:\n    cors: { origins: [\"https://app.test\"], methods: [GET] }\n";
    let with_cors = text.replacen("  response:\n", cors, 1);
    assert_ne!(with_cors, text);
    std::fs::write(&path, with_cors).unwrap();
    let ask = |origin: &str| {
        let origin = format!("Origin: {origin}");
        let method = "Access-Control-Request-Method: GET";
        json(&quickstart.explain(&[
            "-X",
            "OPTIONS",
            "-H",
            &origin,
            "-H",
            method,
            "--format",
            "json",
            "/orders/42",
        ]))
    };
    let told = ask("https://app.test");
    assert_eq!((&told["decision"], &told["status"]), (&json!("allow"), &json!(204)));
    let names: Vec<&str> =
        told["stages"].as_array().unwrap().iter().map(|story| story["stage"].as_str().unwrap()).collect();
    assert_eq!(names, ["protocol", "target", "route"], "nobody is asked who they are");
    assert_eq!(stage(&told, "route")["rules"], json!(["order"]));
    assert_eq!(stage(&told, "route")["seen"]["preflight_for"], "GET");
    assert_eq!(stage(&told, "route")["seen"]["access-control-allow-origin"], "https://app.test");
    let told = ask("https://evil.test");
    assert_eq!(told["status"], 204);
    assert_eq!(stage(&told, "route")["seen"]["access-control-allow-origin"], Value::Null);
}
