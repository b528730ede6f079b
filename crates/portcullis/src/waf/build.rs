//! From a test's input to the bytes of its request, as go-ftw builds them: a case means what its reference
//! implementation sends, defaults and quirks included.

use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};

use super::suite::Input;

/// The bytes of a request.
pub(super) fn bytes(input: &Input) -> Vec<u8> {
    if let Some(raw) = &input.raw {
        return raw.clone();
    }
    let mut headers = input.headers.clone();
    let mut data = repeated(&input.data);
    if !data.is_empty() && input.autocomplete {
        if !has(&headers, "content-type") {
            headers.push(("Content-Type".to_owned(), FORM.to_owned()));
        }
        if headers.iter().any(|(name, value)| is(name, "content-type") && value.eq_ignore_ascii_case(FORM)) {
            data = escape_form(data);
        }
    }
    // The suite writes multipart bodies as blocks of YAML, whose lines end in LF; multipart needs CRLF.
    let is_multipart = |(name, value): &(String, String)| {
        is(name, "content-type") && value.to_ascii_lowercase().contains("multipart/form-data;")
    };
    if headers.iter().any(is_multipart) {
        data = data.split(|&byte| byte == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..]);
    }
    if input.autocomplete {
        if !has(&headers, "connection") {
            headers.push(("Connection".to_owned(), "close".to_owned()));
        }
        if !has(&headers, "content-length") && (!data.is_empty() || may_have_body(&input.method)) {
            headers.push(("Content-Length".to_owned(), data.len().to_string()));
        }
    }
    let mut bytes = format!("{} {} {}\r\n", input.method, input.uri, input.version).into_bytes();
    for (name, value) in &headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&data);
    bytes
}

/// The largest body that a template makes.
const LARGEST: usize = 16 << 20;

/// Of go-ftw's templates the one that suites use: `{{ "text" | repeat 64200 }}`. Anything else between such braces is an attack
/// on templates, and stays.
fn repeated(data: &[u8]) -> Vec<u8> {
    static REPEAT: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"\{\{\s*"([^"\\]*)"\s*\|\s*repeat\s+([0-9]+)\s*\}\}"#).ok());
    let Some(pattern) = REPEAT.as_ref() else { return data.to_vec() };
    let expand = |found: &Captures<'_>| {
        let (whole, [text, count]) = found.extract();
        let count = std::str::from_utf8(count).ok().and_then(|count| count.parse::<usize>().ok());
        let count = count.filter(|count| text.len().saturating_mul(*count) <= LARGEST);
        count.map_or_else(|| whole.to_vec(), |count| text.repeat(count))
    };
    pattern.replace_all(data, expand).into_owned()
}

const FORM: &str = "application/x-www-form-urlencoded";

fn is(name: &str, other: &str) -> bool {
    name.eq_ignore_ascii_case(other)
}

fn has(headers: &[(String, String)], name: &str) -> bool {
    headers.iter().any(|(field, _)| is(field, name))
}

/// go-ftw asks the pattern `^POST|PUT|PATCH|DELETE$`, whose anchors bind tighter than one would think.
fn may_have_body(method: &str) -> bool {
    method.starts_with("POST")
        || method.contains("PUT")
        || method.contains("PATCH")
        || method.ends_with("DELETE")
}

/// Escapes the names and values of a form that nobody escaped yet: one that decoding would not change.
fn escape_form(data: Vec<u8>) -> Vec<u8> {
    if data.iter().any(|&byte| byte == b'%' || byte == b'+') {
        return data;
    }
    let mut pairs: Vec<&[u8]> = data.split(|&byte| byte == b'&').collect();
    // A separator at the end separates nothing.
    if pairs.last().is_some_and(|last| last.is_empty()) {
        pairs.pop();
    }
    let mut escaped = Vec::with_capacity(data.len());
    for (number, pair) in pairs.into_iter().enumerate() {
        if number > 0 {
            escaped.push(b'&');
        }
        for (half, part) in pair.splitn(2, |&byte| byte == b'=').enumerate() {
            if half > 0 {
                escaped.push(b'=');
            }
            escape(part, &mut escaped);
        }
    }
    escaped
}

/// Query escaping as Go does it: a space becomes `+`, all but unreserved characters `%XX`.
fn escape(part: &[u8], escaped: &mut Vec<u8>) {
    for &byte in part {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(byte),
            b' ' => escaped.push(b'+'),
            _ => escaped.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::suite::Input;
    use super::bytes;

    fn built(input: &Input) -> String {
        String::from_utf8(bytes(input)).unwrap()
    }

    fn input(method: &str, headers: &[(&str, &str)], data: &str) -> Input {
        Input {
            method: method.to_owned(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            data: data.as_bytes().to_vec(),
            ..Input::default()
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_reference() {
        assert_eq!(built(&Input::default()), "GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
        assert_eq!(
            built(&input("POST", &[("Host", "h")], "")),
            "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        let bare = Input { autocomplete: false, ..input("POST", &[], "a b") };
        assert_eq!(built(&bare), "POST / HTTP/1.1\r\n\r\na b");
    }

    #[test]
    fn forms_are_escaped_unless_they_are() {
        let body = |data| built(&input("POST", &[], data)).split_once("\r\n\r\n").unwrap().1.to_owned();
        assert_eq!(body("a=b c&d=<e>&f"), "a=b+c&d=%3Ce%3E&f");
        assert_eq!(body("a=b%20c d"), "a=b%20c d");
        assert_eq!(body("a=1=2&&b&"), "a=1%3D2&&b");
        let json = built(&input("POST", &[("content-type", "application/json")], "{\"a b\": 1}"));
        assert!(json.ends_with("\r\n\r\n{\"a b\": 1}"), "{json}");
    }

    #[test]
    fn multipart_gets_its_line_ends_and_the_length_after_that() {
        let message =
            built(&input("POST", &[("Content-Type", "multipart/form-data; boundary=b")], "--b\nx\n"));
        assert!(message.contains("Content-Length: 8\r\n"), "{message}");
        assert!(message.ends_with("\r\n\r\n--b\r\nx\r\n"), "{message}");
    }

    #[test]
    fn what_is_to_be_repeated_is() {
        let body = |data| {
            built(&input("POST", &[("content-type", "a/b")], data))
                .split_once("\r\n\r\n")
                .unwrap()
                .1
                .to_owned()
        };
        assert_eq!(body(r#"a{{ "xy" | repeat 3 }}b{{"z"|repeat 0}}"#), "axyxyxyb");
        for kept in ["{{7*7}}", r#"{{ "a" | upper }}"#, r#"{{ "a" | repeat 99999999999999999999 }}"#] {
            assert_eq!(body(kept), kept);
        }
    }

    #[test]
    fn raw_bytes_go_out_as_they_are() {
        let raw = Input { raw: Some(b"\x00 any".to_vec()), ..input("POST", &[("A", "b")], "c") };
        assert_eq!(bytes(&raw), b"\x00 any");
    }
}
