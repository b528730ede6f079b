//! One try at one target.

use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use portcullis_core::{Clock, Reason, SystemClock};
use portcullis_pipeline::metrics::{TargetId, UpstreamOutcome};
use portcullis_pipeline::settings::Timeouts;

use crate::body::{Lease, RequestBody};
use crate::deadline::Timer;
use crate::forward::{Forwarding, to_http2};
use crate::upstream::{ConnectFailure, Connected, Http1Connection, InFlight, Pool, Target, connect};

/// One try at one target.
pub(crate) struct Attempt<'r> {
    pub(crate) forwarding: &'r Forwarding<'r>,
    pub(crate) pool: &'r Pool,
    pub(crate) target: Rc<Target>,
    pub(crate) timeouts: &'r Timeouts,
    /// When this try began, in the worker's time.
    pub(crate) begun: u64,
    /// The end of all time for this exchange.
    pub(crate) end: u64,
}

/// A try that brought no answer.
pub(crate) struct Failure {
    /// What the client is told if there is no other try.
    pub(crate) reason: Reason,
    /// The request, if nothing of it was sent.
    pub(crate) unsent: Option<Box<Request<RequestBody>>>,
}

/// How the wait for an answer over a connection of its own ended.
enum Waited<T> {
    /// With an answer, or hyper's word that there will be none.
    Answered(T),
    /// With the connection.
    Closed,
    /// Too late.
    TooLong,
}

type Answered = (Response<Incoming>, Lease);

