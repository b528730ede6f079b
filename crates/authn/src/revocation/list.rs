//! What is revoked, in memory: found by the value that a token names.

use std::collections::HashMap;

use portcullis_core::{Principal, Timestamp};
use serde_json::{Map, Value};

use super::revoked::{Revocation, Revoked};
use crate::jwt::claims::numeric_date;

/// What is revoked. A request looks up at most three values, however long the list is.
#[derive(Debug, Default)]
pub(super) struct RevocationList {
    tokens: HashMap<String, Vec<Entry>>,
    subjects: HashMap<String, Vec<Entry>>,
    sessions: HashMap<String, Vec<Entry>>,
    everything: Vec<Entry>,
    /// Where the entry of an id is.
    places: HashMap<String, Revoked>,
    next_end: Option<Timestamp>,
}

#[derive(Debug)]
struct Entry {
    id: String,
    issuer: Option<String>,
    issued_before: Option<Timestamp>,
    until: Timestamp,
}

impl RevocationList {
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// When the first entry ends; never, in an empty list.
    pub(super) fn next_end(&self) -> Timestamp {
        self.next_end.unwrap_or(Timestamp(u64::MAX))
    }

    /// Whether the token behind this principal is revoked.
    pub(super) fn holds(&self, principal: &Principal, now: Timestamp) -> bool {
        let claims = &principal.claims;
        let named = |name| claims.get(name).and_then(Value::as_str);
        let among = |entries: &HashMap<String, Vec<Entry>>, value: Option<&str>| {
            value.and_then(|value| entries.get(value)).is_some_and(|entries| hits(entries, principal, now))
        };
        among(&self.tokens, named("jti"))
            || among(&self.subjects, Some(&principal.id))
            || among(&self.sessions, named("sid"))
            || hits(&self.everything, principal, now)
    }

    pub(super) fn insert(&mut self, revocation: &Revocation) {
        let Revocation { id, revoked, issuer, issued_before, until, .. } = revocation;
        let entry =
            Entry { id: id.clone(), issuer: issuer.clone(), issued_before: *issued_before, until: *until };
        match revoked {
            Revoked::Token(value) => self.tokens.entry(value.clone()).or_default().push(entry),
            Revoked::Subject(value) => self.subjects.entry(value.clone()).or_default().push(entry),
            Revoked::Session(value) => self.sessions.entry(value.clone()).or_default().push(entry),
            Revoked::Everything => self.everything.push(entry),
        }
        self.places.insert(id.clone(), revoked.clone());
        self.next_end = Some(self.next_end().min(*until));
    }

    pub(super) fn remove(&mut self, id: &str) {
        let Some(place) = self.places.remove(id) else { return };
        let (entries, value) = match place {
            Revoked::Token(value) => (&mut self.tokens, value),
            Revoked::Subject(value) => (&mut self.subjects, value),
            Revoked::Session(value) => (&mut self.sessions, value),
            Revoked::Everything => return self.everything.retain(|entry| entry.id != id),
        };
        if let Some(same) = entries.get_mut(&value) {
            same.retain(|entry| entry.id != id);
            if same.is_empty() {
                entries.remove(&value);
            }
        }
    }

    /// Removes what has ended.
    pub(super) fn remove_ended(&mut self, now: Timestamp) {
        for entries in [&mut self.tokens, &mut self.subjects, &mut self.sessions] {
            entries.retain(|_, same| {
                same.retain(|entry| now < entry.until);
                !same.is_empty()
            });
        }
        self.everything.retain(|entry| now < entry.until);
        let maps = [&self.tokens, &self.subjects, &self.sessions];
        let alive = maps.iter().flat_map(|map| map.values().flatten()).chain(&self.everything);
        let alive: HashMap<&str, Timestamp> = alive.map(|entry| (entry.id.as_str(), entry.until)).collect();
        self.places.retain(|id, _| alive.contains_key(id.as_str()));
        self.next_end = alive.values().min().copied();
    }
}

fn hits(entries: &[Entry], principal: &Principal, now: Timestamp) -> bool {
    entries.iter().any(|entry| entry.hits(principal, now))
}

impl Entry {
    fn hits(&self, principal: &Principal, now: Timestamp) -> bool {
        let is_issuer = self.issuer.is_none() || self.issuer == principal.issuer;
        is_issuer
            && now < self.until
            && self.issued_before.is_none_or(|end| was_before(&principal.claims, end))
    }
}

