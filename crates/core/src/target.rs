//! The request target, normalised once. What the stages judge is what the service receives.
//!
//! A gateway and a service that read one path in two ways are a hole: policy is applied to one reading
//! and the other is served. So the target is brought into one form (RFC 3986 section 6.2.2), and whatever
//! still has two common readings is refused.

use std::borrow::Cow;
use std::fmt;

use http::uri::PathAndQuery;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What to do with spellings that services read differently. The defaults refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TargetRules {
    /// Empty path segments (`//`): many services merge them, some do not.
    pub duplicate_slashes: DuplicateSlashes,
    /// `%2F` inside a segment: decoded by some services, kept by others.
    pub encoded_slash: Ambiguity,
    /// `\` and `%5C`: a separator to some services.
    pub backslash: Ambiguity,
    /// `%25` before two hexadecimal digits: becomes another character for services that decode twice.
    pub double_encoding: Ambiguity,
    /// `;` in a segment: a path parameter to Java services, an ordinary character to others.
    pub path_parameters: Ambiguity,
}

impl Default for TargetRules {
    fn default() -> Self {
        Self {
            duplicate_slashes: DuplicateSlashes::Merge,
            encoded_slash: Ambiguity::Refuse,
            backslash: Ambiguity::Refuse,
            double_encoding: Ambiguity::Refuse,
            path_parameters: Ambiguity::Refuse,
        }
    }
}

/// What happens to `//` in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DuplicateSlashes {
    /// Becomes `/`.
    Merge,
    /// Stays.
    Keep,
    /// The request is answered 400.
    Refuse,
}

/// What happens to a spelling with two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ambiguity {
    /// The request is answered 400.
    Refuse,
    /// It stays as it is; the configuration vouches that the service does not decode it.
    Keep,
}

/// Why a target is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetError {
    /// Not an absolute path.
    NotAbsolute,
    /// A `%` without two hexadecimal digits.
    BadPercent,
    /// A control character, a space or a byte above 0x7E, raw or percent-encoded NUL or control.
    ControlCharacter,
    /// `..` beyond the root.
    AboveRoot,
    /// `//` where it is refused.
    DuplicateSlash,
    /// `%2F` where it is refused.
    EncodedSlash,
    /// `\` or `%5C` where it is refused.
    Backslash,
    /// `%25` before two hexadecimal digits where it is refused.
    DoubleEncoding,
    /// `;` where it is refused, or a dot segment beside a separator in disguise (`..;`, `..%2F`).
    PathParameter,
    /// Percent-encoded bytes in the path that are not UTF-8.
    NotUtf8,
    /// A `#`, which is never sent.
    Fragment,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "the target is not an absolute path",
            Self::BadPercent => "a `%` is not followed by two hexadecimal digits",
            Self::ControlCharacter => "the target holds a control character, a space or a byte outside ASCII",
            Self::AboveRoot => "`..` leads above the root",
            Self::DuplicateSlash => "the path holds an empty segment (`//`)",
            Self::EncodedSlash => "the path holds an encoded slash (`%2F`)",
            Self::Backslash => "the path holds a backslash",
            Self::DoubleEncoding => "the path is percent-encoded twice",
            Self::PathParameter => "the path holds a `;` parameter or a hidden dot segment",
            Self::NotUtf8 => "the path is not UTF-8 once decoded",
            Self::Fragment => "the target holds a `#`",
        })
    }
}

impl std::error::Error for TargetError {}

/// A target in its one form: an absolute path without dot segments, percent-encoding in its shortest
/// upper-case form, and the query as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(PathAndQuery);

impl Target {
    /// Normalises a target. A target that is normal already is taken as it is, without copying.
    ///
    /// # Errors
    /// When the target has more than one reading under `rules`, or none.
    pub fn normalise(raw: &PathAndQuery, rules: &TargetRules) -> Result<Self, TargetError> {
        let path = raw.path();
        if !path.starts_with('/') {
            return Err(TargetError::NotAbsolute);
        }
        check_query(raw.query().unwrap_or_default())?;
        if is_plainly_normal(path.as_bytes()) {
            return Ok(Self(raw.clone()));
        }
        let mut normal = normalise_path(path.as_bytes(), rules)?;
        if let Some(query) = raw.query() {
            normal.push('?');
            normal.push_str(query);
        }
        PathAndQuery::try_from(normal).map(Self).map_err(|_| TargetError::ControlCharacter)
    }

