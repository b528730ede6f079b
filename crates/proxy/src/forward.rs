//! Handing an admitted request to its service.

use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, IF_RANGE, RANGE, TE, TRANSFER_ENCODING,
    UPGRADE,
};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version, response};
use hyper::body::{Body, Incoming};
use portcullis_authn::login::remove_cookies;
use portcullis_core::{ClientCertificate, Clock, NameSieve, Principal, Reason, SystemClock};
use portcullis_harden::{Applies, Redaction, Redactor, remove_fields_of_the_whole_body};
use portcullis_pipeline::settings::{ClientCertificateFields, Forward, ForwardedFields, Timeouts};
use portcullis_pipeline::{Cleared, Received, RoutePlan};
use smallvec::SmallVec;

use crate::account::{Account, Ending};
use crate::attempt::{Attempt, Failure};
use crate::body::{BodyProgress, HeldBody, Lease, RequestBody, ResponseBody, UpstreamBody};
use crate::client::Client;
use crate::deadline::Timer;
use crate::respond;
use crate::shared::{Current, Worker};
use crate::tunnel::Tunnel;
use crate::upstream::Pool;

/// The service's answer.
pub(crate) struct Answer {
    pub(crate) head: response::Parts,
    pub(crate) body: AnswerBody,
}

/// What comes after the head of an answer.
pub(crate) enum AnswerBody {
    /// A body, and the connection it comes from.
    Streaming { incoming: Incoming, lease: Lease, timer: Timer, end: u64, held: Option<Box<HeldBody>> },
    /// Another protocol, spoken over this connection.
    Tunnel(Box<Tunnel>),
}

/// Everything that forwarding one request needs.
pub(crate) struct Forwarding<'r> {
    pub(crate) worker: &'r Worker,
    pub(crate) current: &'r Current,
    pub(crate) client: &'r Client,
    pub(crate) received: &'r Received,
    pub(crate) progress: Rc<BodyProgress>,
}

