//! Takes encodings off a value, one layer at a time. Every decoder reads its input once, writes at most about as
//! much as it reads, and says nothing if there was nothing to decode.

/// The value of a hexadecimal digit.
pub(super) const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn pair(high: u8, low: u8) -> Option<u8> {
    Some(digit(high)? << 4 | digit(low)?)
}

/// Four hexadecimal digits.
fn four(digits: &[u8]) -> Option<u32> {
    let [a, b, c, d] = *digits.first_chunk()?;
    Some(u32::from(pair(a, b)?) << 8 | u32::from(pair(c, d)?))
}

/// Appends a character. One that does not exist becomes a question mark: it stands for itself in no attack.
fn push_char(out: &mut Vec<u8>, code: u32) {
    let character = char::from_u32(code).unwrap_or('?');
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// What stands for an encoded sequence.
enum Put {
    Nothing,
    Byte(u8),
    Char(u32),
}

/// Copies a text, and puts something else in the place of what `step` knows. It is asked where one of the marked
/// bytes stands, with the byte before and the text from there, and answers with how much it takes. Until it knows
/// something nothing is copied: most texts have a quote or an ampersand, and few are encoded.
fn rewrite(
    text: &[u8],
    out: &mut Vec<u8>,
    marked: impl Fn(u8) -> bool,
    mut step: impl FnMut(u8, &[u8]) -> Option<(Put, usize)>,
) -> bool {
    let mut copied = 0;
    let mut at = 0;
    let mut changed = false;
    while let Some(next) = text.get(at..).and_then(|rest| rest.iter().position(|byte| marked(*byte))) {
        at += next;
        let before = if at > copied { text.get(at - 1) } else { out.last() };
        let rest = text.get(at..).unwrap_or_default();
        let Some((put, length)) = step(before.copied().unwrap_or(b' '), rest) else {
            at += 1;
            continue;
        };
        out.extend_from_slice(text.get(copied..at).unwrap_or_default());
        match put {
            Put::Nothing => {}
            Put::Byte(byte) => out.push(byte),
            Put::Char(code) => push_char(out, code),
        }
        changed = true;
        at += length.max(1);
        copied = at;
    }
    if changed {
        out.extend_from_slice(text.get(copied..).unwrap_or_default());
    }
    changed
}

/// `%27`, `%u0027`. A plus is a space where no other space is: in a form it is one, and in an attack that was
/// decoded already it is an operator.
pub(super) fn url(text: &[u8], out: &mut Vec<u8>) -> bool {
    let plus = !text.contains(&b' ');
    let marked = |byte| byte == b'%' || (plus && byte == b'+');
    rewrite(text, out, marked, |_, rest| match rest {
        [b'%', b'u' | b'U', tail @ ..] if four(tail).is_some() => Some((Put::Char(four(tail)?), 6)),
        [b'%', high, low, ..] => Some((Put::Byte(pair(*high, *low)?), 3)),
        [b'+', ..] => Some((Put::Byte(b' '), 1)),
        _ => None,
    })
}

/// The entities of HTML that matter to an attack.
const ENTITIES: [(&[u8], u8); 29] = [
    (b"lt", b'<'),
    (b"gt", b'>'),
    (b"amp", b'&'),
    (b"quot", b'"'),
    (b"apos", b'\''),
    (b"colon", b':'),
    (b"semi", b';'),
    (b"lpar", b'('),
    (b"rpar", b')'),
    (b"lbrace", b'{'),
    (b"lcub", b'{'),
    (b"rbrace", b'}'),
    (b"rcub", b'}'),
    (b"lsqb", b'['),
    (b"rsqb", b']'),
    (b"sol", b'/'),
    (b"bsol", b'\\'),
    (b"period", b'.'),
    (b"comma", b','),
    (b"excl", b'!'),
    (b"equals", b'='),
    (b"num", b'#'),
    (b"dollar", b'$'),
    (b"percnt", b'%'),
    (b"grave", b'`'),
    (b"vert", b'|'),
    (b"nbsp", b' '),
    (b"tab", b'\t'),
    (b"newline", b'\n'),
];

/// `&lt;`, `&#60`, `&#x3c;`. Browsers forgive a missing semicolon after a number.
pub(super) fn entities(text: &[u8], out: &mut Vec<u8>) -> bool {
    rewrite(
        text,
        out,
        |byte| byte == b'&',
        |_, rest| {
            let (code, after) = rest.get(1..).and_then(|tail| numeric(tail).or_else(|| named(tail)))?;
            Some((Put::Char(code), rest.len() - after.len()))
        },
    )
}

/// How many digits a number in an entity may have: zeros in front are a known disguise.
const ENTITY_DIGITS: usize = 12;

fn numeric(text: &[u8]) -> Option<(u32, &[u8])> {
    let (radix, mut rest) = match text {
        [b'#', b'x' | b'X', tail @ ..] => (16, tail),
        [b'#', tail @ ..] => (10, tail),
        _ => return None,
    };
    let mut code = 0_u32;
    let mut digits = 0;
    while let [byte, tail @ ..] = rest
        && let Some(value) = char::from(*byte).to_digit(radix)
    {
        code = code.saturating_mul(radix).saturating_add(value);
        digits += 1;
        rest = tail;
        if digits > ENTITY_DIGITS {
            return None;
        }
    }
    let after = if let [b';', tail @ ..] = rest { tail } else { rest };
    (digits > 0).then_some((code, after))
}

fn named(text: &[u8]) -> Option<(u32, &[u8])> {
    ENTITIES.iter().find_map(|(name, byte)| {
        let found = text.get(..name.len())?;
        let [b';', after @ ..] = text.get(name.len()..)? else { return None };
        found.eq_ignore_ascii_case(name).then_some((u32::from(*byte), after))
    })
}

/// `\u003c`, `\u{3c}`, `\x3c`, `\n`, `\/` and the like, as JavaScript, JSON and most languages write them.
pub(super) fn escapes(text: &[u8], out: &mut Vec<u8>) -> bool {
    rewrite(
        text,
        out,
        |byte| byte == b'\\',
        |_, rest| {
            let (code, after) = escape(rest.get(1..)?)?;
            Some((Put::Char(code), rest.len() - after.len()))
        },
    )
}

fn escape(text: &[u8]) -> Option<(u32, &[u8])> {
    let one = |code: u8, after| Some((u32::from(code), after));
    match text {
        [b'u' | b'U', b'{', tail @ ..] => {
            let end = tail.iter().take(7).position(|byte| *byte == b'}')?;
            let digits = std::str::from_utf8(tail.get(..end)?).ok()?;
            Some((u32::from_str_radix(digits, 16).ok()?, tail.get(end + 1..)?))
        }
        [b'u', tail @ ..] => unicode(tail),
        [b'U', b'0', b'0', b'0', b'0', tail @ ..] => unicode(tail),
        [b'x', high, low, tail @ ..] => one(pair(*high, *low)?, tail),
        [b'n', tail @ ..] => one(b'\n', tail),
        [b'r', tail @ ..] => one(b'\r', tail),
        [b't', tail @ ..] => one(b'\t', tail),
        [b'0', tail @ ..] if !tail.first().is_some_and(u8::is_ascii_digit) => one(0, tail),
        [byte @ (b'/' | b'"' | b'\'' | b'\\' | b'`' | b'<' | b'>'), tail @ ..] => one(*byte, tail),
        // Octal, as C and the shells write it.
        [a @ b'0'..=b'1', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] => {
            one((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), tail)
        }
        _ => None,
    }
}

fn unicode(digits: &[u8]) -> Option<(u32, &[u8])> {
    let (high, rest) = (four(digits)?, digits.get(4..)?);
    if let [b'\\', b'u', tail @ ..] = rest
        && (0xd800..0xdc00).contains(&high)
        && let Some(low @ 0xdc00..0xe000) = four(tail)
    {
        return Some((0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00), tail.get(4..)?));
    }
    Some((high, rest))
}

