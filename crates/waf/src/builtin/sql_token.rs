//! Cuts a text into the tokens of SQL. Quotes are tokens of their own, because an injection begins in the middle of
//! a string, and what is inside and what is outside depends on a statement that nobody sees.

use smallvec::SmallVec;

pub(super) use super::sql_words::Word;
use super::sql_words::word;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word(Word),
    Number,
    Quote,
    Compare,
    Arithmetic,
    /// `||`
    Pipes,
    /// `&&`
    Ampersands,
    Open,
    Close,
    Comma,
    Semicolon,
    /// `--`, `#`, `/*`: what ends a statement early.
    Comment,
    Star,
    At,
    Dot,
    Other,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

const fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

const fn continues_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

/// All tokens of a text. Comments that are closed are spaces.
pub(super) fn tokens(text: &[u8]) -> SmallVec<[Token; 48]> {
    let mut tokens = SmallVec::with_capacity(text.len() / 5);
    let mut rest = text;
    while let Some(first) = rest.first() {
        let start = text.len() - rest.len();
        let (kind, length) = next(*first, rest);
        if let Some(kind) = kind {
            tokens.push(Token { kind, start, end: start + length });
        }
        rest = rest.get(length.max(1)..).unwrap_or_default();
    }
    tokens
}

fn next(first: u8, rest: &[u8]) -> (Option<Kind>, usize) {
    if starts_word(first) {
        let length = rest.iter().take_while(|byte| continues_word(**byte)).count();
        return (Some(Kind::Word(word(rest.get(..length).unwrap_or_default()))), length);
    }
    if first.is_ascii_digit() {
        return number(rest);
    }
    match rest {
        [b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c | 0, ..] => (None, 1),
        [b'\'' | b'"' | b'`', ..] => (Some(Kind::Quote), 1),
        [b'/', b'*', b'!', tail @ ..] => {
            (None, 3 + tail.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count())
        }
        [b'/', b'*', tail @ ..] => match super::decode::comment_length(tail) {
            Some(length) => (None, length + 2),
            None => (Some(Kind::Comment), rest.len()),
        },
        [b'-', b'-', ..] => (Some(Kind::Comment), rest.iter().take_while(|byte| **byte == b'-').count()),
        [b'#', ..] => (Some(Kind::Comment), 1),
        [b'|', b'|', ..] => (Some(Kind::Pipes), 2),
        [b'&', b'&', ..] => (Some(Kind::Ampersands), 2),
        [b'=' | b'<' | b'>' | b'!', ..] => (
            Some(Kind::Compare),
            rest.iter().take_while(|byte| matches!(byte, b'=' | b'<' | b'>' | b'!')).count(),
        ),
        [b'(', ..] => (Some(Kind::Open), 1),
        [b')', ..] => (Some(Kind::Close), 1),
        [b',', ..] => (Some(Kind::Comma), 1),
        [b';', ..] => (Some(Kind::Semicolon), 1),
        [b'*', ..] => (Some(Kind::Star), 1),
        [b'@', ..] => (Some(Kind::At), rest.iter().take_while(|byte| **byte == b'@').count()),
        [b'.', ..] => (Some(Kind::Dot), 1),
        [b'+' | b'-' | b'/' | b'%' | b'^' | b'~' | b'|' | b'&', ..] => (Some(Kind::Arithmetic), 1),
        _ => (Some(Kind::Other), 1),
    }
}

fn number(rest: &[u8]) -> (Option<Kind>, usize) {
    if let [b'0', b'x' | b'X', digits @ ..] = rest {
        let length = digits.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if length > 0 {
            return (Some(Kind::Number), length + 2);
        }
    }
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let word = rest.iter().skip(digits).take_while(|byte| continues_word(**byte)).count();
    let tail = rest.get(digits..digits + word).unwrap_or_default();
    // MySQL reads `1or 2` as it reads `1 or 2`.
    let glued = tail.get(..2).is_some_and(|two| two.eq_ignore_ascii_case(b"or") && word == 2)
        || tail.get(..3).is_some_and(|three| three.eq_ignore_ascii_case(b"and") && word == 3)
        || tail.get(..5).is_some_and(|five| five.eq_ignore_ascii_case(b"union") && word == 5);
    if word == 0 || glued {
        let decimals = match rest.get(digits..) {
            Some([b'.', tail @ ..]) => tail.iter().take_while(|byte| byte.is_ascii_digit()).count() + 1,
            _ => 0,
        };
        return (Some(Kind::Number), digits + if decimals > 1 { decimals } else { 0 });
    }
    let exponent = matches!(tail, [b'e' | b'E', digits @ ..] if digits.iter().all(u8::is_ascii_digit));
    (Some(if exponent { Kind::Number } else { Kind::Word(Word::Other) }), digits + word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        tokens(text.as_bytes()).into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn tokens_of_an_injection() {
        use Kind::*;
        let expected =
            [Number, Quote, Word(super::Word::Or), Quote, Number, Quote, Compare, Quote, Number, Comment];
        assert_eq!(kinds("1' OR/**/'1'='1--"), expected);
        assert_eq!(
            kinds("0x41 1.5 1e3 3rd 1or"),
            [Number, Number, Number, Word(super::Word::Other), Number, Word(super::Word::Or)]
        );
        assert_eq!(kinds("/*!50000union*/ /* open"), [Word(super::Word::Union), Star, Arithmetic, Comment]);
    }
}
