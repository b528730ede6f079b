//! One session: who is logged in, until when, and with which tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_core::{Principal, PrincipalKind, Secret, Timestamp};
use portcullis_oidc::client::Tokens;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::hexadecimal::hexadecimal;

/// How long before its access token ends a session is renewed at the latest, and how long it is not tried again after that failed.
const AHEAD: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_secs(5);
/// How long a session goes on that cannot be renewed because the provider is away.
const GRACE: Duration = Duration::from_secs(600);

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    /// Its name in the database: the beginning of the hash of what the browser has.
    pub(super) id: String,
    /// The name that the provider has for its own session (`sid`).
    pub(super) sid: Option<String>,
    pub(super) principal: Arc<Principal>,
    pub(super) created: Timestamp,
    /// When it ends, whatever happens.
    pub(super) ends: Timestamp,
    /// Counts its renewals.
    pub(super) version: i64,
    pub(super) tokens: SessionTokens,
    /// When it ends without another request, in nanoseconds.
    pub(super) idle_until: AtomicU64,
    /// Until when that is written down.
    pub(super) idle_noted: AtomicU64,
    not_before: AtomicU64,
}

/// The tokens of a session.
#[derive(Debug, Clone)]
pub(super) struct SessionTokens {
    pub(super) access: Secret,
    /// When the access token ends, if the provider says so.
    pub(super) access_until: Option<Timestamp>,
    /// From when on it is renewed.
    pub(super) renew_at: Option<Timestamp>,
    pub(super) refresh: Option<Secret>,
    pub(super) id: Secret,
}

/// What is stored, sealed.
#[derive(Serialize, Deserialize)]
struct Written {
    issuer: String,
    subject: String,
    roles: Vec<String>,
    scopes: Vec<String>,
    claims: Map<String, Value>,
    access: String,
    access_until: Option<u64>,
    renew_at: Option<u64>,
    refresh: Option<String>,
    id: String,
}

/// What operators are told of a session.
#[derive(Debug, Clone)]
pub struct SessionSummary {
    /// Its name.
    pub id: String,
    /// Who is logged in.
    pub subject: String,
    /// Since when.
    pub created: Timestamp,
    /// Until when without another request.
    pub idle_until: Timestamp,
    /// Until when at all.
    pub ends: Timestamp,
}

impl SessionSummary {
    /// For those who read programs' answers.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "id": self.id,
            "subject": self.subject,
            "created": self.created.rfc3339(),
            "idle_until": self.idle_until.rfc3339(),
            "ends": self.ends.rfc3339(),
        })
    }
}

/// The name of the session whose cookie this is. What the browser has is not stored: a table that leaked logs nobody in.
pub(super) fn id_of(cookie: &str) -> Option<String> {
    let is_one = cookie.len() == 43 && BASE64_URL_SAFE_NO_PAD.decode(cookie).is_ok();
    is_one.then(|| {
        let hash = digest::digest(&digest::SHA256, cookie.as_bytes());
        hexadecimal(hash.as_ref().first_chunk::<16>().map_or(&[][..], |half| half))
    })
}

impl SessionTokens {
    /// The tokens that a login brought, or a renewal of `before`.
    pub(super) fn of(tokens: Tokens, before: Option<&Self>, now: Timestamp) -> Option<Self> {
        // Half a minute before its end; a token that is so short-lived is used for three quarters of its time.
        let renewed_after = |lifetime: Duration| lifetime.saturating_sub(AHEAD).max(lifetime / 4 * 3);
        Some(Self {
            access: tokens.access,
            access_until: tokens.lifetime.map(|lifetime| now.plus(lifetime)),
            renew_at: tokens.lifetime.map(|lifetime| now.plus(renewed_after(lifetime))),
            refresh: tokens.refresh.or_else(|| before?.refresh.clone()),
            id: tokens.id.or_else(|| before.map(|before| before.id.clone()))?,
        })
    }
}

impl Session {
    pub(super) fn new(
        id: String,
        mut principal: Principal,
        tokens: SessionTokens,
        (created, idle_until, ends): (Timestamp, Timestamp, Timestamp),
        version: i64,
    ) -> Self {
        principal.access_token = Some(tokens.access.clone());
        Self {
            id,
            sid: principal.claims.get("sid").and_then(Value::as_str).map(str::to_owned),
            principal: Arc::new(principal),
            created,
            ends,
            version,
            tokens,
            idle_until: AtomicU64::new(idle_until.0),
            idle_noted: AtomicU64::new(idle_until.0),
            not_before: AtomicU64::new(0),
        }
    }

    /// Whether it holds.
    pub(super) fn judge(&self, now: Timestamp) -> Result<(), Fault> {
        if now >= self.ends {
            return Err(Fault::login("session_ended"));
        }
        if now.0 >= self.idle_until.load(Ordering::Relaxed) {
            return Err(Fault::login("session_idle"));
        }
        let is_overdue = self.tokens.refresh.is_some()
            && self.tokens.access_until.is_some_and(|end| now >= end.plus(GRACE));
        if is_overdue && now.0 < self.not_before.load(Ordering::Relaxed) {
            return Err(Fault::ISSUER_UNAVAILABLE);
        }
        Ok(())
    }

