//! parityEven7bit, parityOdd7bit and parityZero7bit: the eighth bit of every byte becomes the parity of the byte.
//!
//! The parity is of all eight bits, so a byte that has the bit already is read with it. That is libmodsecurity's reading.

const BIT: u8 = 0x80;

pub(super) fn even(input: &[u8], output: &mut Vec<u8>) -> bool {
    output.extend(input.iter().map(|byte| if is_odd(*byte) { byte | BIT } else { byte & !BIT }));
    true
}

pub(super) fn odd(input: &[u8], output: &mut Vec<u8>) -> bool {
    output.extend(input.iter().map(|byte| if is_odd(*byte) { byte & !BIT } else { byte | BIT }));
    true
}

pub(super) fn zero(input: &[u8], output: &mut Vec<u8>) -> bool {
    output.extend(input.iter().map(|byte| byte & !BIT));
    true
}

const fn is_odd(byte: u8) -> bool {
    byte.count_ones() % 2 == 1
}