    /// Normalises a target given as text, such as in `explain` or a test.
    ///
    /// # Errors
    /// As [`Target::normalise`].
    pub fn parse(raw: &str, rules: &TargetRules) -> Result<Self, TargetError> {
        if !raw.starts_with('/') {
            return Err(TargetError::NotAbsolute);
        }
        if raw.contains('#') {
            return Err(TargetError::Fragment);
        }
        if raw.bytes().any(is_forbidden_byte) {
            return Err(TargetError::ControlCharacter);
        }
        let raw = PathAndQuery::try_from(raw).map_err(|_| TargetError::ControlCharacter)?;
        Self::normalise(&raw, rules)
    }

    /// The path, percent-encoded where it must be.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.path()
    }

    /// The query without its `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.0.query()
    }

    /// What is sent to the service.
    #[must_use]
    pub fn as_path_and_query(&self) -> &PathAndQuery {
        &self.0
    }

    /// The same without the query parameters whose names, once decoded, are `hidden`.
    #[must_use]
    pub fn without_parameters(&self, hidden: impl Fn(&str) -> bool) -> Self {
        let Some(query) = self.query() else { return self.clone() };
        let mut text = self.path().to_owned();
        let path_length = text.len();
        for parameter in query.split('&').filter(|parameter| !hidden(&parameter_name(parameter))) {
            text.push(if text.len() == path_length { '?' } else { '&' });
            text.push_str(parameter);
        }
        // Parts of what is one already.
        PathAndQuery::try_from(text).map_or_else(|_| self.clone(), Self)
    }
}

/// The decoded name of a query parameter, `name=value` or `name`.
#[must_use]
pub fn parameter_name(parameter: &str) -> Cow<'_, str> {
    decode_segment(parameter.split_once('=').map_or(parameter, |(name, _)| name))
}

/// Percent-decodes a segment of a normalised path. Normalisation made sure that the result is UTF-8.
#[must_use]
pub fn decode_segment(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return segment.into();
    }
    let bytes = segment.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match escape_at(bytes, at) {
            Some(value) if byte == b'%' => {
                decoded.push(value);
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).map_or_else(|_| segment.into(), Into::into)
}

/// Whether a path holds nothing that normalisation would have to look at twice: the fast way out, one
/// pass and no copy. Errs on the side of `false`.
fn is_plainly_normal(path: &[u8]) -> bool {
    let mut previous = 0;
    for &byte in path {
        let plain = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'_'
                    | b'~'
                    | b'!'
                    | b'$'
                    | b'&'
                    | b'\''
                    | b'('
                    | b')'
                    | b'*'
                    | b'+'
                    | b','
                    | b'='
                    | b':'
                    | b'@'
            )
            || (byte == b'/' && previous != b'/')
            || (byte == b'.' && previous != b'/' && previous != b'.');
        if !plain {
            return false;
        }
        previous = byte;
    }
    true
}

const fn is_forbidden_byte(byte: u8) -> bool {
    byte <= 0x20 || byte >= 0x7f
}

fn check_query(query: &str) -> Result<(), TargetError> {
    if query.bytes().any(is_forbidden_byte) { Err(TargetError::ControlCharacter) } else { Ok(()) }
}

fn normalise_path(path: &[u8], rules: &TargetRules) -> Result<String, TargetError> {
    let decoded = normalise_escapes(path, rules)?;
    let mut segments: Vec<&str> = Vec::new();
    let mut rest = decoded.split('/').skip(1).peekable();
    while let Some(segment) = rest.next() {
        let is_last = rest.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." && segments.pop().is_none() {
                    return Err(TargetError::AboveRoot);
                }
                if is_last {
                    segments.push("");
                }
            }
            "" if !is_last => match rules.duplicate_slashes {
                DuplicateSlashes::Merge => {}
                DuplicateSlashes::Keep => segments.push(segment),
                DuplicateSlashes::Refuse => return Err(TargetError::DuplicateSlash),
            },
            _ => segments.push(segment),
        }
    }
    if segments.is_empty() {
        return Ok("/".to_owned());
    }
    let mut normal = String::with_capacity(decoded.len());
    for segment in segments {
        normal.push('/');
        normal.push_str(segment);
    }
    // A merged run of slashes at the end leaves one empty segment, which stands for the slash.
    Ok(normal)
}

/// Decodes unreserved characters, upper-cases the other escapes, and refuses what is ambiguous.
fn normalise_escapes(path: &[u8], rules: &TargetRules) -> Result<String, TargetError> {
    let mut normal = String::with_capacity(path.len());
    let mut decoded = Vec::with_capacity(path.len());
    let mut at = 0;
    while let Some(&byte) = path.get(at) {
        let value = if byte == b'%' { escape_at(path, at).ok_or(TargetError::BadPercent)? } else { byte };
        check_character(byte, value, rules)?;
        if byte != b'%' {
            normal.push(char::from(byte));
            at += 1;
        } else {
            if is_unreserved(value) {
                normal.push(char::from(value));
            } else {
                push_escape(&mut normal, value);
            }
            at += 3;
        }
        decoded.push(value);
    }
    if std::str::from_utf8(&decoded).is_err() {
        return Err(TargetError::NotUtf8);
    }
    if rules.double_encoding == Ambiguity::Refuse {
        refuse_double_encoding(&normal)?;
    }
    refuse_hidden_dot_segments(&normal)?;
    Ok(normal)
}

