//! `Content-Encoding` of bodies, so that the rules see what the server will see.

use std::borrow::Cow;
use std::io::{ErrorKind, Read};

use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::limits::DecodingLimits;

/// A body below this size is never too much for what it was decoded from.
const MODEST: usize = 64 << 10;

/// Why a body cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A coding that is not known here.
    #[error("the content coding {0:?} is not supported; gzip, deflate and identity are")]
    Unsupported(String),
    /// Beyond [`DecodingLimits::layers`].
    #[error("the body has more content codings, one inside the other, than the limit of {0}")]
    TooManyLayers(usize),
    /// The body is not what the header says.
    #[error("the body is not valid {0}")]
    Invalid(&'static str),
    /// The body ends too early.
    #[error("the {0} body ends too early")]
    Truncated(&'static str),
    /// There is something after the end of the compressed data.
    #[error("something follows the {0} data in the body")]
    TrailingBytes(&'static str),
    /// Beyond [`DecodingLimits::output`].
    #[error("the body decodes to more than {0} bytes")]
    TooLarge(usize),
    /// Beyond [`DecodingLimits::ratio`].
    #[error("the body decodes to more than {0} times its size")]
    Ratio(usize),
}

#[derive(Clone, Copy)]
enum Coding {
    Gzip,
    Deflate,
}

/// Decodes a body into `out`, which is cleared before. `encodings` is the value of `Content-Encoding`, with the values of
/// several fields joined by commas.
///
/// An empty body is no error. `deflate` is taken with and without the zlib header, as servers do. Of a body that decodes to more than a limit, no more
/// than the limit is decoded.
///
/// # Errors
/// A coding that is not supported, data that is not valid in it, or a limit that is exceeded.
pub fn decode(
    encodings: &[u8],
    input: &[u8],
    limits: &DecodingLimits,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    out.clear();
    if input.is_empty() {
        return Ok(());
    }
    let mut codings = codings(encodings, limits.layers)?;
    let ratio = input.len().saturating_mul(limits.ratio).max(MODEST);
    let (limit, error) = if ratio < limits.output {
        (ratio, DecodeError::Ratio(limits.ratio))
    } else {
        (limits.output, DecodeError::TooLarge(limits.output))
    };
    let Some(outermost) = codings.pop() else {
        if input.len() > limits.output {
            return Err(DecodeError::TooLarge(limits.output));
        }
        out.extend_from_slice(input);
        return Ok(());
    };
    layer(outermost, input, limit, &error, out)?;
    while let Some(coding) = codings.pop() {
        let encoded = std::mem::take(out);
        layer(coding, &encoded, limit, &error, out)?;
    }
    Ok(())
}

/// Decodes the first `limit` bytes of what `input` stands for, and says whether that is all of it. `is_whole` tells whether
/// `input` is all that was sent: only then is a sudden end an error.
///
/// # Errors
/// A coding that is not supported, or data that is not valid in it.
pub fn decode_beginning(
    encodings: &[u8],
    input: &[u8],
    is_whole: bool,
    limit: usize,
) -> Result<(Vec<u8>, bool), DecodeError> {
    let mut codings = codings(encodings, DecodingLimits::default().layers)?;
    let (mut encoded, mut is_whole) = (Cow::Borrowed(input), is_whole);
    while let Some(coding) = codings.pop().filter(|_| !encoded.is_empty()) {
        let mut decoded = Vec::new();
        match layer(coding, &encoded, limit, &DecodeError::TooLarge(limit), &mut decoded) {
            Ok(()) => {}
            Err(DecodeError::TooLarge(_)) => is_whole = false,
            Err(DecodeError::Truncated(_)) if !is_whole => {}
            Err(error) => return Err(error),
        }
        encoded = decoded.into();
    }
    Ok((encoded.into_owned(), is_whole))
}

/// The codings of a body, the outermost last: it was applied last, RFC 9110, section 8.4.
fn codings(encodings: &[u8], most: usize) -> Result<Vec<Coding>, DecodeError> {
    let mut codings = Vec::new();
    for name in encodings.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        match name.to_ascii_lowercase().as_slice() {
            b"" | b"identity" => continue,
            b"gzip" | b"x-gzip" => codings.push(Coding::Gzip),
            b"deflate" => codings.push(Coding::Deflate),
            _ => {
                // Enough to recognise it by.
                let shown = name.get(..32).unwrap_or(name);
                return Err(DecodeError::Unsupported(String::from_utf8_lossy(shown).into_owned()));
            }
        }
        if codings.len() > most {
            return Err(DecodeError::TooManyLayers(most));
        }
    }
    Ok(codings)
}

fn layer(
    coding: Coding,
    input: &[u8],
    limit: usize,
    too_large: &DecodeError,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let name = match coding {
        Coding::Gzip => "gzip",
        Coding::Deflate => "deflate",
    };
    let (result, rest) = match coding {
        // All members: a server would decode all of them.
        Coding::Gzip => {
            let mut decoder = MultiGzDecoder::new(input);
            (read(&mut decoder, limit, out), decoder.into_inner())
        }
        Coding::Deflate if has_zlib_header(input) => {
            let mut decoder = ZlibDecoder::new(input);
            (read(&mut decoder, limit, out), decoder.into_inner())
        }
        Coding::Deflate => {
            let mut decoder = DeflateDecoder::new(input);
            (read(&mut decoder, limit, out), decoder.into_inner())
        }
    };
    result.map_err(|kind| match kind {
        ErrorKind::UnexpectedEof => DecodeError::Truncated(name),
        _ => DecodeError::Invalid(name),
    })?;
    if out.len() > limit {
        out.truncate(limit);
        return Err(too_large.clone());
    }
    if rest.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes(name)) }
}

