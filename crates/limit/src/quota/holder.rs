//! Who a quota is counted for, as a text that operators can read and write: `method=partners,key=acme`.
//!
//! Unlike the counters of limits, what was used is looked at by people, so its key is no hash. Two subjects never have the same
//! text, but for values too long to be written out, of which a hash stands there. Values of header fields are never written
//! out: they may be secrets.

use std::fmt::Write as _;

use portcullis_core::{KeyedHash, Principal, PrincipalKind};

use crate::KeyPart;
use crate::key::{Identity, Key, Subject, client_address};
use crate::shared::FLEET_KEY;

/// What is longer is written as a hash.
const LONGEST_VALUE: usize = 128;

/// The text for a quota that counts all alike.
const EVERYONE: &str = "all";

impl Key {
    /// The text that stands for the subject; `None` if the quota does not apply to it.
    pub(crate) fn holder(&self, subject: &Subject<'_>) -> Option<String> {
        let mut holder = String::new();
        match self.identity {
            Identity::Any => {}
            Identity::Principal => self.push_principal(subject, &mut holder),
            Identity::ApiKey => {
                subject.principal.filter(|known| known.kind == PrincipalKind::ApiKey)?;
                self.push_principal(subject, &mut holder);
            }
        }
        if self.address {
            push(&mut holder, "address", self.address_of(subject).as_bytes());
        }
        if self.route {
            push(&mut holder, "route", subject.route.as_bytes());
        }
        if self.service {
            push(&mut holder, "service", subject.service.as_bytes());
        }
        for detail in &self.details {
            push_detail(&mut holder, detail, subject);
        }
        if holder.is_empty() {
            holder.push_str(EVERYONE);
        }
        Some(holder)
    }

    /// A subject is unique within its issuer; where there is none, within the method that knows it.
    fn push_principal(&self, subject: &Subject<'_>, holder: &mut String) {
        let known = subject.principal.filter(|known| known.kind != PrincipalKind::Anonymous);
        let Some(Principal { kind, issuer, method, id, .. }) = known else {
            return push(holder, "anonymous", self.address_of(subject).as_bytes());
        };
        match issuer {
            Some(issuer) => push(holder, "issuer", issuer.as_bytes()),
            None => push(holder, "method", method.as_bytes()),
        }
        let name = match kind {
            PrincipalKind::ApiKey => "key",
            PrincipalKind::Certificate => "certificate",
            PrincipalKind::Signer => "signer",
            PrincipalKind::User | PrincipalKind::Anonymous => "user",
        };
        push(holder, name, id.as_bytes());
    }

    fn address_of(&self, subject: &Subject<'_>) -> String {
        client_address(subject.address, self.ipv6_prefix).shown(self.ipv6_prefix)
    }
}

fn push_detail(holder: &mut String, detail: &KeyPart, subject: &Subject<'_>) {
    let name = detail.to_string();
    match detail {
        KeyPart::Header(field) => {
            let values: Vec<&[u8]> = subject
                .headers
                .into_iter()
                .flat_map(|headers| headers.get_all(field))
                .map(http::HeaderValue::as_bytes)
                .collect();
            match values.as_slice() {
                [] => push_name(holder, &name),
                values => push_hash(holder, &name, values),
            }
        }
        KeyPart::Claim(claim) => {
            let value = subject.principal.and_then(|principal| principal.claims.get(claim.as_str()));
            match value {
                None => push_name(holder, &name),
                Some(serde_json::Value::String(text)) => push(holder, &name, text.as_bytes()),
                Some(other) => {
                    push(holder, &name, other.to_string().as_bytes());
                    // Tells the number 1 from the text "1": no text is written with this mark.
                    holder.push('!');
                }
            }
        }
        KeyPart::Path(parameter) => {
            let (names, values) = subject.parameters;
            let value = names.iter().position(|known| known == parameter).and_then(|at| values.get(at));
            match value {
                None => push_name(holder, &name),
                Some(value) => push(holder, &name, value.as_bytes()),
            }
        }
        _ => {}
    }
}

fn push_name(holder: &mut String, name: &str) {
    if !holder.is_empty() {
        holder.push(',');
    }
    push_encoded(holder, name.as_bytes());
}

fn push(holder: &mut String, name: &str, value: &[u8]) {
    if value.len() > LONGEST_VALUE {
        return push_hash(holder, name, &[value]);
    }
    push_name(holder, name);
    holder.push('=');
    push_encoded(holder, value);
}

