//! Base64 and hexadecimal digits: they are taken for what they are only if what comes out is text.

use super::decode::digit;

/// Shorter text in base64 holds no attack worth the name, and words would decode by chance.
const SHORTEST: usize = 6;
/// A run of these letters inside other text is tried if it has at least this length: longer than most words.
const SHORTEST_RUN: usize = 20;
/// So many runs of one text are tried.
const MAX_RUNS: usize = 32;

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// Whether the bytes are what people or programs write as text.
fn is_text(bytes: &[u8]) -> bool {
    let odd = bytes.iter().filter(|byte| (**byte < b' ' && !matches!(byte, b'\t'..=b'\r')) || **byte == 0x7f);
    odd.count() * 20 <= bytes.len() && (bytes.is_ascii() || std::str::from_utf8(bytes).is_ok())
}

/// The decoded text of a value that is nothing but base64, in either alphabet, padded or not.
fn decode(text: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let mut bits = 0_u32;
    let mut count = 0;
    for byte in text {
        let Some(six) = sextet(*byte) else {
            out.truncate(start);
            return false;
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
        // Most words that are not base64 show it at once.
        if out.len() == start + 6 && !begins_as_text(out.get(start..).unwrap_or_default()) {
            out.truncate(start);
            return false;
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

/// The first bytes: text, or the beginning of an object that Java wrote, which is a cue by itself.
fn begins_as_text(bytes: &[u8]) -> bool {
    let odd = bytes.iter().filter(|byte| !matches!(**byte, b'\t'..=b'\r' | b' '..=b'~' | 0x80..));
    odd.count() == 0 || is_wide(bytes)
}

fn is_wide(bytes: &[u8]) -> bool {
    bytes.len() >= 6 && bytes.chunks_exact(2).all(|pair| matches!(pair, [1..=0x7e, 0]))
}

/// Takes base64 off a whole value, or off the runs of it that stand in other text, as in `data:` addresses and
/// tokens.
pub(super) fn base64(text: &[u8], out: &mut Vec<u8>) -> bool {
    let trimmed = text.trim_ascii();
    let padding = trimmed.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    let body = trimmed.get(..trimmed.len() - padding).unwrap_or_default();
    if body.len() < SHORTEST {
        return false;
    }
    if decode(body, out) {
        return true;
    }
    let mut runs = 0;
    let mut changed = false;
    for run in text.split(|byte| sextet(*byte).is_none()) {
        if run.len() < SHORTEST_RUN || run.len() == body.len() || runs == MAX_RUNS {
            continue;
        }
        runs += 1;
        if decode(run, out) {
            out.push(b'\n');
            changed = true;
        }
    }
    changed
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
