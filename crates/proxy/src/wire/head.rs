//! A request's head: judged line by line, and as a whole once its empty line is there.

use portcullis_core::Reason;

use super::fields::{self, Lines, reads_as};
use super::{Fault, Limits};

/// The judgement of a head that may still be arriving.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HeadJudge {
    lines: Lines,
    /// Where the field section starts; `None` until the request line is complete.
    fields_from: Option<usize>,
    skipped_empty_line: bool,
    field_count: usize,
    facts: Facts,
}

/// What a complete head says of the bytes that follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Framed {
    /// The length of the head.
    pub(super) head: usize,
    /// The body after it.
    pub(super) body: Body,
    /// Whether the connection may change its protocol after this request.
    pub(super) upgrade: bool,
    /// The place of the target in the head, if hyper would not give it back as it came.
    pub(super) target: Option<(usize, usize)>,
}

/// How a body is delimited (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    None,
    Length(u64),
    Chunked,
}

/// What the lines so far say about framing and routing.
#[derive(Debug, Clone, Copy, Default)]
struct Facts {
    is_http_11: bool,
    /// The target, if it is not a path and query of the characters of a URI: its place in the head.
    target: Option<(usize, usize)>,
    /// How many bytes of it are to be percent-encoded.
    to_encode: usize,
    /// The authority of an absolute-form target: its place in the head.
    authority: Option<(usize, usize)>,
    has_host: bool,
    length: Option<u64>,
    coding: Option<Coding>,
    upgrade: Option<Upgrade>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Chunked,
    Unsupported,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upgrade {
    /// `h2c` and nothing else: obsolete (RFC 9113 section 3.1), sent unasked by some clients with every
    /// kind of request, and to be ignored.
    OnlyH2c,
    Other,
}

impl HeadJudge {
    /// Judges what there is of a head. `head` begins with the head's first byte at every call, and only
    /// lines that were not complete before are looked at.
    pub(super) fn judge(&mut self, head: &[u8], limits: &Limits) -> Result<Option<Framed>, Fault> {
        loop {
            let Some(line) = self.lines.next_line(head)? else {
                return self.judge_unfinished(head, limits).map(|()| None);
            };
            let Some(fields_from) = self.fields_from else {
                self.judge_first_line(line, head, limits)?;
                continue;
            };
            if line.is_empty() {
                return self.conclude(limits).map(Some);
            }
            self.field_count += 1;
            let section = self.lines.consumed() - fields_from;
            check_field_size(line.len(), section, self.field_count, limits)?;
            let (name, value) = fields::field(line)?;
            self.facts.note(name, value, head)?;
        }
    }

    /// A line that has not ended must still be within its limit, and a first line must begin like one: a
    /// TLS handshake on a plain port is told at once.
    fn judge_unfinished(&self, head: &[u8], limits: &Limits) -> Result<(), Fault> {
        let line = self.lines.unfinished(head);
        match self.fields_from {
            None if line.len() > limits.head.request_line + 1 => Err(LONG_REQUEST_LINE),
            None => match line.first() {
                Some(byte) if !fields::is_token_byte(*byte) && *byte != b'\r' => Err(NO_METHOD),
                _ => Ok(()),
            },
            Some(fields_from) => {
                // The CR that may stand at its end is not part of it.
                let length = line.len().saturating_sub(1);
                let section = self.lines.consumed() - fields_from + length;
                check_field_size(length, section, self.field_count, limits)
            }
        }
    }

    fn judge_first_line(&mut self, line: &[u8], head: &[u8], limits: &Limits) -> Result<(), Fault> {
        if line.is_empty() && !self.skipped_empty_line {
            // RFC 9112 section 2.2: old clients send an empty line after a POST. One, not many.
            self.skipped_empty_line = true;
            return Ok(());
        }
        if !line.first().is_some_and(|byte| fields::is_token_byte(*byte)) {
            return Err(NO_METHOD);
        }
        if line.len() > limits.head.request_line {
            return Err(LONG_REQUEST_LINE);
        }
        let end = self.lines.consumed();
        self.fields_from = Some(end);
        let line_from = end - line.len() - 2;
        self.facts.note_request_line(line, line_from)?;
        // Each becomes three: hyper is given no longer line than the limit, and neither is the service.
        if line.len() + 2 * self.facts.to_encode > limits.head.request_line {
            return Err(LONG_REQUEST_LINE);
        }
        match self.facts.authority {
            Some((from, to)) if !fields::is_authority(head.get(from..to).unwrap_or_default()) => {
                Err(bad_host("the authority of the target is not a host with an optional port"))
            }
            _ => Ok(()),
        }
    }

