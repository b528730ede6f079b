//! What the gateway answers itself: where a login begins, where it comes back to, and how it ends.

use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, REFERRER_POLICY, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use portcullis_core::{Head, Principal, Reason, Secret, Timestamp};
use portcullis_oidc::Fetch;
use portcullis_oidc::client::{
    AuthorizationResponse, ProviderMetadata, Scopes, TokenClient, TokenClientError, form, random,
};
use portcullis_store::Act;

use super::session::{Session, SessionTokens, id_of};
use super::sessions::Ending;
use super::transaction::{Opened, is_ours};
use super::{LoginMethod, cookies};
use crate::fault::Fault;
use crate::replay::{Replay, digest_of};

/// The most content that an endpoint takes, in bytes.
pub const MOST_CONTENT: usize = 64 << 10;

/// One of our own endpoints.
#[derive(Debug, Clone)]
pub struct Endpoint {
    method: Arc<LoginMethod>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Begins a login.
    Start,
    /// Takes what the provider sends a person back with.
    Callback,
    /// Ends a session because the person wants it.
    Logout,
    /// Ends sessions because the provider says so.
    BackChannelLogout,
}

/// A request to one of our own endpoints.
#[derive(Debug)]
pub struct EndpointRequest<'r> {
    /// Its head.
    pub head: &'r Head<'r>,
    /// Its content.
    pub body: &'r [u8],
}

/// An answer of our own.
#[derive(Debug)]
pub struct EndpointAnswer {
    /// The status.
    pub status: StatusCode,
    /// The fields.
    pub headers: HeaderMap,
    /// The content.
    pub body: Bytes,
    /// Whoever is logged in by now, or was.
    pub principal: Option<Arc<Principal>>,
}

/// Why an endpoint refuses, for the client and for the record.
pub type EndpointRefusal = (Reason, &'static str);

impl Endpoint {
    pub(super) fn of(method: &Arc<LoginMethod>, rest: &str) -> Option<Self> {
        let kind = match rest {
            "/start" => Kind::Start,
            "/callback" => Kind::Callback,
            "/logout" => Kind::Logout,
            "/backchannel-logout" => Kind::BackChannelLogout,
            _ => return None,
        };
        Some(Self { method: Arc::clone(method), kind })
    }

    /// Whether it reads a body.
    #[must_use]
    pub fn reads_body(&self) -> bool {
        self.kind == Kind::BackChannelLogout
    }

    /// Answers a request.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn answer(
        &self,
        request: EndpointRequest<'_>,
        fetch: &dyn Fetch,
    ) -> Result<EndpointAnswer, EndpointRefusal> {
        let method = &self.method;
        let EndpointRequest { head, body } = request;
        let is_allowed = match self.kind {
            Kind::Start | Kind::Callback => head.method == Method::GET,
            Kind::Logout => head.method == Method::GET || head.method == Method::POST,
            Kind::BackChannelLogout => head.method == Method::POST,
        };
        if !is_allowed {
            return Err((Reason::MethodNotAllowed, "method"));
        }
        let answered = match self.kind {
            Kind::Start => method.start(head, fetch).await,
            Kind::Callback => method.callback(head, fetch).await,
            Kind::Logout => method.logout(head, fetch).await,
            Kind::BackChannelLogout => method.back_channel_logout(body, fetch, head.now).await,
        };
        answered.map_err(|fault| (fault.reason, fault.cause))
    }
}

impl EndpointAnswer {
    fn to(location: &str, cookies: impl IntoIterator<Item = String>) -> Result<Self, Fault> {
        let mut headers = HeaderMap::new();
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| Fault::login_failed("location"));
        headers.insert(LOCATION, value(location)?);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // The address of the callback holds a code.
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        for cookie in cookies {
            let mut cookie = value(&cookie)?;
            cookie.set_sensitive(true);
            headers.append(SET_COOKIE, cookie);
        }
        Ok(Self { status: StatusCode::SEE_OTHER, headers, body: Bytes::new(), principal: None })
    }

    /// Back-Channel Logout section 2.8.
    fn done() -> Self {
        let headers = HeaderMap::from_iter([
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (CONTENT_TYPE, HeaderValue::from_static("text/plain")),
        ]);
        Self { status: StatusCode::OK, headers, body: Bytes::new(), principal: None }
    }
}

const SEC_FETCH_SITE: HeaderName = super::SEC_FETCH_SITE;