/// Reads one byte more than the limit, to tell whether there is more.
fn read(decoder: &mut impl Read, limit: usize, out: &mut Vec<u8>) -> Result<(), ErrorKind> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(most).read_to_end(out).map(drop).map_err(|error| error.kind())
}

/// RFC 1950, section 2.2: the method is 8, and both bytes together are a multiple of 31.
fn has_zlib_header(input: &[u8]) -> bool {
    matches!(input, [method, flags, ..]
        if method & 0x0f == 8 && (u16::from(*method) << 8 | u16::from(*flags)).is_multiple_of(31))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    fn gzip(input: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(input).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(input: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(input).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(input: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(input).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(encodings: &str, input: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut out = b"before".to_vec();
        decode(encodings.as_bytes(), input, &DecodingLimits::default(), &mut out).map(|()| out)
    }

    #[test]
    fn codings() {
        let text = b"union select".as_slice();
        let two = zlib(&gzip(text));
        let members = [gzip(b"union "), gzip(b"select")].concat();
        let cases: &[(&str, &[u8])] = &[
            ("", text),
            ("identity", text),
            ("gzip", &gzip(text)),
            ("X-GZip", &gzip(text)),
            ("gzip", &members),
            ("deflate", &zlib(text)),
            ("deflate", &deflate(text)),
            ("gzip, deflate", &two),
            (" gzip ,, identity,deflate ,", &two),
        ];
        for (encodings, input) in cases {
            assert_eq!(decoded(encodings, input).as_deref(), Ok(text), "{encodings}");
        }
    }

    #[test]
    fn errors() {
        let body = gzip(b"union select");
        assert_eq!(
            decoded("br", b"x").unwrap_err().to_string(),
            "the content coding \"br\" is not supported; gzip, deflate and identity are"
        );
        assert_eq!(decoded("gzip, gzip, gzip", &body), Err(DecodeError::TooManyLayers(2)));
        assert_eq!(decoded("gzip", b"union select"), Err(DecodeError::Invalid("gzip")));
        assert_eq!(decoded("gzip", &body[..body.len() - 1]), Err(DecodeError::Truncated("gzip")));
        assert!(decoded("gzip", &[&body, b"x".as_slice()].concat()).is_err());
        assert_eq!(
            decoded("deflate", &[&zlib(b"x"), b"y".as_slice()].concat()),
            Err(DecodeError::TrailingBytes("deflate"))
        );
        let mut wrong = body.clone();
        let checksum = wrong.len() - 5;
        wrong[checksum] ^= 1;
        assert!(decoded("gzip", &wrong).is_err());
    }

    #[test]
    fn a_bomb_costs_no_more_than_the_limit() {
        let bomb = gzip(&vec![0; 8 << 20]);
        let limits = DecodingLimits { output: 1 << 20, ratio: usize::MAX, layers: 2 };
        let mut out = Vec::new();
        assert_eq!(decode(b"gzip", &bomb, &limits, &mut out), Err(DecodeError::TooLarge(1 << 20)));
        assert!(out.capacity() <= 4 << 20);
        let limits = DecodingLimits { output: usize::MAX, ratio: 100, layers: 2 };
        assert_eq!(decode(b"gzip", &bomb, &limits, &mut out), Err(DecodeError::Ratio(100)));
        assert_eq!(out.len(), bomb.len() * 100);
        let nested = gzip(&bomb);
        assert!(decode(b"gzip,gzip", &nested, &limits, &mut out).is_err());
        assert_eq!(decoded("gzip", &gzip(&[0; 60_000])).unwrap().len(), 60_000);
    }

    /// Of an answer that was cut, or that is longer than is looked at, the beginning is decoded.
    #[test]
    fn beginnings() {
        let text: Vec<u8> = (0..40_000_u32).flat_map(|number| number.to_le_bytes()).collect();
        let whole = gzip(&text);
        let twice = zlib(&whole);
        assert_eq!(decode_beginning(b"gzip", &whole, true, 1 << 20), Ok((text.clone(), true)));
        assert_eq!(decode_beginning(b"", &text, false, 1 << 20), Ok((text.clone(), false)));
        assert_eq!(decode_beginning(b"gzip", b"", true, 9), Ok((Vec::new(), true)));
        assert_eq!(decode_beginning(b"gzip", &whole, true, 100), Ok((text[..100].to_vec(), false)));
        for (encodings, encoded) in [("gzip", &whole), ("gzip, deflate", &twice)] {
            let cut = &encoded[..encoded.len() / 2];
            let (begins, is_whole) = decode_beginning(encodings.as_bytes(), cut, false, 1 << 20).unwrap();
            assert!(!is_whole && begins.len() > 1000 && text.starts_with(&begins), "{encodings}");
            assert!(decode_beginning(encodings.as_bytes(), cut, true, 1 << 20).is_err(), "{encodings}");
        }
        assert!(decode_beginning(b"br", b"x", true, 9).is_err());
        assert!(decode_beginning(b"gzip", b"this is no gzip at all", false, 9).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(input in any::<Vec<u8>>(), kind in 0..3_usize) {
            let _ = decoded(["gzip", "deflate", "gzip,deflate"][kind], &input);
        }

        #[test]
        fn what_is_encoded_comes_back(input in any::<Vec<u8>>()) {
            prop_assert_eq!(&decoded("gzip", &gzip(&input)).unwrap(), &input);
            prop_assert_eq!(&decoded("deflate", &zlib(&input)).unwrap(), &input);
        }
    }
}