    fn conclude(&self, limits: &Limits) -> Result<Framed, Fault> {
        let facts = &self.facts;
        if facts.is_http_11 && !facts.has_host {
            return Err(bad_host("there is no Host"));
        }
        let body = match (facts.coding, facts.length) {
            // RFC 9112 section 6.1: such a message ought to be handled as an error.
            (Some(_), Some(_)) => {
                return Err(Fault::smuggling("Content-Length and Transfer-Encoding stand together"));
            }
            (Some(_), None) if !facts.is_http_11 => {
                return Err(Fault::smuggling("Transfer-Encoding stands in an HTTP/1.0 message"));
            }
            (Some(Coding::Unsupported), None) => {
                return Err(Fault::head(
                    Reason::UnsupportedTransferCoding,
                    "a transfer coding other than `chunked`",
                ));
            }
            (Some(Coding::Chunked), None) => Body::Chunked,
            (None, Some(length)) if length > limits.max_body => {
                return Err(Fault::head(Reason::BodyTooLarge, "Content-Length is above the limit"));
            }
            (None, Some(0) | None) => Body::None,
            (None, Some(length)) => Body::Length(length),
        };
        let upgrade = facts.awaits_upgrade(body)?;
        Ok(Framed { head: self.lines.consumed(), body, upgrade, target: facts.target })
    }
}

impl Facts {
    /// `method SP request-target SP HTTP-version` (RFC 9112 section 3), single spaces.
    fn note_request_line(&mut self, line: &[u8], line_from: usize) -> Result<(), Fault> {
        let rest = if let Some(rest) = line.strip_suffix(b" HTTP/1.1") {
            self.is_http_11 = true;
            rest
        } else {
            line.strip_suffix(b" HTTP/1.0")
                .ok_or(Fault::malformed("the request line does not end in ` HTTP/1.1` or ` HTTP/1.0`"))?
        };
        let space = memchr::memchr(b' ', rest).ok_or(Fault::malformed("the request line has no target"))?;
        let (method, target) = rest.split_at_checked(space).unwrap_or_default();
        let target = target.get(1..).unwrap_or_default();
        if !fields::is_token(method) {
            return Err(NO_METHOD);
        }
        if [&b"CONNECT"[..], b"TRACE"].iter().any(|refused| method.eq_ignore_ascii_case(refused)) {
            return Err(Fault::head(Reason::MethodRefused, "CONNECT and TRACE are never served"));
        }
        self.note_target(method, target, line_from + space + 1)
    }

    /// Origin-form, absolute-form of http and https, and `*` for OPTIONS (RFC 9112 section 3.2).
    fn note_target(&mut self, method: &[u8], target: &[u8], from: usize) -> Result<(), Fault> {
        let path_from = match target {
            [b'/', ..] => 0,
            b"*" if method == b"OPTIONS" => return Ok(()),
            _ => {
                let scheme = [&b"http://"[..], b"https://"]
                    .into_iter()
                    .find(|scheme| {
                        target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
                    })
                    .ok_or(Fault::malformed("the target is neither a path nor an http or https address"))?;
                let rest = target.get(scheme.len()..).unwrap_or_default();
                let authority =
                    rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
                let path_from = scheme.len() + authority;
                self.authority = Some((from + scheme.len(), from + path_from));
                path_from
            }
        };
        let path_and_query = target.get(path_from..).unwrap_or_default();
        self.to_encode = fields::bytes_to_encode(path_and_query)
            .ok_or(Fault::malformed("the target holds a character that belongs in no target"))?;
        if self.to_encode > 0 || path_from > 0 {
            self.target = Some((from, from + target.len()));
        }
        Ok(())
    }

