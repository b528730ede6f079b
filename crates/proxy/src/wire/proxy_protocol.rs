//! The header of the PROXY protocol, version 2 (HAProxy's proxy-protocol.txt, section 2.2).
//!
//! A load balancer sends it once, before anything else, on connections that it makes for others. It is
//! believed without proof, so only listeners that nobody else reaches may take it. Version 1, a line of
//! text that an ordinary client could send, is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;

/// The largest header that is taken: 16 bytes, addresses, and their type-length-value records.
pub const MAX_HEADER: usize = 4 * 1024;

/// A header, understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parsed {
    /// The client's address. `None` when the load balancer speaks for itself (`LOCAL`, such as a health
    /// check) or does not know (`UNSPEC`): then the connection's own address stands.
    pub source: Option<SocketAddr>,
    /// The length of the header. What follows belongs to the client.
    pub consumed: usize,
}

/// Why there is no header (yet).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProxyHeaderError {
    /// What came is the beginning of a header; this many bytes in all are needed to go on.
    #[error("the PROXY protocol header is incomplete: {needed} bytes are needed")]
    Incomplete {
        /// Bytes from the header's first.
        needed: usize,
    },
    /// This is not a header that is taken, and more bytes will not change that.
    #[error("the PROXY protocol header is malformed: {0}")]
    Malformed(&'static str),
}

/// Reads the header at the front of `bytes`.
///
/// # Errors
/// [`ProxyHeaderError::Incomplete`] while it may become one, [`ProxyHeaderError::Malformed`] otherwise.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ProxyHeaderError> {
    if bytes.iter().zip(SIGNATURE).any(|(byte, expected)| *byte != expected) {
        return Err(malformed(if bytes.starts_with(b"PROXY") {
            "version 1 is not taken, only version 2"
        } else {
            "it does not begin with the signature of version 2"
        }));
    }
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Err(ProxyHeaderError::Incomplete { needed: FIXED });
    };
    let [.., command, family, high, low] = *fixed;
    let command = Command::read(command)?;
    let family = Family::read(family)?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let consumed = FIXED + length;
    if consumed > MAX_HEADER {
        return Err(malformed("it is longer than 4096 bytes"));
    }
    let Some(payload) = rest.get(..length) else {
        return Err(ProxyHeaderError::Incomplete { needed: consumed });
    };
    let source = match command {
        Command::Local => None,
        Command::Proxy => read_source(family, payload)?,
    };
    Ok(Parsed { source, consumed })
}

#[derive(Debug, Clone, Copy)]
enum Command {
    Local,
    Proxy,
}

#[derive(Debug, Clone, Copy)]
enum Family {
    Unspecified,
    Tcp4,
    Tcp6,
}

impl Command {
    /// Version in the upper four bits, command in the lower.
    const fn read(byte: u8) -> Result<Self, ProxyHeaderError> {
        match byte {
            0x20 => Ok(Self::Local),
            0x21 => Ok(Self::Proxy),
            _ => Err(malformed("its version is not 2 or its command neither LOCAL nor PROXY")),
        }
    }
}

impl Family {
    /// Address family in the upper four bits, transport in the lower.
    const fn read(byte: u8) -> Result<Self, ProxyHeaderError> {
        match byte {
            0x00 => Ok(Self::Unspecified),
            0x11 => Ok(Self::Tcp4),
            0x21 => Ok(Self::Tcp6),
            _ => Err(malformed("it is for another transport than TCP over IPv4 or IPv6")),
        }
    }
}

/// Both addresses come first, then both ports: source before destination.
fn read_source(family: Family, payload: &[u8]) -> Result<Option<SocketAddr>, ProxyHeaderError> {
    let (source, records) = match family {
        // Without a family, the place of the records is not known either: all of it is skipped.
        Family::Unspecified => return Ok(None),
        Family::Tcp4 => {
            let (addresses, records) = payload.split_first_chunk::<12>().ok_or(SHORT)?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *addresses;
            let address = IpAddr::from(Ipv4Addr::new(a, b, c, d));
            (SocketAddr::new(address, u16::from_be_bytes([high, low])), records)
        }
        Family::Tcp6 => {
            let (address, rest) = payload.split_first_chunk::<16>().ok_or(SHORT)?;
            let (_, rest) = rest.split_first_chunk::<16>().ok_or(SHORT)?;
            let (ports, records) = rest.split_first_chunk::<4>().ok_or(SHORT)?;
            let [high, low, _, _] = *ports;
            let address = IpAddr::from(Ipv6Addr::from(*address)).to_canonical();
            (SocketAddr::new(address, u16::from_be_bytes([high, low])), records)
        }
    };
    check_records(records)?;
    Ok(Some(source))
}

