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
        self.flights.in_turn((), self.ask(fetch, now)).await
    }

    async fn ask(
        &self,
        fetch: &dyn Fetch,
        now: Timestamp,
    ) -> Result<Arc<ProviderMetadata>, TokenClientError> {
        let before = self.said.lock().clone();
        match &before {
            Some(said) if now < said.until => return Ok(Arc::clone(&said.metadata)),
            // Whoever asks on behalf of strangers is not the one who decides how often.
            None if now.0 < self.away_until.load(Ordering::Relaxed) => {
                return Err(FetchError::TimedOut.into());
            }
            _ => {}
        }
        match (ProviderMetadata::discover(fetch, &self.issuer).await, before) {
            (Ok(metadata), _) => {
                let metadata = Arc::new(metadata);
                *self.said.lock() = Some(Said { metadata: Arc::clone(&metadata), until: now.plus(METADATA) });
                Ok(metadata)
            }
            (Err(_), Some(said)) => Ok(said.metadata),
            (Err(error), None) => {
                self.away_until.fetch_max(now.plus(PAUSE).0, Ordering::Relaxed);
                Err(error.into())
            }
        }
    }
}
