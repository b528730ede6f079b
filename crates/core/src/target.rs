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
    /// `%01` to `%1F` and `%7F` in the path: the end of a line to services that copy paths into fields, files or logs.
    /// `%00` is refused always.
    pub encoded_controls: Ambiguity,
    /// Bytes in the path that are not UTF-8 once decoded, such as `%FF`: a letter in one encoding, a fault or the end of
    /// the text in another. Policies see such segments as they are written. Overlong spellings are refused always.
    pub not_utf8: Ambiguity,
}

impl Default for TargetRules {
    fn default() -> Self {
        Self {
            duplicate_slashes: DuplicateSlashes::Merge,
            encoded_slash: Ambiguity::Refuse,
            backslash: Ambiguity::Refuse,
            double_encoding: Ambiguity::Refuse,
            path_parameters: Ambiguity::Refuse,
            encoded_controls: Ambiguity::Refuse,
            not_utf8: Ambiguity::Refuse,
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
    /// A control character or a space, or a percent-encoded control character where it is refused.
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
    /// Bytes in the path that are not UTF-8 once decoded, where they are refused.
    NotUtf8,
    /// A `#`, which is never sent.
    Fragment,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "the target is not an absolute path",
            Self::BadPercent => "a `%` is not followed by two hexadecimal digits",
            Self::ControlCharacter => "the target holds a control character or a space",
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
/// upper-case form, and the query as it came; what no URI may hold as it is (RFC 3986 section 2), percent-encoded in both.
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
        let query = raw.query().map(encode).transpose()?;
        if is_plainly_normal(path.as_bytes()) && !matches!(query, Some(Cow::Owned(_))) {
            return Ok(Self(raw.clone()));
        }
        let mut normal = normalise_path(path.as_bytes(), rules)?;
        if let Some(query) = query {
            normal.push('?');
            normal.push_str(&query);
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
        let raw = PathAndQuery::try_from(&*encode(raw)?).map_err(|_| TargetError::ControlCharacter)?;
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

/// Whether a byte stands in no URI as it is (RFC 3986 section 2) and is percent-encoded where a client sends it: the marks
/// that clients leave as they are, and UTF-8. Brackets are not among them: no client encodes them in queries, and
/// services that compute signatures expect them as they came.
#[must_use]
pub const fn is_encoded(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80..)
}

/// Appends `bytes` of a target, percent-encoding those that [`is_encoded`]. For what is not to be judged otherwise.
pub fn push_encoded(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        if is_encoded(byte) {
            let [high, low] = hex_digits(byte);
            out.extend([b'%', high, low]);
        } else {
            out.push(byte);
        }
    }
}

/// A text without spaces and controls, and with what must be percent-encoded being so.
fn encode(text: &str) -> Result<Cow<'_, str>, TargetError> {
    let mut must_change = false;
    for byte in text.bytes() {
        if is_forbidden_byte(byte) {
            return Err(TargetError::ControlCharacter);
        }
        must_change |= is_encoded(byte);
    }
    if !must_change {
        return Ok(text.into());
    }
    let mut encoded = Vec::with_capacity(text.len() * 2);
    push_encoded(text.as_bytes(), &mut encoded);
    String::from_utf8(encoded).map(Cow::Owned).map_err(|_| TargetError::NotUtf8)
}

/// Percent-decodes a segment of a normalised path. What is not UTF-8 then stays as it is.
#[must_use]
pub fn decode_segment(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return segment.into();
    }
    String::from_utf8(decode(segment)).map_or_else(|_| segment.into(), Into::into)
}

