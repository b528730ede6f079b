//! Where a file was found faulty, so that what follows from a fault is not reported beside it.

use std::collections::BTreeSet;

use portcullis_core::KeyPath;

/// Values that could not be read. In their place stands a default or the least that their type takes, so that the rest can
/// be compiled; what compiling says about them means nothing.
#[derive(Debug, Default, Clone)]
pub(crate) struct Faults {
    at: BTreeSet<String>,
    /// The maps and lists in which they stand: whether those are complete cannot be said.
    parents: BTreeSet<String>,
}

/// Keys whose value is judged by that of another: by what its path ends with, and the path of the other in its stead.
const JUDGED_BY: [(&str, &str); 9] = [
    (".ipv6_prefix", ".key"),
    (".rotate", ".file"),
    (".rotate.size", ".buffer"),
    (".upstream.tls", ".upstream.targets"),
    (".limit.mode", ".limit.apply"),
    (".refresh", ".keys"),
    (".keys.pem", ".algorithms"),
    (".keys.jwks_url", ".algorithms"),
    (".keys.secret", ".algorithms"),
];

impl Faults {
    pub(crate) fn add(&mut self, path: &KeyPath) {
        let path = path.as_str();
        if let Some(end) = path.rfind(['.', '[']) {
            self.parents.insert(path.get(..end).unwrap_or_default().to_owned());
        }
        self.at.insert(path.to_owned());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.at.iter().map(String::as_str)
    }

    /// Whether the value at `path`, or one in which it stands, could not be read.
    pub(crate) fn hides(&self, path: &str) -> bool {
        let ends = path.char_indices().filter(|(_, c)| matches!(c, '.' | '[')).map(|(at, _)| at);
        ends.chain([path.len()]).any(|end| path.get(..end).is_some_and(|begin| self.at.contains(begin)))
    }

    /// Whether anything at, above or below `path` could not be read.
    pub(crate) fn touches(&self, path: &str) -> bool {
        let below = self.at.range(path.to_owned()..).take_while(|at| at.starts_with(path));
        self.hides(path)
            || below.into_iter().any(|at| matches!(at.as_bytes().get(path.len()), None | Some(b'.' | b'[')))
    }

    /// Whether a problem at `path` may be nothing but what follows from a fault.
    pub(crate) fn explain(&self, path: &str) -> bool {
        let explains = |path: &str| {
            let others = JUDGED_BY
                .iter()
                .filter_map(|(end, other)| path.strip_suffix(end).map(|begin| format!("{begin}{other}")));
            self.hides(path)
                || self.parents.contains(path)
                || others.into_iter().any(|other| self.touches(&other))
        };
        // What a route does not say itself its service says, or the policy for all.
        let layers = InPolicy::parse(path).map(|at| at.layers());
        explains(path)
            || layers.is_some_and(|layers| layers.iter().any(|layer| explains(layer)))
            || path.ends_with(".forward.body") && self.touches("protocol.body")
    }
}

/// A place in the policy of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InPolicy<'p> {
    pub(crate) service: usize,
    pub(crate) route: usize,
    /// The path within the policy.
    pub(crate) below: &'p str,
}

impl<'p> InPolicy<'p> {
    pub(crate) fn parse(path: &'p str) -> Option<Self> {
        let (service, rest) = path.strip_prefix("services[")?.split_once("].routes[")?;
        let (route, below) = rest.split_once("].policy.")?;
        Some(Self { service: service.parse().ok()?, route: route.parse().ok()?, below })
    }

    /// Where it may be written, from what outweighs the rest to what holds for all: for the route, its service, all.
    pub(crate) fn layers(&self) -> [String; 3] {
        let Self { service, route, below } = self;
        [
            format!("services[{service}].routes[{route}].policy.{below}"),
            format!("services[{service}].policy.{below}"),
            format!("policy.{below}"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(paths: &[&str]) -> Faults {
        let mut faults = Faults::default();
        paths.iter().for_each(|path| faults.add(&KeyPath::root().key(path)));
        faults
    }

    #[test]
    fn what_stands_at_or_in_a_fault_follows_from_it() {
        let faults = faults(&["limits[1].key", "services[0].policy.limit"]);
        for follows in [
            "limits[1].key",
            "limits[1].key[0]",
            "limits[1]",
            "limits[1].ipv6_prefix",
            "services[0].routes[7].policy.limit.apply[0]",
        ] {
            assert!(faults.explain(follows), "{follows}");
        }
        for stands in
            ["limits", "limits[1].keys", "limits[11].key", "services[1].routes[0].policy.limit.mode"]
        {
            assert!(!faults.explain(stands), "{stands}");
        }
        assert!(faults.touches("limits") && !faults.touches("limit") && !faults.hides("limits"));
    }
}