impl LoginMethod {
    /// Begins a login on request: that is how people choose among several providers.
    async fn start(&self, head: &Head<'_>, fetch: &dyn Fetch) -> Result<EndpointAnswer, Fault> {
        let query = head.target.query().unwrap_or_default();
        let wanted = form::single(query, "return_to").map_err(|_| Fault::login_failed("return_to"))?;
        let return_to = wanted.as_deref().unwrap_or("/");
        if !is_ours(return_to) {
            return Err(Fault::login_failed("return_to"));
        }
        let provider =
            self.provider.metadata(fetch, head.now).await.map_err(|_| Fault::ISSUER_UNAVAILABLE)?;
        let begun = self.begin(&provider, return_to, head.now).map_err(|_| Fault::ISSUER_UNAVAILABLE)?;
        EndpointAnswer::to(&begun.location, [begun.cookie.expose().to_owned()])
    }

    /// Takes what the provider sends a person back with. Nothing is asked of anybody before it is clear that this browser began
    /// this login, a short while ago, and has not come back with it before.
    async fn callback(&self, head: &Head<'_>, fetch: &dyn Fetch) -> Result<EndpointAnswer, Fault> {
        let query = head.target.query().unwrap_or_default();
        let response = AuthorizationResponse::parse(query).map_err(|_| Fault::login_failed("response"))?;
        let cookie = self.transaction_cookie(&response.state);
        let opened = self.opened(head, &cookie, &response.state)?;
        if response.outcome.is_ok() {
            // A refusal may be told again and again: it takes nothing and gives nothing.
            self.take_once(&opened, head.now)?;
        }
        let provider =
            self.provider.metadata(fetch, head.now).await.map_err(|_| Fault::ISSUER_UNAVAILABLE)?;
        response.check_issuer(&provider).map_err(|_| Fault::login_failed("other_issuer"))?;
        let code = response.outcome.map_err(|_| Fault::login_failed("provider_refused"))?;
        let (principal, tokens) = self.exchange(&provider, &code, &opened, fetch, head.now).await?;
        let value = random::token().map_err(|_| Fault::ISSUER_UNAVAILABLE)?;
        let id = id_of(&value).ok_or(Fault::login_failed("session"))?;
        let ends = head.now.plus(self.lifetimes.absolute);
        let times = (head.now, head.now.plus(self.lifetimes.idle), ends);
        let act = self.act(&principal.id, head.now);
        let session = Session::new(id, principal, tokens, times, 1);
        let principal = Arc::clone(&session.principal);
        self.end_earlier(head, &act).await?;
        self.sessions.insert(session, &act).await.map_err(|_| Fault::STORE_UNAVAILABLE)?;
        let set = cookies::set(&self.session_cookie, &value, Some(self.lifetimes.absolute));
        let answer = EndpointAnswer::to(&opened.return_to, [set, cookies::forget(&cookie)])?;
        Ok(EndpointAnswer { principal: Some(principal), ..answer })
    }

    /// The login that this browser began with this `state`.
    fn opened(&self, head: &Head<'_>, cookie: &str, state: &str) -> Result<Opened, Fault> {
        let sealed = cookies::single(head.headers, cookie)?.ok_or(Fault::login_failed("no_transaction"))?;
        let text = self.transactions.open(cookie.as_bytes(), sealed);
        let opened =
            text.and_then(|text| Opened::from_json(&text)).ok_or(Fault::login_failed("transaction"))?;
        if opened.transaction.state != state {
            return Err(Fault::login_failed("state"));
        }
        if head.now >= opened.ends() {
            return Err(Fault::login_failed("transaction_expired"));
        }
        Ok(opened)
    }

    /// From now on this login has come back.
    fn take_once(&self, opened: &Opened, now: Timestamp) -> Result<(), Fault> {
        let hash = digest::digest(&digest::SHA256, opened.transaction.state.as_bytes());
        self.used.take(digest_of(hash.as_ref()), opened.ends(), now).map_err(of_login)
    }

    async fn exchange(
        &self,
        provider: &ProviderMetadata,
        code: &Secret,
        opened: &Opened,
        fetch: &dyn Fetch,
        now: Timestamp,
    ) -> Result<(Principal, SessionTokens), Fault> {
        let client = TokenClient { provider, client: &self.client, fetch };
        let tokens = client.exchange_code(code, &self.redirect_uri(), &opened.transaction, now).await;
        let tokens = tokens.map_err(|error| refused(&error, "code"))?;
        let id = tokens.id.clone().ok_or(Fault::login_failed("no_id_token"))?;
        let nonce = opened.transaction.nonce.as_str();
        let mut principal = self.verify_id_token(&id, Some(nonce), &tokens.access, fetch, now).await?;
        if self.userinfo {
            let more = client.userinfo(&tokens.access, &principal.id).await;
            let more = more.map_err(|error| refused(&error, "userinfo"))?;
            // What is signed stands.
            for (name, value) in more {
                principal.claims.entry(name).or_insert(value);
            }
            principal.roles = self.id_tokens.roles(&principal.claims);
        }
        principal.scopes = granted(&self.scopes, tokens.scopes.as_ref());
        let tokens = SessionTokens::of(tokens, None, now).ok_or(Fault::login_failed("no_id_token"))?;
        Ok((principal, tokens))
    }

