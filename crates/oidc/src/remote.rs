//! Keys published at a URL: one fetch at a time, a cool-down, and old keys while the provider is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use portcullis_core::{KeyPath, Period, Problems, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::client::{MetadataError, ProviderMetadata};
use crate::{
    Fetch, FetchError, Generation, KeySet, KeySetError, KeySetUrl, KeysUnavailable, PublishedKeys,
    SkippedKey, fetch,
};

/// When keys from a URL are fetched again, and how long they are trusted without that.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawRefresh {
    /// How often the keys are fetched in the background. A removed key is refused after this time at most. Default: 5m,
    /// or what `cool_down` and `max_stale` leave room for.
    pub every: Option<Period>,
    /// The shortest time between fetches that requests with an unknown key id may cause. Default: 30s, or `every` if that
    /// is less.
    pub cool_down: Option<Period>,
    /// How long the last keys are used while the provider cannot be reached; then requests get 503. Default: 1h, or `every`
    /// if that is more.
    pub max_stale: Option<Period>,
}

/// [`RawRefresh`] with its order checked: `0 < cool_down <= every <= max_stale`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshRules {
    every: Duration,
    cool_down: Duration,
    max_stale: Duration,
}

impl Default for RefreshRules {
    fn default() -> Self {
        Self::from(&RawRefresh::default())
    }
}

impl From<&RawRefresh> for RefreshRules {
    /// What is not written gives way to what is: a default never contradicts a value that someone chose.
    fn from(raw: &RawRefresh) -> Self {
        let written = |period: Option<Period>| period.map(|period| period.0);
        let (cool_down, max_stale) = (written(raw.cool_down), written(raw.max_stale));
        let every = written(raw.every).unwrap_or_else(|| {
            let most = max_stale.unwrap_or(Duration::MAX);
            Duration::from_secs(300).min(most).max(cool_down.unwrap_or_default())
        });
        Self {
            every,
            cool_down: cool_down.unwrap_or_else(|| Duration::from_secs(30).min(every)),
            max_stale: max_stale.unwrap_or_else(|| Duration::from_secs(3600).max(every)),
        }
    }
}

impl RefreshRules {
    /// Checks the rules; whatever is wrong is recorded.
    #[must_use]
    pub fn compile(raw: &RawRefresh, path: &KeyPath, problems: &mut Problems) -> Self {
        let mut refuse = |key: &str, written: Option<Period>, (least, named): (Duration, &str)| {
            if let Some(written) = written.filter(|written| written.0 < least) {
                problems
                    .error(&path.key(key), format!("`{written}` is shorter than {named}"))
                    .suggest("write a longer time, or leave it out");
            }
        };
        let least = (Duration::from_secs(1), "1s");
        refuse("cool_down", raw.cool_down, least);
        let least = raw.cool_down.map_or(least, |cool_down| (cool_down.0, "`cool_down`"));
        refuse("every", raw.every, least);
        refuse("max_stale", raw.max_stale, raw.every.map_or(least, |every| (every.0, "`every`")));
        Self::from(raw)
    }
}

/// What a refresh did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// There are other keys than before. Some of the document may be of no use.
    Changed(Vec<SkippedKey>),
    /// The keys are the same.
    Unchanged,
    /// Nothing was fetched: it is not time, or somebody else has just done it.
    NotYet,
}

/// Why a refresh failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    /// There is no document.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The issuer does not say where its keys are.
    #[error("the issuer's metadata: {0}")]
    Metadata(#[from] MetadataError),
    /// The document is not a usable key set. An empty one counts as such: a provider that publishes its
    /// mistake must not take every service down before `max_stale`.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
}

/// No attempt yet; as a due time, at once.
const NEVER: u64 = 0;

#[derive(Debug)]
pub(crate) struct RemoteKeys {
    url: KeySetUrl,
    /// The issuer, if `url` is that and not yet where its keys are.
    issuer: Option<String>,
    rules: RefreshRules,
    current: ArcSwapOption<PublishedKeys>,
    /// When the provider last published what is in `current`.
    confirmed: AtomicU64,
    /// When the last fetch began. Starts the cool-down even if the fetch is abandoned.
    attempted: AtomicU64,
    /// When the background refresh should fetch.
    due: AtomicU64,
    flight: Mutex<()>,
}

impl RemoteKeys {
    pub(crate) fn new(url: KeySetUrl, issuer: Option<String>, rules: RefreshRules) -> Self {
        Self {
            url,
            issuer,
            rules,
            current: ArcSwapOption::empty(),
            confirmed: AtomicU64::new(NEVER),
            attempted: AtomicU64::new(NEVER),
            due: AtomicU64::new(NEVER),
            flight: Mutex::new(()),
        }
    }

    pub(crate) fn url(&self) -> &KeySetUrl {
        &self.url
    }

    pub(crate) fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    pub(crate) fn rules(&self) -> &RefreshRules {
        &self.rules
    }

