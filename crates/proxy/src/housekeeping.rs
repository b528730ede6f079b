//! What goes on beside the requests: fetching key sets and asking targets whether they are well. One thread does
//! it all, so that a slow identity provider never holds up a worker.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use portcullis_core::{Clock, Notes, QuotaCount, SystemClock};
use portcullis_oidc::{Fetch, FetchError, MAX_KEY_SET_BYTES, Sending};
use portcullis_pipeline::settings::{TargetAddress, UpstreamProtocol, UpstreamTls};
use portcullis_pipeline::{Need, Snapshot};
use portcullis_store::redis::Link;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_rustls::rustls::ClientConfig;

use crate::event::Event;
use crate::shared::{Prepared, Shared};
use crate::tls;
use crate::upstream::{check_actively, open};

/// How long a key set may take to arrive.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// How often is looked whether a key set is due.
const KEY_SET_ROUND: Duration = Duration::from_secs(1);

/// How often is looked what was changed in the database.
const DATABASE_ROUND: Duration = Duration::from_millis(500);

/// How long a gateway that starts or stops waits for the database.
const DATABASE_PATIENCE: Duration = Duration::from_secs(2);

/// How often is looked whether a webhook is to be told of something.
const NOTICE_ROUND: Duration = Duration::from_secs(1);

/// How often is looked whether the files of certificates have changed.
const CERTIFICATE_ROUND: Duration = Duration::from_secs(1);

/// The thread for everything that is not a request.
pub(crate) struct Housekeeping {
    runtime: Handle,
    /// What was started for the present configuration.
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Whom fetches trust, once that was read: all authorities of the system take milliseconds, and strangers may begin logins.
    trust: Trust,
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
        Ok(Self { runtime: handle, tasks: Mutex::default(), trust: Trust::default(), _stop: stop })
    }

    /// What fetches key sets, for the workers.
    pub(crate) fn fetch(&self) -> Arc<dyn Fetch> {
        Arc::new(Fetcher { runtime: self.runtime.clone(), trust: Arc::clone(&self.trust) })
    }

    /// Looks what was changed in the database, and waits for that, as long as the database may take: before the first request,
    /// so that whatever is changed from then on is on the record, and after the last.
    pub(crate) fn follow_now(&self, shared: &Arc<Shared>) {
        let (done, finished) = std::sync::mpsc::channel();
        let shared = Arc::clone(shared);
        self.runtime.spawn(async move {
            let snapshot = Arc::clone(&shared.prepared.load().snapshot);
            follow(&shared, &snapshot).await;
            // Nobody waits any more, at the worst.
            let _: Result<(), _> = done.send(());
        });
        let _: Result<(), _> = finished.recv_timeout(DATABASE_PATIENCE);
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
        if prepared.snapshot.store.database.is_some() {
            let (shared, prepared) = (Arc::clone(shared), Arc::clone(prepared));
            tasks.push(self.runtime.spawn(async move {
                let mut rounds = tokio::time::interval(DATABASE_ROUND);
                loop {
                    rounds.tick().await;
                    follow(&shared, &prepared.snapshot).await;
                }
            }));
        }
        if prepared.snapshot.quotas.has_webhook() {
            let (fetch, prepared) = (self.fetch(), Arc::clone(prepared));
            tasks.push(self.runtime.spawn(async move {
                let mut rounds = tokio::time::interval(NOTICE_ROUND);
                loop {
                    rounds.tick().await;
                    // What could not be taken from the database now is taken with the next round.
                    let _: Result<(), _> =
                        prepared.snapshot.quotas.send_notices(&*fetch, SystemClock.now()).await;
                }
            }));
        }
        tasks.push(self.runtime.spawn(watch_certificates(Arc::clone(shared), Arc::clone(prepared))));
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

/// Learns what was changed in the database. Without it what is known goes on for a while; whoever needs more is told.
async fn follow(shared: &Shared, snapshot: &Snapshot) {
    let authentication = &snapshot.authentication;
    if let Some(revocations) = authentication.revocations() {
        let _: Result<(), _> = revocations.follow(SystemClock.now()).await;
    }
    for keys in authentication.stored_keys() {
        let _: Result<(), _> = keys.follow().await;
    }
    for sessions in authentication.sessions() {
        let _: Result<(), _> = sessions.follow(SystemClock.now()).await;
    }
    let _: Result<(), _> = shared.recorded_changes.lock().await.follow(snapshot).await;
}

/// Reads certificates again when their files change.
async fn watch_certificates(shared: Arc<Shared>, prepared: Arc<Prepared>) {
    let mut rounds = tokio::time::interval(CERTIFICATE_ROUND);
    loop {
        rounds.tick().await;
        for (index, listener) in prepared.snapshot.listeners.iter().enumerate() {
            let refreshed = prepared.server_tls(index).and_then(|tls| tls.refresh());
            let listener = listener.name.clone();
            match refreshed {
                None => {}
                Some(Ok(())) => shared.reporter.tell(Event::CertificatesLoaded { listener }),
                Some(Err(error)) => {
                    let error = error.to_string();
                    shared.reporter.tell(Event::CertificatesFailed { listener, error });
                }
            }
        }
    }
}

/// Fetches documents on the housekeeping thread.
struct Fetcher {
    runtime: Handle,
    trust: Trust,
}

type Trust = Arc<OnceLock<Arc<ClientConfig>>>;

impl Fetch for Fetcher {
    fn send(&self, request: Request<Bytes>) -> Sending<'_> {
        let sending = send(request, Arc::clone(&self.trust));
        let fetching = self.runtime.spawn(tokio::time::timeout(FETCH_TIMEOUT, sending));
        Box::pin(async move {
            match fetching.await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Err(FetchError::TimedOut),
                Err(error) => Err(FetchError::Unreachable(error.to_string())),
            }
        })
    }
}

