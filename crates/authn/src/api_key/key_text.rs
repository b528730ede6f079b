//! The text of a key: `pcl_<id>_<secret><checksum>`.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What every key begins with, so that scanners for leaked secrets can find them.
pub(super) const PREFIX: &str = "pcl_";
/// The length of the secret part: 32 bytes in base64url.
const SECRET_LENGTH: usize = 43;
/// The length of the checksum: what is mistyped, cut or made up is told from a key without a look at any list.
const CHECKSUM_LENGTH: usize = 6;
/// The longest id.
pub(super) const LONGEST_ID: usize = 64;

/// The checksum of what stands before it.
pub(super) fn checksum(before: &str) -> String {
    let hash = digest::digest(&digest::SHA256, before.as_bytes());
    let mut text = URL_SAFE_NO_PAD.encode(hash.as_ref());
    text.truncate(CHECKSUM_LENGTH);
    text
}

/// The id of a key whose checksum is right.
pub(crate) fn checked_id(key: &str) -> Option<&str> {
    let (before, given) = key.split_at_checked(key.len().checked_sub(CHECKSUM_LENGTH)?)?;
    (checksum(before) == given).then(|| id_of(before)).flatten()
}

/// The id of a key that has the form of one, with a checksum or, as keys had once, without.
pub(super) fn id(key: &str) -> Option<&str> {
    checked_id(key).or_else(|| id_of(key))
}

/// Whether a key has the form of one, but another checksum: it was mistyped or made up.
pub(super) fn is_mistyped(key: &str) -> bool {
    let before = key.len().checked_sub(CHECKSUM_LENGTH).and_then(|end| key.get(..end));
    id(key).is_none() && before.is_some_and(|before| id_of(before).is_some())
}

fn id_of(key: &str) -> Option<&str> {
    let rest = key.strip_prefix(PREFIX)?;
    let (head, secret) = rest.split_at_checked(rest.len().checked_sub(SECRET_LENGTH)?)?;
    let id = head.strip_suffix('_')?;
    let is_secret = secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    (is_secret && is_id(id)).then_some(id)
}

/// Letters, digits, `-`, `.` and `_`, at most 64.
pub(super) fn is_id(id: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_with_and_without_a_checksum() {
        let secret = "A".repeat(SECRET_LENGTH);
        for id_text in ["acme", "a_b", "a_", "x.y-z"] {
            let old = format!("pcl_{id_text}_{secret}");
            let new = format!("{old}{}", checksum(&old));
            assert_eq!((id(&old), checked_id(&old)), (Some(id_text), None), "{id_text}");
            assert_eq!((id(&new), checked_id(&new)), (Some(id_text), Some(id_text)), "{id_text}");
            let mistyped = new.replace("AAAA", "AAAB");
            assert_eq!(checked_id(&mistyped), None);
        }
        for wrong in ["", "pcl_", "pcl__", "pcl_a_", "pcl_\u{e9}_", &"pcl_a b_".repeat(9)] {
            assert_eq!((id(wrong), checked_id(wrong)), (None, None), "{wrong}");
        }
    }
}
