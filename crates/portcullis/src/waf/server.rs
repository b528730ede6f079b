//! What a web server does before any rule runs: it answers some requests itself. The suite counts on a server
//! around the engine and asks for its 400s, so running it in process needs one too.

use super::message::Request;

/// Why a server does not let the rules see a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is answered 400, for this reason.
    BadRequest(&'static str),
    /// HTTP/0.9: whatever comes back is not a response of HTTP/1.
    NoResponse,
}

/// The refusal that RFC 9112 and RFC 9110 ask for, if any.
pub(super) fn refusal(request: &Request) -> Option<Refusal> {
    if request.protocol.is_empty() {
        return Some(Refusal::NoResponse);
    }
    let fault = bad_line(request).or_else(|| bad_fields(request)).or_else(|| bad_host(request));
    fault.map(Refusal::BadRequest)
}

fn bad_line(request: &Request) -> Option<&'static str> {
    if !is_token(&request.method) {
        return Some("the method is no token");
    }
    // RFC 9112, section 2.3: a digit on either side. The zeroth major version has no head.
    if !matches!(*request.protocol, [b'H', b'T', b'T', b'P', b'/', b'1'..=b'9', b'.', b'0'..=b'9'])
        && *request.protocol != *b"HTTP/2"
    {
        return Some("the protocol is none");
    }
    let target = &*request.target;
    if target.iter().any(|&byte| byte <= b' ' || byte == 0x7f) {
        return Some("the target holds white space or control characters");
    }
    if target.contains(&b'#') {
        return Some("a fragment is no part of a target");
    }
    let is_sound = match &*request.method {
        b"CONNECT" => has_port(target),
        b"OPTIONS" if target == b"*" => true,
        _ => target.starts_with(b"/") || target.windows(3).any(|three| three == b"://"),
    };
    (!is_sound).then_some("the target has none of the forms of RFC 9112, section 3.2")
}

fn bad_fields(request: &Request) -> Option<&'static str> {
    for (name, value) in &request.headers {
        if !is_token(name) {
            return Some("a field's name is no token");
        }
        if value.iter().any(|&byte| matches!(byte, 0 | b'\r')) {
            return Some("a field's value holds NUL or a bare CR");
        }
    }
    let mut lengths = request.header_all("content-length");
    let first = lengths.next()?;
    if first.is_empty() || !first.iter().all(u8::is_ascii_digit) {
        return Some("Content-Length is no number");
    }
    lengths.any(|other| other != first).then_some("Content-Length has two values")
}

/// RFC 9112, section 3.2: one Host from HTTP/1.1 on. What it may hold is what servers in the field let pass.
fn bad_host(request: &Request) -> Option<&'static str> {
    let mut hosts = request.header_all("host");
    let Some(host) = hosts.next() else {
        return (*request.protocol != *b"HTTP/1.0").then_some("Host is missing");
    };
    if hosts.next().is_some() {
        return Some("there are two Hosts");
    }
    if host.is_empty() {
        return (*request.protocol != *b"HTTP/1.0").then_some("Host is empty");
    }
    let is_sound = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte) || *byte >= 0x80;
    (!host.iter().all(is_sound)).then_some("Host is no host")
}

/// Whether a target of CONNECT names a port.
fn has_port(target: &[u8]) -> bool {
    target.iter().rposition(|&byte| byte == b':').is_some_and(|colon| {
        let port = target.get(colon + 1..).unwrap_or_default();
        !port.is_empty() && port.iter().all(u8::is_ascii_digit)
    })
}

fn is_token(bytes: &[u8]) -> bool {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(is_tchar)
}

#[cfg(test)]
mod tests {
    use super::super::message;
    use super::{Refusal, refusal};

    fn refused(head: &str) -> Option<Refusal> {
        refusal(&message::request(format!("{head}\r\n\r\n").as_bytes()).message)
    }

    #[test]
    fn what_servers_take_passes() {
        for head in [
            "GET / HTTP/1.1\r\nHost: localhost:8080",
            "|GET / HTTP/1.1\r\nHost: h",
            "GET http://h/a HTTP/1.1\r\nHost: h",
            "GET / HTTP/1.0",
            "GET / HTTP/4.0\r\nHost: h",
            "CONNECT 1.2.3.4:80 HTTP/1.1\r\nHost: h",
            "OPTIONS * HTTP/1.1\r\nHost: [::1]",
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0",
        ] {
            assert_eq!(refused(head), None, "{head}");
        }
    }

    #[test]
    fn what_servers_refuse_is_refused() {
        for head in [
            "  GET / HTTP/1.1\r\nHost: h",
            "GET \\ HTTP/1.1\r\nHost: h",
            "GET /a b HTTP/1.1\r\nHost: h",
            "GET /#f HTTP/1.1\r\nHost: h",
            "GET / TEST\r\nHost: h",
            "GET / HTTP/0.9\r\nHost: h",
            "CONNECT h HTTP/1.1\r\nHost: h",
            "GET / HTTP/1.1",
            "GET / HTTP/1.1\r\nHost:",
            "GET / HTTP/1.1\r\nHost: h%00",
            "GET / HTTP/1.1\r\nHost: h\r\nHost: h",
            "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3;",
            "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4",
            "GET / HTTP/1.1\r\nHost: h\r\nA: b\rc",
            "GET / HTTP/1.1\r\nHost: h\r\nA b: c",
        ] {
            assert!(matches!(refused(head), Some(Refusal::BadRequest(_))), "{head}");
        }
        assert_eq!(refused("GET / "), Some(Refusal::NoResponse));
    }
}
