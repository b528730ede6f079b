//! What goes on beside the requests: fetching key sets and asking targets whether they are well. One thread does
//! it all, so that a slow identity provider never holds up a worker.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use portcullis_core::{Clock, SystemClock};
use portcullis_oidc::{Fetch, FetchError, Fetched, KeySource, MAX_KEY_SET_BYTES};
use portcullis_pipeline::settings::{TargetAddress, UpstreamProtocol, UpstreamTls};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_rustls::rustls::ClientConfig;

use crate::shared::{Prepared, Shared};
use crate::tls;
use crate::upstream::{check_actively, open};

/// How long a key set may take to arrive.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// How often is looked whether a key set is due.
const KEY_SET_ROUND: Duration = Duration::from_secs(1);

/// The thread for everything that is not a request.
pub(crate) struct Housekeeping {
    runtime: Handle,
    /// What was started for the present configuration.
    tasks: Mutex<Vec<JoinHandle<()>>>,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Housekeeping {
    /// Starts the thread; it ends when this is dropped.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        std::thread::Builder::new().name("housekeeping".to_owned()).spawn(move || {
            // Nothing is ever sent: the error is the signal.
            let _: Result<(), _> = runtime.block_on(stopped);
        })?;
        Ok(Self { runtime: handle, tasks: Mutex::default(), _stop: stop })
    }

    /// What fetches key sets, for the workers.
    pub(crate) fn fetch(&self) -> Arc<dyn Fetch> {
        Arc::new(Fetcher { runtime: self.runtime.clone() })
    }

    /// Looks after the key sets and targets of a configuration from now on, and no longer after those of the last.
    pub(crate) fn look_after(&self, shared: &Arc<Shared>, prepared: &Arc<Prepared>) {
        let mut tasks = self.tasks.lock();
        for task in tasks.drain(..) {
            task.abort();
        }
        for source in prepared.snapshot.authentication.key_sources() {
            let (source, shared, prepared) = (Arc::clone(source), Arc::clone(shared), Arc::clone(prepared));
            tasks.push(self.runtime.spawn(async move {
                let mut rounds = tokio::time::interval(KEY_SET_ROUND);
                loop {
                    rounds.tick().await;
                    shared.keep_keys(&source, &prepared.snapshot).await;
                }
            }));
        }
        for (index, service) in prepared.snapshot.services.iter().enumerate() {
            let Some(rules) = &service.upstream.active_health else { continue };
            for target in &service.upstream.targets {
                let health = shared.health.of(&service.name, target);
                let (address, path) = (target.clone(), rules.path.clone());
                let tls = prepared.client_tls(index).cloned();
                let name = service.upstream.tls.server_name.clone();
                let http2 = service.upstream.protocol == UpstreamProtocol::Http2;
                tasks.push(self.runtime.spawn(check_actively(health, rules.clone(), move || {
                    ask(address.clone(), path.clone(), tls.clone(), name.clone(), http2)
                })));
            }
        }
    }
}

/// Fetches documents on the housekeeping thread.
struct Fetcher {
    runtime: Handle,
}

impl Fetch for Fetcher {
    fn fetch(&self, url: &Uri) -> Fetched<'_> {
        let fetching = self.runtime.spawn(tokio::time::timeout(FETCH_TIMEOUT, fetch(url.clone())));
        Box::pin(async move {
            match fetching.await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Err(FetchError::TimedOut),
                Err(error) => Err(FetchError::Unreachable(error.to_string())),
            }
        })
    }
}

