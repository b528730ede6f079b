//! HTTP/1 messages as a tolerant server reads them: the suite sends what breaks the grammar on purpose, and the
//! rules must get to see it.

/// A field of a head, as received.
pub(super) type Field = (Vec<u8>, Vec<u8>);

/// A request taken apart. Nothing here says that it is sound: that is [`super::server`]'s question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: Vec<u8>,
    pub(super) target: Vec<u8>,
    pub(super) protocol: Vec<u8>,
    pub(super) headers: Vec<Field>,
    pub(super) body: Vec<u8>,
}

/// A response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<Field>,
    pub(super) body: Vec<u8>,
}

/// A message, and whether all of it has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed<M> {
    pub(super) message: M,
    pub(super) complete: bool,
}

impl Request {
    /// All fields of this name.
    pub(super) fn header_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.as_slice())
    }
}

impl Response {
    /// The first field of this name.
    pub(super) fn header(&self, name: &str) -> Option<&[u8]> {
        header(&self.headers, name)
    }

    /// The response as it stands on the wire; a response to HEAD keeps its length and loses its body.
    pub(super) fn bytes(&self, with_body: bool) -> Vec<u8> {
        let mut bytes = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status)).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        if with_body {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// Reads a request. Of a body only what the head announces belongs to it.
pub(super) fn request(bytes: &[u8]) -> Parsed<Request> {
    let skipped = bytes.iter().take_while(|&&byte| byte == b'\r' || byte == b'\n').count();
    let mut rest = bytes.get(skipped..).unwrap_or_default();
    let mut request = Request::default();
    let Some(line) = take_line(&mut rest) else {
        request_line(rest, &mut request);
        return Parsed { message: request, complete: false };
    };
    request_line(line, &mut request);
    if request.protocol.is_empty() {
        // HTTP/0.9 has no head beyond this line (RFC 1945, section 4.1); the suite sends one, and it is read.
        fields(&mut rest, &mut request.headers);
        return Parsed { message: request, complete: true };
    }
    let ended = fields(&mut rest, &mut request.headers);
    let (body, whole) = body(rest, &request.headers, false);
    request.body = body;
    if is_chunked(&request.headers) {
        // RFC 9112, section 6.3: whoever goes by Transfer-Encoding takes Content-Length out.
        request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(b"content-length"));
    }
    Parsed { message: request, complete: ended && whole }
}

/// Reads a response; `bodiless` says that the request was HEAD.
pub(super) fn response(bytes: &[u8], bodiless: bool, at_end: bool) -> Option<Parsed<Response>> {
    let mut rest = bytes;
    loop {
        let line = take_line(&mut rest)?;
        let after_version = line.strip_prefix(b"HTTP/")?.splitn(2, |&byte| byte == b' ').nth(1)?;
        let status: u16 = text(after_version.get(..3)?).parse().ok()?;
        let mut response = Response { status, ..Response::default() };
        let ended = fields(&mut rest, &mut response.headers);
        // 101 ends the exchange; any other 1xx only announces the real response.
        if ended && (100..200).contains(&status) && status != 101 {
            continue;
        }
        if bodiless || matches!(status, 101 | 204 | 304) {
            return Some(Parsed { message: response, complete: ended });
        }
        let (body, whole) = body(rest, &response.headers, true);
        response.body = body;
        return Some(Parsed { message: response, complete: ended && (whole || at_end) });
    }
}

/// Bytes as text, for people and patterns.
pub(super) fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Takes the words of a request line apart. What stands before the method stays with it, and spaces within a
/// target stay there: a rule looks for both.
fn request_line(line: &[u8], request: &mut Request) {
    let lead = line.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let word = line.iter().skip(lead).take_while(|byte| !byte.is_ascii_whitespace()).count();
    let (method, rest) = line.split_at_checked(lead + word).unwrap_or((line, b""));
    request.method = method.to_vec();
    let rest = rest.get(1..).unwrap_or_default();
    let (target, protocol) = match rest.iter().rposition(|&byte| byte == b' ') {
        Some(space) => (rest.get(..space), rest.get(space + 1..)),
        None => (Some(rest), None),
    };
    request.target = target.unwrap_or_default().to_vec();
    request.protocol = protocol.unwrap_or_default().to_vec();
}

/// Takes a line that ends in LF or CRLF.
fn take_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|&byte| byte == b'\n')?;
    let line = rest.get(..end)?;
    *rest = rest.get(end + 1..)?;
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

/// Takes fields until an empty line; `false` if there was none.
fn fields(rest: &mut &[u8], headers: &mut Vec<Field>) -> bool {
    while let Some(line) = take_line(rest) {
        if line.is_empty() {
            return true;
        }
        // obs-fold (RFC 9112, section 5.2): the line belongs to the field before it.
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            if let Some((_, value)) = headers.last_mut() {
                value.push(b' ');
                value.extend_from_slice(line.trim_ascii());
            }
            continue;
        }
        let mut halves = line.splitn(2, |&byte| byte == b':');
        let name = halves.next().unwrap_or_default();
        let value = halves.next().unwrap_or_default();
        headers.push((name.to_vec(), trim(value).to_vec()));
    }
    false
}