impl Attempt<'_> {
    /// Sends the request and waits for the head of the answer.
    pub(crate) async fn run(
        self,
        mut request: Box<Request<RequestBody>>,
        timer: &mut Timer,
    ) -> Result<Answered, Failure> {
        let in_flight = InFlight::new(Rc::clone(&self.target));
        if self.pool.speaks_http2() {
            return Box::pin(self.over_http2(request, in_flight, timer)).await;
        }
        // A connection that the service closed while it was idle gives the request back unsent: the next one
        // is taken. There are only so many, and a fresh one ends the loop.
        loop {
            let (connection, is_fresh) = match self.target.take_idle() {
                Some(connection) => (connection, false),
                // Boxed, because it is rare: every request would be larger by it.
                None => match Box::pin(self.open(&in_flight, timer)).await {
                    Ok(Connected::Http1(connection)) => (connection, true),
                    Ok(Connected::Http2(_)) => return Err(unsent(Reason::UpstreamFailed, request)),
                    Err(reason) => return Err(unsent(reason, request)),
                },
            };
            match self.over_http1(connection, request, timer).await {
                Ok((response, connection)) => {
                    in_flight.succeeded();
                    self.count_answer(&response);
                    let keep = self.pool.settings.idle_connections;
                    return Ok((response, Lease { connection: Some(connection), in_flight, keep }));
                }
                Err(Failure { unsent: Some(returned), .. }) if !is_fresh => request = returned,
                Err(failure) => {
                    self.tell(&in_flight, failure.reason);
                    return Err(failure);
                }
            }
        }
    }

    async fn open(&self, in_flight: &InFlight, timer: &mut Timer) -> Result<Connected, Reason> {
        timer.set_end(self.end_of(self.timeouts.connect));
        connect(self.pool, &self.target, timer).await.map_err(|failure| {
            in_flight.failed(SystemClock.now(), &self.pool.settings.passive_health, &failure.to_string());
            let (reason, outcome) = match failure {
                ConnectFailure::Refused(_) => (Reason::UpstreamFailed, UpstreamOutcome::Unreachable),
                ConnectFailure::TimedOut => (Reason::UpstreamTimeout, UpstreamOutcome::TimedOut),
            };
            self.count(outcome);
            reason
        })
    }

    async fn over_http1(
        &self,
        mut connection: Box<Http1Connection>,
        request: Box<Request<RequestBody>>,
        timer: &mut Timer,
    ) -> Result<(Response<Incoming>, Box<Http1Connection>), Failure> {
        let mut answer = pin!(connection.send(*request));
        let mut nobody = Context::from_waker(Waker::noop());
        let waited = std::future::poll_fn(|cx| {
            let driven = connection.poll_drive(cx);
            if let Poll::Ready(outcome) = answer.as_mut().poll(&mut nobody) {
                return Poll::Ready(Waited::Answered(outcome));
            }
            if driven.is_ready() {
                return Poll::Ready(Waited::Closed);
            }
            timer.set_end(self.end_of_waiting());
            timer.poll_expired(cx).map(|()| Waited::TooLong)
        })
        .await;
        let broken = |mut error: TrySendError<Request<RequestBody>>| Failure {
            reason: Reason::UpstreamFailed,
            unsent: error.take_message().map(Box::new),
        };
        match waited {
            Waited::Answered(outcome) => outcome.map(|response| (response, connection)).map_err(broken),
            Waited::Closed => {
                // The service closed it while it was idle, or instead of an answer. Only when the driver is gone
                // does hyper say which: it gives back a request that it had not begun to send.
                drop(connection);
                Err(answer
                    .await
                    .map_or_else(broken, |_| Failure { reason: Reason::UpstreamFailed, unsent: None }))
            }
            Waited::TooLong => Err(Failure { reason: Reason::UpstreamTimeout, unsent: None }),
        }
    }

    async fn over_http2(
        &self,
        mut request: Box<Request<RequestBody>>,
        in_flight: InFlight,
        timer: &mut Timer,
    ) -> Result<Answered, Failure> {
        let mut sender = match self.target.http2() {
            Some(sender) => sender,
            None => match self.open(&in_flight, timer).await {
                Ok(Connected::Http2(sender)) => sender,
                Ok(Connected::Http1(_)) => return Err(unsent(Reason::UpstreamFailed, request)),
                Err(reason) => return Err(unsent(reason, request)),
            },
        };
        if let Err(reason) = to_http2(&mut request, self.target.address.secure) {
            return Err(unsent(reason, request));
        }
        let mut answer = pin!(sender.send_request(*request));
        let outcome = std::future::poll_fn(|cx| {
            if let Poll::Ready(outcome) = answer.as_mut().poll(cx) {
                return Poll::Ready(outcome.map_err(|_| Reason::UpstreamFailed));
            }
            timer.set_end(self.end_of_waiting());
            timer.poll_expired(cx).map(|()| Err(Reason::UpstreamTimeout))
        })
        .await;
        match outcome {
            Ok(response) => {
                in_flight.succeeded();
                self.count_answer(&response);
                Ok((response, Lease { connection: None, in_flight, keep: 0 }))
            }
            Err(reason) => {
                self.tell(&in_flight, reason);
                Err(Failure { reason, unsent: None })
            }
        }
    }

    /// Tells the target's health that it failed, unless it was the client who did.
    fn tell(&self, in_flight: &InFlight, reason: Reason) {
        if self.forwarding.progress.fault.get().is_some() {
            return self.count(UpstreamOutcome::Abandoned);
        }
        let (outcome, cause) = match reason {
            Reason::UpstreamTimeout => (UpstreamOutcome::TimedOut, "no answer in time"),
            _ => (UpstreamOutcome::Broken, "it broke off instead of an answer"),
        };
        in_flight.failed(SystemClock.now(), &self.pool.settings.passive_health, cause);
        self.count(outcome);
    }

    fn count_answer(&self, response: &Response<Incoming>) {
        let is_error = response.status().is_server_error();
        self.count(if is_error { UpstreamOutcome::ServerError } else { UpstreamOutcome::Answered });
    }

    fn count(&self, outcome: UpstreamOutcome) {
        let place = TargetId(self.pool.first_target.0.saturating_add(self.target.index));
        self.forwarding.current.snapshot.metrics.upstream(place, outcome);
    }

    /// While the client is still sending there is only the end of all time (its own pauses are limited elsewhere);
    /// after that the service has a time of its own for the head of its answer, anew with each try.
    fn end_of_waiting(&self) -> u64 {
        match self.forwarding.progress.complete_at.get() {
            Some(at) => at.max(self.begun).saturating_add(millis(self.timeouts.first_byte)).min(self.end),
            None => self.end,
        }
    }

    fn end_of(&self, step: Duration) -> u64 {
        self.forwarding.worker.deadlines.now().saturating_add(millis(step)).min(self.end)
    }
}

fn unsent(reason: Reason, request: Box<Request<RequestBody>>) -> Failure {
    Failure { reason, unsent: Some(request) }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