/// Overlong UTF-8, letters of full width, and characters that old code pages turn into quotes and slashes.
pub(super) fn unicode_folding(text: &[u8], out: &mut Vec<u8>) -> bool {
    let leads = |byte| matches!(byte, 0xc0 | 0xc1 | 0xca | 0xe0 | 0xe2 | 0xef | 0xf0);
    rewrite(text, out, leads, |_, rest| fold(rest).map(|(folded, length)| (Put::Byte(folded), length)))
}

fn fold(text: &[u8]) -> Option<(u8, usize)> {
    match *text {
        // Two bytes for what needs one. Decoders that do not check the second read only its low bits.
        [lead @ 0xc0..=0xc1, next, ..] => Some(((lead & 1) << 6 | next & 0x3f, 2)),
        [0xe0, middle @ 0x80..=0x81, last @ 0x80..=0xbf, ..] => Some(((middle & 1) << 6 | last & 0x3f, 3)),
        [0xf0, 0x80, middle @ 0x80..=0x81, last, ..] => Some(((middle & 1) << 6 | last & 0x3f, 4)),
        // U+FF01 to U+FF5E are ASCII of full width.
        [0xef, 0xbc, last @ 0x81..=0xbf, ..] => Some((last - 0x60, 3)),
        [0xef, 0xbd, last @ 0x80..=0x9e, ..] => Some((last - 0x20, 3)),
        // U+02B9, U+02BC: modifier letters that become an apostrophe. U+2215, U+2216: slashes.
        [0xca, 0xb9 | 0xbc, ..] => Some((b'\'', 2)),
        [0xe2, 0x88, 0x95, ..] => Some((b'/', 3)),
        [0xe2, 0x88, 0x96, ..] => Some((b'\\', 3)),
        _ => None,
    }
}

