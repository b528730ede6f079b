//! Requests that two servers might read differently, and what a strict gateway makes of them.
//!
//! The same table is put to the framing alone, and over real sockets to the whole gateway. Sources:
//! RFC 9112 section 11, the request smuggling research of Watchfire (2005) and PortSwigger (2019 to 2025),
//! and the advisories of servers that read too much into their input.

/// One connection's worth of bytes, and what is to become of it.
#[derive(Debug, Clone)]
pub struct Case {
    /// What is peculiar about it.
    pub name: &'static str,
    /// What the client sends, all at once or in any pieces.
    pub bytes: Vec<u8>,
    /// How many requests the service may get to see whole.
    pub complete: usize,
    /// The code of the reason for which the next one is refused; `None` if nothing is refused.
    pub refusal: Option<&'static str>,
}

/// All cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    [REQUEST_LINES, LINES, NAMES_AND_VALUES, HOSTS, LENGTHS, CODINGS, CHUNKS, TRAILERS, CONNECTIONS, ACCEPTED]
        .concat()
        .into_iter()
        .map(|(name, bytes, complete, refusal)| Case { name, bytes: bytes.to_vec(), complete, refusal })
        .chain(oversized())
        .collect()
}

/// Heads that are larger than the defaults allow.
fn oversized() -> [Case; 5] {
    let refused = |name, bytes: String, refusal| Case {
        name,
        bytes: bytes.into_bytes(),
        complete: 0,
        refusal: Some(refusal),
    };
    let long = "a".repeat(9 * 1024);
    let start = "GET / HTTP/1.1\r\nHost: gate.test\r\n";
    [
        refused(
            "a target of 9 KiB",
            format!("GET /{long} HTTP/1.1\r\nHost: gate.test\r\n\r\n"),
            "target_too_long",
        ),
        refused("a request line that never ends", format!("GET /{long}"), "target_too_long"),
        refused("a field of 9 KiB", format!("{start}X-Long: {long}\r\n\r\n"), "headers_too_large"),
        refused("101 fields", format!("{start}{}\r\n", "X: 1\r\n".repeat(100)), "headers_too_large"),
        refused(
            "40 KiB of fields",
            format!("{start}{}\r\n", format!("X-Part: {}\r\n", "a".repeat(4096)).repeat(10)),
            "headers_too_large",
        ),
    ]
}

