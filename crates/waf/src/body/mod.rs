//! Body processors: what a request's body says, as names and values.
//!
//! Each takes the bytes as they came and appends to buffers that the caller keeps from request to request. Its cost is linear
//! in the input and bounded by [`limits`]; no input makes it panic. What was found before an error stays in the buffers, as
//! it does in ModSecurity: the rules still see it, next to `REQBODY_ERROR`.

pub mod content_encoding;
pub mod cookies;
pub mod graphql;
pub mod json;
pub mod limits;
pub mod multipart;
pub mod urlencoded;
pub mod xml;

/// White space as C's `isspace` has it, which is what ModSecurity asks.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// The value of two hexadecimal digits.
fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(digit(high)? << 4 | digit(low)?)
}
