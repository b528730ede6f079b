//! How a request that passed is handed to its service.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use http::header::AUTHORIZATION;
use portcullis_authn::Authentication;
use portcullis_authn::internal_token::{InternalToken, InternalTokens, RawInternalToken};
use portcullis_authn::token_exchange::{ExchangedToken, RawExchangedToken};
use portcullis_core::{ByteSize, IdentitySource, KeyPath, Period, Problems};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::protocol::{LARGEST_BODY, positive};
use crate::fields::may_carry_identity;

/// How a request that passed is handed to its service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawForward {
    /// How long each step may take.
    pub timeouts: RawTimeouts,
    /// How often a request is tried again on another connection. Only requests that are idempotent (RFC 9110
    /// section 9.2.2) and of whose body nothing was sent are tried again.
    pub retries: u8,
    /// The largest request body; larger ones get 413. Default: 10MiB, or `protocol.body` if that is less.
    pub body: Option<ByteSize>,
    /// Protocols to which a connection may be upgraded, by their names in `Upgrade`.
    pub upgrades: Vec<String>,
    /// Whether the service sees the client's `Host`, in lower case and without a final dot. Otherwise it sees the
    /// target's.
    pub preserve_host: bool,
    /// The fields in which the service is told who the client is.
    pub forwarded: ForwardedFields,
    /// Headers that tell the service who the caller is: from a header name to what it carries
    /// (`subject`, `issuer`, `method`, `kind`, `roles`, `scopes`, or `claim:NAME`). What clients send under these
    /// names never reaches any service. Headers that make a request what it is, such as `Host` or `Content-Type`, and
    /// those that the gateway sets itself are refused.
    pub identity: BTreeMap<String, String>,
    /// Whether the service gets the certificate that the client showed, in `Client-Cert` (RFC 9440). What clients send
    /// under this name never reaches any service.
    pub client_certificate: ClientCertificateFields,
    /// Whether the service gets, in `Authorization`, the access token of whoever is logged in (`authentication.login`). Default
    /// `false`.
    pub access_token: bool,
    /// A token that the gateway signs for the service, in place of what the caller showed. Default none.
    pub internal_token: Option<RawInternalToken>,
    /// A token for which the issuer exchanges that of the caller (RFC 8693). Default none.
    pub exchanged_token: Option<RawExchangedToken>,
}

impl Default for RawForward {
    fn default() -> Self {
        Self {
            timeouts: RawTimeouts::default(),
            retries: 1,
            body: None,
            upgrades: vec!["websocket".to_owned()],
            preserve_host: true,
            forwarded: ForwardedFields::default(),
            identity: BTreeMap::new(),
            client_certificate: ClientCertificateFields::default(),
            access_token: false,
            internal_token: None,
            exchanged_token: None,
        }
    }
}

/// How long each step of an exchange with a service may take.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawTimeouts {
    /// To open a connection, TLS included; then 504.
    pub connect: Period,
    /// From the request's end to the head of the answer; then 504.
    pub first_byte: Period,
    /// Between two pieces of the answer's body; then the answer breaks off.
    pub idle: Period,
    /// For the whole exchange, upgraded connections excepted.
    pub total: Period,
}

impl Default for RawTimeouts {
    fn default() -> Self {
        Self {
            connect: Period::secs(2),
            first_byte: Period::secs(30),
            idle: Period::secs(60),
            total: Period::secs(300),
        }
    }
}

/// The fields in which the service is told who the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedFields {
    /// `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// Nothing.
    None,
}

/// What the service gets of the client's certificate (RFC 9440).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificateFields {
    /// Nothing.
    #[default]
    None,
    /// The certificate itself, in `Client-Cert`.
    Leaf,
    /// And those that came with it, in `Client-Cert-Chain`.
    Chain,
}

/// The compiled way to the service.
#[derive(Debug, Clone)]
pub struct Forward {
    /// Time limits.
    pub timeouts: Timeouts,
    /// Further tries.
    pub retries: u8,
    /// Bytes of a body.
    pub body: u64,
    /// Upgrades, in lower case.
    pub upgrades: Vec<String>,
    /// Whether `Host` stays the client's.
    pub preserve_host: bool,
    /// How the client is named.
    pub forwarded: ForwardedFields,
    /// How the caller is named.
    pub identity: Vec<(HeaderName, IdentitySource)>,
    /// How the client's certificate is passed on.
    pub client_certificate: ClientCertificateFields,
    /// Whether the access token of a login goes to the service.
    pub access_token: bool,
    /// What the service gets of the gateway to know the caller by.
    pub token: Option<ServiceToken>,
}

/// What a service gets of the gateway to know the caller by.
#[derive(Debug, Clone)]
pub enum ServiceToken {
    /// One that the gateway signs.
    Internal(InternalToken),
    /// One that an issuer gives for the caller's.
    Exchanged(ExchangedToken),
}

impl ServiceToken {
    /// The header in which the service gets it.
    #[must_use]
    pub const fn header(&self) -> &HeaderName {
        match self {
            Self::Internal(token) => token.header(),
            Self::Exchanged(token) => token.header(),
        }
    }
}