fn decode(segment: &str) -> Vec<u8> {
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
    decoded
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
    byte <= 0x20 || byte == 0x7f
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

/// Decodes unreserved characters, encodes what must be, upper-cases the other escapes, and refuses what is ambiguous.
fn normalise_escapes(path: &[u8], rules: &TargetRules) -> Result<String, TargetError> {
    let mut normal = String::with_capacity(path.len());
    let mut decoded = Vec::with_capacity(path.len());
    let mut at = 0;
    while let Some(&byte) = path.get(at) {
        let value = if byte == b'%' { escape_at(path, at).ok_or(TargetError::BadPercent)? } else { byte };
        check_character(byte, value, rules)?;
        let stays = if byte == b'%' { is_unreserved(value) } else { !is_encoded(value) };
        if stays {
            normal.push(char::from(value));
        } else {
            push_escape(&mut normal, value);
        }
        at += if byte == b'%' { 3 } else { 1 };
        decoded.push(value);
    }
    let is_utf8 = std::str::from_utf8(&decoded).is_ok();
    if !is_utf8 && (rules.not_utf8 == Ambiguity::Refuse || decoded.windows(2).any(is_overlong)) {
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
    let is_refused = match value {
        _ if !escaped => is_forbidden_byte(byte),
        0 => true,
        0x01..0x20 | 0x7f => rules.encoded_controls == Ambiguity::Refuse,
        _ => false,
    };
    if is_refused {
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

/// Whether a longer spelling of a character than UTF-8 allows begins here: a dot or a slash to careless decoders
/// (CVE-2000-0884), so it is refused whatever the rules keep.
fn is_overlong(bytes: &[u8]) -> bool {
    matches!(bytes, [0xC0 | 0xC1, 0x80..=0xBF] | [0xE0, 0x80..=0x9F] | [0xF0, 0x80..=0x8F])
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
    let ends_part = |byte: &u8| matches!(byte, b';' | b'\\' | b'/');
    let hides_dots = |segment: &str| {
        let decoded = decode(segment);
        decoded.iter().any(ends_part) && decoded.split(ends_part).any(|part| matches!(part, b"." | b".."))
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
    text.push('%');
    text.extend(hex_digits(value).map(char::from));
}

fn hex_digits(value: u8) -> [u8; 2] {
    [value >> 4, value & 0xf].map(|digit| if digit < 10 { b'0' + digit } else { b'A' - 10 + digit })
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
            // What clients send as it is and no URI may hold.
            ("/a\"<>^`{|}b", "/a%22%3C%3E%5E%60%7B%7C%7Db"),
            ("/a%7Cb", "/a%7Cb"),
            ("/caf\u{e9}", "/caf%C3%A9"),
            ("/a?x=\"<>\\^`{|}", "/a?x=%22%3C%3E%5C%5E%60%7B%7C%7D"),
            ("/a?x=caf\u{e9}", "/a?x=caf%C3%A9"),
            ("/a[1]?x[1]='%zz'", "/a[1]?x[1]='%zz'"),
            ("/a?x= ", ""),
            ("/a?x=\u{7f}", ""),
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
            encoded_controls: Ambiguity::Keep,
            not_utf8: Ambiguity::Keep,
        };
        for (raw, expected) in [
            ("/a//b", "/a//b"),
            ("/a%2fb", "/a%2Fb"),
            ("/a%5cb", "/a%5Cb"),
            ("/a%252fb", "/a%252fb"),
            ("/a;v=1", "/a;v=1"),
            ("/a\\b", "/a%5Cb"),
            ("/a%0ab%7f", "/a%0Ab%7F"),
            ("/%61%ff", "/a%FF"),
        ] {
            let target = Target::parse(raw, &keep).unwrap();
            assert_eq!(target.path(), expected);
        }
        for hidden in [
            "/a/..;x/b",
            "/a/..%3bx/b",
            "/a/..%2fb",
            "/a/x%2f..",
            "/a/..\\b",
            "/a/x%5C..%5Cb",
            "/a/%ff%2f..%2fb",
        ] {
            assert_eq!(Target::parse(hidden, &keep), Err(TargetError::PathParameter), "{hidden}");
        }
        assert_eq!(Target::parse("/a%00", &keep), Err(TargetError::ControlCharacter));
        for overlong in ["/a/..%c0%af", "/%c0%ae", "/a%e0%80%af", "/a%f0%80%80%af"] {
            assert_eq!(Target::parse(overlong, &keep), Err(TargetError::NotUtf8), "{overlong}");
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
            Just("%0a"),
            Just("|"),
            Just("%7c"),
            Just("\u{e9}"),
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
        (slashes, proptest::array::uniform6(ambiguity())).prop_map(
            |(
                duplicate_slashes,
                [encoded_slash, backslash, double_encoding, path_parameters, encoded_controls, not_utf8],
            )| {
                TargetRules {
                    duplicate_slashes,
                    encoded_slash,
                    backslash,
                    double_encoding,
                    path_parameters,
                    encoded_controls,
                    not_utf8,
                }
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

        /// What is sent to services is a URI (RFC 3986), but for brackets and what stands after a `%` in a query.
        #[test]
        fn services_are_sent_uris(path in hostile_path(), query in "[ -~\u{80}-\u{2ff}]{0,12}", rules in any_rules()) {
            if let Ok(target) = Target::parse(&format!("{path}?{query}"), &rules) {
                let text = target.as_path_and_query().as_str();
                prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && !is_encoded(byte)), "{}", text);
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
