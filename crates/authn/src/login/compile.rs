//! From what is written about a provider to a method.

use std::sync::Arc;

use http::Uri;
use portcullis_core::{ByteSize, KeyPath, Period, Problems};
use portcullis_oidc::client::Scopes;
use portcullis_oidc::{Algorithm, KeyKind};

use super::raw::{RawLogin, RawSession};
use super::seal::Seal;
use super::{COOKIE_PREFIX, Lifetimes, LoginMethod, Origin, Sessions, transaction};
use crate::introspection;
use crate::jwt::{JwtMethod, RawJwt, RawKeys};
use crate::method::{Compiling, MethodId};
use crate::plan::check_scopes;
use crate::provider::Provider;

/// Gateways learn of one another's requests within two minutes.
const SHORTEST_IDLE: Period = Period::secs(300);
const LONGEST: Period = Period::secs(30 * 24 * 60 * 60);
/// How many logins are remembered that came back within the last minutes.
const MOST_LOGINS: usize = 1_000_000;

impl LoginMethod {
    pub(crate) fn compile(
        raw: &RawLogin,
        id: MethodId,
        path: &KeyPath,
        compiling: &mut Compiling<'_>,
    ) -> Option<Self> {
        check_name(&raw.name, &path.key("name"), compiling.problems);
        check_session(&raw.session, &path.key("session"), compiling.problems);
        check_after_logout(&raw.after_logout, &path.key("after_logout"), compiling.problems);
        let issuer = introspection::url(&raw.issuer, &path.key("issuer"), compiling.problems);
        let client = introspection::client(&raw.client, &path.key("client"), compiling);
        let origin = compile_origin(&raw.origin, &path.key("origin"), compiling.problems);
        let place = compile_path(raw, &path.key("path"), compiling.problems);
        let scopes = compile_scopes(&raw.scopes, &path.key("scopes"), compiling.problems);
        let secret = compiling.secret(&raw.secret, &path.key("secret"));
        let Some(database) = &compiling.store.database else {
            compiling
                .problems
                .error(path, "there is no database to keep sessions in")
                .suggest("write `store: { database: sqlite://state.db }`");
            return None;
        };
        let seal = |purpose: &str| Seal::new(secret, &format!("portcullis {purpose} {}", raw.name));
        let sessions = Sessions::new(&raw.name, Arc::clone(database), seal("session")?);
        issuer?;
        let id_tokens = JwtMethod::compile(&id_tokens(raw), id, path, compiling)?;
        Some(Self {
            name: raw.name.clone(),
            issuer: raw.issuer.clone(),
            origin: origin?,
            path: place?,
            client: client?,
            provider: Provider::new(raw.issuer.clone()),
            id_tokens,
            scopes,
            userinfo: raw.userinfo,
            after_logout: raw.after_logout.clone(),
            lifetimes: Lifetimes { idle: raw.session.idle.0, absolute: raw.session.absolute.0 },
            sessions,
            session_cookie: format!("{COOKIE_PREFIX}{}", raw.name),
            transactions: seal("login")?,
            // No other method has this name: it is no word of a configuration.
            used: compiling.replays(&format!("authentication.login.{}", raw.name), MOST_LOGINS),
            logout_tokens: compiling
                .replays(&format!("authentication.login.{}.logout", raw.name), MOST_LOGINS),
        })
    }
}

/// The tokens of the provider about people, for us alone.
fn id_tokens(raw: &RawLogin) -> RawJwt {
    RawJwt {
        name: raw.name.clone(),
        issuer: raw.issuer.clone(),
        audiences: vec![raw.client.id.clone()],
        // Each key is good for the algorithms of its kind, or for the one that the provider names for it.
        algorithms: Algorithm::ALL.into_iter().filter(|it| it.key_kind() != KeyKind::Secret).collect(),
        keys: RawKeys::Discovery,
        refresh: None,
        types: vec!["JWT".to_owned(), "logout+jwt".to_owned()],
        leeway: Period::secs(30),
        required_claims: vec!["iat".to_owned()],
        roles_claim: raw.roles_claim.clone(),
        max_token: ByteSize::kib(32),
        header: "Authorization".to_owned(),
    }
}

