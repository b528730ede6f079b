//! A provider, and what it says of itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_core::Timestamp;
use portcullis_oidc::client::{ProviderMetadata, TokenClientError};
use portcullis_oidc::{Fetch, FetchError};

use crate::fault::Fault;
use crate::flights::Flights;

/// How long what a provider says of itself is believed.
const METADATA: Duration = Duration::from_secs(60 * 60);
/// How long it is not asked after it could not be.
const PAUSE: Duration = Duration::from_secs(1);
/// The same where what it said before is at hand: that seldom changes.
const ASKED_AGAIN: Duration = Duration::from_secs(30);

/// A provider.
#[derive(Debug)]
pub(crate) struct Provider {
    issuer: String,
    said: Mutex<Option<Said>>,
    away_until: AtomicU64,
    flights: Flights<()>,
}

#[derive(Debug, Clone)]
struct Said {
    metadata: Arc<ProviderMetadata>,
    until: Timestamp,
}

impl Provider {
    /// One that is asked about itself.
    pub(crate) fn new(issuer: String) -> Self {
        Self { issuer, said: Mutex::new(None), away_until: AtomicU64::new(0), flights: Flights::default() }
    }

    /// One of which everything is known.
    pub(crate) fn fixed(metadata: ProviderMetadata) -> Self {
        let issuer = metadata.issuer.clone();
        let said = Said { metadata: Arc::new(metadata), until: Timestamp(u64::MAX) };
        Self {
            issuer,
            said: Mutex::new(Some(said)),
            away_until: AtomicU64::new(0),
            flights: Flights::default(),
        }
    }

    /// What it said, however long ago; `None` if it was not asked yet.
    pub(crate) fn at_hand(&self, now: Timestamp) -> Result<Option<Arc<ProviderMetadata>>, Fault> {
        match &*self.said.lock() {
            Some(said) => Ok(Some(Arc::clone(&said.metadata))),
            None if now.0 < self.away_until.load(Ordering::Relaxed) => Err(Fault::ISSUER_UNAVAILABLE),
            None => Ok(None),
        }
    }

    /// What it says of itself, asked once for all who want to know. If it says nothing, what it said before holds.
    pub(crate) async fn metadata(
        &self,
        fetch: &dyn Fetch,
        now: Timestamp,
    ) -> Result<Arc<ProviderMetadata>, TokenClientError> {
        match self.known(now) {
            Some(known) => known,
            None => self.flights.in_turn((), self.ask(fetch, now)).await,
        }
    }

    /// What is known without asking. While the provider is away, that is what it said before, however long ago.
    fn known(&self, now: Timestamp) -> Option<Result<Arc<ProviderMetadata>, TokenClientError>> {
        let is_away = now.0 < self.away_until.load(Ordering::Relaxed);
        match &*self.said.lock() {
            Some(said) if is_away || now < said.until => Some(Ok(Arc::clone(&said.metadata))),
            // Whoever asks on behalf of strangers is not the one who decides how often.
            None if is_away => Some(Err(FetchError::TimedOut.into())),
            _ => None,
        }
    }

    async fn ask(
        &self,
        fetch: &dyn Fetch,
        now: Timestamp,
    ) -> Result<Arc<ProviderMetadata>, TokenClientError> {
        if let Some(known) = self.known(now) {
            return known;
        }
        let before = self.said.lock().clone();
        match (ProviderMetadata::discover(fetch, &self.issuer).await, before) {
            (Ok(metadata), _) => {
                let metadata = Arc::new(metadata);
                *self.said.lock() = Some(Said { metadata: Arc::clone(&metadata), until: now.plus(METADATA) });
                Ok(metadata)
            }
            (Err(_), Some(said)) => {
                self.away_until.fetch_max(now.plus(ASKED_AGAIN).0, Ordering::Relaxed);
                Ok(said.metadata)
            }
            (Err(error), None) => {
                self.away_until.fetch_max(now.plus(PAUSE).0, Ordering::Relaxed);
                Err(error.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize};

    use bytes::Bytes;
    use http::Response;
    use portcullis_oidc::Sending;

    use super::*;

    const ISSUER: &str = "https://idp.test";

    #[derive(Default)]
    struct Network {
        is_down: AtomicBool,
        asked: AtomicUsize,
    }

    impl Fetch for Network {
        fn send(&self, _: http::Request<Bytes>) -> Sending<'_> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let answer = if self.is_down.load(Ordering::Relaxed) {
                Err(FetchError::TimedOut)
            } else {
                Ok(Response::new(format!("{{\"issuer\":\"{ISSUER}\"}}").into()))
            };
            Box::pin(async { answer })
        }
    }

    #[tokio::test]
    async fn what_a_provider_said_serves_while_it_is_away_and_nobody_waits_for_it() {
        let (network, provider) = (Network::default(), Provider::new(ISSUER.to_owned()));
        let asked_at = async |seconds| {
            let known = provider.metadata(&network, Timestamp::from_secs(seconds)).await;
            (known.is_ok(), network.asked.load(Ordering::Relaxed))
        };
        network.is_down.store(true, Ordering::Relaxed);
        assert_eq!(asked_at(1000).await, (false, 1));
        assert_eq!(asked_at(1000).await, (false, 1), "it was asked just now");
        network.is_down.store(false, Ordering::Relaxed);
        assert_eq!(asked_at(1001).await, (true, 2));
        assert_eq!(asked_at(4600).await, (true, 2));
        network.is_down.store(true, Ordering::Relaxed);
        assert_eq!(asked_at(4601).await, (true, 3), "it may say something else by now");
        assert_eq!(asked_at(4630).await, (true, 3), "nobody waits for it again");
        assert_eq!(asked_at(4631).await, (true, 4));
    }
}
