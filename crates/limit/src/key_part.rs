//! One part of a limit's key, as it is written.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use http::HeaderName;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One part of a limit's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPart {
    /// Who asks: issuer and subject of a token, or the id of an API key. Anonymous requests are counted
    /// per client address.
    Principal,
    /// The API key. The limit does not apply to requests without one.
    ApiKey,
    /// The client's address; IPv6 addresses are grouped by `ipv6_prefix`.
    Address,
    /// The route, by name.
    Route,
    /// The service, by name.
    Service,
    /// One bucket for everything. Stands alone.
    Global,
    /// A header field, all its values together.
    Header(HeaderName),
    /// A claim of a token, or what a certificate says under this name.
    Claim(String),
    /// A parameter of the route's path.
    Path(String),
}

/// A text that names no part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no part of a key; write `principal`, `api_key`, `address`, `route`, `service`, `global`, `header:NAME`, `claim:NAME` or `path:NAME`"
)]
pub struct NoKeyPart(String);

impl fmt::Display for KeyPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Principal => f.write_str("principal"),
            Self::ApiKey => f.write_str("api_key"),
            Self::Address => f.write_str("address"),
            Self::Route => f.write_str("route"),
            Self::Service => f.write_str("service"),
            Self::Global => f.write_str("global"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Claim(name) => write!(f, "claim:{name}"),
            Self::Path(name) => write!(f, "path:{name}"),
        }
    }
}

impl FromStr for KeyPart {
    type Err = NoKeyPart;

    fn from_str(text: &str) -> Result<Self, NoKeyPart> {
        let none = || NoKeyPart(text.escape_debug().to_string());
        Ok(match text {
            "principal" => Self::Principal,
            "api_key" => Self::ApiKey,
            "address" => Self::Address,
            "route" => Self::Route,
            "service" => Self::Service,
            "global" => Self::Global,
            _ => match text.split_once(':') {
                Some(("header", name)) => {
                    Self::Header(HeaderName::from_bytes(name.as_bytes()).map_err(|_| none())?)
                }
                Some(("claim", name)) if !name.is_empty() => Self::Claim(name.to_owned()),
                Some(("path", name)) if !name.is_empty() => Self::Path(name.to_owned()),
                _ => return Err(none()),
            },
        })
    }
}

impl<'de> Deserialize<'de> for KeyPart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for KeyPart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for KeyPart {
    fn schema_name() -> Cow<'static, str> {
        "KeyPart".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "One part of a key: `principal` (who asks: issuer and subject of a token, the id of a key, the name in a certificate; the anonymous by their address), `api_key` (the limit does not apply to others), `address` (IPv6 addresses grouped by `ipv6_prefix`), `route`, `service`, `global` (one bucket for everything; stands alone), `header:NAME`, `claim:NAME` (of a token), or `path:NAME` (a parameter of the route). Requests without that header, claim or parameter share one bucket.",
            "pattern": "^(principal|api_key|address|route|service|global|(header|claim|path):.+)$",
            "examples": ["address"],
        })
    }
}
