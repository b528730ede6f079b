//! Which bucket of a limit a request belongs to.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use http::HeaderMap;
use portcullis_core::{Digest, KeyedHash, Principal, PrincipalKind};
use smallvec::SmallVec;

use crate::KeyPart;

/// What a request may be counted by.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'r> {
    /// Who asks. `None` before authentication; counted like an anonymous principal.
    pub principal: Option<&'r Principal>,
    /// The client's address.
    pub address: IpAddr,
    /// The route's name, which must mean the same after a reload.
    pub route: &'r str,
    /// The service's name, likewise.
    pub service: &'r str,
    /// The header fields.
    pub headers: Option<&'r HeaderMap>,
    /// The names of the parameters of the route's path, and their values.
    pub parameters: (&'r [String], &'r [Cow<'r, str>]),
}

/// The parts of a subject that a limit tells apart. Without any, all requests share one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) identity: Identity,
    pub(crate) address: bool,
    pub(crate) route: bool,
    pub(crate) service: bool,
    /// How many leading bits of an IPv6 address make a client.
    pub(crate) ipv6_prefix: u8,
    /// Further parts: of the head, of the token, of the path.
    pub(crate) details: Vec<KeyPart>,
}

/// Which identities a limit tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// None: it counts all alike.
    Any,
    /// Every principal; the anonymous by their address.
    Principal,
    /// API keys, and it counts nobody else.
    ApiKey,
}

type Parts<'p> = SmallVec<[&'p [u8]; 6]>;

impl Key {
    /// The digest that stands for the subject; `None` if the limit does not apply to it.
    ///
    /// It is taken over the identity itself, not over the credential: whoever comes with a fresh token
    /// comes to the same bucket.
    pub(crate) fn digest(&self, hash: &KeyedHash, subject: &Subject<'_>) -> Option<Digest> {
        let address = client_address(subject.address, self.ipv6_prefix);
        let mut parts = Parts::new();
        match self.identity {
            Identity::Any => {}
            Identity::Principal => push_principal(&mut parts, subject.principal, address.as_bytes()),
            Identity::ApiKey => {
                let principal = subject.principal.filter(|known| known.kind == PrincipalKind::ApiKey)?;
                push_principal(&mut parts, Some(principal), address.as_bytes());
            }
        }
        if self.address {
            parts.push(address.as_bytes());
        }
        if self.route {
            parts.push(subject.route.as_bytes());
        }
        if self.service {
            parts.push(subject.service.as_bytes());
        }
        if self.details.is_empty() {
            return Some(hash.digest(&parts));
        }
        let claims: SmallVec<[Cow<'_, str>; 2]> =
            self.details.iter().filter_map(|detail| claim(detail, subject)).collect();
        let mut parts: Parts<'_> = parts;
        let mut rest = claims.iter();
        for detail in &self.details {
            push_detail(&mut parts, detail, subject, &mut rest);
        }
        Some(hash.digest(&parts))
    }
}

/// Texts as they are, everything else as JSON. That a claim is not there is told from an empty one.
fn claim<'s>(detail: &KeyPart, subject: &Subject<'s>) -> Option<Cow<'s, str>> {
    let KeyPart::Claim(name) = detail else { return None };
    let value = subject.principal.and_then(|principal| principal.claims.get(name.as_str()));
    Some(match value {
        None => Cow::Borrowed("absent"),
        Some(serde_json::Value::String(text)) => Cow::Owned(format!("\"{text}")),
        Some(other) => Cow::Owned(other.to_string()),
    })
}

/// How many values of a field are looked at.
const MOST_VALUES: usize = 4;
/// How many values follow.
const COUNTS: [[u8; 1]; MOST_VALUES + 1] = [[0], [1], [2], [3], [4]];

/// Before the values stands how many there are, so that no two lists of parts can be taken for one another.
fn push_detail<'p>(
    parts: &mut Parts<'p>,
    detail: &KeyPart,
    subject: &Subject<'p>,
    claims: &mut std::slice::Iter<'p, Cow<'p, str>>,
) {
    match detail {
        KeyPart::Header(name) => {
            let values = || subject.headers.into_iter().flat_map(|headers| headers.get_all(name));
            parts.push(COUNTS.get(values().count()).unwrap_or(&COUNTS[MOST_VALUES]));
            parts.extend(values().take(MOST_VALUES).map(http::HeaderValue::as_bytes));
        }
        KeyPart::Claim(_) => parts.push(claims.next().map_or(b"absent", |claim| claim.as_bytes())),
        KeyPart::Path(name) => {
            let (names, values) = subject.parameters;
            let value = names.iter().position(|known| known == name).and_then(|at| values.get(at));
            match value {
                Some(value) => parts.extend_from_slice(&[&COUNTS[1], value.as_bytes()]),
                None => parts.push(&COUNTS[0]),
            }
        }
        _ => {}
    }
}

/// A subject is unique within its issuer (OpenID Connect Core, section 2); where there is none, within the
/// method that knows it. The first byte keeps the kinds, and issuers from methods, apart.
fn push_principal<'p>(parts: &mut Parts<'p>, principal: Option<&'p Principal>, address: &'p [u8]) {
    let Some(principal) = principal.filter(|known| known.kind != PrincipalKind::Anonymous) else {
        parts.extend_from_slice(&[b"anonymous".as_slice(), address]);
        return;
    };
    let (kind, scope) = match (&principal.kind, &principal.issuer) {
        (PrincipalKind::ApiKey, Some(issuer)) => (b"k".as_slice(), issuer),
        (PrincipalKind::ApiKey, None) => (b"K".as_slice(), &principal.method),
        (PrincipalKind::Certificate, Some(issuer)) => (b"c".as_slice(), issuer),
        (PrincipalKind::Certificate, None) => (b"C".as_slice(), &principal.method),
        (_, Some(issuer)) => (b"u".as_slice(), issuer),
        (_, None) => (b"U".as_slice(), &principal.method),
    };
    parts.extend_from_slice(&[kind, scope.as_bytes(), principal.id.as_bytes()]);
}

/// An address in network byte order.
pub(crate) enum AddressBytes {
    V4([u8; 4]),
    V6([u8; 16]),
}

impl AddressBytes {
    const fn as_bytes(&self) -> &[u8] {
        match self {
            Self::V4(bytes) => bytes,
            Self::V6(bytes) => bytes,
        }
    }

    /// As people write it.
    pub(crate) fn shown(&self, ipv6_prefix: u8) -> String {
        match self {
            Self::V4(bytes) => IpAddr::from(*bytes).to_string(),
            Self::V6(bytes) if ipv6_prefix == 128 => IpAddr::from(*bytes).to_string(),
            Self::V6(bytes) => format!("{}/{ipv6_prefix}", IpAddr::from(*bytes)),
        }
    }
}

/// What counts as one client. IPv4 addresses that are written as IPv6 (RFC 4291 section 2.5.5.2) are
/// unwrapped first: they would share one prefix otherwise.
pub(crate) fn client_address(address: IpAddr, ipv6_prefix: u8) -> AddressBytes {
    match address.to_canonical() {
        IpAddr::V4(address) => AddressBytes::V4(address.octets()),
        IpAddr::V6(address) => {
            let host_bits = 128_u32.saturating_sub(u32::from(ipv6_prefix));
            let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
            AddressBytes::V6(Ipv6Addr::from_bits(address.to_bits() & mask).octets())
        }
    }
}
