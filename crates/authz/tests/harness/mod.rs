//! What the tests share: a configuration in a folder, and requests that need only name what matters.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use portcullis_authz::{Ask, Authorization, Decision, RawAuthorization, RouteInfo};
use portcullis_core::{
    ConfigFolder, Head, KeyPath, Peer, Principal, PrincipalKind, Problems, RouteId, Target, TargetRules,
    Timestamp,
};

/// Compiles `raw` with `files` beside the configuration.
pub(crate) fn compile(
    raw: &RawAuthorization,
    routes: &[RouteInfo],
    files: &[(&str, &str)],
) -> (Option<Authorization>, Problems) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut problems = Problems::default();
    let path = KeyPath::root().key("authorization");
    let compiled =
        Authorization::compile(raw, routes, &ConfigFolder::new(folder.path()), &path, &mut problems);
    assert_eq!(compiled.is_none(), problems.has_errors());
    (compiled, problems)
}

/// Compiles one file of policies that has no fault.
pub(crate) fn policies(raw: &RawAuthorization, routes: &[RouteInfo], text: &str) -> Authorization {
    let raw = RawAuthorization { policies: vec!["p.cedar".to_owned()], ..raw.clone() };
    let (compiled, problems) = compile(&raw, routes, &[("p.cedar", text)]);
    compiled.unwrap_or_else(|| panic!("{problems:#?}"))
}

pub(crate) fn route(name: &str, service: &str, parameters: &[&str]) -> RouteInfo {
    RouteInfo {
        name: name.to_owned(),
        service: service.to_owned(),
        parameters: parameters.iter().map(|&name| name.to_owned()).collect(),
        ..RouteInfo::default()
    }
}

pub(crate) fn user(subject: &str, roles: &[&str]) -> Principal {
    let mut principal = Principal::new(PrincipalKind::User, subject, "jwt");
    principal.issuer = Some("https://idp".to_owned());
    principal.roles = roles.iter().map(|&role| role.to_owned()).collect();
    principal
}

/// A request that can be asked again and again.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) route: u32,
    pub(crate) method: Method,
    pub(crate) host: String,
    pub(crate) target: Target,
    pub(crate) headers: HeaderMap,
    pub(crate) client: IpAddr,
    pub(crate) secure: bool,
    pub(crate) now: Timestamp,
    pub(crate) principal: Arc<Principal>,
    pub(crate) parameters: Vec<String>,
}

impl Sample {
    /// `GET /` over TLS on the first route, from 192.0.2.1, by nobody.
    pub(crate) fn new() -> Self {
        Self {
            route: 0,
            method: Method::GET,
            host: "api.example.com".to_owned(),
            target: Target::parse("/", &TargetRules::default()).unwrap(),
            headers: HeaderMap::new(),
            client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            secure: true,
            now: Timestamp::from_secs(1_750_000_000),
            principal: Arc::new(Principal::anonymous()),
            parameters: Vec::new(),
        }
    }

    pub(crate) fn by(mut self, principal: Principal) -> Self {
        self.principal = Arc::new(principal);
        self
    }

    pub(crate) fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    pub(crate) fn on(mut self, route: u32) -> Self {
        self.route = route;
        self
    }

    pub(crate) fn parameters(mut self, values: &[&str]) -> Self {
        self.parameters = values.iter().map(|&value| value.to_owned()).collect();
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &[u8]) -> Self {
        self.headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        self
    }

    pub(crate) fn head(&self) -> Head<'_> {
        Head {
            method: &self.method,
            host: &self.host,
            port: None,
            target: &self.target,
            headers: &self.headers,
            version: Version::HTTP_11,
            certificate: None,
            body: None,
            peer: Peer { socket: SocketAddr::new(self.client, 1), client: self.client, secure: self.secure },
            now: self.now,
        }
    }

    pub(crate) fn ask(&self, authorization: &Authorization) -> Decision {
        let parameters: Vec<Cow<'_, str>> =
            self.parameters.iter().map(|value| value.as_str().into()).collect();
        authorization.authorize(&Ask {
            route: RouteId(self.route),
            head: &self.head(),
            principal: &self.principal,
            parameters: &parameters,
        })
    }
}
