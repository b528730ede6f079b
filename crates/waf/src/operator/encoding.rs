//! `validateUrlEncoding` and `validateUtf8Encoding`: satisfied by what is invalid.

/// Whether a `%` is not followed by two hexadecimal digits.
pub(super) fn url_is_invalid(value: &[u8]) -> bool {
    let mut rest = value;
    while let Some(at) = memchr::memchr(b'%', rest) {
        match rest.get(at + 1..at + 3) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => {
                rest = rest.get(at + 3..).unwrap_or_default();
            }
            _ => return true,
        }
    }
    false
}

/// Whether it is not UTF-8 as RFC 3629 has it: cut off, overlong, a surrogate, or beyond U+10FFFF. ModSecurity
/// lets U+110000 to U+13FFFF pass, which is an oversight.
pub(super) fn utf8_is_invalid(value: &[u8]) -> bool {
    str::from_utf8(value).is_err()
}
