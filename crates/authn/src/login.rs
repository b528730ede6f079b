//! People log in at a provider (OpenID Connect Core), and stay logged in with a session of the gateway.
//!
//! A browser without a session is sent to the provider with everything that protects a login: PKCE, `state`, `nonce`, the exact
//! redirect URI, and a cookie that ties what comes back to this browser (RFC 9700). What comes back is answered by the gateway itself
//! (`endpoint.rs`). The session stands in the database, sealed; the browser has its name alone, in a `__Host-` cookie.

mod compile;
mod cookies;
mod endpoint;
mod id_token;
mod raw;
mod seal;
mod session;
mod sessions;
mod transaction;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, ORIGIN, SEC_WEBSOCKET_KEY};
use http::{HeaderName, Method};
use portcullis_core::{Head, Principal, Redirect, Secret, Timestamp};
use portcullis_oidc::Fetch;
use portcullis_oidc::client::{AuthorizationRequest, Client, ProviderMetadata, Scopes, TokenClientError};

pub use cookies::remove as remove_cookies;
pub use endpoint::{Endpoint, EndpointAnswer, EndpointRefusal, EndpointRequest, MOST_CONTENT};
pub use raw::{RawLogin, RawSession};
pub use session::SessionSummary;
pub use sessions::{Sessions, TOPIC};

use crate::fault::{Failure, Fault, Need};
use crate::jwt::JwtMethod;
use crate::known::Known;
use crate::provider::Provider;
use crate::replay::ReplayTable;
use seal::Seal;
use session::Session;
use transaction::Opened;

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// How long a person may take to log in.
const LOGIN_WITHIN: Duration = Duration::from_secs(600);

/// A provider at which people log in.
pub struct LoginMethod {
    name: String,
    issuer: String,
    origin: Origin,
    /// The path under which our own endpoints are.
    path: String,
    client: Client,
    provider: Provider,
    id_tokens: JwtMethod,
    scopes: Scopes,
    userinfo: bool,
    after_logout: String,
    lifetimes: Lifetimes,
    sessions: Sessions,
    session_cookie: String,
    transactions: Seal,
    /// Which logins came back with a code.
    used: Arc<ReplayTable>,
    /// Which tokens of the provider have ended sessions. Strangers fill no place here.
    logout_tokens: Arc<ReplayTable>,
}

/// Where browsers see the gateway.
#[derive(Debug)]
struct Origin {
    /// `https://app.example.com`
    text: String,
    host: String,
}

#[derive(Debug, Clone, Copy)]
struct Lifetimes {
    idle: Duration,
    absolute: Duration,
}

/// What must be fetched before a browser can be answered.
#[derive(Clone)]
pub struct LoginQuestion {
    method: Arc<LoginMethod>,
    what: What,
}

#[derive(Clone)]
enum What {
    /// What the provider says of itself.
    Provider,
    /// What the database says of a session.
    Session(String),
    /// New tokens for a session.
    Refresh(Arc<Session>),
}

impl LoginQuestion {
    /// Asks, unless somebody has just done so. What came of it shows when the request is judged again.
    pub async fn ask(&self, fetch: &dyn Fetch, now: Timestamp) {
        let method = &self.method;
        match &self.what {
            What::Provider => {
                let _: Result<_, TokenClientError> = method.provider.metadata(fetch, now).await;
            }
            What::Session(id) => method.sessions.fetch(id, now).await,
            What::Refresh(session) => method.refresh(session, fetch, now).await,
        }
    }
}

impl LoginQuestion {
    /// Asks without changing anything: a session that should be renewed is left as it is, since a refresh token may count once.
    pub async fn rehearse(&self, fetch: &dyn Fetch, now: Timestamp) {
        match &self.what {
            What::Refresh(session) => session.put_off(now),
            What::Provider | What::Session(_) => self.ask(fetch, now).await,
        }
    }
}

impl LoginMethod {
    /// The session behind the request's cookie; `None` if it has none.
    pub(crate) fn authenticate(self: &Arc<Self>, head: &Head<'_>) -> Result<Option<Arc<Principal>>, Failure> {
        let Some(value) = cookies::single(head.headers, &self.session_cookie)? else { return Ok(None) };
        let id = session::id_of(value).ok_or(Fault::login("session_malformed"))?;
        let session = match self.sessions.find(&id, head.now) {
            Some(Known::Record(session)) => session,
            Some(Known::Missing) => return Err(Fault::login("no_session").into()),
            Some(Known::Unreadable) => return Err(Fault::STORE_UNAVAILABLE.into()),
            None if self.sessions.is_away(head.now) => return Err(Fault::STORE_UNAVAILABLE.into()),
            None => return Err(self.needs(What::Session(id))),
        };
        session.judge(head.now)?;
        if session.wants_refresh(head.now) {
            return Err(self.needs(What::Refresh(session)));
        }
        if is_state_changing(head) && !self.is_same_site(head) {
            return Err(Fault::CROSS_SITE.into());
        }
        self.sessions.note_use(&session, self.lifetimes.idle, head.now);
        Ok(Some(Arc::clone(&session.principal)))
    }

