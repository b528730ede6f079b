//! Where state lives, as it is written and compiled.

use std::sync::Arc;

use portcullis_core::{ConfigFolder, KeyPath, Problems, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::Database;
use crate::location::Location;
use crate::redis::{RawRedis, Redis};

/// Where state lives that outlives a process or is shared by several.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawStore {
    /// The database for what must not be lost. `sqlite:///var/lib/portcullis/state.db` is a file of this machine; relative paths
    /// start at the folder of the configuration. `postgres://user:${DB_PASSWORD}@host/name?sslmode=verify-full` is shared by
    /// several gateways. Tables are made and changed when the gateway starts. Default none.
    pub database: Option<Secret>,
    /// A Redis or Valkey that several gateways share. Without it each gateway counts for itself.
    pub redis: Option<RawRedis>,
}

/// Where state lives. Nothing is open yet.
#[derive(Debug, Clone, Default)]
pub struct Store {
    /// What must not be lost.
    pub database: Option<Arc<Database>>,
    /// What several gateways share.
    pub redis: Option<Arc<Redis>>,
}

impl Store {
    /// Compiles the configured stores; what is wrong goes to `problems`. A database that `previous` has at the same place is
    /// taken over with its connections, and a Redis with the same settings goes on with what is known of its health.
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
        let redis = redis.and_then(|raw| Redis::compile(raw, folder, &path.key("redis"), problems, known));
        let place = path.key("database");
        let location = raw.database.as_ref().and_then(|url| Location::compile(url, folder, &place, problems));
        let known = previous.and_then(|previous| previous.database.as_ref());
        Self { database: location.map(|location| Database::at(location, known)), redis }
    }
}
