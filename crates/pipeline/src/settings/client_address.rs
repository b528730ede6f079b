//! Who the client is when proxies stand before the gateway.
//!
//! A forwarding header is a claim by whoever sent it. Only addresses on the list are believed, and only
//! about the hop before them: the list is walked from the nearest hop outwards, and the first address that
//! is not on it is the client (RFC 7239 section 8.1).

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::FORWARDED;
use ipnet::IpNet;
use portcullis_core::{KeyPath, Peer, Problems};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the client's address is found when proxies stand before the gateway.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawClientAddress {
    /// Addresses or networks of the proxies that are believed, such as `10.0.0.0/8`. Empty: nobody is.
    pub trusted_proxies: Vec<String>,
    /// The header in which those proxies name the client.
    pub header: ForwardingHeader,
}

/// The header in which trusted proxies name the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardingHeader {
    /// `X-Forwarded-For`, with `X-Forwarded-Proto`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The compiled list of proxies that are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientAddress {
    trusted: Vec<IpNet>,
    header: ForwardingHeader,
}

/// How many hops are read at most: more is not a chain of proxies but an attempt to keep us busy.
const MOST_HOPS: usize = 32;

impl ClientAddress {
    /// Checks and compiles the list.
    pub fn compile(raw: &RawClientAddress, path: &KeyPath, problems: &mut Problems) -> Self {
        let mut trusted = Vec::new();
        for (index, text) in raw.trusted_proxies.iter().enumerate() {
            let place = path.key("trusted_proxies").index(index);
            match text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
                Ok(network) => {
                    if network.prefix_len() == 0 {
                        problems
                            .warning(
                                &place,
                                format!("`{text}` trusts every address, so every client can choose its own"),
                            )
                            .suggest("name the networks of your proxies");
                    }
                    trusted.push(network);
                }
                Err(_) => problems
                    .error(&place, format!("`{text}` is not an address or a network"))
                    .suggest("write `192.0.2.7` or `10.0.0.0/8`"),
            }
        }
        Self { trusted, header: raw.header }
    }

    /// The client behind `socket`, given what the request's headers claim.
    #[must_use]
    pub fn resolve(&self, socket: SocketAddr, secure: bool, headers: &HeaderMap) -> Peer {
        let nearest = canonical(socket.ip());
        if !self.trusts(nearest) {
            return Peer { socket, client: nearest, secure };
        }
        match self.header {
            ForwardingHeader::XForwardedFor => self.by_x_forwarded_for(socket, secure, headers),
            ForwardingHeader::Forwarded => self.by_forwarded(socket, secure, headers),
        }
    }

    /// Whether there is a proxy at `address` that is believed.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = canonical(address);
        self.trusted.iter().any(|network| network.contains(&address))
    }

    fn by_x_forwarded_for(&self, socket: SocketAddr, secure: bool, headers: &HeaderMap) -> Peer {
        let hops = list(headers, "x-forwarded-for").map(parse_node);
        let proto = list(headers, "x-forwarded-proto").next();
        let secure = proto.map_or(secure, |proto| proto.eq_ignore_ascii_case("https"));
        Peer { socket, client: self.outermost(socket, hops), secure }
    }

    fn by_forwarded(&self, socket: SocketAddr, secure: bool, headers: &HeaderMap) -> Peer {
        let elements = || list(headers, FORWARDED.as_str());
        let hops = elements().map(|element| parameter(element, "for").and_then(parse_node));
        let proto = elements().next().and_then(|element| parameter(element, "proto"));
        let secure = proto.map_or(secure, |proto| proto.eq_ignore_ascii_case("https"));
        Peer { socket, client: self.outermost(socket, hops), secure }
    }

    /// Walks from the nearest hop outwards while hops are trusted. An unreadable hop ends the walk: the last
    /// address that was readable is then the client.
    fn outermost(&self, socket: SocketAddr, hops: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
        let mut client = canonical(socket.ip());
        for hop in hops.take(MOST_HOPS) {
            let Some(hop) = hop else { break };
            client = canonical(hop);
            if !self.trusts(client) {
                break;
            }
        }
        client
    }
}

