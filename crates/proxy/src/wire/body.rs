//! The chunked coding and its trailer section (RFC 9112 section 7.1).

use portcullis_core::Reason;

use super::fields::{self, Lines, begins_as, reads_as};
use super::{Fault, Limits};

/// The position in a chunked body, up to the line of the last chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunks {
    at: Step,
    /// The size of the present chunk: so far while its digits are read, what is left of it afterwards.
    size: u64,
    extension_bytes: usize,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Size { digits: u8 },
    ExtensionName { empty: bool },
    ExtensionValue,
    ExtensionToken,
    ExtensionQuoted,
    ExtensionEscaped,
    ExtensionQuotedEnd,
    SizeLf,
    Data,
    DataCr,
    DataLf,
}

/// How far a chunked body was read.
pub(super) struct Taken {
    /// How many bytes are in order.
    pub(super) bytes: usize,
    /// Whether they end the line of the last chunk, or what is wrong with the byte after them.
    pub(super) ended: Result<bool, Fault>,
}

impl Chunks {
    pub(super) const fn new() -> Self {
        Self { at: Step::Size { digits: 0 }, size: 0, extension_bytes: 0 }
    }

    /// Reads on. `seen` counts the bytes of the payload, and what of it is announced stays within
    /// `max_body`.
    pub(super) fn read(&mut self, input: &[u8], seen: &mut u64, max_body: u64) -> Taken {
        let mut rest = input;
        while let [byte, after @ ..] = rest {
            if self.at == Step::Data {
                rest = self.take_data(rest, seen);
                continue;
            }
            match self.step(*byte, max_body.saturating_sub(*seen)) {
                Ok(ended) => {
                    rest = after;
                    if ended {
                        return Taken { bytes: input.len() - rest.len(), ended: Ok(true) };
                    }
                }
                Err(fault) => {
                    return Taken { bytes: input.len() - rest.len(), ended: Err(fault.in_body()) };
                }
            }
        }
        Taken { bytes: input.len(), ended: Ok(false) }
    }

    fn take_data<'b>(&mut self, input: &'b [u8], seen: &mut u64) -> &'b [u8] {
        let (taken, rest) = split_at_most(input, self.size);
        self.size -= taken;
        *seen = seen.saturating_add(taken);
        if self.size == 0 {
            self.at = Step::DataCr;
        }
        rest
    }

    /// One byte outside of the data. `Ok(true)` after the line of the last chunk.
    fn step(&mut self, byte: u8, allowed: u64) -> Result<bool, Fault> {
        self.at = match (self.at, byte) {
            (Step::Size { digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.add_digit(digits, byte)?
            }
            (Step::Size { digits: 1.. }, b'\r' | b';') if self.size > allowed => {
                return Err(Fault::head(Reason::BodyTooLarge, "the chunks together are above the limit"));
            }
            (Step::Size { digits: 1.. }, b'\r') => Step::SizeLf,
            (Step::Size { digits: 1.. }, b';') => self.extend(Step::ExtensionName { empty: true })?,
            (Step::Size { .. }, _) => {
                return Err(Fault::smuggling("a chunk size is not plain hexadecimal digits and CRLF"));
            }
            (Step::SizeLf, b'\n') if self.size == 0 => return Ok(true),
            (Step::SizeLf, b'\n') => Step::Data,
            (Step::DataCr, b'\r') => Step::DataLf,
            (Step::DataLf, b'\n') => {
                self.size = 0;
                Step::Size { digits: 0 }
            }
            (Step::SizeLf | Step::DataCr | Step::DataLf | Step::Data, _) => {
                return Err(Fault::smuggling("a chunk does not end in CRLF where its size says"));
            }
            (in_extension, _) => self.extension(in_extension, byte)?,
        };
        Ok(false)
    }

    fn add_digit(&mut self, digits: u8, byte: u8) -> Result<Step, Fault> {
        if digits == MAX_SIZE_DIGITS {
            return Err(Fault::smuggling("a chunk size has more than 16 digits"));
        }
        let value = char::from(byte).to_digit(16).unwrap_or_default();
        self.size = (self.size << 4) | u64::from(value);
        Ok(Step::Size { digits: digits + 1 })
    }

    /// `;name`, `;name=token` and `;name="quoted"`, without the whitespace that RFC 9112 section 7.1.1 calls
    /// bad. They mean nothing to anyone, and parsers that skip them carelessly have been used for
    /// smuggling (CVE-2025-55315 among others): so only well-formed ones, and few bytes of them.
    fn extension(&mut self, at: Step, byte: u8) -> Result<Step, Fault> {
        let next = match (at, byte) {
            (Step::ExtensionName { empty: false }, b'=') => Step::ExtensionValue,
            (Step::ExtensionName { .. }, _) if fields::is_token_byte(byte) => {
                Step::ExtensionName { empty: false }
            }
            (Step::ExtensionValue, b'"') => Step::ExtensionQuoted,
            (Step::ExtensionValue | Step::ExtensionToken, _) if fields::is_token_byte(byte) => {
                Step::ExtensionToken
            }
            (Step::ExtensionQuoted, b'"') => Step::ExtensionQuotedEnd,
            (Step::ExtensionQuoted, b'\\') => Step::ExtensionEscaped,
            (Step::ExtensionQuoted | Step::ExtensionEscaped, b'\t' | b' '..=b'~') => Step::ExtensionQuoted,
            (
                Step::ExtensionName { empty: false } | Step::ExtensionToken | Step::ExtensionQuotedEnd,
                b';',
            ) => Step::ExtensionName { empty: true },
            (
                Step::ExtensionName { empty: false } | Step::ExtensionToken | Step::ExtensionQuotedEnd,
                b'\r',
            ) => {
                return Ok(Step::SizeLf);
            }
            _ => return Err(Fault::smuggling("a chunk extension breaks the grammar")),
        };
        self.extend(next)
    }

    /// Counts one byte of extensions.
    fn extend(&mut self, next: Step) -> Result<Step, Fault> {
        self.extension_bytes += 1;
        if self.extension_bytes > MAX_EXTENSION_BYTES {
            return Err(Fault::smuggling("the chunk extensions of a body are longer than 256 bytes"));
        }
        Ok(next)
    }
}

