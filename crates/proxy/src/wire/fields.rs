//! The grammar below messages: lines, field lines, tokens, targets, hosts.

use portcullis_core::target::is_encoded;

use super::Fault;

/// Cuts lines from the bytes of a section that may still be incomplete. Each byte is searched once, however
/// small the pieces are in which it arrives; offsets count from the section's first byte.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lines {
    start: usize,
    searched: usize,
}

impl Lines {
    /// The next complete line without its CRLF, or `None` if it has not ended yet. A line holds no control
    /// character but HTAB.
    ///
    /// RFC 9112 section 2.2 lets a recipient take a bare LF for a line's end. One that does and one that
    /// does not see two different messages, so here it is a fault, as a bare CR is.
    pub(super) fn next_line<'b>(&mut self, section: &'b [u8]) -> Result<Option<&'b [u8]>, Fault> {
        let unsearched = section.get(self.searched..).unwrap_or_default();
        let Some(at) = first_control(unsearched) else {
            self.searched = section.len();
            return Ok(None);
        };
        match unsearched.get(at..).unwrap_or_default() {
            [b'\r', b'\n', ..] => {}
            [b'\r'] => {
                self.searched += at;
                return Ok(None);
            }
            [b'\r', ..] => return Err(Fault::malformed("there is a CR without LF")),
            [b'\n', ..] => return Err(Fault::malformed("a line ends in LF without CR")),
            _ => return Err(Fault::malformed("there is a control character")),
        }
        let end = self.searched + at;
        let line = section.get(self.start..end).unwrap_or_default();
        self.start = end + 2;
        self.searched = self.start;
        Ok(Some(line))
    }

    /// Where the next line starts: the length of all lines so far.
    pub(super) const fn consumed(&self) -> usize {
        self.start
    }

    /// The line that has not ended yet.
    pub(super) fn unfinished<'b>(&self, section: &'b [u8]) -> &'b [u8] {
        section.get(self.start..).unwrap_or_default()
    }
}

/// A field line as name and value, the value without the whitespace around it (RFC 9112 section 5).
pub(super) fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let colon = line.iter().position(|byte| !is(*byte, TOKEN)).unwrap_or(line.len());
    let (name, rest) = line.split_at_checked(colon).unwrap_or((line, &[]));
    let Some((b':', value)) = rest.split_first() else {
        return Err(bad_name(name, rest));
    };
    if name.is_empty() {
        return Err(Fault::malformed("a field has no name"));
    }
    Ok((name, trim(value)))
}

fn bad_name(name: &[u8], rest: &[u8]) -> Fault {
    Fault::malformed(match (name, rest.first()) {
        ([], Some(b' ' | b'\t')) => "a field line begins with whitespace (obsolete line folding)",
        (_, Some(b' ' | b'\t')) => "whitespace stands between a field name and its colon",
        (_, None) => "a field line has no colon",
        (_, Some(_)) => "a field name holds a character that is not of a token",
    })
}

/// Where the first control character other than HTAB is.
fn first_control(bytes: &[u8]) -> Option<usize> {
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let flags = control_flags(u64::from_le_bytes(*word));
        if flags == 0 {
            continue;
        }
        // What is marked first may be HTAB, but rarely is.
        let first = (flags.trailing_zeros() / 8) as usize;
        let rest = word.get(first..).unwrap_or_default();
        if let Some(at) = rest.iter().position(is_control) {
            return Some(index * 8 + first + at);
        }
    }
    tail.iter().position(is_control).map(|at| words.len() * 8 + at)
}

/// Marks the high bits of bytes below a space, and of DEL: per byte, `byte - 0x20` borrows and `byte` has no
/// high bit; and the same for `(byte ^ DEL) - 1`. A borrow can mark other bytes, but only after these.
const fn control_flags(word: u64) -> u64 {
    let below_space = word.wrapping_sub(EACH * 0x20) & !word;
    let not_del = word ^ (EACH * 0x7F);
    let del = not_del.wrapping_sub(EACH) & !not_del;
    (below_space | del) & (EACH * 0x80)
}