    pub(crate) fn current(&self, now: Timestamp) -> Result<Arc<PublishedKeys>, KeysUnavailable> {
        if self.is_fresh_enough(now) {
            self.current.load_full().ok_or(KeysUnavailable)
        } else {
            Err(KeysUnavailable)
        }
    }

    pub(crate) fn generation(&self, now: Timestamp) -> Option<Generation> {
        if !self.is_fresh_enough(now) {
            return None;
        }
        self.current.load().as_ref().map(|published| published.generation)
    }

    pub(crate) fn may_refresh(&self, now: Timestamp) -> bool {
        self.has_cooled_down(now) || self.flight.try_lock().is_err()
    }

    pub(crate) fn due(&self, now: Timestamp) -> bool {
        let due = read(&self.due);
        now >= due || self.was_set_back(now)
    }

    pub(crate) async fn refresh(&self, fetch: &dyn Fetch, now: Timestamp) -> Result<Refreshed, RefreshError> {
        let _flight = self.flight.lock().await;
        if self.has_cooled_down(now) { self.fetch_once(fetch, now).await } else { Ok(Refreshed::NotYet) }
    }

    /// Unless somebody has begun a fetch since `now`.
    pub(crate) async fn refresh_now(
        &self,
        fetch: &dyn Fetch,
        now: Timestamp,
    ) -> Result<Refreshed, RefreshError> {
        let _flight = self.flight.lock().await;
        if read(&self.attempted) < now { self.fetch_once(fetch, now).await } else { Ok(Refreshed::NotYet) }
    }

    pub(crate) async fn refresh_if_due(
        &self,
        fetch: &dyn Fetch,
        now: Timestamp,
    ) -> Result<Refreshed, RefreshError> {
        let _flight = self.flight.lock().await;
        if self.due(now) { self.fetch_once(fetch, now).await } else { Ok(Refreshed::NotYet) }
    }

    /// The caller holds the flight.
    async fn fetch_once(&self, fetch: &dyn Fetch, now: Timestamp) -> Result<Refreshed, RefreshError> {
        write(&self.attempted, now);
        let mut next = NextRefresh { due: &self.due, at: Timestamp(NEVER) };
        let outcome = match self.document(fetch).await {
            Ok(document) => self.publish(&document, now),
            Err(error) => Err(error),
        };
        next.at = now.plus(if outcome.is_ok() { self.rules.every } else { self.rules.cool_down });
        outcome
    }

    /// The key set. An issuer is asked each time where it is: it may have moved.
    async fn document(&self, fetch: &dyn Fetch) -> Result<Bytes, RefreshError> {
        let Some(issuer) = &self.issuer else { return Ok(fetch::document(fetch, self.url.as_uri()).await?) };
        let metadata = ProviderMetadata::discover(fetch, issuer).await?;
        let url = metadata.jwks_uri.ok_or(MetadataError::Missing("jwks_uri"))?;
        Ok(fetch::document(fetch, url.as_uri()).await?)
    }

    fn publish(&self, document: &[u8], now: Timestamp) -> Result<Refreshed, RefreshError> {
        let keys = KeySet::from_jwks(document)?;
        let before = self.current.load_full();
        let outcome = match before {
            Some(before) if before.keys.is_same(&keys) => Refreshed::Unchanged,
            before => {
                let skipped = keys.skipped().to_vec();
                let generation = Generation(before.map_or(0, |before| before.generation.0 + 1));
                self.current.store(Some(Arc::new(PublishedKeys { keys, generation })));
                Refreshed::Changed(skipped)
            }
        };
        write(&self.confirmed, now);
        Ok(outcome)
    }

    fn is_fresh_enough(&self, now: Timestamp) -> bool {
        now.since(read(&self.confirmed)) <= self.rules.max_stale
    }

    fn has_cooled_down(&self, now: Timestamp) -> bool {
        let attempted = read(&self.attempted);
        attempted.0 == NEVER || now.since(attempted) >= self.rules.cool_down || self.was_set_back(now)
    }

    /// Whether the last fetch lies further in the future than a request can have waited for it: somebody set
    /// the clock back, and nothing would be fetched until it has caught up.
    fn was_set_back(&self, now: Timestamp) -> bool {
        read(&self.attempted).since(now) > self.rules.every
    }
}

/// Writes when the next background refresh is due, also when the fetch is abandoned half-way: then at once.
/// Otherwise a client that asks for a fetch and hangs up could keep the keys old.
struct NextRefresh<'s> {
    due: &'s AtomicU64,
    at: Timestamp,
}

impl Drop for NextRefresh<'_> {
    fn drop(&mut self) {
        write(self.due, self.at);
    }
}

fn read(moment: &AtomicU64) -> Timestamp {
    Timestamp(moment.load(Ordering::Acquire))
}

fn write(moment: &AtomicU64, at: Timestamp) {
    moment.store(at.0, Ordering::Release);
}
