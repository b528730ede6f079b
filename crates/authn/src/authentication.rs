//! From a request to the principal behind it.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use portcullis_core::{
    ClientCertificate, ConfigFolder, Head, KeyPath, KeyedHash, Mode, Notes, Principal, PrincipalKind,
    Problems, Reason, Timestamp,
};
use portcullis_oidc::KeySource;
use portcullis_store::Store;

use crate::api_key::StoredKeys;
use crate::binding;
use crate::cache::CredentialCache;
use crate::dpop::Dpop;
use crate::fault::{Failure, Fault};
use crate::login::{Endpoint, LoginMethod, Sessions};
use crate::method::{Compiling, Method, Methods, Step};
use crate::replay::ReplayTable;
use crate::revocation::Revocations;
use crate::token_exchange::{ExchangedToken, RawExchangedToken, TokenExchanges, compile_all};
use crate::{Authenticate, RawAuthentication, Refusal};

/// All methods of a configuration, the keys behind them, and the credentials that were verified under it.
#[derive(Debug)]
pub struct Authentication {
    realm: String,
    methods: Methods,
    sources: Vec<Arc<KeySource>>,
    replays: Vec<(String, Arc<ReplayTable>)>,
    stored_keys: Vec<Arc<StoredKeys>>,
    /// The methods by which people log in: none, for most gateways.
    logins: Vec<Arc<LoginMethod>>,
    revocations: Option<Arc<Revocations>>,
    cache: CredentialCache,
    dpop: Option<Dpop>,
    exchanges: TokenExchanges,
    anonymous: Arc<Principal>,
}

impl Authentication {
    /// Checks what is written. Keys that `previous` fetched from a URL that did not change are kept, and which signatures
    /// it has taken; nothing else of it is, verified credentials least of all.
    #[must_use]
    pub fn compile(
        raw: &RawAuthentication,
        store: &Store,
        folder: &ConfigFolder,
        path: &KeyPath,
        problems: &mut Problems,
        previous: Option<&Self>,
    ) -> Self {
        check_realm(&raw.realm, &path.key("realm"), problems);
        let cache = compile_cache(raw.cache.max_entries, &path.key("cache"), problems);
        let mut compiling = Compiling {
            folder,
            problems,
            previous: previous.map_or(&[][..], |previous| &previous.sources),
            sources: Vec::new(),
            previous_replays: previous.map_or(&[][..], |previous| &previous.replays),
            store,
            stored_keys: Vec::new(),
            replays: Vec::new(),
        };
        let methods = Methods::compile(raw, path, &mut compiling);
        let dpop = raw.dpop.as_ref().map(|raw| Dpop::compile(raw, &path.key("dpop"), &mut compiling));
        let exchanges = compile_all(&raw.token_exchange, &path.key("token_exchange"), &mut compiling);
        Self {
            realm: raw.realm.clone(),
            exchanges,
            logins: methods.logins().map(Arc::clone).collect(),
            methods,
            sources: compiling.sources,
            replays: compiling.replays,
            stored_keys: compiling.stored_keys,
            revocations: store.database.as_ref().map(|database| {
                Revocations::of(database, previous.and_then(|previous| previous.revocations.as_ref()))
            }),
            cache,
            dpop,
            anonymous: Arc::new(Principal::anonymous()),
        }
    }

    /// Who sends this request, if its route, of this name, lets them.
    ///
    /// The principal and the cause of a refusal go into `notes`.
    ///
    /// # Errors
    /// [`Refusal::Denied`] without a valid credential or with too few scopes; [`Refusal::Needs`] if
    /// something must be fetched first, and [`Refusal::NeedsBody`] if that is the body.
    pub fn authenticate(
        &self,
        plan: &Authenticate,
        route: &str,
        head: &Head<'_>,
        notes: &mut Notes,
    ) -> Result<Arc<Principal>, Refusal> {
        let principal = match self.identify(plan, route, head) {
            Ok(principal) => principal,
            Err(Failure::Needs(need)) => return Err(Refusal::Needs(need)),
            Err(Failure::NeedsBody) => return Err(Refusal::NeedsBody),
            Err(Failure::Fault(fault)) => {
                notes.credential_fault = Some(fault.cause);
                return Err(self.send_to_login(plan, fault, head, notes));
            }
        };
        if plan.requires_bound_tokens() && plan.mode() != Mode::Off && is_unbound_token(&principal) {
            notes.credential_fault = Some("not_bound");
            return Err(Refusal::Denied(Reason::InvalidToken));
        }
        notes.principal = Some(Arc::clone(&principal));
        if plan.mode() != Mode::Off
            && let Some(missing) = plan.scopes().missing(&principal)
        {
            notes.challenge = Some(Arc::new(missing));
            return Err(Refusal::Denied(Reason::InsufficientScope));
        }
        if plan.mode() != Mode::Off
            && let Some(missing) = plan.step_up().and_then(|wanted| wanted.missing(&principal, head.now))
        {
            notes.challenge = Some(Arc::new(missing));
            return Err(Refusal::Denied(Reason::StepUpRequired));
        }
        Ok(principal)
    }

