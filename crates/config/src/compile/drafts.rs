//! Routes on their way to plans: what is written for each, with the policy that holds for it.

use http::Method;
use portcullis_authz::RouteInfo;
use portcullis_core::{KeyPath, ServiceId};
use portcullis_pipeline::PathTemplate;
use serde_json::Value;

use super::{Compiler, RouteDraft};
use crate::load::typed;
use crate::overlay::overlay;
use crate::raw::{RawConfig, RawPolicy, RawRoute, RawService};

impl Compiler<'_> {
    /// All routes of all services, in order, with the policies that hold for them.
    pub(super) fn drafts<'r>(&mut self, raw: &'r RawConfig) -> Vec<RouteDraft<'r>> {
        let mut drafts: Vec<RouteDraft<'r>> = Vec::new();
        for (number, service) in (0u32..).zip(&raw.services) {
            let place = KeyPath::root().key("services").index(number as usize);
            if service.routes.is_empty() {
                self.problems
                    .error(
                        &place.key("routes"),
                        format!("the service `{}` has no route, so it cannot be reached", service.name),
                    )
                    .suggest("add one, such as `- { name: all, path: '/{*rest}' }`");
            }
            for (index, route) in service.routes.iter().enumerate() {
                let path = place.key("routes").index(index);
                self.check_name(
                    "route",
                    &route.name,
                    drafts.iter().map(|it| it.raw.name.as_str()),
                    &path.key("name"),
                );
                let draft = self.draft(route, path, ServiceId(number), service, index);
                drafts.push(draft);
            }
        }
        drafts
    }

    fn draft<'r>(
        &mut self,
        raw: &'r RawRoute,
        path: KeyPath,
        id: ServiceId,
        service: &'r RawService,
        index: usize,
    ) -> RouteDraft<'r> {
        let template = PathTemplate::parse(&raw.path)
            .map_err(|problem| self.problems.error(&path.key("path"), problem))
            .ok();
        let methods = self.methods(raw, &path.key("methods"));
        let policy = self.policy(id, index, &path);
        RouteDraft { raw, path, service: id, service_name: &service.name, template, methods, policy }
    }

    fn methods(&mut self, raw: &RawRoute, path: &KeyPath) -> Vec<Method> {
        let mut methods = Vec::new();
        for (index, text) in raw.methods.iter().enumerate() {
            match Method::from_bytes(text.as_bytes()) {
                Ok(Method::TRACE | Method::CONNECT) => {
                    self.problems
                        .error(&path.index(index), format!("`{text}` is never forwarded"))
                        .suggest("remove it");
                }
                Ok(method) if text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') => {
                    methods.push(method)
                }
                _ => self.problems.error(&path.index(index), format!("`{text}` is not a method")).suggest(
                    format!("methods are written in capitals, such as `{}`", text.to_ascii_uppercase()),
                ),
            }
        }
        methods
    }

    /// What holds for a route: what holds for all, then for its service, then for itself.
    fn policy(&mut self, service: ServiceId, route: usize, path: &KeyPath) -> RawPolicy {
        let nothing = Value::Object(serde_json::Map::new());
        let own =
            |value: Option<&Value>| value.and_then(|value| value.get("policy")).unwrap_or(&nothing).clone();
        let services = self.settled.get("services");
        let service = services.and_then(|services| services.get(service.index()));
        let route = service.and_then(|service| service.get("routes")).and_then(|routes| routes.get(route));
        let merged = overlay(&overlay(&own(Some(self.settled)), &own(service)), &own(route));
        typed(merged, &path.key("policy")).unwrap_or_else(|problem| {
            self.problems.add(problem);
            RawPolicy::default()
        })
    }
}

impl RouteDraft<'_> {
    pub(super) fn info(&self) -> RouteInfo {
        RouteInfo {
            name: self.raw.name.clone(),
            service: self.service_name.to_owned(),
            mode: self.policy.authorize.mode,
            action: self.policy.authorize.action.clone(),
            methods: (!self.methods.is_empty()).then(|| self.methods.clone()),
            parameters: self.template.as_ref().map_or_else(
                || parameters_in(&self.raw.path).map(str::to_owned).collect(),
                |template| template.parameters().map(str::to_owned).collect(),
            ),
            place: self.path.key("policy").key("authorize").key("action"),
        }
    }
}

/// The parameters that a path seems to have that is wrong otherwise: policies that read them are not at fault.
fn parameters_in(path: &str) -> impl Iterator<Item = &str> {
    path.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name.trim_start_matches('*'))
}
