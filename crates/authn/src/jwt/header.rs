//! Where in a request a token stands.

use http::HeaderName;
use http::header::AUTHORIZATION;
use portcullis_core::Head;

use crate::fault::Fault;

/// The header field with the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenHeader(HeaderName);

impl TokenHeader {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        HeaderName::from_bytes(name.as_bytes()).ok().map(Self)
    }

    pub(crate) fn name(&self) -> &HeaderName {
        &self.0
    }

    /// Whether the token stands behind the scheme `Bearer` (RFC 6750 section 2.1).
    pub(crate) fn has_scheme(&self) -> bool {
        self.0 == AUTHORIZATION
    }

    /// The token, if there is one. `Authorization` with another scheme holds no token.
    pub(crate) fn token<'r>(&self, head: &Head<'r>) -> Result<Option<&'r [u8]>, Fault> {
        let value = head.single(&self.0).map_err(|_| Fault::AMBIGUOUS)?;
        Ok(value
            .map(http::HeaderValue::as_bytes)
            .and_then(|value| if self.has_scheme() { bearer(value) } else { Some(value) }))
    }
}

/// What follows `Bearer`, in any case, and at least one space (RFC 9110 section 11.4).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked("Bearer".len())?;
    if !scheme.eq_ignore_ascii_case(b"Bearer") {
        return None;
    }
    match rest {
        [] => Some(rest),
        [b' ', ..] => {
            let start = rest.iter().position(|&byte| byte != b' ').unwrap_or(rest.len());
            rest.get(start..)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::bearer;

    #[test]
    fn the_scheme_is_read_in_any_case_and_ends_at_a_space() {
        for (value, expected) in [
            ("Bearer abc", Some("abc")),
            ("bEARER  abc", Some("abc")),
            ("Bearer", Some("")),
            ("Bearer ", Some("")),
            ("Bearer a b", Some("a b")),
            ("Bearer\tabc", None),
            ("Bearerabc", None),
            ("Basic abc", None),
            ("Bear", None),
            ("", None),
        ] {
            assert_eq!(bearer(value.as_bytes()), expected.map(str::as_bytes), "{value}");
        }
    }
}