    /// Where somebody must be logged in and people can, browsers are sent to do it.
    fn send_to_login(
        &self,
        plan: &Authenticate,
        fault: Fault,
        head: &Head<'_>,
        notes: &mut Notes,
    ) -> Refusal {
        let login = plan
            .login()
            .filter(|_| matches!(fault.reason, Reason::CredentialMissing | Reason::LoginRequired));
        let Some(login) = login else { return Refusal::Denied(fault.reason) };
        match login.redirect(head) {
            Ok(redirect) => {
                notes.redirect = redirect.map(Box::new);
                Refusal::Denied(Reason::LoginRequired)
            }
            Err(Failure::Needs(need)) => Refusal::Needs(need),
            Err(Failure::NeedsBody) => Refusal::NeedsBody,
            Err(Failure::Fault(fault)) => {
                notes.credential_fault = Some(fault.cause);
                Refusal::Denied(fault.reason)
            }
        }
    }

    /// Which of the gateway's own endpoints a request is for.
    #[must_use]
    pub fn endpoint(&self, head: &Head<'_>) -> Option<Endpoint> {
        self.logins.iter().find_map(|login| login.endpoint(head.host, head.target.path()))
    }

    /// Whether people log in anywhere: then cookies of ours are taken out of what services get.
    #[must_use]
    pub fn has_logins(&self) -> bool {
        !self.logins.is_empty()
    }

    /// Whether a cookie of this name is ours, and for no service.
    #[must_use]
    pub fn owns_cookie(&self, name: &str) -> bool {
        self.logins.iter().any(|login| login.owns_cookie(name))
    }

    /// The sessions of people who are logged in, by method: to be followed.
    pub fn sessions(&self) -> impl Iterator<Item = &Sessions> {
        self.logins.iter().map(|login| login.sessions())
    }

    /// The one principal of all who show no credential.
    #[must_use]
    pub fn anonymous(&self) -> &Arc<Principal> {
        &self.anonymous
    }

    /// The key sources that fetch from a URL: to refresh in the background.
    #[must_use]
    pub fn key_sources(&self) -> &[Arc<KeySource>] {
        &self.sources
    }

    /// The keys in the database: to follow what is changed of them.
    #[must_use]
    pub fn stored_keys(&self) -> &[Arc<StoredKeys>] {
        &self.stored_keys
    }

    /// Which tokens are refused before they end: to be read before requests are served, and followed. None without a
    /// database.
    #[must_use]
    pub const fn revocations(&self) -> Option<&Arc<Revocations>> {
        self.revocations.as_ref()
    }

    /// Whether every key source has keys: what a readiness probe asks.
    #[must_use]
    pub fn is_ready(&self, now: Timestamp) -> bool {
        self.sources.iter().all(|source| source.is_ready(now))
    }

    /// A nonce for a caller whose proof of possession must hold one (`DPoP-Nonce`).
    #[must_use]
    pub fn dpop_nonce(&self, reason: Reason, now: Timestamp) -> Option<String> {
        self.dpop.as_ref().filter(|_| reason == Reason::UseDpopNonce).and_then(|dpop| dpop.nonce(now))
    }

    /// Checks what is written about the token that a service gets for that of the caller.
    #[must_use]
    pub fn exchanged_token(
        &self,
        raw: &RawExchangedToken,
        path: &KeyPath,
        problems: &mut Problems,
    ) -> Option<ExchangedToken> {
        ExchangedToken::compile(raw, &self.exchanges, path, problems)
    }

