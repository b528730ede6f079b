//! replaceComments, removeComments and removeCommentsChar.

use memchr::memmem;

use super::rewrite::{keep, rewrite};

/// A comment of C, with its end missing or not, becomes a space.
pub(super) fn replace(input: &[u8], output: &mut Vec<u8>) -> bool {
    rewrite(
        input,
        output,
        |bytes| memmem::find(bytes, b"/*"),
        |special, output| {
            output.push(b' ');
            let comment = special.get(2..).unwrap_or_default();
            memmem::find(comment, b"*/").and_then(|end| comment.get(end + 2..)).unwrap_or_default()
        },
    )
}

/// Comments of C, HTML and SQL go, and with `--` and `#` all that follows them. A comment without an end becomes a space.
///
/// The end of a comment of C also ends one of HTML, and the reverse. The byte after a comment is copied unread, a NUL if there is
/// none: peculiarities of libmodsecurity that its test vectors hold on to.
pub(super) fn remove(input: &[u8], output: &mut Vec<u8>) -> bool {
    rewrite(input, output, find_mark, |special, output| {
        let inside = match special {
            [b'/', b'*', inside @ ..] | [b'<', b'!', b'-', b'-', inside @ ..] => inside,
            [b'-', b'-', ..] | [b'#', ..] => return &[],
            _ => return keep(special, output),
        };
        match after_end(inside) {
            None => {
                output.push(b' ');
                &[]
            }
            Some([]) => {
                output.push(0);
                &[]
            }
            Some(after) => keep(after, output),
        }
    })
}

/// The marks of comments go, and what they mark stays. Marks that only arise from that are not seen.
pub(super) fn remove_marks(input: &[u8], output: &mut Vec<u8>) -> bool {
    let find = |bytes: &[u8]| bytes.iter().position(|byte| matches!(byte, b'/' | b'*' | b'<' | b'-' | b'#'));
    rewrite(input, output, find, |special, output| match special {
        [b'<', b'!', b'-', b'-', rest @ ..]
        | [b'-', b'-', b'>', rest @ ..]
        | [b'-', b'-', rest @ ..]
        | [b'/', b'*', rest @ ..]
        | [b'*', b'/', rest @ ..]
        | [b'#', rest @ ..] => rest,
        _ => keep(special, output),
    })
}

fn find_mark(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| matches!(byte, b'/' | b'<' | b'-' | b'#'))
}

/// What follows the first end of a comment.
fn after_end(mut inside: &[u8]) -> Option<&[u8]> {
    while let Some(at) = memchr::memchr2(b'*', b'-', inside) {
        let here = inside.get(at..).unwrap_or_default();
        if let [b'*', b'/', after @ ..] | [b'-', b'-', b'>', after @ ..] = here {
            return Some(after);
        }
        inside = here.get(1..).unwrap_or_default();
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::transform::{Transformation, tests::applied};

    #[test]
    fn comments_are_removed() {
        for (input, output) in [
            (&b"a/*b*/c<!--d-->e"[..], &b"ace"[..]),
            (b"UN/**/ION -- x", b"UNION "),
            (b"a#b", b"a"),
            (b"a/*b-->c", b"ac"),
            (b"a/**/-- b", b"a-- b"),
            (b"a/**/#b", b"a#b"),
            (b"a<!--b", b"a "),
            (b"a/*b*/", b"a\0"),
            (b"</-", b"</-"),
            (b"/*/", b" "),
        ] {
            assert_eq!(applied(Transformation::RemoveComments, input), output);
        }
    }

    #[test]
    fn marks_are_removed() {
        for (input, output) in [
            (&b"a/*b*/c<!--d-->e--f#g"[..], &b"abcdefg"[..]),
            (b"/-*</!->*", b"/-*</!->*"),
            (b"//***/", b"/*"),
            (b"---", b"-"),
        ] {
            assert_eq!(applied(Transformation::RemoveCommentsChar, input), output);
        }
    }

    #[test]
    fn comments_are_replaced() {
        for (input, output) in [
            (&b"a/*b*/c/**/d"[..], &b"a c d"[..]),
            (b"a/*b", b"a "),
            (b"/*/a*/b", b" b"),
            (b"*/a--", b"*/a--"),
        ] {
            assert_eq!(applied(Transformation::ReplaceComments, input), output);
        }
    }
}