async fn send(request: Request<Bytes>, trust: Trust) -> Result<Response<Bytes>, FetchError> {
    let unreachable = |error: &dyn std::fmt::Display| FetchError::Unreachable(error.to_string());
    let (mut parts, body) = request.into_parts();
    let url = &parts.uri;
    let authority = url.authority().ok_or_else(|| FetchError::Unreachable("no host".to_owned()))?;
    let address = TargetAddress::parse(&format!("{}://{authority}", url.scheme_str().unwrap_or("https")))
        .map_err(|error| unreachable(&error))?;
    let config = match trust.get() {
        _ if !address.secure => None,
        Some(config) => Some(Arc::clone(config)),
        None => {
            let config = tls::client_config(&UpstreamTls::default(), UpstreamProtocol::Http1)
                .map_err(|error| unreachable(&error))?;
            Some(Arc::clone(trust.get_or_init(|| config)))
        }
    };
    parts.uri = url.path_and_query().map_or_else(|| Uri::from_static("/"), |path| Uri::from(path.clone()));
    let request = Request::from_parts(parts, Full::new(body));
    let response =
        exchange(&address, request, config.as_ref(), None).await.map_err(|error| unreachable(&error))?;
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, MAX_KEY_SET_BYTES).collect().await.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            FetchError::TooLarge
        } else {
            unreachable(&error)
        }
    })?;
    Ok(Response::from_parts(parts, body.to_bytes()))
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
        let request = Request::get(&path).body(Full::default()).map_err(|error| error.to_string())?;
        exchange(&address, request, tls.as_ref(), name.as_deref()).await.map(|response| response.status())
    };
    match status {
        Ok(status) if status.is_success() || status.is_redirection() => Ok(()),
        Ok(status) => Err(format!("`{path}` answers {status}")),
        Err(error) => Err(format!("`{path}` does not answer: {error}")),
    }
}

/// Sends one request over a connection of its own.
async fn exchange(
    address: &TargetAddress,
    mut request: Request<Full<Bytes>>,
    tls: Option<&Arc<ClientConfig>>,
    name: Option<&str>,
) -> io::Result<Response<hyper::body::Incoming>> {
    let transport = open(address, tls, name).await?;
    let (mut sender, driver) = http1::handshake(TokioIo::new(transport)).await.map_err(io::Error::other)?;
    let host = HeaderValue::try_from(host_of(address)).map_err(io::Error::other)?;
    request.headers_mut().insert(HOST, host);
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
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

/// Fetches what requests need, for a program that runs no gateway.
pub struct NeedFetcher(Housekeeping);

/// A fetcher with a thread of its own.
///
/// # Errors
/// When there is no thread to be had.
pub fn fetcher() -> io::Result<NeedFetcher> {
    Housekeeping::start().map(NeedFetcher)
}

impl NeedFetcher {
    /// Fetches what is needed and waits for it. Whether it came shows when the stages run again.
    /// Counters that are shared with other gateways, and quotas, are read and left as they are.
    pub fn fetch(&self, need: &Need, notes: &mut Notes) {
        let fetch = self.0.fetch();
        match need {
            Need::Authentication(portcullis_authn::Need::Keys(source)) => {
                let source = Arc::clone(source);
                self.wait_for(async move {
                    let _: Result<_, _> = source.refresh(&*fetch, SystemClock.now()).await;
                });
            }
            Need::Authentication(portcullis_authn::Need::ApiKey(question)) => {
                let question = question.clone();
                self.wait_for(async move { question.ask(SystemClock.now()).await });
            }
            Need::Authentication(portcullis_authn::Need::Login(question)) => {
                let question = question.clone();
                self.wait_for(async move { question.rehearse(&*fetch, SystemClock.now()).await });
            }
            Need::Authentication(portcullis_authn::Need::Introspection(question)) => {
                let question = question.clone();
                self.wait_for(async move { question.ask(&*fetch, SystemClock.now()).await });
            }
            Need::Token(question) => {
                let question = question.clone();
                self.wait_for(async move { question.ask(&*fetch, SystemClock.now()).await });
            }
            Need::Limits(_, ask) => {
                let asking = ask.clone();
                let answer = self.wait_for(async move {
                    let link = Link::new(asking.redis(), |_| {});
                    asking.rehearse(&link).await
                });
                notes.shared_count = Some(Box::new(answer.unwrap_or_else(|| ask.unanswered())));
            }
            Need::Quotas(ask) => {
                let asking = ask.clone();
                let answer = self.wait_for(async move { asking.rehearse().await });
                let answer = answer.unwrap_or(QuotaCount::Unanswered { passes: false });
                notes.quota_count = Some(Box::new(answer));
            }
        }
    }

    fn wait_for<T: Send + 'static>(&self, fetching: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (done, is_done) = std::sync::mpsc::sync_channel(1);
        self.0.runtime.spawn(async move {
            // Nobody waits any more if this fails.
            let _: Result<(), _> = done.send(fetching.await);
        });
        is_done.recv_timeout(FETCH_TIMEOUT.saturating_mul(2)).ok()
    }
}
