//! Requests that the gateway answers itself: where logins begin, come back to and end, and where its public keys are.

use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use portcullis_authn::internal_token::KeySetEndpoint;
use portcullis_authn::login::{self, EndpointAnswer, EndpointRefusal, EndpointRequest, MOST_CONTENT};
use portcullis_core::{Denial, Head, Reason, StageId, Verdict};
use portcullis_pipeline::Snapshot;

use crate::account::{Account, Ending};
use crate::body::ResponseBody;
use crate::exchange::{Asker, refuse};
use crate::respond;
use crate::shared::{Current, Worker};

/// One of our own endpoints.
pub(crate) enum Endpoint {
    /// Where people log in and out.
    Login(login::Endpoint),
    /// The keys by which services verify the tokens that they get of us.
    KeySet(KeySetEndpoint),
}

impl Endpoint {
    /// The endpoint that a request is for.
    pub(crate) fn of(snapshot: &Snapshot, head: &Head<'_>) -> Option<Self> {
        let keys = snapshot.internal_tokens.as_ref().map(|tokens| tokens.key_set());
        match keys.filter(|keys| keys.path() == head.target.path()) {
            Some(keys) => Some(Self::KeySet(keys.clone())),
            None => snapshot.authentication.endpoint(head).map(Self::Login),
        }
    }

    fn reads_body(&self) -> bool {
        matches!(self, Self::Login(endpoint) if endpoint.reads_body())
    }
}

/// Answers a request for one of our own endpoints. Boxed: few requests come here, and all would carry it.
pub(crate) fn answer<'a>(
    worker: &'a Rc<Worker>,
    current: &'a Rc<Current>,
    endpoint: Endpoint,
    head: &'a Head<'_>,
    incoming: Incoming,
    account: Account,
    asker: &'a Asker,
) -> Pin<Box<dyn Future<Output = Response<ResponseBody>> + 'a>> {
    Box::pin(answered(worker, current, endpoint, head, incoming, account, asker))
}

async fn answered(
    worker: &Worker,
    current: &Current,
    endpoint: Endpoint,
    head: &Head<'_>,
    incoming: Incoming,
    mut account: Account,
    asker: &Asker,
) -> Response<ResponseBody> {
    let stage = StageId::Authenticate;
    let body = match read(&endpoint, incoming, current).await {
        Ok(body) => body,
        Err(reason) => return refuse(current, Denial::new(stage, reason), account, Some(head), asker),
    };
    let answered = match &endpoint {
        Endpoint::Login(endpoint) => {
            endpoint.answer(EndpointRequest { head, body: &body }, &*worker.shared.fetch).await
        }
        Endpoint::KeySet(keys) => key_set(keys, head),
    };
    let answer = match answered {
        Ok(answer) => answer,
        Err((reason, cause)) => {
            account.notes.credential_fault = Some(cause);
            account.notes.record(stage, Verdict::Denied(reason));
            return refuse(current, Denial::new(stage, reason), account, Some(head), asker);
        }
    };
    account.notes.record(stage, Verdict::Passed);
    account.notes.principal = answer.principal;
    // RFC 9110 section 9.3.2: the fields of the answer and no body.
    let shown = if asker.is_head() { ResponseBody::empty() } else { ResponseBody::own(answer.body.clone()) };
    let mut response = Response::new(shown);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(answer.body.len()));
    headers.insert(respond::X_REQUEST_ID, account.request_id.clone());
    let exchange = asker.exchange(&account.notes, answer.status);
    current.snapshot.unrouted.apply(&exchange, response.headers_mut());
    account.status = Some(answer.status);
    account.close(Ending::Complete);
    response
}

fn key_set(keys: &KeySetEndpoint, head: &Head<'_>) -> Result<EndpointAnswer, EndpointRefusal> {
    if !matches!(*head.method, Method::GET | Method::HEAD) {
        return Err((Reason::MethodNotAllowed, "method"));
    }
    let headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, keys.cache_control().clone()),
    ]);
    Ok(EndpointAnswer { status: StatusCode::OK, headers, body: keys.document().clone(), principal: None })
}

/// The content, within its bounds of size and time.
async fn read(endpoint: &Endpoint, incoming: Incoming, current: &Current) -> Result<Bytes, Reason> {
    if !endpoint.reads_body() {
        return Ok(Bytes::new());
    }
    let reading = Limited::new(incoming, MOST_CONTENT).collect();
    match tokio::time::timeout(current.snapshot.protocol.body_timeout, reading).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => Err(Reason::BodyTooLarge),
        Err(_) => Err(Reason::RequestTimeout),
    }
}
