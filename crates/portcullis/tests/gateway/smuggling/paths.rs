//! The path that is judged is the path that the service gets, byte for byte.
//!
//! One route is open, one asks for a key that nobody here has. Whoever gets past the second by way of the first
//! has found a second reading.

use portcullis_testkit::echo::Upstream;
use portcullis_testkit::gateway::Gateway;
use portcullis_testkit::h2raw;
use portcullis_testkit::raw::{Connection, Response};
use serde_json::Value;

use super::lenient::readings;
use crate::common::{Config, plain};

/// What becomes of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The open route takes it, and the service gets this target.
    Open(&'static str),
    /// A third route takes it, and the service gets this target.
    Other(&'static str),
    /// The closed route takes it.
    Closed,
    /// It is refused by the stage that judges targets.
    Ambiguous,
    /// It is refused on the wire, and the connection with it.
    Malformed,
}

use Outcome::{Ambiguous, Closed, Malformed, Open, Other};

const BY_DEFAULT: &[(&str, Outcome)] = &[
    ("/public/x", Open("/public/x")),
    ("/public", Open("/public")),
    ("/public/", Open("/public/")),
    ("/public?x=/../admin", Open("/public?x=/../admin")),
    ("/public/x?a=%2e%2e%2Fadmin&b=;\\", Open("/public/x?a=%2e%2e%2Fadmin&b=;%5C")),
    ("/admin/x", Closed),
    ("/admin", Closed),
    ("/admin/", Closed),
    ("/admin?x", Closed),
    // Dot segments.
    ("/public/../admin", Closed),
    ("/public/./../admin/x", Closed),
    ("/public/x/../../admin/x", Closed),
    ("/admin/../public/x", Open("/public/x")),
    ("/admin/..", Other("/")),
    ("/public/..", Other("/")),
    ("/public/.", Open("/public/")),
    ("/public/...", Open("/public/...")),
    ("/public/.../admin", Open("/public/.../admin")),
    ("/public/..x/admin", Open("/public/..x/admin")),
    ("/..", Ambiguous),
    ("/../admin", Ambiguous),
    ("/public/../../admin", Ambiguous),
    // Escapes of what needs none are undone.
    ("/public/%2e%2e/admin", Closed),
    ("/public/%2E./admin", Closed),
    ("/public/.%2e/admin", Closed),
    ("/public/%2e/x", Open("/public/x")),
    ("/%61dmin/x", Closed),
    ("/%61%64%6d%69%6E", Closed),
    ("/%70ublic/x", Open("/public/x")),
    ("/public/%7euser", Open("/public/~user")),
    // Escapes that are needed are written in one way.
    ("/public/caf%c3%a9", Open("/public/caf%C3%A9")),
    ("/public/a%20b", Open("/public/a%20b")),
    ("/public/%3fadmin", Open("/public/%3Fadmin")),
    ("/public/%23admin", Open("/public/%23admin")),
    // Separators in disguise.
    ("/public%2fadmin", Ambiguous),
    ("/public/..%2fadmin", Ambiguous),
    ("/public/..%2Fadmin", Ambiguous),
    ("/%2fadmin", Ambiguous),
    ("/public/..%5cadmin", Ambiguous),
    ("/public/..\\admin", Ambiguous),
    ("\\admin", Malformed),
    ("/\\admin", Ambiguous),
    // Twice encoded.
    ("/public/%252e%252e/admin", Ambiguous),
    ("/public/..%252fadmin", Ambiguous),
    ("/%2561dmin", Ambiguous),
    ("/public/100%25", Open("/public/100%25")),
    ("/public/%25252e", Ambiguous),
    // Parameters.
    ("/public/..;/admin", Ambiguous),
    ("/public/..;v=1/admin", Ambiguous),
    ("/public;v=1/x", Ambiguous),
    ("/admin;v=1", Ambiguous),
    ("/;/admin", Ambiguous),
    ("/public/%3b/admin", Ambiguous),
    // Empty segments.
    ("//admin/x", Closed),
    ("/public//x", Open("/public/x")),
    ("/public//../admin", Closed),
    ("//", Other("/")),
    ("/admin//", Closed),
    ("//evil.test/admin", Other("/evil.test/admin")),
    // Names are compared as they are: a service for which this is the same name has one more to protect.
    ("/ADMIN/x", Other("/ADMIN/x")),
    ("/Admin", Other("/Admin")),
    ("/%41dmin", Other("/Admin")),
    // Overlong and other encodings that are no UTF-8.
    ("/public/%c0%ae%c0%ae/admin", Ambiguous),
    ("/public/..%c0%afadmin", Ambiguous),
    ("/public/%ff", Ambiguous),
    ("/public/%ed%a0%80", Ambiguous),
    ("/public/%u002e%u002e/admin", Ambiguous),
    // Controls and broken escapes.
    ("/public/%00", Ambiguous),
    ("/admin%00", Ambiguous),
    ("/admin%00/../public", Ambiguous),
    ("/public/%0d%0aX-Admin:%201", Ambiguous),
    ("/admin%0a", Ambiguous),
    ("/public/%09", Ambiguous),
    ("/public/%7f", Ambiguous),
    ("/public/%", Ambiguous),
    ("/public/%2", Ambiguous),
    ("/public/%zz", Ambiguous),
    // What no target holds.
    ("/public#/../admin", Malformed),
    ("/public\0", Malformed),
    ("/public/x?\u{1}", Malformed),
    ("/public/x?\u{7f}", Malformed),
    ("/public/x? ", Malformed),
    ("/public\u{e9}", Malformed),
    ("/public/x?\u{e9}", Malformed),
    ("/public/\u{c0}\u{af}../admin", Malformed),
    // What no URI holds and clients send all the same has one form too.
    ("/public/<x>", Open("/public/%3Cx%3E")),
    ("/public/a\"^`{|}[]b", Open("/public/a%22%5E%60%7B%7C%7D[]b")),
    ("/public/a%22%7cb", Open("/public/a%22%7Cb")),
    ("/public/x?a[0]=\"<>\\^`{|}'", Open("/public/x?a[0]=%22%3C%3E%5C%5E%60%7B%7C%7D'")),
    ("/public/caf\u{c3}\u{a9}?\u{c3}\u{a9}", Open("/public/caf%C3%A9?%C3%A9")),
    ("/public/\u{ef}\u{bc}\u{8f}../admin", Open("/public/%EF%BC%8F../admin")),
    ("/public/<>/../../admin/<>", Closed),
    ("/admin/<x>", Closed),
    ("/admin<", Other("/admin%3C")),
    ("http://gate.test/public/<x>?<", Open("/public/%3Cx%3E?%3C")),
    // Absolute targets.
    ("http://gate.test/public/x", Open("/public/x")),
    ("HTTP://gate.test/public/x", Open("/public/x")),
    ("https://gate.test/public/x", Open("/public/x")),
    ("http://gate.test/public/../admin", Closed),
    ("http://gate.test/%61dmin", Closed),
    ("http://gate.test", Other("/")),
    ("http://gate.test?/admin", Other("/?/admin")),
    ("http://gate.test//admin", Closed),
    ("http:/admin", Malformed),
    ("file:///admin", Malformed),
];

const KEEP_DUPLICATE_SLASHES: &[(&str, Outcome)] = &[
    ("/public//x", Open("/public//x")),
    ("//admin", Other("//admin")),
    ("/admin//x", Closed),
    ("/public/..//admin", Other("//admin")),
    ("/public//../admin", Open("/public/admin")),
];

const REFUSE_DUPLICATE_SLASHES: &[(&str, Outcome)] = &[
    ("/public//x", Ambiguous),
    ("//admin", Ambiguous),
    ("/public/", Open("/public/")),
    ("/public//", Ambiguous),
];

const KEEP_ENCODED_SLASH: &[(&str, Outcome)] = &[
    ("/public/a%2fb", Open("/public/a%2Fb")),
    ("/admin%2fx", Other("/admin%2Fx")),
    ("/admin/a%2Fb", Closed),
    ("/public/%2e%2e/admin", Closed),
    ("/public/..%2fadmin", Ambiguous),
    ("/public/%2e%2e%2Fadmin", Ambiguous),
    ("/public/x%2f..%2fadmin", Ambiguous),
    ("/public/x%2f..", Ambiguous),
    ("/public/..%252fadmin", Ambiguous),
];

const KEEP_BACKSLASH: &[(&str, Outcome)] = &[
    ("/public/a\\b", Open("/public/a%5Cb")),
    ("/public/a%5cb", Open("/public/a%5Cb")),
    ("/admin\\x", Other("/admin%5Cx")),
    ("/public/..\\admin", Ambiguous),
    ("/public/..%5cadmin", Ambiguous),
    ("/public/x\\..\\admin", Ambiguous),
    ("/public/x%5c..", Ambiguous),
];

const KEEP_DOUBLE_ENCODING: &[(&str, Outcome)] = &[
    ("/public/%252e", Open("/public/%252e")),
    ("/public/%2561", Open("/public/%2561")),
    ("/%2561dmin", Other("/%2561dmin")),
    ("/public/%2e%2e/admin", Closed),
];

const KEEP_PATH_PARAMETERS: &[(&str, Outcome)] = &[
    ("/public;v=1/x", Other("/public;v=1/x")),
    ("/public/x;v=1", Open("/public/x;v=1")),
    ("/public/x%3bv=1", Open("/public/x%3Bv=1")),
    ("/admin/x;v=1", Closed),
    ("/public/..;/admin", Ambiguous),
    ("/public/..;v=1/admin", Ambiguous),
    ("/public/..%3bv=1/admin", Ambiguous),
    ("/public/%2e%2e;/admin", Ambiguous),
    ("/public/.;/admin", Ambiguous),
];

const KEEP_ENCODED_CONTROLS: &[(&str, Outcome)] = &[
    ("/public/a%0ab", Open("/public/a%0Ab")),
    ("/public/%7f%01", Open("/public/%7F%01")),
    ("/admin%0a", Other("/admin%0A")),
    ("/admin/%0d%0a", Closed),
    ("/public/%2e%2e/admin/%0a", Closed),
    ("/public/%00", Ambiguous),
    ("/public/\n", Malformed),
];

const KEEP_NOT_UTF8: &[(&str, Outcome)] = &[
    ("/public/%ff%61", Open("/public/%FFa")),
    ("/public/%2e%2e/admin/%ff", Closed),
    ("/public/..%c0%afadmin", Ambiguous),
    ("/public/%ff%2f..%2fadmin", Ambiguous),
    ("/public/%ff;..;", Ambiguous),
    ("/public\u{e9}", Malformed),
];

#[test]
fn by_default_everything_with_two_readings_is_refused() {
    check("{}", BY_DEFAULT);
}

#[test]
fn duplicate_slashes_are_kept_or_refused_as_configured() {
    check("{ duplicate_slashes: keep }", KEEP_DUPLICATE_SLASHES);
    check("{ duplicate_slashes: refuse }", REFUSE_DUPLICATE_SLASHES);
}

#[test]
fn encoded_slashes_are_kept_as_configured_but_never_beside_dots() {
    check("{ encoded_slash: keep }", KEEP_ENCODED_SLASH);
}

#[test]
fn backslashes_are_kept_as_configured_but_never_beside_dots() {
    check("{ backslash: keep }", KEEP_BACKSLASH);
}

#[test]
fn double_encoding_is_kept_as_configured() {
    check("{ double_encoding: keep }", KEEP_DOUBLE_ENCODING);
}

#[test]
fn path_parameters_are_kept_as_configured_but_never_beside_dots() {
    check("{ path_parameters: keep }", KEEP_PATH_PARAMETERS);
}

#[test]
fn encoded_controls_are_kept_as_configured_but_never_nul() {
    check("{ encoded_controls: keep }", KEEP_ENCODED_CONTROLS);
}

#[test]
fn bytes_that_are_not_utf8_are_kept_as_configured() {
    check("{ not_utf8: keep }", KEEP_NOT_UTF8);
    // Not beside dots, whatever else is kept.
    let all = "{ not_utf8: keep, encoded_slash: keep, path_parameters: keep, double_encoding: keep }";
    check(all, &[("/public/%ff%2f..%2fadmin", Ambiguous), ("/public/%ff;..;/admin", Ambiguous)]);
}

/// HTTP/2 carries the target in `:path`, past everything that reads request lines.
#[test]
fn http2_comes_to_the_same_outcomes() {
    let upstream = Upstream::start();
    let gateway = config(&upstream, "{}").start();
    // Targets without a path are a matter of HTTP/1, and so are the bytes that HTTP/2 libraries refuse by themselves.
    let is_common =
        |target: &str| target.starts_with('/') && target.is_ascii() && !target.contains(['<', '`']);
    for (target, outcome) in
        BY_DEFAULT.iter().filter(|(target, outcome)| is_common(target) && *outcome != Malformed)
    {
        upstream.forget();
        let mut connection = h2raw::Connection::open(gateway.address("public"));
        let ending = connection.send_get(1, target).ending(1);
        let h2raw::Ending::Response { status, .. } = ending else { panic!("{target}: {ending:?}") };
        assert_eq!(status, status_of(*outcome), "{target}");
        check_upstream(&upstream, target, *outcome);
    }
}

/// Of what no URI holds, the library takes some and refuses the rest. What it takes comes to the same form.
#[test]
fn what_http2_takes_has_the_same_form() {
    let upstream = Upstream::start();
    let gateway = config(&upstream, "{}").start();
    for (target, seen) in [
        ("/public/a\"^{|}?`{|}^\\", Some("/public/a%22%5E%7B%7C%7D?%60%7B%7C%7D%5E%5C")),
        ("/public/caf\u{e9}?\u{e9}", Some("/public/caf%C3%A9?%C3%A9")),
        ("/public/<", None),
        ("/public/x?\"", None),
        ("/public/x?<>", None),
    ] {
        upstream.forget();
        let mut connection = h2raw::Connection::open(gateway.address("public"));
        let ending = connection.send_get(1, target).ending(1);
        let is_answered = matches!(ending, h2raw::Ending::Response { status: 200, .. });
        assert_eq!(is_answered, seen.is_some(), "{target}: {ending:?}");
        match seen {
            Some(seen) => assert_eq!(upstream.only_request().target, seen, "{target}"),
            None => upstream.assert_no_contact(),
        }
    }
}

/// A fragment is not sent, so a `:path` with `#` is malformed; the library cuts it off before anyone sees it. What is
/// left is judged and sent.
#[test]
fn a_fragment_in_http2_reaches_neither_policy_nor_service() {
    let upstream = Upstream::start();
    let gateway = config(&upstream, "{}").start();
    let mut connection = h2raw::Connection::open(gateway.address("public"));
    connection.send_get(1, "/public#/../admin").ending(1);
    for seen in upstream.requests() {
        assert_eq!(seen.target, "/public");
    }
}

/// Whatever a client makes up, nothing that goes by the open route can be read as a path of the closed one, even by
/// the most careless service.
#[test]
fn no_combination_of_disguises_reaches_the_closed_route() {
    let upstream = Upstream::start();
    let gateway = config(&upstream, "{}").start();
    let mut connection = Connection::open(gateway.address("public"));
    let mut passed = 0;
    for target in disguises() {
        upstream.forget();
        let response = get(&mut connection, &gateway, &target);
        if response.status != 200 {
            upstream.assert_no_contact();
            continue;
        }
        passed += 1;
        let seen = upstream.only_request().target;
        let is_closed = |reading: &String| reading == "/admin" || reading.starts_with("/admin/");
        assert!(!readings(&seen).iter().any(is_closed), "{target} went to the service as {seen}");
        // What was judged has one form: sent once more, it comes out as it is.
        upstream.forget();
        assert_eq!(get(&mut connection, &gateway, &seen).status, 200, "{seen}");
        assert_eq!(upstream.only_request().target, seen);
    }
    assert!(passed > 50, "only {passed} targets passed: the disguises are no test");
}

/// Ways up, separators and spellings of a name, each with each.
fn disguises() -> Vec<String> {
    const STARTS: [&str; 3] = ["/public/", "/public/x/", "/"];
    const CLIMBS: [&str; 18] = [
        "",
        ".",
        "..",
        "%2e%2e",
        ".%2E",
        "%2e",
        "..;",
        "..;x=1",
        ".;",
        "..%00",
        "%252e%252e",
        "%25%32%65",
        "..%c0%ae",
        "...",
        "..%20",
        "%uff0e%uff0e",
        "..%09",
        "x/..",
    ];
    const SEPARATORS: [&str; 9] = ["/", "//", "%2f", "%2F/", "\\", "%5c", "%252f", ";/", "/./"];
    const NAMES: [&str; 8] =
        ["admin", "%61dmin", "%2561dmin", "admin/", "admin;x", "admin%00", "admin%2f", "admin/."];
    let mut targets = Vec::new();
    for start in STARTS {
        for climb in CLIMBS {
            for separator in SEPARATORS {
                for name in NAMES {
                    targets.push(format!("{start}{climb}{separator}{name}"));
                }
            }
        }
    }
    targets
}

fn config(upstream: &Upstream, target: &str) -> Config {
    let key =
        "{ id: nobody, hash: \"sha256:0000000000000000000000000000000000000000000000000000000000000000\" }";
    plain(&upstream.url())
        .section("target", target)
        .section("authentication", format!("{{ api_keys: [{{ name: keys, keys: [{key}] }}] }}"))
        .routes(&[
            "{ name: open, path: \"/public/{*rest}\" }",
            "{ name: closed, path: \"/admin/{*rest}\", policy: { authenticate: { mode: enforce, methods: [keys] } } }",
            "{ name: other, path: \"/{*rest}\" }",
        ])
}

fn check(target_rules: &str, rows: &[(&str, Outcome)]) {
    let upstream = Upstream::start();
    let gateway = config(&upstream, target_rules).start();
    let mut connection = Connection::open(gateway.address("public"));
    for (target, outcome) in rows {
        upstream.forget();
        let response = get(&mut connection, &gateway, target);
        assert_eq!(response.status, status_of(*outcome), "{target}");
        check_upstream(&upstream, target, *outcome);
    }
    check_record(rows, gateway);
}

/// Sends a GET, on a new connection if the last answer closed the old one.
fn get(connection: &mut Connection, gateway: &Gateway, target: &str) -> Response {
    // One character of a target is one byte: so that bytes above ASCII can be written down here.
    let target: Vec<u8> =
        target.chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect();
    let request = [b"GET ", target.as_slice(), b" HTTP/1.1\r\nHost: gate.test\r\n\r\n"].concat();
    let response = connection.send(request).response();
    if response.header("connection").as_deref() == Some("close") {
        connection.assert_closed();
        *connection = Connection::open(gateway.address("public"));
    }
    response
}

const fn status_of(outcome: Outcome) -> u16 {
    match outcome {
        Open(_) | Other(_) => 200,
        Closed => 401,
        Ambiguous | Malformed => 400,
    }
}

fn check_upstream(upstream: &Upstream, target: &str, outcome: Outcome) {
    match outcome {
        Open(seen) | Other(seen) => assert_eq!(upstream.only_request().target, seen, "{target}"),
        Closed | Ambiguous | Malformed => upstream.assert_no_contact(),
    }
}

fn check_record(rows: &[(&str, Outcome)], gateway: Gateway) {
    let records = gateway.stop_and_audit();
    let text =
        |record: &Value, key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    for (record, (target, outcome)) in records.iter().zip(rows) {
        let expected = match outcome {
            Open(_) => ("open", ""),
            Other(_) => ("other", ""),
            Closed => ("closed", "credential_missing"),
            Ambiguous => ("", "ambiguous_target"),
            Malformed => ("", "malformed_request"),
        };
        assert_eq!(
            (text(record, "route").as_str(), text(record, "reason_code").as_str()),
            expected,
            "{target}: {record}"
        );
    }
    assert_eq!(records.len(), rows.len());
}
