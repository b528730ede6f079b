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

    /// The token, if there is one. `Authorization` with a scheme that is not one of tokens holds none.
    pub(crate) fn token<'r>(&self, head: &Head<'r>) -> Result<Option<ShownToken<'r>>, Fault> {
        let Some(value) = head.single(&self.0).map_err(|_| Fault::AMBIGUOUS)? else { return Ok(None) };
        let value = value.as_bytes();
        Ok(if self.has_scheme() {
            schemed(value)
        } else {
            Some(ShownToken { scheme: Scheme::None, text: value })
        })
    }
}

/// A token as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShownToken<'r> {
    pub(crate) scheme: Scheme,
    pub(crate) text: &'r [u8],
}

/// What stands before a token in `Authorization`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RFC 6750: whoever has it may use it.
    Bearer,
    /// RFC 9449: there is a proof beside it.
    Dpop,
    /// It stands in a header of its own.
    None,
}

/// What follows the scheme, in any case, and at least one space (RFC 9110 section 11.4).
fn schemed(value: &[u8]) -> Option<ShownToken<'_>> {
    let end = value.iter().position(|&byte| byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at_checked(end)?;
    let scheme = match scheme {
        _ if scheme.eq_ignore_ascii_case(b"Bearer") => Scheme::Bearer,
        _ if scheme.eq_ignore_ascii_case(b"DPoP") => Scheme::Dpop,
        _ => return None,
    };
    let start = rest.iter().position(|&byte| byte != b' ').unwrap_or(rest.len());
    Some(ShownToken { scheme, text: rest.get(start..)? })
}

#[cfg(test)]
mod tests {
    use super::{Scheme, schemed};

    #[test]
    fn the_scheme_is_read_in_any_case_and_ends_at_a_space() {
        for (value, expected) in [
            ("Bearer abc", Some((Scheme::Bearer, "abc"))),
            ("bEARER  abc", Some((Scheme::Bearer, "abc"))),
            ("dpop abc", Some((Scheme::Dpop, "abc"))),
            ("Bearer", Some((Scheme::Bearer, ""))),
            ("Bearer ", Some((Scheme::Bearer, ""))),
            ("Bearer a b", Some((Scheme::Bearer, "a b"))),
            ("Bearer\tabc", None),
            ("Bearerabc", None),
            ("Basic abc", None),
            ("Bear", None),
            ("", None),
        ] {
            let shown = schemed(value.as_bytes()).map(|shown| (shown.scheme, shown.text));
            assert_eq!(shown, expected.map(|(scheme, text)| (scheme, text.as_bytes())), "{value}");
        }
    }
}
