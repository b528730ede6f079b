//! What operators are told of a gateway, as long as it lives and while it stops.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use portcullis_pipeline::Snapshot;

use crate::shared::Shared;

/// A view of a gateway. It outlives the gateway's own handle: while a gateway drains, operators still ask.
#[derive(Clone)]
pub struct Observer {
    pub(crate) shared: Arc<Shared>,
}

/// Whether requests can be answered as the configuration means it, and what is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Whether the gateway was told to stop.
    pub is_draining: bool,
    /// The URLs of the key sets of which there are no usable keys.
    pub missing_key_sets: Vec<String>,
    /// The services none of whose targets may be asked at the moment.
    pub services_without_target: Vec<String>,
}

impl Observer {
    /// The generation of the configuration in force.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.shared.prepared.load().snapshot.generation
    }

    /// The configuration in force.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.shared.prepared.load().snapshot)
    }

    /// Whether requests can be answered.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        Readiness {
            is_draining: self.shared.draining.load(Ordering::Relaxed),
            missing_key_sets: self.shared.missing_key_sets(),
            services_without_target: self.shared.services_without_target(),
        }
    }

    /// All counters as Prometheus reads them.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.shared.publish_health();
        self.shared.publish_certificates();
        let snapshot = &self.shared.prepared.load().snapshot;
        let metrics = &snapshot.metrics;
        metrics.audit_losses(snapshot.audit.dropped(), snapshot.audit.failures());
        metrics.key_sets_missing(self.shared.missing_key_sets().len());
        metrics.config_generation(snapshot.generation);
        if let Some(redis) = &snapshot.store.redis {
            metrics.store(redis);
        }
        metrics.render()
    }
}
