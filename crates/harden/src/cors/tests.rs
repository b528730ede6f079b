use proptest::prelude::*;

use super::*;

fn raw(origins: &[&str]) -> RawCors {
    RawCors { origins: origins.iter().map(|&origin| origin.to_owned()).collect(), ..RawCors::default() }
}

fn compiled(raw: &RawCors) -> Cors {
    let mut problems = Problems::default();
    let cors = Cors::compile(raw, &KeyPath::root(), &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    cors.unwrap()
}

fn faults(raw: &RawCors) -> Vec<String> {
    let mut problems = Problems::default();
    let _cors = Cors::compile(raw, &KeyPath::root().key("cors"), &mut problems);
    let line = |p: &portcullis_core::Problem| {
        format!("{}: {}; {}", p.path, p.message, p.suggestion.as_deref().unwrap_or_default())
    };
    problems.iter().map(line).collect()
}

fn granted(cors: &Cors, origin: &str) -> Option<String> {
    let origin = HeaderValue::from_str(origin).unwrap();
    let mut headers = HeaderMap::new();
    cors.apply(Some(&origin), &mut headers);
    assert_eq!(headers[VARY], "Origin");
    headers.get(ACCESS_CONTROL_ALLOW_ORIGIN).map(|value| value.to_str().unwrap().to_owned())
}

const TRICKS: [&str; 26] = [
    "",
    "null",
    "NULL",
    "*",
    "https://",
    "https://evil.net",
    "https://evilexample.com",
    "https://example.com.evil.net",
    "https://app.example.com.evil.net",
    "https://evil.net/app.example.com",
    "https://evil.net#.example.com",
    "https://evil.net/.example.com",
    "https://evil.net?.example.com",
    "https://evil.net\\.example.com",
    "https://evil.net:1@a.example.com",
    "https://.example.com",
    "https://a.b.example.com",
    "https://APP.example.com",
    "HTTPS://app.example.com",
    "http://app.example.com",
    "https://app.example.com:8443",
    "https://app.example.com:443",
    "https://app.example.com/",
    "https://app.example.com.",
    "https://app.example.com https://evil.net",
    " https://app.example.com",
];

#[test]
fn only_what_is_listed_is_granted() {
    let cors = compiled(&raw(&["https://app.example.com", "http://localhost:3000", "https://[::1]:8443"]));
    for origin in ["https://app.example.com", "http://localhost:3000", "https://[::1]:8443"] {
        assert_eq!(granted(&cors, origin).as_deref(), Some(origin));
    }
    for origin in TRICKS.into_iter().chain(["https://example.com", "https://b.example.com"]) {
        assert_eq!(granted(&cors, origin), None, "{origin}");
    }
}

#[test]
fn a_star_is_one_label() {
    let cors = compiled(&raw(&["https://*.example.com"]));
    for origin in ["https://app.example.com", "https://b-2.example.com", "https://xn--bcher-kva.example.com"]
    {
        assert_eq!(granted(&cors, origin).as_deref(), Some(origin));
    }
    for origin in TRICKS.into_iter().chain(["https://example.com", "https://*.example.com"]) {
        assert_eq!(granted(&cors, origin), None, "{origin}");
    }
    let with_port = compiled(&raw(&["https://*.example.com:8443"]));
    assert!(granted(&with_port, "https://a.example.com:8443").is_some());
    assert!(granted(&with_port, "https://a.example.com").is_none());
}

#[test]
fn all_origins_does_not_mean_null() {
    let cors = compiled(&raw(&["*"]));
    assert_eq!(granted(&cors, "https://anyone.example").as_deref(), Some("*"));
    assert_eq!(granted(&cors, "null"), None);
}

#[test]
fn what_the_service_says_is_replaced() {
    let cors = compiled(&RawCors {
        exposed_headers: vec!["X-Total".to_owned(), "ETag".to_owned()],
        credentials: true,
        ..raw(&["https://app.example.com"])
    });
    let from_service = || {
        let mut headers = HeaderMap::new();
        for name in &OWNED {
            headers.append(name.clone(), HeaderValue::from_static("*"));
        }
        headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
        headers
    };
    let mut headers = from_service();
    cors.apply(None, &mut headers);
    let left: Vec<_> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    assert_eq!(left, ["vary: Accept-Encoding", "vary: Origin"]);

    let mut headers = from_service();
    cors.apply(Some(&HeaderValue::from_static("https://app.example.com")), &mut headers);
    assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example.com");
    assert_eq!(headers[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
    assert_eq!(headers[ACCESS_CONTROL_EXPOSE_HEADERS], "X-Total, ETag");
    assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_METHODS));
}

#[test]
fn vary_is_not_said_twice() {
    let cors = compiled(&raw(&["https://app.example.com"]));
    for (sent, expected) in [
        ("Accept", &["Accept", "Origin"] as &[&str]),
        ("accept, ORIGIN", &["accept, ORIGIN"]),
        ("*", &["*"]),
        ("X-Origin", &["X-Origin", "Origin"]),
    ] {
        let mut headers = HeaderMap::new();
        headers.append(VARY, HeaderValue::from_static(sent));
        cors.apply(None, &mut headers);
        assert_eq!(headers.get_all(VARY).iter().collect::<Vec<_>>(), expected, "{sent}");
    }
}

fn request(fields: &[(HeaderName, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(name.clone(), HeaderValue::from_static(value));
    }
    headers
}

#[test]
fn preflights_are_answered() {
    let cors = compiled(&RawCors {
        methods: vec!["GET".to_owned(), "PUT".to_owned()],
        request_headers: vec!["X-Api-Key".to_owned()],
        max_age: Period::millis(90_500),
        ..raw(&["https://app.example.com"])
    });
    let allowed = request(&[(ORIGIN, "https://app.example.com"), (ACCESS_CONTROL_REQUEST_METHOD, "PUT")]);
    let answer = cors.preflight(&Method::OPTIONS, &allowed).unwrap();
    assert_eq!(answer.status, 204);
    assert_eq!(answer.headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example.com");
    assert_eq!(answer.headers[ACCESS_CONTROL_ALLOW_METHODS], "GET, PUT");
    assert_eq!(answer.headers[ACCESS_CONTROL_ALLOW_HEADERS], "X-Api-Key");
    assert_eq!(answer.headers[ACCESS_CONTROL_MAX_AGE], "90");
    assert_eq!(answer.headers[VARY], "Origin");
    assert!(!answer.headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));

    for refused in [
        request(&[(ORIGIN, "https://evil.net"), (ACCESS_CONTROL_REQUEST_METHOD, "PUT")]),
        request(&[
            (ORIGIN, "https://app.example.com"),
            (ORIGIN, "https://evil.net"),
            (ACCESS_CONTROL_REQUEST_METHOD, "PUT"),
        ]),
    ] {
        let answer = cors.preflight(&Method::OPTIONS, &refused).unwrap();
        assert_eq!(answer.status, 204);
        assert_eq!(answer.headers.keys().collect::<Vec<_>>(), [VARY]);
    }
}

#[test]
fn other_requests_are_no_preflights() {
    let cors = compiled(&raw(&["*"]));
    let both = request(&[(ORIGIN, "https://a.example"), (ACCESS_CONTROL_REQUEST_METHOD, "PUT")]);
    assert!(cors.preflight(&Method::GET, &both).is_none());
    for fields in
        [request(&[(ORIGIN, "https://a.example")]), request(&[(ACCESS_CONTROL_REQUEST_METHOD, "PUT")])]
    {
        assert!(cors.preflight(&Method::OPTIONS, &fields).is_none());
    }
}

#[test]
fn without_origins_cors_is_left_to_the_service() {
    let mut problems = Problems::default();
    assert!(Cors::compile(&RawCors::default(), &KeyPath::root(), &mut problems).is_none());
    assert!(problems.is_empty());
}

#[test]
fn origins_that_no_browser_sends_are_refused_with_what_is_meant() {
    for (text, expected) in [
        (
            "null",
            "every sandboxed page and local file has the origin `null`; write an origin such as `https://app.example.com`",
        ),
        (
            "https://App.example.com",
            "browsers send origins in lower case; write an origin such as `https://app.example.com`",
        ),
        ("app.example.com", "it has no scheme; write an origin such as `https://app.example.com`"),
        ("https://a.example/", "an origin has no path; write an origin such as `https://a.example`"),
        (
            "https://a.example:443",
            "browsers leave the default port out; write an origin such as `https://a.example`",
        ),
        (
            "http://a.example:80",
            "browsers leave the default port out; write an origin such as `http://a.example`",
        ),
        (
            "https://a.example:0",
            "its port is not a number from 1 to 65535; write an origin such as `https://app.example.com`",
        ),
        (
            "https://a.example:99999",
            "its port is not a number from 1 to 65535; write an origin such as `https://app.example.com`",
        ),
        (
            "https://*.com",
            "after `*.` a domain of at least two labels must follow; write an origin such as `https://app.example.com`",
        ),
        ("https://*", "its host is not well-formed; write an origin such as `https://app.example.com`"),
        (
            "https://a.*.example.com",
            "its host is not well-formed; write an origin such as `https://app.example.com`",
        ),
        (
            "https://*.*.example.com",
            "after `*.` a domain of at least two labels must follow; write an origin such as `https://app.example.com`",
        ),
        (
            "https://a@b.example",
            "its host is not well-formed; write an origin such as `https://app.example.com`",
        ),
        (
            "https://b\u{fc}cher.example",
            "its host is not well-formed; write an origin such as `https://app.example.com`",
        ),
        ("https://", "its host is not well-formed; write an origin such as `https://app.example.com`"),
        ("://a", "its scheme is not well-formed; write an origin such as `https://app.example.com`"),
        ("https://[::g]", "its host is not well-formed; write an origin such as `https://app.example.com`"),
    ] {
        assert_eq!(
            faults(&raw(&[text])),
            [format!("cors.origins[0]: `{text}` cannot be allowed: {expected}")]
        );
    }
}

#[test]
fn dangerous_combinations_are_refused() {
    let with_credentials = RawCors {
        methods: vec!["*".to_owned(), "put".to_owned(), "TRACE".to_owned(), "P UT".to_owned()],
        request_headers: vec!["no name".to_owned()],
        credentials: true,
        max_age: Period::secs(86_401),
        ..raw(&["*", "http://a.example", "http://localhost:3000"])
    };
    assert_eq!(
        faults(&with_credentials),
        [
            "cors.origins[0]: `*` with `credentials` would let every site act as its visitors; list the origins, or write `credentials: false`",
            "cors.origins[1]: whoever is on the way can act as visitors of `http://a.example`; use an origin with `https`",
            "cors.methods[0]: with `credentials` browsers take `*` for a name, not for all names; list the names",
            "cors.methods[1]: `put` is not the method that is meant: methods are case-sensitive; write it in upper case",
            "cors.methods[2]: browsers never send `TRACE`; leave it out",
            "cors.methods[3]: `P UT` is not a method; write a method such as `PUT`",
            "cors.request_headers[0]: `no name` is not a header field name; write a name such as `X-Request-Id`",
            "cors.max_age: no browser remembers a preflight for more than `1day`; write `1day` or less",
        ]
    );
    assert_eq!(
        faults(&raw(&["*", "https://a.example"])),
        [
            "cors.origins[0]: `*` allows every origin, so the others mean nothing; write either `*` alone or the origins"
        ]
    );
}

proptest! {
    /// Whatever a wildcard grants is `https://`, one label without dots, and the domain.
    #[test]
    fn a_wildcard_grants_nothing_beyond_its_domain(origin in "(https?://)?[a-zA-Z0-9.:/@#*\\\\-]{0,12}(\\.example\\.com)?[a-z.:/]{0,3}") {
        let cors = compiled(&raw(&["https://*.example.com"]));
        if granted(&cors, &origin).is_some() {
            let label = origin.strip_prefix("https://").unwrap().strip_suffix(".example.com").unwrap();
            prop_assert!(label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'), "{}", origin);
        }
    }
}
