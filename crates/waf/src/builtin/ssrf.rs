//! Addresses that only the server itself can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::detector::{Probe, Text};
use super::rules::{Family, Rule, rule};
use super::score::{Cues, HeaderKind, Place};

const METADATA: u32 = 100_650;
const DISGUISED: u32 = 100_651;
const LOOPBACK: u32 = 100_652;
const PRIVATE: u32 = 100_653;
const INTERNAL: u32 = 100_654;

const fn ssrf(id: u32, scores: (u16, u16), title: &'static str, description: &'static str) -> Rule {
    rule(id, Family::Ssrf, scores, title, description)
}

pub(super) const RULES: &[Rule] = &[
    ssrf(METADATA, (5, 3), "metadata of a cloud", "The address where a virtual machine finds its own credentials."),
    ssrf(DISGUISED, (5, 3), "disguised address", "An internal address in decimal, octal, hexadecimal or IPv6 form."),
    ssrf(LOOPBACK, (5, 1), "own host", "An address at the host itself: localhost, 127.0.0.1, [::1]."),
    ssrf(PRIVATE, (5, 1), "private network", "An address in a network that is not reachable from outside."),
    ssrf(INTERNAL, (5, 1), "internal name", "A name that is resolved inside only: *.internal, *.svc.cluster.local, 127.0.0.1.nip.io."),
    ssrf(100_655, (5, 3), "unusual scheme", "An address that makes a client speak other protocols.").at(
        &["gopher:", "dict:", "ldap:", "ldaps:", "jar:", "tftp:", "sftp:", "rmi:", "netdoc:", "file:"],
        r"\bgopher://|\bdict://|\bldaps?://|\bjar:(?:https?|file):|\btftp://|\bsftp://\S+:\d|\brmi://|\bfile://",
    ),
];

pub(super) const PROBE: Probe = Probe {
    families: Family::Ssrf.bit(),
    anchors: &["://", "169.254.", "metadata.google", "localhost", "127.", "[::"],
    classes: 0,
    needs: 0,
    cost: 4,
    run,
};

fn run(text: &Text<'_>, cues: &mut Cues) {
    if matches!(text.place, Place::HeaderValue(HeaderKind::Origin)) {
        return;
    }
    let mut from = 0;
    for at in memchr::memchr_iter(b'/', text.bytes) {
        if at >= from && text.bytes.get(at + 1) == Some(&b'/') {
            from = at + 2;
            authority(text.bytes, from, cues);
        }
    }
    let whole = text.bytes.trim_ascii();
    let lower = whole.get(..whole.len().min(40)).unwrap_or_default().to_ascii_lowercase();
    let bare = [&b"169.254.169.254"[..], b"metadata.google.internal", b"100.100.100.200", b"192.0.0.192"];
    if bare.iter().any(|known| lower.starts_with(known)) {
        cues.add(METADATA, 0, whole.len());
    }
    let local = [&b"localhost"[..], b"127.0.0.1", b"[::1]", b"0.0.0.0"];
    if local
        .iter()
        .any(|known| lower.strip_prefix(*known).is_some_and(|rest| matches!(rest, [b':' | b'/', ..])))
    {
        cues.add(LOOPBACK, 0, whole.len());
    }
}

