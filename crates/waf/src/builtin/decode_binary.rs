//! Base64 and hexadecimal digits: they are taken for what they are only if what comes out is text.

use super::decode::digit;

/// Shorter text in base64 holds no attack worth the name, and words would decode by chance.
const SHORTEST: usize = 6;
/// A run of these letters inside other text is tried if it has at least this length: longer than most words.
const SHORTEST_RUN: usize = 20;
/// So many runs of one text are tried.
const MAX_RUNS: usize = 32;

const SEXTETS: [u8; 256] = {
    let mut table = [0xff; 256];
    let mut rest: &mut [u8] = &mut table;
    let mut byte = 0_u16;
    while let Some((first, others)) = rest.split_first_mut() {
        *first = match byte as u8 {
            letter @ b'A'..=b'Z' => letter - b'A',
            letter @ b'a'..=b'z' => letter - b'a' + 26,
            digit @ b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => 0xff,
        };
        rest = others;
        byte += 1;
    }
    table
};

#[inline]
fn sextet(byte: u8) -> Option<u32> {
    SEXTETS.get(usize::from(byte)).filter(|six| **six < 64).map(|six| u32::from(*six))
}

/// Whether the bytes are what people or programs write as text.
fn is_text(bytes: &[u8]) -> bool {
    let odd = bytes.iter().filter(|byte| (**byte < b' ' && !matches!(byte, b'\t'..=b'\r')) || **byte == 0x7f);
    odd.count() * 20 <= bytes.len() && (bytes.is_ascii() || std::str::from_utf8(bytes).is_ok())
}

/// So many letters of base64 show whether the rest is worth it.
const PREFIX: usize = 40;
/// The first bytes that come out are text without exception.
const STRICT: usize = 6;

/// Whether the beginning decodes to the beginning of a text. Words and random tokens fail at their first letters.
#[inline]
fn begins_as_text(text: &[u8]) -> bool {
    // The first letter has the high bits of the first byte: those of a letter, a sign, a space, or the lead of a
    // sequence of UTF-8. A third of all words end here.
    let first = text.first().and_then(|byte| sextet(*byte));
    first.is_some_and(|six| matches!(six, 2 | 3 | 8..=31 | 48..)) && decodes_to_text(text)
}

fn decodes_to_text(text: &[u8]) -> bool {
    let mut decoded = [0_u8; PREFIX];
    let mut length = 0;
    for four in text.get(..PREFIX).unwrap_or(text).chunks(4) {
        let mut bits = 0_u32;
        for byte in four {
            let Some(six) = sextet(*byte) else { return false };
            bits = bits << 6 | six;
        }
        bits <<= 6 * (4 - four.len());
        let [_, group @ ..] = bits.to_be_bytes();
        for byte in group.iter().take(four.len() * 3 / 4) {
            let Some(place) = decoded.get_mut(length) else { return false };
            *place = *byte;
            length += 1;
            // UTF-16 of letters has zeros, always in second place.
            let zero = *byte == 0 && length % 2 == 0;
            if length <= STRICT && !zero && !matches!(byte, b'\t'..=b'\r' | b' '..=b'~' | 0x80..) {
                return false;
            }
        }
    }
    let decoded = decoded.get(..length).unwrap_or_default();
    let valid = std::str::from_utf8(decoded).map_or_else(|error| error.error_len().is_none(), |_| true);
    let zero = decoded.iter().take(STRICT).any(|byte| *byte == 0);
    valid && (!zero || is_wide(decoded))
}

