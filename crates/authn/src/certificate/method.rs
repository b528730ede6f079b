//! From the certificate of a connection to a principal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use portcullis_core::{
    CertificateDetails, ClientCertificate, Head, KeyPath, Principal, PrincipalKind, Problems,
};
use serde_json::json;

use super::raw::RawCertificates;
use super::spiffe;
use crate::authentication::current_certificate;
use crate::fault::{Failure, Fault};
use crate::hexadecimal::hexadecimal;
use crate::method::{Compiling, MethodId};
use crate::plan::check_scopes;
use crate::template::{Piece, Template};

/// Whom certificates stand for.
#[derive(Debug)]
pub(crate) struct CertificateMethod {
    name: String,
    /// Under which certificates remember what was found out. Unique in the process.
    number: u64,
    principal: Template<Part>,
    allow: Vec<Pattern>,
    grants: Vec<Grant>,
}

#[derive(Debug)]
struct Grant {
    principal: Pattern,
    roles: Vec<String>,
    scopes: Vec<String>,
}

/// A part of a certificate that names its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Spiffe,
    Uri,
    Dns,
    Email,
    Subject,
    Attribute(String),
    Issuer,
    Serial,
    Sha256,
}

const PARTS: &str = "`{spiffe}`, `{uri}`, `{dns}`, `{email}`, `{subject}`, `{subject:cn}`, `{issuer}`, `{serial}` or \
                     `{sha256}`";

impl CertificateMethod {
    pub(crate) fn compile(
        raw: &RawCertificates,
        _: MethodId,
        path: &KeyPath,
        compiling: &mut Compiling<'_>,
    ) -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let problems = &mut *compiling.problems;
        let place = path.key("principal");
        let principal = Template::compile(&raw.principal, Part::named, PARTS, &place, problems);
        if principal.as_ref().is_some_and(touch) {
            problems
                .error(&place, "two parts touch, so nobody can say where one of them ends")
                .suggest("put a character between them that no name has, for example `{dns} {serial}`");
        }
        let grants = raw.grants.iter().enumerate().map(|(index, grant)| {
            check_grant(&grant.roles, &grant.scopes, &path.key("grants").index(index), problems);
            Grant {
                principal: Pattern::new(&grant.principal),
                roles: grant.roles.clone(),
                scopes: grant.scopes.clone(),
            }
        });
        Some(Self {
            name: raw.name.clone(),
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            grants: grants.collect(),
            principal: principal?,
            allow: raw.allow.iter().map(|pattern| Pattern::new(pattern)).collect(),
        })
    }

    /// The principal of the connection's certificate; `None` without one. Found out once for each connection.
    pub(crate) fn authenticate(&self, head: &Head<'_>) -> Result<Option<Arc<Principal>>, Failure> {
        let Some(certificate) = current_certificate(head)? else { return Ok(None) };
        if let Some(known) = certificate.known_to(self.number) {
            return Ok(Some(known));
        }
        let principal = Arc::new(self.identify(certificate)?);
        certificate.remember(self.number, Arc::clone(&principal));
        Ok(Some(principal))
    }

    fn identify(&self, certificate: &ClientCertificate) -> Result<Principal, Fault> {
        let details = certificate.details.as_ref().map_err(|fault| Fault::certificate(fault.code()))?;
        let id = self.id(certificate, details)?;
        if !self.allow.is_empty() && !self.allow.iter().any(|pattern| pattern.matches(&id)) {
            return Err(Fault::certificate("name_not_allowed"));
        }
        let mut principal = Principal::new(PrincipalKind::Certificate, id, self.name.as_str());
        for grant in self.grants.iter().filter(|grant| grant.principal.matches(&principal.id)) {
            extend(&mut principal.roles, &grant.roles);
            extend(&mut principal.scopes, &grant.scopes);
        }
        principal.issuer = Some(details.issuer.clone());
        principal.expires = Some(details.not_after);
        let claims = json!({
            "subject": details.subject,
            "issuer": details.issuer,
            "serial": details.serial,
            "sha256": hexadecimal(&certificate.sha256),
            "dns": details.dns,
            "uris": details.uris,
            "emails": details.emails,
        });
        if let serde_json::Value::Object(claims) = claims {
            principal.claims = claims;
        }
        Ok(principal)
    }

    fn id(&self, certificate: &ClientCertificate, details: &CertificateDetails) -> Result<String, Fault> {
        let is_single = self.principal.parts().nth(1).is_none();
        let mut id = String::new();
        for piece in &self.principal.pieces {
            match piece {
                Piece::Text(text) => id.push_str(text),
                Piece::Part(part) => {
                    let value = part.of(certificate, details)?;
                    // With `{subject:cn}@{subject:o}` a name with an `@` could be taken for two others.
                    let borders = self.principal.texts().flat_map(str::chars);
                    if !is_single && value.contains(borders.collect::<Vec<_>>().as_slice()) {
                        return Err(Fault::certificate("ambiguous_name"));
                    }
                    id.push_str(&value);
                }
            }
        }
        Ok(id)
    }
}

