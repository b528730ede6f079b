use proptest::prelude::*;

use super::*;

fn rules(raw: &RawCookies) -> CookieRules {
    let mut problems = Problems::default();
    let rules = CookieRules::compile(raw, &KeyPath::root(), &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    rules
}

fn hardened(raw: &RawCookies, secure: bool, value: &[u8]) -> Vec<u8> {
    let mut headers = HeaderMap::new();
    headers.insert(SET_COOKIE, HeaderValue::from_bytes(value).unwrap());
    rules(raw).apply(secure, &mut headers);
    headers[SET_COOKIE].as_bytes().to_vec()
}

fn text(raw: &RawCookies, secure: bool, value: &str) -> String {
    String::from_utf8(hardened(raw, secure, value.as_bytes())).unwrap()
}

#[test]
fn what_is_missing_is_added_and_nothing_else_changes() {
    for (sent, expected) in [
        ("a=b", "a=b; Secure; HttpOnly; SameSite=Lax"),
        ("a=b; Secure; HttpOnly; SameSite=Strict", "a=b; Secure; HttpOnly; SameSite=Strict"),
        ("a=b;secure;HTTPONLY;samesite=lax", "a=b;secure;HTTPONLY;samesite=lax"),
        (
            "a=b; Path=/x; Max-Age=1 ; Domain=E.com",
            "a=b; Path=/x; Max-Age=1 ; Domain=E.com; Secure; HttpOnly; SameSite=Lax",
        ),
        ("a=b;", "a=b;; Secure; HttpOnly; SameSite=Lax"),
        (
            "a=b; Partitioned; Priority=High",
            "a=b; Partitioned; Priority=High; Secure; HttpOnly; SameSite=Lax",
        ),
        ("", "; Secure; HttpOnly; SameSite=Lax"),
        ("=", "=; Secure; HttpOnly; SameSite=Lax"),
        ("no-equals", "no-equals; Secure; HttpOnly; SameSite=Lax"),
        // Not attributes: part of the value, quoted or not; a name that only begins like one.
        ("a=Secure HttpOnly", "a=Secure HttpOnly; Secure; HttpOnly; SameSite=Lax"),
        ("a=\"x; Secure\"", "a=\"x; Secure\"; Secure; HttpOnly; SameSite=Lax"),
        ("a=b; Secured; NotHttpOnly", "a=b; Secured; NotHttpOnly; Secure; HttpOnly; SameSite=Lax"),
        ("Secure; HttpOnly", "Secure; HttpOnly; Secure; SameSite=Lax"),
        // Attributes that have a value they need not have.
        ("a=b; Secure=false; HttpOnly=0", "a=b; Secure=false; HttpOnly=0; SameSite=Lax"),
        ("a=b;\t Secure \t; HttpOnly =", "a=b;\t Secure \t; HttpOnly =; SameSite=Lax"),
        // The last SameSite counts, and one that is not understood is none.
        (
            "a=b; SameSite=Strict; SameSite=bogus",
            "a=b; SameSite=Strict; SameSite=bogus; Secure; HttpOnly; SameSite=Lax",
        ),
        ("a=b; SameSite=bogus; SameSite=Strict", "a=b; SameSite=bogus; SameSite=Strict; Secure; HttpOnly"),
        ("a=b; SameSite", "a=b; SameSite; Secure; HttpOnly; SameSite=Lax"),
    ] {
        assert_eq!(text(&RawCookies::default(), true, sent), expected, "{sent}");
    }
}

#[test]
fn secure_follows_the_connection_unless_told_otherwise() {
    let raw =
        |secure| RawCookies { secure, http_only: false, same_site: SameSiteRule::Keep, exceptions: vec![] };
    for (rule, connection, expected) in [
        (SecureRule::OnSecureConnection, true, "a=b; Secure"),
        (SecureRule::OnSecureConnection, false, "a=b"),
        (SecureRule::Always, true, "a=b; Secure"),
        (SecureRule::Always, false, "a=b; Secure"),
        (SecureRule::Keep, true, "a=b"),
        (SecureRule::Keep, false, "a=b"),
    ] {
        assert_eq!(text(&raw(rule), connection, "a=b"), expected, "{rule:?}");
    }
}

#[test]
fn what_browsers_refuse_without_secure_gets_it() {
    let raw = RawCookies {
        secure: SecureRule::Keep,
        http_only: false,
        same_site: SameSiteRule::Keep,
        exceptions: vec![],
    };
    for (sent, expected) in [
        ("a=b; SameSite=None", "a=b; SameSite=None; Secure"),
        ("a=b; SameSite=None; SameSite=Lax", "a=b; SameSite=None; SameSite=Lax"),
        ("__Host-a=b; Path=/", "__Host-a=b; Path=/; Secure"),
        ("__Secure-a=b", "__Secure-a=b; Secure"),
        (" __sEcUrE-a =b", " __sEcUrE-a =b; Secure"),
        ("__HOST-a=b; Path=/; Domain=x", "__HOST-a=b; Path=/; Domain=x; Secure"),
        ("__Hosta=b", "__Hosta=b"),
        ("a__Host-=b", "a__Host-=b"),
        ("a=__Host-b", "a=__Host-b"),
    ] {
        assert_eq!(text(&raw, false, sent), expected, "{sent}");
    }
    let none = RawCookies { same_site: SameSiteRule::None, ..raw };
    assert_eq!(text(&none, false, "a=b"), "a=b; Secure; SameSite=None");
    assert_eq!(text(&none, false, "a=b; SameSite=Lax"), "a=b; SameSite=Lax");
}

#[test]
fn each_same_site_rule_has_its_effect() {
    for (rule, expected) in [
        (SameSiteRule::Strict, "a=b; SameSite=Strict"),
        (SameSiteRule::Lax, "a=b; SameSite=Lax"),
        (SameSiteRule::Keep, "a=b"),
    ] {
        let raw = RawCookies { same_site: rule, http_only: false, ..RawCookies::default() };
        assert_eq!(text(&raw, false, "a=b"), expected);
    }
}

#[test]
fn an_attribute_that_browsers_ignore_for_its_length_does_not_count() {
    let long = "x".repeat(1025);
    let sent = format!("a=b; Secure={long}; SameSite=Lax");
    assert_eq!(text(&RawCookies::default(), true, &sent), format!("{sent}; Secure; HttpOnly"));
}

#[test]
fn exceptions_hold_for_the_exact_name_and_inherit_the_rest() {
    let exception = RawCookieException {
        name: "XSRF-TOKEN".to_owned(),
        secure: None,
        http_only: Some(false),
        same_site: Some(SameSiteRule::Strict),
    };
    let raw = RawCookies { exceptions: vec![exception], ..RawCookies::default() };
    for (sent, expected) in [
        ("XSRF-TOKEN=1", "XSRF-TOKEN=1; Secure; SameSite=Strict"),
        (" XSRF-TOKEN =1", " XSRF-TOKEN =1; Secure; SameSite=Strict"),
        ("xsrf-token=1", "xsrf-token=1; Secure; HttpOnly; SameSite=Lax"),
        ("XSRF-TOKEN2=1", "XSRF-TOKEN2=1; Secure; HttpOnly; SameSite=Lax"),
    ] {
        assert_eq!(text(&raw, true, sent), expected);
    }
}

#[test]
fn every_field_of_several_is_hardened_in_order() {
    let mut headers = HeaderMap::new();
    for value in ["a=1", "b=2; Secure", "a=3; HttpOnly"] {
        headers.append(SET_COOKIE, HeaderValue::from_static(value));
    }
    rules(&RawCookies::default()).apply(true, &mut headers);
    let values: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
    assert_eq!(
        values,
        [
            "a=1; Secure; HttpOnly; SameSite=Lax",
            "b=2; Secure; HttpOnly; SameSite=Lax",
            "a=3; HttpOnly; Secure; SameSite=Lax"
        ]
    );
}

#[test]
fn exceptions_without_a_name_or_with_two_places_are_refused() {
    let named = |name: &str| RawCookieException {
        name: name.to_owned(),
        secure: None,
        http_only: None,
        same_site: None,
    };
    let raw = RawCookies { exceptions: vec![named("a b"), named("c"), named("c")], ..RawCookies::default() };
    let mut problems = Problems::default();
    let _rules = CookieRules::compile(&raw, &KeyPath::root().key("cookies"), &mut problems);
    let shown: Vec<_> = problems.iter().map(|p| format!("{}: {}", p.path, p.message)).collect();
    assert_eq!(
        shown,
        [
            "cookies.exceptions[0].name: `a b` is not the name of a cookie",
            "cookies.exceptions[2].name: the cookie `c` is listed twice",
        ]
    );
}

fn hostile_cookie() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b";".to_vec()),
        Just(b"=".to_vec()),
        Just(b" ".to_vec()),
        Just(b"\t".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"Secure".to_vec()),
        Just(b"HttpOnly".to_vec()),
        Just(b"SameSite".to_vec()),
        Just(b"None".to_vec()),
        Just(b"lax".to_vec()),
        Just(b"__Host-".to_vec()),
        Just(b"\xff\x80".to_vec()),
        Just(b"a".to_vec()),
    ];
    proptest::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// Whatever comes in, browsers read the result as hardened, and what came in is its beginning.
    #[test]
    fn the_result_is_always_hardened(sent in hostile_cookie()) {
        let result = hardened(&RawCookies::default(), true, &sent);
        prop_assert!(result.starts_with(&sent));
        let cookie = SetCookie::parse(&result);
        prop_assert!(cookie.secure && cookie.http_only && cookie.same_site.is_some());
        prop_assert_eq!(cookie.name, SetCookie::parse(&sent).name);
        prop_assert_eq!(hardened(&RawCookies::default(), true, &result), result);
    }
}