/// Compiled time limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To open a connection.
    pub connect: Duration,
    /// To the head of the answer.
    pub first_byte: Duration,
    /// Between two pieces of the answer.
    pub idle: Duration,
    /// For all of it.
    pub total: Duration,
}

impl Forward {
    /// The header fields that the gateway alone may set for this service, whatever the route that a client asks for.
    /// `Authorization` is not among them: it is read before it is replaced.
    pub fn owned_fields(&self) -> impl Iterator<Item = &HeaderName> {
        let token = self.token.as_ref().map(ServiceToken::header).filter(|name| **name != AUTHORIZATION);
        self.identity.iter().map(|(name, _)| name).chain(token)
    }

    /// Checks and compiles the way to the service. `largest_body` is what `protocol.body` says, if it says anything; `tokens` makes
    /// those that services get, and `authentication` knows who exchanges others for them.
    pub fn compile(
        raw: &RawForward,
        largest_body: Option<ByteSize>,
        tokens: Option<&Arc<InternalTokens>>,
        authentication: &Authentication,
        path: &KeyPath,
        problems: &mut Problems,
    ) -> Self {
        let most = largest_body.unwrap_or(LARGEST_BODY);
        let body = raw.body.unwrap_or_else(|| ByteSize::mib(10).min(most));
        if body > most {
            let limit = if largest_body.is_some() { "`protocol.body` allows" } else { "any body may be" };
            problems
                .error(&path.key("body"), format!("`body` is {body}, more than {limit}"))
                .suggest(format!("write at most {most}"));
        }
        let timeouts_path = path.key("timeouts");
        let timeouts = Timeouts {
            connect: positive("connect", raw.timeouts.connect, &timeouts_path, problems),
            first_byte: positive("first_byte", raw.timeouts.first_byte, &timeouts_path, problems),
            idle: positive("idle", raw.timeouts.idle, &timeouts_path, problems),
            total: positive("total", raw.timeouts.total, &timeouts_path, problems),
        };
        let identity = compile_identity(&raw.identity, &path.key("identity"), problems);
        let token = compile_token(raw, tokens, authentication, path, problems);
        Self {
            timeouts,
            retries: raw.retries,
            body: body.0,
            upgrades: raw.upgrades.iter().map(|name| name.to_ascii_lowercase()).collect(),
            preserve_host: raw.preserve_host,
            forwarded: raw.forwarded,
            identity,
            client_certificate: raw.client_certificate,
            access_token: raw.access_token,
            token,
        }
    }
}

fn compile_identity(
    raw: &BTreeMap<String, String>,
    path: &KeyPath,
    problems: &mut Problems,
) -> Vec<(HeaderName, IdentitySource)> {
    let mut identity = Vec::new();
    for (name, source) in raw {
        let place = path.key(name);
        match (HeaderName::try_from(name.as_str()), IdentitySource::parse(source)) {
            (Ok(name), Some(_)) if !may_carry_identity(&name) => problems
                .error(&place, format!("`{name}` has a meaning of its own and cannot name the caller"))
                .suggest("choose another header, for example `X-Auth-Subject`"),
            (Ok(name), Some(source)) => identity.push((name, source)),
            (Err(_), _) => {
                problems.error(&place, format!("`{name}` is not a header name"));
            }
            (_, None) => problems
                .error(&place, format!("`{source}` is nothing that a caller has"))
                .suggest(format!("write {}", IdentitySource::NAMES)),
        }
    }
    identity
}

/// One header, one meaning.
fn check_token_header(header: &HeaderName, raw: &RawForward, path: &KeyPath, problems: &mut Problems) {
    let place = path.key("header");
    if !may_carry_identity(header) {
        problems
            .error(&place, format!("`{header}` has a meaning of its own and cannot hold a token"))
            .suggest("leave it out for `Authorization`");
    }
    if raw.identity.keys().any(|name| name.eq_ignore_ascii_case(header.as_str())) {
        problems
            .error(&place, format!("`{header}` names the caller already, by `identity`"))
            .suggest("give them different headers");
    }
    if raw.access_token && *header == AUTHORIZATION {
        problems
            .error(&place, "`access_token` puts another token into `Authorization`")
            .suggest("remove one of the two, or name another header here");
    }
}

fn compile_token(
    raw: &RawForward,
    tokens: Option<&Arc<InternalTokens>>,
    authentication: &Authentication,
    path: &KeyPath,
    problems: &mut Problems,
) -> Option<ServiceToken> {
    let (token, place) = match (&raw.internal_token, &raw.exchanged_token) {
        (None, None) => return None,
        (Some(_), Some(_)) => {
            problems
                .error(
                    &path.key("exchanged_token"),
                    "there is an `internal_token` already: a service gets one token",
                )
                .suggest("write `null` for the one that it should not get");
            return None;
        }
        (Some(raw), None) => {
            let place = path.key("internal_token");
            (InternalToken::compile(raw, tokens, &place, problems).map(ServiceToken::Internal), place)
        }
        (None, Some(raw)) => {
            let place = path.key("exchanged_token");
            let token = authentication.exchanged_token(raw, &place, problems);
            (token.map(ServiceToken::Exchanged), place)
        }
    };
    if let Some(token) = &token {
        check_token_header(token.header(), raw, &place, problems);
    }
    token
}
