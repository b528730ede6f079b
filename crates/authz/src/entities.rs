//! The entities that policies speak of: principals in roles, routes in services, actions in groups.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::str::FromStr;

use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use portcullis_core::{Principal, PrincipalKind};
use serde_json::Value;

use crate::ClaimType;
use crate::reads::Names;

/// The entity types of principals.
pub(crate) const PRINCIPAL_TYPES: [&str; 5] = ["User", "ApiKey", "Certificate", "Signer", "Anonymous"];

/// The entity type of resources.
pub(crate) const ROUTE_TYPE: &str = "Route";

/// The types of all entities, parsed once.
#[derive(Debug, Clone)]
pub(crate) struct Types {
    user: EntityTypeName,
    api_key: EntityTypeName,
    certificate: EntityTypeName,
    signer: EntityTypeName,
    anonymous: EntityTypeName,
    role: EntityTypeName,
    pub(crate) route: EntityTypeName,
    pub(crate) service: EntityTypeName,
    pub(crate) action: EntityTypeName,
}

impl Types {
    /// # Errors
    /// Never in practice: each name is an identifier.
    pub(crate) fn new() -> Result<Self, Box<cedar_policy::ParseErrors>> {
        Ok(Self {
            user: EntityTypeName::from_str("User")?,
            api_key: EntityTypeName::from_str("ApiKey")?,
            certificate: EntityTypeName::from_str("Certificate")?,
            signer: EntityTypeName::from_str("Signer")?,
            anonymous: EntityTypeName::from_str("Anonymous")?,
            role: EntityTypeName::from_str("Role")?,
            route: EntityTypeName::from_str(ROUTE_TYPE)?,
            service: EntityTypeName::from_str("Service")?,
            action: EntityTypeName::from_str("Action")?,
        })
    }

    /// `Route::"name"`.
    pub(crate) fn route(&self, name: &str) -> EntityUid {
        uid(&self.route, name)
    }

    /// `Service::"name"`.
    pub(crate) fn service(&self, name: &str) -> EntityUid {
        uid(&self.service, name)
    }

    /// `Action::"name"`.
    pub(crate) fn action(&self, name: &str) -> EntityUid {
        uid(&self.action, name)
    }

    /// Who `principal` is to policies.
    fn principal(&self, principal: &Principal) -> EntityUid {
        match principal.kind {
            PrincipalKind::User => uid(&self.user, &user_id(principal)),
            PrincipalKind::ApiKey => uid(&self.api_key, &principal.id),
            PrincipalKind::Certificate => uid(&self.certificate, &principal.id),
            PrincipalKind::Signer => uid(&self.signer, &principal.id),
            PrincipalKind::Anonymous => uid(&self.anonymous, &principal.id),
        }
    }
}

fn uid(type_name: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(type_name.clone(), EntityId::new(id))
}

/// `issuer|subject`: a subject is unique only at its issuer. The issuer's own `|` is escaped, and a token
/// without issuer gets an empty one, so that no two users share an id.
fn user_id(principal: &Principal) -> String {
    let issuer = principal.issuer.as_deref().unwrap_or_default();
    format!("{}|{}", issuer.replace('%', "%25").replace('|', "%7C"), principal.id)
}

/// A principal as policies see it, made once for each credential.
#[derive(Debug)]
pub(crate) struct Caller {
    /// Who it is.
    pub(crate) uid: EntityUid,
    /// The roles it is in.
    pub(crate) roles: Vec<EntityUid>,
    /// With attributes and parents.
    pub(crate) entity: Entity,
    /// Claims that are not of their declared type.
    faulty_claims: Vec<String>,
}

impl Caller {
    /// `None` if Cedar does not take the attributes, which are all plain values: the caller then denies.
    pub(crate) fn new(
        principal: &Principal,
        types: &Types,
        claim_types: &BTreeMap<String, ClaimType>,
    ) -> Option<Self> {
        let mut claims = Vec::new();
        let mut faulty_claims = Vec::new();
        for (name, &claim_type) in claim_types {
            match principal.claims.get(name) {
                None | Some(Value::Null) => {}
                Some(value) => match claim(value, claim_type) {
                    Some(value) => claims.push((name.clone(), value)),
                    None => faulty_claims.push(name.clone()),
                },
            }
        }
        let uid = types.principal(principal);
        let roles: Vec<_> = principal.roles.iter().map(|role| self::uid(&types.role, role)).collect();
        let mut attributes = HashMap::from([
            ("id".to_owned(), string(uid.id().unescaped())),
            ("subject".to_owned(), string(&principal.id)),
            ("scopes".to_owned(), strings(&principal.scopes)),
            ("roles".to_owned(), strings(&principal.roles)),
            ("claims".to_owned(), RestrictedExpression::new_record(claims).ok()?),
        ]);
        if let Some(issuer) = &principal.issuer {
            attributes.insert("issuer".to_owned(), string(issuer));
        }
        let parents: HashSet<_> = roles.iter().cloned().collect();
        let entity = Entity::new(uid.clone(), attributes, parents).ok()?;
        Some(Self { uid, roles, entity, faulty_claims })
    }