fn check_name(name: &str, path: &KeyPath, problems: &mut Problems) {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.len() > 32 || !name.bytes().all(is_fine) {
        problems
            .error(path, format!("`{}` cannot be the name of a cookie", name.escape_debug()))
            .suggest("write letters, digits, `-` and `_`, at most 32");
    }
}

fn check_session(raw: &RawSession, path: &KeyPath, problems: &mut Problems) {
    if raw.idle.0 < SHORTEST_IDLE.0 || raw.idle.0 > LONGEST.0 {
        problems
            .error(&path.key("idle"), format!("`{}` is not between {SHORTEST_IDLE} and {LONGEST}", raw.idle))
            .suggest("leave it out for 30m");
    }
    if raw.absolute.0 < raw.idle.0 || raw.absolute.0 > LONGEST.0 {
        problems
            .error(&path.key("absolute"), format!("`{}` is not between `idle` and {LONGEST}", raw.absolute))
            .suggest("leave it out for 12h");
    }
}

fn check_after_logout(text: &str, path: &KeyPath, problems: &mut Problems) {
    if !transaction::is_ours(text) && compile_url(text).is_none() {
        problems
            .error(path, format!("`{}` is neither a path nor a URL with `https`", text.escape_debug()))
            .suggest("write a path such as `/bye`");
    }
}

/// `https`, or `http` on the machine itself.
fn compile_url(text: &str) -> Option<Uri> {
    let url: Uri = text.parse().ok()?;
    let authority = url.authority()?;
    let host = authority.host();
    let is_local = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    let is_secure = url.scheme_str() == Some("https") || url.scheme_str() == Some("http") && is_local;
    (is_secure && !authority.as_str().contains('@')).then_some(url)
}

fn compile_origin(text: &str, path: &KeyPath, problems: &mut Problems) -> Option<Origin> {
    let url =
        compile_url(text).filter(|url| url.path() == "/" && url.query().is_none() && !text.ends_with('/'));
    let host = url.as_ref().and_then(Uri::host).map(str::to_ascii_lowercase);
    // As browsers write it in `Origin` (RFC 6454 section 6.2).
    let names_usual_port = text.starts_with("https:") && text.ends_with(":443")
        || text.starts_with("http:") && text.ends_with(":80");
    let is_plain = !names_usual_port && text.bytes().all(|byte| !byte.is_ascii_uppercase());
    match host {
        Some(host) if is_plain => Some(Origin { text: text.to_owned(), host }),
        _ => {
            problems
                .error(path, format!("`{}` is no origin over `https`", text.escape_debug()))
                .suggest("write scheme and host in small letters and no port that goes without saying, such as `https://app.example.com`");
            None
        }
    }
}

fn compile_path(raw: &RawLogin, path: &KeyPath, problems: &mut Problems) -> Option<String> {
    let text = raw.path.clone().unwrap_or_else(|| format!("/.auth/{}", raw.name));
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let segments_are =
        !text.split('/').skip(1).any(|segment| segment.is_empty() || segment.starts_with(".."));
    if text.starts_with('/') && text.bytes().all(is_fine) && segments_are {
        return Some(text);
    }
    problems
        .error(path, format!("`{}` is not a path", text.escape_debug()))
        .suggest("write one without a slash at its end, such as `/.auth/web`");
    None
}

fn compile_scopes(scopes: &[String], path: &KeyPath, problems: &mut Problems) -> Scopes {
    check_scopes(scopes, path, problems);
    if !scopes.iter().any(|scope| scope == "openid") {
        problems
            .error(path, "without `openid` the provider does not say who logged in")
            .suggest("add `openid`");
    }
    Scopes::parse(&scopes.join(" "))
}
