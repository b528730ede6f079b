//! From host, path, method and headers to a route.
//!
//! Hosts are tried from the most to the least specific (exact name, `*.suffix` with the longest suffix first,
//! any). Within a host, a tree of path segments prefers literal segments over parameters and parameters over a
//! trailing wildcard, and goes back when a preferred branch leads nowhere. At the end of a path, routes
//! that ask for more headers are tried first. The order of routes in the configuration never matters: what would
//! make it matter is refused when the configuration is compiled.

use std::borrow::Cow;
use std::collections::HashMap;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use portcullis_core::target::decode_segment;
use portcullis_core::{Head, Reason, RouteId};
use smallvec::SmallVec;

use crate::template::{PathTemplate, Segment};

/// What a request must look like for a route to be its own.
#[derive(Debug, Clone)]
pub struct RouteMatcher {
    /// Host names in lower case; empty for any host.
    pub hosts: Vec<HostPattern>,
    /// The path.
    pub path: PathTemplate,
    /// Methods; empty for any. GET stands for HEAD too.
    pub methods: Vec<Method>,
    /// Headers that must be present with exactly this value.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// A host as a route names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This very name.
    Exact(String),
    /// Any name with one or more labels before this suffix (which begins with a dot).
    Suffix(String),
}

impl HostPattern {
    /// Reads `api.example.com` or `*.example.com`.
    ///
    /// # Errors
    /// A sentence, when the text is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let (name, suffix) = lower.strip_prefix('*').map_or((lower.as_str(), false), |rest| (rest, true));
        let labels = if suffix { name.strip_prefix('.') } else { Some(name) };
        let is_name = |name: &str| {
            !name.is_empty()
                && name.split('.').all(|label| {
                    !label.is_empty()
                        && label
                            .bytes()
                            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
                })
        };
        match labels {
            Some(labels) if is_name(labels) => {
                Ok(if suffix { Self::Suffix(name.to_owned()) } else { Self::Exact(name.to_owned()) })
            }
            _ => Err(format!(
                "`{text}` is not a host; write a name without port, such as `api.example.com` or `*.example.com`"
            )),
        }
    }
}

/// The parameters of a path, as places in it: decoded only when someone asks.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    ranges: SmallVec<[(u32, u32); 4]>,
}