/// Whether a token was issued before; one that does not say when may have been.
fn was_before(claims: &Map<String, Value>, end: Timestamp) -> bool {
    claims.get("iat").and_then(numeric_date).is_none_or(|issued| issued < end)
}

#[cfg(test)]
mod tests {
    use portcullis_core::PrincipalKind;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn revocation(id: &str, revoked: Revoked) -> Revocation {
        Revocation {
            id: id.to_owned(),
            revoked,
            issuer: None,
            issued_before: None,
            until: at(1000),
            note: None,
            actor: "tests".to_owned(),
            created: at(0),
        }
    }

    fn token(subject: &str, claims: Value) -> Principal {
        let mut principal = Principal::new(PrincipalKind::User, subject, "jwt");
        principal.issuer = Some("https://idp.test".to_owned());
        principal.claims = claims.as_object().unwrap().clone();
        principal
    }

    #[test]
    fn each_kind_names_its_tokens_and_no_others() {
        let ann = token("ann", json!({ "jti": "t1", "sid": "s1", "iat": 100 }));
        let cases = [
            (Revoked::Token("t1".to_owned()), true),
            (Revoked::Token("s1".to_owned()), false),
            (Revoked::Session("s1".to_owned()), true),
            (Revoked::Session("ann".to_owned()), false),
            (Revoked::Subject("ann".to_owned()), true),
            (Revoked::Subject("t1".to_owned()), false),
            (Revoked::Everything, true),
        ];
        for (revoked, expected) in cases {
            let mut list = RevocationList::default();
            list.insert(&revocation("a", revoked.clone()));
            assert_eq!(list.holds(&ann, at(5)), expected, "{revoked:?}");
            assert!(!list.holds(&ann, at(1000)), "it has ended");
            list.remove("a");
            assert!(list.is_empty() && !list.holds(&ann, at(5)));
        }
    }

    #[test]
    fn it_may_be_for_one_issuer_and_for_what_was_issued_before() {
        let mut list = RevocationList::default();
        let of = |issuer: &str| Some(issuer.to_owned());
        let subject = || Revoked::Subject("ann".to_owned());
        list.insert(&Revocation { issuer: of("https://other.test"), ..revocation("a", subject()) });
        list.insert(&Revocation { issued_before: Some(at(200)), ..revocation("b", subject()) });
        assert!(list.holds(&token("ann", json!({ "iat": 199 })), at(5)));
        assert!(!list.holds(&token("ann", json!({ "iat": 200 })), at(5)));
        assert!(list.holds(&token("ann", json!({})), at(5)), "nobody knows when");
        assert!(!list.holds(&token("bob", json!({ "iat": 1 })), at(5)));
        list.insert(&Revocation { issuer: of("https://idp.test"), ..revocation("c", subject()) });
        assert!(list.holds(&token("ann", json!({ "iat": 200 })), at(5)));
    }

    proptest! {
        /// What is looked up is what a walk over all entries finds, whatever was put in, taken out and cleaned up before.
        #[test]
        fn the_list_agrees_with_a_walk(steps in prop::collection::vec((0_u8..4, 0_u8..6, 0_u8..4, 1_u64..20), 0..40)) {
            let mut list = RevocationList::default();
            let mut plain: Vec<Revocation> = Vec::new();
            for (now, (step, id, value, until)) in steps.into_iter().enumerate() {
                let now = at(now as u64 / 3);
                let id = id.to_string();
                match step {
                    0 => {
                        list.remove(&id);
                        plain.retain(|known| known.id != id);
                    }
                    1 => list.remove_ended(now),
                    _ => {
                        let value = value.to_string();
                        let revoked = if step == 2 { Revoked::Subject(value) } else { Revoked::Token(value) };
                        let new = Revocation { until: at(until), ..revocation(&id, revoked) };
                        list.remove(&id);
                        plain.retain(|known| known.id != id);
                        list.insert(&new);
                        plain.push(new);
                    }
                }
                for value in 0..4 {
                    let value = value.to_string();
                    let principal = token(&value, json!({ "jti": value }));
                    let expected = plain.iter().any(|known| now < known.until && match &known.revoked {
                        Revoked::Token(one) | Revoked::Subject(one) => *one == value,
                        _ => false,
                    });
                    prop_assert_eq!(list.holds(&principal, now), expected);
                }
            }
        }
    }
}
