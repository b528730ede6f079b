//! Where the keys of an issuer come from.

use std::sync::Arc;

use portcullis_core::Timestamp;

use crate::remote::RemoteKeys;
use crate::{Fetch, KeySet, KeySetUrl, RefreshError, RefreshRules, Refreshed};

/// The keys of one issuer, now and later: fixed with the configuration, or published at a URL.
#[derive(Debug)]
pub struct KeySource(Origin);

#[derive(Debug)]
enum Origin {
    Fixed(Arc<PublishedKeys>),
    Remote(Box<RemoteKeys>),
}

/// A key set and its generation.
#[derive(Debug)]
pub struct PublishedKeys {
    /// The keys.
    pub keys: KeySet,
    /// Changes whenever a key of the source comes, goes or changes.
    pub generation: Generation,
}

/// Counts the different key sets that a source has had. What was verified under one generation must be
/// verified again under the next: the key may be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation(pub(crate) u64);

/// There are no keys: none were ever fetched, or the last ones are too old to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no current keys")]
pub struct KeysUnavailable;

impl KeySource {
    /// Keys that stay as they are.
    #[must_use]
    pub fn fixed(keys: KeySet) -> Self {
        Self(Origin::Fixed(Arc::new(PublishedKeys { keys, generation: Generation(0) })))
    }

    /// Keys that a provider publishes at `url`. There are none until the first refresh.
    #[must_use]
    pub fn remote(url: KeySetUrl, rules: RefreshRules) -> Self {
        Self(Origin::Remote(Box::new(RemoteKeys::new(url, None, rules))))
    }

    /// Keys of which the issuer itself says where they are: by OpenID Connect Discovery, or RFC 8414. `url` is the issuer as a
    /// URL.
    #[must_use]
    pub fn discovered(issuer: &str, url: KeySetUrl, rules: RefreshRules) -> Self {
        Self(Origin::Remote(Box::new(RemoteKeys::new(url, Some(issuer.to_owned()), rules))))
    }

    /// The keys to verify with at `now`.
    ///
    /// # Errors
    /// When there are none, or they were last confirmed longer than `max_stale` ago.
    pub fn current(&self, now: Timestamp) -> Result<Arc<PublishedKeys>, KeysUnavailable> {
        match &self.0 {
            Origin::Fixed(published) => Ok(Arc::clone(published)),
            Origin::Remote(remote) => remote.current(now),
        }
    }

    /// The generation of the keys that [`Self::current`] would give, at the cost of two loads.
    #[must_use]
    pub fn generation(&self, now: Timestamp) -> Option<Generation> {
        match &self.0 {
            Origin::Fixed(published) => Some(published.generation),
            Origin::Remote(remote) => remote.generation(now),
        }
    }

    /// Whether a fetch at `now` could bring a key that is not there: the source is remote, and it is being
    /// fetched or its cool-down is over.
    #[must_use]
    pub fn may_refresh(&self, now: Timestamp) -> bool {
        match &self.0 {
            Origin::Fixed(_) => false,
            Origin::Remote(remote) => remote.may_refresh(now),
        }
    }

    /// Fetches the keys because a request needs one that is not there. All who ask at the same time share one
    /// fetch, and after it there is none for the cool-down, whoever asks.
    ///
    /// # Errors
    /// When the fetch fails or brings no usable key set; the keys from before stay in use.
    pub async fn refresh(&self, fetch: &dyn Fetch, now: Timestamp) -> Result<Refreshed, RefreshError> {
        match &self.0 {
            Origin::Fixed(_) => Ok(Refreshed::NotYet),
            Origin::Remote(remote) => remote.refresh(fetch, now).await,
        }
    }

    /// Fetches the keys because the provider itself has just given us a token that is signed with a key that is not there. That is
    /// nothing that anybody could make happen at will, so there is no cool-down.
    ///
    /// # Errors
    /// As [`Self::refresh`].
    pub async fn refresh_now(&self, fetch: &dyn Fetch, now: Timestamp) -> Result<Refreshed, RefreshError> {
        match &self.0 {
            Origin::Fixed(_) => Ok(Refreshed::NotYet),
            Origin::Remote(remote) => remote.refresh_now(fetch, now).await,
        }
    }

    /// Whether the background refresh should run at `now`.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> bool {
        match &self.0 {
            Origin::Fixed(_) => false,
            Origin::Remote(remote) => remote.due(now),
        }
    }

    /// Fetches the keys in the background, if it is time. Unlike [`Self::refresh`] this does not heed the
    /// cool-down: requests that ask for a fetch and go away before it ends cannot hold it back.
    ///
    /// # Errors
    /// As [`Self::refresh`].
    pub async fn refresh_if_due(&self, fetch: &dyn Fetch, now: Timestamp) -> Result<Refreshed, RefreshError> {
        match &self.0 {
            Origin::Fixed(_) => Ok(Refreshed::NotYet),
            Origin::Remote(remote) => remote.refresh_if_due(fetch, now).await,
        }
    }

    /// Whether there are keys to verify with at `now`: what a readiness probe asks.
    #[must_use]
    pub fn is_ready(&self, now: Timestamp) -> bool {
        self.generation(now).is_some()
    }

    /// The URL of a remote source, which is the issuer's where keys are discovered.
    #[must_use]
    pub fn url(&self) -> Option<&KeySetUrl> {
        match &self.0 {
            Origin::Fixed(_) => None,
            Origin::Remote(remote) => Some(remote.url()),
        }
    }

    /// Whether this source fetches what `other` would, under the same rules, so that a new configuration may take it over
    /// with the keys it already has.
    #[must_use]
    pub fn serves(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Origin::Remote(one), Origin::Remote(other)) => {
                one.url() == other.url() && one.issuer() == other.issuer() && one.rules() == other.rules()
            }
            _ => false,
        }
    }
}
