//! A connection that speaks HTTP/2.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use portcullis_pipeline::settings::Protocol;
use tokio::io::AsyncWriteExt;

use super::lent::Lent;
use super::{linger, millis};
use crate::client::{Client, Visitor};
use crate::deadline::{Timer, before};
use crate::exchange;
use crate::shared::Worker;
use crate::transport::{Rewound, Transport};
use crate::upstream::LocalExecutor;

/// GOAWAY (RFC 9113 section 6.8) with ENHANCE_YOUR_CALM. It claims no stream as unprocessed: nobody should send again
/// what was given up.
const CALM_DOWN: &[u8] = &[0, 0, 8, 0x7, 0, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0xB];

/// A connection that speaks HTTP/2.
pub(super) struct Http2 {
    pub(super) worker: Rc<Worker>,
    pub(super) protocol: Protocol,
    pub(super) timer: Timer,
}

/// Why the serving of a connection stopped.
enum Stopped {
    /// The client closed it, or it was idle for too long.
    Done,
    /// hyper gave up; it has said why.
    Failed,
    /// The client gave up too many requests before they were answered, or never came to the end of a head.
    WornOut,
}

impl Http2 {
    pub(super) async fn serve(mut self, io: Rewound<Transport>, visitor: Visitor) {
        let io = Lent::new(io, self.worker.deadlines.clock());
        let client = Rc::new(Client::new(visitor, None, self.worker.deadlines.clock()));
        let stopped = self.exchange(&io, client).await;
        self.timer.reset(self.protocol.header_timeout);
        let farewell = async {
            match stopped {
                Stopped::Done => return Ok(false),
                Stopped::Failed => {}
                // Within a frame that the client has not read, another would only be a part of that one.
                Stopped::WornOut if io.is_flushed() => io.clone().write_all(CALM_DOWN).await?,
                Stopped::WornOut => {}
            }
            io.clone().shutdown().await?;
            Ok::<_, io::Error>(true)
        };
        // Whatever becomes of the farewell, the connection is closed after it.
        if let Some(Ok(true)) = before(&mut self.timer, farewell).await {
            linger(&self.worker, &mut self.timer, io).await;
        }
    }

    async fn exchange(&mut self, io: &Lent<Rewound<Transport>>, client: Rc<Client>) -> Stopped {
        let (worker, exchanges) = (Rc::clone(&self.worker), Rc::clone(&client));
        let service =
            service_fn(move |request| exchange::serve(Rc::clone(&worker), Rc::clone(&exchanges), request));
        let mut connection = Box::pin(self.builder().serve_connection(TokioIo::new(io.clone()), service));
        let mut is_closing = false;
        let mut idle_since = Some(self.worker.deadlines.now());
        std::future::poll_fn(|cx| {
            if self.worker.is_draining() && !is_closing {
                is_closing = true;
                connection.as_mut().graceful_shutdown();
            }
            if let Poll::Ready(outcome) = Pin::new(&mut connection).poll(cx) {
                return Poll::Ready(if outcome.is_ok() { Stopped::Done } else { Stopped::Failed });
            }
            if client.abandoned() > self.protocol.http2.resets {
                return Poll::Ready(Stopped::WornOut);
            }
            let end = if client.exchanges() > 0 {
                idle_since = None;
                client.patience_ends()
            } else {
                let since = *idle_since.get_or_insert(self.worker.deadlines.now());
                since.saturating_add(millis(client.patience(&self.protocol)))
            };
            let end_of_head = io
                .head_since()
                .map_or(u64::MAX, |since| since.saturating_add(millis(self.protocol.header_timeout)));
            self.timer.set_end(end.min(end_of_head));
            self.timer
                .poll_expired(cx)
                .map(|()| if end_of_head < end { Stopped::WornOut } else { Stopped::Done })
        })
        .await
    }

    fn builder(&self) -> http2::Builder<LocalExecutor> {
        let limits = &self.protocol.http2;
        let mut builder = http2::Builder::new(LocalExecutor);
        builder
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(u32::try_from(self.protocol.head.header_total).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(limits.resets as usize)
            .max_local_error_reset_streams(limits.resets as usize)
            // What a client does not read is held here, for each of its streams.
            .max_send_buf_size(32 << 10)
            .initial_stream_window_size(64 << 10)
            .initial_connection_window_size(1 << 20);
        builder
    }
}