/// Whether a value is a signed token (RFC 7515 section 7.1), with or without a scheme before it. What it says of addresses is said
/// to whoever verifies it: an issuer within the house has an internal one.
pub(super) fn is_token(value: &[u8]) -> bool {
    let word = value.iter().rposition(|byte| *byte == b' ').map_or(value, |space| {
        let (scheme, word) = value.split_at(space);
        let is_scheme = [&b"bearer"[..], b"dpop"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        if is_scheme { word.get(1..).unwrap_or_default() } else { b"" }
    });
    // `{"` in base64.
    word.starts_with(b"eyJ")
        && word.iter().filter(|byte| **byte == b'.').count() == 2
        && word.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

/// Judges the host of an address that begins at `start`.
fn authority(text: &[u8], start: usize, cues: &mut Cues) {
    let rest = text.get(start..).unwrap_or_default();
    let ends = |byte: &u8| {
        matches!(byte, b'/' | b'?' | b'#' | b'\\' | b' ' | b'"' | b'\'' | b'<' | b'>' | b')' | b',' | b'`')
    };
    let end = rest.iter().take(256).position(ends).unwrap_or(rest.len().min(256));
    let authority = rest.get(..end).unwrap_or_default();
    let after_user = authority.iter().rposition(|byte| *byte == b'@').map_or(0, |at| at + 1);
    let host = authority.get(after_user..).unwrap_or_default();
    let host = match host {
        [b'[', inner @ ..] => inner.split(|byte| *byte == b']').next().unwrap_or_default(),
        _ => host.split(|byte| *byte == b':').next().unwrap_or_default(),
    };
    // Most slashes are no addresses: `// note`.
    if host.is_empty() {
        return;
    }
    if let Some(rule) = judge(&host.to_ascii_lowercase()) {
        cues.add(rule, start, start + end);
    }
}

fn judge(host: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(host).ok()?.trim_end_matches('.');
    if text.parse::<Ipv4Addr>().is_ok() || !text.contains(':') {
        if let Some((address, plain)) = number(text) {
            let rule = judge_v4(address)?;
            return Some(if plain || rule == METADATA { rule } else { DISGUISED });
        }
    } else if let Ok(address) = text.split('%').next().unwrap_or_default().parse::<Ipv6Addr>() {
        return judge_v6(address);
    }
    let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| text.ends_with(suffix));
    match text {
        "localhost" | "localhost.localdomain" | "ip6-localhost" | "localtest.me" | "lvh.me" => Some(LOOPBACK),
        "metadata.google.internal" | "metadata" | "instance-data" | "metadata.azure.com" => Some(METADATA),
        "kubernetes" | "kubernetes.default" | "host.docker.internal" | "0" => Some(INTERNAL),
        _ if ends(&[
            ".internal",
            ".svc.cluster.local",
            ".localhost",
            ".intranet",
            ".corp",
            ".localdomain",
            ".consul",
        ]) =>
        {
            Some(INTERNAL)
        }
        _ if ends(&[
            ".nip.io",
            ".sslip.io",
            ".xip.io",
            ".localtest.me",
            ".lvh.me",
            ".burpcollaborator.net",
            ".oastify.com",
            ".interact.sh",
            ".oast.fun",
            ".oast.pro",
        ]) =>
        {
            Some(INTERNAL)
        }
        _ => None,
    }
}

/// An IPv4 address in any form that a resolver takes, and whether it was the usual one.
fn number(text: &str) -> Option<(Ipv4Addr, bool)> {
    let mut parts = [0_u64; 4];
    let mut count = 0;
    let mut plain = true;
    for part in text.split('.') {
        let (digits, radix) = match part.strip_prefix("0x") {
            Some(digits) => (digits, 16),
            None if part.len() > 1 && part.starts_with('0') => (part, 8),
            None => (part, 10),
        };
        plain &= radix == 10;
        *parts.get_mut(count)? = u64::from_str_radix(digits, radix).ok()?;
        count += 1;
    }
    let last = *parts.get(count.checked_sub(1)?)?;
    let mut address = 0_u64;
    for part in parts.get(..count - 1)? {
        address = address << 8 | (*part <= 255).then_some(*part)?;
    }
    let bits = 8 * (5 - count as u32);
    let whole = address << bits | (last < 1 << bits).then_some(last)?;
    Some((Ipv4Addr::from(u32::try_from(whole).ok()?), plain && count == 4))
}

fn judge_v4(address: Ipv4Addr) -> Option<u32> {
    match address.octets() {
        [169, 254, 169, 254] | [169, 254, 170, 2] | [100, 100, 100, 200] | [192, 0, 0, 192] => Some(METADATA),
        [127 | 0, ..] => Some(LOOPBACK),
        [169, 254, ..] => Some(PRIVATE),
        _ if address.is_private() => Some(PRIVATE),
        _ => None,
    }
}

fn judge_v6(address: Ipv6Addr) -> Option<u32> {
    if address.is_loopback() || address.is_unspecified() {
        return Some(LOOPBACK);
    }
    if let Some(inner) = address.to_ipv4_mapped() {
        return judge_v4(inner).map(|_| DISGUISED);
    }
    let metadata: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254));
    if IpAddr::V6(address) == metadata {
        return Some(METADATA);
    }
    let local = address.is_unique_local() || address.is_unicast_link_local();
    local.then_some(PRIVATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (host, rule) in [
            ("169.254.169.254", Some(METADATA)),
            ("2852039166", Some(METADATA)),
            ("0x7f000001", Some(DISGUISED)),
            ("0177.0.0.1", Some(DISGUISED)),
            ("127.1", Some(DISGUISED)),
            ("::1", Some(LOOPBACK)),
            ("::ffff:127.0.0.1", Some(DISGUISED)),
            ("localhost", Some(LOOPBACK)),
            ("10.1.2.3", Some(PRIVATE)),
            ("db.prod.internal", Some(INTERNAL)),
            ("8.8.8.8", None),
            ("example.org", None),
            ("", None),
            ("999.1.1.1", None),
        ] {
            assert_eq!(judge(host.as_bytes()), rule, "{host}");
        }
    }
}
