//! Which requests a route is for.

use http::{HeaderName, HeaderValue};
use portcullis_pipeline::{FieldRules, HostPattern, RouteMatcher, Router};

use super::{Compiler, RouteDraft};

impl Compiler<'_> {
    pub(super) fn router(&mut self, drafts: &[RouteDraft<'_>]) -> Option<Router> {
        let (mut matchers, mut readable) = (Vec::new(), Vec::new());
        for draft in drafts {
            let before = self.problems.iter().count();
            let hosts = self.hosts(draft);
            let headers = self.header_conditions(draft);
            let is_whole =
                self.problems.iter().count() == before && draft.methods.len() == draft.raw.methods.len();
            let matched_by = ["path", "hosts", "methods", "headers"];
            let is_known = !matched_by.iter().any(|key| self.faults.touches(draft.path.key(key).as_str()));
            // What a route matches that is wrong with it nobody knows.
            if let (Some(path), true) = (draft.template.clone(), is_whole && is_known) {
                readable.push(draft);
                matchers.push(RouteMatcher { hosts, path, methods: draft.methods.clone(), headers });
            }
        }
        let router = Router::build(&matchers)
            .map_err(|clashes| {
                for clash in clashes {
                    let (Some(first), Some(second)) =
                        (readable.get(clash.first.index()), readable.get(clash.second.index()))
                    else {
                        continue;
                    };
                    self.problems
                        .error(
                            &second.path.key("path"),
                            format!(
                                "the routes `{}` and `{}` match the same requests",
                                first.raw.name, second.raw.name
                            ),
                        )
                        .suggest("tell them apart by path, host, methods or a header");
                }
            })
            .ok();
        router.filter(|_| readable.len() == drafts.len())
    }

    fn hosts(&mut self, draft: &RouteDraft<'_>) -> Vec<HostPattern> {
        let path = draft.path.key("hosts");
        let mut hosts = Vec::new();
        for (index, text) in draft.raw.hosts.iter().enumerate() {
            match HostPattern::parse(text) {
                Ok(host) => hosts.push(host),
                Err(problem) => {
                    self.problems.error(&path.index(index), problem);
                }
            }
        }
        hosts
    }

    fn header_conditions(&mut self, draft: &RouteDraft<'_>) -> Vec<(HeaderName, HeaderValue)> {
        let path = draft.path.key("headers");
        let unowned = FieldRules::new([], []);
        let mut headers = Vec::new();
        for (name, value) in &draft.raw.headers {
            match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                (Ok(name), Ok(_)) if unowned.removes(&name) => self
                    .problems
                    .error(
                        &path.key(name.as_str()),
                        format!("`{name}` is removed from every request, so it never matches"),
                    )
                    .suggest("choose another header"),
                (Ok(name), Ok(value)) => headers.push((name, value)),
                _ => {
                    self.problems.error(&path.key(name), format!("`{name}: {value}` is not a header field"));
                }
            }
        }
        headers
    }
}