impl Parameters {
    /// The values in the order of the template, percent-decoded, given the path that was matched.
    pub fn values<'p>(&'p self, path: &'p str) -> impl Iterator<Item = Cow<'p, str>> + 'p {
        self.ranges.iter().map(move |&(start, end)| {
            decode_segment(path.get(start as usize..end as usize).unwrap_or_default())
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

/// Two routes that would match the same requests with equal right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ambiguity {
    /// The route that came first.
    pub first: RouteId,
    /// The route that clashes with it.
    pub second: RouteId,
}

/// All routes, ready to be searched.
#[derive(Debug, Default)]
pub struct Router {
    exact: HashMap<String, Node>,
    /// Longest suffix first.
    suffixes: Vec<(String, Node)>,
    any: Node,
    /// Every method that a route names, once, in the order of the routes.
    named_methods: Vec<Method>,
}

/// What a route that names no methods may be asked with, and GET stands for HEAD.
const COMMON_METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

impl Router {
    /// Builds the tree; route `i` gets `RouteId(i)`.
    ///
    /// # Errors
    /// All pairs of routes between which nothing but their order could choose.
    pub fn build(routes: &[RouteMatcher]) -> Result<Self, Vec<Ambiguity>> {
        let mut router = Self::default();
        let mut clashes = Vec::new();
        for (index, route) in (0u32..).zip(routes) {
            let id = RouteId(index);
            for method in &route.methods {
                if !router.named_methods.contains(method) {
                    router.named_methods.push(method.clone());
                }
            }
            if route.hosts.is_empty() {
                router.any.insert(id, route, routes, &mut clashes);
            }
            for host in &route.hosts {
                router.table(host).insert(id, route, routes, &mut clashes);
            }
        }
        router.suffixes.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        clashes.dedup();
        if clashes.is_empty() { Ok(router) } else { Err(clashes) }
    }

    /// Finds the route of a request.
    ///
    /// # Errors
    /// [`Reason::NoRoute`] when no path matches, or no method would help (a header stands in the way);
    /// [`Reason::MethodNotAllowed`] when another method would be taken.
    pub fn find(&self, head: &Head<'_>) -> Result<(RouteId, Parameters), Reason> {
        self.search(head).map_err(|path_exists| {
            if path_exists && !self.allowed_methods(head).is_empty() {
                Reason::MethodNotAllowed
            } else {
                Reason::NoRoute
            }
        })
    }

    /// The route, or whether at least its path is there.
    fn search(&self, head: &Head<'_>) -> Result<(RouteId, Parameters), bool> {
        let mut search = Search {
            path: head.target.path(),
            method: head.method,
            headers: head.headers,
            parameters: Parameters::default(),
            path_exists: false,
        };
        for table in self.tables_for(head.host) {
            if let Some(route) = table.search(&mut search, 0) {
                return Ok((route, search.parameters));
            }
        }
        Err(search.path_exists)
    }

    /// The methods that routes at this host and path take: for `Allow` in a 405 (RFC 9110 section 10.2.1).
    #[must_use]
    pub fn allowed_methods(&self, head: &Head<'_>) -> Vec<Method> {
        let takes = |method: &&Method| self.search(&Head { method, ..*head }).is_ok();
        let extensions = self.named_methods.iter().filter(|method| !COMMON_METHODS.contains(method));
        COMMON_METHODS.iter().chain(extensions).filter(takes).cloned().collect()
    }

    fn tables_for<'t>(&'t self, host: &'t str) -> impl Iterator<Item = &'t Node> + 't {
        let exact = if self.exact.is_empty() { None } else { self.exact.get(host) };
        let suffixes = self
            .suffixes
            .iter()
            .filter(move |(suffix, _)| host.len() > suffix.len() && host.ends_with(suffix.as_str()))
            .map(|(_, node)| node);
        exact.into_iter().chain(suffixes).chain(std::iter::once(&self.any))
    }

    fn table(&mut self, host: &HostPattern) -> &mut Node {
        match host {
            HostPattern::Exact(name) => self.exact.entry(name.clone()).or_default(),
            HostPattern::Suffix(suffix) => {
                let at = self.suffixes.iter().position(|(known, _)| known == suffix).unwrap_or_else(|| {
                    self.suffixes.push((suffix.clone(), Node::default()));
                    self.suffixes.len() - 1
                });
                #[expect(clippy::indexing_slicing, reason = "`at` is a position found or made just above")]
                &mut self.suffixes[at].1
            }
        }
    }
}

/// A place in the tree: what may follow, and the routes that end here.
#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, Node>,
    parameter: Option<Box<Node>>,
    /// Routes whose template ends in `{*name}` here.
    wildcard: Vec<Leaf>,
    leaves: Vec<Leaf>,
}

#[derive(Debug)]
struct Leaf {
    route: RouteId,
    methods: Vec<Method>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

struct Search<'r> {
    path: &'r str,
    method: &'r Method,
    headers: &'r HeaderMap,
    parameters: Parameters,
    path_exists: bool,
}

impl Node {
    fn insert(
        &mut self,
        id: RouteId,
        route: &RouteMatcher,
        all: &[RouteMatcher],
        clashes: &mut Vec<Ambiguity>,
    ) {
        let mut node = self;
        for segment in route.path.segments() {
            match segment {
                Segment::Literal(text) => node = node.literals.entry(text.clone()).or_default(),
                Segment::Parameter(_) => node = node.parameter.get_or_insert_default(),
                Segment::Wildcard(_) => return add_leaf(&mut node.wildcard, id, route, all, clashes),
            }
        }
        add_leaf(&mut node.leaves, id, route, all, clashes);
    }