type Row = (&'static str, &'static [u8], usize, Option<&'static str>);

const SMUGGLING: Option<&str> = Some("smuggling");
const MALFORMED: Option<&str> = Some("malformed_request");
const BAD_HOST: Option<&str> = Some("bad_host");
const UNSUPPORTED: Option<&str> = Some("unsupported_transfer_coding");
const METHOD: Option<&str> = Some("method_refused");

const REQUEST_LINES: &[Row] = &[
    ("two spaces before the target", b"GET  / HTTP/1.1\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    ("two spaces before the version", b"GET /  HTTP/1.1\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    ("a tab as delimiter", b"GET\t/ HTTP/1.1\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    ("a space in the target", b"GET /a b HTTP/1.1\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    ("a space after the version", b"GET / HTTP/1.1 \r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    ("a space before the method", b" GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    ("HTTP/0.9", b"GET /\r\n", 0, MALFORMED),
    ("HTTP/1.2", b"GET / HTTP/1.2\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    ("HTTP/2.0 in text", b"GET / HTTP/2.0\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    ("HTTP/1.10", b"GET / HTTP/1.10\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    ("a lower-case protocol", b"GET / http/1.1\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    ("a method that is no token", b"GE(T / HTTP/1.1\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    ("NUL in the target", b"GET /a\0b HTTP/1.1\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    ("DEL in the target", b"GET /a\x7Fb HTTP/1.1\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    ("a tab in the target", b"GET /a?\tb HTTP/1.1\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    (
        "a byte in the target that is not UTF-8",
        b"GET /?\xE9 HTTP/1.1\r\nHost: gate.test\r\n\r\n",
        0,
        MALFORMED,
    ),
    ("an overlong slash in the target", b"GET /\xC0\xAF HTTP/1.1\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    (
        "a quotation mark in the host of a target",
        b"GET http://gate\".test/ HTTP/1.1\r\nHost: gate\".test\r\n\r\n",
        0,
        BAD_HOST,
    ),
    (
        "UTF-8 in the host of a target",
        b"GET http://g\xC3\xA4te.test/ HTTP/1.1\r\nHost: g\xC3\xA4te.test\r\n\r\n",
        0,
        BAD_HOST,
    ),
    ("a fragment in the target", b"GET /public#/../admin HTTP/1.1\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    ("a target without its slash", b"GET admin HTTP/1.1\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    ("a target that begins with @", b"GET @evil.test/ HTTP/1.1\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    ("another scheme", b"GET ftp://gate.test/ HTTP/1.1\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    ("the asterisk with GET", b"GET * HTTP/1.1\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    ("a TLS handshake", b"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03", 0, MALFORMED),
    ("CONNECT", b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n", 0, METHOD),
    ("TRACE", b"TRACE / HTTP/1.1\r\nHost: gate.test\r\n\r\n", 0, METHOD),
    ("two empty lines first", b"\r\n\r\nGET / HTTP/1.1\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    ("a bare LF first", b"\nGET / HTTP/1.1\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
];

const LINES: &[Row] = &[
    ("LF ends the request line", b"GET / HTTP/1.1\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    ("LF ends a field line", b"GET / HTTP/1.1\r\nHost: gate.test\nX: 1\r\n\r\n", 0, MALFORMED),
    ("LF ends the head", b"GET / HTTP/1.1\r\nHost: gate.test\r\n\nGET /admin HTTP/1.1\r\n\r\n", 0, MALFORMED),
    ("LF everywhere", b"GET / HTTP/1.1\nHost: gate.test\n\n", 0, MALFORMED),
    ("CR in the request line", b"GET /\r HTTP/1.1\r\nHost: gate.test\r\n\r\n", 0, MALFORMED),
    ("CR ends a field line", b"GET / HTTP/1.1\r\nHost: gate.test\rX: 1\r\n\r\n", 0, MALFORMED),
    ("CR CR LF", b"GET / HTTP/1.1\r\nHost: gate.test\r\r\n\r\n", 0, MALFORMED),
    (
        "a folded Transfer-Encoding",
        b"POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        0,
        SMUGGLING,
    ),
    ("a folded field", b"GET / HTTP/1.1\r\nHost: gate.test\r\nX: a\r\n b\r\n\r\n", 0, MALFORMED),
    ("a first field that is indented", b"GET / HTTP/1.1\r\n Host: gate.test\r\n\r\n", 0, MALFORMED),
];

const NAMES_AND_VALUES: &[Row] = &[
    (
        "a space before the colon of Transfer-Encoding",
        b"POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        0,
        MALFORMED,
    ),
    ("a tab before the colon", b"GET / HTTP/1.1\r\nHost\t: gate.test\r\n\r\n", 0, MALFORMED),
    ("a space in a name", b"GET / HTTP/1.1\r\nHost: gate.test\r\nContent Length: 5\r\n\r\n", 0, MALFORMED),
    ("a field without name", b"GET / HTTP/1.1\r\nHost: gate.test\r\n: 1\r\n\r\n", 0, MALFORMED),
    ("a field without colon", b"GET / HTTP/1.1\r\nHost: gate.test\r\nX\r\n\r\n", 0, MALFORMED),
    ("NUL in a name", b"GET / HTTP/1.1\r\nHost: gate.test\r\nX\0Y: 1\r\n\r\n", 0, MALFORMED),
    ("NUL in a value", b"GET / HTTP/1.1\r\nHost: gate.test\r\nX: a\0b\r\n\r\n", 0, MALFORMED),
    ("DEL in a value", b"GET / HTTP/1.1\r\nHost: gate.test\r\nX: a\x7Fb\r\n\r\n", 0, MALFORMED),
    ("a byte above ASCII in a name", b"GET / HTTP/1.1\r\nHost: gate.test\r\nX\xFF: 1\r\n\r\n", 0, MALFORMED),
    (
        "a vertical tab before `chunked`",
        b"POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: \x0Bchunked\r\n\r\n0\r\n\r\n",
        0,
        MALFORMED,
    ),
];

const HOSTS: &[Row] = &[
    ("no Host", b"GET / HTTP/1.1\r\n\r\n", 0, BAD_HOST),
    ("an empty Host", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 0, BAD_HOST),
    ("two equal Hosts", b"GET / HTTP/1.1\r\nHost: gate.test\r\nHost: gate.test\r\n\r\n", 0, BAD_HOST),
    ("two Hosts", b"GET / HTTP/1.1\r\nHost: gate.test\r\nHost: evil.test\r\n\r\n", 0, BAD_HOST),
    ("two Hosts in HTTP/1.0", b"GET / HTTP/1.0\r\nHost: gate.test\r\nhost: evil.test\r\n\r\n", 0, BAD_HOST),
    ("two hosts in one Host", b"GET / HTTP/1.1\r\nHost: gate.test, evil.test\r\n\r\n", 0, BAD_HOST),
    ("user information in Host", b"GET / HTTP/1.1\r\nHost: gate.test@evil.test\r\n\r\n", 0, BAD_HOST),
    ("a path in Host", b"GET / HTTP/1.1\r\nHost: gate.test/admin\r\n\r\n", 0, BAD_HOST),
    ("a port that is no number", b"GET / HTTP/1.1\r\nHost: gate.test:80@evil.test\r\n\r\n", 0, BAD_HOST),
    ("brackets around a name", b"GET / HTTP/1.1\r\nHost: [gate.test]\r\n\r\n", 0, BAD_HOST),
    (
        "Host contradicts the target",
        b"GET http://gate.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n",
        0,
        BAD_HOST,
    ),
    (
        "user information in the target",
        b"GET http://gate.test@evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n",
        0,
        BAD_HOST,
    ),
];

const LENGTHS: &[Row] = &[
    (
        "two different lengths",
        b"POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        0,
        SMUGGLING,
    ),
    (
        "two equal lengths",
        b"POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        0,
        SMUGGLING,
    ),
    (
        "a list of equal lengths",
        b"POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 5, 5\r\n\r\nhello",
        0,
        SMUGGLING,
    ),
    ("a signed length", b"POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: +5\r\n\r\nhello", 0, SMUGGLING),
    ("a negative length", b"POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: -1\r\n\r\n", 0, SMUGGLING),
    ("a hexadecimal length", b"POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 0x5\r\n\r\nhello", 0, SMUGGLING),
    ("a length with a fraction", b"POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 5.0\r\n\r\nhello", 0, SMUGGLING),
    ("a length with a space", b"POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 1 0\r\n\r\nhello", 0, SMUGGLING),
    ("an empty length", b"POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length:\r\n\r\n", 0, SMUGGLING),
    (
        "a length beyond 64 bits",
        b"POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 18446744073709551621\r\n\r\nhello",
        0,
        SMUGGLING,
    ),
    (
        "a length under an alias",
        b"POST / HTTP/1.1\r\nHost: gate.test\r\nContent_Length: 5\r\n\r\nhello",
        0,
        SMUGGLING,
    ),
    (
        "length and coding (CL.TE)",
        b"POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n\
          0\r\n\r\nGET /admin HTTP/1.1\r\nHost: gate.test\r\n\r\n",
        0,
        SMUGGLING,
    ),
    (
        "coding and length (TE.CL)",
        b"POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n\
          2b\r\nGET /admin HTTP/1.1\r\nHost: gate.test\r\nX: 1\r\n\r\n0\r\n\r\n",
        0,
        SMUGGLING,
    ),
    (
        "length and an unknown coding",
        b"POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 5\r\nTransfer-Encoding: identity\r\n\r\nhello",
        0,
        SMUGGLING,
    ),
    (
        "a request hidden behind a good one",
        b"GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n\
          POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 5, 6\r\n\r\nhello",
        1,
        SMUGGLING,
    ),
];

const CODINGS: &[Row] = &[
    ("gzip", b"POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: gzip\r\n\r\n", 0, UNSUPPORTED),
    ("gzip, then chunked", b"POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 0, UNSUPPORTED),
    ("a coding that ends like chunked", b"POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 0, UNSUPPORTED),
    ("identity", b"POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: identity\r\n\r\n", 0, UNSUPPORTED),
    ("chunked, then identity", b"POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 0, SMUGGLING),
    ("chunked twice", b"POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 0, SMUGGLING),
    (
        "chunked in two fields",
        b"POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        0,
        SMUGGLING,
    ),
    (
        "chunked, and identity in a second field",
        b"POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\nTransfer-encoding: identity\r\n\r\n0\r\n\r\n",
        0,
        SMUGGLING,
    ),
    ("chunked in quotes", b"POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 0, SMUGGLING),
    ("chunked with a parameter", b"POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", 0, SMUGGLING),
    ("chunked after a comma", b"POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", 0, SMUGGLING),
    ("an empty coding", b"POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding:\r\n\r\n", 0, SMUGGLING),
    ("chunked in HTTP/1.0", b"POST / HTTP/1.0\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, SMUGGLING),
    ("chunked under an alias", b"POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer_Encoding: chunked\r\n\r\n0\r\n\r\n", 0, SMUGGLING),
];

macro_rules! chunked {
    ($body:literal) => {
        concat!("POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n", $body).as_bytes()
    };
}

const CHUNKS: &[Row] = &[
    ("a size with a prefix", chunked!("0x5\r\nhello\r\n0\r\n\r\n"), 0, SMUGGLING),
    ("a size with a sign", chunked!("+5\r\nhello\r\n0\r\n\r\n"), 0, SMUGGLING),
    ("a negative size", chunked!("-1\r\nhello\r\n0\r\n\r\n"), 0, SMUGGLING),
    ("a space before the size", chunked!(" 5\r\nhello\r\n0\r\n\r\n"), 0, SMUGGLING),
    ("a space after the size", chunked!("5 \r\nhello\r\n0\r\n\r\n"), 0, SMUGGLING),
    ("a size with an underscore", chunked!("1_0\r\nhello\r\n0\r\n\r\n"), 0, SMUGGLING),
    ("no size", chunked!("\r\nhello\r\n0\r\n\r\n"), 0, SMUGGLING),
    ("a size beyond 64 bits", chunked!("10000000000000005\r\nhello\r\n0\r\n\r\n"), 0, SMUGGLING),
    ("LF after the size", chunked!("5\nhello\r\n0\r\n\r\n"), 0, SMUGGLING),
    ("CR after the size", chunked!("5\rXhello\r\n0\r\n\r\n"), 0, SMUGGLING),
    ("LF after the data", chunked!("5\r\nhello\n0\r\n\r\n"), 0, SMUGGLING),
    ("nothing after the data", chunked!("5\r\nhello0\r\n\r\n"), 0, SMUGGLING),
    ("data longer than its size", chunked!("3\r\nhello\r\n0\r\n\r\n"), 0, SMUGGLING),
    ("an extension with LF", chunked!("5;a\nb\r\nhello\r\n0\r\n\r\n"), 0, SMUGGLING),
    ("an extension with CR", chunked!("5;a\rb\r\nhello\r\n0\r\n\r\n"), 0, SMUGGLING),
    ("an extension without name", chunked!("5;\r\nhello\r\n0\r\n\r\n"), 0, SMUGGLING),
    ("whitespace before an extension", chunked!("5 ;a\r\nhello\r\n0\r\n\r\n"), 0, SMUGGLING),
    ("a quoted extension that does not end", chunked!("5;a=\"b\r\nhello\r\n0\r\n\r\n"), 0, SMUGGLING),
    ("LF ends the last chunk", chunked!("5\r\nhello\r\n0\n\r\n"), 0, SMUGGLING),
    ("LF ends the body", chunked!("5\r\nhello\r\n0\r\n\nGET /admin HTTP/1.1\r\n\r\n"), 0, MALFORMED),
];

const TRAILERS: &[Row] = &[
    ("Content-Length in a trailer", chunked!("0\r\nContent-Length: 5\r\n\r\n"), 0, SMUGGLING),
    ("Transfer-Encoding in a trailer", chunked!("0\r\nTransfer-Encoding: chunked\r\n\r\n"), 0, SMUGGLING),
    ("Host in a trailer", chunked!("0\r\nHost: evil.test\r\n\r\n"), 0, SMUGGLING),
    ("Authorization in a trailer", chunked!("0\r\nAuthorization: Bearer x\r\n\r\n"), 0, SMUGGLING),
    ("X-Forwarded-For in a trailer", chunked!("0\r\nX_Forwarded_For: 127.0.0.1\r\n\r\n"), 0, SMUGGLING),
    ("a folded trailer", chunked!("0\r\nX: 1\r\n 2\r\n\r\n"), 0, MALFORMED),
    ("a trailer that ends in LF", chunked!("0\r\nX: 1\nY: 2\r\n\r\n"), 0, MALFORMED),
    ("a request as a trailer", chunked!("0\r\nGET /admin HTTP/1.1\r\nHost: gate.test\r\n\r\n"), 0, MALFORMED),
];

const CONNECTIONS: &[Row] = &[
    (
        "Connection takes Authorization away",
        b"GET / HTTP/1.1\r\nHost: gate.test\r\nConnection: close, Authorization\r\n\r\n",
        0,
        SMUGGLING,
    ),
    (
        "Connection takes X-Forwarded-For away",
        b"GET / HTTP/1.1\r\nHost: gate.test\r\nConnection: keep-alive, X-Forwarded-For\r\n\r\n",
        0,
        SMUGGLING,
    ),
    (
        "Connection takes Content-Length away",
        b"POST / HTTP/1.1\r\nHost: gate.test\r\nConnection: content-length\r\nContent-Length: 5\r\n\r\nhello",
        0,
        SMUGGLING,
    ),
    ("Connection is no list", b"GET / HTTP/1.1\r\nHost: gate.test\r\nConnection: a b\r\n\r\n", 0, MALFORMED),
    (
        "Upgrade with a body",
        b"POST / HTTP/1.1\r\nHost: gate.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello",
        0,
        SMUGGLING,
    ),
];

const ACCEPTED: &[Row] = &[
    ("a plain request", b"GET /a?b=c HTTP/1.1\r\nHost: gate.test\r\nAccept: */*\r\n\r\n", 1, None),
    ("an empty line first", b"\r\nGET / HTTP/1.1\r\nHost: gate.test\r\n\r\n", 1, None),
    (
        "marks in the target that clients leave as they are",
        b"GET /a?b=\"<>\\^`{|} HTTP/1.1\r\nHost: gate.test\r\n\r\nGET / HTTP/1.1\r\nHost: gate.test\r\n\r\n",
        2,
        None,
    ),
    ("UTF-8 in the target", b"GET /caf\xC3\xA9 HTTP/1.1\r\nHost: gate.test\r\n\r\n", 1, None),
    ("an absolute target", b"GET http://gate.test/a HTTP/1.1\r\nHost: Gate.test\r\n\r\n", 1, None),
    (
        "three in a row",
        b"GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n\
          POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 5\r\n\r\nhello\
          GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n",
        3,
        None,
    ),
    (
        "a request in a body is a body",
        b"POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 41\r\n\r\n\
          GET /admin HTTP/1.1\r\nHost: gate.test\r\n\r\n ",
        1,
        None,
    ),
    (
        "leading zeros in a length",
        b"POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 005\r\n\r\nhello",
        1,
        None,
    ),
    ("chunks", chunked!("5\r\nhello\r\n00A\r\n0123456789\r\n0\r\n\r\n"), 1, None),
    ("well-formed extensions", chunked!("5;a;b=c;d=\"e\\\"f;g\"\r\nhello\r\n0;z\r\n\r\n"), 1, None),
    ("a harmless trailer", chunked!("5\r\nhello\r\n0\r\nX-Checksum: 1\r\n\r\n"), 1, None),
    (
        "a request after chunks",
        chunked!("1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: gate.test\r\n\r\n"),
        2,
        None,
    ),
];
