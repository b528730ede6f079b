//! Which route takes which request.

use std::net::{Ipv4Addr, SocketAddr};

use http::Version;
use portcullis_core::{Peer, Target, TargetRules, Timestamp};
use proptest::prelude::*;

use super::*;

fn route(path: &str) -> RouteMatcher {
    RouteMatcher {
        hosts: Vec::new(),
        path: PathTemplate::parse(path).unwrap(),
        methods: Vec::new(),
        headers: Vec::new(),
    }
}

fn get(path: &str) -> RouteMatcher {
    RouteMatcher { methods: vec![Method::GET], ..route(path) }
}

fn find(
    router: &Router,
    method: &Method,
    host: &str,
    path: &str,
    headers: &HeaderMap,
) -> Result<(u32, Vec<String>), Reason> {
    let target = Target::parse(path, &TargetRules::default()).unwrap();
    let peer = Peer {
        socket: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
        client: Ipv4Addr::LOCALHOST.into(),
        secure: false,
    };
    let head = Head {
        method,
        host,
        port: None,
        target: &target,
        headers,
        version: Version::HTTP_11,
        peer,
        certificate: None,
        body: None,
        now: Timestamp(0),
    };
    let (route, parameters) = router.find(&head)?;
    let values = parameters.values(target.path()).map(Cow::into_owned).collect();
    Ok((route.0, values))
}

fn find_get(router: &Router, path: &str) -> Result<(u32, Vec<String>), Reason> {
    find(router, &Method::GET, "h", path, &HeaderMap::new())
}

#[test]
fn literals_before_parameters_before_wildcards() {
    let routes = [
        route("/orders/{id}"),
        route("/orders/latest"),
        route("/{*rest}"),
        route("/orders/{id}/lines/{line}"),
    ];
    let router = Router::build(&routes).unwrap();
    assert_eq!(find_get(&router, "/orders/latest"), Ok((1, vec![])));
    assert_eq!(find_get(&router, "/orders/42"), Ok((0, vec!["42".into()])));
    assert_eq!(find_get(&router, "/orders/a%20b"), Ok((0, vec!["a b".into()])));
    assert_eq!(find_get(&router, "/orders/42/lines/7"), Ok((3, vec!["42".into(), "7".into()])));
    assert_eq!(find_get(&router, "/orders/42/lines"), Ok((2, vec!["orders/42/lines".into()])));
    assert_eq!(find_get(&router, "/orders/"), Ok((2, vec!["orders/".into()])));
    assert_eq!(find_get(&router, "/"), Ok((2, vec![String::new()])));
}

#[test]
fn a_preferred_branch_that_leads_nowhere_is_left_again() {
    let router = Router::build(&[route("/a/{x}/c"), route("/{y}/b/d")]).unwrap();
    assert_eq!(find_get(&router, "/a/b/d"), Ok((1, vec!["a".into()])));
    assert_eq!(find_get(&router, "/a/b/c"), Ok((0, vec!["b".into()])));
    assert_eq!(find_get(&router, "/a/b"), Err(Reason::NoRoute));
}

#[test]
fn methods_headers_and_hosts_choose() {
    let canary = RouteMatcher {
        headers: vec![(HeaderName::from_static("x-canary"), HeaderValue::from_static("1"))],
        ..get("/a")
    };
    let elsewhere = RouteMatcher { hosts: vec![HostPattern::parse("*.example.com").unwrap()], ..get("/a") };
    let exact = RouteMatcher { hosts: vec![HostPattern::parse("api.example.com").unwrap()], ..get("/a") };
    let post = RouteMatcher { methods: vec![Method::POST], ..route("/a") };
    let router = Router::build(&[get("/a"), canary, elsewhere, exact, post]).unwrap();
    let none = HeaderMap::new();
    let with = HeaderMap::from_iter([(HeaderName::from_static("x-canary"), HeaderValue::from_static("1"))]);
    assert_eq!(find(&router, &Method::GET, "h", "/a", &none), Ok((0, vec![])));
    assert_eq!(find(&router, &Method::HEAD, "h", "/a", &none), Ok((0, vec![])));
    assert_eq!(find(&router, &Method::GET, "h", "/a", &with), Ok((1, vec![])));
    assert_eq!(find(&router, &Method::GET, "b.example.com", "/a", &none), Ok((2, vec![])));
    assert_eq!(find(&router, &Method::GET, "api.example.com", "/a", &none), Ok((3, vec![])));
    assert_eq!(find(&router, &Method::GET, "example.com", "/a", &none), Ok((0, vec![])));
    assert_eq!(find(&router, &Method::POST, "h", "/a", &none), Ok((4, vec![])));
    assert_eq!(find(&router, &Method::PUT, "h", "/a", &none), Err(Reason::MethodNotAllowed));
}

#[test]
fn where_no_method_would_help_there_is_no_route() {
    let headers = vec![(HeaderName::from_static("x-version"), HeaderValue::from_static("1"))];
    let router = Router::build(&[RouteMatcher { headers, ..get("/a") }]).unwrap();
    assert_eq!(find(&router, &Method::GET, "h", "/a", &HeaderMap::new()), Err(Reason::NoRoute));
}

#[test]
fn routes_that_only_their_order_could_tell_apart_are_refused() {
    let header = |name: &'static str, value: &'static str| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    let with = |headers: Vec<(HeaderName, HeaderValue)>| RouteMatcher { headers, ..get("/a/{x}") };
    let clash = |a: RouteMatcher, b: RouteMatcher| Router::build(&[a, b]).is_err();
    assert!(clash(get("/a/{x}"), get("/a/{y}")));
    assert!(clash(with(vec![header("x", "1")]), with(vec![header("y", "1")])));
    assert!(!clash(with(vec![header("x", "1")]), with(vec![header("x", "2")])));
    assert!(!clash(with(vec![header("x", "1")]), get("/a/{x}")));
    assert!(!clash(get("/a/{x}"), route("/a/{x}")));
    assert!(!clash(get("/a/{x}"), get("/a/{*x}")));
    assert!(!clash(get("/a"), RouteMatcher { methods: vec![Method::HEAD], ..route("/a") }));
}

#[test]
fn hosts_are_names_without_ports() {
    for wrong in ["", "*", "*.", "a..b", "api.example.com:80", "*a.example.com", "a/b"] {
        assert!(HostPattern::parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!(HostPattern::parse("API.example.com"), Ok(HostPattern::Exact("api.example.com".into())));
}

proptest! {
    /// The tree finds what a plain scan over all templates finds.
    #[test]
    fn the_tree_agrees_with_a_scan(
        templates in proptest::collection::btree_set("(/(a|b|\\{x\\})){1,3}(/\\{\\*r\\})?", 1..8),
        path in "(/(a|b|c)){1,4}",
    ) {
        let routes: Vec<_> = templates
            .iter()
            // A template names each parameter once.
            .map(|text| {
                let mut count = 0;
                let unique: String = text.split("{x}").flat_map(|part| { count += 1; [part.to_owned(), format!("{{p{count}}}")] }).collect();
                route(unique.strip_suffix(&format!("{{p{count}}}")).unwrap())
            })
            .collect();
        let router = Router::build(&routes).unwrap();
        let found = find_get(&router, &path).map(|(route, _)| route as usize);
        let best = (0..routes.len())
            .filter_map(|index| routes[index].path.rank(&path).map(|rank| (rank, index)))
            .min()
            .map(|(_, index)| index)
            .ok_or(Reason::NoRoute);
        prop_assert_eq!(found, best);
    }
}