impl Forwarding<'_> {
    /// Sends the request to a target of the route's service, again to another if it may, and gives the answer.
    ///
    /// # Errors
    /// The reason for the client, when there is no answer.
    pub(crate) async fn send(
        &self,
        cleared: &Cleared<'_>,
        mut request: Box<Request<RequestBody>>,
        account: &mut Account,
    ) -> Result<Answer, Reason> {
        let route = cleared.route();
        let pool = self.current.pools.get(route.service.index()).ok_or(Reason::UpstreamUnavailable)?;
        let upgrade = self.offered_upgrade(route, pool, request.body().is_empty());
        self.prepare(&mut request, route, account, upgrade.as_ref());
        if cleared.reads_answer() {
            ask_for_the_plain_whole(request.headers_mut());
        }
        let mut answer = self.try_targets(pool, &route.forward, request, account).await?;
        if answer.head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Box::pin(self.change_protocol(answer, upgrade.is_some())).await;
        }
        clean_answer(&mut answer.head.headers);
        Ok(answer)
    }

    /// Makes the request that the service receives out of the one that was judged: the same method, target and
    /// fields, and what the gateway alone may add.
    fn prepare(
        &self,
        request: &mut Request<RequestBody>,
        route: &RoutePlan,
        account: &Account,
        upgrade: Option<&HeaderValue>,
    ) {
        *request.uri_mut() = Uri::from(self.target_for(route));
        *request.version_mut() = Version::HTTP_11;
        let headers = request.headers_mut();
        if !self.received.host.is_the_field() {
            headers.insert(HOST, self.received.host.authority().clone());
        }
        headers.insert(respond::X_REQUEST_ID, account.request_id.clone());
        let authentication = &self.current.snapshot.authentication;
        if authentication.has_logins() {
            remove_cookies(headers, |name| authentication.owns_cookie(name));
        }
        self.add_forwarded(route.forward.forwarded, headers);
        if let Some(principal) = &account.notes.principal {
            add_identity(&route.forward, principal, headers);
        }
        if let Some(token) = &route.forward.token {
            // Whoever gets none has none: what the client sent there is for the gateway.
            headers.remove(token.header());
            if let Some(value) = &account.notes.service_token {
                headers.insert(token.header().clone(), value.clone());
            }
        }
        if let Some(certificate) = &self.client.certificate {
            add_certificate(route.forward.client_certificate, certificate, headers);
        }
        if self.received.takes_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
        if let Some(upgrade) = upgrade {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, upgrade.clone());
        }
        if let Some(redaction) = route.hardening.redaction() {
            redaction.prepare_request(headers);
        }
    }

    /// The target that was judged, without credentials in its query.
    fn target_for(&self, route: &RoutePlan) -> PathAndQuery {
        let target = &self.received.target;
        if route.authenticate.query_parameters().next().is_none() {
            return target.as_path_and_query().clone();
        }
        let is_credential = |name: &str| route.authenticate.query_parameters().any(|known| known == name);
        target.without_parameters(is_credential).as_path_and_query().clone()
    }

    fn add_forwarded(&self, fields: ForwardedFields, headers: &mut HeaderMap) {
        let received = self.received;
        let proto = received.peer.scheme();
        match fields {
            ForwardedFields::None => {}
            ForwardedFields::XForwarded => {
                if let Some(client) = self.client.address_text(received.peer.client) {
                    headers.insert(HeaderName::from_static("x-forwarded-for"), client);
                }
                headers.insert(HeaderName::from_static("x-forwarded-proto"), HeaderValue::from_static(proto));
                headers
                    .insert(HeaderName::from_static("x-forwarded-host"), received.host.authority().clone());
            }
            ForwardedFields::Forwarded => {
                let client = match received.peer.client {
                    std::net::IpAddr::V4(v4) => v4.to_string(),
                    std::net::IpAddr::V6(v6) => format!("\"[{v6}]\""),
                };
                let host = received.host.authority().to_str().unwrap_or_default();
                if let Ok(value) =
                    HeaderValue::try_from(format!("for={client};host=\"{host}\";proto={proto}"))
                {
                    headers.insert(http::header::FORWARDED, value);
                }
            }
        }
    }

    async fn try_targets(
        &self,
        pool: &Pool,
        forward: &Forward,
        mut request: Box<Request<RequestBody>>,
        account: &mut Account,
    ) -> Result<Answer, Reason> {
        let end = self.end_of(forward.timeouts.total);
        self.client.give_up_at(end);
        let mut timer = Timer::after(&self.worker.deadlines, forward.timeouts.total);
        let mut retries = forward.retries;
        let again = (retries > 0 && request.body().is_empty() && is_idempotent(request.method()))
            .then(|| copy_of(&request));
        let mut tried: SmallVec<[u32; 4]> = SmallVec::new();
        let mut failed = None;
        // Close enough for the first try; another one looks at the clock again.
        let (mut now, mut started) = (account.notes.received, account.started);
        loop {
            // Where there was a try, its outcome says more than that there is nobody left to ask.
            let target =
                pool.choose(now, &tried).map_err(|_| failed.unwrap_or(Reason::UpstreamUnavailable))?;
            account.upstream = Some(target.index);
            if !forward.preserve_host {
                request.headers_mut().insert(HOST, target.host.clone());
            }
            let attempt = Attempt {
                forwarding: self,
                pool,
                target: Rc::clone(&target),
                timeouts: &forward.timeouts,
                begun: self.worker.deadlines.now(),
                end,
            };
            let failure = match attempt.run(request, &mut timer).await {
                Ok((response, lease)) => {
                    account.upstream_duration = Some(started.elapsed());
                    let (head, incoming) = response.into_parts();
                    return Ok(Answer {
                        head,
                        body: AnswerBody::Streaming { incoming, lease, timer, end, held: None },
                    });
                }
                Err(failure) => failure,
            };
            let Failure { reason, unsent } = failure;
            if let Some(fault) = self.progress.fault.get() {
                return Err(self.client.fault().unwrap_or(fault));
            }
            if retries == 0 || self.worker.deadlines.now() >= end {
                return Err(reason);
            }
            retries -= 1;
            failed = Some(reason);
            tried.push(target.index);
            (now, started) = (SystemClock.now(), Instant::now());
            // What was never sent may go elsewhere whatever it is; what was sent only if sending it twice does no
            // harm (RFC 9110 section 9.2.2).
            request = match (unsent, &again) {
                (Some(unsent), _) => unsent,
                (None, Some(sent)) => copy_of(sent),
                (None, None) => return Err(reason),
            };
        }
    }

    /// The protocol to offer to the service: one the client asked for and the route allows.
    fn offered_upgrade(&self, route: &RoutePlan, pool: &Pool, body_is_empty: bool) -> Option<HeaderValue> {
        let asked = self.received.upgrade.as_ref()?;
        let name = asked.to_str().ok()?.to_ascii_lowercase();
        let is_allowed = route.forward.upgrades.contains(&name) && body_is_empty && !pool.speaks_http2();
        is_allowed.then(|| asked.clone())
    }

    /// Takes the connection of a 101 answer for the tunnel.
    async fn change_protocol(&self, answer: Answer, was_offered: bool) -> Result<Answer, Reason> {
        let Answer { head, body: AnswerBody::Streaming { lease, timer, .. } } = answer else {
            return Ok(answer);
        };
        // A service that changes protocols unasked would take the client's next request for its new protocol.
        if !was_offered {
            return Err(Reason::UpstreamFailed);
        }
        let Lease { connection, in_flight, .. } = lease;
        let mut connection = connection.ok_or(Reason::UpstreamFailed)?;
        std::future::poll_fn(|cx| connection.poll_drive(cx)).await.map_err(|_| Reason::UpstreamFailed)?;
        let mut limit = timer;
        limit.set_end(u64::MAX);
        let mut head = head;
        head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        let tunnel = Tunnel { parts: connection.into_parts(), in_flight, limit, account: None };
        Ok(Answer { head, body: AnswerBody::Tunnel(Box::new(tunnel)) })
    }

    fn end_of(&self, total: std::time::Duration) -> u64 {
        self.worker.deadlines.now().saturating_add(u64::try_from(total.as_millis()).unwrap_or(u64::MAX))
    }
}