/// IPv4 in IPv6 dress is the IPv4 address: else one client would have two.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The elements of a list header, the last one (the nearest hop's) first.
fn list<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h str> {
    let values: Vec<_> = headers.get_all(name).iter().collect();
    values.into_iter().rev().flat_map(|value| value.to_str().unwrap_or_default().rsplit(',')).map(str::trim)
}

fn parameter<'e>(element: &'e str, name: &str) -> Option<&'e str> {
    element.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// A node of RFC 7239 section 6: an address, with a port or without, IPv6 in brackets or bare.
fn parse_node(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Some(socket.ip());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::HeaderName;

    use super::*;

    fn rules(trusted: &[&str], header: ForwardingHeader) -> ClientAddress {
        let raw = RawClientAddress {
            trusted_proxies: trusted.iter().map(|&text| text.to_owned()).collect(),
            header,
        };
        let mut problems = Problems::default();
        let rules = ClientAddress::compile(&raw, &KeyPath::root(), &mut problems);
        assert!(problems.is_empty());
        rules
    }

    fn client(
        rules: &ClientAddress,
        socket: &str,
        headers: &[(&'static str, &'static str)],
    ) -> (String, bool) {
        let mut map = HeaderMap::new();
        for &(name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let peer = rules.resolve(socket.parse().unwrap(), false, &map);
        (peer.client.to_string(), peer.secure)
    }

    #[test]
    fn nobody_is_believed_unless_listed() {
        let rules = rules(&[], ForwardingHeader::XForwardedFor);
        assert_eq!(
            client(&rules, "192.0.2.1:1", &[("x-forwarded-for", "10.9.9.9")]),
            ("192.0.2.1".into(), false)
        );
    }

    #[test]
    fn the_first_address_that_is_not_a_proxy_is_the_client() {
        let rules = rules(&["10.0.0.0/8"], ForwardingHeader::XForwardedFor);
        let case = |value| client(&rules, "10.0.0.1:1", &[("x-forwarded-for", value)]).0;
        assert_eq!(case("203.0.113.9"), "203.0.113.9");
        assert_eq!(
            case("1.1.1.1, 203.0.113.9, 10.0.0.2"),
            "203.0.113.9",
            "what the client prepended is not believed"
        );
        assert_eq!(case("203.0.113.9, garbage"), "10.0.0.1");
        assert_eq!(case("10.0.0.3, 10.0.0.2"), "10.0.0.3");
        assert_eq!(case("[2001:db8::1]:4711"), "2001:db8::1");
        assert_eq!(case("::ffff:203.0.113.9"), "203.0.113.9");
    }

    #[test]
    fn several_fields_are_one_list() {
        let rules = rules(&["10.0.0.0/8"], ForwardingHeader::XForwardedFor);
        let headers = [
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-proto", "https"),
        ];
        assert_eq!(client(&rules, "10.0.0.1:1", &headers), ("203.0.113.9".into(), true));
    }

    #[test]
    fn forwarded_is_read_by_its_own_grammar() {
        let rules = rules(&["10.0.0.0/8"], ForwardingHeader::Forwarded);
        let headers = [("forwarded", "for=1.1.1.1, For=\"[2001:db8::7]:80\";proto=https;by=10.0.0.1")];
        assert_eq!(client(&rules, "10.0.0.1:1", &headers), ("2001:db8::7".into(), true));
        let hidden = [("forwarded", "for=_hidden")];
        assert_eq!(client(&rules, "10.0.0.1:1", &hidden), ("10.0.0.1".into(), false));
    }

    #[test]
    fn trusting_everyone_is_warned_about_and_nonsense_is_refused() {
        let raw =
            RawClientAddress { trusted_proxies: vec!["0.0.0.0/0".into(), "x".into()], ..Default::default() };
        let mut problems = Problems::default();
        ClientAddress::compile(&raw, &KeyPath::root().key("client_address"), &mut problems);
        let shown: Vec<_> =
            problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
        assert_eq!(
            shown,
            [
                "client_address.trusted_proxies[0]: `0.0.0.0/0` trusts every address, so every client can choose its own",
                "client_address.trusted_proxies[1]: `x` is not an address or a network",
            ]
        );
    }
}