    /// A browser that logs in anew has a new session, and its old one is no more.
    async fn end_earlier(&self, head: &Head<'_>, act: &Act) -> Result<(), Fault> {
        let earlier = cookies::single(head.headers, &self.session_cookie).ok().flatten().and_then(id_of);
        if let Some(id) = earlier {
            let ended = self.sessions.end(&id, "replaced", act).await;
            ended.map_err(|_| Fault::STORE_UNAVAILABLE)?;
        }
        Ok(())
    }

    /// Ends the session here and, through the browser, at the provider (RP-Initiated Logout).
    async fn logout(&self, head: &Head<'_>, fetch: &dyn Fetch) -> Result<EndpointAnswer, Fault> {
        let site = head.headers.get(SEC_FETCH_SITE).and_then(|site| site.to_str().ok());
        // Links of our own pages, typed addresses, and browsers that say nothing; not what other pages have a browser do.
        let is_wanted = match *head.method {
            Method::POST => self.is_same_site(head),
            _ => matches!(site, None | Some("same-origin" | "none")),
        };
        if !is_wanted {
            return Err(Fault::CROSS_SITE);
        }
        let cookie = &self.session_cookie;
        let id = cookies::single(head.headers, cookie)?.and_then(id_of);
        let session = match &id {
            Some(id) => self.sessions.read(id, head.now).await,
            None => None,
        };
        if id.is_some() && session.is_none() && self.sessions.is_away(head.now) {
            // Whoever is told that it is over must be able to believe it.
            return Err(Fault::STORE_UNAVAILABLE);
        }
        let after = if self.after_logout.starts_with('/') {
            format!("{}{}", self.origin.text, self.after_logout)
        } else {
            self.after_logout.clone()
        };
        let mut location = after.clone();
        if let Some(session) = &session {
            let act = self.act(&session.principal.id, head.now);
            let ended = self.sessions.end(&session.id, "logout", &act).await;
            ended.map_err(|_| Fault::STORE_UNAVAILABLE)?;
            if let Ok(provider) = self.provider.metadata(fetch, head.now).await {
                self.withdraw(&provider, session, fetch, head.now).await;
                location =
                    provider.end_session_url(&self.client.id, &session.tokens.id, &after).unwrap_or(after);
            }
        }
        let answer = EndpointAnswer::to(&location, [cookies::forget(cookie)])?;
        Ok(EndpointAnswer { principal: session.map(|session| Arc::clone(&session.principal)), ..answer })
    }

    /// Tells the provider that a refresh token is of no more use (RFC 7009). If it does not hear it, the token ends by itself.
    async fn withdraw(
        &self,
        provider: &ProviderMetadata,
        session: &Session,
        fetch: &dyn Fetch,
        now: Timestamp,
    ) {
        if let Some(token) = &session.tokens.refresh {
            let client = TokenClient { provider, client: &self.client, fetch };
            let _: Result<(), TokenClientError> = client.revoke(token, now).await;
        }
    }