/// Type, length in two bytes, value. Nothing of them is used, but a header whose records do not add up was
/// not written by a load balancer.
fn check_records(mut records: &[u8]) -> Result<(), ProxyHeaderError> {
    while !records.is_empty() {
        let ([_, high, low], rest) =
            records.split_first_chunk::<3>().ok_or(malformed("a record is cut short"))?;
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        records = rest.get(length..).ok_or(malformed("a record is longer than the header"))?;
    }
    Ok(())
}

const fn malformed(what: &'static str) -> ProxyHeaderError {
    ProxyHeaderError::Malformed(what)
}

const SHORT: ProxyHeaderError = malformed("it is too short for its addresses");
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const FIXED: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{MAX_HEADER, Parsed, ProxyHeaderError, parse};

    fn header(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    const IPV4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0x30, 0x39, 0x01, 0xBB];

    fn ipv6(source: &str) -> Vec<u8> {
        let source: std::net::Ipv6Addr = source.parse().unwrap();
        [&source.octets()[..], &[0; 16], &[0x30, 0x39, 0x01, 0xBB]].concat()
    }

    fn source(bytes: &[u8]) -> Option<String> {
        parse(bytes).unwrap().source.map(|source| source.to_string())
    }

    #[test]
    fn the_source_is_the_client() {
        assert_eq!(source(&header(0x21, 0x11, &IPV4)).as_deref(), Some("192.0.2.7:12345"));
        assert_eq!(source(&header(0x21, 0x21, &ipv6("2001:db8::7"))).as_deref(), Some("[2001:db8::7]:12345"));
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address_that_policies_name() {
        let bytes = header(0x21, 0x21, &ipv6("::ffff:192.0.2.7"));
        assert_eq!(source(&bytes).as_deref(), Some("192.0.2.7:12345"));
    }

    #[test]
    fn a_load_balancer_may_speak_for_itself_or_not_know() {
        assert_eq!(source(&header(0x20, 0x00, &[])), None);
        assert_eq!(source(&header(0x20, 0x11, &IPV4)), None, "LOCAL: the addresses do not count");
        assert_eq!(source(&header(0x21, 0x00, &[1, 2, 3])), None);
    }

    #[test]
    fn records_belong_to_the_header_and_what_follows_to_the_client() {
        let payload = [&IPV4[..], &[0x02, 0, 3], b"api", &[0x04, 0, 0]].concat();
        let mut bytes = header(0x21, 0x11, &payload);
        let consumed = bytes.len();
        bytes.extend(b"GET / HTTP/1.1\r\n");
        assert_eq!(parse(&bytes).unwrap().consumed, consumed);
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for (name, bytes) in [
            ("version 1", b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n".to_vec()),
            ("no header", b"GET / HTTP/1.1\r\n".to_vec()),
            ("version 3", header(0x31, 0x11, &IPV4)),
            ("an unknown command", header(0x22, 0x11, &IPV4)),
            ("UDP", header(0x21, 0x12, &IPV4)),
            ("a UNIX socket", header(0x21, 0x31, &[0; 216])),
            ("an unknown family", header(0x21, 0x41, &IPV4)),
            ("addresses cut short", header(0x21, 0x11, &IPV4[..11])),
            ("IPv6 in the space of IPv4", header(0x21, 0x21, &IPV4)),
            ("a record cut short", header(0x21, 0x11, &[&IPV4[..], &[2, 0]].concat())),
            ("a record beyond the end", header(0x21, 0x11, &[&IPV4[..], &[2, 0, 9, 1]].concat())),
            ("a header above the limit", header(0x21, 0x11, &[0; MAX_HEADER])),
        ] {
            assert!(matches!(parse(&bytes), Err(ProxyHeaderError::Malformed(_))), "{name}");
        }
    }

    #[test]
    fn every_beginning_of_a_header_is_incomplete() {
        let bytes = header(0x21, 0x11, &IPV4);
        for length in 0..bytes.len() {
            let needed = if length < 16 { 16 } else { bytes.len() };
            assert_eq!(parse(&bytes[..length]), Err(ProxyHeaderError::Incomplete { needed }), "{length}");
        }
        assert!(parse(&bytes).is_ok());
    }

    proptest! {
        #[test]
        fn no_input_panics_or_consumes_more_than_there_is(
            command in any::<u8>(), family in any::<u8>(), payload in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let bytes = header(command, family, &payload);
            if let Ok(Parsed { consumed, .. }) = parse(&bytes) {
                prop_assert_eq!(consumed, bytes.len());
            }
            let _ = parse(&payload);
        }
    }
}