impl AnswerBody {
    /// Whether something of it may come.
    pub(crate) fn is_streaming(&self) -> bool {
        matches!(self, Self::Streaming { incoming, .. } if !incoming.is_end_stream())
    }

    /// The body for the client; the account goes with it. If there is none, the connection that it would have come
    /// from is to be given back.
    pub(crate) fn into_response(
        self,
        client: &Client,
        timeouts: &Timeouts,
        account: Account,
        redactor: Option<Redactor>,
    ) -> (ResponseBody, Option<Lease>) {
        match self {
            Self::Tunnel(mut tunnel) => {
                tunnel.account = Some(account);
                *client.tunnel.borrow_mut() = Some(*tunnel);
                client.upgraded(true);
                (ResponseBody::empty(), None)
            }
            // An answer to HEAD has no body whatever its length says (RFC 9110 section 9.3.2).
            Self::Streaming { incoming, lease, held, .. }
                if account.method == Method::HEAD
                    || incoming.is_end_stream() && held.as_ref().is_none_or(|held| held.is_empty()) =>
            {
                account.close(Ending::Complete);
                (ResponseBody::empty(), Some(lease))
            }
            Self::Streaming { incoming, lease, mut timer, end, held } => {
                timer.reset(timeouts.idle);
                let body = ResponseBody::upstream(UpstreamBody {
                    incoming,
                    lease,
                    held,
                    idle: timeouts.idle,
                    timer,
                    end,
                    account: Some(account),
                    is_redacted: redactor.is_some(),
                    redactor,
                    trailers: None,
                    is_broken: false,
                });
                (body, None)
            }
        }
    }
}

/// What is compressed, or only a part, the scanner cannot judge.
fn ask_for_the_plain_whole(headers: &mut HeaderMap) {
    headers.remove(RANGE);
    headers.remove(IF_RANGE);
    // Fails only when the map holds its maximum of 32768 fields; the answer is then scanned as it comes.
    let _full = headers.try_insert(ACCEPT_ENCODING, HeaderValue::from_static("identity, *;q=0"));
}

