//! Connections: to one server, to the master that Sentinels name, to a cluster.

use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::cluster::ClusterClientBuilder;
use ::redis::cluster_async::ClusterConnection;
use ::redis::io::tcp::TcpSettings;
use ::redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    RedisConnectionInfo, RedisResult, TlsMode, Value,
};

use super::settings::{Settings, Topology};

/// So many calls may be written before the first of them is answered.
const PIPELINE: usize = 1_024;

/// A connection over which any number of calls go at once.
#[derive(Clone)]
pub(super) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    pub(super) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        let answer = match self {
            Self::One(connection) => connection.clone().req_packed_command(command).await,
            Self::Cluster(connection) => connection.clone().req_packed_command(command).await,
        };
        answer.and_then(Value::extract_error)
    }
}

pub(super) async fn open(settings: &Settings) -> RedisResult<Connection> {
    match &settings.topology {
        Topology::One(info) => one(settings, info).await.map(Connection::One),
        Topology::Sentinel { master, nodes, username, password } => {
            let addresses = nodes.iter().map(|node| node.address(settings.tls.is_some()));
            let mut builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?
                .set_client_to_redis_tcp_settings(tcp())
                .set_client_to_sentinel_tcp_settings(tcp())
                .set_client_to_redis_db(settings.database);
            if let Some(tls) = &settings.tls {
                builder = builder
                    .set_client_to_redis_tls_mode(TlsMode::Secure)
                    .set_client_to_redis_certificates(tls.clone())
                    .set_client_to_sentinel_tls_mode(TlsMode::Secure)
                    .set_client_to_sentinel_certificates(tls.clone());
            }
            if let Some(password) = &settings.password {
                builder = builder.set_client_to_redis_password(password.expose());
            }
            if let Some(username) = &settings.username {
                builder = builder.set_client_to_redis_username(username);
            }
            if let Some(password) = password {
                builder = builder.set_client_to_sentinel_password(password.expose());
            }
            if let Some(username) = username {
                builder = builder.set_client_to_sentinel_username(username);
            }
            builder.build()?.get_async_connection_with_config(&config()).await.map(Connection::One)
        }
        Topology::Cluster(nodes) => {
            let addresses = nodes.iter().map(|node| node.address(settings.tls.is_some()));
            let mut builder = ClusterClientBuilder::new(addresses)
                .tcp_settings(tcp())
                .retries(2)
                .max_retry_wait(50)
                .connection_timeout(super::link::CONNECT_TIMEOUT)
                .response_timeout(settings.timeout.saturating_mul(2));
            if let Some(tls) = &settings.tls {
                builder = builder.tls(TlsMode::Secure).certs(tls.clone());
            }
            if let Some(password) = &settings.password {
                builder = builder.password(password.expose());
            }
            if let Some(username) = &settings.username {
                builder = builder.username(username);
            }
            builder.build()?.get_async_connection().await.map(Connection::Cluster)
        }
    }
}

async fn one(settings: &Settings, info: &ConnectionInfo) -> RedisResult<MultiplexedConnection> {
    let info = info.clone().set_tcp_settings(tcp());
    let client = match &settings.tls {
        Some(tls) if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) => {
            Client::build_with_tls(info, tls.clone())?
        }
        _ => Client::open(info)?,
    };
    client.get_multiplexed_async_connection_with_config(&config()).await
}

/// A URL with the settings beside it.
pub(super) fn info_of(
    url: &str,
    username: Option<&str>,
    password: Option<&str>,
    database: Option<i64>,
) -> RedisResult<ConnectionInfo> {
    let info = url.into_connection_info()?;
    let mut redis: RedisConnectionInfo = info.redis_settings().clone();
    if let Some(username) = username {
        redis = redis.set_username(username);
    }
    if let Some(password) = password {
        redis = redis.set_password(password);
    }
    if let Some(database) = database {
        redis = redis.set_db(database);
    }
    Ok(info.set_redis_settings(redis))
}

/// Calls have their own time limit.
fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_connection_timeout(None)
        .set_pipeline_buffer_size(PIPELINE)
}

/// A call is small and waited for: it must not wait to be joined by another (RFC 896).
fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}
