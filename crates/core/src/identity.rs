//! What services may be told of a caller: in headers, and in tokens.

use std::borrow::Cow;

use serde_json::Value;

use crate::Principal;

/// Something that a principal has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentitySource {
    /// The principal's id.
    Subject,
    /// The token's issuer.
    Issuer,
    /// The name of the authentication method.
    Method,
    /// `user`, `api_key`, `certificate`, `signer` or `anonymous`.
    Kind,
    /// Roles.
    Roles,
    /// Scopes.
    Scopes,
    /// A claim.
    Claim(String),
}

impl IdentitySource {
    /// What the configuration may write, for whoever wrote something else.
    pub const NAMES: &str = "subject, issuer, method, kind, roles, scopes or claim:NAME";

    /// Reads one of [`Self::NAMES`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "subject" => Self::Subject,
            "issuer" => Self::Issuer,
            "method" => Self::Method,
            "kind" => Self::Kind,
            "roles" => Self::Roles,
            "scopes" => Self::Scopes,
            _ => Self::Claim(text.strip_prefix("claim:").filter(|name| !name.is_empty())?.to_owned()),
        })
    }

    /// As text: roles separated by commas, scopes by spaces, claims that are no strings as JSON. `None` if there is nothing to
    /// say.
    #[must_use]
    pub fn text<'p>(&self, principal: &'p Principal) -> Option<Cow<'p, str>> {
        Some(match self {
            Self::Subject => principal.id.as_str().into(),
            Self::Issuer => principal.issuer.as_deref()?.into(),
            Self::Method => principal.method.as_str().into(),
            Self::Kind => principal.kind.name().into(),
            Self::Roles => principal.roles.join(",").into(),
            Self::Scopes => principal.scopes.join(" ").into(),
            Self::Claim(name) => match principal.claims.get(name)? {
                Value::String(text) => text.as_str().into(),
                other => other.to_string().into(),
            },
        })
    }

    /// As JSON: roles as a list, scopes as one string (RFC 8693 section 4.2), claims as they are. `None` if there is nothing to
    /// say.
    #[must_use]
    pub fn json(&self, principal: &Principal) -> Option<Value> {
        match self {
            Self::Roles => Some(principal.roles.as_slice().into()),
            Self::Claim(name) => principal.claims.get(name).cloned(),
            _ => self.text(principal).map(|text| Value::String(text.into_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::PrincipalKind;

    #[test]
    fn what_is_said_in_a_header_and_in_a_token() {
        let mut ann = Principal::new(PrincipalKind::User, "ann", "staff");
        ann.roles = vec!["clerk".to_owned(), "buyer".to_owned()];
        ann.scopes = vec!["read".to_owned(), "write".to_owned()];
        ann.claims.insert("tenant".to_owned(), json!("acme"));
        ann.claims.insert("groups".to_owned(), json!([1, 2]));
        for (name, text, value) in [
            ("subject", "ann", json!("ann")),
            ("method", "staff", json!("staff")),
            ("kind", "user", json!("user")),
            ("roles", "clerk,buyer", json!(["clerk", "buyer"])),
            ("scopes", "read write", json!("read write")),
            ("claim:tenant", "acme", json!("acme")),
            ("claim:groups", "[1,2]", json!([1, 2])),
        ] {
            let source = IdentitySource::parse(name).unwrap();
            assert_eq!(source.text(&ann).as_deref(), Some(text), "{name}");
            assert_eq!(source.json(&ann), Some(value), "{name}");
        }
        for name in ["issuer", "claim:none"] {
            let source = IdentitySource::parse(name).unwrap();
            assert_eq!((source.text(&ann), source.json(&ann)), (None, None), "{name}");
        }
        for wrong in ["", "claim:", "claims", "Subject"] {
            assert_eq!(IdentitySource::parse(wrong), None, "{wrong}");
        }
    }
}
