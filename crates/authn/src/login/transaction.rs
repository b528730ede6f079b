//! A login that is under way: all of it is in a sealed cookie, so that whoever only begins takes no room here.

use portcullis_core::{Secret, Timestamp};
use portcullis_oidc::client::{TokenClientError, Transaction};
use serde::{Deserialize, Serialize};

use super::LOGIN_WITHIN;

/// The longest way back.
const LONGEST_RETURN: usize = 2048;

/// A login that was begun.
pub(super) struct Opened {
    pub(super) transaction: Transaction,
    /// The path to return to.
    pub(super) return_to: String,
    begun: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Written {
    state: String,
    nonce: String,
    verifier: String,
    return_to: String,
    begun: u64,
}

impl Opened {
    pub(super) fn new(return_to: &str, now: Timestamp) -> Result<Self, TokenClientError> {
        let return_to = if is_ours(return_to) { return_to } else { "/" };
        Ok(Self { transaction: Transaction::new()?, return_to: return_to.to_owned(), begun: now })
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        let Transaction { state, nonce, verifier } = &self.transaction;
        let written = Written {
            state: state.clone(),
            nonce: nonce.clone(),
            verifier: verifier.expose().to_owned(),
            return_to: self.return_to.clone(),
            begun: self.begun.0,
        };
        // Strings and a number: there is nothing that could not be written.
        serde_json::to_vec(&written).unwrap_or_default()
    }

    pub(super) fn from_json(text: &[u8]) -> Option<Self> {
        let Written { state, nonce, verifier, return_to, begun } = serde_json::from_slice(text).ok()?;
        let transaction = Transaction { state, nonce, verifier: Secret::new(verifier) };
        Some(Self { transaction, return_to, begun: Timestamp(begun) })
    }

    /// From when on it is too late.
    pub(super) fn ends(&self) -> Timestamp {
        self.begun.plus(LOGIN_WITHIN)
    }
}

/// Whether this is a path of ours and of nobody else: browsers take `//host` and `/\\host` for another host.
pub(super) fn is_ours(path: &str) -> bool {
    let mut bytes = path.bytes();
    bytes.next() == Some(b'/')
        && !matches!(bytes.next(), Some(b'/' | b'\\'))
        && path.len() <= LONGEST_RETURN
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for good in ["/", "/a", "/a?b=c&d=%2F", "/a//b"] {
            assert!(is_ours(good), "{good}");
        }
        let long = format!("/{}", "a".repeat(LONGEST_RETURN));
        for bad in [
            "",
            "a",
            "//evil.test",
            "/\\evil.test",
            "\\\\evil",
            "https://evil.test",
            "/a\r\nb",
            "/\ta",
            "/a b",
            &long,
        ] {
            assert!(!is_ours(bad), "{bad}");
        }
    }
}