/// What redaction has to do with an answer: nothing, something, or refuse it because it cannot be read.
pub(crate) fn redactor_for(route: &RoutePlan, head: &mut HeaderMap) -> Result<Option<Redactor>, Reason> {
    let Some(redaction): Option<&Arc<Redaction>> = route.hardening.redaction() else { return Ok(None) };
    match redaction.applies_to(head) {
        Applies::No => Ok(None),
        Applies::Unreadable => Err(Reason::AnswerNotRedactable),
        Applies::Yes(format) => {
            remove_fields_of_the_whole_body(head);
            Ok(Some(Redactor::new(redaction, format)))
        }
    }
}

/// Removes from an answer what concerned the connection to the service only (RFC 9110 section 7.6.1). Most
/// answers have nothing of it, which one walk over their names shows.
pub(crate) fn clean_answer(headers: &mut HeaderMap) {
    let mut removed: SmallVec<[HeaderName; 4]> = SmallVec::new();
    for name in headers.keys() {
        if CONNECTION_ONLY_SIEVE.passes(name) && CONNECTION_ONLY.contains(&name.as_str()) {
            removed.push(name.clone());
        }
    }
    // RFC 9112 section 6.3: the coding tells the length, and what the field says is not to be passed on.
    if removed.contains(&TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    if removed.contains(&CONNECTION) {
        for value in headers.get_all(CONNECTION) {
            let named = value.to_str().unwrap_or_default().split(',');
            removed.extend(named.filter_map(|name| HeaderName::try_from(name.trim()).ok()));
        }
    }
    for name in removed {
        headers.remove(name);
    }
}

/// What concerns the connection to the service only.
const CONNECTION_ONLY: [&str; 7] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "te",
    "transfer-encoding",
    "upgrade",
];

static CONNECTION_ONLY_SIEVE: LazyLock<NameSieve> = LazyLock::new(|| NameSieve::new(CONNECTION_ONLY));

fn add_identity(forward: &Forward, principal: &Principal, headers: &mut HeaderMap) {
    for (name, source) in &forward.identity {
        // What cannot be said in a header is not said.
        if let Some(Ok(value)) = source.text(principal).map(|text| HeaderValue::from_str(&text)) {
            headers.insert(name.clone(), value);
        }
    }
    if forward.access_token
        && let Some(token) = &principal.access_token
        && let Ok(mut value) = HeaderValue::try_from(format!("Bearer {}", token.expose()))
    {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
}

/// RFC 9440: certificates in DER as byte sequences of structured fields.
fn add_certificate(
    fields: ClientCertificateFields,
    certificate: &ClientCertificate,
    headers: &mut HeaderMap,
) {
    let item = |der: &[u8]| format!(":{}:", BASE64_STANDARD.encode(der));
    if fields == ClientCertificateFields::None {
        return;
    }
    if let Ok(value) = HeaderValue::try_from(item(&certificate.leaf)) {
        headers.insert(HeaderName::from_static("client-cert"), value);
    }
    if fields == ClientCertificateFields::Chain && !certificate.chain.is_empty() {
        let list: Vec<String> = certificate.chain.iter().map(|der| item(der)).collect();
        if let Ok(value) = HeaderValue::try_from(list.join(", ")) {
            headers.insert(HeaderName::from_static("client-cert-chain"), value);
        }
    }
}

/// For HTTP/2 the target is absolute, and `Host` is the authority.
pub(crate) fn to_http2(request: &mut Request<RequestBody>, is_secure: bool) -> Result<(), Reason> {
    let host = request.headers_mut().remove(HOST).ok_or(Reason::BadHost)?;
    let authority = Authority::try_from(host.as_bytes()).map_err(|_| Reason::BadHost)?;
    let mut uri = std::mem::take(request.uri_mut()).into_parts();
    uri.scheme = Some(if is_secure { Scheme::HTTPS } else { Scheme::HTTP });
    uri.authority = Some(authority);
    *request.uri_mut() = Uri::from_parts(uri).map_err(|_| Reason::AmbiguousTarget)?;
    *request.version_mut() = Version::HTTP_2;
    Ok(())
}

/// The same request once more; only for requests without a body.
fn copy_of(request: &Request<RequestBody>) -> Box<Request<RequestBody>> {
    let mut copy = Request::new(RequestBody::Empty);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    Box::new(copy)
}

/// RFC 9110 section 9.2.2.
fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE)
}