/// Multiplied by a byte: that byte eight times.
const EACH: u64 = 0x0101_0101_0101_0101;

const fn is_control(byte: &u8) -> bool {
    (*byte < b' ' && *byte != b'\t') || *byte == 0x7F
}

/// Without optional whitespace at both ends (`OWS`, RFC 9110 section 5.6.3).
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The elements of a comma-separated list, trimmed; empty ones included.
pub(super) fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(trim)
}

/// Whether `name` is `field` (given in lower case with hyphens) to a reader who ignores case and, as CGI
/// and WSGI do, takes `_` for `-`.
pub(super) fn reads_as(name: &[u8], field: &[u8]) -> bool {
    name.len() == field.len()
        && name.iter().zip(field).all(|(byte, wanted)| {
            let byte = if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
            byte == *wanted
        })
}

/// Whether `name` begins with `prefix` in the sense of [`reads_as`].
pub(super) fn begins_as(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len()).is_some_and(|start| reads_as(start, prefix))
}

/// `1*tchar` (RFC 9110 section 5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is(*byte, TOKEN))
}

/// Whether a byte may stand in a token.
pub(super) fn is_token_byte(byte: u8) -> bool {
    is(byte, TOKEN)
}

/// How many bytes of a path with its query are to be percent-encoded, or `None` if it holds one that has no place there even
/// so: a space, a control character, and what is not UTF-8 and would be another letter in each encoding. There is no `#`
/// either: a target has no fragment, and `http::Uri` would cut it off in silence.
pub(super) fn bytes_to_encode(target: &[u8]) -> Option<usize> {
    let mut count = 0;
    for byte in target {
        if is_encoded(*byte) {
            count += 1;
        } else if !is(*byte, TARGET) {
            return None;
        }
    }
    (count == 0 || std::str::from_utf8(target).is_ok()).then_some(count)
}

/// `uri-host [ ":" port ]` (RFC 9110 section 7.2) with a registered name of letters, digits, `-`, `.`, `_`
/// and `~`, an IPv4 address, or an IPv6 address in brackets. Percent-encoding and the other delimiters of
/// RFC 3986 are in no host that resolves, and invite a second reading.
pub(super) fn is_authority(value: &[u8]) -> bool {
    let (host, port) = match value {
        [b'[', rest @ ..] => {
            let Some(end) = memchr::memchr(b']', rest) else { return false };
            let (address, after) = rest.split_at_checked(end).unwrap_or_default();
            let address = std::str::from_utf8(address).unwrap_or_default();
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            return is_port_suffix(after.get(1..).unwrap_or_default());
        }
        _ => value.split_at_checked(memchr::memchr(b':', value).unwrap_or(value.len())).unwrap_or_default(),
    };
    !host.is_empty() && host.iter().all(|byte| is(*byte, HOST)) && is_port_suffix(port)
}

/// Nothing, or `:` and one to five digits. RFC 3986 allows an empty port; the two spellings of one
/// authority that it makes are not worth having.
fn is_port_suffix(suffix: &[u8]) -> bool {
    match suffix {
        [] => true,
        [b':', digits @ ..] => (1..=5).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

const TOKEN: u8 = 1;
const TARGET: u8 = 2;
const HOST: u8 = 4;

fn is(byte: u8, class: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|classes| classes & class != 0)
}

static CLASSES: [u8; 256] = {
    let mut classes = [0_u8; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        let mut class = 0;
        if byte.is_ascii_alphanumeric() {
            class |= TOKEN | TARGET | HOST;
        }
        if matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~') {
            class |= TOKEN;
        }
        if matches!(byte, b'-' | b'.' | b'_' | b'~') {
            class |= HOST;
        }
        if byte.is_ascii_graphic() && byte != b'#' {
            class |= TARGET;
        }
        #[expect(clippy::indexing_slicing, reason = "evaluated at compile time, and the index is below 128")]
        {
            classes[byte as usize] = class;
        }
        byte += 1;
    }
    classes
};