/// The key of the hash is no secret: all gateways must write the same. Nobody gains by two values that meet: they would share
/// one quota.
fn push_hash(holder: &mut String, name: &str, values: &[&[u8]]) {
    push_name(holder, name);
    let digest = KeyedHash::with_key(FLEET_KEY).digest(values);
    let _ = write!(holder, "=#{:032x}", digest.0);
}

/// Percent-encodes everything but what reads well and means nothing to a shell.
fn push_encoded(holder: &mut String, value: &[u8]) {
    for byte in value {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b':' | b'/' | b'@' | b'+' => {
                holder.push(char::from(*byte));
            }
            other => {
                let _ = write!(holder, "%{other:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::net::IpAddr;

    use http::HeaderMap;
    use portcullis_core::{KeyPath, Problems};
    use proptest::prelude::*;

    use super::*;
    use crate::limits::compile_key;
    use crate::raw::When;

    fn key(parts: &[&str]) -> Key {
        let parts: Vec<KeyPart> = parts.iter().map(|part| part.parse().unwrap()).collect();
        let mut problems = Problems::default();
        let key = compile_key(&parts, When::AfterAuthorization, None, &KeyPath::root(), &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        key
    }

    fn subject<'s>(principal: Option<&'s Principal>, address: &str) -> Subject<'s> {
        let address: IpAddr = address.parse().unwrap();
        Subject {
            principal,
            address,
            route: "orders",
            service: "shop",
            headers: None,
            parameters: (&[], &[]),
        }
    }

    #[test]
    fn holders_are_written_so_that_people_can_read_them() {
        let partner = Principal::new(PrincipalKind::ApiKey, "acme", "partners");
        let mut user = Principal::new(PrincipalKind::User, "alice smith", "sso");
        user.issuer = Some("https://idp.example/".into());
        user.claims.insert("tenant".to_owned(), "a,b".into());
        user.claims.insert("plan".to_owned(), 1.into());
        let mut headers = HeaderMap::new();
        headers.insert("x-tenant", "secret".parse().unwrap());
        let names = ["id".to_owned()];
        let values = [Cow::Borrowed("7")];
        let user = Subject {
            headers: Some(&headers),
            parameters: (&names, &values),
            ..subject(Some(&user), "2001:db8::1:2:3:4")
        };
        let partner = subject(Some(&partner), "192.0.2.1");
        let nobody = subject(None, "::ffff:192.0.2.7");
        for (parts, subject, expected) in [
            (vec!["api_key"], &partner, Some("method=partners,key=acme")),
            (vec!["api_key"], &user, None),
            (
                vec!["principal", "route"],
                &user,
                Some("issuer=https://idp.example/,user=alice%20smith,route=orders"),
            ),
            (vec!["principal"], &nobody, Some("anonymous=192.0.2.7")),
            (vec!["address", "service"], &user, Some("address=2001:db8::/64,service=shop")),
            (
                vec!["claim:tenant", "claim:plan", "claim:none"],
                &user,
                Some("claim:tenant=a%2Cb,claim:plan=1!,claim:none"),
            ),
            (vec!["path:id"], &user, Some("path:id=7")),
            (vec!["path:id"], &partner, Some("path:id")),
            (vec!["global"], &nobody, Some("all")),
        ] {
            assert_eq!(key(&parts).holder(subject).as_deref(), expected, "{parts:?}");
        }
        let of_header = key(&["header:x-tenant"]).holder(&user).unwrap();
        assert!(of_header.starts_with("header:x-tenant=#") && !of_header.contains("secret"), "{of_header}");
    }

    proptest! {
        /// No value can be chosen so that it reads like another part, or like another value.
        #[test]
        fn no_two_subjects_have_one_text(one in "[a,=%#! \u{0}]{0,6}", other in "[a,=%#! \u{0}]{0,6}") {
            let texts = [(&one, &other), (&other, &one)].map(|(issuer, id)| {
                let mut principal = Principal::new(PrincipalKind::User, id.as_str(), "sso");
                principal.issuer = Some(issuer.as_str().into());
                key(&["principal"]).holder(&subject(Some(&principal), "192.0.2.1")).unwrap()
            });
            prop_assert_eq!(texts[0] == texts[1], one == other);
            prop_assert!(texts[0].bytes().all(|byte| byte.is_ascii_graphic()));
        }

        #[test]
        fn holders_are_short(id in "\\PC{0,400}") {
            let principal = Principal::new(PrincipalKind::User, id.as_str(), "sso");
            let text = key(&["principal"]).holder(&subject(Some(&principal), "192.0.2.1")).unwrap();
            prop_assert!(text.len() < 450);
        }
    }
}
