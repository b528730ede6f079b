//! From the typed configuration to a snapshot. Every fault of every part is found in one run.

mod certificates;
mod compiled;
mod consequences;
mod drafts;
mod routing;
mod scanning;
mod tokens;
mod unused;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use http::{HeaderName, Method};
use portcullis_audit::{AuditLog, Matches};
use portcullis_authn::internal_token::InternalTokens;
use portcullis_authn::message_signature::RawMessageSignatures;
use portcullis_authn::webhook::RawWebhook;
use portcullis_authn::{Authenticate, Authentication, Operators};
use portcullis_authz::{Authorization, RouteInfo};
use portcullis_core::problem::{Severity, nearest};
use portcullis_core::{ByteSize, ConfigFolder, KeyPath, Mode, Problems, ServiceId};
use portcullis_harden::Hardening;
use portcullis_limit::{Concurrency, KeyPart, LimitStore, Limits, Quotas, When};
use portcullis_pipeline::metrics::{Metrics, TargetId};
use portcullis_pipeline::settings::{
    ClientAddress, Forward, Listener, ListenerTls, Protocol, RawListener, Upstream, not_an_address,
};
use portcullis_pipeline::{
    Detail, FieldRules, Ingress, PathTemplate, RouteLimits, RoutePlan, RouteQuotas, Service, Snapshot,
};
use portcullis_store::Store;
use portcullis_waf::stage::Rulesets;
use serde_json::Value;

use crate::faults::Faults;
use crate::inherit::place_where_written;
use crate::load::{Read, read_file, read_text};
use crate::located::locate;
use crate::raw::{RawConfig, RawPolicy, RawRoute, RawRouteQuotas};

pub use compiled::{Compiled, Needs, Unopened, Unrecorded};

/// Reads and compiles a configuration file.
///
/// What `previous` has learned is kept where the configuration of it is the same: counters of limits, key sets,
/// metrics.
pub fn compile_file(
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    previous: Option<&Snapshot>,
) -> Compiled {
    let folder = ConfigFolder::new(path.parent().unwrap_or(Path::new("")));
    compile(read_file(path, environment), &folder, previous)
}

/// Reads and compiles a configuration from memory; `name` is what reports call it.
pub fn compile_text(
    name: &str,
    text: &str,
    folder: &ConfigFolder,
    environment: &dyn Fn(&str) -> Option<String>,
    previous: Option<&Snapshot>,
) -> Compiled {
    compile(read_text(name, text, folder, environment), folder, previous)
}

fn compile(read: Read<RawConfig>, folder: &ConfigFolder, previous: Option<&Snapshot>) -> Compiled {
    let Read { value, settled, document, problems: mut located, faults } = read;
    let mut problems = Problems::default();
    let (mut snapshot, mut needs, mut cedar_schema) = (None, Needs::default(), None);
    if let Some(raw) = &value {
        let mut found = Problems::default();
        let faults = &faults;
        let mut compiler = Compiler {
            folder,
            previous,
            settled: &settled,
            faults,
            problems: &mut found,
            needs: Needs::default(),
            cedar_schema: None,
        };
        snapshot = compiler.run(raw);
        needs = compiler.needs;
        cedar_schema = compiler.cedar_schema;
        needs.listeners.retain(|(path, _)| !faults.touches(path.as_str()));
        needs.upstreams.retain(|(path, _)| !faults.touches(path.key("tls").as_str()));
        needs.audit = needs.audit.filter(|_| !faults.touches("audit.file"));
        problems = place_where_written(&document, raw, &consequences::without_cascades(found, raw, faults));
    }
    located.extend(locate(&document, &problems));
    let mut compiled = Compiled { snapshot, document, problems: located, needs, cedar_schema };
    compiled.arrange();
    compiled
}

/// Everything that compiling needs at hand.
struct Compiler<'c> {
    folder: &'c ConfigFolder,
    previous: Option<&'c Snapshot>,
    /// The configuration as JSON, for merging policies.
    settled: &'c Value,
    /// What of it is not what was written.
    faults: &'c Faults,
    problems: &'c mut Problems,
    needs: Needs,
    cedar_schema: Option<String>,
}

