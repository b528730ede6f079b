//! SPIFFE IDs: `spiffe://trust-domain/path` (SPIFFE ID and SPIFFE X.509-SVID standards).

/// What every one begins with.
const SCHEME: &str = "spiffe://";
/// The longest that there may be, and the longest trust domain (SPIFFE ID section 2.3).
const LONGEST: usize = 2048;
const LONGEST_TRUST_DOMAIN: usize = 255;

/// Whether a URI wants to be one, in whatever spelling.
pub(crate) fn is_meant(uri: &str) -> bool {
    uri.get(..SCHEME.len() - 2).is_some_and(|start| start.eq_ignore_ascii_case("spiffe:"))
}

/// A SPIFFE ID, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpiffeId<'u> {
    pub(crate) trust_domain: &'u str,
    pub(crate) path: &'u str,
}

impl<'u> SpiffeId<'u> {
    /// `None` if it is none, or has a spelling that is not the one it must have.
    pub(crate) fn parse(uri: &'u str) -> Option<Self> {
        let rest = uri.strip_prefix(SCHEME).filter(|_| uri.len() <= LONGEST)?;
        let (trust_domain, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if !is_trust_domain(trust_domain) {
            return None;
        }
        // The path of a workload: it is not empty, and has neither empty nor relative segments.
        let mut segments = path.strip_prefix('/')?.split('/');
        let is_segment = |segment: &str| {
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            !matches!(segment, "" | "." | "..") && segment.bytes().all(is_allowed)
        };
        segments.all(is_segment).then_some(Self { trust_domain, path })
    }
}

/// Whether a text is the name of a trust domain.
pub(crate) fn is_trust_domain(text: &str) -> bool {
    let is_allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_');
    (1..=LONGEST_TRUST_DOMAIN).contains(&text.len()) && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_spelling_is_taken() {
        let id = SpiffeId::parse("spiffe://example.org/ns/prod/sa/web").unwrap();
        assert_eq!((id.trust_domain, id.path), ("example.org", "/ns/prod/sa/web"));
        for wrong in [
            "spiffe://example.org",
            "spiffe://example.org/",
            "spiffe://example.org/a/",
            "spiffe://example.org//a",
            "spiffe://example.org/../a",
            "spiffe://Example.org/a",
            "spiffe://example.org:443/a",
            "spiffe://user@example.org/a",
            "spiffe://example.org/a?b",
            "spiffe://example.org/a#b",
            "spiffe://example.org/a%20b",
            "SPIFFE://example.org/a",
            "spiffe:///a",
            "https://example.org/a",
        ] {
            assert_eq!(SpiffeId::parse(wrong), None, "{wrong}");
        }
        assert!(is_meant("SPIFFE:x") && is_meant("spiffe://a") && !is_meant("https://spiffe://"));
    }
}
