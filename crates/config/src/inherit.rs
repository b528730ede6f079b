//! Faults of what routes inherit, told once and where they were written.
//!
//! Policies are merged before they are compiled, so a fault of the policy for all is found with each route.

use std::collections::HashMap;

use portcullis_core::{KeyPath, Problem, Problems};

use crate::document::Document;
use crate::faults::InPolicy;
use crate::raw::RawConfig;

/// How many routes are named in a message.
const MOST_NAMED: usize = 3;

/// The same problems, each at the place whose value the merge kept.
pub(crate) fn place_where_written(document: &Document, raw: &RawConfig, problems: &Problems) -> Problems {
    let inheritance = Inheritance { document, raw };
    let mut groups: Vec<Group> = Vec::new();
    let mut known: HashMap<(String, String), usize> = HashMap::new();
    for problem in problems.iter() {
        let inherited = InPolicy::parse(problem.path.as_str()).and_then(|at| {
            let origin = inheritance.origin(&at)?;
            Some((at, origin))
        });
        let path = inherited.as_ref().map_or(problem.path.as_str(), |(_, origin)| &origin.path);
        let key = (path.to_owned(), format!("{}\0{:?}", problem.message, problem.suggestion));
        let number = *known.entry(key).or_insert(groups.len());
        if number == groups.len() {
            let origin = inherited.as_ref().map(|(_, origin)| origin.clone());
            groups.push(Group { origin, routes: Vec::new(), problems: Vec::new() });
        }
        if let Some(group) = groups.get_mut(number) {
            group.routes.extend(inherited.map(|(at, _)| (at.service, at.route)));
            group.problems.push(problem.clone());
        }
    }
    let mut placed = Problems::default();
    groups.into_iter().flat_map(|group| inheritance.settle(group)).for_each(|problem| placed.add(problem));
    placed
}

/// One fault with all the routes where it was found.
struct Group {
    origin: Option<Origin>,
    routes: Vec<(usize, usize)>,
    problems: Vec<Problem>,
}

/// Where a value of a route's policy was written, if not for the route itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    path: String,
    /// The service whose policy it is; none for the policy for all.
    service: Option<usize>,
    /// Whether the value itself was written, or only a map in which it is missing.
    exact: bool,
}

struct Inheritance<'c> {
    document: &'c Document,
    raw: &'c RawConfig,
}

impl Inheritance<'_> {
    /// `None` for what was written for the route, or not at all.
    fn origin(&self, at: &InPolicy<'_>) -> Option<Origin> {
        let below = at.below;
        let ends = below.char_indices().rev().filter(|(_, c)| matches!(c, '.' | '[')).map(|(end, _)| end);
        for end in std::iter::once(below.len()).chain(ends) {
            let begin = InPolicy { below: below.get(..end)?, ..*at };
            let written = begin.layers().iter().position(|layer| self.document.holds(layer));
            let path = written.and_then(|layer| at.layers().into_iter().nth(layer));
            let exact = end == below.len();
            match (written, path) {
                (None, _) => {}
                (Some(1), Some(path)) => return Some(Origin { path, service: Some(at.service), exact }),
                (Some(2), Some(path)) => return Some(Origin { path, service: None, exact }),
                _ => return None,
            }
        }
        None
    }

    /// The routes for which a policy holds that is written for a service or for all.
    fn scope(&self, service: Option<usize>) -> impl Iterator<Item = (usize, usize)> {
        let services = self.raw.services.iter().enumerate();
        services
            .filter(move |(number, _)| service.is_none_or(|only| only == *number))
            .flat_map(|(number, service)| (0..service.routes.len()).map(move |route| (number, route)))
    }

    fn settle(&self, group: Group) -> Vec<Problem> {
        let Group { origin, mut routes, mut problems } = group;
        let Some(first) = problems.first_mut() else { return problems };
        let Some(origin) = origin else {
            problems.truncate(1);
            return problems;
        };
        routes.dedup();
        if !origin.exact {
            // Where not all routes lack it, what is missing belongs to those that do.
            if routes.len() < self.scope(origin.service).count() {
                return problems;
            }
        } else if let Some((_, below)) = origin.path.split_once("policy.") {
            let inherits = |&(service, route): &(usize, usize)| {
                self.origin(&InPolicy { service, route, below }).as_ref() == Some(&origin)
            };
            if routes.len() < self.scope(origin.service).filter(inherits).count() {
                first.message.push_str(&self.named(&routes));
            }
        }
        let mut path = KeyPath::root();
        path = path.key(&origin.path);
        first.path = path;
        problems.truncate(1);
        problems
    }

    /// `` (of the route `a`) ``: not all that inherit a value are wrong with it.
    fn named(&self, routes: &[(usize, usize)]) -> String {
        let name = |&(service, route): &(usize, usize)| {
            let route = self.raw.services.get(service).and_then(|service| service.routes.get(route));
            route.map_or_else(String::new, |route| format!("`{}`", route.name))
        };
        let mut names: Vec<String> = routes.iter().take(MOST_NAMED).map(name).collect();
        if routes.len() > MOST_NAMED {
            names.push(format!("{} more", routes.len() - MOST_NAMED));
        }
        format!(" (on {})", names.join(", "))
    }
}