/// Of `{dns}{email}` nobody could say where one ends.
fn touch<P>(template: &Template<P>) -> bool {
    template.pieces.windows(2).any(|pair| matches!(pair, [Piece::Part(_), Piece::Part(_)]))
}

fn check_grant(roles: &[String], scopes: &[String], path: &KeyPath, problems: &mut Problems) {
    check_scopes(scopes, &path.key("scopes"), problems);
    for (index, _) in roles.iter().enumerate().filter(|(_, role)| role.is_empty()) {
        problems.error(&path.key("roles").index(index), "an empty role").suggest("remove it");
    }
}

fn extend(have: &mut Vec<String>, more: &[String]) {
    for one in more {
        if !have.contains(one) {
            have.push(one.clone());
        }
    }
}

impl Part {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "spiffe" => Self::Spiffe,
            "uri" => Self::Uri,
            "dns" => Self::Dns,
            "email" => Self::Email,
            "subject" => Self::Subject,
            "issuer" => Self::Issuer,
            "serial" => Self::Serial,
            "sha256" => Self::Sha256,
            _ => {
                let part = name.strip_prefix("subject:").filter(|part| !part.is_empty())?;
                Self::Attribute(part.to_ascii_lowercase())
            }
        })
    }

    /// What a certificate says here, if it says one thing.
    fn of(&self, certificate: &ClientCertificate, details: &CertificateDetails) -> Result<String, Fault> {
        match self {
            Self::Spiffe => only(details.uris.iter().filter(|uri| spiffe::is_meant(uri))),
            Self::Uri => only(&details.uris),
            Self::Dns => only(&details.dns),
            Self::Email => only(&details.emails),
            Self::Subject => only([&details.subject]),
            Self::Attribute(part) => {
                let named = |(key, _): &&(String, String)| key.eq_ignore_ascii_case(part);
                only(details.subject_parts.iter().filter(named).map(|(_, value)| value))
            }
            Self::Issuer => only([&details.issuer]),
            Self::Serial => only([&details.serial]),
            Self::Sha256 => Ok(hexadecimal(&certificate.sha256)),
        }
    }
}

fn only<'n>(names: impl IntoIterator<Item = &'n String>) -> Result<String, Fault> {
    let mut names = names.into_iter();
    match (names.next(), names.next()) {
        (Some(name), None) if !name.is_empty() => Ok(name.clone()),
        (Some(_), Some(_)) => Err(Fault::certificate("several_names")),
        _ => Err(Fault::certificate("name_missing")),
    }
}

/// A text in which `*` stands for any characters.
#[derive(Debug)]
pub(crate) struct Pattern(Vec<String>);

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.split('*').map(str::to_owned).collect())
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.0.as_slice() else {
            return self.0.first().is_some_and(|only| only == text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
        for piece in middle {
            let Some(at) = rest.find(piece.as_str()) else { return false };
            rest = rest.get(at + piece.len()..).unwrap_or_default();
        }
        rest.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("spiffe://example.org/*", "spiffe://example.org/ns/a", true),
            ("spiffe://example.org/*", "spiffe://example.org.evil/ns", false),
            ("*.example.com", "a.b.example.com", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }
}