    /// `at` is the place of the slash before the next segment, or the end of the path.
    fn search(&self, search: &mut Search<'_>, at: usize) -> Option<RouteId> {
        if at >= search.path.len() {
            return choose(&self.leaves, search).or_else(|| self.search_wildcard(search, at));
        }
        let start = at + 1;
        let rest = search.path.get(start..)?;
        let end = start + memchr_slash(rest).unwrap_or(rest.len());
        let segment = search.path.get(start..end)?;
        if let Some(next) = self.literals.get(segment)
            && let Some(found) = next.search(search, end)
        {
            return Some(found);
        }
        if let Some(next) = self.parameter.as_deref()
            && !segment.is_empty()
        {
            search.parameters.ranges.push(as_range(start, end));
            if let Some(found) = next.search(search, end) {
                return Some(found);
            }
            search.parameters.ranges.pop();
        }
        self.search_wildcard(search, at)
    }

    fn search_wildcard(&self, search: &mut Search<'_>, at: usize) -> Option<RouteId> {
        let found = choose(&self.wildcard, search)?;
        let start = (at + 1).min(search.path.len());
        search.parameters.ranges.push(as_range(start, search.path.len()));
        Some(found)
    }
}

fn memchr_slash(text: &str) -> Option<usize> {
    text.bytes().position(|byte| byte == b'/')
}

/// A path is far shorter than 4 GiB: the request line is bounded.
fn as_range(start: usize, end: usize) -> (u32, u32) {
    (u32::try_from(start).unwrap_or(u32::MAX), u32::try_from(end).unwrap_or(u32::MAX))
}

fn choose(leaves: &[Leaf], search: &mut Search<'_>) -> Option<RouteId> {
    search.path_exists |= !leaves.is_empty();
    leaves
        .iter()
        .find(|leaf| takes_method(&leaf.methods, search.method) && leaf.asks_no_more_than(search.headers))
        .map(|leaf| leaf.route)
}

/// GET stands for HEAD too (RFC 9110 section 9.3.2: the same answer, without its content).
fn takes_method(methods: &[Method], method: &Method) -> bool {
    methods.is_empty()
        || methods.contains(method)
        || (method == Method::HEAD && methods.contains(&Method::GET))
}

impl Leaf {
    /// A field that comes more than once has no one value: the service may read another than we do, and the
    /// routes for either value would match.
    fn asks_no_more_than(&self, headers: &HeaderMap) -> bool {
        self.headers.iter().all(|(name, value)| {
            let mut sent = headers.get_all(name).iter();
            sent.next() == Some(value) && sent.next().is_none()
        })
    }
}

fn add_leaf(
    leaves: &mut Vec<Leaf>,
    id: RouteId,
    route: &RouteMatcher,
    all: &[RouteMatcher],
    clashes: &mut Vec<Ambiguity>,
) {
    for other in leaves.iter() {
        if all.get(other.route.index()).is_some_and(|first| is_ambiguous(first, route)) {
            clashes.push(Ambiguity { first: other.route, second: id });
        }
    }
    leaves.push(Leaf { route: id, methods: route.methods.clone(), headers: route.headers.clone() });
    // Routes that ask for more come first; a named method before "any", and HEAD by name before HEAD by GET.
    leaves.sort_by_key(|leaf| {
        (
            std::cmp::Reverse(leaf.headers.len()),
            leaf.methods.is_empty(),
            !leaf.methods.contains(&Method::HEAD),
        )
    });
}

/// Two routes at one path clash unless their methods are disjoint, their headers contradict each other,
/// one's headers include the other's, or (with equal headers) one names methods and the other takes any.
fn is_ambiguous(a: &RouteMatcher, b: &RouteMatcher) -> bool {
    let one_takes_any = a.methods.is_empty() != b.methods.is_empty();
    let disjoint = !a.methods.is_empty()
        && !b.methods.is_empty()
        && !a.methods.iter().any(|method| b.methods.contains(method));
    let contradict = a.headers.iter().any(|(name, value)| {
        b.headers.iter().any(|(other, other_value)| name == other && value != other_value)
    });
    let covers = |more: &RouteMatcher, less: &RouteMatcher| {
        less.headers.iter().all(|header| more.headers.contains(header))
    };
    let told_apart_by_headers = covers(a, b) != covers(b, a);
    let equal_headers = covers(a, b) && covers(b, a);
    !(disjoint || contradict || told_apart_by_headers || (equal_headers && one_takes_any))
}

#[cfg(test)]
mod tests;
