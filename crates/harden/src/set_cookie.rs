//! Reading a `Set-Cookie` field as browsers do: the algorithm of RFC 6265bis section 5.6, over bytes.

/// What hardening must know of a cookie. Everything else about it is left as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SetCookie<'v> {
    /// The name; empty when the field has no `=` before its first `;`.
    pub(crate) name: &'v [u8],
    /// Whether it has `Secure`.
    pub(crate) secure: bool,
    /// Whether it has `HttpOnly`.
    pub(crate) http_only: bool,
    /// What its last `SameSite` says.
    pub(crate) same_site: Option<SameSite>,
}

/// The values of `SameSite` that browsers know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SameSite {
    Strict,
    Lax,
    None,
}

/// Attributes with longer values are ignored by browsers, `Secure` with a value included.
const LONGEST_ATTRIBUTE_VALUE: usize = 1024;

impl<'v> SetCookie<'v> {
    /// Reads a field's value. Every value can be read: what browsers ignore is ignored.
    pub(crate) fn parse(value: &'v [u8]) -> Self {
        let mut parts = value.split(|&byte| byte == b';');
        let pair = parts.next().unwrap_or_default();
        let name = split_once(pair).map_or(&[] as &[u8], |(name, _)| trim(name));
        let mut cookie = Self { name, secure: false, http_only: false, same_site: None };
        for part in parts {
            let (name, value) = split_once(part).unwrap_or((part, &[]));
            cookie.read_attribute(trim(name), trim(value));
        }
        cookie
    }

    /// Whether browsers refuse the cookie unless it is `Secure`, because of how its name begins. They
    /// compare the prefix without regard to case (RFC 6265bis section 5.4).
    pub(crate) fn name_demands_secure(&self) -> bool {
        const PREFIXES: [&[u8]; 4] = [b"__Secure-", b"__Host-", b"__Http-", b"__Host-Http-"];
        PREFIXES.into_iter().any(|prefix| {
            self.name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        })
    }

    fn read_attribute(&mut self, name: &[u8], value: &[u8]) {
        if value.len() > LONGEST_ATTRIBUTE_VALUE {
            return;
        }
        if name.eq_ignore_ascii_case(b"secure") {
            self.secure = true;
        } else if name.eq_ignore_ascii_case(b"httponly") {
            self.http_only = true;
        } else if name.eq_ignore_ascii_case(b"samesite") {
            // The last one counts, and one that is not understood counts as none.
            self.same_site = match value {
                _ if value.eq_ignore_ascii_case(b"strict") => Some(SameSite::Strict),
                _ if value.eq_ignore_ascii_case(b"lax") => Some(SameSite::Lax),
                _ if value.eq_ignore_ascii_case(b"none") => Some(SameSite::None),
                _ => None,
            };
        }
    }
}

fn split_once(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = part.iter().position(|&byte| byte == b'=')?;
    let (name, rest) = part.split_at_checked(at)?;
    Some((name, rest.get(1..)?))
}

/// Without spaces and tabs at both ends (WSP of RFC 5234, and nothing more).
fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}
