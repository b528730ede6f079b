use http::header::{CACHE_CONTROL, SERVER, STRICT_TRANSPORT_SECURITY};

use super::*;
use crate::{CacheRule, FieldAction, RawField};

const EXCHANGE: Exchange<'static> =
    Exchange { secure: true, authenticated: false, origin: None, status: StatusCode::OK };

fn compiled(raw: &RawResponse) -> Hardening {
    let mut problems = Problems::default();
    let hardening = Hardening::compile(raw, &KeyPath::root().key("response"), &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    hardening
}

fn faults(raw: &RawResponse) -> Vec<(String, String, Option<String>)> {
    let mut problems = Problems::default();
    let _hardening = Hardening::compile(raw, &KeyPath::root().key("response"), &mut problems);
    let parts = |problem: &portcullis_core::Problem| {
        (problem.path.to_string(), problem.message.clone(), problem.suggestion.clone())
    };
    problems.iter().map(parts).collect()
}

fn fault(path: &str, message: &str, suggestion: &str) -> (String, String, Option<String>) {
    (path.to_owned(), message.to_owned(), Some(suggestion.to_owned()))
}

fn fields(list: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for &(name, value) in list {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers
}

fn shown(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<_> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    lines
}

fn applied(raw: &RawResponse, exchange: &Exchange<'_>, sent: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = fields(sent);
    compiled(raw).apply(exchange, &mut headers);
    headers
}

#[test]
fn an_answer_with_nothing_gets_every_default() {
    let headers = applied(&RawResponse::default(), &EXCHANGE, &[]);
    assert_eq!(
        shown(&headers),
        [
            "content-security-policy: frame-ancestors 'none'",
            "cross-origin-opener-policy: same-origin",
            "cross-origin-resource-policy: same-origin",
            "permissions-policy: accelerometer=(), bluetooth=(), camera=(), display-capture=(), \
             geolocation=(), gyroscope=(), hid=(), magnetometer=(), microphone=(), midi=(), payment=(), \
             serial=(), usb=()",
            "referrer-policy: no-referrer",
            "strict-transport-security: max-age=31536000; includeSubDomains",
            "x-content-type-options: nosniff",
        ]
    );
}

#[test]
fn what_the_service_chose_stays_where_it_may_choose() {
    let headers = applied(
        &RawResponse::default(),
        &EXCHANGE,
        &[
            ("content-security-policy", "default-src 'self'"),
            ("referrer-policy", "origin"),
            ("permissions-policy", "camera=(self)"),
            ("cross-origin-opener-policy", "unsafe-none"),
            ("cross-origin-resource-policy", "cross-origin"),
            ("cross-origin-embedder-policy", "require-corp"),
            ("x-content-type-options", "sniff"),
            ("strict-transport-security", "max-age=0"),
            ("strict-transport-security", "max-age=1"),
        ],
    );
    assert_eq!(
        shown(&headers),
        [
            "content-security-policy: default-src 'self'",
            "cross-origin-embedder-policy: require-corp",
            "cross-origin-opener-policy: unsafe-none",
            "cross-origin-resource-policy: cross-origin",
            "permissions-policy: camera=(self)",
            "referrer-policy: origin",
            "strict-transport-security: max-age=31536000; includeSubDomains",
            "x-content-type-options: nosniff",
        ]
    );
}

#[test]
fn the_default_frame_rule_gives_way_to_the_older_field_and_a_given_one_does_not() {
    let mut raw = RawResponse::default();
    let sent = [("x-frame-options", "SAMEORIGIN")];
    assert!(!applied(&raw, &EXCHANGE, &sent).contains_key("content-security-policy"));
    raw.security_headers.content_security_policy.value = Some("default-src 'none'".to_owned());
    assert_eq!(applied(&raw, &EXCHANGE, &sent)["content-security-policy"], "default-src 'none'");
}

#[test]
fn strict_transport_is_never_sent_in_the_clear() {
    let clear = Exchange { secure: false, ..EXCHANGE };
    let sent = [("strict-transport-security", "max-age=1")];
    let mut raw = RawResponse::default();
    for action in [None, Some(FieldAction::Replace), Some(FieldAction::IfAbsent), Some(FieldAction::Remove)] {
        raw.security_headers.strict_transport_security.action = action;
        assert!(!applied(&raw, &clear, &sent).contains_key(STRICT_TRANSPORT_SECURITY), "{action:?}");
    }
    raw.security_headers.strict_transport_security.action = Some(FieldAction::Keep);
    assert!(applied(&raw, &clear, &sent).contains_key(STRICT_TRANSPORT_SECURITY));
}

/// One field of the configuration, its header, and a value that is not the default.
type Case = (fn(&mut RawSecurityHeaders) -> &mut RawField, &'static str, &'static str);

const CASES: [Case; 8] = [
    (|raw| &mut raw.strict_transport_security, "strict-transport-security", "max-age=60"),
    (|raw| &mut raw.x_content_type_options, "x-content-type-options", "nosniff"),
    (|raw| &mut raw.content_security_policy, "content-security-policy", "default-src 'none'"),
    (|raw| &mut raw.referrer_policy, "referrer-policy", "no-referrer, strict-origin"),
    (|raw| &mut raw.permissions_policy, "permissions-policy", "camera=(self)"),
    (|raw| &mut raw.cross_origin_opener_policy, "cross-origin-opener-policy", "same-origin-allow-popups"),
    (|raw| &mut raw.cross_origin_resource_policy, "cross-origin-resource-policy", "same-site"),
    (|raw| &mut raw.cross_origin_embedder_policy, "cross-origin-embedder-policy", "credentialless"),
];

#[test]
fn each_field_obeys_its_value_and_its_action() {
    for (place, name, value) in CASES {
        let set = |value: Option<&str>, action, sent: &[(&'static str, &'static str)]| {
            let mut raw = RawResponse::default();
            *place(&mut raw.security_headers) = RawField { value: value.map(str::to_owned), action };
            applied(&raw, &EXCHANGE, sent).get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        let own = [(name, "own")];
        assert_eq!(set(Some(value), None, &[]).as_deref(), Some(value), "{name}");
        assert_eq!(set(Some(value), Some(FieldAction::Replace), &own).as_deref(), Some(value), "{name}");
        assert_eq!(set(Some(value), Some(FieldAction::IfAbsent), &own).as_deref(), Some("own"), "{name}");
        assert_eq!(set(Some(value), Some(FieldAction::IfAbsent), &[]).as_deref(), Some(value), "{name}");
        assert_eq!(set(None, Some(FieldAction::Keep), &own).as_deref(), Some("own"), "{name}");
        assert_eq!(set(None, Some(FieldAction::Keep), &[]), None, "{name}");
        assert_eq!(set(None, Some(FieldAction::Remove), &own), None, "{name}");
    }
}

#[test]
fn a_value_that_browsers_would_not_understand_is_refused() {
    for (place, name, _) in CASES {
        for value in ["", "line\nbreak", "max_age=1 \u{1F600}"] {
            let mut raw = RawResponse::default();
            place(&mut raw.security_headers).value = Some(value.to_owned());
            assert_eq!(faults(&raw).len(), 1, "{name}: {value:?}");
        }
    }
    let mut raw = RawResponse::default();
    raw.security_headers.strict_transport_security.value = Some("includeSubDomains".to_owned());
    raw.security_headers.permissions_policy.value = Some("camera 'none'".to_owned());
    raw.security_headers.referrer_policy =
        RawField { value: Some("origin".to_owned()), action: Some(FieldAction::Remove) };
    assert_eq!(
        faults(&raw),
        [
            fault(
                "response.security_headers.strict_transport_security.value",
                "`includeSubDomains` is not a value of `strict-transport-security`: it needs a `max-age` in \
                 seconds (RFC 6797 section 6.1.1)",
                "write a value such as `max-age=31536000; includeSubDomains`",
            ),
            fault(
                "response.security_headers.referrer_policy.value",
                "the value is never sent, because of the action beside it",
                "write `action: replace` or `action: if_absent`, or leave the value out",
            ),
            fault(
                "response.security_headers.permissions_policy.value",
                "`camera 'none'` is not a value of `permissions-policy`: it is a list such as `camera=(), \
                 usb=(self)`",
                "write a value such as `accelerometer=(), bluetooth=(), camera=(), display-capture=(), \
                 geolocation=(), gyroscope=(), hid=(), magnetometer=(), microphone=(), midi=(), payment=(), \
                 serial=(), usb=()`",
            ),
        ]
    );
}

#[test]
fn fields_that_tell_too_much_are_removed() {
    let sent = [("server", "a"), ("x-powered-by", "b"), ("x-powered-by", "c"), ("via", "d"), ("x-own", "e")];
    let leaks = |raw: &RawResponse| {
        let headers = applied(raw, &EXCHANGE, &sent);
        let left = sent.iter().map(|&(name, _)| name).filter(|name| headers.contains_key(*name));
        left.collect::<Vec<_>>()
    };
    let mut raw = RawResponse::default();
    assert_eq!(leaks(&raw), ["x-own"]);
    for name in REMOVED {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("x"));
        compiled(&raw).apply(&EXCHANGE, &mut headers);
        assert!(!headers.contains_key(name), "{name}");
    }
    raw.remove_more = vec!["X-Own".to_owned()];
    assert_eq!(leaks(&raw), [""; 0]);
    raw.remove = vec!["Server".to_owned()];
    assert_eq!(leaks(&raw), ["x-powered-by", "x-powered-by", "via"]);
}

#[test]
fn names_that_cannot_be_removed_are_refused() {
    let raw = RawResponse {
        remove: vec!["no name".to_owned()],
        remove_more: vec!["Content-Length".to_owned()],
        mode: Mode::Shadow,
        ..RawResponse::default()
    };
    assert_eq!(
        faults(&raw),
        [
            fault(
                "response.mode",
                "response hardening cannot run in `shadow`: it refuses nothing",
                "write `enforce` or `off`",
            ),
            fault(
                "response.remove[0]",
                "`no name` is not a header field name",
                "write a name such as `X-Powered-By`",
            ),
            (
                "response.remove_more[0]".to_owned(),
                "`Content-Length` cannot be removed: without it clients misread the answer".to_owned(),
                None,
            ),
        ]
    );
}

#[test]
fn off_changes_nothing() {
    let mut raw = RawResponse { mode: Mode::Off, ..RawResponse::default() };
    raw.cors.origins = vec!["https://app.example.com".to_owned()];
    raw.redact.names = vec!["password".to_owned()];
    let hardening = compiled(&raw);
    let sent = fields(&[("server", "a"), ("set-cookie", "a=b"), ("x-xss-protection", "1")]);
    let mut headers = sent.clone();
    hardening.apply(&Exchange { authenticated: true, ..EXCHANGE }, &mut headers);
    assert_eq!(headers, sent);
    assert!(hardening.redaction().is_none());
    let request = fields(&[("origin", "https://app.example.com"), ("access-control-request-method", "PUT")]);
    assert!(hardening.preflight(&Method::OPTIONS, &request).is_none());
}

#[test]
fn a_switch_of_protocols_loses_leaks_and_gets_no_rules_for_content() {
    let exchange = Exchange { status: StatusCode::SWITCHING_PROTOCOLS, authenticated: true, ..EXCHANGE };
    let sent = [("server", "a"), ("upgrade", "websocket"), ("set-cookie", "a=b")];
    let headers = applied(&RawResponse::default(), &exchange, &sent);
    assert_eq!(shown(&headers), ["set-cookie: a=b; Secure; HttpOnly; SameSite=Lax", "upgrade: websocket"]);
}

#[test]
fn answers_for_one_caller_are_not_kept_by_caches() {
    let known = Exchange { authenticated: true, ..EXCHANGE };
    let own = [("cache-control", "public, max-age=60"), ("cdn-cache-control", "max-age=60")];
    let kept = |rule, exchange: &Exchange<'_>, sent: &[(&'static str, &'static str)]| {
        let raw = RawResponse { cache: RawCache { authenticated: rule }, ..RawResponse::default() };
        let headers = applied(&raw, exchange, sent);
        let cache = headers.get(CACHE_CONTROL).map(|value| value.to_str().unwrap().to_owned());
        (cache, headers.contains_key("cdn-cache-control"))
    };
    let no_store = Some("no-store".to_owned());
    let public = Some("public, max-age=60".to_owned());
    assert_eq!(kept(CacheRule::IfAbsent, &known, &[]), (no_store.clone(), false));
    assert_eq!(kept(CacheRule::IfAbsent, &known, &own), (public.clone(), true));
    assert_eq!(kept(CacheRule::IfAbsent, &EXCHANGE, &[]), (None, false));
    assert_eq!(kept(CacheRule::Always, &known, &own), (no_store, false));
    assert_eq!(kept(CacheRule::Always, &EXCHANGE, &own), (public, true));
    assert_eq!(kept(CacheRule::Off, &known, &[]), (None, false));
    assert_eq!(RawResponse::default().cache.authenticated, CacheRule::IfAbsent);
}

#[test]
fn the_embedder_policy_stays_off_and_resources_stay_private_when_cors_is_on() {
    let mut raw = RawResponse::default();
    raw.cors.origins = vec!["*".to_owned()];
    let headers = applied(&raw, &EXCHANGE, &[]);
    assert_eq!(headers["cross-origin-resource-policy"], "same-origin");
    assert!(!headers.contains_key("cross-origin-embedder-policy"));
}

#[test]
fn applying_twice_changes_nothing() {
    let mut raw = RawResponse::default();
    raw.cors.origins = vec!["https://app.example.com".to_owned()];
    let origin = HeaderValue::from_static("https://app.example.com");
    let exchange = Exchange { authenticated: true, origin: Some(&origin), ..EXCHANGE };
    let once = applied(&raw, &exchange, &[("set-cookie", "a=b"), ("server", "x"), ("vary", "accept")]);
    let mut twice = once.clone();
    compiled(&raw).apply(&exchange, &mut twice);
    assert_eq!(once, twice);
}

#[test]
fn unknown_keys_are_refused_and_an_empty_configuration_is_the_default() {
    assert_eq!(serde_json::from_str::<RawResponse>("{}").unwrap(), RawResponse::default());
    for wrong in [r#"{"securty_headers":{}}"#, r#"{"cors":{"origin":[]}}"#, r#"{"cookies":{"x":1}}"#] {
        assert!(serde_json::from_str::<RawResponse>(wrong).is_err(), "{wrong}");
    }
    let raw: RawResponse =
        serde_json::from_str(r#"{"remove_more":["x-a"],"cookies":{"http_only":false}}"#).unwrap();
    let headers = applied(&raw, &EXCHANGE, &[(SERVER.as_str(), "x"), ("x-a", "1"), ("set-cookie", "a=b")]);
    assert!(!headers.contains_key(SERVER) && !headers.contains_key("x-a"));
    assert_eq!(headers["set-cookie"], "a=b; Secure; SameSite=Lax");
}

#[test]
fn every_setting_is_described() {
    fn check(schema: &serde_json::Value, place: &str) {
        let Some(members) = schema.as_object() else { return };
        if let Some(properties) = members.get("properties").and_then(|value| value.as_object()) {
            for (name, property) in properties {
                assert!(property.get("description").is_some(), "{place}.{name}");
            }
        }
        for (name, member) in members {
            check(member, &format!("{place}.{name}"));
        }
    }
    check(schemars::schema_for!(RawResponse).as_value(), "");
}