/// The decoded text of a value that is nothing but base64, in either alphabet, padded or not.
fn decode(text: &[u8], out: &mut Vec<u8>) -> bool {
    if !begins_as_text(text) {
        return false;
    }
    let start = out.len();
    let mut bits = 0_u32;
    let mut count = 0;
    for byte in text {
        let Some(six) = sextet(*byte) else {
            out.truncate(start);
            return false;
        };
        bits = bits << 6 | six;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    let decoded = out.get(start..).unwrap_or_default();
    if is_wide(decoded) {
        // UTF-16, as PowerShell encodes its commands.
        let narrow: Vec<u8> = decoded.iter().copied().filter(|byte| *byte != 0).collect();
        out.truncate(start);
        out.extend_from_slice(&narrow);
        return true;
    }
    let text = decoded.len() + 2 >= SHORTEST * 3 / 4 && is_text(decoded);
    if !text {
        out.truncate(start);
    }
    text
}

fn is_wide(bytes: &[u8]) -> bool {
    bytes.len() >= 6 && bytes.chunks_exact(2).all(|pair| matches!(pair, [1..=0x7e, 0]))
}

/// Without space around it and padding behind it.
fn body(text: &[u8]) -> &[u8] {
    let trimmed = text.trim_ascii();
    let padding = trimmed.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    trimmed.get(..trimmed.len() - padding).unwrap_or_default()
}

/// Whether there may be base64 in a text: it is asked before a buffer is taken.
#[inline]
pub(super) fn may_be_base64(text: &[u8]) -> bool {
    if text.len() < SHORTEST {
        return false;
    }
    let body = body(text);
    // No text has a length with a remainder of one.
    let whole = body.len() >= SHORTEST && body.len() % 4 != 1 && begins_as_text(body);
    whole || next_run(text, 0).is_some()
}

/// Takes base64 off a whole value, or off the runs of it that stand in other text, as in `data:` addresses and
/// tokens.
pub(super) fn base64(text: &[u8], out: &mut Vec<u8>) -> bool {
    let body = body(text);
    if body.len() < SHORTEST {
        return false;
    }
    if decode(body, out) {
        return true;
    }
    let mut changed = false;
    let mut from = 0;
    for _ in 0..MAX_RUNS {
        let Some((start, end)) = next_run(text, from) else { break };
        from = end;
        if end - start != body.len() && decode(text.get(start..end).unwrap_or_default(), out) {
            out.push(b'\n');
            changed = true;
        }
    }
    changed
}

/// The next run that is long enough. It looks for the last letter that such a run must have, and goes back from
/// there: in prose it reads a part of the bytes only.
fn next_run(text: &[u8], mut from: usize) -> Option<(usize, usize)> {
    loop {
        let window = text.get(from..from.checked_add(SHORTEST_RUN)?)?;
        if let Some(gap) = window.iter().rposition(|byte| sextet(*byte).is_none()) {
            from += gap + 1;
            continue;
        }
        let rest = text.get(from..)?;
        let length = rest.iter().position(|byte| sextet(*byte).is_none()).unwrap_or(rest.len());
        return Some((from, from + length));
    }
}

/// Whether the first digits stand for a letter or sign: it is asked before a buffer is taken.
pub(super) fn may_be_hex(text: &[u8]) -> bool {
    match text.trim_ascii() {
        [b'0', b'x' | b'X', ..] => true,
        [high, low, ..] => {
            matches!((digit(*high), digit(*low)), (Some(2..=7), Some(_)) | (Some(0), Some(9..=13)))
        }
        _ => false,
    }
}

/// Takes hexadecimal digits off a value that is nothing else.
pub(super) fn hex(text: &[u8], out: &mut Vec<u8>) -> bool {
    let digits = match text.trim_ascii() {
        [b'0', b'x' | b'X', rest @ ..] => rest,
        whole => whole,
    };
    if digits.len() < SHORTEST || digits.len() % 2 != 0 {
        return false;
    }
    for pair in digits.chunks_exact(2) {
        let &[high, low] = pair else { return false };
        let (Some(high), Some(low)) = (digit(high), digit(low)) else { return false };
        let byte = high << 4 | low;
        if !matches!(byte, b'\t'..=b'\r' | b' '..=b'~' | 0x80..) {
            return false;
        }
        out.push(byte);
    }
    is_text(out)
}

/// `0x2e0x2f` and `\0x2e`: single bytes that are written as numbers, in sequence or not.
pub(super) fn hex_bytes(text: &[u8], out: &mut Vec<u8>) -> bool {
    let mut changed = false;
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return changed,
            [b'0', b'x' | b'X', high, low, tail @ ..]
                if digit(*high).is_some()
                    && digit(*low).is_some()
                    && !tail.first().is_some_and(|byte| *byte != b'0' && digit(*byte).is_some()) =>
            {
                out.push(digit(*high).unwrap_or(0) << 4 | digit(*low).unwrap_or(0));
                changed = true;
                tail
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(decoder: fn(&[u8], &mut Vec<u8>) -> bool, text: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        decoder(text, &mut out).then(|| String::from_utf8_lossy(&out).into_owned())
    }

    #[test]
    fn base64_of_text_is_decoded() {
        assert_eq!(with(base64, b"JyBvciAxPTEtLQ=="), Some("' or 1=1--".into()));
        assert_eq!(with(base64, b"JyBvciAxPTEtLQ"), Some("' or 1=1--".into()));
        assert_eq!(with(base64, b"data:x;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=="), {
            Some("<script>alert(1)</script>\n".into())
        });
        assert_eq!(with(base64, b"YwBhAHQAIAAvAGUAdABjAA=="), Some("cat /etc".into()));
    }

    #[test]
    fn words_and_images_are_not() {
        for text in ["Constantinople", "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ", "4532015112830366"] {
            assert_eq!(with(base64, text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn hexadecimal_digits() {
        assert_eq!(with(hex, b"2e2e2f2e2e2f"), Some("../../".into()));
        assert_eq!(with(hex, b"0x3c7363726970743e"), Some("<script>".into()));
        assert_eq!(with(hex, b"4532015112830366"), None);
        assert_eq!(with(hex_bytes, b"0x2e0x2e0x2f"), Some("../".into()));
        assert_eq!(with(hex_bytes, b"0x7171706a71"), None);
    }
}
