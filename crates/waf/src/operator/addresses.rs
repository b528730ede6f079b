//! `ipMatch` and `ipMatchFromFile`.

use super::{DataFiles, OperatorError};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::IpAddr;

/// Networks, sorted and without those that lie within others, so that one search tells.
#[derive(Debug)]
pub(super) struct Addresses {
    v4: Box<[Ipv4Net]>,
    v6: Box<[Ipv6Net]>,
}

impl Addresses {
    /// A list with commas.
    pub(super) fn parse(argument: &str) -> Result<Self, OperatorError> {
        let mut networks = Vec::new();
        let mut offset = 0;
        for part in argument.split(',') {
            if !part.trim().is_empty() {
                networks.push(network(part.trim()).map_err(|message| OperatorError::new(message, offset))?);
            }
            offset += part.len() + 1;
        }
        Ok(Self::new(networks))
    }

    /// Files with one or several on each line; `#` begins a comment.
    pub(super) fn read(argument: &str, files: &dyn DataFiles) -> Result<Self, OperatorError> {
        let mut networks = Vec::new();
        for name in argument.split_ascii_whitespace() {
            let content = files.read(name).map_err(|message| OperatorError::new(message, 0))?;
            let content = String::from_utf8_lossy(&content);
            for (index, line) in content.lines().enumerate() {
                let line = line.split('#').next().unwrap_or_default();
                for part in line.split([',', ' ', '\t']).filter(|part| !part.trim().is_empty()) {
                    networks.push(network(part.trim()).map_err(|message| {
                        OperatorError::new(format!("{name}:{}: {message}", index + 1), 0)
                    })?);
                }
            }
        }
        Ok(Self::new(networks))
    }

    fn new(networks: Vec<IpNet>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(network) => v4.push(network),
                IpNet::V6(network) => v6.push(network),
            }
        }
        Self { v4: Ipv4Net::aggregate(&v4).into(), v6: Ipv6Net::aggregate(&v6).into() }
    }

    /// Whether the value is an address within one of the networks.
    pub(super) fn contains(&self, value: &[u8]) -> bool {
        let Some(address) = str::from_utf8(value).ok().and_then(|value| value.trim().parse::<IpAddr>().ok())
        else {
            return false;
        };
        match address {
            IpAddr::V4(address) => {
                let after = self.v4.partition_point(|network| network.network() <= address);
                after.checked_sub(1).and_then(|at| self.v4.get(at)).is_some_and(|net| net.contains(&address))
            }
            IpAddr::V6(address) => {
                let after = self.v6.partition_point(|network| network.network() <= address);
                after.checked_sub(1).and_then(|at| self.v6.get(at)).is_some_and(|net| net.contains(&address))
            }
        }
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| format!("{text:?} is no address and no network such as 192.0.2.0/24 or 2001:db8::/32"))
}
