//! The escapes of JSON strings (RFC 8259 section 7), read one byte at a time.

use super::Malformed;

/// An escape that is being read.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Escape {
    /// `\uD83D\uDE00` at the most.
    spelled: [u8; 12],
    length: usize,
}

/// What a byte did to an escape.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// It is part of an escape that goes on.
    More,
    /// It completes this character.
    Done(char),
    /// It belongs to what follows. Before it stands half of a surrogate pair, which is no character.
    Alone,
}

impl Escape {
    /// Whether an escape is being read.
    pub(super) const fn is_open(&self) -> bool {
        self.length > 0
    }

    /// How the escape is written, as far as it was read.
    pub(super) fn spelled(&self) -> &[u8] {
        self.spelled.get(..self.length).unwrap_or_default()
    }

    /// Takes the next byte; the first must be `\`.
    ///
    /// # Errors
    /// [`Malformed`] if there is no such escape.
    pub(super) fn read(&mut self, byte: u8) -> Result<Read, Malformed> {
        // After the first half of a pair only the escape of the second half makes a character.
        if self.length == 6 && byte != b'\\' {
            return Ok(Read::Alone);
        }
        *self.spelled.get_mut(self.length).ok_or(Malformed)? = byte;
        self.length += 1;
        match (self.length, byte) {
            (1 | 7, b'\\') => Ok(Read::More),
            (2, b'u') | (8, b'u') => Ok(Read::More),
            (2, _) => simple(byte).map(Read::Done),
            (3..=5 | 9..=11, _) if byte.is_ascii_hexdigit() => Ok(Read::More),
            (6 | 12, _) if byte.is_ascii_hexdigit() => self.complete(),
            // `\ud83d\n`: the second escape is another character's.
            (8, _) => Ok(Read::Alone),
            _ => Err(Malformed),
        }
    }

    /// After [`Read::Alone`]: how the half of a pair is written, and what was read beyond it.
    pub(super) fn split_alone(&self) -> (&[u8], &[u8]) {
        self.spelled().split_at_checked(6).unwrap_or_default()
    }

    fn complete(&self) -> Result<Read, Malformed> {
        let first = unit(&self.spelled, 2).ok_or(Malformed)?;
        if self.length == 6 {
            return match first {
                0xd800..0xdc00 => Ok(Read::More),
                // The second half of a pair without its first: no character either.
                _ => Ok(Read::Done(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))),
            };
        }
        match unit(&self.spelled, 8).ok_or(Malformed)? {
            second @ 0xdc00..0xe000 => {
                let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                Ok(Read::Done(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)))
            }
            _ => Ok(Read::Alone),
        }
    }
}

fn simple(byte: u8) -> Result<char, Malformed> {
    Ok(match byte {
        b'"' | b'\\' | b'/' => char::from(byte),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        _ => return Err(Malformed),
    })
}

/// The four hexadecimal digits at `at`.
fn unit(spelled: &[u8], at: usize) -> Option<u32> {
    spelled
        .get(at..at + 4)?
        .iter()
        .try_fold(0, |value, &digit| Some(value * 16 + char::from(digit).to_digit(16)?))
}