    /// Ends what the provider says has ended (Back-Channel Logout).
    async fn back_channel_logout(
        &self,
        body: &[u8],
        fetch: &dyn Fetch,
        now: Timestamp,
    ) -> Result<EndpointAnswer, Fault> {
        let text = std::str::from_utf8(body).map_err(|_| Fault::login_failed("logout_token"))?;
        let token = form::single(text, "logout_token").ok().flatten();
        let token = token.ok_or(Fault::login_failed("logout_token"))?;
        let (principal, sid) = self.verify_logout_token(&token, fetch, now).await?;
        let token = digest_of(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        let ends = principal.expires.unwrap_or(now).max(now);
        self.logout_tokens.take(token, ends, now).map_err(of_login)?;
        let act = Act { actor: self.issuer.clone(), origin: "login", now };
        let ending = sid.as_deref().map_or(Ending::Subject(&principal.id), Ending::Sid);
        if self.sessions.end_all(ending, &act).await.is_err() {
            // The provider says it again.
            self.logout_tokens.give_back(token);
            return Err(Fault::STORE_UNAVAILABLE);
        }
        Ok(EndpointAnswer { principal: Some(Arc::new(principal)), ..EndpointAnswer::done() })
    }

    /// New tokens for a session, once for all who need them, here and in other gateways.
    pub(super) async fn refresh(&self, session: &Arc<Session>, fetch: &dyn Fetch, now: Timestamp) {
        self.sessions
            .flights()
            .in_turn(session.id.clone(), async {
                let is_as_it_was = match self.sessions.find(&session.id, now) {
                    Some(crate::known::Known::Record(known)) => known.version == session.version,
                    _ => false,
                };
                if is_as_it_was && session.wants_refresh(now) {
                    self.renew(session, fetch, now).await;
                }
            })
            .await;
    }

    async fn renew(&self, session: &Arc<Session>, fetch: &dyn Fetch, now: Timestamp) {
        // Whatever comes of it, nobody tries again at once.
        session.put_off(now);
        if self.sessions.reserve(session, now).await.is_err() {
            // Another gateway is at it, or has done it.
            if let Some(read) = self.sessions.read(&session.id, now).await {
                read.put_off(now);
            }
            return;
        }
        let act = self.act(&session.principal.id, now);
        match self.renewed(session, fetch, now).await {
            Ok(renewed) => {
                let _: Result<(), _> = self.sessions.renew(renewed, &act).await;
            }
            Err(fault) if fault.reason == Reason::LoginFailed => {
                let _: Result<bool, _> = self.sessions.end(&session.id, "not_renewed", &act).await;
            }
            Err(_) => {
                let _: Result<(), _> = self.sessions.release(session).await;
            }
        }
    }

    async fn renewed(&self, session: &Session, fetch: &dyn Fetch, now: Timestamp) -> Result<Session, Fault> {
        let token = session.tokens.refresh.as_ref().ok_or(Fault::login_failed("no_refresh_token"))?;
        let provider = self.provider.metadata(fetch, now).await.map_err(|_| Fault::ISSUER_UNAVAILABLE)?;
        let client = TokenClient { provider: &provider, client: &self.client, fetch };
        let tokens = client.refresh(token, now).await.map_err(|error| not_renewed(&error))?;
        let mut principal = session.principal.renewed();
        if let Some(id) = &tokens.id {
            // OpenID Connect Core section 12.2.
            let mut fresh = self.verify_id_token(id, None, &tokens.access, fetch, now).await?;
            if fresh.id != principal.id {
                return Err(Fault::login_failed("subject"));
            }
            // The login stays when and what it was: what is revoked because it began too early stays revoked.
            fresh.claims.retain(|name, _| !matches!(name.as_str(), "iat" | "jti"));
            principal.claims.extend(fresh.claims);
            principal.roles = self.id_tokens.roles(&principal.claims);
        }
        principal.scopes = tokens.scopes.as_ref().map_or(principal.scopes, |scopes| granted(scopes, None));
        let tokens = SessionTokens::of(tokens, Some(&session.tokens), now);
        let tokens = tokens.ok_or(Fault::login_failed("no_id_token"))?;
        let idle = Timestamp(session.idle_until.load(std::sync::atomic::Ordering::Relaxed));
        let times = (session.created, idle, session.ends);
        Ok(Session::new(session.id.clone(), principal, tokens, times, session.version.saturating_add(1)))
    }

    fn act(&self, subject: &str, now: Timestamp) -> Act {
        Act { actor: subject.to_owned(), origin: "login", now }
    }
}

/// The scopes that were given: those that were asked for, if the provider says nothing else (RFC 6749 section 5.1).
fn granted(asked: &Scopes, given: Option<&Scopes>) -> Vec<String> {
    given.unwrap_or(asked).iter().map(str::to_owned).collect()
}

/// Why what comes to a login is not taken.
fn of_login(replay: Replay) -> Fault {
    match replay {
        Replay::Seen => Fault::login_failed("replayed"),
        Replay::Full => Fault::of_signature(Replay::Full),
    }
}

/// Why there are no new tokens. That the grant is over (RFC 6749 section 5.2) ends the session, and nothing else: a provider that is
/// out of order, or does not know the gateway any more, does not log people out.
fn not_renewed(error: &TokenClientError) -> Fault {
    match error {
        TokenClientError::Refused { error, .. } if error == "invalid_grant" => {
            Fault::login_failed("refresh_token")
        }
        _ => Fault::ISSUER_UNAVAILABLE,
    }
}

/// The provider's refusal, or its absence.
fn refused(error: &TokenClientError, what: &'static str) -> Fault {
    if error.is_final() { Fault::login_failed(what) } else { Fault::ISSUER_UNAVAILABLE }
}