/// What sixteen digits say fits in 64 bits.
const MAX_SIZE_DIGITS: u8 = 16;
/// For all chunks of a body together.
const MAX_EXTENSION_BYTES: usize = 256;

/// Splits after `most` bytes, or at the end; with the number of bytes before the split.
pub(super) fn split_at_most(input: &[u8], most: u64) -> (u64, &[u8]) {
    let taken = usize::try_from(most).unwrap_or(usize::MAX).min(input.len());
    (taken as u64, input.get(taken..).unwrap_or_default())
}

/// The judgement of a trailer section that may still be arriving.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TrailerJudge {
    lines: Lines,
    field_count: usize,
}

impl TrailerJudge {
    /// Judges what there is of the section, which begins with its first byte at every call. Gives its length
    /// once it is complete.
    pub(super) fn judge(&mut self, section: &[u8], limits: &Limits) -> Result<Option<usize>, Fault> {
        self.judge_lines(section, limits).map_err(Fault::in_body)
    }

    fn judge_lines(&mut self, section: &[u8], limits: &Limits) -> Result<Option<usize>, Fault> {
        while let Some(line) = self.lines.next_line(section)? {
            if line.is_empty() {
                return Ok(Some(self.lines.consumed()));
            }
            self.field_count += 1;
            self.check_size(line.len(), self.lines.consumed(), limits)?;
            let (name, _) = fields::field(line)?;
            if is_head_only(name) {
                return Err(Fault::smuggling("a trailer field that only a head may hold"));
            }
        }
        let unfinished = self.lines.unfinished(section).len().saturating_sub(1);
        self.check_size(unfinished, self.lines.consumed() + unfinished, limits).map(|()| None)
    }

    fn check_size(&self, line: usize, section: usize, limits: &Limits) -> Result<(), Fault> {
        if line > limits.head.header_size
            || section > limits.head.header_total.min(MAX_TRAILER_BYTES)
            || self.field_count > limits.head.header_count
        {
            return Err(Fault::head(Reason::HeadersTooLarge, "the trailer fields are above the limits"));
        }
        Ok(())
    }
}

/// Below the 16 KiB at which hyper stops.
const MAX_TRAILER_BYTES: usize = 8 * 1024;

/// RFC 9110 section 6.5.1: what frames, routes, authenticates or controls a request is decided by its head. A
/// service that merges trailers into the head would decide by what no policy saw.
pub(crate) fn is_head_only(name: &[u8]) -> bool {
    begins_as(name, b"x-forwarded-")
        || begins_as(name, b"content-")
        || begins_as(name, b"if-")
        || HEAD_ONLY.iter().any(|field| reads_as(name, field.as_bytes()))
}

const HEAD_ONLY: [&str; 22] = [
    "authorization",
    "cache-control",
    "connection",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "max-forwards",
    "origin",
    "pragma",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-real-ip",
];