/// What plans of routes are made of.
struct Parts<'p> {
    authentication: &'p Authentication,
    internal_tokens: Option<&'p Arc<InternalTokens>>,
    limits: &'p Limits,
    concurrency: &'p Concurrency,
    quotas: &'p Quotas,
    rulesets: &'p mut Rulesets,
    /// What `protocol.body` says, if it says anything.
    largest_body: Option<ByteSize>,
}

/// One route on its way to a plan.
struct RouteDraft<'c> {
    raw: &'c RawRoute,
    path: KeyPath,
    service: ServiceId,
    service_name: &'c str,
    template: Option<PathTemplate>,
    methods: Vec<Method>,
    policy: RawPolicy,
}

/// The header fields that requests are judged by: of each, one spelling may reach the service. Names that are none were
/// reported where they stand.
fn judged_fields(raw: &RawConfig, drafts: &[RouteDraft<'_>]) -> Vec<HeaderName> {
    let of_routes = drafts.iter().flat_map(|draft| draft.raw.headers.keys());
    let of_policies = raw.authorization.context_headers.iter();
    let of_tokens = raw.authentication.jwt.iter().map(|method| &method.header);
    let of_opaque_tokens = raw.authentication.introspection.iter().map(|method| &method.header);
    let of_keys = raw.authentication.api_keys.iter().map(|method| &method.header);
    let names = of_routes.chain(of_policies).chain(of_tokens).chain(of_opaque_tokens).chain(of_keys).cloned();
    let of_rates = raw.limits.iter().flat_map(|limit| &limit.key);
    let of_concurrency = raw.concurrency.iter().flat_map(|limit| &limit.key);
    let of_quotas = raw.quotas.iter().flat_map(|quota| &quota.key);
    let of_limits = of_rates.chain(of_concurrency).chain(of_quotas).filter_map(|part| match part {
        KeyPart::Header(name) => Some(name.clone()),
        _ => None,
    });
    let of_webhooks = raw.authentication.webhooks.iter().flat_map(RawWebhook::fields);
    let of_signatures = raw.authentication.signatures.iter().flat_map(RawMessageSignatures::fields);
    let written = names
        .chain(of_webhooks)
        .chain(of_signatures.map(str::to_owned))
        .filter_map(|name| HeaderName::try_from(name).ok());
    written.chain(of_limits).collect()
}

/// The TLS of listeners by where it stands: also of those that cannot be compiled.
fn listener_tls(raw: &RawConfig, folder: &ConfigFolder) -> Vec<(KeyPath, ListenerTls)> {
    let path = KeyPath::root().key("listeners");
    let listeners = raw.listeners.iter().enumerate();
    let tls = |(index, listener): (usize, &RawListener)| {
        let path = path.index(index).key("tls");
        // What is wrong with it is told where the listener is compiled.
        let tls = ListenerTls::compile(listener.tls.as_ref()?, folder, &path, &mut Problems::default());
        Some((path, tls))
    };
    listeners.filter_map(tls).collect()
}

impl Compiler<'_> {
    fn run(&mut self, raw: &RawConfig) -> Option<Unrecorded> {
        let root = KeyPath::root();
        let folder = self.folder;
        let listeners = Listener::compile(&raw.listeners, folder, &root.key("listeners"), self.problems);
        let admin = self.admin(raw, &listeners);
        let operators_path = root.key("admin").key("operators");
        let operators = Operators::compile(&raw.admin.operators, &operators_path, self.problems);
        let mut protocol = Protocol::compile(&raw.protocol, &root.key("protocol"), self.problems);
        let client_address =
            ClientAddress::compile(&raw.client_address, &root.key("client_address"), self.problems);
        let previous = self.previous;
        let store = Store::compile(
            &raw.store,
            folder,
            &root.key("store"),
            self.problems,
            previous.map(|previous| &previous.store),
        );
        self.needs.database.clone_from(&store.database);
        let authentication = Authentication::compile(
            &raw.authentication,
            &store,
            folder,
            &root.key("authentication"),
            self.problems,
            previous.map(|previous| &previous.authentication),
        );
        let internal_tokens = self.internal_tokens(raw);
        let limit_store = LimitStore::compile(&raw.limit_store, &root.key("limit_store"), self.problems);
        let limits = Limits::compile(
            &raw.limits,
            limit_store,
            store.redis.as_ref(),
            &root.key("limits"),
            self.problems,
            previous.map(|previous| &previous.limits),
        );
        let concurrency = Concurrency::compile(
            &raw.concurrency,
            &root.key("concurrency"),
            self.problems,
            previous.map(|previous| &previous.concurrency),
        );
        let quotas = Quotas::compile(
            &raw.quotas,
            raw.quota_webhook.as_ref(),
            store.database.as_ref(),
            &root.key("quotas"),
            self.problems,
            previous.map(|previous| &previous.quotas),
        );
        let audit = portcullis_audit::compile(&raw.audit, folder, &root.key("audit"), self.problems);
        self.needs.audit = Some(audit.clone());
        self.needs.listeners = listener_tls(raw, folder);
        let services = self.services(raw);
        let drafts = self.drafts(raw);
        let router = self.router(&drafts);
        let infos: Vec<RouteInfo> = drafts.iter().map(RouteDraft::info).collect();
        let place = root.key("authorization");
        let authorization = if self.has_vocabulary() {
            self.cedar_schema = Authorization::schema_for(&raw.authorization, &infos, folder);
            Authorization::compile(&raw.authorization, &infos, folder, &place, self.problems)
        } else {
            Authorization::check_syntax(&raw.authorization, folder, &place, self.problems);
            None
        };
        let mut rulesets = Rulesets::compile(
            &raw.rulesets,
            folder,
            &root.key("rulesets"),
            self.problems,
            previous.map(|previous| &previous.rulesets),
        );
        let mut parts = Parts {
            authentication: &authentication,
            internal_tokens: internal_tokens.as_ref(),
            limits: &limits,
            concurrency: &concurrency,
            quotas: &quotas,
            rulesets: &mut rulesets,
            largest_body: raw.protocol.body,
        };
        let routes: Vec<RoutePlan> = drafts.iter().map(|draft| self.plan(draft, &mut parts)).collect();
        rulesets.check_unused(self.problems);
        self.check_room(&drafts, &routes, &protocol);
        self.check_certificates(raw, &drafts, &routes);
        self.warn_of_unused(raw, &drafts);
        if raw.protocol.body.is_none() {
            let largest = routes.iter().map(|route| route.forward.body).max();
            protocol.body = largest.map_or(protocol.body, |largest| largest.max(protocol.body));
        }
        let judged = judged_fields(raw, &drafts);
        self.check_tokens(raw, &drafts, &routes, &judged);
        let owned = routes.iter().flat_map(|route| route.forward.owned_fields());
        let is_scanned = routes.iter().any(|route| route.scan.is_on());
        let fields = FieldRules::new(owned, &judged).keeping_removed(is_scanned);
        self.refuse_removed_context(raw, &fields);
        let ingress = Ingress { limits: protocol.head, target: raw.target, client_address, fields };
        let metrics = Arc::new(self.metrics(&drafts, &services));
        let snapshot = Snapshot {
            generation: previous.map_or(1, |previous| previous.generation.saturating_add(1)),
            listeners,
            admin,
            operators,
            workers: raw.workers.map(usize::from),
            drain_timeout: raw.drain_timeout.0,
            protocol,
            ingress,
            router: router?,
            routes,
            services,
            unrouted: self.unrouted(&raw.policy),
            store,
            authentication,
            internal_tokens,
            authorization: authorization?,
            limits,
            legacy_limit_fields: raw.limit_fields.legacy,
            concurrency,
            quotas,
            rulesets: rulesets.keep(),
            audit: Arc::new(AuditLog::off()),
            scan_detail: match raw.audit.matches() {
                Matches::Masked => Detail::Record,
                Matches::Verbatim => Detail::Verbatim,
            },
            metrics,
        };
        Some(Unrecorded { snapshot, audit })
    }

    /// Whatever is served to operators needs no credential, so nobody else may reach it.
    fn admin(&mut self, raw: &RawConfig, listeners: &[Listener]) -> Option<SocketAddr> {
        let place = KeyPath::root().key("admin").key("address");
        let text = raw.admin.address.as_str();
        if text == "off" {
            return None;
        }
        let Ok(address) = text.parse::<SocketAddr>() else {
            self.problems.error(&place, not_an_address(text)).suggest("write `127.0.0.1:9901`, or `off`");
            return None;
        };
        if !address.ip().is_loopback() {
            self.problems
                .error(&place, format!("`{text}` can be reached from other machines, and the admin listener asks for no credential"))
                .suggest("write a loopback address such as `127.0.0.1:9901`");
        }
        if listeners.iter().any(|listener| listener.address == address && address.port() != 0) {
            self.problems.error(&place, format!("`{text}` is taken by a listener already"));
        }
        Some(address)
    }

    fn services(&mut self, raw: &RawConfig) -> Vec<Service> {
        let path = KeyPath::root().key("services");
        if raw.services.is_empty() {
            self.problems
                .error(&path, "there is no service")
                .suggest("add one with `name`, `upstream` and `routes`");
        }
        let mut services: Vec<Service> = Vec::new();
        let mut targets = 0;
        for (index, service) in raw.services.iter().enumerate() {
            let place = path.index(index);
            self.check_name(
                "service",
                &service.name,
                services.iter().map(|it| &*it.name),
                &place.key("name"),
            );
            let upstream =
                Upstream::compile(&service.upstream, self.folder, &place.key("upstream"), self.problems);
            if upstream.targets.iter().any(|target| target.secure) {
                self.needs.upstreams.push((place.key("upstream"), upstream.clone()));
            }
            let first_target = TargetId(targets);
            targets = targets.saturating_add(u32::try_from(upstream.targets.len()).unwrap_or(u32::MAX));
            services.push(Service { name: service.name.as_str().into(), upstream, first_target });
        }
        services
    }

    /// Names become labels, policy entities and log fields: what reads well there is allowed.
    fn check_name<'n>(
        &mut self,
        what: &str,
        name: &str,
        mut earlier: impl Iterator<Item = &'n str>,
        place: &KeyPath,
    ) {
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/');
        if name.is_empty() || name.len() > 128 || !name.bytes().all(is_plain) {
            self.problems
                .error(place, format!("`{name}` is not a name for a {what}"))
                .suggest("use letters, digits and `-_.:/`, at most 128 of them");
        }
        if earlier.any(|other| other == name) {
            self.problems
                .error(place, format!("there is another {what} named `{name}`"))
                .suggest("give each a name of its own");
        }
    }

    /// A policy that forbids by a header that never arrives would never forbid.
    fn refuse_removed_context(&mut self, raw: &RawConfig, fields: &FieldRules) {
        let path = KeyPath::root().key("authorization").key("context_headers");
        for (index, name) in raw.authorization.context_headers.iter().enumerate() {
            if let Some(name) = HeaderName::try_from(name).ok().filter(|name| fields.removes(name)) {
                self.problems
                    .error(
                        &path.index(index),
                        format!("`{name}` is removed from every request, so policies never see it"),
                    )
                    .suggest("choose another header");
            }
        }
    }

    fn plan(&mut self, draft: &RouteDraft<'_>, parts: &mut Parts<'_>) -> RoutePlan {
        let path = draft.path.key("policy");
        let policy = &draft.policy;
        let parameters = draft.template.iter().flat_map(|it| it.parameters().map(str::to_owned)).collect();
        RoutePlan {
            name: draft.raw.name.as_str().into(),
            service: draft.service,
            parameters,
            authenticate: Authenticate::compile(
                &policy.authenticate,
                parts.authentication,
                &path.key("authenticate"),
                self.problems,
            ),
            authorize: policy.authorize.mode,
            limits: self.route_limits(policy, parts, &path.key("limit")),
            quotas: self.route_quotas(policy, parts.quotas, &path.key("quota")),
            scan: self.scan(policy, parts.rulesets, &path.key("scan")),
            hardening: Hardening::compile(&policy.response, &path.key("response"), self.problems),
            forward: Forward::compile(
                &policy.forward,
                parts.largest_body,
                parts.internal_tokens,
                parts.authentication,
                &path.key("forward"),
                self.problems,
            ),
        }
    }

    /// Faults of what routes inherit are found with the routes, and told once; one that all of them replace counts here.
    fn unrouted(&mut self, policy: &RawPolicy) -> Hardening {
        let mut found = Problems::default();
        let place = KeyPath::root().key("policy").key("response");
        let hardening = Hardening::compile(&policy.response, &place, &mut found);
        let errors = found.iter().filter(|problem| problem.severity == Severity::Error);
        errors.for_each(|problem| self.problems.add(problem.clone()));
        hardening
    }

    fn route_limits(&mut self, policy: &RawPolicy, parts: &Parts<'_>, path: &KeyPath) -> RouteLimits {
        let limits = parts.limits;
        let mut compiled = RouteLimits {
            mode: policy.limit.mode,
            before: Vec::new(),
            after: Vec::new(),
            concurrent: Vec::new(),
        };
        for (index, name) in policy.limit.concurrency.iter().enumerate() {
            match parts.concurrency.by_name(name) {
                Some(id) => compiled.concurrent.push(id),
                None if self.faults.hides("concurrency") => {}
                None => {
                    let place = path.key("concurrency").index(index);
                    let problem = self
                        .problems
                        .error(&place, format!("there is no limit of concurrency named `{name}`"));
                    match nearest(name, parts.concurrency.names()) {
                        Some(known) => problem.suggest(format!("did you mean `{known}`?")),
                        None => problem.suggest("define it under `concurrency`"),
                    }
                }
            }
        }
        for (index, name) in policy.limit.apply.iter().enumerate() {
            let place = path.key("apply").index(index);
            let Some(id) = limits.by_name(name) else {
                let count = limits.names().count();
                if (0..count).any(|index| self.faults.hides(&format!("limits[{index}].name"))) {
                    continue;
                }
                let problem = self.problems.error(&place, format!("there is no limit named `{name}`"));
                match nearest(name, limits.names()) {
                    Some(known) => problem.suggest(format!("did you mean `{known}`?")),
                    None => problem.suggest("define it under `limits`"),
                }
                continue;
            };
            match limits.when(id) {
                Some(When::BeforeAuthentication) => compiled.before.push(id),
                _ => compiled.after.push(id),
            }
        }
        if policy.limit.mode == Mode::Shadow
            && policy.limit.apply.is_empty()
            && policy.limit.concurrency.is_empty()
        {
            self.problems
                .warning(&path.key("mode"), "`shadow` has no effect: no limit applies")
                .suggest("name limits in `apply`");
        }
        compiled
    }

    fn route_quotas(&mut self, policy: &RawPolicy, quotas: &Quotas, path: &KeyPath) -> RouteQuotas {
        let RawRouteQuotas { mode, apply } = &policy.quota;
        let mut compiled = RouteQuotas { mode: *mode, apply: Vec::new() };
        for (index, name) in apply.iter().enumerate() {
            let place = path.key("apply").index(index);
            match quotas.by_name(name) {
                Some(id) if compiled.apply.contains(&id) => {
                    let problem = self.problems.error(&place, format!("the quota `{name}` is named twice"));
                    problem.suggest("name it once");
                }
                Some(id) => compiled.apply.push(id),
                None if self.faults.hides("quotas") => {}
                None => {
                    let problem = self.problems.error(&place, format!("there is no quota named `{name}`"));
                    match nearest(name, quotas.names()) {
                        Some(known) => problem.suggest(format!("did you mean `{known}`?")),
                        None => problem.suggest("define it under `quotas`"),
                    }
                }
            }
        }
        if *mode == Mode::Shadow && apply.is_empty() {
            self.problems
                .warning(&path.key("mode"), "`shadow` has no effect: no quota applies")
                .suggest("name quotas in `apply`");
        }
        compiled
    }

    fn metrics(&self, drafts: &[RouteDraft<'_>], services: &[Service]) -> Metrics {
        let previous = self.previous.map(|previous| &*previous.metrics);
        let routes: Vec<(&str, &str)> =
            drafts.iter().map(|draft| (draft.raw.name.as_str(), draft.service_name)).collect();
        let targets: Vec<(String, String)> = services
            .iter()
            .flat_map(|service| {
                service.upstream.targets.iter().map(|it| (service.name.to_string(), it.to_string()))
            })
            .collect();
        let targets: Vec<(&str, &str)> =
            targets.iter().map(|(service, target)| (service.as_str(), target.as_str())).collect();
        Metrics::with_routes(&routes, previous).with_targets(&targets, previous)
    }
}
