//! An issuer, a configuration that trusts it, and requests.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use portcullis_core::{
    ConfigFolder, Head, KeyPath, Notes, Peer, Principal, Problems, Reason, RequestId, Target, TargetRules,
    Timestamp,
};
use portcullis_oidc::Algorithm;
use portcullis_store::Store;
use serde_json::{Map, Value, json};

use crate::mint::SigningKey;
use crate::{Authenticate, Authentication, Refusal};

/// The present, in seconds, unless a test says otherwise.
pub(super) const NOW: u64 = 1_800_000_000;

pub(super) const ISSUER: &str = "https://login.example.com/";

/// The issuer's keys are made once for all tests: RSA keys take their time.
pub(super) static RSA: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::Rs256).unwrap());
pub(super) static EC: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::Es256).unwrap());

/// Claims that are right in every way.
pub(super) fn claims() -> Map<String, Value> {
    let claims = json!({
        "iss": ISSUER, "aud": "orders", "sub": "alice",
        "iat": NOW - 60, "nbf": NOW - 60, "exp": NOW + 300,
        "scope": "read write", "roles": ["clerk"],
    });
    claims.as_object().unwrap().clone()
}

/// [`claims`] with some of them replaced; `null` removes one.
pub(super) fn claims_with(changes: Value) -> Map<String, Value> {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap().clone() {
        claims.insert(name, value);
    }
    claims.retain(|_, value| !value.is_null());
    claims
}

/// A configuration and the folder of its files.
pub(super) struct Gateway {
    pub(super) authentication: Authentication,
    folder: tempfile::TempDir,
}

impl Gateway {
    /// Compiles `raw`, with these files beside it. Warnings are fine.
    pub(super) fn new(raw: Value, files: &[(&str, &str)]) -> Self {
        let (authentication, folder, problems) = compile(raw, files);
        assert!(!problems.has_errors(), "{problems:?}");
        Self { authentication, folder }
    }

    /// Compiles the configuration that follows on this one.
    pub(super) fn reload(self, raw: Value) -> Self {
        let mut problems = Problems::default();
        let authentication = Authentication::compile(
            &serde_json::from_value(raw).unwrap(),
            &Store::default(),
            &ConfigFolder::new(self.folder.path()),
            &KeyPath::root(),
            &mut problems,
            Some(&self.authentication),
        );
        assert!(!problems.has_errors(), "{problems:?}");
        Self { authentication, folder: self.folder }
    }

    pub(super) fn route(&self, raw: Value) -> Authenticate {
        let (plan, problems) = self.try_route(raw);
        assert!(problems.is_empty(), "{problems:?}");
        plan
    }

    pub(super) fn try_route(&self, raw: Value) -> (Authenticate, Problems) {
        let mut problems = Problems::default();
        let raw = serde_json::from_value(raw).unwrap();
        let plan = Authenticate::compile(&raw, &self.authentication, &KeyPath::root(), &mut problems);
        (plan, problems)
    }

    /// The principal, or the reason and the cause of the refusal.
    pub(super) fn ask(&self, plan: &Authenticate, request: &Request) -> Result<Arc<Principal>, Refused> {
        let mut notes = request.notes();
        self.authentication
            .authenticate(plan, "orders", &request.head(), &mut notes)
            .map_err(|refusal| Refused { refusal, cause: notes.credential_fault })
    }
}

/// Compiles `raw` for better or worse.
pub(super) fn compile(raw: Value, files: &[(&str, &str)]) -> (Authentication, tempfile::TempDir, Problems) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut problems = Problems::default();
    let authentication = Authentication::compile(
        &serde_json::from_value(raw).unwrap(),
        &Store::default(),
        &ConfigFolder::new(folder.path()),
        &KeyPath::root(),
        &mut problems,
        None,
    );
    (authentication, folder, problems)
}

/// A JWT method `main` that trusts [`RSA`] for `orders`, with some keys replaced.
pub(super) fn method_with(changes: Value) -> Value {
    let mut method = json!({
        "name": "main", "issuer": ISSUER, "audiences": ["orders"],
        "algorithms": ["RS256"], "keys": { "pem": "rsa.pem" },
    });
    method.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    method
}

/// A gateway with the method of [`method_with`], and a route that asks for it.
pub(super) fn gateway_with(changes: Value) -> (Gateway, Authenticate) {
    gateway_of(json!({ "jwt": [method_with(changes)] }))
}

/// A gateway of this configuration, and a route that asks for `main`.
pub(super) fn gateway_of(raw: Value) -> (Gateway, Authenticate) {
    let (rsa, ec) = (RSA.public_pem().unwrap(), EC.public_pem().unwrap());
    let gateway = Gateway::new(raw, &[("rsa.pem", &rsa), ("ec.pem", &ec)]);
    let plan = gateway.route(json!({ "methods": ["main"] }));
    (gateway, plan)
}

#[derive(Debug)]
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    pub(super) cause: Option<&'static str>,
}

impl Refused {
    pub(super) fn reason(&self) -> Reason {
        self.refusal.reason()
    }
}

/// A request that owns what its head borrows.
pub(super) struct Request {
    method: Method,
    host: &'static str,
    target: Target,
    headers: HeaderMap,
    body: Option<String>,
    now: Timestamp,
}

impl Request {
    pub(super) fn to(target: &str) -> Self {
        let target = Target::parse(target, &TargetRules::default()).unwrap();
        Self {
            method: Method::GET,
            host: "api.example.com",
            target,
            headers: HeaderMap::new(),
            body: None,
            now: Timestamp::from_secs(NOW),
        }
    }

    /// A POST to this host.
    pub(super) fn post(host: &'static str, target: &str) -> Self {
        Self { method: Method::POST, host, ..Self::to(target) }
    }

    /// With a token after `Bearer`.
    pub(super) fn bearer(token: &str) -> Self {
        Self::to("/orders").header("authorization", format!("Bearer {token}").as_bytes())
    }

    pub(super) fn header(mut self, name: &str, value: &[u8]) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers.append(name, HeaderValue::from_bytes(value).unwrap());
        self
    }

    /// With another value for a header that it has.
    pub(super) fn replacing(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.remove(name);
        self.header(name, value)
    }

    /// With its body at hand.
    pub(super) fn body(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self
    }

    pub(super) fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    pub(super) fn at_seconds(self, seconds: u64) -> Self {
        self.at(Timestamp::from_secs(seconds))
    }

    pub(super) fn notes(&self) -> Notes {
        Notes::new(RequestId(1), self.now)
    }

    pub(super) fn head(&self) -> Head<'_> {
        let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Head {
            method: &self.method,
            host: self.host,
            port: None,
            target: &self.target,
            headers: &self.headers,
            version: Version::HTTP_11,
            certificate: None,
            body: self.body.as_deref().map(str::as_bytes),
            peer: Peer { socket: SocketAddr::new(client, 4000), client, secure: true },
            now: self.now,
        }
    }
}