fn check_character(byte: u8, value: u8, rules: &TargetRules) -> Result<(), TargetError> {
    let escaped = byte == b'%';
    if (!escaped && is_forbidden_byte(byte)) || (escaped && (value < 0x20 || value == 0x7f)) {
        return Err(TargetError::ControlCharacter);
    }
    match value {
        b'#' if !escaped => Err(TargetError::Fragment),
        b'/' if escaped && rules.encoded_slash == Ambiguity::Refuse => Err(TargetError::EncodedSlash),
        b'\\' if rules.backslash == Ambiguity::Refuse => Err(TargetError::Backslash),
        b';' if rules.path_parameters == Ambiguity::Refuse => Err(TargetError::PathParameter),
        _ => Ok(()),
    }
}

/// Looks at the normalised text, because the digits may have been escaped themselves: `%25%32%65` becomes
/// `%252e` here, and `.` for a service that decodes twice.
fn refuse_double_encoding(path: &str) -> Result<(), TargetError> {
    let bytes = path.as_bytes();
    let is_escape = |escape: &[u8]| escape == b"%25";
    let is_twice =
        |at: usize| bytes.get(at..at + 3).is_some_and(is_escape) && hex_pair(bytes, at + 3).is_some();
    if (0..bytes.len()).any(is_twice) { Err(TargetError::DoubleEncoding) } else { Ok(()) }
}

/// `..;v=1` is a parent segment to services that strip parameters, `..%2F` and `..\\` to those that take these
/// for separators: refused whatever the rules keep.
fn refuse_hidden_dot_segments(path: &str) -> Result<(), TargetError> {
    let hides_dots = |segment: &str| {
        let decoded = decode_segment(segment);
        decoded.contains([';', '\\', '/'])
            && decoded.split([';', '\\', '/']).any(|part| matches!(part, "." | ".."))
    };
    if path.split('/').any(hides_dots) { Err(TargetError::PathParameter) } else { Ok(()) }
}

/// The byte that the escape at `at` (`%` and two digits) stands for.
fn escape_at(bytes: &[u8], at: usize) -> Option<u8> {
    hex_pair(bytes, at + 1)
}

fn hex_pair(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| bytes.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    u8::try_from(digit(at)? * 16 + digit(at + 1)?).ok()
}

fn push_escape(text: &mut String, value: u8) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    text.push('%');
    for digit in [value >> 4, value & 0xf] {
        text.push(DIGITS.get(usize::from(digit)).copied().unwrap_or('0'));
    }
}