    /// Whether one of these claims is not of its declared type.
    pub(crate) fn is_faulty(&self, claims: &Names) -> bool {
        self.faulty_claims.iter().any(|name| claims.contains(name))
    }
}

fn claim(value: &Value, claim_type: ClaimType) -> Option<RestrictedExpression> {
    match (claim_type, value) {
        (ClaimType::String, Value::String(text)) => Some(string(text)),
        (ClaimType::Long, Value::Number(number)) => number.as_i64().map(RestrictedExpression::new_long),
        (ClaimType::Bool, Value::Bool(truth)) => Some(RestrictedExpression::new_bool(*truth)),
        (ClaimType::Strings, Value::String(text)) => Some(RestrictedExpression::new_set([string(text)])),
        (ClaimType::Strings, Value::Array(list)) => {
            let texts: Option<Vec<_>> = list.iter().map(|value| value.as_str().map(string)).collect();
            texts.map(RestrictedExpression::new_set)
        }
        _ => None,
    }
}

/// A string value.
pub(crate) fn string(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn strings(texts: &[String]) -> RestrictedExpression {
    RestrictedExpression::new_set(texts.iter().map(|text| string(text)))
}

/// A route in its service.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) uid: EntityUid,
    pub(crate) service: EntityUid,
}

impl Resource {
    /// The entity, with these parameters of its path.
    pub(crate) fn entity<'n, 'v>(
        &self,
        parameters: impl IntoIterator<Item = (&'n str, &'v str)>,
    ) -> Option<Entity> {
        let parameters = parameters.into_iter().map(|(name, value)| (name.to_owned(), string(value)));
        let path = RestrictedExpression::new_record(parameters).ok()?;
        let attributes = HashMap::from([("path".to_owned(), path)]);
        Entity::new(self.uid.clone(), attributes, HashSet::from([self.service.clone()])).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn user(issuer: Option<&str>, subject: &str) -> Principal {
        let mut principal = Principal::new(PrincipalKind::User, subject, "jwt");
        principal.issuer = issuer.map(str::to_owned);
        principal
    }

    #[test]
    fn no_two_users_share_an_id() {
        let users = [
            user(Some("https://a"), "b|c"),
            user(Some("https://a|b"), "c"),
            user(Some("https://a%7Cb"), "c"),
            user(None, "https://a|b|c"),
            user(None, "c"),
            user(Some("c"), ""),
        ];
        let ids: HashSet<_> = users.iter().map(user_id).collect();
        assert_eq!(ids.len(), users.len(), "{ids:?}");
        assert!(ids.contains("https://a|b|c"));
    }

    #[test]
    fn claims_are_taken_in_their_declared_type_or_not_at_all() {
        let claim_types = BTreeMap::from([
            ("text".to_owned(), ClaimType::String),
            ("number".to_owned(), ClaimType::Long),
            ("truth".to_owned(), ClaimType::Bool),
            ("list".to_owned(), ClaimType::Strings),
        ]);
        let faulty = |claims: Value| {
            let mut principal = user(None, "a");
            principal.claims = claims.as_object().cloned().unwrap();
            Caller::new(&principal, &Types::new().unwrap(), &claim_types).unwrap().faulty_claims
        };
        assert!(faulty(json!({ "text": "a", "number": -1, "truth": true, "list": ["a"] })).is_empty());
        assert!(faulty(json!({ "text": null, "list": "a", "undeclared": {} })).is_empty());
        assert_eq!(faulty(json!({ "text": 1, "number": 1.5 })), ["number", "text"]);
        assert_eq!(faulty(json!({ "number": u64::MAX, "truth": "true" })), ["number", "truth"]);
        assert_eq!(faulty(json!({ "list": ["a", 1], "text": ["a"] })), ["list", "text"]);
    }
}
