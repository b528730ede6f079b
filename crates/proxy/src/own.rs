//! Requests that the gateway answers itself: where logins begin, come back to and end.

use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;
use http::Response;
use http::header::CONTENT_LENGTH;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use portcullis_authn::login::{Endpoint, EndpointRequest, MOST_CONTENT};
use portcullis_core::{Denial, Head, Reason, StageId, Verdict};

use crate::account::{Account, Ending};
use crate::body::ResponseBody;
use crate::exchange::{Asker, refuse};
use crate::respond;
use crate::shared::{Current, Worker};

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
    let request = EndpointRequest { head, body: &body };
    let answer = match endpoint.answer(request, &*worker.shared.fetch).await {
        Ok(answer) => answer,
        Err((reason, cause)) => {
            account.notes.credential_fault = Some(cause);
            account.notes.record(stage, Verdict::Denied(reason));
            return refuse(current, Denial::new(stage, reason), account, Some(head), asker);
        }
    };
    account.notes.record(stage, Verdict::Passed);
    account.notes.principal = answer.principal;
    let mut response = Response::new(ResponseBody::own(answer.body.clone()));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, http::HeaderValue::from(answer.body.len()));
    headers.insert(respond::X_REQUEST_ID, account.request_id.clone());
    let exchange = asker.exchange(&account.notes, answer.status);
    current.snapshot.unrouted.apply(&exchange, response.headers_mut());
    account.status = Some(answer.status);
    account.close(Ending::Complete);
    response
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
