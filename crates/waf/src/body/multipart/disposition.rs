//! The value of a part's `Content-Disposition`, as strictly as libmodsecurity reads it. The numbers in errors are its own.

use super::{Flags, MultipartError as Error};
use crate::body::hex_pair;

/// What a part is; reused from part to part.
#[derive(Debug, Default)]
pub(super) struct Disposition {
    pub(super) name: Vec<u8>,
    pub(super) filename: Vec<u8>,
    /// `filename*`, decoded by RFC 8187 but for its character set.
    pub(super) extended_filename: Vec<u8>,
    value: Vec<u8>,
}

impl Disposition {
    pub(super) fn clear(&mut self) {
        self.name.clear();
        self.filename.clear();
        self.extended_filename.clear();
    }

    pub(super) fn parse(&mut self, text: &[u8], flags: &mut Flags) -> Result<(), Error> {
        self.clear();
        let rest = text.strip_prefix(b"form-data").ok_or(Error::Disposition(-1))?;
        let mut rest = skip_blanks(rest);
        match rest {
            [] => return Ok(()),
            [b';', after @ ..] => rest = after,
            _ => return Err(Error::Disposition(-2)),
        }
        while !rest.is_empty() {
            rest = self.parameter(rest, flags)?;
        }
        Ok(())
    }

    /// Takes one parameter and the `;` behind it, and gives what is left.
    fn parameter<'a>(&mut self, text: &'a [u8], flags: &mut Flags) -> Result<&'a [u8], Error> {
        let (name, rest) = parameter_name(text)?;
        self.value.clear();
        let quote = match rest {
            [quote @ (b'"' | b'\''), ..] if name != b"filename*" => Some(*quote),
            _ => None,
        };
        flags.invalid_quoting |= quote == Some(b'\'');
        let rest = match quote {
            _ if name == b"filename*" => extended(rest, &mut self.value)?,
            Some(quote) => quoted(rest.get(1..).unwrap_or_default(), quote, &mut self.value)?,
            None => token(rest, &mut self.value),
        };
        let (target, duplicate) = match name {
            b"name" => (&mut self.name, -14),
            b"filename" => (&mut self.filename, -15),
            b"filename*" => (&mut self.extended_filename, -20),
            _ => return Err(Error::Disposition(-11)),
        };
        // A single quote within double quotes is only a character.
        flags.invalid_quoting |= quote != Some(b'"') && name != b"filename*" && self.value.contains(&b'\'');
        if !target.is_empty() {
            return Err(Error::Disposition(duplicate));
        }
        target.extend_from_slice(&self.value);

        let before = text.len() - rest.len();
        match skip_blanks(rest) {
            [] => Ok(&[]),
            [b';', after @ ..] => Ok(after),
            other => {
                let last = text.get((before + rest.len() - other.len()).saturating_sub(1));
                flags.invalid_quoting |= matches!(last, Some(b'"' | b'\''));
                Err(Error::Disposition(-12))
            }
        }
    }
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    text.get(blanks..).unwrap_or_default()
}

/// A parameter's name and what follows its `=`.
fn parameter_name(text: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let text = skip_blanks(text);
    if text.is_empty() {
        return Err(Error::Disposition(-3));
    }
    let length =
        text.iter().position(|byte| matches!(byte, b'=' | b'\t' | b' ')).ok_or(Error::Disposition(-4))?;
    let (name, rest) = text.split_at_checked(length).unwrap_or((text, &[]));
    match skip_blanks(rest) {
        [] => Err(Error::Disposition(-5)),
        [b'=', rest @ ..] => match skip_blanks(rest) {
            [] => Err(Error::Disposition(-6)),
            rest => Ok((name, rest)),
        },
        _ => Err(Error::Disposition(-13)),
    }
}

/// Only the quote and the backslash are unescaped: old browsers send paths with backslashes in them.
fn quoted<'a>(text: &'a [u8], quote: u8, value: &mut Vec<u8>) -> Result<&'a [u8], Error> {
    if text.is_empty() {
        return Err(Error::Disposition(-7));
    }
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return Err(Error::Disposition(-9)),
            [b'\\'] => return Err(Error::Disposition(-8)),
            [b'\\', escaped, after @ ..] if *escaped == quote || *escaped == b'\\' => {
                value.push(*escaped);
                after
            }
            [byte, after @ ..] if *byte == quote => return Ok(after),
            [byte, after @ ..] => {
                value.push(*byte);
                after
            }
        };
    }
}

fn token<'a>(text: &'a [u8], value: &mut Vec<u8>) -> &'a [u8] {
    let allowed = |byte: &u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(byte);
    let length = text.iter().take_while(|byte| allowed(byte)).count();
    let (token, rest) = text.split_at_checked(length).unwrap_or((text, &[]));
    value.extend_from_slice(token);
    rest
}

/// `charset'[language]'value`, RFC 8187, section 3.2.
fn extended<'a>(text: &'a [u8], value: &mut Vec<u8>) -> Result<&'a [u8], Error> {
    let charset = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&+-^_`{}~".contains(byte);
    let language = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    let length = text.iter().take_while(|byte| charset(byte)).count();
    let Some([b'\'', rest @ ..]) = text.get(length..).filter(|_| length > 0) else {
        return Err(Error::Disposition(-16));
    };
    let length = rest.iter().take_while(|byte| language(byte)).count();
    let Some([b'\'', rest @ ..]) = rest.get(length..) else {
        return Err(Error::Disposition(-17));
    };
    let mut rest = rest;
    loop {
        rest = match rest {
            [] | [b';' | b' ' | b'\t', ..] => return Ok(rest),
            [b'%', after @ ..] => {
                let [high, low, after @ ..] = after else { return Err(Error::Disposition(-18)) };
                value.push(hex_pair(*high, *low).ok_or(Error::Disposition(-18))?);
                after
            }
            [byte, after @ ..] if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(byte) => {
                value.push(*byte);
                after
            }
            _ => return Err(Error::Disposition(-19)),
        };
    }
}
