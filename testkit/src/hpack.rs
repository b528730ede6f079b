//! As much of HPACK (RFC 7541) as a raw client needs: fields written out literally, so that any bytes can
//! be sent, and the status read back.

/// The static table's entries for `:status`, from index 8.
const STATUSES: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
/// The static table's index of the name `:status`.
const STATUS_NAME: usize = 8;

/// A header block with each field as a literal that is not indexed, without Huffman coding.
#[must_use]
pub fn encode<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(&mut block, name.as_ref());
        string(&mut block, value.as_ref());
    }
    block
}

/// The status of a response's header block; `None` if the block does not begin with one.
///
/// RFC 9113 section 8.3 puts pseudo-header fields first, and `:status` is a response's only one.
#[must_use]
pub fn status(block: &[u8]) -> Option<u16> {
    match *block.first()? {
        first @ 0x80.. => STATUSES.get(usize::from(first & 0x7F).checked_sub(STATUS_NAME)?).copied(),
        // A change of the dynamic table's size (to nothing, as we asked) may come before the fields.
        0x20..=0x3F => status(integer(block, 0x1F)?.1),
        0x40..=0x7F => literal_status(integer(block, 0x3F)?),
        0x00..=0x1F => literal_status(integer(block, 0x0F)?),
    }
}

fn literal_status((name, rest): (usize, &[u8])) -> Option<u16> {
    // All the static table's entries from 8 to 14 have the name `:status`.
    if !(STATUS_NAME..STATUS_NAME + STATUSES.len()).contains(&name) {
        return None;
    }
    let huffman = rest.first()? & 0x80 != 0;
    let (length, rest) = integer(rest, 0x7F)?;
    let text = rest.get(..length)?;
    let digits = if huffman { huffman_digits(text)? } else { String::from_utf8(text.to_vec()).ok()? };
    digits.parse().ok()
}

/// Three decimal digits in the code of RFC 7541 appendix B: five bits for 0 to 2, six for the others.
fn huffman_digits(text: &[u8]) -> Option<String> {
    let bits: Vec<u8> = text.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let mut rest = bits.as_slice();
    let mut digits = String::new();
    while digits.len() < 3 {
        let short = number(rest.get(..5)?);
        let (digit, used) = if short <= 2 { (short, 5) } else { (number(rest.get(..6)?) - 0x19 + 3, 6) };
        digits.push(char::from_digit(digit, 10)?);
        rest = rest.get(used..)?;
    }
    Some(digits)
}

fn number(bits: &[u8]) -> u32 {
    bits.iter().fold(0, |number, bit| number << 1 | u32::from(*bit))
}

/// RFC 7541 section 5.1: an integer whose prefix is what `mask` covers.
fn integer(bytes: &[u8], mask: u8) -> Option<(usize, &[u8])> {
    let (first, mut rest) = bytes.split_first()?;
    let mut value = usize::from(first & mask);
    if value < usize::from(mask) {
        return Some((value, rest));
    }
    let mut shift = 0;
    loop {
        let (byte, after) = rest.split_first()?;
        rest = after;
        value = value.checked_add(usize::from(byte & 0x7F).checked_shl(shift)?)?;
        if byte & 0x80 == 0 {
            return Some((value, rest));
        }
        shift += 7;
    }
}

/// RFC 7541 section 5.2, without Huffman coding.
fn string(block: &mut Vec<u8>, text: &[u8]) {
    let mut length = text.len();
    if length < 0x7F {
        block.push(u8::try_from(length).unwrap_or(0));
    } else {
        block.push(0x7F);
        length -= 0x7F;
        while length >= 0x80 {
            block.push(u8::try_from(length & 0x7F).unwrap_or(0) | 0x80);
            length >>= 7;
        }
        block.push(u8::try_from(length).unwrap_or(0));
    }
    block.extend(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_in_every_form_a_server_may_choose() {
        assert_eq!(status(&[0x88]), Some(200), "indexed");
        assert_eq!(status(&[0x20, 0x8D]), Some(404), "after a table size update");
        assert_eq!(status(b"\x08\x03429"), Some(429), "literal, not indexed");
        assert_eq!(status(b"\x48\x03403"), Some(403), "literal, indexed");
        // RFC 7541 section C.6.1: 302 in the Huffman code.
        assert_eq!(status(&[0x48, 0x82, 0x64, 0x02]), Some(302));
        // RFC 7541 section C.6.2: 307.
        assert_eq!(status(&[0x48, 0x83, 0x64, 0x0e, 0xff]), Some(307));
    }

    #[test]
    fn what_is_no_status_is_none() {
        assert_eq!(status(&[]), None);
        assert_eq!(status(&[0x82]), None, ":method GET");
        assert_eq!(status(&[0x48, 0x83, 0x64]), None, "cut short");
    }

    #[test]
    fn literals_carry_any_bytes_at_any_length() {
        assert_eq!(encode(&[("a", b"x\r\n")]), b"\0\x01a\x03x\r\n");
        let long = vec![b'v'; 300];
        let block = encode(&[("n", &long)]);
        assert_eq!(block.get(..5), Some(b"\0\x01n\x7f\xad".as_slice()));
        assert_eq!(integer(block.get(3..).unwrap_or_default(), 0x7F).map(|(length, _)| length), Some(300));
    }
}
