//! base64Encode, base64Decode and base64DecodeExt.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(super) fn encode(input: &[u8], output: &mut Vec<u8>) -> bool {
    output.resize(input.len().div_ceil(3).saturating_mul(4), 0);
    STANDARD.encode_slice(input, output.as_mut_slice()).is_ok_and(|length| length == output.len())
}

/// Decodes up to the first character that is not of the alphabet; line breaks are skipped. ModSecurity 2 and Coraza do that too.
/// libmodsecurity decodes such a value to nothing, so that one character appended to an attack would hide it.
pub(super) fn decode(input: &[u8], output: &mut Vec<u8>) -> bool {
    let mut sextets = Sextets::default();
    output.reserve(input.len());
    for byte in input {
        match (sextet(*byte), byte) {
            (Some(value), b'+' | b'/' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z') => {
                sextets.push(value, output);
            }
            (_, b'\r' | b'\n') => {}
            _ => break,
        }
    }
    true
}

/// Decodes both alphabets at once and skips everything else. Padding after a single character of a group, which cannot be,
/// makes all of it nothing.
pub(super) fn decode_forgiving(input: &[u8], output: &mut Vec<u8>) -> bool {
    let mut sextets = Sextets::default();
    output.reserve(input.len());
    let mut following = input.iter().skip(1);
    for byte in input {
        let next = following.next();
        if let Some(value) = sextet(*byte) {
            sextets.push(value, output);
        } else if *byte == b'=' && sextets.count % 4 == 1 && next != Some(&b'=') {
            output.clear();
            break;
        }
    }
    true
}

/// Six bits at a time, written as soon as they make a byte; what is left at the end makes none.
#[derive(Default)]
struct Sextets {
    count: usize,
    bits: u16,
}

impl Sextets {
    fn push(&mut self, value: u8, output: &mut Vec<u8>) {
        self.bits = self.bits << 6 | u16::from(value);
        // Of the sextets of a group, the second completes a byte with four bits left over, the third with two, the fourth with
        // none.
        let over = match self.count % 4 {
            0 => None,
            1 => Some(4),
            2 => Some(2),
            _ => Some(0),
        };
        if let Some(over) = over {
            let [_, byte] = (self.bits >> over).to_be_bytes();
            output.push(byte);
        }
        self.count = self.count.wrapping_add(1);
    }
}

const fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::transform::{Transformation, tests::applied};

    #[test]
    fn decodes_up_to_what_is_not_of_the_alphabet() {
        for (input, output) in [
            ("PFRFU1Q+", "<TEST>"),
            ("VGVzdENhc2U", "TestCase"),
            ("PA==", "<"),
            ("PHNjcmlwd", "<scrip"),
            ("PFR FU1Q+", "<T"),
            ("P.HNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==", ""),
            ("PHNjcmlwd.D5hbGVydCgxKTwvc2NyaXB0Pg==", "<scrip"),
            ("PFRFU1Q-", "<TEST"),
            ("PFRF\r\nU1Q+", "<TEST>"),
        ] {
            assert_eq!(applied(Transformation::Base64Decode, input.as_bytes()), output.as_bytes(), "{input}");
        }
    }

    #[test]
    fn forgives_what_is_not_of_the_alphabet() {
        for (input, output) in [
            ("P.HNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==", "<script>alert(1)</script>"),
            ("PFR FU1Q-", "<TEST>"),
            ("PFRF==U1Q+", "<TEST>"),
            ("PHNjP=", ""),
            ("PHNjP==", ""),
        ] {
            let decoded = applied(Transformation::Base64DecodeExt, input.as_bytes());
            assert_eq!(String::from_utf8_lossy(&decoded), output, "{input}");
        }
    }
}