/// Takes out zero bytes, soft hyphens and characters of no width.
pub(super) fn invisible(text: &[u8], out: &mut Vec<u8>) -> bool {
    let leads = |byte| matches!(byte, 0 | 0xc2 | 0xe2 | 0xef);
    rewrite(text, out, leads, |_, rest| match rest {
        [0, ..] => Some((Put::Nothing, 1)),
        [0xc2, 0xad, ..] => Some((Put::Nothing, 2)),
        [0xe2, 0x80, 0x8b..=0x8d, ..] | [0xef, 0xbb, 0xbf, ..] => Some((Put::Nothing, 3)),
        _ => None,
    })
}

/// Takes out comments between `/*` and `*/`. What MySQL executes, `/*!50000 ... */`, stays.
pub(super) fn comments(text: &[u8], out: &mut Vec<u8>, space: bool) -> bool {
    let mut changed = false;
    let mut open = false;
    let marked = |byte| matches!(byte, b'/' | b'*');
    rewrite(text, out, marked, |_, rest| {
        let found = match rest {
            // What is not closed reaches to the end, and nothing after it is a comment.
            _ if open => None,
            [b'/', b'*', b'!', tail @ ..] => {
                let digits = tail.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
                Some((Put::Byte(b' '), 3 + digits))
            }
            [b'/', b'*', tail @ ..] => {
                let length = comment_length(tail);
                open = length.is_none();
                length.map(|length| (if space { Put::Byte(b' ') } else { Put::Nothing }, length + 2))
            }
            // The end of what MySQL executes parts words, as its beginning does.
            [b'*', b'/', ..] if changed => Some((Put::Byte(b' '), 2)),
            _ => None,
        };
        changed |= found.is_some();
        found
    })
}

/// How far it is to the end of a comment, with its mark. No searcher is built: most comments are short.
pub(super) fn comment_length(text: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'/', text).find(|at| *at > 0 && text.get(at - 1) == Some(&b'*')).map(|at| at + 1)
}