    /// Whether it should be renewed now.
    pub(super) fn wants_refresh(&self, now: Timestamp) -> bool {
        self.tokens.refresh.is_some()
            && self.tokens.renew_at.is_some_and(|moment| now >= moment)
            && now.0 >= self.not_before.load(Ordering::Relaxed)
    }

    /// That it cannot be renewed at the moment, or somebody else is about to.
    pub(super) fn put_off(&self, now: Timestamp) {
        self.not_before.fetch_max(now.plus(PAUSE).0, Ordering::Relaxed);
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        let principal = &self.principal;
        let written = Written {
            issuer: principal.issuer.clone().unwrap_or_default(),
            subject: principal.id.clone(),
            roles: principal.roles.clone(),
            scopes: principal.scopes.clone(),
            claims: principal.claims.clone(),
            access: self.tokens.access.expose().to_owned(),
            access_until: self.tokens.access_until.map(|end| end.0),
            renew_at: self.tokens.renew_at.map(|moment| moment.0),
            refresh: self.tokens.refresh.as_ref().map(|token| token.expose().to_owned()),
            id: self.tokens.id.expose().to_owned(),
        };
        serde_json::to_vec(&written).unwrap_or_default()
    }

    pub(super) fn from_json(
        text: &[u8],
        method: &str,
        id: String,
        times: (Timestamp, Timestamp, Timestamp),
        version: i64,
    ) -> Option<Self> {
        let written: Written = serde_json::from_slice(text).ok()?;
        let mut principal = Principal::new(PrincipalKind::User, written.subject, method);
        principal.issuer = Some(written.issuer);
        principal.roles = written.roles;
        principal.scopes = written.scopes;
        principal.claims = written.claims;
        principal.expires = Some(times.2);
        let tokens = SessionTokens {
            access: Secret::new(written.access),
            access_until: written.access_until.map(Timestamp),
            renew_at: written.renew_at.map(Timestamp),
            refresh: written.refresh.map(Secret::new),
            id: Secret::new(written.id),
        };
        Some(Self::new(id, principal, tokens, times, version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn session(access_until: Option<u64>, refresh: bool) -> Session {
        let tokens = SessionTokens {
            access: Secret::new("a"),
            access_until: access_until.map(at),
            renew_at: access_until.map(|end| at(end - 30)),
            refresh: refresh.then(|| Secret::new("r")),
            id: Secret::new("i"),
        };
        let principal = Principal::new(PrincipalKind::User, "ann", "web");
        Session::new("id".to_owned(), principal, tokens, (at(0), at(1000), at(5000)), 1)
    }

    #[test]
    fn a_session_ends_idle_or_not() {
        let session = session(None, false);
        assert!(session.judge(at(999)).is_ok() && !session.wants_refresh(at(999)));
        assert_eq!(session.judge(at(1000)).unwrap_err().cause, "session_idle");
        session.idle_until.store(at(9000).0, Ordering::Relaxed);
        assert!(session.judge(at(4999)).is_ok());
        assert_eq!(session.judge(at(5000)).unwrap_err().cause, "session_ended");
    }

    #[test]
    fn a_session_is_renewed_in_time_and_goes_on_for_a_while_without() {
        let session = session(Some(300), true);
        session.idle_until.store(at(9000).0, Ordering::Relaxed);
        assert!(!session.wants_refresh(at(269)) && session.wants_refresh(at(270)));
        session.put_off(at(270));
        assert!(!session.wants_refresh(at(274)) && session.wants_refresh(at(275)));
        session.put_off(at(900));
        assert!(session.judge(at(899)).is_ok(), "the provider may be away for ten minutes");
        assert_eq!(session.judge(at(901)).unwrap_err().cause, "issuer_unavailable");
        assert!(session.wants_refresh(at(905)), "and is asked again");
    }

    #[test]
    fn tokens_are_renewed_before_their_end_however_long_that_is() {
        let renew_at = |seconds| {
            let tokens = Tokens {
                access: Secret::new("a"),
                id: Some(Secret::new("i")),
                refresh: None,
                lifetime: Some(Duration::from_secs(seconds)),
                scopes: None,
            };
            SessionTokens::of(tokens, None, at(1000)).unwrap().renew_at.unwrap()
        };
        assert_eq!([renew_at(300), renew_at(40), renew_at(4)], [at(1270), at(1030), at(1003)]);
        assert!(renew_at(u64::MAX) > at(1_000_000_000));
    }

    #[test]
    fn what_is_written_is_read() {
        let before = session(Some(300), true);
        let text = before.to_json();
        let after =
            Session::from_json(&text, "web", "id".to_owned(), (at(0), at(1000), at(5000)), 1).unwrap();
        assert_eq!(text, after.to_json());
        assert_eq!((after.principal.id.as_str(), after.principal.method.as_str()), ("ann", "web"));
    }

    #[test]
    fn a_cookie_is_a_name_of_256_bits_or_none() {
        let cookie = portcullis_oidc::client::random::token().unwrap();
        assert_eq!(id_of(&cookie).unwrap().len(), 32);
        for wrong in ["", "a", &cookie.replacen(|_: char| true, "=", 1), &format!("{cookie}A")] {
            assert_eq!(id_of(wrong), None, "{wrong}");
        }
    }
}