    /// The token by which this principal came to be known in this request: what it showed, or that of its login. None for those
    /// who have shown something else.
    #[must_use]
    pub fn token_of<'r>(&self, principal: &'r Principal, head: &Head<'r>) -> Option<&'r str> {
        if let Some(token) = &principal.access_token {
            return Some(token.expose());
        }
        let header = match self.methods.find(&principal.method).ok()?? {
            Method::Jwt(method) => method.header(),
            Method::Introspection(method) => method.header(),
            _ => return None,
        };
        std::str::from_utf8(header.token(head).ok()??.text).ok()
    }

    pub(crate) const fn dpop(&self) -> Option<&Dpop> {
        self.dpop.as_ref()
    }

    pub(crate) fn methods(&self) -> &Methods {
        &self.methods
    }

    pub(crate) fn realm(&self) -> &str {
        &self.realm
    }

    /// The first credential that is present decides.
    fn identify(&self, plan: &Authenticate, route: &str, head: &Head<'_>) -> Result<Arc<Principal>, Failure> {
        if plan.mode() == Mode::Off {
            return Ok(Arc::clone(&self.anonymous));
        }
        if plan.requires_certificate() && current_certificate(head)?.is_none() {
            return Err(Fault::NO_CERTIFICATE.into());
        }
        for step in &plan.steps {
            let found = match step {
                Step::Jwt(jwt) => {
                    self.unrevoked(jwt.authenticate(head, &self.cache, self.dpop())?, head.now)?
                }
                Step::ApiKeys(keys) => keys.authenticate(head, route)?,
                Step::Certificates(certificates) => certificates.authenticate(head)?,
                Step::Introspection(introspection) => {
                    self.unrevoked(introspection.authenticate(head, self.dpop())?, head.now)?
                }
                Step::Webhook(webhook) => webhook.authenticate(head)?,
                Step::MessageSignature(signatures) => signatures.authenticate(head)?,
                Step::Login(login) => self.unrevoked(login.authenticate(head)?, head.now)?,
            };
            if let Some(principal) = found {
                return Ok(principal);
            }
        }
        // Someone tried to say who they are, in a way that is not understood here.
        if plan.reads_authorization() && head.headers.contains_key(AUTHORIZATION) {
            return Err(Fault::token("scheme").into());
        }
        if plan.anonymous {
            return Ok(Arc::clone(&self.anonymous));
        }
        Err(Fault::MISSING.into())
    }

    /// What a token says, unless it is revoked. Those whose signature was verified before are looked at as well.
    fn unrevoked(
        &self,
        found: Option<Arc<Principal>>,
        now: Timestamp,
    ) -> Result<Option<Arc<Principal>>, Fault> {
        if let (Some(principal), Some(revocations)) = (&found, &self.revocations) {
            revocations.check(principal, now)?;
        }
        Ok(found)
    }
}

/// Whoever comes with a token that anybody could use.
fn is_unbound_token(principal: &Principal) -> bool {
    principal.kind == PrincipalKind::User && !binding::is_bound(principal)
}

/// The certificate of the connection. It may have ended since the connection was made.
pub(crate) fn current_certificate<'r>(head: &Head<'r>) -> Result<Option<&'r Arc<ClientCertificate>>, Fault> {
    let Some(certificate) = head.certificate else { return Ok(None) };
    match &certificate.details {
        Ok(details) if head.now >= details.not_after => Err(Fault::certificate("certificate_expired")),
        _ => Ok(Some(certificate)),
    }
}

/// The realm is a quoted string in a header.
fn check_realm(realm: &str, path: &KeyPath, problems: &mut Problems) {
    let quotable = |byte: u8| (byte == b' ' || byte.is_ascii_graphic()) && byte != b'"' && byte != b'\\';
    if realm.is_empty() || !realm.bytes().all(quotable) {
        problems
            .error(path, "the realm is empty or has characters that cannot stand in a header")
            .suggest("write letters, digits and spaces, for example `Example API`");
    }
}

fn compile_cache(max_entries: usize, path: &KeyPath, problems: &mut Problems) -> CredentialCache {
    const MOST: usize = 10_000_000;
    let place = path.key("max_entries");
    if max_entries > MOST {
        problems
            .error(&place, format!("{max_entries} is more than {MOST}"))
            .suggest("leave it out for 100000");
        return CredentialCache::off();
    }
    match KeyedHash::random() {
        Ok(hash) => CredentialCache::new(max_entries, hash),
        Err(error) => {
            problems
                .error(&place, format!("the operating system has no randomness to give: {error}"))
                .suggest("start again when it has");
            CredentialCache::off()
        }
    }
}