/// Quotes, backslashes, carets and empty variables inside of words: `c'a't`, `w\get`, `c^m^d`, `cat$IFS/etc`.
pub(super) fn shell_quotes(text: &[u8], out: &mut Vec<u8>) -> bool {
    let marked = |byte| matches!(byte, b'\'' | b'"' | b'\\' | b'^' | b'$');
    rewrite(text, out, marked, |last, rest| match rest {
        [b'\'', b'\'', ..] | [b'"', b'"', ..] if last.is_ascii_alphabetic() => Some((Put::Nothing, 2)),
        [b'\\' | b'^', next, ..] if next.is_ascii_alphanumeric() && last != b'\\' && last != b':' => {
            Some((Put::Nothing, 1))
        }
        [b'$', b'@' | b'*', ..] if last.is_ascii_alphanumeric() => Some((Put::Nothing, 2)),
        [b'\'' | b'"', a, b'\'' | b'"', next, ..]
            if a.is_ascii_alphabetic() && (last.is_ascii_alphabetic() || next.is_ascii_alphabetic()) =>
        {
            Some((Put::Byte(*a), 3))
        }
        _ => ifs(rest),
    })
}

/// The separator of a shell's words, in place of a space.
fn ifs(text: &[u8]) -> Option<(Put, usize)> {
    let length = match text {
        [b'$', b'{', b'I', b'F', b'S', tail @ ..] => {
            5 + tail.iter().take(16).position(|byte| *byte == b'}').map_or(0, |end| end + 1)
        }
        [b'$', b'I', b'F', b'S', b'$', b'0'..=b'9', ..] => 6,
        [b'$', b'I', b'F', b'S', ..] => 4,
        _ => return None,
    };
    Some((Put::Byte(b' '), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(decoder: fn(&[u8], &mut Vec<u8>) -> bool, text: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        decoder(text, &mut out).then(|| String::from_utf8_lossy(&out).into_owned())
    }

    #[test]
    fn url_encodings() {
        assert_eq!(with(url, b"%27+or%201"), Some("' or 1".into()));
        assert_eq!(with(url, b"%u003cscript%U003e"), Some("<script>".into()));
        assert_eq!(with(url, b"100% of a+b c"), None);
        assert_eq!(with(url, b"%"), None);
    }

    #[test]
    fn html_entities() {
        assert_eq!(with(entities, b"&lt;a&#x3e;&#0000040;&#41"), Some("<a>()".into()));
        assert_eq!(with(entities, b"a & b; &unknown; &#;"), None);
    }

    #[test]
    fn escapes_of_languages() {
        assert_eq!(with(escapes, br"\u003c\x73\u{63}\163\/"), Some("<scs/".into()));
        assert_eq!(with(escapes, br"\ud83d\ude00"), Some("\u{1f600}".into()));
        assert_eq!(with(escapes, br"C:\Users"), None);
    }

    #[test]
    fn unusual_utf8() {
        assert_eq!(with(unicode_folding, b"\xc0\xae\xc0\xaf\xe0\x80\xae"), Some("./.".into()));
        assert_eq!(with(unicode_folding, "ＵＮＩＯＮ（".as_bytes()), Some("UNION(".into()));
        assert_eq!(with(unicode_folding, "Größe 図書館".as_bytes()), None);
    }

    #[test]
    fn disguises_of_words() {
        assert_eq!(with(shell_quotes, b"c'a't /et''c/pas\\swd"), Some("cat /etc/passwd".into()));
        assert_eq!(with(shell_quotes, b"cat${IFS}/etc$IFS$9x"), Some("cat /etc x".into()));
        assert_eq!(with(shell_quotes, b"O'Neil says don't"), None);
        let mut out = Vec::new();
        assert!(comments(b"un/**/ion/*!50000select*/", &mut out, false));
        assert_eq!(out, b"union select ");
    }
}