    /// Takes note of a field if it bears on framing or routing. Their names differ in length, so most
    /// fields cost one comparison.
    fn note(&mut self, name: &[u8], value: &[u8], head: &[u8]) -> Result<(), Fault> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.note_host(value, head),
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                let only_h2c = self.upgrade != Some(Upgrade::Other) && value.eq_ignore_ascii_case(b"h2c");
                self.upgrade = Some(if only_h2c { Upgrade::OnlyH2c } else { Upgrade::Other });
                Ok(())
            }
            10 if name.eq_ignore_ascii_case(b"connection") => judge_connection(value),
            14 if reads_as(name, b"content-length") => {
                refuse_underscore(name)?;
                if self.length.is_some() {
                    return Err(Fault::smuggling("there is more than one Content-Length"));
                }
                self.length = Some(content_length(value)?);
                Ok(())
            }
            17 if reads_as(name, b"transfer-encoding") => {
                refuse_underscore(name)?;
                if self.coding.is_some() {
                    return Err(Fault::smuggling("there is more than one Transfer-Encoding"));
                }
                self.coding = Some(transfer_coding(value)?);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn note_host(&mut self, value: &[u8], head: &[u8]) -> Result<(), Fault> {
        if self.has_host {
            return Err(bad_host("there is more than one Host"));
        }
        self.has_host = true;
        if !fields::is_authority(value) {
            return Err(bad_host("Host is not a host with an optional port"));
        }
        // RFC 9112 section 3.2.2: the target's authority counts, and a client sends the same in Host. A
        // service that reads the other one would be asked for what the policy did not see.
        match self.authority {
            Some((from, to)) if !head.get(from..to).is_some_and(|host| host.eq_ignore_ascii_case(value)) => {
                Err(bad_host("Host contradicts the target"))
            }
            _ => Ok(()),
        }
    }

    /// RFC 9110 section 7.8: Upgrade counts in HTTP/1.1 only. With a body, it would be open where the other
    /// protocol begins.
    fn awaits_upgrade(&self, body: Body) -> Result<bool, Fault> {
        match self.upgrade {
            Some(_) if self.is_http_11 && body == Body::None => Ok(true),
            Some(Upgrade::Other) if self.is_http_11 => {
                Err(Fault::smuggling("a request with Upgrade has a body"))
            }
            _ => Ok(false),
        }
    }
}

/// `1*DIGIT` (RFC 9110 section 8.6). No list, even of equal values, and no number that overflows somewhere.
fn content_length(value: &[u8]) -> Result<u64, Fault> {
    let is_number = (1..=MAX_LENGTH_DIGITS).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    if !is_number {
        return Err(Fault::smuggling("Content-Length is not one decimal number of at most 19 digits"));
    }
    Ok(value.iter().fold(0, |length: u64, digit| length * 10 + u64::from(digit - b'0')))
}

/// Nineteen digits always fit in 64 bits without a sign.
const MAX_LENGTH_DIGITS: usize = 19;

/// `chunked` alone is understood. Other well-formed lists are honest requests that are not supported
/// (RFC 9112 section 6.1: 501); what disguises `chunked` or repeats it is not honest.
fn transfer_coding(value: &[u8]) -> Result<Coding, Fault> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(Coding::Chunked);
    }
    let mut ended = false;
    for coding in fields::elements(value) {
        if ended || !fields::is_token(coding) {
            return Err(Fault::smuggling(
                "Transfer-Encoding is not a list of codings that ends in `chunked`",
            ));
        }
        ended = coding.eq_ignore_ascii_case(b"chunked");
    }
    Ok(Coding::Unsupported)
}

/// What Connection names is removed on the way (RFC 9110 section 7.6.1). A client must not use that to have
/// removed what the service decides by.
fn judge_connection(value: &[u8]) -> Result<(), Fault> {
    for option in fields::elements(value).filter(|option| !option.is_empty()) {
        if !fields::is_token(option) {
            return Err(Fault::malformed("Connection is not a list of tokens"));
        }
        let matters = fields::begins_as(option, b"x-forwarded-")
            || END_TO_END.iter().any(|field| reads_as(option, field.as_bytes()));
        if matters {
            return Err(Fault::smuggling("Connection names a field that must reach the service"));
        }
    }
    Ok(())
}

const END_TO_END: [&str; 10] = [
    "authorization",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "forwarded",
    "host",
    "origin",
    "transfer-encoding",
    "x-real-ip",
];

/// Services behind CGI-like interfaces see `Content_Length` and `Content-Length` under one name.
fn refuse_underscore(name: &[u8]) -> Result<(), Fault> {
    if name.contains(&b'_') {
        return Err(Fault::smuggling("a framing field is spelt with an underscore"));
    }
    Ok(())
}

fn check_field_size(line: usize, section: usize, count: usize, limits: &Limits) -> Result<(), Fault> {
    if line > limits.head.header_size {
        return Err(Fault::head(Reason::HeadersTooLarge, "a field is longer than the limit"));
    }
    if section > limits.head.header_total {
        return Err(Fault::head(Reason::HeadersTooLarge, "the fields together are longer than the limit"));
    }
    if count > limits.head.header_count {
        return Err(Fault::head(Reason::HeadersTooLarge, "there are more fields than the limit"));
    }
    Ok(())
}

const fn bad_host(what: &'static str) -> Fault {
    Fault::head(Reason::BadHost, what)
}

const LONG_REQUEST_LINE: Fault =
    Fault::head(Reason::TargetTooLong, "the request line is longer than the limit");
const NO_METHOD: Fault = Fault::malformed("the request line does not begin with a method");
