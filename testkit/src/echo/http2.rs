//! HTTP/2 by hyper: its framing is not what these tests look at on the upstream's side.

use std::io;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use http_body_util::channel::{Channel, Sender};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::Shared;
use super::answer::{self, Answer, Plan, Step};
use super::http1::Socket;
use super::record::{Ending, Seen};

/// Answers the streams of a connection until it ends.
pub(super) async fn serve<S: Socket>(socket: S, shared: Shared) {
    let service = service_fn(|request| exchange(request, shared.clone()));
    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    // How the connection ends is the client's affair; what it sent is in the log.
    let _ = builder.serve_connection(TokioIo::new(socket), service).await;
}

/// Marks a request as abandoned when its stream goes away before the answer is complete.
struct Answering {
    shared: Shared,
    id: usize,
    done: bool,
}

impl Drop for Answering {
    fn drop(&mut self) {
        if !self.done {
            self.shared.log.amend(self.id, |seen| match seen.ending {
                Ending::Reading => seen.ending = Ending::Cut,
                Ending::Complete => seen.ending = Ending::Abandoned,
                Ending::Cut | Ending::Abandoned | Ending::Malformed(_) => {}
            });
        }
    }
}

async fn exchange(
    request: Request<Incoming>,
    shared: Shared,
) -> io::Result<Response<Channel<Bytes, io::Error>>> {
    let (head, body) = request.into_parts();
    let id = shared.log.begin(describe(&head));
    let mut answering = Answering { shared: shared.clone(), id, done: false };
    if answer::is_early(head.uri.path()) {
        let reading = shared.clone();
        tokio::spawn(async move { read_body(body, &reading, id).await });
    } else {
        read_body(body, &shared, id).await?;
    }
    let seen = shared.log.find(id).ok_or(io::ErrorKind::NotFound)?;
    let Plan::Answer(answer) = answer::plan(&seen) else {
        return Err(io::ErrorKind::ConnectionReset.into());
    };
    if answer.held {
        shared.released().await;
    }
    answering.done = true;
    respond(answer, shared)
}

fn describe(head: &http::request::Parts) -> Seen {
    Seen {
        id: 0,
        position: 0,
        version: "HTTP/2".to_owned(),
        method: head.method.to_string(),
        target: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        authority: head.uri.authority().map(ToString::to_string),
        headers: fields(&head.headers),
        body: Vec::new(),
        body_length: 0,
        trailers: Vec::new(),
        wire: Vec::new(),
        ending: Ending::Reading,
    }
}

fn fields(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

async fn read_body(mut body: Incoming, shared: &Shared, id: usize) -> io::Result<()> {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            shared.log.amend(id, |seen| seen.ending = Ending::Cut);
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        shared.log.amend(id, |seen| match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => seen.append_body(data),
            (_, Some(trailers)) => seen.trailers = fields(trailers),
            (None, None) => {}
        });
    }
    shared.log.amend(id, |seen| seen.ending = Ending::Complete);
    Ok(())
}

fn respond(answer: Answer, shared: Shared) -> io::Result<Response<Channel<Bytes, io::Error>>> {
    let status = StatusCode::from_u16(answer.status).map_err(io::Error::other)?;
    let mut response = Response::builder().status(status);
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    if let Some(length) = answer.length.filter(|_| answer.status != 204) {
        response = response.header("content-length", length);
    }
    let (frames, body) = Channel::new(1);
    tokio::spawn(send_steps(answer, shared, frames));
    response.body(body).map_err(io::Error::other)
}

async fn send_steps(answer: Answer, shared: Shared, mut frames: Sender<Bytes, io::Error>) {
    for step in answer.steps {
        let sent = match step {
            Step::Send(bytes) if bytes.is_empty() => Ok(()),
            Step::Send(bytes) => frames.send_data(bytes.into()).await,
            Step::Hold => {
                shared.released().await;
                Ok(())
            }
            // A stream has no other way to end before its time than RST_STREAM.
            Step::Reset | Step::Close => return frames.abort(io::ErrorKind::ConnectionReset.into()),
        };
        if sent.is_err() {
            return;
        }
    }
    if !answer.trailers.is_empty() {
        let trailers = answer.trailers.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
        });
        let _ = frames.send_trailers(trailers.collect()).await;
    }
}