/// Without the spaces and tabs around it. A bare CR is no white space and stays.
fn trim(value: &[u8]) -> &[u8] {
    let is_space = |byte: &&u8| **byte == b' ' || **byte == b'\t';
    let start = value.iter().take_while(is_space).count();
    let value = value.get(start..).unwrap_or_default();
    let trailing = value.iter().rev().take_while(is_space).count();
    value.get(..value.len() - trailing).unwrap_or_default()
}

fn header<'a>(headers: &'a [Field], name: &str) -> Option<&'a [u8]> {
    headers
        .iter()
        .find(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| value.as_slice())
}

fn is_chunked(headers: &[Field]) -> bool {
    header(headers, "transfer-encoding")
        .is_some_and(|value| text(value).to_ascii_lowercase().trim_end().ends_with("chunked"))
}

/// The body by its framing, and whether it is whole. A response without a length goes on until the end.
fn body(rest: &[u8], headers: &[Field], until_end: bool) -> (Vec<u8>, bool) {
    if is_chunked(headers) {
        return chunks(rest);
    }
    let announced =
        header(headers, "content-length").and_then(|value| text(value).trim().parse::<usize>().ok());
    match announced {
        Some(length) => (rest.get(..length).unwrap_or(rest).to_vec(), rest.len() >= length),
        None if until_end => (rest.to_vec(), false),
        None => (Vec::new(), true),
    }
}

/// Decodes chunks; broken ones end the body where they break.
fn chunks(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(line) = take_line(&mut rest) {
        let size = text(line.split(|&byte| byte == b';').next().unwrap_or_default()).trim().to_owned();
        let Ok(size) = usize::from_str_radix(&size, 16) else { return (body, true) };
        if size == 0 {
            let mut trailers = Vec::new();
            return (body, fields(&mut rest, &mut trailers));
        }
        let Some((chunk, after)) = rest.split_at_checked(size) else {
            body.extend_from_slice(rest);
            return (body, false);
        };
        body.extend_from_slice(chunk);
        rest = after;
        // The line break after a chunk.
        if take_line(&mut rest).is_none() {
            return (body, false);
        }
    }
    (body, false)
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::{request, response};

    #[test]
    fn a_request_is_taken_apart() {
        let parsed = request(b"POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcd");
        assert!(parsed.complete);
        let message = parsed.message;
        assert_eq!(
            (&*message.method, &*message.target, &*message.protocol),
            (&b"POST"[..], &b"/a?b"[..], &b"HTTP/1.1"[..])
        );
        assert_eq!(message.header_all("HOST").next(), Some(&b"h"[..]));
        assert_eq!(message.body, b"abc");
    }

    #[test]
    fn what_breaks_the_grammar_stays_as_it_was_sent() {
        let parts = |line: &str| {
            let message = request(format!("{line}\r\nHost: h\r\n\r\n").as_bytes()).message;
            [message.method, message.target, message.protocol].map(|part| String::from_utf8(part).unwrap())
        };
        assert_eq!(parts("   GET / HTTP/1.1"), ["   GET", "/", "HTTP/1.1"]);
        assert_eq!(parts("GET /a b c HTTP/1.1"), ["GET", "/a b c", "HTTP/1.1"]);
        assert_eq!(parts("GET / "), ["GET", "/", ""]);
        assert_eq!(parts("GET /"), ["GET", "/", ""]);
        assert_eq!(parts("GET http://h/x HTTP/1.0"), ["GET", "http://h/x", "HTTP/1.0"]);
        assert_eq!(parts("\r\n\nGET / TEST"), ["GET", "/", "TEST"]);
    }

    #[test]
    fn line_ends_folds_and_bare_carriage_returns() {
        let message = request(b"GET / HTTP/1.1\nA: 1\n  2\nB : x\ry \n\n").message;
        assert_eq!(message.header_all("a").next(), Some(&b"1 2"[..]));
        assert_eq!(message.headers.last().unwrap(), &(b"B ".to_vec(), b"x\ry".to_vec()));
    }

    #[test]
    fn chunks_are_joined_and_the_length_goes() {
        let bytes = b"POST / HTTP/1.1\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nHi \r\n3\r\nCRS\r\n0\r\n\r\n";
        let parsed = request(bytes);
        assert!(parsed.complete);
        assert_eq!(parsed.message.body, b"Hi CRS");
        assert_eq!(parsed.message.header_all("content-length").next(), None);
        for cut in 0..bytes.len() {
            assert!(!request(&bytes[..cut]).complete, "cut at {cut}");
        }
    }

    #[test]
    fn a_body_that_nothing_announces_is_none() {
        let parsed = request(b"POST / HTTP/1.1\r\n\r\nhi=test");
        assert!(parsed.complete);
        assert!(parsed.message.body.is_empty());
    }

    #[test]
    fn responses_end_by_their_framing() {
        let bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokrest";
        let parsed = response(bytes, false, false).unwrap();
        assert!(parsed.complete);
        assert_eq!((parsed.message.status, &*parsed.message.body), (200, &b"ok"[..]));
        let open = b"HTTP/1.0 404 Not Found\r\n\r\nabc";
        assert!(!response(open, false, false).unwrap().complete);
        assert!(response(open, false, true).unwrap().complete);
        assert!(response(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true, false).unwrap().complete);
        assert_eq!(response(b"no response", false, true), None);
    }
}
