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
    /// For which address it counts, once that is known.
    address: Option<IpAddr>,
}

impl Admission {
    /// A place among all connections, if there is one. For which client it is may not be known yet.
    pub(crate) fn admit(self: &Arc<Self>, limits: &Protocol) -> Option<Place> {
        let is_free = |total| (total < limits.connections).then_some(total + 1);
        self.total.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_free).ok()?;
        Some(Place { admission: Arc::clone(self), address: None })
    }
}

impl Place {
    /// Counts the connection for `address` too. `false` when that has as many as it may.
    pub(crate) fn is_granted_to(&mut self, address: IpAddr, limits: &Protocol) -> bool {
        let address = group(address);
        let mut by_address = self.admission.by_address.lock();
        let of_this_address = by_address.entry(address).or_default();
        // An address without connections may have one: the limit is at least 1.
        if *of_this_address >= limits.connections_per_address {
            return false;
        }
        *of_this_address += 1;
        drop(by_address);
        self.address = Some(address);
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.total.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else { return };
        let mut by_address = self.admission.by_address.lock();
        if let Some(count) = by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
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
        let admit = |address: IpAddr| {
            let mut place = admission.admit(&limits)?;
            place.is_granted_to(address, &limits).then_some(place)
        };
        let a: IpAddr = "2001:db8::1".parse().unwrap();
        let same_network: IpAddr = "2001:db8::2".parse().unwrap();
        let b: IpAddr = "192.0.2.1".parse().unwrap();
        let first = admit(a).unwrap();
        let second = admit(same_network).unwrap();
        assert!(admit(a).is_none(), "two per address");
        let _third = admit(b).unwrap();
        assert!(admit(b).is_none(), "three in all");
        drop(first);
        assert!(admit(a).is_some());
        drop(second);
        assert_eq!(admission.by_address.lock().len(), 1, "addresses without connections are forgotten");
    }
}
