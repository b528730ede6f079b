//! hexEncode and hexDecode, and the digits that the other decoders read.

/// The value of two hexadecimal digits, if they are such.
pub(super) fn pair(high: u8, low: u8) -> Option<u8> {
    Some(digit(high)? << 4 | digit(low)?)
}

/// The value of four hexadecimal digits, if they are such.
pub(super) fn quad(digits: [u8; 4]) -> Option<u16> {
    let [a, b, c, d] = digits;
    Some(u16::from_be_bytes([pair(a, b)?, pair(c, d)?]))
}

/// The value of a hexadecimal digit, if it is one.
pub(super) const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The lower-case digits of a byte.
pub(super) const fn digits(byte: u8) -> [u8; 2] {
    const fn of(value: u8) -> u8 {
        if value < 10 { b'0' + value } else { b'a' + value - 10 }
    }
    [of(byte >> 4), of(byte & 0xf)]
}

pub(super) fn encode(input: &[u8], output: &mut Vec<u8>) -> bool {
    output.reserve(input.len().saturating_mul(2));
    for byte in input {
        output.extend_from_slice(&digits(*byte));
    }
    true
}

/// Whatever is not a digit is read as libmodsecurity reads it, so that a stray character costs a byte and not the whole value.
/// A single digit at the end is lost.
pub(super) fn decode(input: &[u8], output: &mut Vec<u8>) -> bool {
    output.reserve(input.len() / 2);
    let (pairs, _) = input.as_chunks::<2>();
    output.extend(pairs.iter().map(|[high, low]| lenient(*high).wrapping_shl(4).wrapping_add(lenient(*low))));
    true
}

const fn lenient(byte: u8) -> u8 {
    if byte >= b'A' { (byte & 0xdf).wrapping_sub(b'A').wrapping_add(10) } else { byte.wrapping_sub(b'0') }
}

#[cfg(test)]
mod tests {
    use crate::transform::{Transformation, tests::applied};

    #[test]
    fn strays_cost_a_byte() {
        let decoded = |input: &[u8]| applied(Transformation::HexDecode, input);
        assert_eq!(decoded(b"414243"), b"ABC");
        assert_eq!(decoded(b"4a4B4"), b"JK");
        assert_eq!(decoded(b"41zz43"), b"A\x53C", "z is 35, and 35 * 16 + 35 is 0x253");
        assert_eq!(decoded(b"4"), b"");
    }
}