/// RFC 3986 section 2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(raw: &str) -> Result<String, TargetError> {
        Target::parse(raw, &TargetRules::default()).map(|target| target.as_path_and_query().to_string())
    }

    #[test]
    fn one_form_for_many_spellings() {
        for (raw, expected) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/b/.", "/a/b/"),
            ("/a//b", "/a/b"),
            ("/a/b//", "/a/b/"),
            ("//", "/"),
            ("/%61/%7e", "/a/~"),
            ("/%2e%2E/a", ""),
            ("/a/%2e%2e/b", "/b"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a%20b", "/a%20b"),
            ("/a?x=/../y", "/a?x=/../y"),
            ("/a/...", "/a/..."),
            ("/.well-known/x", "/.well-known/x"),
        ] {
            match normal(raw) {
                Ok(found) => assert_eq!(found, expected, "{raw}"),
                Err(error) => assert!(expected.is_empty(), "{raw}: {error}"),
            }
        }
    }

    #[test]
    fn two_readings_are_refused() {
        for (raw, expected) in [
            ("/..", TargetError::AboveRoot),
            ("/a/../../b", TargetError::AboveRoot),
            ("/a%2fb", TargetError::EncodedSlash),
            ("/a%5cb", TargetError::Backslash),
            ("/a\\b", TargetError::Backslash),
            ("/a%252fb", TargetError::DoubleEncoding),
            ("/a%25%32%66b", TargetError::DoubleEncoding),
            ("/a%25%32fb", TargetError::DoubleEncoding),
            ("/a/..;/b", TargetError::PathParameter),
            ("/a;v=1", TargetError::PathParameter),
            ("/a%00", TargetError::ControlCharacter),
            ("/a%0d%0a", TargetError::ControlCharacter),
            ("/a%zz", TargetError::BadPercent),
            ("/a%4", TargetError::BadPercent),
            ("/a%ff", TargetError::NotUtf8),
            ("/a%c0%af", TargetError::NotUtf8),
            ("/a#b", TargetError::Fragment),
            ("a", TargetError::NotAbsolute),
            ("*", TargetError::NotAbsolute),
        ] {
            assert_eq!(normal(raw), Err(expected), "{raw}");
        }
    }

    #[test]
    fn what_is_kept_stays_as_it_was() {
        let keep = TargetRules {
            duplicate_slashes: DuplicateSlashes::Keep,
            encoded_slash: Ambiguity::Keep,
            backslash: Ambiguity::Keep,
            double_encoding: Ambiguity::Keep,
            path_parameters: Ambiguity::Keep,
        };
        for (raw, expected) in [
            ("/a//b", "/a//b"),
            ("/a%2fb", "/a%2Fb"),
            ("/a%5cb", "/a%5Cb"),
            ("/a%252fb", "/a%252fb"),
            ("/a;v=1", "/a;v=1"),
        ] {
            let target = Target::parse(raw, &keep).unwrap();
            assert_eq!(target.path(), expected);
        }
        for hidden in ["/a/..;x/b", "/a/..%3bx/b", "/a/..%2fb", "/a/x%2f..", "/a/..\\b", "/a/x%5C..%5Cb"] {
            assert_eq!(Target::parse(hidden, &keep), Err(TargetError::PathParameter), "{hidden}");
        }
    }

    #[test]
    fn parameters_are_taken_out_by_their_decoded_names() {
        for (raw, expected) in [
            ("/a", "/a"),
            ("/a?", "/a?"),
            ("/a?x=1&&y=%20", "/a?x=1&&y=%20"),
            ("/a?key=1", "/a"),
            ("/a?key", "/a"),
            ("/a?%6Bey=1&key=2&ke%79", "/a"),
            ("/a?x=key&key=1&keys=2&Key=3", "/a?x=key&keys=2&Key=3"),
            ("/a?key=1&x=%3Fkey%3D1", "/a?x=%3Fkey%3D1"),
            ("/key=1?&key=1", "/key=1?"),
        ] {
            let target = Target::parse(raw, &TargetRules::default()).unwrap();
            let rest = target.without_parameters(|name| name == "key");
            assert_eq!(rest.as_path_and_query().as_str(), expected, "{raw}");
        }
    }

    fn hostile_path() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("/"),
            Just("//"),
            Just("."),
            Just(".."),
            Just("%2e"),
            Just("%2E"),
            Just("%2f"),
            Just("%5c"),
            Just("\\"),
            Just("%25"),
            Just("%32"),
            Just("2"),
            Just("e"),
            Just(";"),
            Just("a"),
            Just("%61"),
            Just("%c3%a9"),
            Just("%ff"),
            Just("%"),
            Just("~"),
            Just("%00"),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    fn any_rules() -> impl Strategy<Value = TargetRules> {
        let slashes = prop_oneof![
            Just(DuplicateSlashes::Merge),
            Just(DuplicateSlashes::Keep),
            Just(DuplicateSlashes::Refuse)
        ];
        let ambiguity = || prop_oneof![Just(Ambiguity::Refuse), Just(Ambiguity::Keep)];
        (slashes, ambiguity(), ambiguity(), ambiguity(), ambiguity()).prop_map(
            |(duplicate_slashes, encoded_slash, backslash, double_encoding, path_parameters)| TargetRules {
                duplicate_slashes,
                encoded_slash,
                backslash,
                double_encoding,
                path_parameters,
            },
        )
    }

    proptest! {
        /// A gateway behind this gateway, with the same rules, sees the same target.
        #[test]
        fn normalising_twice_changes_nothing(raw in hostile_path(), rules in any_rules()) {
            if let Ok(once) = Target::parse(&raw, &rules) {
                let twice = Target::parse(once.as_path_and_query().as_str(), &rules);
                prop_assert_eq!(twice, Ok(once));
            }
        }

        /// Whatever passes the default rules has no segment that any service could take for a step up.
        #[test]
        fn no_reading_leads_upwards(raw in hostile_path()) {
            if let Ok(target) = Target::parse(&raw, &TargetRules::default()) {
                let decoded = decode_segment(target.path()).into_owned();
                prop_assert!(decoded.split(['/', '\\']).all(|s| s != ".." && s != "."), "{}", decoded);
                prop_assert!(!target.path().contains("//"));
            }
        }

        /// The way out without copying agrees with the full path.
        #[test]
        fn the_fast_way_agrees(raw in hostile_path()) {
            if is_plainly_normal(raw.as_bytes()) {
                prop_assert_eq!(normalise_path(raw.as_bytes(), &TargetRules::default()), Ok(raw));
            }
        }
    }
}
