//! `detectSQLi`, over a translation of libinjection.

use super::{Fingerprint, first_words, plain_words};
use crate::pattern::ByteSet;
use libinjectionrs::{SqliFlags, SqliState};
use std::borrow::Cow;

/// A word of more bytes is cut, if it has many dots: see [`shorten`].
const LONG_WORD: usize = 512;
const MANY_DOTS: usize = 64;

/// The fingerprint of the value if it is SQL injection.
pub(super) fn detect(value: &[u8]) -> Option<Fingerprint> {
    if first_words::are_harmless(value) || plain_words::is_plain(value) {
        return None;
    }
    tokenized(value)
}

/// What libinjection says of the value.
pub(super) fn tokenized(value: &[u8]) -> Option<Fingerprint> {
    let value = shorten(value);
    let mut state = SqliState::new(&value, SqliFlags::FLAG_NONE);
    state.detect().then(|| state.fingerprint.iter().copied().take_while(|byte| *byte != 0).collect())
}

/// A value that has none of these is one word, or a number with a word behind it. No fingerprint of such is on libinjection's
/// list: the only ones of two tokens are `1c nc sc vc 1U vU`, comments need punctuation, and `1U` of just two tokens is
/// excepted.
pub(super) fn needs() -> ByteSet {
    words().complement()
}

const fn is_word(byte: u8) -> bool {
    // 0xa0 is a space to libinjection.
    byte.is_ascii_alphanumeric() || byte == b'_' || (byte >= 0x80 && byte != 0xa0)
}

fn words() -> ByteSet {
    let mut words = ByteSet::NONE;
    (0..=255).filter(|byte| is_word(*byte)).for_each(|byte| words.insert(byte));
    words
}

/// The library looks up all that precedes each dot and backtick of a word, which makes a long word of dots cost the square of
/// its length. No keyword is longer than 31 bytes, so such a word is as good without its middle.
fn shorten(value: &[u8]) -> Cow<'_, [u8]> {
    let in_word = |byte: u8| is_word(byte) || matches!(byte, b'.' | b'`' | b'$' | 1..=8 | 14..=31 | 127);
    let is_dot = |byte: &&u8| matches!(byte, b'.' | b'`');
    if value.len() <= LONG_WORD || value.iter().filter(is_dot).count() <= MANY_DOTS {
        return Cow::Borrowed(value);
    }
    let mut short = Vec::with_capacity(value.len());
    for run in value.chunk_by(|left, right| in_word(*left) == in_word(*right)) {
        let is_long = run.len() > LONG_WORD && run.iter().filter(is_dot).count() > MANY_DOTS;
        match (run.first_chunk::<{ LONG_WORD / 2 }>(), run.last_chunk::<{ LONG_WORD / 2 }>()) {
            (Some(head), Some(tail)) if is_long => {
                short.extend_from_slice(head);
                short.extend_from_slice(tail);
            }
            _ => short.extend_from_slice(run),
        }
    }
    Cow::Owned(short)
}
