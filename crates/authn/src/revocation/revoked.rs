//! A revocation: as it is asked for, and as it is.

use portcullis_core::{Period, Timestamp};
use serde::Deserialize;

/// Which tokens are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// The one with this `jti`.
    Token(String),
    /// Those of this subject.
    Subject(String),
    /// Those of this session (`sid`).
    Session(String),
    /// All.
    Everything,
}

/// A revocation that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Its name: by it, it is taken back.
    pub id: String,
    /// Which tokens.
    pub revoked: Revoked,
    /// Those of this issuer only.
    pub issuer: Option<String>,
    /// Those that were issued before this moment only.
    pub issued_before: Option<Timestamp>,
    /// When it ends.
    pub until: Timestamp,
    /// Why, for those who look later.
    pub note: Option<String>,
    /// Who did it.
    pub actor: String,
    /// When.
    pub created: Timestamp,
}

/// A revocation that somebody asks for, as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawRevocation {
    /// The `jti` of a token.
    pub token: Option<String>,
    /// A subject.
    pub subject: Option<String>,
    /// The `sid` of a session.
    pub session: Option<String>,
    /// The issuer. Needed, with `issued_before`, if nothing else says which tokens.
    pub issuer: Option<String>,
    /// A moment; the default for a subject is now, so that a new login counts. `any` for a subject whose tokens are
    /// refused whenever they were issued.
    pub issued_before: Option<String>,
    /// How long it stands. Default 30 days: longer than any token should hold.
    #[serde(rename = "for")]
    pub period: Option<Period>,
    /// Why, for those who look later.
    pub note: Option<String>,
}

/// A revocation that can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRevocation {
    pub(super) revoked: Revoked,
    pub(super) issuer: Option<String>,
    pub(super) issued_before: Option<Timestamp>,
    pub(super) until: Timestamp,
    pub(super) note: Option<String>,
}

/// Longer than any token should hold.
const DEFAULT_PERIOD: Period = Period::secs(30 * 24 * 60 * 60);
const SHORTEST_PERIOD: Period = Period::secs(60);
/// The longest that is stored of anything.
const LONGEST: usize = 1024;

impl NewRevocation {
    /// Checks what is asked for.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn of(raw: &RawRevocation, now: Timestamp) -> Result<Self, String> {
        let RawRevocation { token, subject, session, issuer, issued_before, period, note } = raw;
        for (name, text) in
            [("token", token), ("subject", subject), ("session", session), ("issuer", issuer), ("note", note)]
        {
            if text.as_ref().is_some_and(|text| text.is_empty() || text.len() > LONGEST) {
                return Err(format!("`{name}` is empty, or longer than {LONGEST} bytes"));
            }
        }
        let before = issued_before.as_deref().map(parse_issued_before).transpose()?;
        let (revoked, before) = match (token, subject, session) {
            (Some(token), None, None) => (Revoked::Token(token.clone()), before.flatten()),
            (None, Some(subject), None) => (Revoked::Subject(subject.clone()), before.unwrap_or(Some(now))),
            (None, None, Some(session)) => (Revoked::Session(session.clone()), before.flatten()),
            (None, None, None) => match (issuer, before) {
                (Some(_), Some(Some(moment))) => (Revoked::Everything, Some(moment)),
                _ => {
                    return Err("it does not say which tokens: write one of `token`, `subject` and `session`, or `issuer` \
                                with `issued_before`"
                        .to_owned());
                }
            },
            _ => return Err("it names several: write one of `token`, `subject` and `session`".to_owned()),
        };
        let period = period.unwrap_or(DEFAULT_PERIOD);
        if period.0 < SHORTEST_PERIOD.0 {
            return Err(format!(
                "`for` is {period}, in which no token ends: write at least {SHORTEST_PERIOD}"
            ));
        }
        let until = now.plus(period.0);
        Ok(Self { revoked, issuer: issuer.clone(), issued_before: before, until, note: note.clone() })
    }
}

fn parse_issued_before(text: &str) -> Result<Option<Timestamp>, String> {
    if text == "any" {
        return Ok(None);
    }
    let moment = Timestamp::from_rfc3339(text);
    moment.map(Some).ok_or_else(|| {
        format!(
            "`issued_before` is `{}`: write a moment such as `2027-01-31T00:00:00Z`, or `any`",
            text.escape_debug()
        )
    })
}

impl Revoked {
    /// The word for its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Subject(_) => "subject",
            Self::Session(_) => "session",
            Self::Everything => "everything",
        }
    }

    /// What it names; empty for everything.
    #[must_use]
    pub fn value(&self) -> &str {
        match self {
            Self::Token(value) | Self::Subject(value) | Self::Session(value) => value,
            Self::Everything => "",
        }
    }

    pub(super) fn of(kind: &str, value: String) -> Option<Self> {
        match kind {
            "token" => Some(Self::Token(value)),
            "subject" => Some(Self::Subject(value)),
            "session" => Some(Self::Session(value)),
            "everything" => Some(Self::Everything),
            _ => None,
        }
    }
}

impl Revocation {
    /// For those who read programs' answers.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let mut value = serde_json::json!({
            "id": self.id,
            "until": self.until.rfc3339(),
            "actor": self.actor,
            "created": self.created.rfc3339(),
        });
        if let Some(members) = value.as_object_mut() {
            if self.revoked != Revoked::Everything {
                members.insert(self.revoked.kind().to_owned(), self.revoked.value().into());
            }
            let texts = [("issuer", self.issuer.clone()), ("note", self.note.clone())];
            let moment = self.issued_before.map(Timestamp::rfc3339);
            for (name, text) in texts.into_iter().chain([("issued_before", moment)]) {
                members.extend(text.map(|text| (name.to_owned(), text.into())));
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> RawRevocation {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_asked_for_is_clear_or_refused() {
        let now = Timestamp::from_secs(1000);
        let of = |text: &str| NewRevocation::of(&raw(text), now);
        let subject = of(r#"{ "subject": "ann" }"#).unwrap();
        assert_eq!((subject.issued_before, subject.until), (Some(now), now.plus(DEFAULT_PERIOD.0)));
        assert_eq!(of(r#"{ "subject": "ann", "issued_before": "any" }"#).unwrap().issued_before, None);
        assert_eq!(of(r#"{ "token": "t", "for": "1h" }"#).unwrap().until, Timestamp::from_secs(4600));
        let all = of(r#"{ "issuer": "https://idp.test", "issued_before": "1970-01-01T00:01:00Z" }"#).unwrap();
        assert_eq!((all.revoked, all.issued_before), (Revoked::Everything, Some(Timestamp::from_secs(60))));
        for (wrong, says) in [
            ("{}", "does not say which tokens"),
            (r#"{ "issuer": "https://idp.test" }"#, "does not say which tokens"),
            (r#"{ "issued_before": "any", "issuer": "a" }"#, "does not say which tokens"),
            (r#"{ "token": "a", "subject": "b" }"#, "names several"),
            (r#"{ "token": "" }"#, "empty"),
            (r#"{ "token": "t", "for": "59s" }"#, "`for` is 59s"),
            (r#"{ "subject": "b", "issued_before": "noon" }"#, "`noon`"),
        ] {
            let message = of(wrong).unwrap_err();
            assert!(message.contains(says), "{wrong}: {message}");
        }
    }
}
