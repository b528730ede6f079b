//! Digests of bodies (RFC 9530).

use aws_lc_rs::{constant_time, digest};
use sfv::{Dictionary, ListEntry};

use crate::fault::Fault;

/// Whether every digest that is known here is that of the body, and there is one.
pub(super) fn check(fields: &Dictionary, body: &[u8]) -> Result<(), Fault> {
    let mut is_known = false;
    for (name, entry) in fields {
        let kind = match name.as_str() {
            "sha-256" => &digest::SHA256,
            "sha-512" => &digest::SHA512,
            // Others may be there (section 5), and say nothing.
            _ => continue,
        };
        let ListEntry::Item(item) = entry else { return Err(Fault::signature("digest")) };
        let given = item.bare_item.as_byte_sequence().ok_or(Fault::signature("digest"))?;
        let hash = digest::digest(kind, body);
        constant_time::verify_slices_are_equal(hash.as_ref(), given)
            .map_err(|_| Fault::signature("digest"))?;
        is_known = true;
    }
    is_known.then_some(()).ok_or(Fault::signature("digest"))
}
