//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use portcullis_pipeline::settings::Protocol;

/// Counts the open connections of all workers.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    total: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection's place; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    /// A place for a connection from `address`, if there is one.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr, limits: &Protocol) -> Option<Place> {
        let address = group(address);
        let mut by_address = self.by_address.lock();
        let of_this_address = by_address.entry(address).or_default();
        if *of_this_address >= limits.connections_per_address
            || self.total.load(Ordering::Relaxed) >= limits.connections
        {
            if *of_this_address == 0 {
                by_address.remove(&address);
            }
            return None;
        }
        *of_this_address += 1;
        self.total.fetch_add(1, Ordering::Relaxed);
        Some(Place { admission: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.total.fetch_sub(1, Ordering::Relaxed);
        let mut by_address = self.admission.by_address.lock();
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

/// One subscriber has a whole /64 of IPv6 (RFC 6177), so it counts as one address.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use portcullis_core::{KeyPath, Problems};
    use portcullis_pipeline::settings::RawProtocol;

    use super::*;

    fn limits(connections: u32, connections_per_address: u32) -> Protocol {
        let raw = RawProtocol { connections, connections_per_address, ..RawProtocol::default() };
        Protocol::compile(&raw, &KeyPath::root(), &mut Problems::default())
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let admission = Arc::new(Admission::default());
        let limits = limits(3, 2);
        let a: IpAddr = "2001:db8::1".parse().unwrap();
        let same_network: IpAddr = "2001:db8::2".parse().unwrap();
        let b: IpAddr = "192.0.2.1".parse().unwrap();
        let first = admission.admit(a, &limits).unwrap();
        let _second = admission.admit(same_network, &limits).unwrap();
        assert!(admission.admit(a, &limits).is_none(), "two per address");
        let _third = admission.admit(b, &limits).unwrap();
        assert!(admission.admit(b, &limits).is_none(), "three in all");
        drop(first);
        assert!(admission.admit(a, &limits).is_some());
    }
}
