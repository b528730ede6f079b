//! A whole compiled configuration: what one request is judged by from its first byte to its last.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use portcullis_audit::AuditLog;
use portcullis_authn::internal_token::InternalTokens;
use portcullis_authn::{Authenticate, Authentication, Operators};
use portcullis_authz::Authorization;
use portcullis_core::{Mode, RouteId, ServiceId, Timestamp};
use portcullis_harden::Hardening;
use portcullis_limit::fields::LegacyFields;
use portcullis_limit::{Concurrency, LimitId, Limits, QuotaId, Quotas};
use portcullis_store::Store;
use portcullis_waf::stage::{Detail, KeptRulesets, Scan};

use crate::metrics::{Metrics, TargetId};
use crate::receive::Ingress;
use crate::router::Router;
use crate::settings::{Forward, Listener, Protocol, Upstream};

/// A whole compiled configuration. It never changes; a reload replaces it.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts reloads, from 1.
    pub generation: u64,
    /// Where clients are served.
    pub listeners: Vec<Listener>,
    /// Where operators are served.
    pub admin: Option<std::net::SocketAddr>,
    /// Who may use the admin API.
    pub operators: Operators,
    /// How many threads serve; `None` for one per processor core.
    pub workers: Option<usize>,
    /// How long requests under way may take once the gateway stops.
    pub drain_timeout: Duration,
    /// Limits of the protocol.
    pub protocol: Protocol,
    /// How requests get their one form.
    pub ingress: Ingress,
    /// From requests to routes.
    pub router: Router,
    /// All routes, indexed by [`RouteId`].
    pub routes: Vec<RoutePlan>,
    /// All services, indexed by [`ServiceId`].
    pub services: Vec<Service>,
    /// What is done to answers to requests that no route takes: what the policy of all says.
    pub unrouted: Hardening,
    /// Where state is kept that outlives the gateway.
    pub store: Store,
    /// Who callers are.
    pub authentication: Authentication,
    /// What services are told of them in tokens of our own.
    pub internal_tokens: Option<Arc<InternalTokens>>,
    /// What they may do.
    pub authorization: Authorization,
    /// How often.
    pub limits: Limits,
    /// In which fields callers are told so, beside the standard's.
    pub legacy_limit_fields: LegacyFields,
    /// How many at once.
    pub concurrency: Concurrency,
    /// How much in a month.
    pub quotas: Quotas,
    /// What the scanner loaded, for the configuration that follows.
    pub rulesets: KeptRulesets,
    /// The record.
    pub audit: Arc<AuditLog>,
    /// How much it says about what the scanner's rules matched.
    pub scan_detail: Detail,
    /// The counters.
    pub metrics: Arc<Metrics>,
}

/// A service behind the gateway.
#[derive(Debug)]
pub struct Service {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is.
    pub upstream: Upstream,
    /// The place of its first target in the metrics; the others follow.
    pub first_target: TargetId,
}

/// Everything about one route, compiled.
#[derive(Debug)]
pub struct RoutePlan {
    /// Its name, unique in the configuration.
    pub name: Arc<str>,
    /// Its service.
    pub service: ServiceId,
    /// Names of its path parameters, in order.
    pub parameters: Vec<String>,
    /// Who may call it.
    pub authenticate: Authenticate,
    /// Whether policies are asked.
    pub authorize: Mode,
    /// Which limits count its requests.
    pub limits: RouteLimits,
    /// Which quotas its requests use.
    pub quotas: RouteQuotas,
    /// How requests and answers are scanned.
    pub scan: Scan,
    /// What is done to answers.
    pub hardening: Hardening,
    /// How requests are handed on.
    pub forward: Forward,
}

/// The limits of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteLimits {
    /// What going over them does.
    pub mode: Mode,
    /// Counted before anyone is authenticated.
    pub before: Vec<LimitId>,
    /// Counted after authorization.
    pub after: Vec<LimitId>,
    /// How many may be under way at once.
    pub concurrent: Vec<LimitId>,
}

/// The quotas of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteQuotas {
    /// What going over them does.
    pub mode: Mode,
    /// Taken after authorization, when the limits let the request pass.
    pub apply: Vec<QuotaId>,
}

impl Snapshot {
    /// The plan of a route.
    ///
    /// The router only gives out ids of this snapshot's own routes, so there is always one.
    #[must_use]
    pub fn route(&self, id: RouteId) -> Option<&RoutePlan> {
        self.routes.get(id.index())
    }

    /// The service of a route.
    #[must_use]
    pub fn service_of(&self, route: &RoutePlan) -> Option<&Service> {
        self.services.get(route.service.index())
    }

    /// Whether every key set that must be fetched was fetched.
    #[must_use]
    pub fn is_ready(&self, now: Timestamp) -> bool {
        self.authentication.is_ready(now)
    }

    /// Removes from a request's trailers what may not reach a service by way of the header either.
    pub fn clean_trailers(&self, trailers: &mut HeaderMap) {
        let removed: Vec<_> =
            trailers.keys().filter(|name| self.ingress.fields.removes(name)).cloned().collect();
        for name in removed {
            trailers.remove(name);
        }
    }
}
