//! `application/x-www-form-urlencoded`, as RFC 6749 appendix B asks for it.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Pairs on their way into a body or a query.
#[derive(Debug, Default)]
pub(crate) struct Form(String);

impl Form {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.add(name, value);
        self
    }

    pub(crate) fn add(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        encode_into(name, &mut self.0);
        self.0.push('=');
        encode_into(value, &mut self.0);
    }

    pub(crate) fn add_optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// One name or value, encoded.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    encode_into(text, &mut encoded);
    encoded
}

fn encode_into(text: &str, encoded: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                encoded.push(char::from(byte));
            }
            b' ' => encoded.push('+'),
            // Writing to a string does not fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
}

/// The pairs of a query or a body, decoded. Whatever is not UTF-8 after decoding is not a pair that anyone here sent.
pub fn pairs(text: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    text.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decode(name)?, decode(value)?))
    })
}

/// The value of a parameter that may appear only once. `Err` if it appears more often (RFC 6749 section 3.1).
///
/// # Errors
/// [`Repeated`].
pub fn single<'t>(text: &'t str, name: &str) -> Result<Option<Cow<'t, str>>, Repeated> {
    let mut values = pairs(text).filter(|(key, _)| key == name).map(|(_, value)| value);
    let first = values.next();
    if values.next().is_some() { Err(Repeated) } else { Ok(first) }
}

/// A parameter that may appear once appears more often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a parameter appears more than once")]
pub struct Repeated;

fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_parameter_that_comes_twice_is_refused() {
        assert_eq!(single("a=1&b=2", "a").unwrap().as_deref(), Some("1"));
        assert_eq!(single("a=1&b=2", "c"), Ok(None));
        assert_eq!(single("a=1&%61=2", "a"), Err(Repeated));
        assert_eq!(single("a=%zz", "a"), Ok(None));
        assert_eq!(single("a=%ff", "a"), Ok(None));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(name in ".{1,8}", value in ".{0,40}") {
            let text = Form::default().with(&name, &value).into_string();
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
            let found = single(&text, &name).unwrap().map(std::borrow::Cow::into_owned);
            prop_assert_eq!(found, Some(value));
        }
    }
}
