//! Where state lives, as it is written and compiled.

use std::sync::Arc;

use portcullis_core::{ConfigFolder, KeyPath, Problems};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::redis::{RawRedis, Redis};

/// Where state lives that outlives a process or is shared by several.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawStore {
    /// A Redis or Valkey that several gateways share. Without it each gateway counts for itself.
    pub redis: Option<RawRedis>,
}

/// Where state lives.
#[derive(Debug, Clone, Default)]
pub struct Store {
    /// What several gateways share.
    pub redis: Option<Arc<Redis>>,
}

impl Store {
    /// Compiles the configured stores; what is wrong goes to `problems`. A Redis that `previous` has with the same settings
    /// goes on with what is known of its health.
    #[must_use]
    pub fn compile(
        raw: &RawStore,
        folder: &ConfigFolder,
        path: &KeyPath,
        problems: &mut Problems,
        previous: Option<&Self>,
    ) -> Self {
        let known = previous.and_then(|previous| previous.redis.as_ref());
        let redis = raw.redis.as_ref();
        Self { redis: redis.and_then(|raw| Redis::compile(raw, folder, &path.key("redis"), problems, known)) }
    }
}