    /// Where a browser is sent to log in; nowhere if this is no navigation, or the browser is elsewhere.
    pub(crate) fn redirect(self: &Arc<Self>, head: &Head<'_>) -> Result<Option<Redirect>, Failure> {
        if !is_navigation(head) || head.host != self.origin.host {
            return Ok(None);
        }
        let target = head.target.as_path_and_query().as_str();
        let Some(provider) = self.provider.at_hand(head.now)? else {
            return Err(self.needs(What::Provider));
        };
        self.begin(&provider, target, head.now).map(Some).map_err(|_| Fault::ISSUER_UNAVAILABLE.into())
    }

    /// Begins a login that leads back to `return_to`, a path of ours.
    fn begin(
        &self,
        provider: &ProviderMetadata,
        return_to: &str,
        now: Timestamp,
    ) -> Result<Redirect, TokenClientError> {
        let opened = Opened::new(return_to, now)?;
        let redirect_uri = self.redirect_uri();
        let request = AuthorizationRequest {
            client_id: &self.client.id,
            redirect_uri: &redirect_uri,
            scopes: self.scopes.clone(),
            ..AuthorizationRequest::default()
        };
        let location = request.url(provider, &opened.transaction)?;
        let name = self.transaction_cookie(&opened.transaction.state);
        let sealed = self.transactions.seal(name.as_bytes(), &opened.to_json());
        let sealed = sealed.ok_or(TokenClientError::NoRandomness)?;
        let cookie = cookies::set(&name, &sealed, Some(LOGIN_WITHIN));
        Ok(Redirect { location, cookie: Secret::new(cookie) })
    }

    /// Which of our own endpoints is at this path of this host.
    pub(crate) fn endpoint(self: &Arc<Self>, host: &str, path: &str) -> Option<Endpoint> {
        let rest = path.strip_prefix(self.path.as_str())?;
        Endpoint::of(self, rest).filter(|_| host == self.origin.host)
    }

    /// The path at which a login begins, for programs that are refused.
    pub(crate) fn start_path(&self) -> String {
        format!("{}/start", self.path)
    }

    /// Whether a cookie is one of ours: no service gets it.
    pub(crate) fn owns_cookie(&self, name: &str) -> bool {
        name.strip_prefix(COOKIE_PREFIX).is_some_and(|rest| {
            rest == self.name
                || rest.strip_prefix(self.name.as_str()).is_some_and(|rest| rest.starts_with("-login-"))
        })
    }

    pub(crate) const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    fn redirect_uri(&self) -> String {
        format!("{}{}/callback", self.origin.text, self.path)
    }

    /// Each login has a cookie of its own: several may be under way in as many windows.
    fn transaction_cookie(&self, state: &str) -> String {
        let short: String = state.chars().take(8).collect();
        format!("{COOKIE_PREFIX}{}-login-{short}", self.name)
    }

    fn needs(self: &Arc<Self>, what: What) -> Failure {
        Failure::Needs(Need::Login(LoginQuestion { method: Arc::clone(self), what }))
    }

    /// Whether the browser says that a page of ours makes this request. One that says nothing is not believed.
    fn is_same_site(&self, head: &Head<'_>) -> bool {
        let text = |name| head.single(&name).map(|value| value.and_then(|value| value.to_str().ok()));
        match (text(ORIGIN), text(SEC_FETCH_SITE)) {
            (Ok(Some(origin)), _) => origin == self.origin.text,
            (Ok(None), Ok(Some(site))) => matches!(site, "same-origin" | "none"),
            _ => false,
        }
    }
}

/// Only `Secure` cookies of this very host may have such a name (RFC 6265bis section 4.1.3.2).
const COOKIE_PREFIX: &str = "__Host-";

/// RFC 9110 section 9.2.1; and a WebSocket (RFC 6455 section 4.1), which no same-origin policy protects.
fn is_state_changing(head: &Head<'_>) -> bool {
    let is_safe = matches!(*head.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);
    !is_safe || head.headers.contains_key(SEC_WEBSOCKET_KEY)
}

/// Whether a person opens a page, rather than a program asks for something.
fn is_navigation(head: &Head<'_>) -> bool {
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    match text(SEC_FETCH_MODE) {
        _ if head.method != Method::GET => false,
        Some(mode) => mode == "navigate",
        None => text(ACCEPT).is_some_and(|types| types.contains("text/html")),
    }
}

impl fmt::Debug for LoginMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginMethod").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for LoginQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginQuestion").field("method", &self.method).finish_non_exhaustive()
    }
}
