//! The service behind the rules: it answers as the suite tells it to, like albedo, the backend of the Core Rule
//! Set's own runs. One pure function, so that it also serves runs without any socket.

pub(super) mod serve;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::message::{Field, Request, Response, text};

/// What `/reflect` is asked to answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reflection {
    status: Option<i64>,
    headers: Option<BTreeMap<String, String>>,
    body: Option<String>,
    #[serde(rename = "encodedBody")]
    encoded_body: Option<String>,
}

/// The answer to a request: 200 without a body, unless the path is one of the few that mean something.
pub(super) fn answer(request: &Request) -> Response {
    let target = text(&request.target);
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    // What stands before the path in the absolute form does not choose the answer.
    let path = path
        .split_once("://")
        .map_or(path, |(_, rest)| rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"));
    let response = match path.trim_start_matches('/').split('/').next() {
        Some("reflect") if request.method == b"POST" => reflect(&request.body),
        Some("capabilities") => capabilities(query.split('&').any(|pair| pair == "quiet=true")),
        Some("status") => plain(path.rsplit('/').next().and_then(status).unwrap_or(200), Vec::new()),
        _ => plain(200, Vec::new()),
    };
    finish(response)
}

fn reflect(body: &[u8]) -> Response {
    let Ok(wanted) = serde_json::from_slice::<Reflection>(body) else {
        return plain(400, b"Invalid JSON in request body".to_vec());
    };
    let headers = wanted.headers.unwrap_or_default().into_iter().filter(is_sound);
    let headers: Vec<Field> = headers.map(|(name, value)| (name.into_bytes(), value.into_bytes())).collect();
    let status = match wanted.status.unwrap_or(0) {
        0 => 200,
        wanted => match u16::try_from(wanted) {
            Ok(status @ 100..=599) => status,
            _ => {
                let body = format!("Invalid status code: {wanted}").into_bytes();
                return Response { status: 400, headers, body };
            }
        },
    };
    let body = match (wanted.body.filter(|body| !body.is_empty()), wanted.encoded_body) {
        (Some(body), _) => body.into_bytes(),
        (None, Some(encoded)) => STANDARD
            .decode(encoded.split_ascii_whitespace().collect::<String>())
            .unwrap_or_else(|_| b"invalid base64 encoding of response body".to_vec()),
        (None, None) => Vec::new(),
    };
    Response { status, headers, body }
}

/// A header that may be sent; the others are dropped. The length is the server's own to say.
fn is_sound((name, value): &(String, String)) -> bool {
    http::HeaderName::from_bytes(name.as_bytes()).is_ok()
        && http::HeaderValue::from_str(value).is_ok()
        && !name.eq_ignore_ascii_case("content-length")
        && !name.eq_ignore_ascii_case("transfer-encoding")
}

fn capabilities(quiet: bool) -> Response {
    let endpoints = [
        ("/*", "any", "any", "Answers 200 without a body."),
        ("/capabilities", "GET", "-", "Describes the endpoints; with `quiet=true` it only lists them."),
        (
            "/reflect",
            "POST",
            "application/json",
            "Answers as told: `status`, `headers`, and `body` or, in base64, `encodedBody`.",
        ),
        ("/status/NNN", "any", "any", "Answers with the status NNN."),
    ];
    let described = endpoints.map(|(path, methods, content_type, description)| match quiet {
        true => json!({ "path": path }),
        false => json!({ "path": path, "methods": [methods], "contentType": content_type, "description": description }),
    });
    let headers = vec![(b"Content-Type".to_vec(), b"application/json".to_vec())];
    Response { status: 200, headers, body: json!({ "endpoints": described }).to_string().into_bytes() }
}

fn plain(status: u16, body: Vec<u8>) -> Response {
    Response { status, headers: Vec::new(), body }
}

fn status(text: &str) -> Option<u16> {
    text.parse().ok().filter(|status| (100..600).contains(status))
}

/// What a server adds: a media type, guessed where none was given, as rules choose bodies by it, and the length.
fn finish(mut response: Response) -> Response {
    if matches!(response.status, 100..200 | 204 | 304) {
        response.body.clear();
        return response;
    }
    if !response.body.is_empty() && response.header("content-type").is_none() {
        response.headers.push((b"Content-Type".to_vec(), media_type(&response.body).into()));
    }
    response.headers.push((b"Content-Length".to_vec(), response.body.len().to_string().into_bytes()));
    response
}

/// The part of the WHATWG's sniffing that albedo's answers depend on (mimesniff.spec.whatwg.org, section 7.1).
fn media_type(body: &[u8]) -> &'static [u8] {
    const TAGS: [&str; 17] = [
        "<!doctype html",
        "<html",
        "<head",
        "<script",
        "<iframe",
        "<h1",
        "<div",
        "<font",
        "<table",
        "<a",
        "<style",
        "<title",
        "<b",
        "<body",
        "<br",
        "<p",
        "<!--",
    ];
    let start = body.trim_ascii_start();
    let is_tag = |tag: &str| {
        let (head, rest) = start.split_at_checked(tag.len()).unwrap_or((start, b""));
        let ends = matches!(rest.first(), Some(b' ' | b'>')) || tag == "<!--";
        head.eq_ignore_ascii_case(tag.as_bytes()) && ends
    };
    if TAGS.iter().any(|tag| is_tag(tag)) {
        return b"text/html; charset=utf-8";
    }
    if start.starts_with(b"<?xml") {
        return b"text/xml; charset=utf-8";
    }
    let magic: [(&[u8], &'static [u8]); 4] = [
        (b"%PDF-", b"application/pdf"),
        (b"\x1f\x8b\x08", b"application/x-gzip"),
        (b"PK\x03\x04", b"application/zip"),
        (b"\x89PNG\r\n\x1a\n", b"image/png"),
    ];
    if let Some((_, found)) = magic.iter().find(|(magic, _)| body.starts_with(magic)) {
        return found;
    }
    let is_binary = |byte: &u8| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    match body.iter().take(512).any(is_binary) {
        true => b"application/octet-stream",
        false => b"text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::{self, Response};
    use super::answer;

    fn ask(method: &str, target: &str, body: &str) -> Response {
        let length = body.len();
        let bytes =
            format!("{method} {target} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}");
        answer(&message::request(bytes.as_bytes()).message)
    }

    fn content_type(response: &Response) -> String {
        message::text(response.header("content-type").unwrap()).into_owned()
    }

    #[test]
    fn anything_is_200_and_empty() {
        for target in ["/", "/get?a=b", "/post", "/anything/x", "/inspect", "*", "http://h/any"] {
            let response = ask("POST", target, "x");
            assert_eq!((response.status, response.body.len()), (200, 0), "{target}");
            assert_eq!(response.header("content-length"), Some(&b"0"[..]));
        }
        assert_eq!(ask("GET", "/status/418", "").status, 418);
        assert_eq!(ask("GET", "/reflect", "").status, 200);
    }

    #[test]
    fn reflect_answers_as_told() {
        let told =
            r#"{"status": 503, "headers": {"Server": "x", "bad name": "y"}, "body": "<html>oops</html>"}"#;
        let response = ask("POST", "/reflect", told);
        assert_eq!((response.status, &*response.body), (503, &b"<html>oops</html>"[..]));
        assert_eq!(response.header("server"), Some(&b"x"[..]));
        assert_eq!(response.header("bad name"), None);
        assert_eq!(content_type(&response), "text/html; charset=utf-8");
        let encoded =
            ask("POST", "/reflect/", r#"{"encodedBody": "AAEC", "headers": {"content-type": "text/plain"}}"#);
        assert_eq!((encoded.status, &*encoded.body), (200, &[0, 1, 2][..]));
        assert_eq!(content_type(&encoded), "text/plain");
    }

    #[test]
    fn reflect_says_what_it_cannot_do() {
        assert_eq!(ask("POST", "/reflect", "{").status, 400);
        assert_eq!(ask("POST", "/reflect", r#"{"status": 99}"#).body, b"Invalid status code: 99");
        assert_eq!(ask("POST", "/reflect", r#"{"status": 204, "body": "x"}"#).body, b"");
    }

    #[test]
    fn media_types_are_guessed() {
        for (body, expected) in [
            ("<?php echo 1 ?>", "text/plain; charset=utf-8"),
            ("<?xml version='1.0'?>", "text/xml; charset=utf-8"),
            ("\\n <BODY class=x>", "text/html; charset=utf-8"),
            ("<bogus>", "text/plain; charset=utf-8"),
            ("\\u0001", "application/octet-stream"),
        ] {
            let response = ask("POST", "/reflect", &format!(r#"{{"body": "{body}"}}"#));
            assert_eq!(content_type(&response), expected, "{body}");
        }
    }

    #[test]
    fn capabilities_are_listed() {
        let listed = |target| {
            let response = ask("GET", target, "");
            serde_json::from_slice::<serde_json::Value>(&response.body).unwrap()["endpoints"].clone()
        };
        assert_eq!(listed("/capabilities?quiet=true")[0], serde_json::json!({ "path": "/*" }));
        assert_eq!(listed("/capabilities")[2]["methods"][0], "POST");
    }
}
