//! What a certificate says of its holder, read so that it has one reading.
//!
//! The chain was verified before, by the TLS library. That does not make names honest: authorities have signed names with
//! a NUL in them, and programs differ in which of two names they take. Whatever can be read in two ways is a
//! [`CertificateFault`] here, and no method of authentication names anybody by it.

use std::collections::HashSet;

use aws_lc_rs::digest;
use portcullis_core::{CertificateDetails, CertificateFault, ClientCertificate, Timestamp};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use crate::hexadecimal::hexadecimal;
use spiffe::SpiffeId;

mod method;
mod raw;
pub(crate) mod spiffe;

pub(crate) use method::CertificateMethod;
pub use raw::{RawCertificates, RawGrant};

/// The certificate of a client whose chain was verified, the leaf first; `None` without one.
#[must_use]
pub fn client_certificate<'c>(chain: impl IntoIterator<Item = &'c [u8]>) -> Option<ClientCertificate> {
    let mut chain = chain.into_iter();
    let leaf = chain.next()?;
    let hash = digest::digest(&digest::SHA256, leaf);
    let mut sha256 = [0; 32];
    sha256.iter_mut().zip(hash.as_ref()).for_each(|(place, byte)| *place = *byte);
    Some(ClientCertificate::new(leaf, sha256, chain.map(Into::into).collect(), read(leaf)))
}

/// What a certificate in DER says.
///
/// # Errors
/// When it cannot be read, or in more than one way.
pub fn read(der: &[u8]) -> Result<CertificateDetails, CertificateFault> {
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| CertificateFault::Malformed)?;
    if !rest.is_empty() {
        return Err(CertificateFault::Malformed);
    }
    certificate.extensions_map().map_err(|_| CertificateFault::RepeatedExtension)?;
    let (subject, subject_parts) = distinguished_name(certificate.subject())?;
    let (issuer, _) = distinguished_name(certificate.issuer())?;
    let validity = certificate.validity();
    let mut details = CertificateDetails {
        subject,
        subject_parts,
        issuer,
        serial: hexadecimal(certificate.raw_serial()),
        not_before: moment(validity.not_before),
        not_after: moment(validity.not_after),
        dns: Vec::new(),
        uris: Vec::new(),
        emails: Vec::new(),
    };
    alternative_names(&certificate, &mut details)?;
    check_spiffe(&certificate, &details)?;
    Ok(details)
}

fn moment(time: ASN1Time) -> Timestamp {
    Timestamp(u64::try_from(time.timestamp()).unwrap_or(0).saturating_mul(1_000_000_000))
}

fn alternative_names(
    certificate: &X509Certificate<'_>,
    details: &mut CertificateDetails,
) -> Result<(), CertificateFault> {
    let extension = certificate.get_extension_unique(&OID_X509_EXT_SUBJECT_ALT_NAME);
    let Some(extension) = extension.map_err(|_| CertificateFault::RepeatedExtension)? else { return Ok(()) };
    let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() else {
        return Err(CertificateFault::Malformed);
    };
    for name in &names.general_names {
        match name {
            GeneralName::DNSName(name) => details.dns.push(plain(name)?.to_ascii_lowercase()),
            GeneralName::URI(name) => details.uris.push(plain(name)?.to_owned()),
            GeneralName::RFC822Name(name) => details.emails.push(plain(name)?.to_owned()),
            GeneralName::Invalid(..) => return Err(CertificateFault::MalformedName),
            // Nobody is named by any of the others.
            _ => {}
        }
    }
    for names in [&details.dns, &details.uris, &details.emails] {
        let mut seen = HashSet::new();
        if !names.iter().all(|name| seen.insert(name)) {
            return Err(CertificateFault::RepeatedName);
        }
    }
    Ok(())
}

/// These names are ASCII (RFC 5280 section 4.2.1.6), and none has a space.
fn plain(name: &str) -> Result<&str, CertificateFault> {
    if name.chars().any(char::is_control) {
        return Err(CertificateFault::ControlCharacter);
    }
    let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain { Ok(name) } else { Err(CertificateFault::MalformedName) }
}

/// A certificate with a SPIFFE ID has no other URI, and cannot sign others (SPIFFE X.509-SVID sections 2 and 4).
fn check_spiffe(
    certificate: &X509Certificate<'_>,
    details: &CertificateDetails,
) -> Result<(), CertificateFault> {
    let Some(id) = details.uris.iter().find(|uri| spiffe::is_meant(uri)) else { return Ok(()) };
    if details.uris.len() > 1 {
        return Err(CertificateFault::SeveralUris);
    }
    let usage = certificate.key_usage().map_err(|_| CertificateFault::Malformed)?;
    let signs = usage.is_some_and(|usage| usage.value.key_cert_sign() || usage.value.crl_sign());
    if certificate.is_ca() || signs || SpiffeId::parse(id).is_none() {
        return Err(CertificateFault::MalformedSpiffeId);
    }
    Ok(())
}

/// A name as RFC 4514 writes it, last part first, and its parts.
fn distinguished_name(name: &X509Name<'_>) -> Result<(String, Vec<(String, String)>), CertificateFault> {
    let mut parts = Vec::new();
    let mut sets = Vec::new();
    for set in name.iter_rdn() {
        let mut texts = Vec::new();
        for attribute in set.iter() {
            let (label, key) = attribute_name(attribute);
            let text = attribute_text(attribute)?;
            texts.push(match label {
                Some(label) => format!("{label}={}", escaped(&text)),
                // RFC 4514 section 2.4: the value of a type without a name is written as its encoding.
                None => format!("{key}=#{}", hexadecimal(attribute.attr_value().data)),
            });
            parts.push((key, text));
        }
        sets.push(texts.join("+"));
    }
    sets.reverse();
    Ok((sets.join(","), parts))
}

fn attribute_text(attribute: &AttributeTypeAndValue<'_>) -> Result<String, CertificateFault> {
    let text = attribute.as_str().map_err(|_| CertificateFault::MalformedName)?;
    if text.chars().any(char::is_control) {
        Err(CertificateFault::ControlCharacter)
    } else {
        Ok(text.to_owned())
    }
}

/// The label of an attribute in texts, if it has one, and its key.
fn attribute_name(attribute: &AttributeTypeAndValue<'_>) -> (Option<&'static str>, String) {
    let number = attribute.attr_type().to_id_string();
    let known = ATTRIBUTES.iter().find(|(known, _)| *known == number);
    match known {
        Some((_, label)) => (Some(label), label.to_ascii_lowercase()),
        None => (None, number),
    }
}

/// RFC 4514 section 3, and those that people use beside them.
const ATTRIBUTES: [(&str, &str); 14] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.42", "GN"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// RFC 4514 section 2.4.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (at, character) in text.chars().enumerate() {
        let at_edge = at == 0 || at == last;
        let is_special = matches!(character, '"' | '+' | ',' | ';' | '<' | '>' | '\\')
            || character == ' ' && at_edge
            || character == '#' && at == 0;
        if is_special {
            out.push('\\');
        }
        out.push(character);
    }
    out
}