async fn fetch(url: Uri) -> Result<Bytes, FetchError> {
    let unreachable = |error: &dyn std::fmt::Display| FetchError::Unreachable(error.to_string());
    let authority = url.authority().ok_or_else(|| FetchError::Unreachable("no host".to_owned()))?;
    let address = TargetAddress::parse(&format!("{}://{authority}", url.scheme_str().unwrap_or("https")))
        .map_err(|error| unreachable(&error))?;
    let config = if address.secure {
        Some(
            tls::client_config(&UpstreamTls::default(), UpstreamProtocol::Http1)
                .map_err(|error| unreachable(&error))?,
        )
    } else {
        None
    };
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let response = get(&address, path, config.as_ref(), None).await.map_err(|error| unreachable(&error))?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    let body = Limited::new(response.into_body(), MAX_KEY_SET_BYTES).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            FetchError::TooLarge
        } else {
            unreachable(&error)
        }
    })
}

/// Asks a target its health question; an error says what is wrong with it.
async fn ask(
    address: TargetAddress,
    path: String,
    tls: Option<Arc<ClientConfig>>,
    name: Option<String>,
    http2: bool,
) -> Result<(), String> {
    let status = if http2 {
        ask_http2(&address, &path, tls.as_ref(), name.as_deref()).await
    } else {
        get(&address, &path, tls.as_ref(), name.as_deref()).await.map(|response| response.status())
    };
    match status {
        Ok(status) if status.is_success() || status.is_redirection() => Ok(()),
        Ok(status) => Err(format!("`{path}` answers {status}")),
        Err(error) => Err(format!("`{path}` does not answer: {error}")),
    }
}

async fn get(
    address: &TargetAddress,
    path: &str,
    tls: Option<&Arc<ClientConfig>>,
    name: Option<&str>,
) -> io::Result<http::Response<hyper::body::Incoming>> {
    let transport = open(address, tls, name).await?;
    let (mut sender, driver) = http1::handshake(TokioIo::new(transport)).await.map_err(io::Error::other)?;
    let request = Request::get(path)
        .header(http::header::HOST, host_of(address))
        .header(http::header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    tokio::spawn(async move {
        // Its end shows in the answer.
        let _: Result<(), hyper::Error> = driver.await;
    });
    sender.send_request(request).await.map_err(io::Error::other)
}

async fn ask_http2(
    address: &TargetAddress,
    path: &str,
    tls: Option<&Arc<ClientConfig>>,
    name: Option<&str>,
) -> io::Result<StatusCode> {
    let transport = open(address, tls, name).await?;
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, driver) = hyper::client::conn::http2::handshake(executor, TokioIo::new(transport))
        .await
        .map_err(io::Error::other)?;
    let scheme = if address.secure { "https" } else { "http" };
    let request = Request::get(format!("{scheme}://{}{path}", host_of(address)))
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    tokio::spawn(async move {
        // Its end shows in the answer.
        let _: Result<(), hyper::Error> = driver.await;
    });
    sender.send_request(request).await.map(|response| response.status()).map_err(io::Error::other)
}

fn host_of(address: &TargetAddress) -> String {
    if address.host.contains(':') {
        format!("[{}]:{}", address.host, address.port)
    } else {
        format!("{}:{}", address.host, address.port)
    }
}

/// Fetches key sets for a program that runs no gateway.
pub struct KeySetFetcher(Housekeeping);

/// A fetcher with a thread of its own.
///
/// # Errors
/// When there is no thread to be had.
pub fn fetcher() -> io::Result<KeySetFetcher> {
    Housekeeping::start().map(KeySetFetcher)
}

impl KeySetFetcher {
    /// Fetches the keys of `source` and waits for them. Whether they came shows in the source.
    pub fn refresh(&self, source: &Arc<KeySource>) {
        let (source, fetch) = (Arc::clone(source), self.0.fetch());
        let (done, is_done) = std::sync::mpsc::sync_channel(1);
        self.0.runtime.spawn(async move {
            let _: Result<_, _> = source.refresh(&*fetch, SystemClock.now()).await;
            // Nobody waits any more if this fails.
            let _: Result<(), _> = done.send(());
        });
        let _: Result<(), _> = is_done.recv_timeout(FETCH_TIMEOUT.saturating_mul(2));
    }
}
