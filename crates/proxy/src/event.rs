//! What happens beside the requests and an operator should hear of. Told when it changes, not each time it is seen.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_limit::Crossing;
use portcullis_oidc::{KeySource, RefreshError, Refreshed};
use portcullis_pipeline::Metrics;

/// Something that an operator should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The keys at a URL were fetched: they are others than before, or the last attempt had failed.
    KeySetLoaded {
        /// Where they are published.
        url: String,
        /// The keys that are not used, and why.
        skipped: Vec<String>,
    },
    /// The keys at a URL could not be fetched. Those from before stay in use for a while.
    KeySetFailed {
        /// Where they should be.
        url: String,
        /// Why.
        error: String,
    },
    /// A target is not asked any more.
    TargetDown {
        /// The service.
        service: String,
        /// The target.
        target: String,
        /// What it did last.
        cause: String,
    },
    /// The certificates of a listener were read again, since a file of theirs had changed.
    CertificatesLoaded {
        /// The listener.
        listener: String,
    },
    /// They could not be used. Those from before stay in use.
    CertificatesFailed {
        /// The listener.
        listener: String,
        /// Why.
        error: String,
    },
    /// The store that several gateways share is lost.
    StoreLost {
        /// What it did last.
        cause: String,
    },
    /// It answers again.
    StoreBack,
    /// A threshold of a quota is reached.
    QuotaReached(Crossing),
    /// A target is asked again.
    TargetUp {
        /// The service.
        service: String,
        /// The target.
        target: String,
    },
}

/// Whoever is told of events. It is called on the way of requests, so it must not wait.
#[derive(Clone)]
pub struct Reporter(Arc<dyn Fn(Event) + Send + Sync>);

impl Reporter {
    /// Has `tell` told of every event.
    pub fn new(tell: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(crate) fn tell(&self, event: Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reporter")
    }
}

/// Which key sets could not be fetched when it was last tried.
#[derive(Debug)]
pub(crate) struct KeyWatch {
    reporter: Reporter,
    failing: Mutex<HashSet<String>>,
}

impl KeyWatch {
    pub(crate) fn new(reporter: Reporter) -> Self {
        Self { reporter, failing: Mutex::default() }
    }

    /// Takes into account what a refresh of `source` brought.
    pub(crate) fn note(
        &self,
        source: &KeySource,
        outcome: Result<Refreshed, RefreshError>,
        metrics: &Metrics,
    ) {
        let Some(url) = source.url().map(ToString::to_string) else { return };
        match outcome {
            Ok(Refreshed::NotYet) => {}
            Ok(Refreshed::Unchanged) => {
                if self.failing.lock().remove(&url) {
                    self.reporter.tell(Event::KeySetLoaded { url, skipped: Vec::new() });
                }
            }
            Ok(Refreshed::Changed(skipped)) => {
                self.failing.lock().remove(&url);
                let skipped =
                    skipped.iter().map(|key| format!("key {}: {}", key.position, key.reason)).collect();
                self.reporter.tell(Event::KeySetLoaded { url, skipped });
            }
            Err(error) => {
                metrics.key_set_failed();
                if self.failing.lock().insert(url.clone()) {
                    self.reporter.tell(Event::KeySetFailed { url, error: error.to_string() });
                }
            }
        }
    }
}
